'use strict';

// Host control: JS functions that Python calls, limits, and where output goes.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { Writable } = require('node:stream');
const { after, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');

const subpy = require('subpy');

const { Keywords, PythonError, Tuple } = subpy;

/** The folder that the package is installed in. */
const PROGRAM = path.dirname(__dirname);

const interp = subpy.create();
interp.exec('def loop():\n  while True: pass');
after(() => {
  interp.close();
  subpy.shutdown();
});

function thrown(Class, run) {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof Class, error.stack);
    return error;
  }
  return assert.fail(`no ${Class.name}`);
}

async function rejected(Class, promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Class, error.stack);
    return error;
  }
  return assert.fail(`no ${Class.name}`);
}

async function running(one) {
  while (!one.isRunning()) await sleep(1);
}

// ---- what docs/node.md shows

test('the page', async () => {
  const one = subpy.create({ busy: 'wait' });
  const prices = new Map([['tea', 3]]);
  one.define('shop:price', (name, { count = 1 } = {}) => {
    if (!prices.has(name)) throw new subpy.PythonError('KeyError', name);
    return prices.get(name) * count;
  });
  assert.equal(one.eval("__import__('shop').price('tea', count=2)"), 6);

  one.define('fetch_text', async (url) => (await fetch(url)).text());
  assert.equal(await one.evalInThread("fetch_text('data:,hello')"), 'hello');

  try {
    await one.execInThread('while True: pass', { signal: AbortSignal.timeout(50) });
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
    console.log(error.excinfo.errdisplay); // where it was
  }

  let printed = '';
  one.exec("print('for me')", { output: (text) => (printed += text) });
  assert.equal(printed, 'for me\n');
  one.close();
});

// ---- functions

test('Python calls functions', async () => {
  interp.define('add', (a, b) => a + b);
  assert.equal(interp.eval('add(40, 2)'), 42);
  assert.equal(await interp.evalInThread('add(40, 2)'), 42);
  interp.define('host:show', (...args) => args);
  interp.exec('import host');
  const value = [null, true, -1, 2n ** 70n, 1.5, 'é', Buffer.from('\0'), Tuple.of(1, [2]), new Map([['a', new Map([[1, 'b']])]])];
  for (const shown of [interp.call('host.show', value), await interp.callInThread('host.show', value)]) {
    assert.deepEqual(shown, value);
    assert.ok(shown[7] instanceof Tuple);
  }
  assert.deepEqual(interp.eval('host.show()'), []);
  interp.define('named', (first, options) => [first, options instanceof Keywords, { ...options }]);
  assert.deepEqual(interp.eval("named(1, b=None, a=[2], __proto__=3)"),
    [1, true, new Map([['b', null], ['a', [2]], ['__proto__', 3]])]);
  interp.define('destructured', (a, { times = 2 } = {}) => a * times);
  assert.equal(interp.eval('destructured(4) + destructured(4, times=3)'), 20);
  interp.define('nothing', () => {});
  assert.equal(interp.eval('nothing()'), null);
  interp.define('add', () => 'another'); // the first one is replaced
  assert.equal(interp.eval('add()'), 'another');
  interp.define('here', function () {
    return [this.handle === interp.handle, this.cancelled];
  });
  assert.deepEqual(interp.eval('here()'), [true, false]);

  interp.define('host:area', () => 6, { signature: '(width, height=1)', doc: 'The area.' });
  interp.exec('import inspect, pickle');
  assert.deepEqual(interp.eval('(str(inspect.signature(host.area)), host.area.__doc__, host.area.__module__)'),
    Tuple.of('(width, height=1)', 'The area.', 'host'));
  assert.equal(interp.eval('pickle.loads(pickle.dumps(host.area)) is host.area'), true);
  interp.define('mine', () => 1, { callerThreadOnly: true });
  assert.equal(interp.eval('mine()'), 1);
  const elsewhere = await rejected(subpy.ExecutionFailed, interp.evalInThread('mine()'));
  assert.equal(elsewhere.excinfo.type.name, 'RuntimeError');

  const objects = new subpy.Interpreter(interp.handle, { dicts: 'object', integers: 'bigint' });
  objects.define('read', (dict) => typeof dict.a);
  assert.equal(interp.eval("read({'a': 1})"), 'bigint');

  assert.throws(() => interp.define('f', 1), TypeError);
  assert.throws(() => interp.define(1, () => 1), TypeError);
  assert.throws(() => interp.define('f', () => 1, { docs: '' }), TypeError);
  assert.throws(() => interp.define('f', () => 1, { doc: 'a\0' }), TypeError);
  assert.equal(thrown(subpy.InterpreterError, () => interp.define('', () => 1)).code, 'SUBPY_ERROR_INVALID_ARGUMENT');
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('add.x')).excinfo.type.name, 'AttributeError');
});

