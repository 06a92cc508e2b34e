'use strict';

const assert = require('node:assert/strict');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const path = require('node:path');
const { after, test } = require('node:test');
const { Worker } = require('node:worker_threads');

const subpy = require('subpy');

const { Float, Tuple } = subpy;

/** The folder that the package is installed in. */
const PROGRAM = path.dirname(__dirname);

const interp = subpy.create();
after(() => {
  interp.close();
  subpy.shutdown();
});

/** What a function throws, of the class that is expected. */
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

// ---- interpreters

test('interpreters are isolated from each other', () => {
  const [one, two] = [subpy.create(), subpy.create()];
  one.exec('x = 1');
  two.exec('x = 2');
  assert.equal(one.eval('x'), 1);
  assert.equal(two.eval('x'), 2);
  one.prepareMain({ x: 'new', y: new Map([['k', 2n ** 70n]]) });
  assert.deepEqual(one.eval('(x, y)'), Tuple.of('new', new Map([['k', 2n ** 70n]])));
  one.close();
  two.close();
});

test('what can be asked about interpreters', () => {
  const main = subpy.getMain();
  assert.equal(main.id, 0);
  assert.equal(main.whence, 'runtime init');
  assert.equal(interp.whence, 'C-API');
  assert.equal(interp.isRunning(), false);
  assert.equal(interp.eval('__import__("concurrent.interpreters").interpreters.get_current().is_running()'), true);
  assert.equal(subpy.find(interp.id).handle, interp.handle);
  const many = Array.from({ length: 5 }, () => subpy.create());
  assert.deepEqual(subpy.listAll().map(({ handle }) => handle), [main, interp, ...many].map(({ handle }) => handle));
  for (const one of many) one.close();
  assert.equal(subpy.listAll().length, 2);
  thrown(subpy.InterpreterNotFoundError, () => subpy.getCurrent());
  assert.match(subpy.version(), /^\d+\.\d+\.\d+$/);
  assert.match(subpy.pythonVersion(), /^3\.\d+\.\d+/);
  assert.match(subpy.pythonLibrary(), /libpython3/);
});

test('options of create, exec and eval', () => {
  const folder = path.join(__dirname, 'python');
  const one = subpy.create({ path: [folder, '/späth'], gil: 'own', busy: 'wait', allowDaemonThreads: true });
  assert.deepEqual(one.eval('__import__("sys").path[:2]'), [folder, '/späth']);
  one.exec('import threading; threading.Thread(target=print, daemon=True)');
  one.close();
  const shared = subpy.create({ gil: 'shared', noExtensionCheck: true });
  assert.equal(shared.eval('1'), 1);
  shared.close();

  const { frames } = thrown(subpy.ExecutionFailed, () => interp.exec('1 / 0', { filename: 'näme.py' }));
  assert.deepEqual(frames, [
    // Python finds no source for a name that is no file.
    { file: 'näme.py', line: 1, function: '<module>', source: null, endLine: 1, column: 0, endColumn: 0 },
  ]);
  interp.exec('  indented = 1');
  thrown(subpy.PythonSyntaxError, () => interp.exec('  indented = 1', { keepIndent: true }));

  assert.throws(() => subpy.create({ busy: 'never' }), /^TypeError: busy: never is not one of refuse, wait, share$/);
  assert.throws(() => subpy.create({ gli: 'own' }), /^TypeError: options: gli is not one of gil, /);
  assert.throws(() => subpy.create({ path: 'folder' }), TypeError);
  assert.throws(() => subpy.create({ path: ['a\0b'] }), TypeError);
  assert.throws(() => interp.exec('1', { file: 'x' }), TypeError);
  assert.throws(() => interp.exec('1', { filename: 'a\0b' }), TypeError);
  const refused = thrown(subpy.InterpreterError, () => subpy.create({ noExtensionCheck: true }));
  assert.equal(refused.code, 'SUBPY_ERROR_INVALID_ARGUMENT');
  thrown(subpy.InterpreterError, () => subpy.init({ python: '/nonexistent/python' }));
  subpy.init();
});

test('options of processes, and errors that are no crashes', async () => {
  const invalid = async (message, options) => {
    for (const error of [
      thrown(subpy.InterpreterError, () => subpy.create(options)),
      await rejected(subpy.InterpreterError, subpy.createPool(options)),
    ]) {
      assert.deepEqual([error.code, error.message], ['SUBPY_ERROR_INVALID_ARGUMENT', message]);
      assert.ok(!(error instanceof subpy.InterpreterCrashed) && error.signal === undefined);
    }
  };
  const needed = 'needs SUBPY_INTERP_PROCESS: it is about a process';
  const all = 'need SUBPY_INTERP_LOCKED: without it all that the host can open is open';
  await invalid(`SUBPY_INTERP_LOCKED ${needed}`, { locked: true });
  await invalid('SUBPY_INTERP_LOCK_BEST_EFFORT needs SUBPY_INTERP_LOCKED: without it nothing is locked', {
    process: true, lockBestEffort: true,
  });
  await invalid(`subpy_interp_options.grace_ms ${needed}`, { grace: 0.1 });
  await invalid(`subpy_interp_options.cpu_limit_ms ${needed}`, { cpuLimit: 1000 });
  await invalid(`subpy_interp_options.readable ${needed}`, { readable: ['/usr'] });
  await invalid(`subpy_interp_options.writable ${needed}`, { writable: ['/tmp'] });
  await invalid('SUBPY_INTERP_PROCESS needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL', {
    process: true, gil: 'shared',
  });
  await invalid(`readable folders ${all}`, { process: true, readable: ['/usr'] });
  await invalid(`writable folders ${all}`, { process: true, writable: ['/tmp'] });
  await invalid('readable[1] is "here", must be an absolute path', { process: true, locked: true, readable: ['/usr', 'here'] });
  await invalid(
    'SUBPY_INTERP_ALLOW_FORK and SUBPY_INTERP_ALLOW_EXEC are not for SUBPY_INTERP_LOCKED, which allows neither',
    { process: true, locked: true, allowFork: true },
  );

  assert.throws(() => subpy.create({ venv: 'a\0b' }), /^TypeError: venv: a string without NUL is expected$/);
  assert.throws(() => subpy.create({ grace: 0 }), /^TypeError: grace: a number of milliseconds above 0 is expected$/);
  assert.throws(() => subpy.create({ cpuLimit: '1' }), /^TypeError: cpuLimit: a number of milliseconds/);
  assert.throws(() => subpy.create({ readable: '/usr' }), /^TypeError: readable: an array of strings is expected$/);
  assert.throws(() => subpy.create({ writable: ['a\0b'] }), /^TypeError: writable\[0\]: a string without NUL is expected$/);
  assert.throws(() => subpy.init({ worker: 'a\0b' }), /^TypeError: worker: a string without NUL is expected$/);
  assert.throws(() => subpy.init({ preload: ['json', 5] }), /^TypeError: preload\[1\]: a string is expected$/);
  for (const options of [{ preload: ['json'] }, { worker: '/nowhere' }]) {
    assert.equal(thrown(subpy.InterpreterError, () => subpy.init(options)).code, 'SUBPY_ERROR_WRONG_STATE');
  }
  assert.ok(!(thrown(subpy.ExecutionFailed, () => interp.exec('1 / 0')) instanceof subpy.InterpreterCrashed));
});

