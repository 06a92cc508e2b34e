'use strict';

// Objects that stay in Python, memory that is shared, tagged values, and how much memory an interpreter uses.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { after, test } = require('node:test');
const { Worker } = require('node:worker_threads');
const v8 = require('node:v8');
const vm = require('node:vm');

const subpy = require('subpy');

const interp = subpy.create({ busy: 'wait' });
after(() => {
  interp.close();
  subpy.shutdown();
});

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

/** Collects garbage until something is so. */
async function collected(done) {
  for (let round = 0; round < 200 && !done(); round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(done());
}

const thrown = (Class, run) => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Class, error.stack);
    return error;
  }
  return assert.fail('nothing was thrown');
};

// ---- objects

test('an object stays in Python', async () => {
  interp.exec(`
    import collections
    class Model:
        version = 3
        def __init__(self, factor): self.factor = factor
        def __call__(self, x, *, plus=0): return x * self.factor + plus
        def predict(self, x, *, plus=0): return self(x, plus=plus)
        def __getitem__(self, key): return (key, self.factor)
        def __iter__(self):
            for i in range(3): yield i * self.factor
        def __str__(self): return f'a model of {self.factor}'
        def same(self, other): return self is other
        def fail(self): raise KeyError('no')
  `);
  const model = interp.eval('Model(2)', { results: 'object' });
  assert.ok(model instanceof subpy.PythonObject);
  assert.equal(model.interp, interp.handle);
  assert.equal(model.attr('version'), 3);
  assert.equal(model.call([4], { plus: 1 }), 9);
  assert.equal(model.callMethod('predict', [4]), 8);
  assert.equal(model.callMethod('predict', [4], { plus: 2 }), 10);
  assert.deepEqual(model.item('key'), subpy.Tuple.of('key', 2));
  assert.equal(model.text(), 'a model of 2');
  assert.equal(`${model}`, 'a model of 2');
  assert.deepEqual([...model], [0, 2, 4]);
  assert.deepEqual(model.callMany([[1], [2]]), [2, 4]);
  assert.equal(model.callMethod('same', [model]), true);
  assert.deepEqual(interp.call('builtins:len', [[model, { model }]]), 2);
  assert.equal(thrown(subpy.ExecutionFailed, () => model.callMethod('fail')).excinfo.msg, "'no'");
  assert.equal(thrown(subpy.ExecutionFailed, () => model.attr('none')).excinfo.type.name, 'AttributeError');
  assert.match(thrown(subpy.NotShareableError, () => model.value()).message, /Model/);

  assert.equal(await model.attrInThread('version'), 3);
  assert.equal(await model.callInThread([4], { plus: 1 }), 9);
  assert.equal(await model.callMethodInThread('predict', [4], { plus: 2 }), 10);
  assert.deepEqual(await model.itemInThread(1), subpy.Tuple.of(1, 2));
  assert.equal(await model.textInThread(), 'a model of 2');
  const elements = [];
  for await (const element of model) elements.push(element);
  assert.deepEqual(elements, [0, 2, 4]);
  await assert.rejects(model.valueInThread(), subpy.NotShareableError);

  const factor = model.attr('factor', { results: 'object' });
  assert.equal(factor.value(), 2);
  assert.equal(await factor.valueInThread(), 2);
  assert.deepEqual(interp.function('Model').attr('__name__'), 'Model');

  model.free();
  model.free();
  for (const use of [() => model.text(), () => model.call([1]), () => interp.call('builtins:str', [model]), () => [...model]]) {
    thrown(subpy.InterpreterNotFoundError, use);
  }
  await assert.rejects(model.textInThread(), subpy.InterpreterNotFoundError);
});

test('what a result has no value for is an object in it', () => {
  const [one, { k: two }] = subpy.find(interp.id, { dicts: 'object' }).eval('[range(3), {"k": range(4)}]', { results: 'objects' });
  assert.equal(one.text(), 'range(0, 3)');
  assert.equal(two.callMethod('__len__'), 4);
  assert.equal(interp.eval('7', { results: 'objects' }), 7);
  assert.equal(interp.eval('None', { results: 'object' }).text(), 'None');
  assert.deepEqual(interp.call('builtins:list', [one]), [0, 1, 2]);
  assert.throws(() => interp.eval('1', { results: 'numpy' }), /^TypeError: results: numpy is not one of object/);
  assert.throws(() => interp.exec('1', { results: 'object' }), /^TypeError: options: results is not one of/);
  assert.throws(() => new subpy.PythonObject(), TypeError);
});

