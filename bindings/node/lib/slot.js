'use strict';

// What a thread of the pool shares with the thread that it belongs to, and which functions of the library may be called on
// another thread: those that run Python, or wait for it.

const address = 'uintptr_t';
const handle = 'uint64_t';

/** Their names and arguments, which are numbers, all of them. The numbers of the functions are below. */
const FUNCTIONS = [
  ['subpy_run', address, address, address],
  ['subpy_function_call_many', handle, address, 'size_t', 'size_t', 'uint32_t', address, address],
  ['subpy_close_with', handle, address, address],
  ['subpy_object_attr', handle, address, 'size_t', 'uint32_t', address, address],
  ['subpy_object_item', handle, address, 'uint32_t', address, address],
  ['subpy_object_call', handle, address, 'size_t', address, 'size_t', address, 'uint32_t', address, address],
  ['subpy_object_iter', handle, address, address],
  ['subpy_object_next', handle, 'uint32_t', address, address, address],
  ['subpy_object_value', handle, 'uint32_t', address, address],
  ['subpy_object_text', handle, address, address],
  ['subpy_pool_new', address, address, address],
  ['subpy_pool_close', handle, address, address],
  ['subpy_pool_map', handle, address, address, 'size_t', 'size_t', 'size_t', address, address, address],
];

module.exports = {
  SIZE: 88,
  // As 32-bit numbers: whether there is a job.
  STATE: 0,
  WAITING: 0,
  WORKING: 1,
  // As 64-bit floats, in which addresses are exact: which of the functions is called, and its arguments.
  FUNCTION: 1,
  ARGUMENTS: 2,
  MOST_ARGUMENTS: 9,

  FUNCTIONS,
  RUN: 0,
  CALL_MANY: 1,
  CLOSE: 2,
  OBJECT_ATTR: 3,
  OBJECT_ITEM: 4,
  OBJECT_CALL: 5,
  OBJECT_ITER: 6,
  OBJECT_NEXT: 7,
  OBJECT_VALUE: 8,
  OBJECT_TEXT: 9,
  POOL_NEW: 10,
  POOL_CLOSE: 11,
  POOL_MAP: 12,
};