test('what ends or blocks the process of an interpreter is an error', async () => {
  const endedBy = async (Class, code) => {
    const ended = subpy.create({ process: true, grace: 50, timeout: 100 });
    const error = thrown(Class, () => ended.exec(code));
    thrown(subpy.InterpreterNotFoundError, () => ended.exec('1'));
    const other = subpy.create({ process: true, grace: 50, timeout: 100 });
    const { message } = await rejected(Class, other.execInThread(code));
    assert.equal(message, error.message);
    await rejected(subpy.InterpreterNotFoundError, other.execInThread('1'));
    return error;
  };
  const aborted = await endedBy(subpy.InterpreterCrashed, 'import os\ndef fail():\n    os.abort()\nfail()');
  assert.equal(aborted.code, 'SUBPY_ERROR_CRASHED');
  assert.equal(aborted.message, "the interpreter's process was killed by signal 6 (SIGABRT)");
  assert.deepEqual([aborted.signal, aborted.exitCode], [6, null]);
  assert.match(aborted.traceback, /^Fatal Python error: Aborted\n[^]*\n {2}File "<script>", line 3 in fail\n/);
  const left = await endedBy(subpy.InterpreterCrashed, 'import os; os._exit(3)');
  assert.equal(left.message, "the interpreter's process has ended with exit code 3");
  assert.deepEqual([left.signal, left.exitCode, left.traceback], [null, 3, left.message]);
  const late = await endedBy(subpy.ExecutionTimeout, 'import ctypes\nctypes.CDLL(None).sleep(1000)');
  assert.equal(late.message, 'timed out after 100 ms, and the code did not end within 50 ms more: its process was killed');

  // Children of the host's own are left alone.
  assert.equal(spawnSync('sh', ['-c', 'exit 7']).status, 7);
  assert.equal(await new Promise((resolve) => spawn('sh', ['-c', 'exit 8']).on('exit', resolve)), 8);
});

test('what holds an interpreter that is locked', () => {
  for (const options of [{}, { lockBestEffort: true }]) {
    const locked = subpy.create({ process: true, locked: true, ...options });
    const { landlock, seccomp } = locked.lockInfo();
    assert.ok(landlock >= 6 && seccomp === true);
    const error = thrown(subpy.ExecutionFailed, () => locked.exec("open('/etc/passwd')"));
    assert.equal(error.excinfo.type.name, 'PermissionError');
    locked.close();
    thrown(subpy.InterpreterNotFoundError, () => locked.lockInfo());
  }
  assert.equal(thrown(subpy.InterpreterError, () => interp.lockInfo()).code, 'SUBPY_ERROR_WRONG_STATE');
});

// ---- values

const both = [
  ['None', null],
  ['True', true],
  ['False', false],
  ['0', 0],
  ['-1', -1],
  ['2**32 + 5', 2 ** 32 + 5],
  ['-2**32 - 5', -(2 ** 32) - 5],
  ['2**53 - 1', Number.MAX_SAFE_INTEGER],
  ['-2**53 + 1', Number.MIN_SAFE_INTEGER],
  ['2**53', 2n ** 53n],
  ['-2**53', -(2n ** 53n)],
  ['2**63 - 1', 2n ** 63n - 1n],
  ['-2**63', -(2n ** 63n)],
  ['2**63', 2n ** 63n],
  ['-2**63 - 1', -(2n ** 63n) - 1n],
  ['3**2000', 3n ** 2000n],
  ['-3**2000', -(3n ** 2000n)],
  ['0.5', 0.5],
  ['-0.0', -0],
  ['1e300', 1e300],
  ['5e-324', 5e-324],
  ["float('nan')", NaN],
  ["float('inf')", Infinity],
  ["-float('inf')", -Infinity],
  ["''", ''],
  ["'a\\0b'", 'a\0b'],
  ["'\\ufeffäöü \\u20ac \\U0001f40d'", '\ufeffäöü € 🐍'],
  ["'x' * 100_000 + 'é'", 'x'.repeat(100_000) + 'é'],
  ["b''", Buffer.from('')],
  ["b'\\0\\xff\\x80'", Buffer.from([0, 255, 128])],
  ["b'ab' * 100_000", Buffer.from('ab'.repeat(100_000))],
  ['[]', []],
  ['()', new Tuple()],
  ['(5,)', Tuple.of(5)],
  ['{}', new Map()],
  ['[1, [2, (3, [4])], ()]', [1, [2, Tuple.of(3, [4])], new Tuple()]],
  ["{1: 'int', '1': 'str', '__proto__': None, (1, 2): b'', 2: 0, b'k': []}", null],
  ["{'a': [(1, 'x'), (2**63 - 1, b'\\0')], 'b': {'c': [(), {}]}, 'z': float('nan')}", new Map([
    ['a', [Tuple.of(1, 'x'), Tuple.of(2n ** 63n - 1n, Buffer.from([0]))]],
    ['b', new Map([['c', [new Tuple(), new Map()]]])],
    ['z', NaN],
  ])],
  ['[None] * 10_000', new Array(10_000).fill(null)],
  ["{i: str(i) for i in range(10_000)}", new Map(Array.from({ length: 10_000 }, (_, i) => [i, String(i)]))],
];

