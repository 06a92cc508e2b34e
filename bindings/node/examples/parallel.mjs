// Four interpreters count primes at the same time, and Node goes on meanwhile.

import * as subpy from 'subpy';

const PRIMES = `
    def primes(first, last):
        return sum(all(n % k for k in range(2, int(n ** 0.5) + 1)) for n in range(max(first, 2), last))
`;

const interps = Array.from({ length: 4 }, () => subpy.create());
for (const interp of interps) interp.exec(PRIMES);

let ticks = 0;
const timer = setInterval(() => (ticks += 1), 1);
const parts = await Promise.all(
  interps.map((interp, i) => interp.callInThread('primes', [i * 25_000, (i + 1) * 25_000])),
);
clearInterval(timer);

console.log(parts.join(' + '), '=', parts.reduce((sum, part) => sum + part));
console.log(ticks > 0 ? 'the event loop ran' : 'the event loop stood still');
subpy.shutdown();
