// What the declarations promise, for tsc. Nothing here runs.

import subpy, {
  ExecutionFailed,
  ExecutionInterrupted,
  ExecutionTimeout,
  Float,
  Interpreter,
  InterpreterCrashed,
  InterpreterError,
  InterpreterNotFoundError,
  InterpreterPool,
  Keywords,
  MemoryView,
  NotShareableError,
  PreparedFunction,
  PythonError,
  PythonObject,
  PythonSyntaxError,
  Queue,
  QueueClosed,
  Tagged,
  Tuple,
  create,
  createPool,
  find,
  getCurrent,
  getMain,
  init,
  listAll,
  pool,
  pythonLibrary,
  pythonVersion,
  shutdown,
  version,
  type CreateOptions,
  type Frame,
  type HostCall,
  type PoolStats,
  type Result,
  type Value,
} from 'subpy';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | void {}

init();
init({ python: '/usr/bin/python3', useEnvironment: true, noSite: false, keepSigpipe: true });
init({ preload: ['json'], worker: '/usr/bin/worker' });
// @ts-expect-error: no such option
init({ pyhton: '' });

const options: CreateOptions = {
  gil: 'shared', busy: 'wait', path: ['lib'], integers: 'bigint', dicts: 'object', noThreads: true,
};
const interp = create(options);
is<Same<typeof interp, Interpreter>>();
create({ process: true, grace: 50, cpuLimit: 1000, locked: true, readable: ['/usr'], writable: ['/tmp'] });
is<Same<boolean, ReturnType<typeof interp.lockInfo>['seccomp']>>();
create({ process: true, locked: true, lockBestEffort: true });
// @ts-expect-error: the word is refuse
create({ busy: 'error' });

interp.exec('x = 1', { filename: 'a.py', keepIndent: true });
// @ts-expect-error: eval knows no such option
interp.eval('1', { keepIndent: true });
// @ts-expect-error: no text
interp.exec(Buffer.from('1'));

const values: Value[] = [
  null, undefined, true, 1, 2n, 'text', Buffer.of(1), new Uint8Array(1), new Float(2), Tuple.of<Value>(1, 'a'), [1, [2]],
  new Map<Value, Value>([[Tuple.of(1), { a: [1n] }]]), { nested: { deeper: new Float(1) } },
];
// @ts-expect-error: a Date is no value
values.push(new Date());
// @ts-expect-error: a function is no value
values.push({ f: () => 1 });

const any = interp.call('f', values, { key: 1 });
is<0 extends 1 & typeof any ? true : false>();
is<Same<number, ReturnType<typeof interp.call<number>>>>();
const text = interp.call<string>('f', [1], new Map([['key', 'value']]));
is<Same<typeof text, string>>();
const counts = await interp.callInThread<Map<string, number>>('f', [], null);
is<Same<typeof counts, Map<string, number>>>();
const nothing = interp.execInThread('1');
is<Same<typeof nothing, Promise<void>>>();
const late = interp.evalInThread<bigint>('1', { filename: 'x' });
is<Same<typeof late, Promise<bigint>>>();
// @ts-expect-error: positional arguments are an array
interp.call('f', 1);

const add = interp.function<number>('add');
is<Same<typeof add, PreparedFunction<number>>>();
const sum = add.call([1, 2]);
is<Same<typeof sum, number>>();
const later = add.callInThread([1, 2], { a: 1 });
is<Same<typeof later, Promise<number>>>();
const sums = add.callMany([[1, 2], [3, 4n]]);
is<Same<typeof sums, number[]>>();
is<Same<ReturnType<typeof add.callManyInThread>, Promise<(number | InterpreterError | RangeError)[]>>>();
const laterSums = add.callManyInThread([Tuple.of<Value>(1, 2)], { returnErrors: false });
is<Same<typeof laterSums, Promise<number[]>>>();
for (const outcome of add.callMany([[1, 2]], { returnErrors: true })) {
  if (outcome instanceof InterpreterError) is<Same<typeof outcome.row, number | null>>();
  else if (outcome instanceof RangeError) is<Same<typeof outcome.message, string>>();
  else is<Same<typeof outcome, number>>();
}
// @ts-expect-error: a row is an array
add.callMany([1, 2]);
// @ts-expect-error: there is no such option
add.callMany([[1, 2]], { settled: true });
add.free();
add[Symbol.dispose]();
// @ts-expect-error: only an interpreter makes them
new PreparedFunction();

