'use strict';

// What a thread of the pool shares with the thread that it belongs to.

module.exports = {
  SIZE: 80,
  // As 32-bit numbers: whether there is a job.
  STATE: 0,
  WAITING: 0,
  WORKING: 1,
  // As 64-bit floats, in which addresses are exact: which of the library's functions is called, and its arguments.
  FUNCTION: 1,
  RUN: 0,
  CALL_MANY: 1,
  CLOSE: 2,
  ARGUMENTS: 2,
};
