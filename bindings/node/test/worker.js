'use strict';

// A worker thread that uses interpreters of its own, and one that its parent created.

const { parentPort, workerData } = require('node:worker_threads');

const subpy = require('subpy');

const { handle, index, sleep } = workerData;
const own = subpy.create();

if (sleep) {
  own.execInThread(`import time; time.sleep(${sleep})`);
  parentPort.postMessage(own.handle);
} else {
  const shared = new subpy.Interpreter(handle);
  for (let i = 0; i < 10; i++) shared.exec(`met.append(${index})`);
  let error;
  try {
    own.eval('1 / 0');
  } catch (failure) {
    error = failure.excinfo.type.name;
  }
  parentPort.postMessage({ index, own: own.eval(`${index} ** 2`), error });
  own.close();
}
