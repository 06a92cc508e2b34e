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

async function main() {
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