interp.prepareMain({ a: 1 });
interp.prepareMain(new Map([['a', [1]]]));
const same = new Interpreter(interp.handle, { dicts: 'map' });
is<Same<typeof same.id, number>>();
is<Same<typeof same.whence, string>>();
is<Same<ReturnType<typeof same.isRunning>, boolean>>();
// @ts-expect-error: read only
same.handle = 3;
same.close();
same[Symbol.dispose]();

interp.define('f', (a: number, b: number) => a + b);
interp.define('host:f', async function (this: HostCall, value: string, { times = 1 }: Keywords = {}) {
  is<Same<typeof this.handle, number>>();
  is<Same<typeof this.cancelled, boolean>>();
  if (value === '') throw new PythonError('ValueError', 'empty', { cause: 1 });
  return [value, times];
}, { signature: '(value, *, times=1)', doc: 'Text.', callerThreadOnly: false });
interp.define('nothing', () => {});
// @ts-expect-error: a Date is no value
interp.define('f', () => new Date());
// @ts-expect-error: there is no such option
interp.define('f', () => 1, { docs: '' });
interp.setOutput((text, stream) => is<Same<typeof stream, 'stdout' | 'stderr'>>());
interp.setOutput(process.stdout);
interp.setOutput({ stdout: process.stdout, stderr: { write: (text) => text.length } });
interp.setOutput(null);
// @ts-expect-error: no stream
interp.setOutput({ stdout: process.stdout });
interp.exec('1', { timeout: 1000, signal: AbortSignal.timeout(10), output: process.stderr, filename: 'x' });
is<Same<ReturnType<typeof interp.call<number>>, number>>();
interp.call('f', [], null, { timeout: 1000 });
add.callInThread([1], null, { signal: new AbortController().signal });
// @ts-expect-error: a call has no file name
interp.call('f', [], null, { filename: 'x' });
interp.interrupt();
interp.closeWith({ timeout: 1000, drain: true });
is<Same<ReturnType<typeof interp.closeInThread>, Promise<void>>>();
create({ timeout: 1000, unbuffered: true, noStdin: true });
shutdown({ timeout: 1000, interrupt: true });

const all: Interpreter[] = [...listAll(), getMain(), getCurrent(), find(1, { integers: 'number' })];
is<Same<typeof all.length, number>>();
pool.size = 8;
// @ts-expect-error: read only
pool.threads = 8;

const object = interp.eval<PythonObject>('object()', { results: ['objects', 'arrays'] });
is<Same<ReturnType<typeof object.attr<number>>, number>>();
is<Same<ReturnType<typeof object.callMethodInThread<string>>, Promise<string>>>();
is<Same<ReturnType<typeof object.text>, string>>();
object.item(Tuple.of<Value>(1, 2), { results: 'object' });
object.value({ async: true });
interp.exec('await f()', { async: true });
for (const element of object) shown(element);
for await (const element of object.iterateInThread<bigint>()) is<Same<typeof element, bigint>>();
// @ts-expect-error: there is no such form
object.value({ results: 'numpy' });
// @ts-expect-error: exec has no result
interp.exec('1', { results: 'object' });
// @ts-expect-error: only runs make them
new PythonObject();

const memory = new MemoryView(new Float64Array(2), { shape: [1, 2], writable: true, onRelease: () => {} });
is<Same<typeof memory.shape, number[]>>();
memory.array?.at(0);
MemoryView.allocate(8, { format: 'd' }).free();
values.push(memory, object, new Set([1]), new Tagged('date', '2026-02-28'));
// @ts-expect-error: there is no such tag
new Tagged('day', '2026-02-28');

