'use strict';

// Many calls of a function in one crossing.

const assert = require('node:assert/strict');
const { after, test } = require('node:test');

const subpy = require('subpy');

const interp = subpy.create({ busy: 'wait' });
after(() => {
  interp.close();
  subpy.shutdown();
});

/** callMany() in both of its ways, which do the same. */
async function both(f, rows, options, check) {
  let outcome;
  try {
    outcome = { results: f.callMany(rows, options) };
  } catch (error) {
    outcome = { error };
  }
  await check(outcome);
  outcome = await f.callManyInThread(rows, options).then((results) => ({ results }), (error) => ({ error }));
  await check(outcome);
}

test('the results are those of single calls', async () => {
  interp.exec('def pair(a, b=None): return (a, b)\ndef none(): return None');
  const pair = interp.function('pair');
  const values = [
    null, true, 1, -(2n ** 53n), 2n ** 70n, 0.5, 'text', 'Zoë \u{1f40d}', '', Buffer.of(0, 255), subpy.Tuple.of(1, [2]),
    [[], [[]]], new Map([['k', new Map([[subpy.Tuple.of(1), 'x']])]]), 'x'.repeat(1000),
  ];
  for (const count of [0, 1, 2, 255, 256, 257, 1000, 20_000]) {
    const rows = Array.from({ length: count }, (_, i) => [values[i % values.length], i]);
    const expected = rows.map(([a, b]) => subpy.Tuple.of(a, b));
    await both(pair, rows, {}, ({ results }) => assert.deepEqual(results, expected));
    await both(pair, rows, { returnErrors: true }, ({ results }) => assert.deepEqual(results, expected));
  }
  assert.deepEqual(pair.callMany([['a'], ['b']]), [subpy.Tuple.of('a', null), subpy.Tuple.of('b', null)]);
  assert.deepEqual(pair.callMany([['a', ,]]), [subpy.Tuple.of('a', null)]);
  const none = interp.function('none');
  await both(none, [[], [], []], undefined, ({ results }) => assert.deepEqual(results, [null, null, null]));
  const wide = Array.from({ length: 3 }, (_, row) => Array.from({ length: 10_000 }, (_, i) => i * row));
  const max = interp.function('builtins:max');
  await both(max, wide, undefined, ({ results }) => assert.deepEqual(results, [0, 9999, 19_998]));
  // One that is made a list of arguments of another.
  assert.equal(interp.call('builtins:sum', [max.callMany(wide)]), 29_997);

  const one = subpy.create({ integers: 'bigint', dicts: 'object' });
  one.exec('def f(n): return {"n": n}');
  assert.deepEqual(one.function('f').callMany([[1], [2n]]), [{ n: 1n }, { n: 2n }]);
  one.close();
});

test('many calls', async () => {
  interp.exec(`
    def price(amount, rate):
        return round(amount * (1 + rate), 2)
  `);
  const price = interp.function('price');
  const prices = price.callMany([[100, 0.19], [250, 0.07]]);
  assert.deepEqual(prices, [119, 267.5]);

  const outcomes = price.callMany([[100, 0.19], ['free', 0.07]], { returnErrors: true });
  for (const outcome of outcomes) {
    if (outcome instanceof Error) console.log(`row ${outcome.row}: ${outcome.excinfo.msg}`);
    else console.log(outcome);
  }
  assert.equal(outcomes[0], 119);
  assert.equal(outcomes[1].row, 1);
});