test('exceptions both ways', async () => {
  const system = Object.assign(new Error('a'), { errno: -5, code: 'EIO' });
  const table = [
    [new TypeError('a'), 'TypeError: a'],
    [new RangeError('a'), 'ValueError: a'],
    [new Error('ä\0ö'), 'RuntimeError: ä\0ö'],
    [Object.assign(new Error('a'), { code: 'ENOENT' }), 'FileNotFoundError: a'],
    [system, 'OSError: a'],
    [new DOMException('a', 'TimeoutError'), 'TimeoutError: a'],
    [new PythonError('KeyError', 'k'), "KeyError: 'k'"],
    [new PythonError('decimal:InvalidOperation', 'k'), 'decimal.InvalidOperation: k'],
    ['a string', 'RuntimeError: a string'],
    [undefined, 'RuntimeError: undefined'],
    [{ toString: () => assert.fail('no') }, 'RuntimeError: a value that has no text'],
    ['half \ud800', 'RuntimeError: half \ufffd'],
  ];
  let what;
  interp.define('fail', () => {
    throw what;
  });
  interp.define('failLater', async () => {
    await sleep(1);
    throw what;
  });
  for (const [error, formatted] of table) {
    what = error;
    for (const failed of [
      thrown(subpy.ExecutionFailed, () => interp.exec('fail()')),
      await rejected(subpy.ExecutionFailed, interp.execInThread('fail()')),
      await rejected(subpy.ExecutionFailed, interp.execInThread('failLater()')),
    ]) {
      assert.equal(failed.excinfo.formatted, formatted);
      assert.equal(failed.cause, error);
      assert.ok(Object.hasOwn(failed, 'cause'));
      if (error instanceof Error) {
        assert.match(failed.excinfo.errdisplay, /JavaScript stack:\n/);
        assert.doesNotMatch(failed.excinfo.errdisplay, /loop\.js/);
      }
    }
  }
  interp.define('value', () => [{ a: new Date() }]);
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('value()')).excinfo.formatted,
    'TypeError: result[0]["a"]: an object of Date has no Python value');
  interp.define('deep', function deep() {
    return deep() + 1;
  });
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('deep()')).excinfo.type.name, 'RecursionError');
  what = new PythonError('NoSuchError', 'm');
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('fail()')).excinfo.type.name, 'TypeError');

  // JS, Python, JS, Python, JS.
  const other = subpy.create();
  const original = new Error('first');
  other.define('inner', () => {
    throw original;
  });
  interp.define('outer', () => other.eval('inner()'));
  const twice = thrown(subpy.ExecutionFailed, () => interp.exec('outer()'));
  assert.equal(twice.excinfo.formatted, 'RuntimeError: first');
  assert.ok(twice.cause instanceof subpy.ExecutionFailed);
  assert.equal(twice.cause.cause, original);
  other.exec('def loop():\n  while True: pass');
  interp.define('outer', () => other.call('loop', [], null, { timeout: 50 }));
  const late = thrown(subpy.ExecutionFailed, () => interp.exec('outer()'));
  assert.equal(late.excinfo.type.name, 'TimeoutError');
  assert.ok(late.cause instanceof subpy.ExecutionTimeout);
  other.close();
});

