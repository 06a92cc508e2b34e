'use strict';

// Queues, and pools of interpreters.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');

const subpy = require('subpy');

const interp = subpy.create({ busy: 'wait' });
after(() => {
  interp.close();
  subpy.shutdown({ interrupt: true, timeout: 10_000 });
});

const abort = { name: 'AbortError', code: 'SUBPY_ERROR_INTERRUPTED' };

/** How many threads this process has. */
const threads = () => fs.readdirSync('/proc/self/task').length;

// ---- queues

test('a queue carries values, in their order', async () => {
  const queue = new subpy.Queue();
  const values = [1, 'two', [3.5, null], new Map([['k', true]]), subpy.Tuple.of(Buffer.of(1)), 2n ** 70n];
  for (const value of values) await queue.put(value);
  assert.equal(queue.size, values.length);
  for (const value of values) assert.deepEqual(await queue.get(), value);
  assert.throws(() => queue.getNowait(), { name: 'QueueEmpty', code: 'SUBPY_ERROR_TIMEOUT' });
  queue.putNowait(7);
  assert.equal(queue.getNowait(), 7);
  await assert.rejects(queue.put(new Date()), /^TypeError: value: an object of Date/);
  await assert.rejects(queue.put(interp.eval('object()', { results: 'object' })), subpy.NotShareableError);
  assert.equal(queue.size, 0);
  const reading = new subpy.Queue({ integers: 'bigint', dicts: 'object' });
  reading.putNowait({ a: 1 });
  assert.deepEqual(await reading.get(), { a: 1n });
  assert.throws(() => new subpy.Queue({ capacity: -1 }), TypeError);
  assert.throws(() => new subpy.Queue({ maxsize: 1 }), TypeError);
});

test('a queue goes to Python and back', async () => {
  interp.exec(`
    def work(tasks, results):
        for number in tasks:
            results.put({'number': number, 'square': number ** 2})
        results.close()
  `);
  const [tasks, results] = [new subpy.Queue({ capacity: 2 }), new subpy.Queue({ capacity: 2, dicts: 'object' })];
  const worker = interp.callInThread('work', [tasks, results]);
  const put = (async () => {
    for (let number = 0; number < 500; number++) await tasks.put(number);
    tasks.close();
  })();
  const seen = [];
  for await (const result of results) seen.push(result);
  assert.deepEqual(seen, Array.from({ length: 500 }, (_, number) => ({ number, square: number ** 2 })));
  await Promise.all([worker, put]);

  interp.prepareMain({ tasks: new subpy.Queue() });
  const again = interp.eval('tasks');
  interp.exec('tasks.put("from Python")');
  assert.equal(await again.get(), 'from Python');
  assert.equal(interp.eval('[tasks, 1]')[0].handle !== again.handle, true);
  interp.define('host_queue', (queue) => queue.putNowait('from JS'));
  interp.exec('host_queue(tasks)');
  assert.equal(again.getNowait(), 'from JS');
});

test('who waits for a queue is woken', async () => {
  const queue = new subpy.Queue({ capacity: 1 });
  const gets = [queue.get(), queue.get(), queue.get({ timeout: 10_000 })];
  await sleep(10);
  for (const value of ['a', 'b', 'c']) await queue.put(value);
  assert.deepEqual(await Promise.all(gets), ['a', 'b', 'c']);

  await queue.put(1);
  const before = threads();
  const puts = [2, 3, 4].map((value) => queue.put(value));
  await sleep(20);
  assert.ok(threads() <= before + 1); // one that waits for all
  assert.equal(queue.size, 1);
  for (const value of [1, 2, 3, 4]) assert.equal(await queue.get(), value);
  await Promise.all(puts);

  await queue.put(1);
  const late = [queue.put(2), queue.put(3)];
  await sleep(5);
  queue.close();
  for (const put of late) await assert.rejects(put, { name: 'QueueClosed', code: 'SUBPY_ERROR_WRONG_STATE' });
  assert.equal(await queue.get(), 1);
  await assert.rejects(queue.get(), subpy.QueueClosed);
  await assert.rejects(queue.put(5), subpy.QueueClosed);
  assert.throws(() => queue.putNowait(5), subpy.QueueClosed);
  assert.throws(() => queue.getNowait(), subpy.QueueClosed);

  const closed = new subpy.Queue();
  const waits = [closed.get(), closed.get()];
  await sleep(5);
  closed.close();
  for (const wait of waits) await assert.rejects(wait, subpy.QueueClosed);
});