test('the first error ends it, and knows its row', async () => {
  interp.exec(`
    calls = 0
    def f(n):
        global calls
        calls += 1
        if n == 3: raise ValueError(f'bad {n}')
        if n == 4: return ['fine', {'x': {1}}]
        if n == 5: raise SystemExit(9)
        return n
  `);
  const f = interp.function('f');
  const rows = Array.from({ length: 10 }, (_, n) => [n]);
  await both(f, rows, {}, ({ error }) => {
    assert.ok(error instanceof subpy.ExecutionFailed);
    assert.equal(error.row, 3);
    assert.equal(error.message, 'row 3: ValueError: bad 3');
    assert.equal(error.excinfo.formatted, 'ValueError: bad 3');
    assert.equal(error.excinfo.type.name, 'ValueError');
    assert.match(error.excinfo.errdisplay, /ValueError: bad 3$/);
    assert.equal(error.frames.at(-1).function, 'f');
    assert.equal(error.code, 'SUBPY_ERROR_EXECUTION_FAILED');
    assert.equal(error.handle, interp.handle);
    assert.equal(error.exitStatus, null);
  });
  assert.equal(interp.eval('calls'), 8);
  await both(f, rows.slice(4), { returnErrors: false }, ({ error }) => {
    assert.ok(error instanceof subpy.NotShareableError);
    assert.equal(error.row, 0);
    assert.equal(error.message, "row 0: result[1]['x']: set cannot be shared");
  });
  // Other errors are no row's.
  for (const call of [() => f.call([3]), () => interp.exec('1 +'), () => subpy.find(12_345)]) {
    assert.throws(call, (error) => error instanceof subpy.InterpreterError && error.row === null);
  }
  await both(f, [[1, 2]], {}, ({ error }) => {
    assert.equal(error.message, 'row 0: TypeError: f() takes 1 positional argument but 2 were given');
  });
});

test('errors among the results', async () => {
  interp.exec(`
    class Own(Exception): pass
    def f(n):
        if n == 7: raise KeyboardInterrupt
        if n == 8: raise SystemExit(3)
        if n % 3 == 1: raise Own(n)
        if n % 3 == 2: return [n, lambda: n]
        return [n]
  `);
  const f = interp.function('f');
  const rows = Array.from({ length: 600 }, (_, i) => [i + 9]);
  await both(f, rows, { returnErrors: true }, ({ results }) => {
    assert.equal(results.length, rows.length);
    for (const [row, result] of results.entries()) {
      if (row % 3 === 0) {
        assert.deepEqual(result, [row + 9]);
      } else if (row % 3 === 1) {
        assert.ok(result instanceof subpy.ExecutionFailed);
        assert.equal(result.row, row);
        assert.equal(result.message, `row ${row}: Own: ${row + 9}`);
        assert.deepEqual(result.excinfo.type, { name: 'Own', qualname: 'Own', module: '__main__' });
        assert.equal(result.excinfo.msg, String(row + 9));
        assert.match(result.excinfo.errdisplay, /raise Own\(n\)/);
        assert.equal(result.frames.length, 1);
        assert.equal(result.frames[0].function, 'f');
        assert.equal(result.handle, interp.handle);
      } else {
        assert.ok(result instanceof subpy.NotShareableError);
        assert.equal(result.row, row);
        assert.equal(result.code, 'SUBPY_ERROR_NOT_SHAREABLE');
        assert.equal(result.status, -5);
        assert.equal(result.message, `row ${row}: result[1]: function cannot be shared`);
      }
    }
    assert.throws(() => interp.call('f', [results]), /^TypeError: args\[0\]\[1\]: an object of ExecutionFailed has no/);
  });
  // What `except Exception` does not catch ends the call.
  await both(f, [[10], [7], [9]], { returnErrors: true }, ({ error }) => {
    assert.equal(error.message, 'row 1: KeyboardInterrupt: ');
    assert.equal(error.row, 1);
  });
  await both(f, [[10], [9], [8], [9]], { returnErrors: true }, ({ error }) => {
    assert.equal(error.exitStatus, 3);
    assert.equal(error.row, 2);
  });
});

test('a result that JS has no value for is an error of its row', async () => {
  const one = subpy.create({ integers: 'number', busy: 'wait' });
  one.exec('def f(n): return [2 ** n]');
  const f = one.function('f');
  const message = /^row 1: an int beyond 2\^53 - 1 has no number/;
  await both(f, [[1], [60], [2], [70]], {}, ({ error }) => {
    assert.ok(error instanceof RangeError);
    assert.match(error.message, message);
    assert.equal(error.row, 1);
  });
  await both(f, [[1], [60], [2], [70]], { returnErrors: true }, ({ results }) => {
    assert.deepEqual([results[0], results[2]], [[2], [4]]);
    assert.match(results[1].message, message);
    assert.ok(results[3] instanceof RangeError);
    assert.equal(results[3].row, 3);
  });
  one.close();
});