test('an object belongs to its interpreter', async () => {
  const one = subpy.create();
  const object = one.eval('object()', { results: 'object' });
  thrown(subpy.NotShareableError, () => interp.call('builtins:str', [object]));
  await assert.rejects(interp.callInThread('builtins:str', [[object]]), subpy.NotShareableError);
  one.close();
  thrown(subpy.InterpreterNotFoundError, () => object.text());
  object.free();
});

test('a generator runs as far as its elements are wanted', async () => {
  interp.exec(`
    log = []
    def numbers():
        try:
            for i in range(10):
                log.append(i)
                yield i
        finally:
            log.append('end')
    def fails():
        yield 1
        raise ValueError('later')
    def strange():
        yield object()
        yield 2
  `);
  const generator = interp.call('numbers', [], null, { results: 'object' });
  for (const element of generator) if (element === 2) break;
  generator.free();
  interp.exec('1'); // to have it go
  assert.deepEqual(interp.eval('log'), [0, 1, 2, 'end']);
  const elements = [];
  const failing = interp.call('fails', [], null, { results: 'object' });
  assert.throws(() => {
    for (const element of failing) elements.push(element);
  }, /later/);
  assert.deepEqual(elements, [1]);
  const strange = interp.call('strange', [], null, { results: 'object' }).iterate();
  assert.throws(() => strange.next(), subpy.NotShareableError);
  const [object, two] = interp.call('strange', [], null, { results: 'object' }).iterate({ results: 'objects' });
  assert.ok(object instanceof subpy.PythonObject);
  assert.equal(two, 2);
  assert.throws(() => [...interp.eval('7', { results: 'object' })], /not iterable/);
});

test('limits of what is done with an object', async () => {
  interp.exec('import time\nclass Slow:\n  def spin(self):\n    while True: pass\n  __call__ = spin');
  const slow = interp.eval('Slow()', { results: 'object' });
  thrown(subpy.ExecutionTimeout, () => slow.call([], null, { timeout: 20 }));
  thrown(subpy.ExecutionTimeout, () => slow.callMethod('spin', [], null, { timeout: 20 }));
  await assert.rejects(slow.callMethodInThread('spin', [], null, { signal: AbortSignal.timeout(20) }), { name: 'AbortError' });
});

test('an object is used by a function that Python calls, on whatever thread', async () => {
  const one = subpy.create();
  one.exec('class Box:\n  n = 1\n  def add(self, m): self.n += m; return self.n\nbox = Box()');
  const box = one.eval('box', { results: 'object' });
  one.define('use', () => [box.attr('n'), box.callMethod('add', [2]), [...one.eval('range(2)', { results: 'object' })], box]);
  for (const result of [one.eval('use()[:3]'), await one.evalInThread('use()[:3]')]) {
    assert.deepEqual(result.slice(1), [result[0] + 2, [0, 1]]);
  }
  assert.equal(await one.evalInThread('use()[3] is box'), true);
  const abs = one.function('builtins:abs');
  one.define('many', () => abs.callMany([[-1], [2]]));
  assert.deepEqual([one.eval('many()'), await one.evalInThread('many()')], [[1, 2], [1, 2]]);
  one.close();
});

test('coroutines are awaited', async () => {
  interp.exec(`
    import asyncio
    async def later(x, seconds=0):
        await asyncio.sleep(seconds)
        return x + 1
    class Client:
        async def fetch(self, x): return await later(x)
  `);
  assert.equal(interp.call('later', [1], null, { async: true }), 2);
  assert.equal(await interp.callInThread('later', [2], null, { async: true }), 3);
  assert.equal(interp.eval('await later(3)', { async: true }), 4);
  interp.exec('four = await later(3)', { async: true });
  assert.equal(interp.eval('four', { async: true }), 4);
  const client = interp.eval('Client()', { results: 'object' });
  assert.equal(client.callMethod('fetch', [4], null, { async: true }), 5);
  assert.equal(await client.callMethodInThread('fetch', [5], null, { async: true, timeout: 10_000 }), 6);
  const coroutine = client.callMethod('fetch', [6], null, { results: 'object' });
  assert.equal(coroutine.value({ async: true }), 7);
  await assert.rejects(
    interp.callInThread('later', [1, 100], null, { async: true, signal: AbortSignal.timeout(20) }), { name: 'AbortError' },
  );
  const pool = await subpy.createPool({ workers: 1, setup: 'async def f(x): return x' });
  assert.equal(await pool.call('f', [7], null, { async: true }), 7);
  await pool.exec('await f(1)', { async: true });
  await pool.close();
  assert.throws(() => interp.call('later', [1]), subpy.NotShareableError);
});