test('values are equal on both sides', () => {
  interp.exec(`
    def same(ours, theirs):
        # repr tells types, order, signs of zero and nan apart
        return repr(ours) == repr(theirs)
    def kept(value):
        global keep
        keep = value
  `);
  for (const [expression, value] of both) {
    const out = interp.eval(expression);
    if (value !== null) assert.deepEqual(out, value, expression);
    interp.call('kept', [out]);
    assert.ok(interp.eval(`same(keep, ${expression})`), `${expression} goes back as it came`);
  }
  const keys = [...interp.eval(both.find(([expression]) => expression.includes('__proto__'))[0]).keys()];
  assert.deepEqual(keys, [1, '1', '__proto__', Tuple.of(1, 2), 2, Buffer.from('k')]);
});

test('floats that are whole numbers come out as numbers, and go back as ints unless told otherwise', () => {
  assert.equal(interp.eval('2.0'), 2);
  assert.equal(interp.call('builtins:repr', [2]), '2');
  assert.equal(interp.call('builtins:repr', [new Float(2)]), '2.0');
  assert.equal(interp.call('builtins:repr', [[new Float(-0), new Float(NaN), 2 ** 53]]), '[-0.0, nan, 9007199254740992.0]');
});

test('other JS values that have a Python value', () => {
  const shown = (value) => interp.call('builtins:repr', [value]);
  assert.equal(shown(undefined), 'None');
  assert.equal(shown({ b: 1, a: [undefined], __proto__: null }), "{'b': 1, 'a': [None]}");
  assert.equal(shown(Object.assign(Object.create(null), { k: true })), "{'k': True}");
  assert.equal(shown(new Uint8Array([1, 2]).subarray(1)), "b'\\x02'");
  assert.equal(shown(new Array(2)), '[None, None]');
  assert.deepEqual(interp.eval('(1, 2)').map((item) => item + 1), [2, 3]);
  assert.equal(interp.call('builtins:sorted', [[3, 1, 2]], { reverse: true })[0], 3);
  assert.equal(interp.call('builtins:dict', [], new Map([['ключ', 1]])).get('ключ'), 1);
});

test('JS values that have no Python value are named with the way to them', () => {
  const refused = (value, message) => assert.throws(() => interp.call('builtins:repr', [value]), { name: 'TypeError', message });
  refused(new Date(), 'args[0]: an object of Date has no Python value');
  refused([1, { a: new Map([['k', () => 1]]) }], 'args[0][1]["a"]["k"]: a function has no Python value');
  refused(Symbol('s'), 'args[0]: a symbol has no Python value');
  refused('a\ud800', 'args[0]: a string with a lone surrogate has no Python value');
  refused(new Float64Array(2), 'args[0]: an object of Float64Array has no Python value');
  refused(new WeakSet(), 'args[0]: an object of WeakSet has no Python value');
  refused(Object.create({ own: 1 }, {}), /has no Python value/);
  assert.throws(() => interp.prepareMain({ x: [new Date()] }), /^TypeError: names\["x"\]\[0\]: an object of Date/);
  assert.throws(() => interp.call('f', [], { x: new Date() }), /^TypeError: kwargs\["x"\]: an object of Date/);
  assert.throws(() => interp.call('f', 'args'), /^TypeError: args: an array is expected$/);
  assert.throws(() => interp.eval('{float("nan"): 1, float("nan"): 2}'), /^RangeError: a dict with several NaNs/);
  const unhashable = thrown(subpy.ExecutionFailed, () => interp.call('builtins:repr', [new Map([[[], 1]])]));
  assert.equal(unhashable.excinfo.type.name, 'TypeError');
});

test('values are nested 1,000 levels deep at most', () => {
  const nest = (levels) => {
    let value = 'core';
    for (let i = 0; i < levels; i++) value = i % 2 ? [value] : new Map([['k', value]]);
    return value;
  };
  interp.exec('def echo(x): return x');
  assert.deepEqual(interp.call('echo', [nest(1000)]), nest(1000));
  assert.throws(() => interp.call('echo', [nest(1001)]), RangeError);
  const cycle = [];
  cycle.push(cycle);
  assert.throws(() => interp.call('echo', [cycle]), RangeError);
  interp.exec('deep = []\nfor i in range(1000): deep = [deep]');
  thrown(subpy.NotShareableError, () => interp.eval('deep'));
});

test('an argument may run code while it is read', () => {
  const argument = {
    get nested() {
      argument.more = 1;
      return interp.eval('"x" * 100_000').length;
    },
    last: 2,
  };
  assert.equal(interp.call('builtins:repr', [[argument, 3]]), "[{'nested': 100000, 'last': 2}, 3]");
  const growing = new Map([['a', { get x() { growing.set('b', 1); return 1; } }]]);
  assert.equal(interp.call('builtins:repr', [growing]), "{'a': {'x': 1}}");
});

test('what changes while it is read is as long as it was at one moment', () => {
  interp.exec('def given(*args): return args');
  // What lies behind the arguments, should more of them be taken than were written, looks like more of them.
  const key = '\x05\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0AAAAA\0\0\0';
  const args = [{ get [key]() { args.push(1, 2, 3); return 1; } }];
  assert.deepEqual(interp.call('given', args), Tuple.of(new Map([[key, 1]])));
  assert.equal(args.length, 4);

  // Another thread that makes shared memory longer each time that its length is read.
  const memory = new SharedArrayBuffer(8, { maxByteLength: 1024 });
  const bytes = new Uint8Array(memory);
  for (const name of ['length', 'byteLength', 'byteOffset']) {
    const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name);
    const grow = () => {
      memory.grow(memory.byteLength + 8);
      return Reflect.apply(get, bytes, []);
    };
    Object.defineProperty(bytes, name, { get: grow });
  }
  const [taken, after] = interp.call('given', [bytes, 'y'.repeat(100)]);
  assert.deepEqual([taken, after], [Buffer.alloc(taken.length), 'y'.repeat(100)]);
  assert.ok(memory.byteLength > 8);

  // An array that says something else about its length each time.
  for (const lengths of [[1, 3, 3], [3, 1, 1], [1, -1, -1], [1, NaN, NaN]]) {
    const turns = [...lengths];
    const get = (target, name) => (name === 'length' ? turns.shift() ?? 0 : target[name]);
    const [items] = interp.call('given', [new Proxy([5], { get }), 'y'.repeat(100)]);
    assert.deepEqual(items, lengths[0] === 3 ? [5, null, null] : [5]);
  }
});

