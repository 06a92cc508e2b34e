import * as subpy from 'subpy';

const interp = subpy.create({ dicts: 'object' });
interp.exec(`
    import collections

    def count(text, *, least=1):
        words = collections.Counter(text.split())
        return {word: n for word, n in words.items() if n >= least}
`);

const counts = interp.call('count', ['to be or not to be'], { least: 2 });
for (const word in counts) console.log(`${word}: ${counts[word]}`);

try {
  await interp.execInThread('count(42)');
} catch (error) {
  if (!(error instanceof subpy.ExecutionFailed)) throw error;
  console.log(error.excinfo.errdisplay);
}

interp.close();
subpy.shutdown();