test('a wait for a queue ends in time, and with its signal', async () => {
  const queue = new subpy.Queue({ capacity: 1 });
  await assert.rejects(queue.get({ timeout: 5 }), subpy.QueueEmpty);
  await assert.rejects(queue.get({ timeout: 0 }), subpy.QueueEmpty);
  await assert.rejects(queue.get({ signal: AbortSignal.timeout(5) }), abort);
  await assert.rejects(queue.get({ signal: AbortSignal.abort('why') }), (error) => error.cause === 'why');
  await queue.put('kept');
  assert.throws(() => queue.putNowait(1), { name: 'QueueFull', code: 'SUBPY_ERROR_TIMEOUT' });
  await assert.rejects(queue.put(1, { timeout: 5 }), subpy.QueueFull);
  await assert.rejects(queue.put(1, { timeout: 0 }), subpy.QueueFull);
  await assert.rejects(queue.put(1, { signal: AbortSignal.timeout(5) }), abort);
  const controller = new AbortController();
  const puts = [queue.put('first'), queue.put('second', { signal: controller.signal }), queue.put('third')];
  controller.abort();
  await assert.rejects(puts[1], abort);
  assert.deepEqual([await queue.get(), await queue.get(), await queue.get()], ['kept', 'first', 'third']);
  await Promise.all([puts[0], puts[2]]);
  // A get that has ended has taken nothing.
  const cancelled = new AbortController();
  const gets = [queue.get({ signal: cancelled.signal }), queue.get()];
  cancelled.abort();
  await assert.rejects(gets[0], abort);
  await queue.put('item');
  assert.equal(await gets[1], 'item');
  await assert.rejects(queue.get({ timeout: -1 }), TypeError);
  await assert.rejects(queue.get({ wait: 1 }), TypeError);
});

test('memory goes through a queue without being passed twice', async () => {
  const queue = new subpy.Queue({ capacity: 1 });
  let told = 0;
  const memory = () => new subpy.MemoryView(Buffer.from('abc'), { onRelease: () => (told += 1) });
  const puts = [queue.put(memory()), queue.put(memory()), queue.put(memory(), { timeout: 5 })];
  await assert.rejects(puts[2], subpy.QueueFull);
  assert.equal(told <= 1, true);
  interp.exec('def take(queue): return [bytes(queue.get()), bytes(queue.get())]');
  assert.deepEqual(await interp.callInThread('take', [queue]), [Buffer.from('abc'), Buffer.from('abc')]);
  for (let i = 0; i < 200 && told < 3; i++) {
    interp.exec('1');
    await sleep(5);
  }
  assert.equal(told, 3);
});

test('a queue that was freed', async () => {
  const queue = new subpy.Queue({ capacity: 1 });
  const get = queue.get();
  queue.free();
  queue.free();
  await assert.rejects(get, subpy.InterpreterNotFoundError);
  await assert.rejects(queue.put(1), subpy.InterpreterNotFoundError);
  assert.throws(() => queue.size, subpy.InterpreterNotFoundError);
  assert.throws(() => interp.call('builtins:str', [queue]), subpy.InterpreterNotFoundError);
  const full = new subpy.Queue({ capacity: 1 });
  const same = subpy.Queue.from(full.handle);
  await full.put(1);
  const puts = [full.put(2), full.put(3)];
  full.free();
  await assert.rejects(puts[1], subpy.InterpreterNotFoundError);
  assert.equal(await same.get(), 1);
  assert.equal(await same.get(), 2); // that was on its way
  await puts[0];
  const before = fs.readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 500; i++) {
    const one = new subpy.Queue();
    const wait = one.get();
    one.free();
    await assert.rejects(wait, subpy.InterpreterNotFoundError);
  }
  assert.ok(fs.readdirSync('/proc/self/fd').length < before + 10);
});