test('Python objects without a value are named with the way to them', () => {
  const error = thrown(subpy.NotShareableError, () => interp.eval('{"a": [1, 2, object()]}'));
  assert.equal(error.message, "result['a'][2]: object cannot be shared");
  assert.equal(error.code, 'SUBPY_ERROR_NOT_SHAREABLE');
});

test('results leave no memory behind', () => {
  interp.exec('block = b"x" * 1_000_000');
  const grow = () => {
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 300; i++) {
      interp.eval('(block, [None] * 1000)');
      assert.throws(() => interp.eval('nope'));
    }
    return process.memoryUsage().rss - before;
  };
  grow();
  assert.ok(grow() < 150_000_000, 'the second 300 MB');
});

test('what ints and dicts become is an option of each reference', () => {
  const options = [
    [{}, [1, 2n ** 53n, 2n ** 70n], new Map([['a', new Map([[1, 2]])]])],
    [{ integers: 'auto', dicts: 'map' }, [1, 2n ** 53n, 2n ** 70n], new Map([['a', new Map([[1, 2]])]])],
    [{ integers: 'bigint' }, [1n, 2n ** 53n, 2n ** 70n], new Map([['a', new Map([[1n, 2n]])]])],
  ];
  for (const [how, ints, dict] of options) {
    const one = new subpy.Interpreter(interp.handle, how);
    assert.deepEqual(one.eval('[1, 2**53, 2**70]'), ints);
    assert.deepEqual(one.call('builtins:eval', ["{'a': {1: 2}}"]), dict);
    assert.equal(one.eval('2.0'), 2, 'a float is a number');
  }

  const numbers = new subpy.Interpreter(interp.handle, { integers: 'number' });
  assert.deepEqual(numbers.eval('[-2**53 + 1, 2**53 - 1]'), [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  for (const large of ['2**53', '-2**53', '[2**63]', '-2**70']) {
    assert.throws(() => numbers.eval(large), /^RangeError: an int beyond 2\^53 - 1 has no number: integers 'auto' and /);
  }

  const objects = new subpy.Interpreter(interp.handle, { dicts: 'object' });
  const object = objects.eval("{'b': 1, 'a': {'__proto__': [{}]}, '': None}");
  assert.deepEqual(Object.keys(object), ['b', 'a', '']);
  assert.equal(Object.getPrototypeOf(object), Object.prototype);
  assert.deepEqual(Object.getOwnPropertyNames(object.a), ['__proto__']);
  assert.equal(Object.getPrototypeOf(object.a), Object.prototype);
  assert.equal(objects.call('builtins:repr', [object]), "{'b': 1, 'a': {'__proto__': [{}]}, '': None}");
  assert.throws(() => objects.eval("[{'a': 1, 2: 3}]"), /^RangeError: a dict with a key that is no str has no object: /);
  assert.throws(() => objects.eval("{float('nan'): 3}"), RangeError);

  const both = { integers: 'bigint', dicts: 'object' };
  const one = subpy.create(both);
  assert.deepEqual(one.eval("{'a': 1}"), { a: 1n });
  assert.deepEqual(subpy.find(one.id, both).eval("{'a': 1}"), { a: 1n });
  assert.deepEqual(subpy.listAll(both).at(-1).eval("{'a': 1}"), { a: 1n });
  assert.deepEqual(subpy.getMain(both).eval("{'a': 1}"), { a: 1n });
  assert.deepEqual(new subpy.Interpreter(one.handle).eval("{'a': 1}"), new Map([['a', 1]]));
  one.close();

  const count = subpy.listAll().length;
  for (const wrong of [{ integers: 'float' }, { dicts: 'Map' }, { integers: null }]) {
    assert.throws(() => subpy.create(wrong), /^TypeError: (integers|dicts): .* is not one of /);
    assert.throws(() => subpy.getMain(wrong), TypeError);
  }
  const wrong = () => new subpy.Interpreter(interp.handle, { busy: 'wait' });
  assert.throws(wrong, /^TypeError: options: busy is not one of integers, dicts$/);
  assert.equal(subpy.listAll().length, count);
});

test('what lay in memory before is no flag of a value', () => {
  interp.exec('def last(*args): return args[-1]');
  const all = (last) => [null, true, 1, 2n ** 70n, 1.5, 'a', Buffer.of(1), [], new Tuple(), {}, last];
  for (const filler of ['\xff'.repeat(8_000), '\u0800'.repeat(300_000)]) {
    interp.call('last', [filler]);
    assert.deepEqual(interp.call('last', all(7)), 7);
  }
});

test('a kind that a newer library may have is an error that names its number', () => {
  const folder = path.dirname(require.resolve('subpy'));
  const { RESULT, withArena } = require(path.join(folder, 'lib', 'memory.js'));
  const { takeResult } = require(path.join(folder, 'lib', 'values.js'));
  withArena((arena) => {
    arena.head.bytes.fill(0, RESULT, RESULT + 24);
    arena.head.view.setInt32(RESULT, 77, true);
    const take = () => takeResult(arena, { integers: 'auto', dicts: 'map' });
    assert.throws(take, /^Error: a value of kind 77, which this version of the package does not know: the library is newer$/);
  });
});

// ---- prepared functions

test('a prepared function is what its name stood for', async () => {
  const one = subpy.create({ integers: 'bigint', dicts: 'object' });
  one.exec('def f(*args, **kwargs): return {"args": args, "kwargs": kwargs}');
  const f = one.function('f');
  assert.ok(f instanceof subpy.PreparedFunction);
  one.exec('def f(): return None');
  assert.deepEqual(f.call([1, 'a'], { k: 2 }), { args: Tuple.of(1n, 'a'), kwargs: { k: 2n } });
  assert.deepEqual(f.call(), { args: new Tuple(), kwargs: {} });
  assert.deepEqual(await f.callInThread([3], new Map([['k', null]])), { args: Tuple.of(3n), kwargs: { k: null } });
  assert.equal(one.function('math:sqrt').call([2]), Math.SQRT2);
  assert.throws(() => f.call('args'), /^TypeError: args: an array is expected$/);
  await rejected(TypeError, f.callInThread([new Date()]));
  f.free();
  f.free();
  assert.equal(thrown(subpy.InterpreterNotFoundError, () => f.call()).code, 'SUBPY_ERROR_NOT_FOUND');
  await rejected(subpy.InterpreterNotFoundError, f.callInThread());

  const g = one.function('builtins:len');
  one.close();
  thrown(subpy.InterpreterNotFoundError, () => g.call([[]]));
  thrown(subpy.InterpreterNotFoundError, () => one.function('f'));
  g.free();
});

test('a name that is not there, or cannot be called, is prepared by nobody', () => {
  for (const [name, type] of [['nope', 'AttributeError'], ['nope:x', 'ModuleNotFoundError'], ['__name__', 'TypeError']]) {
    const error = thrown(subpy.ExecutionFailed, () => interp.function(name));
    assert.equal(error.excinfo.type.name, type);
  }
  for (const name of [undefined, 1, null, 'a\ud800']) assert.throws(() => interp.function(name), TypeError);
  const made = () => new subpy.PreparedFunction(1);
  assert.throws(made, /^TypeError: a PreparedFunction is made by Interpreter\.function\(\)$/);
});

test('a function may be freed while calls of it wait', async () => {
  interp.exec('def double(n): return 2 * n');
  const start = () => {
    const double = interp.function('double');
    const promise = double.callInThread([21]);
    double[Symbol.dispose](); // as `using` does it at the end of the block
    return promise;
  };
  for (let i = 0; i < 50; i++) assert.equal(await start(), 42);
});

test('a function that is garbage gives its object back', () => {
  const run = spawnSync(process.execPath, ['--expose-gc', '-e', `
    const subpy = require('subpy');
    const interp = subpy.create();
    interp.exec('import weakref; f = lambda: 1; alive = weakref.ref(f)');
    (() => interp.function('f').call())();
    interp.exec('del f');
    const wait = () => {
      gc();
      interp.exec('1'); // objects are given back by who comes next
      if (interp.eval('alive() is None')) { console.log('given back'); subpy.shutdown(); }
      else setTimeout(wait, 5);
    };
    setTimeout(wait, 5);`], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, 'given back\n', '']);
});

// ---- errors

test('an exception has its traceback', () => {
  const error = thrown(subpy.ExecutionFailed, () => interp.exec(`
    import json
    class Outer:
        class Error(Exception): pass
    def fail(n):
        if n: fail(n - 1)
        raise Outer.Error('nul \\0 and é')
    fail(1)
  `));
  assert.ok(error instanceof subpy.InterpreterError && error instanceof Error);
  assert.equal(error.name, 'ExecutionFailed');
  assert.equal(error.code, 'SUBPY_ERROR_EXECUTION_FAILED');
  assert.equal(error.status, -4);
  assert.equal(error.handle, interp.handle);
  assert.equal(error.message, 'Outer.Error: nul \0 and é');
  const { type, msg, formatted, errdisplay } = error.excinfo;
  assert.deepEqual(type, { name: 'Error', qualname: 'Outer.Error', module: '__main__' });
  assert.equal(msg, 'nul \0 and é');
  assert.equal(formatted, 'Outer.Error: nul \0 and é');
  assert.match(errdisplay, /^Traceback \(most recent call last\):\n  File "<script>", line 8, in <module>\n/);
  assert.deepEqual(error.frames.map((frame) => [frame.file, frame.line, frame.function]), [
    ['<script>', 8, '<module>'],
    ['<script>', 6, 'fail'],
    ['<script>', 7, 'fail'],
  ]);
  const [,, last] = error.frames;
  assert.deepEqual(Object.keys(last).sort(), ['column', 'endColumn', 'endLine', 'file', 'function', 'line', 'source']);
  assert.equal(error.exitStatus, null);
  assert.equal(thrown(subpy.ExecutionFailed, () => interp.exec('raise SystemExit(3)')).exitStatus, 3);
  const missing = thrown(subpy.ExecutionFailed, () => interp.call('nope'));
  assert.equal(missing.excinfo.type.name, 'AttributeError');
});

test('a source that does not compile says where', () => {
  const error = thrown(subpy.PythonSyntaxError, () => interp.exec('x = 1\ny ='));
  assert.equal(error.code, 'SUBPY_ERROR_SYNTAX');
  assert.deepEqual([error.line, error.column, error.text?.trimEnd()], [2, 4, 'y =']);
  assert.equal(error.excinfo.type.name, 'SyntaxError');
});

test('an interpreter that is closed is not found, and neither is one that never was', () => {
  const one = subpy.create();
  one.close();
  const uses = [
    (gone) => gone.exec('1'),
    (gone) => gone.eval('1'),
    (gone) => gone.call('f'),
    (gone) => gone.prepareMain({ x: 1 }),
    (gone) => gone.isRunning(),
    (gone) => gone.id,
    (gone) => gone.whence,
    (gone) => gone.close(),
  ];
  for (const gone of [one, new subpy.Interpreter(0), new subpy.Interpreter(77), new subpy.Interpreter(2 ** 53 - 1)]) {
    for (const use of uses) {
      assert.equal(thrown(subpy.InterpreterNotFoundError, () => use(gone)).code, 'SUBPY_ERROR_NOT_FOUND');
    }
  }
  one[Symbol.dispose](); // leaves alone what is closed, for blocks that close it themselves
  const open = subpy.create();
  open[Symbol.dispose]();
  thrown(subpy.InterpreterNotFoundError, () => open.exec('1'));
  thrown(subpy.InterpreterNotFoundError, () => subpy.find(999_999));
  thrown(subpy.InterpreterError, () => subpy.find(-1));
});

test('wrong arguments are TypeErrors', async () => {
  for (const handle of ['1', 1.5, -1, 1n, null, undefined, NaN, {}, 2 ** 53]) {
    assert.throws(() => new subpy.Interpreter(handle), TypeError);
  }
  for (const source of [undefined, null, 1, Buffer.from('1'), ['1'], 'a\udfff']) {
    assert.throws(() => interp.exec(source), TypeError);
    assert.throws(() => interp.eval(source), TypeError);
    assert.throws(() => interp.call(source), TypeError);
    await rejected(TypeError, interp.callInThread(source));
  }
  assert.throws(() => subpy.find('0'), TypeError);
  assert.throws(() => subpy.create(null), TypeError);
  assert.throws(() => new Float('2'), TypeError);
  for (const names of [null, 5, [], 'x', {}]) {
    const error = thrown(subpy.InterpreterError, () => interp.prepareMain(names));
    assert.equal(error.code, 'SUBPY_ERROR_INVALID_ARGUMENT');
  }
  thrown(subpy.InterpreterError, () => interp.call('builtins:dict', [], [1]));
  thrown(subpy.InterpreterError, () => interp.call('builtins:dict', [], new Map([[1, 1]])));
});

test('recursion that uses up the stack is a RecursionError', async () => {
  interp.exec(`
    deep = []
    for i in range(200_000): deep = [deep]
    def through_c(n): return sorted([1], key=lambda _: through_c(n + 1))
  `);
  for (const code of ['repr(deep)', 'through_c(0)', '(f := lambda: f())()']) {
    const failures = [
      thrown(subpy.ExecutionFailed, () => interp.eval(code)),
      await rejected(subpy.ExecutionFailed, interp.evalInThread(code)),
    ];
    for (const error of failures) assert.equal(error.excinfo.type.name, 'RecursionError', code);
  }
  interp.exec('del deep');

  const late = subpy.create();
  late.exec(`
    import atexit, os
    read, write = os.pipe()
    @atexit.register
    def recurse():
        deep = []
        for i in range(200_000): deep = [deep]
        try: repr(deep)
        except RecursionError: os.write(write, b'x')
  `);
  const ends = late.eval('(read, write)');
  late.close();
  assert.deepEqual(interp.call('os:read', [ends[0], 1]), Buffer.from('x'));
  for (const end of ends) interp.call('os:close', [end]);
});

// ---- threads

test('promises: results, exceptions, wrong arguments', async () => {
  await interp.execInThread('late = [1]');
  assert.deepEqual(await interp.evalInThread('late'), [1]);
  assert.equal(await interp.callInThread('builtins:pow', [2, 100]), 2n ** 100n);
  const error = await rejected(subpy.ExecutionFailed, interp.execInThread('1 / 0', { filename: 'late.py' }));
  assert.equal(error.excinfo.type.name, 'ZeroDivisionError');
  assert.equal(error.frames[0].file, 'late.py');
  await rejected(subpy.InterpreterNotFoundError, new subpy.Interpreter(77).callInThread('f'));
  await rejected(subpy.NotShareableError, interp.evalInThread('object()'));
});

test('a shutdown comes after the last promise', async () => {
  const one = subpy.create();
  one.exec(`
    import os
    read, write = os.pipe()
    def tell(): os.write(write, b'x'); return 'told'
  `);
  const read = one.eval('read');
  const outcomes = Promise.allSettled([one.callInThread('tell'), interp.execInThread('1 / 0')]);
  require('node:fs').readSync(read, Buffer.alloc(1));
  while (one.isRunning() || interp.isRunning()); // no turn of the event loop, so that no promise is settled
  const error = thrown(subpy.InterpreterError, () => subpy.shutdown());
  assert.deepEqual([error.code, error.status, error.handle], ['SUBPY_ERROR_BUSY', -3, 0]);
  assert.equal(error.message, '2 promises of runs are not settled yet: await them before the shutdown');
  const [told, failed] = await outcomes;
  assert.equal(told.value, 'told');
  assert.ok(failed.reason instanceof subpy.ExecutionFailed);
  one.exec('os.close(read); os.close(write)');
  one.close();
});

test('a promise is settled, and a shutdown possible, in any order', () => {
  const run = spawnSync(process.execPath, ['-e', `
    const assert = require('node:assert');
    const subpy = require('subpy');
    (async () => {
      for (let i = 0; i < 3; i++) {
        const one = subpy.create();
        assert.equal(await one.evalInThread('6 * 7'), 42);
        await assert.rejects(one.evalInThread('1 / 0'), subpy.ExecutionFailed);
        await assert.rejects(one.evalInThread(5), TypeError);
        subpy.shutdown();
      }
      console.log('done');
    })();`], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, 'done\n', '']);
});

