import subpy = require('subpy');

const interp: subpy.Interpreter = subpy.create({ dicts: 'object' });
const counts = interp.call<Record<string, number>>('count', ['to be'], { least: 2 });
const total: number = Object.values(counts).reduce((sum, n) => sum + n, 0);
interp.prepareMain({ total });
// @ts-expect-error: there is no such function
subpy.open();