test('queues between workers, of which one is ended while it waits', async () => {
  const [there, back] = [new subpy.Queue(), new subpy.Queue({ capacity: 1 })];
  const worker = new Worker(`
    const subpy = require('subpy');
    const { workerData, parentPort } = require('node:worker_threads');
    const [there, back] = workerData.map((handle) => subpy.Queue.from(handle));
    (async () => {
      for await (const item of there) await back.put(item * 2);
    })();
    parentPort.postMessage('ready');
  `, { eval: true, workerData: [there.handle, back.handle] });
  await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  for (let i = 0; i < 100; i++) {
    there.putNowait(i);
    assert.equal(await back.get(), 2 * i);
  }
  await worker.terminate();
  there.putNowait('nobody has taken it');
  assert.equal(await there.get(), 'nobody has taken it');
});

test('every item comes out once', async () => {
  const queue = new subpy.Queue({ capacity: 8 });
  const other = subpy.create();
  const put = 'def put(queue, start):\n  for i in range(start, start + 500): queue.put(i)';
  const take = 'def take(queue): return [item for item in queue]';
  for (const one of [interp, other]) one.exec(`${put}\n${take}`);
  const takers = [0, 1, 2].map(async () => {
    const taken = [];
    for (;;) {
      try {
        taken.push(await queue.get({ timeout: Math.random() * 3 }));
      } catch (error) {
        if (error instanceof subpy.QueueClosed) return taken;
        if (!(error instanceof subpy.QueueEmpty)) throw error;
      }
    }
  });
  const puts = async (start) => {
    for (let i = start; i < start + 500;) {
      try {
        await queue.put(i, { timeout: Math.random() * 3 });
        i += 1;
      } catch (error) {
        if (!(error instanceof subpy.QueueFull)) throw error;
      }
    }
  };
  const third = subpy.create();
  third.exec(take);
  const inPython = third.callInThread('take', [queue]);
  await Promise.all([
    interp.callInThread('put', [queue, 0]), other.callInThread('put', [queue, 500]), puts(1000), puts(1500),
  ]);
  queue.close();
  const all = [...(await Promise.all(takers)).flat(), ...await inPython].sort((a, b) => a - b);
  assert.deepEqual(all, Array.from({ length: 2000 }, (_, i) => i));
  other.close();
  third.close();
});

// ---- pools

test('a pool runs tasks', async () => {
  const pool = await subpy.createPool({
    workers: 2,
    setup: `
      import threading
      def add(a, b=0): return a + b
      def whoami(): return threading.get_native_id()
    `,
    dicts: 'object',
  });
  assert.equal(await pool.call('add', [1], { b: 2 }), 3);
  assert.equal(await pool.eval('add(3, 4)'), 7);
  assert.deepEqual(await pool.eval('{"a": 1}'), { a: 1 });
  assert.equal(await pool.exec('x = 1', { filename: 'a.py' }), undefined);
  const sums = await Promise.all(Array.from({ length: 1000 }, (_, i) => pool.call('add', [i, 1])));
  assert.deepEqual(sums, Array.from({ length: 1000 }, (_, i) => i + 1));
  assert.equal(new Set(await Promise.all(Array.from({ length: 50 }, () => pool.call('whoami')))).has(process.pid), false);
  await assert.rejects(pool.call('add', ['a', 1]), (error) => error.excinfo.type.name === 'TypeError');
  await assert.rejects(pool.exec('syntax error'), subpy.PythonSyntaxError);
  await assert.rejects(pool.call('add', [new Date()]), /^TypeError: args\[0\]/);
  await assert.rejects(pool.call('add', [1], null, { filename: 'x' }), /^TypeError: options/);
  let printed = '';
  await pool.exec('print("hello")', { output: (text) => (printed += text) });
  assert.equal(printed, 'hello\n');
  const object = await pool.eval('add', { results: 'object' });
  assert.equal(await object.callInThread([20, 1]), 21);
  const { submitted, done, failed, running, queued, workers } = pool.stats();
  assert.deepEqual([submitted, done, failed, running, queued, workers], [1058, 1058, 2, 0, 0, 2]);
  await pool.close();
  await assert.rejects(pool.call('add', [1]), subpy.InterpreterNotFoundError);
  await assert.rejects(pool.close(), subpy.InterpreterNotFoundError);
  assert.throws(() => new subpy.InterpreterPool(), TypeError);
});