test('objects go back', async () => {
  interp.exec('alive = 0\nclass Counted:\n  def __init__(self):\n    global alive\n    alive += 1\n  def __del__(self):\n    global alive\n    alive -= 1');
  for (let i = 0; i < 2000; i++) {
    interp.eval('Counted()', { results: 'object' });
    interp.eval('[Counted(), Counted()]', { results: 'objects' });
  }
  const begin = () => interp.eval('(n for n in [Counted()])', { results: 'object' }).iterate({ results: 'objects' }).next();
  for (let i = 0; i < 100; i++) begin(); // and never end
  await collected(() => interp.eval('alive') === 0);
  const kept = interp.eval('Counted()', { results: 'object' });
  const calls = Array.from({ length: 8 }, () => kept.callMethodInThread('__init__'));
  kept.free();
  await Promise.all(calls);
  await collected(() => interp.eval('alive') === 8);
});

// ---- memory

test('memory of JS is a memoryview', async () => {
  interp.exec(`
    def look(view): return view.format, view.itemsize, view.shape, view.readonly, view.tolist()
    def fill(view):
        for i in range(len(view)): view[i] = i + 1
    def keep(view):
        global kept
        kept = view
  `);
  const released = [];
  const passed = (source, options) => {
    const view = new subpy.MemoryView(source, { ...options, onRelease: () => released.push(1) });
    return interp.call('look', [view]);
  };
  const { Tuple } = subpy;
  assert.deepEqual(passed(new Float64Array([1, 2.5])), Tuple.of('d', 8, Tuple.of(2), true, [1, 2.5]));
  assert.deepEqual(passed(new Int16Array([1, -2])), Tuple.of('h', 2, Tuple.of(2), true, [1, -2]));
  assert.deepEqual(passed(Buffer.from('ab')), Tuple.of('B', 1, Tuple.of(2), true, [97, 98]));
  assert.deepEqual(passed(new BigInt64Array([1n])), Tuple.of('q', 8, Tuple.of(1), true, [1]));
  assert.deepEqual(passed(new SharedArrayBuffer(2)), Tuple.of('B', 1, Tuple.of(2), true, [0, 0]));
  assert.deepEqual(passed(new Uint8Array(0)), Tuple.of('B', 1, Tuple.of(0), true, []));
  const grid = new Uint8Array([1, 2, 3, 4, 5, 6]);
  assert.deepEqual(passed(grid, { shape: [2, 3] }), Tuple.of('B', 1, Tuple.of(2, 3), true, [[1, 2, 3], [4, 5, 6]]));
  assert.deepEqual(passed(grid, { shape: [3], strides: [2] }), Tuple.of('B', 1, Tuple.of(3), true, [1, 3, 5]));
  assert.deepEqual(passed(Buffer.alloc(8), { format: 'i' }), Tuple.of('i', 4, Tuple.of(2), true, [0, 0]));
  await collected(() => released.length === 9);

  const numbers = new Int32Array(3);
  interp.call('fill', [new subpy.MemoryView(numbers, { writable: true })]);
  assert.deepEqual([...numbers], [1, 2, 3]);
  await interp.callInThread('fill', [new subpy.MemoryView(numbers.subarray(1), { writable: true })]);
  assert.deepEqual([...numbers], [1, 1, 2]);
  thrown(subpy.ExecutionFailed, () => interp.call('fill', [new subpy.MemoryView(numbers)]));

  // Kept by Python alone.
  let told = 0;
  (() => interp.call('keep', [new subpy.MemoryView(Buffer.alloc(1 << 20, 7), { onRelease: () => (told += 1) })]))();
  gc();
  assert.equal(interp.eval('kept[0] + kept[-1]'), 14);
  assert.equal(told, 0);
  interp.exec('del kept');
  await collected(() => told === 1);
});

