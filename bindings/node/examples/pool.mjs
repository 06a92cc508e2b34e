// A pool of interpreters counts words: of each line of a list, and of what comes through a queue.

import * as subpy from 'subpy';

const pool = await subpy.createPool({
  workers: 2,
  setup: `
    def count(line):
        return len(line.split())

    def serve(lines, counts):
        for line in lines:  # until it is closed
            counts.put(count(line))
        counts.close()
  `,
});
const lines = ['to be or not to be', 'that is the question', 'whether tis nobler in the mind'];

for await (const words of pool.map('count', lines.map((line) => [line]))) console.log(words);

const [texts, counts] = [new subpy.Queue({ capacity: 2 }), new subpy.Queue({ capacity: 2 })];
const served = pool.call('serve', [texts, counts]);
const put = (async () => {
  for (const line of lines) await texts.put(line); // waits while there are two in it
  texts.close();
})();
let all = 0;
for await (const words of counts) all += words;
await Promise.all([served, put]);
console.log(`${all} words`);

await pool.close();
subpy.shutdown();