test('what a pool is made of', async () => {
  await assert.rejects(subpy.createPool({ workers: 1, setup: '1 / 0' }), subpy.ExecutionFailed);
  await assert.rejects(subpy.createPool({ worker: 1 }), /^TypeError: options: worker is not one of/);
  await assert.rejects(subpy.createPool({ workers: -1 }), /^TypeError: workers/);
  await assert.rejects(subpy.createPool({ functions: { f: 1 } }), /^TypeError: functions: f/);
  let printed = '';
  const pool = await subpy.createPool({
    workers: 2,
    setup: 'import host\nready = host.double(21)\nprint("made")',
    taggedValues: true,
    memoryLimit: 100 << 20,
    runsPerWorker: 2,
    output: (text) => (printed += text),
    functions: {
      'host:double': async (x) => {
        await sleep(1);
        return 2 * x;
      },
      'host:same': [function (code) {
        return new subpy.Interpreter(this.handle).eval(code);
      }, { signature: '(code)', doc: 'Evaluates it.' }],
    },
  });
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await Promise.all([1, 2, 3].map((x) => pool.call('host:double', [x]))), [2, 4, 6]);
    assert.equal(await pool.eval('host.same("ready + 1")'), 43);
  }
  assert.equal(await pool.eval('host.same.__doc__'), 'Evaluates it.');
  assert.deepEqual(await pool.eval('{1}'), new Set([1]));
  await assert.rejects(pool.exec('bytearray(1 << 30)'), (error) => error.excinfo.type.name === 'MemoryError');
  await pool.close();
  await sleep(20);
  assert.ok(pool.stats === subpy.InterpreterPool.prototype.stats);
  assert.match(printed, /^(made\n){4,}$/);
});

test('tasks have limits, and are cancelled', async () => {
  const pool = await subpy.createPool({ workers: 1, backlog: 2, spares: 2 });
  await assert.rejects(pool.exec('while True: pass', { timeout: 20 }), subpy.ExecutionTimeout);
  await assert.rejects(pool.exec('while True: pass', { signal: AbortSignal.timeout(20) }), abort);
  await assert.rejects(pool.exec('1', { signal: AbortSignal.abort('why') }), (error) => error.cause === 'why');
  const controller = new AbortController();
  const running = pool.exec('while True: pass', { signal: controller.signal });
  while (pool.stats().running === 0) await sleep(1);
  const waiting = [pool.eval('1', { signal: controller.signal }), pool.eval('2')];
  await assert.rejects(pool.eval('3'), { code: 'SUBPY_ERROR_BUSY' });
  const outcomes = Promise.allSettled([running, ...waiting]);
  controller.abort('enough');
  for (const { reason } of (await outcomes).slice(0, 2)) {
    assert.deepEqual([reason.name, reason.code, reason.cause], ['AbortError', 'SUBPY_ERROR_INTERRUPTED', 'enough']);
  }
  assert.equal(await waiting[1], 2);
  const stuck = pool.exec('import time; time.sleep(0.3)', { timeout: 20, abandon: true });
  await assert.rejects(stuck, subpy.ExecutionTimeout);
  assert.equal(await pool.eval('4'), 4);
  assert.ok(pool.stats().replaced >= 3);
  await sleep(300);
  await pool.close();
});

