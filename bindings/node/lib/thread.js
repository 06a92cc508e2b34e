'use strict';

// A thread of the pool. It never returns to its event loop, which would cost more than the call. Node can end it while it
// waits.

const { parentPort, workerData } = require('node:worker_threads');

const koffi = require('koffi');

const { STATE, WAITING, WORKING, FUNCTION, FUNCTIONS, ARGUMENTS } = require('./slot');

// What Python's own threads have. Only what is used takes memory.
koffi.config({ sync_stack_size: 8 << 20 });

const library = koffi.load(workerData.library);
const functions = FUNCTIONS.map(([name, ...args]) => {
  return { call: library.func(name, 'int32_t', args), end: ARGUMENTS + args.length };
});

const state = new Int32Array(workerData.slot);
const addresses = new Float64Array(workerData.slot);

parentPort.postMessage(0);
for (;;) {
  Atomics.wait(state, STATE, WAITING);
  if (Atomics.load(state, STATE) !== WORKING) continue;
  const { call, end } = functions[addresses[FUNCTION]];
  const status = call(...addresses.subarray(ARGUMENTS, end));
  // In this order: with the message comes the next job.
  Atomics.store(state, STATE, WAITING);
  parentPort.postMessage(status);
}