test('what Python caught is not kept', async () => {
  const registry = new Set();
  let alive = 0;
  const finalization = new FinalizationRegistry(() => (alive -= 1));
  interp.define('fail', () => {
    const error = new Error('x');
    alive += 1;
    finalization.register(error);
    throw error;
  });
  interp.exec('for _ in range(500):\n  try: fail()\n  except RuntimeError: pass');
  await interp.execInThread('for _ in range(500):\n  try: fail()\n  except RuntimeError: pass');
  assert.equal(registry.size, 0);
  const { setFlagsFromString } = require('node:v8');
  setFlagsFromString('--expose-gc');
  const gc = require('node:vm').runInNewContext('gc');
  while (alive > 0) {
    gc();
    await sleep(1);
  }
});

test('functions may be asynchronous where a promise waits for them', async () => {
  interp.define('later', async (value) => {
    await sleep(5);
    return value * 2;
  });
  assert.equal(await interp.evalInThread('later(4) + later(1)'), 10);
  const refused = thrown(subpy.ExecutionFailed, () => interp.eval('later(4)'));
  assert.equal(refused.excinfo.type.name, 'RuntimeError');
  assert.match(refused.excinfo.msg, /returned a promise/);
  // Many at once, of several interpreters.
  const interps = Array.from({ length: 3 }, () => subpy.create({ busy: 'share' }));
  for (const one of interps) one.define('later', async (value) => sleep(5, value));
  const all = Array.from({ length: 30 }, (_, n) => interps[n % 3].callInThread('later', [n]));
  assert.deepEqual(await Promise.all(all), Array.from({ length: 30 }, (_, n) => n));
  for (const one of interps) one.close();
});

test('functions run code, in the same interpreter and in others', async () => {
  for (const busy of ['refuse', 'wait', 'share']) {
    const one = subpy.create({ busy });
    const other = subpy.create({ busy });
    one.define('again', (text) => one.eval(text));
    one.exec('import threading\nlocal = threading.local()\nx = 20\ndef f():\n  local.x = 5\n  return again("local.x")');
    assert.equal(one.eval("again('x + 1') * 2"), 42);
    assert.equal(await one.evalInThread("again('x + 1') * 2"), 42);
    assert.equal(one.eval(`again("again('x + 1') + 1")`), 22);
    assert.equal(await one.evalInThread(`again("again('x + 1') + 1")`), 22);
    // On the same thread state.
    assert.equal(one.call('f'), 5);
    assert.equal(await one.callInThread('f'), 5);
    one.define('againLater', async (text) => {
      await sleep(1);
      return one.evalInThread(text);
    });
    assert.equal(await one.evalInThread("againLater('x')"), 20);
    const down = (here, there) => (level) => (level === 0 ? 0 : there.call('down', [level - 1]) + 1);
    one.define('down', down(one, other));
    other.define('down', down(other, one));
    assert.equal(one.call('down', [50]), 50);
    assert.equal(await one.callInThread('down', [50]), 50);
    // Without end.
    one.define('deeper', () => one.eval('deeper()'));
    for (const run of [() => one.eval('deeper()'), () => one.evalInThread('deeper()')]) {
      const error = await rejected(subpy.ExecutionFailed, (async () => run())());
      // RuntimeError: a run that does not begin, for want of stack.
      assert.match(error.excinfo.type.name, /^(RecursionError|RuntimeError)$/);
    }
    // An exception on the way.
    const failed = await rejected(subpy.ExecutionFailed, one.evalInThread("again('1 / 0')"));
    assert.equal(failed.excinfo.type.name, 'ZeroDivisionError');
    // What cannot be done there is refused, and does not wait for itself.
    one.define('close', () => one.close());
    one.define('prepare', () => one.prepareMain({ y: 1 }));
    for (const text of ['close()', ...(busy === 'refuse' ? ['prepare()'] : [])]) {
      const error = await rejected(subpy.ExecutionFailed, one.evalInThread(text));
      assert.equal(error.cause.code, 'SUBPY_ERROR_BUSY');
    }
    one.close();
    other.close();
  }
});