/** Interpreters whose function `hold` comes back when it is told to, and how to tell them. */
function holders(count, options) {
  const all = Array.from({ length: count }, () => subpy.create(options));
  const [read, write] = interp.eval('__import__("os").pipe()');
  for (const one of all) one.exec(`import os\ndef hold(): return os.read(${read}, 1)`);
  return {
    all,
    release: (calls) => interp.call('os:write', [write, Buffer.alloc(calls)]),
    running: () => all.filter((one) => one.isRunning()).length,
    close() {
      for (const one of all) one.close();
      for (const end of [read, write]) interp.call('os:close', [end]);
    },
  };
}

async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('as many calls run at the same time as the pool has threads, and none on those of libuv', async () => {
  const { size } = subpy.pool;
  assert.ok(size >= 4);
  for (const count of [8, 2]) {
    subpy.pool.size = count;
    assert.equal(subpy.pool.size, count);
    const held = holders(10);
    const calls = held.all.map((one) => one.callInThread('hold'));
    await until(() => held.running() === count);
    await require('node:fs').promises.stat('.'); // on one of libuv's four threads
    await new Promise(setImmediate);
    assert.equal(held.running(), count);
    held.release(10);
    assert.deepEqual(await Promise.all(calls), Array(10).fill(Buffer.alloc(1)));
    assert.equal(subpy.pool.threads, count);
    held.close();
  }
  for (const wrong of [0, -1, 1.5, '4', NaN, undefined, Infinity]) {
    assert.throws(() => (subpy.pool.size = wrong), TypeError);
  }
  assert.throws(() => (subpy.pool.threads = 3), TypeError);
  assert.equal(subpy.pool.size, 2);
  subpy.pool.size = size;
});