test('memory that does not fit is refused, and released', async () => {
  let told = 0;
  const refused = (options, message) => assert.throws(() => {
    interp.call('look', [new subpy.MemoryView(Buffer.alloc(8), { ...options, onRelease: () => (told += 1) })]);
  }, message);
  refused({ shape: [9] }, subpy.InterpreterError);
  refused({ shape: [2, -1] }, subpy.InterpreterError);
  refused({ format: 'T{i:x:}' }, /^TypeError: itemsize: is missing/);
  refused({ shape: 8 }, /^TypeError: shape/);
  refused({ shape: [4], strides: [] }, /^TypeError: strides/);
  refused({ length: 1 }, /^TypeError: options: length is not one of/);
  assert.throws(() => new subpy.MemoryView('text'), /^TypeError: memory: /);
  assert.throws(() => new subpy.MemoryView(new ArrayBuffer(8, { maxByteLength: 16 })), /^TypeError: memory that can shrink/);
  // Nothing was taken over, nor is it when another argument has no value.
  assert.throws(() => interp.call('look', [new subpy.MemoryView(Buffer.alloc(1), { onRelease: () => (told += 1) }), Symbol()]));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(told, 0);
  const buffer = new ArrayBuffer(8);
  const view = new subpy.MemoryView(buffer);
  try {
    structuredClone(buffer, { transfer: [buffer] });
  } catch {
    // Newer versions of Node say so.
  }
  assert.equal(buffer.byteLength, 8);
  assert.equal(interp.call('look', [view])[4].length, 8);
});

test('memory that is lent for a call', async () => {
  let told = 0;
  const lent = () => new subpy.MemoryView(Buffer.from('abc'), { lent: true, onRelease: () => (told += 1) });
  assert.equal(interp.call('look', [lent()])[4].length, 3);
  await collected(() => told === 1);
  interp.exec('def slice(view):\n  global kept\n  kept = view[1:]\ndef hold(view):\n  global whole\n  whole = view');
  assert.equal(thrown(subpy.InterpreterError, () => interp.call('slice', [lent()])).code, 'SUBPY_ERROR_BUSY');
  assert.equal(interp.eval('bytes(kept)').toString(), 'bc');
  interp.call('hold', [lent()]);
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.eval('whole[0]')).excinfo.type.name, 'ValueError');
  interp.exec('del kept');
  await collected(() => told === 3);
});

test('memory of Python in results', async () => {
  interp.exec('import array\ndata = bytearray(100_000)\nnumbers = array.array("d", range(10_000))');
  const view = interp.eval('data', { results: 'buffers' });
  assert.deepEqual([view.format, view.itemsize, view.shape, view.readonly], ['B', 1, [100_000], false]);
  view.bytes[99_999] = 5;
  assert.equal(interp.eval('data[-1]'), 5);
  interp.exec('data[0] = 6');
  assert.equal(view.array[0], 6);
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('data.clear()')).excinfo.type.name, 'BufferError');
  const { bytes, array } = view;
  view.free();
  view.free();
  assert.deepEqual([bytes.length, array.length, view.nbytes], [0, 0, 0]);
  thrown(TypeError, () => interp.call('look', [view]));
  for (let i = 0; i < 100 && interp.eval('len(data)') > 0; i++) {
    try {
      interp.exec('data.clear()');
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5)); // Node gives the memory back a little later
    }
  }
  assert.equal(interp.eval('len(data)'), 0);

  const { array: doubles } = await interp.evalInThread('numbers', { results: 'buffers' });
  assert.ok(doubles instanceof Float64Array);
  assert.equal(doubles.reduce((a, b) => a + b), 49_995_000);
  const [list, text, small] = interp.eval('[[i / 2 for i in range(1000)], "x", [1, 2]]', { results: ['arrays', 'objects'] });
  assert.deepEqual([list.format, list.array[999], text, [...small.array]], ['d', 499.5, 'x', [1n, 2n]]);
  const [one, two] = interp.eval('[numbers, numbers]', { results: 'buffers' });
  one.free();
  assert.equal(two.array[1], 1);
  assert.equal(interp.eval('b""', { results: 'buffers' }).nbytes, 0);
  assert.deepEqual(interp.eval('memoryview(b"abcdef").cast("B", (2, 3))', { results: 'buffers' }).shape, [2, 3]);

  // It may go to another interpreter, and be freed here meanwhile.
  const other = subpy.create();
  other.exec('def keep(view):\n  global kept\n  kept = view');
  other.call('keep', [two]);
  two.free();
  assert.equal(other.eval('kept[9_999]'), 9999);
  const last = other.eval('bytes(100_000)', { results: 'buffers' });
  other.close();
  assert.equal(last.bytes[99_999], 0);
});