test('threads that Python started call functions', async () => {
  const one = subpy.create({ busy: 'share' });
  one.define('echo', (value) => value);
  one.define('later', async (value) => sleep(1, value));
  one.exec(`
    import threading
    def f(call, count=4):
        seen = []
        def target(n): seen.append(call(n))
        threads = [threading.Thread(target=target, args=(n,)) for n in range(count)]
        for t in threads: t.start()
        for t in threads: t.join()
        return sorted(seen)
    def start():
        global thread
        thread = threading.Thread(target=lambda: seen.append(echo(5)))
        thread.start()
    seen = []`);
  assert.deepEqual(await one.evalInThread('f(echo)'), [0, 1, 2, 3]);
  assert.deepEqual(await one.evalInThread('f(later, 20)'), Array.from({ length: 20 }, (_, n) => n));
  // One that goes on when the run is over.
  one.exec('start()');
  while (one.eval('len(seen)') === 0) await sleep(1);
  // This thread waits for one that waits for it: an exception there, and no deadlock.
  one.exec('def late():\n  try: echo(1)\n  except RuntimeError as e: seen.append(str(e))');
  one.exec('t = threading.Thread(target=late)\nt.start()\nt.join()');
  assert.match(one.eval('seen[-1]'), /the JavaScript thread of this function runs Python/);
  one.close();
});

test('a function that waits for another run of its interpreter is no deadlock', async () => {
  const one = subpy.create({ busy: 'wait' });
  one.define('echo', (value) => value);
  one.exec("import time\ndef f():\n  time.sleep(0.1)\n  return echo(1)");
  const call = one.callInThread('f');
  await running(one);
  assert.equal(one.eval('2'), 2); // waits for its turn, which comes when f has failed
  const failed = await rejected(subpy.ExecutionFailed, call);
  assert.match(failed.excinfo.msg, /the JavaScript thread of this function runs Python/);
  assert.equal(await one.callInThread('f'), 1);
  one.close();
});