test('calls that wait for one interpreter leave the other threads alone, and come in their order', async () => {
  const { size } = subpy.pool;
  subpy.pool.size = 2;
  const held = holders(1, { busy: 'wait' });
  const [patient] = held.all;
  patient.exec('order = []');
  const calls = [patient.callInThread('hold')];
  for (let i = 0; i < 20; i++) calls.push(patient.execInThread(`order.append(${i})`));
  calls.push(patient.evalInThread('1 / 0'), patient.evalInThread('order'));
  await until(() => held.running() === 1);
  assert.equal(await interp.evalInThread('6 * 7'), 42); // with all threads taken it would wait for ever
  held.release(1);
  const outcomes = await Promise.allSettled(calls);
  assert.deepEqual(outcomes.at(-1).value, Array.from({ length: 20 }, (_, i) => i));
  assert.ok(outcomes.at(-2).reason instanceof subpy.ExecutionFailed);
  held.close();
  subpy.pool.size = size;
});

test('every call is answered, whatever becomes of the pool meanwhile', async () => {
  const { size } = subpy.pool;
  const all = ['refuse', 'wait', 'share'].map((busy) => subpy.create({ busy }));
  for (const one of all) one.exec('def f(n):\n  if n % 7 == 0: raise ValueError(n)\n  return [n]');
  const end = performance.now() + 1000;
  const outcomes = { returned: 0, raised: 0, busy: 0 };
  const callers = Array.from({ length: 30 }, async (_, caller) => {
    for (let n = caller; performance.now() < end; n += 30) {
      try {
        assert.deepEqual(await all[n % 3].callInThread('f', [n]), [n]);
        outcomes.returned += 1;
      } catch (error) {
        if (error.code === 'SUBPY_ERROR_BUSY') {
          assert.equal(n % 3, 0);
          outcomes.busy += 1;
        } else {
          assert.equal(error.excinfo?.msg, String(n), error.stack);
          outcomes.raised += 1;
        }
      }
      if (n % 11 === 0) subpy.pool.size = 1 + (n % 5);
    }
  });
  await Promise.all(callers);
  assert.ok(outcomes.returned > 0 && outcomes.raised > 0, JSON.stringify(outcomes));
  for (const one of all) one.close();
  subpy.pool.size = size;
});