const queue = new Queue<number>({ capacity: 2, integers: 'number' });
is<Same<ReturnType<typeof queue.get>, Promise<number>>>();
queue.put([1], { timeout: 10, signal: AbortSignal.timeout(10) }).then(() => queue.close());
for await (const item of queue) is<Same<typeof item, number>>();
// @ts-expect-error: a Date is no value
queue.putNowait(new Date());
values.push(Queue.from(queue.handle));

const workers = await createPool({
  workers: 2, setup: 'import json', functions: { double: (a: number) => 2 * a, 'm:f': [() => 1, { doc: 'One.' }] },
  memoryLimit: 1 << 30, output: process.stderr,
});
is<Same<typeof workers, InterpreterPool>>();
is<Same<ReturnType<typeof workers.call<number>>, Promise<number>>>();
workers.exec('1', { timeout: 1, submitter: 2, abandon: true });
for await (const one of workers.map<number>('f', [[1], [2]])) is<Same<typeof one, number>>();
for await (const one of workers.map<number>('f', [[1]], { returnErrors: true, ahead: 2, kwargs: { a: 1 } })) {
  if (!(one instanceof Error)) is<Same<typeof one, number>>();
}
// @ts-expect-error: a row is an array
workers.map('f', [1]);
is<Same<ReturnType<typeof workers.stats>, PoolStats>>();
is<Same<ReturnType<typeof workers.close>, Promise<void>>>();
is<Same<ReturnType<typeof interp.memory>['used'], number>>();

function shown(result: Result): string {
  if (result === null || typeof result !== 'object') return String(result);
  if (Buffer.isBuffer(result)) return result.toString('hex');
  if (result instanceof Tagged || result instanceof PythonObject) return result.toString();
  if (result instanceof MemoryView) return result.format;
  if (result instanceof Queue) return String(result.size);
  if (result instanceof Set) return [...result].map(shown).join();
  if (result instanceof Map) return [...result].map(([key, value]) => `${shown(key)}: ${shown(value)}`).join();
  if (Array.isArray(result)) return result.map(shown).join();
  return Object.entries(result).map(([key, value]) => `${key}: ${shown(value)}`).join();
}
shown(interp.eval('1'));

try {
  interp.exec('1 / 0');
} catch (error) {
  if (error instanceof ExecutionTimeout || error instanceof ExecutionInterrupted) {
    is<Same<typeof error.cause, unknown>>();
  } else if (error instanceof ExecutionFailed) {
    const frame: Frame | undefined = error.frames[0];
    is<Same<typeof error.exitStatus, number | null>>();
    is<Same<typeof error.excinfo.type.qualname, string>>();
    if (frame) is<Same<typeof frame.source, string | null>>();
  } else if (error instanceof PythonSyntaxError) {
    is<Same<typeof error.text, string | null>>();
    is<Same<typeof error.column, number>>();
  } else if (error instanceof InterpreterCrashed) {
    is<Same<typeof error.signal | typeof error.exitCode, number | null>>();
    is<Same<typeof error.traceback, string>>();
  } else if (error instanceof QueueClosed) {
    is<Same<typeof error.code, string>>();
  } else if (error instanceof NotShareableError || error instanceof InterpreterNotFoundError) {
    is<Same<typeof error.handle, number>>();
  } else if (error instanceof InterpreterError) {
    is<Same<typeof error.code, string>>();
    is<Same<typeof error.status, number>>();
  }
}

is<Same<ReturnType<typeof pythonVersion>, string | null>>();
is<Same<ReturnType<typeof pythonLibrary>, string | null>>();
is<Same<ReturnType<typeof version>, string>>();
is<Same<typeof subpy.create, typeof create>>();
subpy.shutdown();
shutdown();