test('a pool of processes', async () => {
  const pool = await subpy.createPool({ workers: 2, isolation: 'process', grace: 50, setup: 'import os, ctypes, itertools' });
  const good = [];
  const submit = () => good.push(...Array.from({ length: 30 }, (_, n) => pool.eval(`${n} + 1`)));
  const bad = [];
  for (const [code, timeout] of [['os._exit(3)'], ['ctypes.string_at(1)'], ['sum(itertools.repeat(1))', 30]]) {
    submit();
    bad.push(pool.exec(code, { timeout }).catch((error) => error));
  }
  submit();
  assert.deepEqual(await Promise.all(good), Array.from({ length: 120 }, (_, n) => (n % 30) + 1));
  const errors = await Promise.all(bad);
  assert.ok(errors[0] instanceof subpy.InterpreterCrashed && errors[0].exitCode === 3);
  assert.ok(errors[1] instanceof subpy.InterpreterCrashed && errors[1].signal === 11);
  assert.ok(errors[2] instanceof subpy.ExecutionTimeout);
  const { crashed, isolation, reason } = pool.stats();
  assert.deepEqual([crashed, isolation, reason], [3, 'process', '']);
  await pool.close();
});

test('a pool moves to processes when a module needs one', async () => {
  await assert.rejects(subpy.createPool({ isolation: 'thread' }), /^TypeError: isolation/);
  const pool = await subpy.createPool({ workers: 1, isolation: 'auto' });
  assert.deepEqual([pool.stats().isolation, pool.stats().reason], ['ownGil', '']);
  assert.equal(await pool.call('os:getpid'), process.pid);
  await pool.exec('import faulthandler');
  const { isolation, reason } = pool.stats();
  assert.deepEqual([isolation, reason], ['process', 'module faulthandler does not support loading in subinterpreters']);
  assert.notEqual(await pool.call('os:getpid'), process.pid);
  await pool.close();
});

test('a pool is closed', async () => {
  const make = () => subpy.createPool({ workers: 1, setup: 'import time' });
  let pool = await make();
  const tasks = [1, 2, 3].map((n) => pool.eval(`time.sleep(0.01) or ${n}`));
  await pool.close();
  assert.deepEqual(await Promise.all(tasks), [1, 2, 3]);

  pool = await make();
  const slow = pool.exec('while True: pass');
  await assert.rejects(pool.close({ timeout: 20 }), { code: 'SUBPY_ERROR_BUSY' });
  const next = pool.eval('1');
  const outcomes = Promise.allSettled([slow, next]);
  await pool.close({ interrupt: true });
  for (const { reason } of await outcomes) assert.equal(reason.code, 'SUBPY_ERROR_INTERRUPTED');

  // What Symbol.asyncDispose does, where there is one.
  pool = await make();
  if (Symbol.asyncDispose) {
    await pool[Symbol.asyncDispose]();
    await pool[Symbol.asyncDispose]();
  } else {
    await pool.close();
  }
});

