'use strict';

// The C functions, as include/subpy.h declares them. Every pointer is an address: a JS number, exact because addresses
// are below 2^53. What lies there is the caller's business (memory.js).

const koffi = require('koffi');

const lib = koffi.load(process.env.SUBPY_LIBRARY || 'libsubpy.so');

const declare = (name, result, ...args) => lib.func(`subpy_${name}`, result, args);
const handle = 'uint64_t';
const address = 'uintptr_t';
const status = 'int32_t';

module.exports = {
  init: declare('init', status, address, address),
  shutdown: declare('shutdown', status, address),
  version: declare('version_string', 'str'),
  pythonVersion: declare('python_version', 'str'),
  pythonLibrary: declare('python_library', 'str'),

  create: declare('create', status, address, address, address),
  close: declare('close', status, handle, address),
  prepareMain: declare('prepare_main', status, handle, address, address),
  isRunning: declare('is_running', status, handle, address, address),
  id: declare('id', status, handle, address, address),
  whence: declare('whence', status, handle, address, address),
  listAll: declare('list_all', status, address, 'size_t', address, address),
  getCurrent: declare('get_current', status, address, address),
  getMain: declare('get_main', status, address, address),
  find: declare('find', status, 'int64_t', address, address),

  run: declare('run', status, address, address, address),
  runInThread: declare('run_in_thread', status, address, address, address),
  join: declare('thread_join', status, handle, address, address),

  valueBlock: declare('value_block', 'bool', address, address, address),
  valueFree: declare('value_free', 'void', address),

  statusName: declare('status_name', 'str', status),
  errorMessage: declare('error_message', address, address, address),
  errorTypeName: declare('error_type_name', address, address, address),
  errorTypeQualname: declare('error_type_qualname', address, address, address),
  errorTypeModule: declare('error_type_module', address, address, address),
  errorExceptionMessage: declare('error_exception_message', address, address, address),
  errorFormatted: declare('error_formatted', address, address, address),
  errorDisplay: declare('error_display', address, address, address),
  errorFrameCount: declare('error_frame_count', 'size_t', address),
  errorFrame: declare('error_frame', 'bool', address, 'size_t', address),
  errorSyntax: declare('error_syntax', 'bool', address, address, address, address),
  errorExitStatus: declare('error_exit_status', 'bool', address, address),
  errorInterp: declare('error_interp', handle, address),
  errorFree: declare('error_free', 'void', address),

  memcpy: koffi.load(null).func('memcpy', 'void', [address, address, 'size_t']),
};
