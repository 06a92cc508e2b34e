'use strict';

// What a call costs. Prints microseconds.

const subpy = require('./subpy');

const interp = subpy.create();
interp.exec(`
    numbers = list(range(1000))
    def add(a, b): return a + b
    def take(values): return len(values)
`);
const numbers = interp.eval('numbers');

function measure(name, rounds, run) {
  for (let i = 0; i < rounds / 10; i++) run();
  const start = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) run();
  console.log(`${name}: ${(Number(process.hrtime.bigint() - start) / rounds / 1000).toFixed(2)} us`);
}

measure('a call with two ints', 20_000, () => interp.call('add', [1, 2]));
measure('a result of 1,000 ints', 5_000, () => interp.eval('numbers'));
measure('an argument of 1,000 ints', 5_000, () => interp.call('take', [numbers]));

interp.close();
subpy.shutdown();
