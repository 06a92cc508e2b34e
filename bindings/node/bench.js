'use strict';

// What a call costs, in microseconds that pass and in those that the processors spend on it.

const subpy = require('subpy');

const interps = Array.from({ length: 8 }, () => subpy.create());
for (const interp of interps) {
  interp.exec(`
    import time
    numbers = list(range(1000))
    def add(a, b): return a + b
    def take(values): return len(values)
  `);
}
const [interp] = interps;
const numbers = interp.eval('numbers');
const add = interp.function('add');
const rows = Array.from({ length: 100 }, (_, i) => [i, 2]);

async function measure(name, rounds, run, each = 1) {
  for (let i = 0; i < rounds / 10; i++) await run();
  const before = process.cpuUsage();
  const start = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) {
    const result = run();
    if (result instanceof Promise) await result;
  }
  const elapsed = Number(process.hrtime.bigint() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  show(name, elapsed / rounds / each, (user + system) / rounds / each);
}

function show(name, elapsed, cpu) {
  console.log(`${name}: ${elapsed.toFixed(2)} us, ${cpu.toFixed(2)} us of CPU`);
}

/** Objects, memory, queues, pools. */
async function data() {
  const object = interp.eval('numbers', { results: 'object' });
  await measure('an item of an object', 20_000, () => object.item(5));
  await measure('a method of an object', 20_000, () => object.callMethod('index', [5]));
  const memory = new subpy.MemoryView(new Uint8Array(100 << 20));
  await measure('an argument of 100 MiB, shared', 5000, () => interp.call('take', [memory]));
  interp.exec('large = bytearray(100 << 20)');
  await measure('a result of 100 MiB, shared', 2000, () => interp.eval('large', { results: 'buffers' }).free());
  interp.exec('floats = [i / 2 for i in range(100_000)]');
  await measure('a list of 100,000 floats', 20, () => interp.eval('floats'));
  await measure('the same as an array', 100, () => interp.eval('floats', { results: 'arrays' }).free());
  await queues();
  await pools();
}

/** Queues: into one and out of it here, and through an interpreter, which waits for each item. */
async function queues() {
  const queue = new subpy.Queue();
  await measure('an item through a queue, put and got here', 20_000, () => {
    queue.putNowait(1);
    return queue.getNowait();
  });
  const [there, back] = [new subpy.Queue(), new subpy.Queue()];
  const echo = interp.execInThread('import subpy_queues') // not part of what is measured
    .then(() => interp.exec('def echo(there, back):\n  for item in there: back.put(item)'))
    .then(() => interp.callInThread('echo', [there, back]));
  await measure('to an interpreter and back by queues', 5000, async () => {
    await there.put(1);
    return back.get();
  });
  there.close();
  await echo;
}

async function pools() {
  const pool = await subpy.createPool({ workers: 2, setup: 'def add(a, b): return a + b' });
  await measure('a task of a pool', 5000, () => pool.call('add', [1, 2]));
  const many = Array.from({ length: 100 }, (_, i) => [i, 2]);
  await measure('a task of 100 at the same time', 200, () => Promise.all(many.map((args) => pool.call('add', args))), 100);
  await measure('a row of 100 of map()', 200, async () => {
    for await (const sum of pool.map('add', many)) if (sum < 0) break;
  }, 100);
  const rows = Array.from({ length: 10_000 }, (_, i) => [i, 2]);
  await measure('a row of 10,000 of map() in chunks of 100', 10, async () => {
    for await (const sum of pool.map('add', rows, { chunk: 100 })) if (sum < 0) break;
  }, 10_000);
  await pool.close();
}

async function main() {
  if (process.argv[2] === 'data') {
    await data();
    return;
  }
  await measure('a call with two ints', 20_000, () => interp.call('add', [1, 2]));
  await measure('the same of a prepared function', 20_000, () => add.call([1, 2]));
  await measure('a row of 100 of callMany()', 5_000, () => add.callMany(rows), rows.length);
  await measure('a row of 100 of callManyInThread()', 2_000, () => add.callManyInThread(rows), rows.length);
  await measure('a result of 1,000 ints', 5_000, () => interp.eval('numbers'));
  await measure('an argument of 1,000 ints', 5_000, () => interp.call('take', [numbers]));
  await measure('a call as a promise', 5_000, () => interp.callInThread('add', [1, 2]));
  subpy.pool.size = 8;
  const each = 2_000;
  const all = async () => {
    await Promise.all(interps.map(async (one) => {
      for (let i = 0; i < each; i++) await one.callInThread('add', [1, 2]);
    }));
  };
  await all();
  const before = process.cpuUsage();
  const start = process.hrtime.bigint();
  await all();
  const elapsed = Number(process.hrtime.bigint() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const calls = each * interps.length;
  show('calls of 8 interpreters as promises', elapsed / calls, (user + system) / calls);

  let [worst, last] = [0, performance.now()];
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last);
    last = now;
  }, 1);
  const slept = performance.now();
  await Promise.all(interps.map((one) => one.callInThread('time:sleep', [0.2])));
  clearInterval(timer);
  console.log(`8 sleeps of 200 ms at once: ${(performance.now() - slept).toFixed(0)} ms`);
  console.log(`a timer of 1 ms came after ${worst.toFixed(0)} ms at most meanwhile`);
  subpy.shutdown();
}

main();