test('rows that are none are TypeErrors, and nothing runs', async () => {
  interp.exec('calls = 0\ndef f(*args):\n  global calls\n  calls += 1');
  const f = interp.function('f');
  const getter = { length: 2, 0: 1, 1: 2 };
  const wrong = [
    [undefined, 'rows: an array of arrays is expected'],
    ['ab', 'rows: an array of arrays is expected'],
    [[1, 2], 'rows[0]: an array is expected'],
    [[[1], 'a'], 'rows[1]: an array is expected'],
    [[[1], getter], 'rows[1]: an array is expected'],
    [[[1], , [2]], 'rows[1]: an array is expected'],
    [[[1, 2], [3, 4], [5]], 'rows[2] has 1 items, rows[0] has 2'],
    [[[], [1]], 'rows[1] has 1 items, rows[0] has 0'],
    [[[1, 2], [3, { k: [new Date()] }]], 'rows[1][1]["k"][0]: an object of Date has no Python value'],
    [[[1], ['\ud800']], 'rows[1][0]: a string with a lone surrogate has no Python value'],
  ];
  for (const [rows, message] of wrong) {
    for (const options of [undefined, { returnErrors: true }]) {
      await both(f, rows, options, ({ error }) => {
        assert.ok(error instanceof TypeError);
        assert.equal(error.message, message);
      });
    }
  }
  await both(f, [], { errors: true }, ({ error }) => {
    assert.equal(error.message, 'options: errors is not one of returnErrors');
  });
  await both(f, [], null, ({ error }) => assert.ok(error instanceof TypeError));
  const loop = [];
  loop.push(loop);
  await both(f, [[1], [loop]], {}, ({ error }) => assert.ok(error instanceof RangeError));
  assert.equal(interp.eval('calls'), 0);

  // What changes while it is read is as long as it was, and a call in between has memory of its own.
  const row = [{ get a() { row.length = 0; rows.length = 1; return f.callMany([[1], [2]]); } }, 2];
  const rows = [row, [3, 4]];
  interp.exec('def f(*args): return args');
  assert.deepEqual(interp.function('f').callMany(rows), [
    subpy.Tuple.of(new Map([['a', [null, null]]]), null), subpy.Tuple.of(3, 4),
  ]);
});

test('a function that was freed or closed is not found', async () => {
  const one = subpy.create();
  const [f, g] = [one.function('builtins:abs'), one.function('builtins:abs')];
  const call = f.callManyInThread([[-1], [-2]]);
  f.free();
  assert.deepEqual(await call, [1, 2]);
  await both(f, [[1]], {}, ({ error }) => assert.ok(error instanceof subpy.InterpreterNotFoundError));
  one.close();
  await both(g, [[1]], { returnErrors: true }, ({ error }) => {
    assert.ok(error instanceof subpy.InterpreterNotFoundError);
    assert.equal(error.row, null);
  });
});

test('calls of several threads at once', async () => {
  interp.exec('def twice(n): return 2 * n');
  const twice = interp.function('twice');
  const rows = Array.from({ length: 300 }, (_, n) => [n]);
  const expected = rows.map(([n]) => 2 * n);
  const promises = Array.from({ length: 20 }, () => twice.callManyInThread(rows));
  for (let i = 0; i < 20; i++) assert.deepEqual(twice.callMany(rows), expected);
  for (const results of await Promise.all(promises)) assert.deepEqual(results, expected);
  const single = twice.callInThread([4]);
  assert.deepEqual(await Promise.all([twice.callManyInThread([[1]]), single]), [[2], 8]);
});

test('results and errors leave no memory behind', () => {
  interp.exec('def f(n):\n  if n % 2: raise ValueError("x" * 10_000)\n  return "x" * 10_000');
  const f = interp.function('f');
  const rows = Array.from({ length: 100 }, (_, n) => [n]);
  const rss = () => {
    for (let i = 0; i < 30; i++) assert.equal(f.callMany(rows, { returnErrors: true }).length, 100);
    return process.memoryUsage.rss();
  };
  rss();
  const before = rss();
  // Each of them makes more than 60 MB.
  for (let i = 0; i < 3; i++) rss();
  assert.ok(rss() - before < 100 << 20);
});