test('a map goes through its results in order', async () => {
  const pool = await subpy.createPool({
    workers: 2,
    setup: 'import time\ndef slow(n, times=1):\n  time.sleep(0.002 * (n % 3))\n  if n == 13: raise ValueError(n)\n  return n * times',
  });
  const rows = (count) => Array.from({ length: count }, (_, n) => [n]);
  const all = async (results) => {
    const list = [];
    for await (const result of results) list.push(result);
    return list;
  };
  assert.deepEqual(await all(pool.map('slow', rows(10))), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(await all(pool.map('slow', rows(5), { kwargs: { times: 2 }, ahead: 1 })), [0, 2, 4, 6, 8]);
  assert.deepEqual(await all(pool.map('slow', [])), []);
  const seen = [];
  await assert.rejects(async () => {
    for await (const result of pool.map('slow', rows(50))) seen.push(result);
  }, (error) => error.excinfo.msg === '13' && error.row === 13 && error.message === 'ValueError: 13');
  assert.deepEqual(seen, Array.from({ length: 13 }, (_, n) => n));
  const outcomes = await all(pool.map('slow', rows(20), { returnErrors: true }));
  assert.equal(outcomes[13].excinfo.type.name, 'ValueError');
  assert.equal(outcomes[19], 19);

  // Rows are taken as they are needed, from whatever has them.
  let taken = 0;
  let closed = false;
  async function* source() {
    try {
      for (let n = 0; ; n++) {
        taken = n;
        yield [n];
      }
    } finally {
      closed = true;
    }
  }
  for await (const result of pool.map('slow', source())) if (result === 5) break;
  assert.ok(taken < 20 && closed);
  assert.equal(pool.stats().running + pool.stats().queued, 0);

  const controller = new AbortController();
  await assert.rejects(async () => {
    for await (const result of pool.map('slow', source(), { signal: controller.signal })) if (result === 5) controller.abort('stop');
  }, { ...abort, cause: 'stop' });
  await assert.rejects(all(pool.map('slow', rows(1), { chunks: 1 })), TypeError);
  await assert.rejects(all(pool.map('slow', rows(1), { ahead: 0 })), TypeError);
  await assert.rejects(all(pool.map('slow', 7)), TypeError);
  await assert.rejects(all(pool.map('slow', [1])), TypeError);
  await pool.close();
});

test('a map in chunks', async () => {
  const pool = await subpy.createPool({
    workers: 2,
    setup: 'import time\ndef f(n, times=1):\n  if n == 130: raise ValueError(n)\n  return [n * times]\ndef spin(n):\n  while True: pass',
    functions: { fail: () => { throw failure; } },
  });
  const failure = new Error('from JS');
  const rows = (count) => Array.from({ length: count }, (_, n) => [n]);
  const all = async (results) => {
    const list = [];
    for await (const result of results) list.push(result);
    return list;
  };
  const expected = (count, times = 1) => rows(count).map(([n]) => [n * times]);
  for (const [count, chunk] of [[0, 10], [1, 10], [130, 7], [100, 1000]]) {
    assert.deepEqual(await all(pool.map('f', rows(count), { chunk })), expected(count), `${count} ${chunk}`);
  }
  assert.deepEqual(await all(pool.map('f', rows(50), { chunk: 5, kwargs: { times: 3 }, ahead: 7 })), expected(50, 3));
  const seen = [];
  await assert.rejects(async () => {
    for await (const result of pool.map('f', rows(1000), { chunk: 10 })) seen.push(result);
  }, (error) => error.excinfo.msg === '130' && error.row === 130 && error.message === 'ValueError: 130');
  assert.deepEqual(seen, expected(130));
  const outcomes = await all(pool.map('f', rows(200), { chunk: 10, returnErrors: true }));
  assert.equal(outcomes[130].excinfo.type.name, 'ValueError');
  assert.deepEqual(outcomes[199], [199]);
  await assert.rejects(all(pool.map('fail', [[]], { chunk: 2 })), (error) => error.cause === failure);
  const strange = await all(pool.map('builtins:range', rows(3), { chunk: 2, results: 'object' }));
  assert.equal(strange[2].text(), 'range(0, 2)');
  await assert.rejects(all(pool.map('spin', rows(3), { chunk: 2, timeout: 20 })), subpy.ExecutionTimeout);
  const signal = AbortSignal.timeout(30);
  await assert.rejects(all(pool.map('spin', rows(30), { chunk: 2, signal })), abort);
  for await (const result of pool.map('f', rows(100), { chunk: 3 })) if (result[0] === 5) break;
  assert.equal(pool.stats().running + pool.stats().queued, 0);
  await assert.rejects(all(pool.map('f', [[1], [1, 2]], { chunk: 2 })), /^TypeError: rows\[1\] has 2 items/);
  await assert.rejects(all(pool.map('f', rows(3), { chunk: 2, abandon: true })), TypeError);
  await assert.rejects(all(pool.map('f', rows(3), { chunk: 0 })), TypeError);
  await pool.close();
});

test('errors of JS functions that tasks call', async () => {
  const failure = new Error('from JS');
  const pool = await subpy.createPool({ workers: 1, functions: { fail: () => { throw failure; } } });
  await assert.rejects(pool.call('fail'), (error) => error.cause === failure);
  await pool.close();
});

test('submitters take turns', async () => {
  const order = [];
  const pool = await subpy.createPool({ workers: 1, setup: 'import time\ndef f(x): return x' });
  const first = pool.exec('time.sleep(0.05)');
  const task = async (submitter, n) => order.push(`${await pool.call('f', [submitter], null, { submitter })}${n}`);
  const tasks = [task(1, 'a'), task(1, 'b'), task(1, 'c'), task(2, 'a')];
  await Promise.all([first, ...tasks]);
  assert.ok(order.indexOf('2a') < order.indexOf('1c'));
  await pool.close();
});

test('many rounds leave no thread and no memory', async () => {
  const round = async () => {
    const pool = await subpy.createPool({ workers: 2, spares: 0 });
    const queue = new subpy.Queue({ capacity: 1 });
    const waits = [queue.get(), queue.get()];
    await queue.put(1);
    await Promise.all(Array.from({ length: 200 }, (_, i) => pool.call('builtins:abs', [i])));
    await queue.put(2);
    await Promise.all(waits);
    queue.free();
    await pool.close();
  };
  for (let i = 0; i < 3; i++) await round();
  const [before, memory] = [threads(), process.memoryUsage().rss];
  for (let i = 0; i < 15; i++) await round();
  assert.ok(threads() <= before);
  assert.ok(process.memoryUsage().rss - memory < 60 << 20);
});

/** What a program prints, and how it ends. */
function program(source) {
  return execFileSync(process.execPath, ['-e', source], {
    encoding: 'utf8', timeout: 60_000, cwd: path.dirname(__dirname),
  });
}

test('a program ends when nothing is waited for, and goes on while something is', () => {
  const start = "const subpy = require('subpy'); const queue = new subpy.Queue();";
  assert.equal(program(`${start} queue.get({ timeout: 50 }).catch((error) => console.log(error.name))`), 'QueueEmpty\n');
  assert.equal(program(`${start}
    subpy.createPool({ workers: 1 }).then((pool) => pool.eval("__import__('time').sleep(0.1) or 7")).then(console.log)`), '7\n');
  assert.equal(program(`${start}
    const wait = new AbortController();
    queue.get({ signal: wait.signal }).catch((error) => console.log(error.name));
    setTimeout(() => wait.abort(), 20)`), 'AbortError\n');
});

test('a worker that is ended leaves its pool, and what it waits for', async () => {
  const worker = new Worker(`
    const subpy = require('subpy');
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const pool = await subpy.createPool({ workers: 2, functions: { slow: () => new Promise(() => {}), fast: (x) => x } });
      const full = new subpy.Queue({ capacity: 1 });
      await full.put(1);
      const waits = [pool.call('slow'), pool.exec('while True: pass'), full.put(2), new subpy.Queue().get()];
      for (let i = 0; i < 8; i++) waits.push(pool.call('fast', [i]));
      parentPort.postMessage('ready');
      await Promise.all(waits);
    })();
  `, { eval: true });
  await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  await worker.terminate();
  // The pool is there until the end: what it runs is ended by that.
  const program = subpy.create();
  assert.equal(program.eval('6 * 7'), 42);
  program.close();
});

test('a program can be ended while tasks run', () => {
  const source = `
    const subpy = require('subpy');
    subpy.createPool({ workers: 2 }).then((pool) => {
      pool.exec('while True: pass').catch(() => {});
      new subpy.Queue().get().catch(() => {});
      const memory = new subpy.MemoryView(new Uint8Array(64 << 20));
      pool.exec('while True: sum(range(1000))').catch(() => {});
      pool.call('builtins:sum', [memory]).catch(() => {});
      setTimeout(() => {
        console.log('out');
        process.exit(3);
      }, 50);
    });
  `;
  assert.throws(() => program(source), { status: 3, stdout: 'out\n' });
});
