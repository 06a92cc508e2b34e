'use strict';

// A thread of the pool. It never returns to its event loop, which would cost more than the call. Node can end it while it
// waits.

const { parentPort, workerData } = require('node:worker_threads');

const koffi = require('koffi');

const { STATE, WAITING, WORKING, REQUEST, RESULT, ERROR } = require('./slot');

// What Python's own threads have. Only what is used takes memory.
koffi.config({ sync_stack_size: 8 << 20 });

const address = 'uintptr_t';
const run = koffi.load(workerData.library).func('subpy_run', 'int32_t', [address, address, address]);

const state = new Int32Array(workerData.slot);
const addresses = new Float64Array(workerData.slot);

parentPort.postMessage(0);
for (;;) {
  Atomics.wait(state, STATE, WAITING);
  if (Atomics.load(state, STATE) !== WORKING) continue;
  const status = run(addresses[REQUEST], addresses[RESULT], addresses[ERROR]);
  // In this order: with the message comes the next job.
  Atomics.store(state, STATE, WAITING);
  parentPort.postMessage(status);
}