test('a GiB goes in and comes out without a copy', async () => {
  const one = subpy.create();
  one.exec('large = bytearray(1 << 30)\ndef ends(view):\n  view[-1] = 7\n  return len(view), view[0]');
  const source = new Uint8Array(1 << 30);
  const before = process.memoryUsage().rss;
  assert.deepEqual(one.call('ends', [new subpy.MemoryView(source, { writable: true })]), subpy.Tuple.of(1 << 30, 0));
  const view = await one.evalInThread('large', { results: 'buffers' });
  view.array[view.nbytes - 1] = 7;
  assert.equal(one.eval('large[-1]') + source.at(-1), 14);
  assert.ok(process.memoryUsage().rss - before < 64 << 20);
  view.free();
  one.close();
});

test('shared memory goes back', async () => {
  const one = subpy.create();
  one.exec('import array');
  for (let i = 0; i < 100; i++) {
    one.eval('array.array("d", bytes(1 << 20))', { results: 'buffers' });
    one.call('builtins:len', [subpy.MemoryView.allocate(1 << 20)]);
    one.call('builtins:len', [new subpy.MemoryView(new Uint8Array(1 << 20))]);
  }
  gc();
  await new Promise((resolve) => setTimeout(resolve, 50));
  one.exec('1');
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 300; i++) {
    one.eval('array.array("d", bytes(1 << 20))', { results: 'buffers' });
    one.call('builtins:len', [subpy.MemoryView.allocate(1 << 20)]);
    one.call('builtins:len', [new subpy.MemoryView(new Uint8Array(1 << 20))]);
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await collected(() => {
    one.exec('1');
    return process.memoryUsage().rss - before < 300 << 20; // of 900 MiB
  });
  one.close();
});

test('memory outside of JS is shared in workers', async () => {
  const view = subpy.MemoryView.allocate(16, { format: 'd', writable: true });
  interp.call('fill', [view]);
  assert.deepEqual([...view.array], [1, 2]);
  view.free();
  thrown(TypeError, () => interp.call('look', [view]));
  const worker = new Worker(`
    const subpy = require('subpy');
    const { workerData, parentPort } = require('node:worker_threads');
    const interp = new subpy.Interpreter(workerData);
    let refused;
    try {
      new subpy.MemoryView(new Uint8Array(8));
    } catch (error) {
      refused = error.message;
    }
    const view = subpy.MemoryView.allocate(8, { format: 'd' });
    view.array[0] = 1.5;
    interp.call('keep', [view]);
    const { array } = interp.eval('bytes(5000)', { results: 'buffers' });
    parentPort.postMessage([refused, array.length]);
  `, { eval: true, workerData: interp.handle });
  const [refused, length] = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  await worker.terminate();
  gc();
  assert.match(refused, /MemoryView.allocate/);
  assert.equal(length, 5000);
  assert.equal(interp.eval('kept[0]'), 1.5);
  interp.exec('del kept');
});

test('memory is shared with an interpreter in a process', () => {
  const there = subpy.create({ process: true });
  there.exec('def fill(view):\n  global filled\n  filled = view\n  view[1] = 2.5\ndef look(view): return view.tolist()');
  const view = subpy.MemoryView.allocate(100_000, { shared: true, format: 'd', writable: true });
  there.call('fill', [view]);
  const back = there.eval('filled', { results: 'buffers' });
  assert.equal(view.array[1], 2.5);
  view.array[2] = 7;
  assert.equal(back.array[2], 7);
  assert.deepEqual(there.call('look', [new subpy.MemoryView(new Uint8Array([1, 2]))]), [1, 2]);
  assert.throws(() => there.call('look', [new subpy.MemoryView(new Uint8Array(8), { writable: true })]), /subpy_buffer_new/);
  thrown(TypeError, () => subpy.MemoryView.allocate(1, { shared: 1 }));
  view.free();
  back.free();
  there.close();
});