test('a pool does not keep a program from its end, a promise does', () => {
  const run = spawnSync(process.execPath, ['-e', `
    const interp = require('subpy').create();
    interp.evalInThread('6 * 7').then(console.log);`], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, '42\n', '']);
});

test('a thread that cannot start is an error of the call', () => {
  const run = spawnSync(process.execPath, ['-e', `
    const path = require('node:path');
    const subpy = require('subpy');
    const interp = subpy.create();
    const native = require(path.join(path.dirname(require.resolve('subpy')), 'lib', 'native.js'));
    const { file } = native;
    native.file = '/nonexistent.so';
    const calls = Array.from({ length: 20 }, () => interp.evalInThread('1'));
    Promise.allSettled(calls).then(async (outcomes) => {
      for (const { reason } of outcomes) console.log(reason.message.split(':')[0]);
      native.file = file;
      console.log(await interp.evalInThread('6 * 7'));
      subpy.shutdown();
    });`], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  const failed = 'a thread for the call could not be started\n';
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, `${failed.repeat(20)}42\n`, '']);
});

test('an interpreter runs one thing at a time, unless it is told to wait', async () => {
  const [strict, patient] = [subpy.create(), subpy.create({ busy: 'wait' })];
  const [read, write] = strict.eval('__import__("os").pipe()');
  const running = strict.callInThread('os:read', [read, 1]);
  while (!strict.isRunning()) await new Promise(setImmediate);
  assert.equal(thrown(subpy.InterpreterError, () => strict.exec('1')).code, 'SUBPY_ERROR_BUSY');
  assert.equal(thrown(subpy.InterpreterError, () => strict.close()).code, 'SUBPY_ERROR_BUSY');
  assert.equal(thrown(subpy.InterpreterError, () => subpy.shutdown()).code, 'SUBPY_ERROR_BUSY');
  assert.equal((await rejected(subpy.InterpreterError, strict.evalInThread('1'))).code, 'SUBPY_ERROR_BUSY');
  patient.call('os:write', [write, Buffer.from('x')]);
  assert.deepEqual(await running, Buffer.from('x'));

  patient.exec('order = []');
  await Promise.all(Array.from({ length: 20 }, (_, i) => patient.execInThread(`order.append(${i})`)));
  assert.deepEqual(patient.eval('sorted(order)'), Array.from({ length: 20 }, (_, i) => i));
  strict.exec(`import os; os.close(${read}); os.close(${write})`);
  strict.close();
  patient.close();
});

test('interpreters run in parallel', async () => {
  const pair = [subpy.create(), subpy.create()];
  for (const one of pair) {
    one.exec(`
      import ctypes, os, select
      def primes(n):
          sieve = bytearray([1]) * n
          for i in range(2, n):
              if sieve[i]:
                  for k in range(i * i, n, i): sieve[k] = 0
          return sum(sieve[2:])
      # PyDLL keeps the GIL while C runs: nobody else runs Python in this interpreter until the pipe can be read.
      def wait_with_gil(fd):
          class pollfd(ctypes.Structure):
              _fields_ = [('fd', ctypes.c_int), ('events', ctypes.c_short), ('revents', ctypes.c_short)]
          return ctypes.PyDLL(None).poll(ctypes.byref(pollfd(fd, select.POLLIN)), ctypes.c_ulong(1), 60_000)
    `);
  }
  const [read, write] = pair[0].eval('os.pipe()');
  const waiting = pair[0].callInThread('wait_with_gil', [read]);
  while (!pair[0].isRunning()) await new Promise(setImmediate);
  assert.equal(await pair[1].callInThread('primes', [50_000]), 5133);
  pair[1].call('os:write', [write, Buffer.from('x')]);
  assert.equal(await waiting, 1);

  const counts = await Promise.all(pair.map((one) => one.callInThread('primes', [1_000_000])));
  assert.deepEqual(counts, [78498, 78498]);
  pair[0].exec(`os.close(${read}); os.close(${write})`);
  for (const one of pair) one.close();
});