test('functions of a worker that ends', async () => {
  const one = subpy.create({ busy: 'share' });
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const one = new (require('subpy').Interpreter)(workerData);
     one.define('theirs', (value) => value + 1);
     parentPort.postMessage(one.eval('theirs(1)'));
     parentPort.once('message', () => process.exit());`,
    { eval: true, workerData: one.handle },
  );
  assert.equal(await new Promise((resolve) => worker.once('message', resolve)), 2);
  assert.equal(one.eval('theirs(2)'), 3); // its event loop answers
  assert.equal(await one.evalInThread('theirs(3)'), 4);
  worker.postMessage('end');
  await new Promise((resolve) => worker.once('exit', resolve));
  for (let round = 0; round < 3; round++) {
    const failed = thrown(subpy.ExecutionFailed, () => one.eval('theirs(2)'));
    assert.match(failed.excinfo.msg, /has ended/);
  }
  one.close();
});

test('definitions leave nothing behind', async () => {
  let alive = 0;
  const finalization = new FinalizationRegistry(() => (alive -= 1));
  const held = () => {
    const object = {};
    alive += 1;
    finalization.register(object);
    return object;
  };
  const one = subpy.create();
  const before = process.memoryUsage.rss();
  for (let round = 0; round < 3000; round++) {
    const object = held();
    one.define('f', () => object);
    if (round % 100 === 0) thrown(subpy.ExecutionFailed, () => one.exec('f(1, 2)\n1 / 0'));
    if (round % 10 === 0) one.setOutput(() => object);
  }
  one.exec('print(1)');
  one.close();
  thrown(subpy.InterpreterNotFoundError, () => {
    const object = held();
    one.define('f', () => object);
  });
  for (let round = 0; round < 100; round++) {
    const object = held();
    interp.exec('print(1)', { output: () => object });
  }
  const { setFlagsFromString } = require('node:v8');
  setFlagsFromString('--expose-gc');
  const gc = require('node:vm').runInNewContext('gc');
  while (alive > 0) {
    gc();
    await sleep(1);
  }
  assert.ok(process.memoryUsage.rss() - before < 100 << 20);
});

// ---- limits

test('time limits', async () => {
  assert.equal(interp.eval('6 * 7', { timeout: 60_000 }), 42);
  const f = interp.function('loop');
  const endless = [
    () => interp.exec('while True: pass', { timeout: 50 }),
    () => interp.eval('sum(1 for _ in iter(int, 1))', { timeout: 50 }),
    () => interp.call('loop', [], null, { timeout: 50 }),
    () => f.call([], null, { timeout: 50.5 }),
    () => interp.execInThread('while True: pass', { timeout: 50 }),
    () => interp.evalInThread('loop()', { timeout: 50 }),
    () => interp.callInThread('loop', [], null, { timeout: 50 }),
    () => f.callInThread([], null, { timeout: 50 }),
  ];
  for (const run of endless) {
    const error = await rejected(subpy.ExecutionTimeout, (async () => run())());
    assert.equal(error.code, 'SUBPY_ERROR_TIMEOUT');
    assert.equal(error.excinfo.type.name, 'KeyboardInterrupt');
    assert.ok(error instanceof subpy.ExecutionFailed && error.frames.length > 0);
  }
  const one = subpy.create({ timeout: 50, noStdin: true });
  one.exec('def loop():\n  while True: pass');
  thrown(subpy.ExecutionTimeout, () => one.call('loop'));
  thrown(subpy.ExecutionTimeout, () => one.function('loop').callMany([[]]));
  await rejected(subpy.ExecutionTimeout, one.callInThread('loop'));
  assert.equal(one.eval('sum(range(10))', { timeout: 60_000 }), 45);
  assert.equal(thrown(subpy.ExecutionFailed, () => one.exec('input()')).excinfo.type.name, 'EOFError');
  one.close();
  for (const timeout of [0, -1, NaN, '1', 1n]) {
    assert.throws(() => interp.exec('1', { timeout }), TypeError);
    assert.throws(() => subpy.create({ timeout }), TypeError);
  }
  assert.throws(() => interp.call('loop', [], null, { filename: 'x' }), TypeError);
  assert.equal(interp.eval('1', { timeout: Infinity }), 1);
});

test('an AbortSignal stops a run, and the promise is settled when it has ended', async () => {
  const controller = new AbortController();
  const call = interp.callInThread('loop', [], null, { signal: controller.signal });
  await running(interp);
  const reason = new Error('enough');
  controller.abort(reason);
  const error = await rejected(subpy.ExecutionInterrupted, call);
  assert.equal(interp.isRunning(), false);
  assert.deepEqual([error.name, error.code, error.cause], ['AbortError', 'SUBPY_ERROR_INTERRUPTED', reason]);
  // Before, and without any effect afterwards.
  for (const run of [
    () => interp.exec('ran = 1', { signal: controller.signal }),
    () => interp.execInThread('ran = 1', { signal: controller.signal }),
  ]) {
    const before = await rejected(subpy.ExecutionInterrupted, (async () => run())());
    assert.deepEqual([before.name, before.cause, before.excinfo.type.name], ['AbortError', reason, null]);
  }
  assert.equal(interp.eval("'ran' in globals()"), false);
  assert.equal(interp.eval('6 * 7', { signal: new AbortController().signal }), 42);
  assert.equal((await rejected(subpy.ExecutionInterrupted,
    interp.execInThread('loop()', { signal: AbortSignal.timeout(20) }))).cause.name, 'TimeoutError');

  // From a function, while this thread runs Python.
  const inside = new AbortController();
  interp.define('abort', () => inside.abort());
  thrown(subpy.ExecutionInterrupted, () => interp.exec('abort()\nloop()', { signal: inside.signal }));

  // What waits for a thread or for its turn does not start.
  const one = subpy.create({ busy: 'wait' });
  one.exec('def loop():\n  while True: pass');
  const both = new AbortController();
  const [first, ...others] = Array.from({ length: 20 }, () => {
    return rejected(subpy.ExecutionInterrupted, one.callInThread('loop', [], null, { signal: both.signal }));
  });
  await running(one);
  both.abort();
  assert.equal((await first).excinfo.type.name, 'KeyboardInterrupt');
  for (const other of others) assert.equal((await other).excinfo.type.name, null);
  assert.equal(await one.evalInThread('1'), 1);
  const size = subpy.pool.size;
  subpy.pool.size = 1;
  const blocker = interp.callInThread('loop', [], null, { signal: AbortSignal.timeout(100) });
  const waiting = new AbortController();
  const waits = one.evalInThread('1', { signal: waiting.signal });
  waiting.abort();
  await rejected(subpy.ExecutionInterrupted, waits);
  await rejected(subpy.ExecutionInterrupted, blocker);
  subpy.pool.size = size;
  one.close();

  // What waits for a function that never answers.
  interp.define('never', () => new Promise(() => {}));
  await rejected(subpy.ExecutionInterrupted, interp.evalInThread('never()', { signal: AbortSignal.timeout(20) }));
  await rejected(subpy.ExecutionTimeout, interp.evalInThread('never()', { timeout: 20 }));
  assert.throws(() => interp.exec('1', { signal: 1 }), TypeError);

  const interrupted = interp.callInThread('loop');
  let over = false;
  interrupted.catch(() => {}).finally(() => (over = true));
  while (!over) {
    interp.interrupt();
    await sleep(1);
  }
  await rejected(subpy.ExecutionInterrupted, interrupted);
});

// ---- output

test('the output of an interpreter', async () => {
  const one = subpy.create();
  const seen = [];
  one.setOutput((text, stream) => seen.push([stream, text]));
  one.exec("import sys\nprint('one')\nprint('two', 'é')\nprint('bad', file=sys.stderr)");
  const of = (name) => seen.filter(([stream]) => stream === name).map(([, text]) => text).join('');
  assert.equal(of('stdout'), 'one\ntwo é\n'); // it is here when the run is over
  assert.equal(of('stderr'), 'bad\n');
  seen.length = 0;
  await one.execInThread("print('three')");
  assert.equal(of('stdout'), 'three\n');
  seen.length = 0;
  one.exec("import threading\nt = threading.Thread(target=lambda: print('four'))\nt.start()\nt.join()");
  while (of('stdout') !== 'four\n') await sleep(1);

  let text = '';
  const stream = new Writable({
    write(chunk, _, callback) {
      text += chunk;
      callback();
    },
  });
  one.setOutput(stream);
  one.exec('for n in range(20000): print(n)');
  while (text.length < 108890) await sleep(1);
  one.setOutput({ stdout: stream, stderr: { write: () => assert.fail('nothing') } });
  text = '';
  one.exec("print('x')");
  assert.equal(text, 'x\n');

  // What fails breaks nothing, and is told once.
  const warnings = [];
  const onWarning = (warning) => warnings.push(warning.message);
  process.on('warning', onWarning);
  one.setOutput(() => {
    throw new Error('no room');
  });
  one.exec('print(1)');
  one.exec('print(2)');
  await sleep(10);
  process.off('warning', onWarning);
  assert.deepEqual(warnings, ['no room']);

  seen.length = 0;
  one.setOutput((text, stream) => seen.push([stream, text]));
  one.exec("import atexit\natexit.register(print, 'bye')");
  one.close();
  while (of('stdout') !== 'bye\n') await sleep(1);

  assert.throws(() => interp.setOutput(1), TypeError);
  assert.throws(() => interp.setOutput({ stdout: stream }), TypeError);
  thrown(subpy.InterpreterNotFoundError, () => one.setOutput(() => {}));
  interp.setOutput(() => {});
  interp.setOutput(null);
});

test('the output of a run', async () => {
  const one = subpy.create({ busy: 'share' });
  let rest = '';
  one.setOutput((text) => (rest += text));
  one.exec('def show(n):\n  for _ in range(100): print(n)');
  const texts = Array.from({ length: 8 }, () => '');
  await Promise.all(texts.map(async (_, n) => {
    const output = (text) => (texts[n] += text);
    if (n % 2 === 0) await one.callInThread('show', [n], null, { output });
    else one.call('show', [n], null, { output });
  }));
  texts.forEach((text, n) => assert.equal(text, `${n}\n`.repeat(100)));
  assert.equal(rest, '');
  one.close();
});

// ---- the end

test('an interpreter is closed with a deadline', async () => {
  const one = subpy.create();
  one.exec('def loop():\n  while True: pass');
  const call = one.callInThread('loop');
  await running(one);
  assert.equal(thrown(subpy.InterpreterError, () => one.closeWith({ timeout: 0 })).code, 'SUBPY_ERROR_BUSY');
  assert.equal(thrown(subpy.InterpreterError, () => one.closeWith({ timeout: 20 })).code, 'SUBPY_ERROR_BUSY');
  await rejected(subpy.InterpreterError, one.closeInThread({ timeout: 20 }));
  assert.equal(one.isRunning(), true);
  assert.throws(() => one.closeWith({ timeout: -1 }), TypeError);
  assert.throws(() => one.closeWith({ kill: true }), TypeError);
  one.closeWith({ timeout: 60_000, interrupt: true });
  await rejected(subpy.ExecutionInterrupted, call);

  const two = subpy.create();
  const sleeping = two.callInThread('time:sleep', [0.2]);
  await running(two);
  await two.closeInThread({ drain: true });
  assert.equal(await sleeping, null);
  thrown(subpy.InterpreterNotFoundError, () => two.closeWith());

  // A thread of Python's that waits for a function of this thread, which waits for the close.
  const three = subpy.create();
  three.define('echo', (value) => value);
  three.exec('import threading, time\ndef f():\n  time.sleep(0.1)\n  echo(1)\nthreading.Thread(target=f).start()');
  three.setOutput(() => {});
  three.close();
});

test('a program may exit while Python waits for a function', () => {
  const code = `
    const subpy = require('subpy');
    const one = subpy.create();
    one.define('never', () => { setTimeout(() => process.exit(7), 50); return new Promise(() => {}); });
    one.evalInThread('never()').catch(() => {});`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', code], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 7, stderr);
});

test('a shutdown that stops what runs', () => {
  const code = `
    const subpy = require('subpy');
    const one = subpy.create();
    const call = one.execInThread('while True: pass');
    call.catch((error) => console.log(error.code));
    const wait = () => {
      if (!one.isRunning()) return setTimeout(wait, 1);
      try { subpy.shutdown(); } catch (error) { console.log(error.code); }
      subpy.shutdown({ timeout: 60_000, interrupt: true });
      console.log('down');
    };
    wait();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', code], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  assert.equal(stdout, 'SUBPY_ERROR_BUSY\ndown\nSUBPY_ERROR_INTERRUPTED\n', stderr);
});

test('races of define, call, cancel, output and close', async () => {
  for (let round = 0; round < 5; round++) {
    const one = subpy.create({ busy: 'wait' });
    one.define('host:f', () => 0);
    one.exec('import host');
    let stop = false;
    const actions = [
      async () => one.define('host:f', (...args) => args.length),
      async () => one.define('host:f', async () => sleep(1)),
      async () => one.evalInThread('host.f(1, 2)'),
      async () => one.evalInThread('host.f()', { timeout: 1, output: () => {} }),
      async () => one.execInThread('print(host.f())', { signal: AbortSignal.timeout(1), output: () => {} }),
      async () => one.setOutput(() => {}),
      async () => one.eval('host.f()'),
    ];
    const loops = actions.map(async (action) => {
      while (!stop) {
        try {
          await action();
        } catch (error) {
          assert.ok(error instanceof subpy.InterpreterError, error.stack);
        }
        await sleep(0);
      }
    });
    await sleep(100);
    await one.closeInThread({ interrupt: true });
    stop = true;
    await Promise.all(loops);
  }
});