test('a program can end while Python uses memory of JS', () => {
  const source = (end) => `
    const subpy = require('subpy');
    const interp = subpy.create({ allowDaemonThreads: true });
    interp.exec(\`
      import threading
      def read(view):
          def loop():
              while True: bytes(view)
          threading.Thread(target=loop, daemon=True).start()
    \`);
    interp.call('read', [new subpy.MemoryView(new Uint8Array(64 << 20).fill(1))]);
    interp.call('read', [subpy.MemoryView.allocate(64 << 20)]);
    process.on('exit', () => {
      console.log('end');
      process.exitCode = 3;
    });
    setTimeout(() => ${end}, 20);
  `;
  for (const end of ['1', 'process.exit()', 'process.exit(3)', 'process.on("exit", () => console.log("late"))']) {
    const { status, stdout, signal } = spawnSync(process.execPath, ['-e', source(end)], {
      encoding: 'utf8', timeout: 60_000, cwd: path.dirname(__dirname),
    });
    assert.deepEqual([status, stdout, signal], [3, end.includes('late') ? 'end\nlate\n' : 'end\n', null], end);
  }
});

// ---- tagged values

test('tagged values', () => {
  const one = subpy.create({ taggedValues: true });
  one.exec('import datetime, decimal, enum\nclass Color(enum.Enum):\n  RED = 1\ndef echo(x): return x\ndef show(x): return repr(x)');
  const date = one.eval('datetime.date(2026, 2, 28)');
  assert.deepEqual([date.tag, date.value, `${date}`], ['date', '2026-02-28', '2026-02-28']);
  assert.deepEqual(one.call('echo', [date]), date);
  assert.deepEqual(one.call('echo', [new Set([1, 'a'])]), new Set([1, 'a']));
  assert.equal(one.call('show', [new subpy.Tagged('decimal', '1.50')]), "Decimal('1.50')");
  assert.equal(one.call('show', [new subpy.Tagged('complex', subpy.Tuple.of(new subpy.Float(1), 2.5))]), '(1+2.5j)');
  assert.equal(one.call('show', [[new subpy.Tagged('frozenset', subpy.Tuple.of(1))]]), '[frozenset({1})]');
  assert.deepEqual(one.eval('Color.RED').value, subpy.Tuple.of('__main__:Color', 'RED', 1));
  // As arguments in any interpreter, and of host functions.
  assert.equal(interp.call('builtins:repr', [new Set([1])]), '{1}');
  const seen = [];
  one.define('host_echo', (x) => {
    seen.push(x);
    return x;
  });
  assert.deepEqual(one.eval('host_echo({1: {2}, "d": datetime.date(2026, 1, 2)})').get(1), new Set([2]));
  assert.deepEqual(seen[0].get('d'), new subpy.Tagged('date', '2026-01-02'));
  thrown(subpy.NotShareableError, () => interp.eval('{1}'));
  assert.throws(() => new subpy.Tagged('day', 'x'), /^TypeError: tag: day is not one of set, frozenset/);
  assert.throws(() => one.call('echo', [new subpy.Tagged('date', 7)]), /^TypeError: args\[0\]: a date of this/);
  assert.throws(() => one.call('echo', [[new subpy.Tagged('date', new subpy.Tagged('date', ''))]]), /^TypeError: args\[0\]\[0\]/);
  assert.equal(thrown(subpy.ExecutionFailed, () => one.call('echo', [new subpy.Tagged('date', 'never')])).excinfo.type.name, 'ValueError');
  assert.throws(() => one.eval('{float("nan"), float("nan")}'), /^RangeError: a set with several NaNs/);
  one.close();
});

// ---- how much memory an interpreter uses

test('the memory of an interpreter has a limit', () => {
  const one = subpy.create({ memoryLimit: 64 << 20 });
  const error = thrown(subpy.ExecutionFailed, () => one.exec('table = bytearray(1_000_000_000)'));
  assert.equal(error.excinfo.type.name, 'MemoryError');
  const { used, peak, limit, refused } = one.memory();
  assert.ok(used > 0 && peak >= used && peak < limit);
  assert.deepEqual([limit, refused], [64 << 20, 1]);
  one.close();
  const counting = subpy.create({ countMemory: true });
  const before = counting.memory().used;
  counting.exec('x = bytearray(50 << 20)');
  assert.ok(counting.memory().used - before >= 50 << 20);
  assert.equal(counting.memory().limit, 0);
  counting.close();
  assert.equal(thrown(subpy.InterpreterError, () => interp.memory()).code, 'SUBPY_ERROR_WRONG_STATE');
  thrown(subpy.InterpreterNotFoundError, () => counting.memory());
  assert.throws(() => subpy.create({ memoryLimit: -1 }), /^TypeError: memoryLimit/);
  assert.equal(thrown(subpy.InterpreterError, () => subpy.create({ memoryLimit: 1 })).code, 'SUBPY_ERROR_INVALID_ARGUMENT');
});