test('workers share the interpreters of the process', async () => {
  interp.exec('met = []');
  const shared = subpy.create({ busy: 'wait' });
  shared.exec('met = []');
  const ask = (index) => new Promise((resolve, reject) => {
    const worker = new Worker(path.join(__dirname, 'worker.js'), { workerData: { handle: shared.handle, index } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const answers = await Promise.all([0, 1, 2, 3].map(ask));
  assert.deepEqual(answers, [0, 1, 2, 3].map((index) => ({ index, own: index * index, error: 'ZeroDivisionError' })));
  assert.deepEqual(shared.eval('sorted(met)'), [0, 1, 2, 3].flatMap((index) => Array(10).fill(index)));
  shared.close();
});

test('a worker may be terminated while Python runs for it', async () => {
  const worker = new Worker(path.join(__dirname, 'worker.js'), { workerData: { sleep: 0.5 } });
  const handle = await new Promise((resolve) => worker.once('message', resolve));
  await worker.terminate();
  const left = new subpy.Interpreter(handle);
  while (left.isRunning()) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(left.eval('6 * 7'), 42);
  left.close();
});

// ---- the standard library

test('extension modules find what they need', () => {
  const one = subpy.create({ path: [PROGRAM] });
  const seen = Object.fromEntries(one.call('stdlib:use'));
  const { openssl, zlib } = process.versions;
  console.log(`Node: OpenSSL ${openssl}, zlib ${zlib}; Python ${subpy.pythonVersion()}: ${seen.versions}`);
  delete seen.versions;
  assert.deepEqual(seen, {
    tls: 'through TLS',
    sha256: require('node:crypto').createHash('sha256').update('subpy').digest('hex'),
    rows: 6,
    asyncio: 'later',
    json: new Map([['a', [1, null]]]),
    ctypes: 5,
    zlib: true,
  });
  one.close();
});

// ---- the process

test('a program may exit without closing anything', () => {
  const run = (code) => spawnSync(process.execPath, ['-e', code], { cwd: PROGRAM, encoding: 'utf8', timeout: 60_000 });
  const waited = run(`
    const interp = require('subpy').create();
    interp.execInThread('import time; print("begun", flush=True); time.sleep(0.3); print("ended")');
    const exit = () => (interp.isRunning() ? process.exit(7) : setImmediate(exit));
    exit();`);
  assert.deepEqual([waited.status, waited.stdout, waited.stderr], [7, 'begun\nended\n', '']);
  const left = run(`
    const interp = require('subpy').create();
    interp.exec('print("printed")');
    process.exitCode = 7;`);
  assert.deepEqual([left.status, left.stdout, left.stderr], [7, 'printed\n', '']);
  const started = run(`
    const subpy = require('subpy');
    const one = subpy.create();
    one.close();
    subpy.shutdown();
    const two = subpy.create();
    if (two.eval('1 + 1') !== 2) process.exit(1);
    try { one.exec('1'); process.exit(2); } catch (error) { if (error.code !== 'SUBPY_ERROR_NOT_FOUND') throw error; }
    subpy.shutdown();`);
  assert.deepEqual([started.status, started.stdout, started.stderr], [0, '', '']);
});

test('the examples print what the documentation says', () => {
  const printed = (program) => {
    return execFileSync(process.execPath, [path.join(PROGRAM, 'examples', program)], { encoding: 'utf8' });
  };
  assert.equal(printed('hello.mjs'), `to: 2
be: 2
Traceback (most recent call last):
  File "<script>", line 1, in <module>
    count(42)
    ~~~~~^^^^
  File "<script>", line 5, in count
    words = collections.Counter(text.split())
                                ^^^^^^^^^^
AttributeError: 'int' object has no attribute 'split'
`);
  assert.equal(printed('pool.mjs'), '6\n4\n6\n16 words\n');
  assert.equal(printed('parallel.mjs'), '2762 + 2371 + 2260 + 2199 = 9592\nthe event loop ran\n');
});

test('an interpreter has the packages of a virtual environment', () => {
  const maker = subpy.create();
  maker.exec(`
    import os, shutil, sys, tempfile
    folder = tempfile.mkdtemp()
    os.makedirs(folder + '/lib/python%d.%d/site-packages' % sys.version_info[:2])
    open(folder + '/pyvenv.cfg', 'w').close()
  `);
  const venv = maker.eval('folder');
  const interp = subpy.create({ venv });
  assert.equal(interp.eval("__import__('sys').prefix"), venv);
  interp.close();
  maker.exec('shutil.rmtree(folder)');
  maker.close();
  const error = thrown(subpy.InterpreterError, () => subpy.create({ venv }));
  assert.match(error.message, /is no folder; make one with: python3\./);
});

test('ES modules and CommonJS see one package', () => {
  const run = (type, code) => {
    return execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd: PROGRAM, encoding: 'utf8' });
  };
  assert.equal(run('module', `
    import subpy, * as all from 'subpy';
    import { createRequire } from 'node:module';
    import assert from 'node:assert';
    const required = createRequire(import.meta.url)('subpy');
    assert.equal(subpy, required);
    assert.deepEqual(Object.keys(all).sort(), [...Object.keys(required), 'default'].sort());
    for (const name of Object.keys(required)) assert.equal(all[name], required[name]);
    console.log(all.create().eval('6 * 7'));
    all.shutdown();`), '42\n');
  assert.equal(run('commonjs', "console.log(require('subpy/package.json').name)"), 'subpy\n');
});
