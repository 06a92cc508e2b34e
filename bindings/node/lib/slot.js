'use strict';

// What a thread of the pool shares with the thread that it belongs to.

module.exports = {
  SIZE: 32,
  // As 32-bit numbers: whether there is a job.
  STATE: 0,
  WAITING: 0,
  WORKING: 1,
  // As 64-bit floats, in which addresses are exact: what the job is.
  REQUEST: 1,
  RESULT: 2,
  ERROR: 3,
};
