'use strict';

// The library, and its C functions as include/subpy.h declares them. Every pointer is an address: a JS number, exact
// because addresses are below 2^53. What lies there is the caller's business (memory.js).

const fs = require('node:fs');
const path = require('node:path');

const koffi = require('koffi');

const { FUNCTIONS } = require('./slot');

const { version: PACKAGE } = require('../package.json');

/** No library, or one that does not fit. Thrown when the package is imported; nobody can catch it by its class. */
class LibraryError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'LibraryError';
    this.code = code;
  }
}

const NATIVE = path.join(__dirname, '..', 'native');

/** What this process runs on, in the way in which the package names its folders of libraries: linux-x64. */
const SYSTEM = `${process.platform}-${process.arch}`;

const WHAT_TO_DO =
  'What to do: set SUBPY_LIBRARY to the path of a libsubpy.so, or install the library where the dynamic loader finds ' +
  'it (`make install` and `ldconfig` in a clone of subpy).';

/** The libraries to try, with the reason for each. One that was asked for is the only one. */
function candidates() {
  if (process.env.SUBPY_LIBRARY) return [[process.env.SUBPY_LIBRARY, 'SUBPY_LIBRARY']];
  const packaged = path.join(NATIVE, SYSTEM, 'libsubpy.so');
  return [
    [packaged, 'in this package'],
    ['libsubpy.so.0', 'where the dynamic loader looks'],
    ['libsubpy.so', 'where the dynamic loader looks'],
  ];
}

function open() {
  const tried = [];
  for (const [file, why] of candidates()) {
    try {
      return [koffi.load(file), file];
    } catch (error) {
      const there = !path.isAbsolute(file) || fs.existsSync(file);
      tried.push(`  ${file} (${why}): ${there ? error.message : 'no such file'}`);
    }
  }
  const message = `the library libsubpy could not be opened. Tried:\n${tried.join('\n')}\n${otherSystem()}${WHAT_TO_DO}`;
  throw new LibraryError(message, 'SUBPY_LIBRARY_NOT_FOUND');
}

/** That the package is for another system, if it is. */
function otherSystem() {
  const systems = fs.existsSync(NATIVE) ? fs.readdirSync(NATIVE) : [];
  if (systems.length === 0 || systems.includes(SYSTEM)) return '';
  return `This package has the library for ${systems.join(', ')}, and this is ${SYSTEM}: one for it has to be built. `;
}

/** Before any other function is looked up: in a library of another version they may be missing, or take something else. */
function checkVersion(lib, file) {
  let version;
  try {
    version = lib.func('subpy_version', 'uint32_t', [])();
  } catch {
    const message = `${file} is not libsubpy: it has no subpy_version(). ${WHAT_TO_DO}`;
    throw new LibraryError(message, 'SUBPY_LIBRARY_VERSION');
  }
  const [major, minor] = PACKAGE.split('.').map(Number);
  const has = [Math.floor(version / 1_000_000), Math.floor(version / 1000) % 1000];
  // Before 1.0 every minor version may change what there is, afterwards it only adds.
  if (has[0] === major && (major === 0 ? has[1] === minor : has[1] >= minor)) return;
  const fits = major === 0 ? `${major}.${minor}.x` : `${major}.${minor} or newer`;
  throw new LibraryError(
    `${file} is libsubpy ${has.join('.')}.${version % 1000}, the npm package subpy ${PACKAGE} needs ${fits}. ` +
      'What to do: install both in the same version, or set SUBPY_LIBRARY to a library that fits.',
    'SUBPY_LIBRARY_VERSION',
  );
}

const [lib, file] = open();
checkVersion(lib, file);

const declare = (name, result, ...args) => lib.func(`subpy_${name}`, result, args);
const handle = 'uint64_t';
const address = 'uintptr_t';
const status = 'int32_t';

module.exports = {
  /** What was opened, for the threads of the pool. */
  file,

  init: declare('init', status, address, address),
  shutdown: declare('shutdown', status, address),
  shutdownWith: declare('shutdown_with', status, address, address),
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

  /** Those that may be called on another thread (slot.js), by their numbers. */
  functions: FUNCTIONS.map(([name, ...args]) => lib.func(name, status, args)),
  functionNew: declare('function_new', status, handle, address, 'size_t', address, address),

  objectKeep: declare('object_keep', status, handle, address, address),
  objectInterp: declare('object_interp', status, handle, address, address),
  objectFree: declare('object_free', 'void', handle),

  queueNew: declare('queue_new', status, address, address, address),
  queueKeep: declare('queue_keep', status, handle, address, address),
  queuePut: declare('queue_put', status, handle, address, 'int64_t', address),
  queueGet: declare('queue_get', status, handle, 'int64_t', address, address),
  queueLen: declare('queue_len', status, handle, address, address),
  queueFd: declare('queue_fd', status, handle, address, address),
  queueClose: declare('queue_close', status, handle, address),
  queueFree: declare('queue_free', 'void', handle),

  poolSubmitAs: declare('pool_submit_as', status, handle, 'uint64_t', address, address, address),
  poolGetStats: declare('pool_get_stats', status, handle, address, address),
  threadNotify: declare('thread_notify', status, handle, address, address, address),
  threadJoin: declare('thread_join', status, handle, address, address),

  memory: declare('memory', status, handle, address, address),
  lockGetInfo: declare('lock_get_info', status, handle, address, address),

  defineWith: declare(
    'define_with', status, handle, address, 'size_t', address, address, address, address, address,
  ),
  contextReturn: declare('context_return', status, address, address),
  contextRaise: declare('context_raise', status, address, address, 'size_t', address, 'size_t'),
  contextNote: declare('context_note', status, address, address, 'size_t'),
  contextTag: declare('context_tag', status, address, handle),
  contextCancelled: declare('context_cancelled', 'bool', address),
  contextInterp: declare('context_interp', handle, address),
  setOutput: declare('set_output', status, handle, address, address, address, address),

  cancelNew: declare('cancel_new', status, address, address),
  cancelFire: declare('cancel_fire', 'void', handle),
  cancelFree: declare('cancel_free', 'void', handle),
  interrupt: declare('interrupt', status, handle, address),

  valueBlock: declare('value_block', 'bool', address, address, address),
  valueFree: declare('value_free', 'void', address),

  statusName: declare('status_name', 'str', status),
  errorStatus: declare('error_status', status, address),
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
  errorCrash: declare('error_crash', 'bool', address, address, address),
  errorTag: declare('error_tag', handle, address),
  errorRow: declare('error_row', 'bool', address, address),
  errorInterp: declare('error_interp', handle, address),
  errorFree: declare('error_free', 'void', address),

  memcpy: koffi.load(null).func('memcpy', 'void', [address, address, 'size_t']),
};
