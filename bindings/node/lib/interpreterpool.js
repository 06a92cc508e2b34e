'use strict';

// Pools of interpreters. Their threads are the library's; they tell this thread when a task is done, which then takes what
// has become of it. No thread waits for a task.

const native = require('./native');
const { choice, known, path, string } = require('./arguments');
const { data } = require('./buffers');
const { InterpreterNotFoundError, check } = require('./errors');
const kept = require('./kept');
const { limitsOf, tolerant, writer } = require('./limits');
const { printed, theLoop } = require('./loop');
const { ERROR, OUT, withArena } = require('./memory');
const {
  CALL, EVAL, EXEC, INTERP_OPTIONS, RUN_OPTIONS, callRequest, closeOptions, interpOptions, limited, reading, resultFlags,
  sourceRequest, startCall,
} = require('./run');
const { POOL_CLOSE, POOL_MAP, POOL_NEW } = require('./slot');
const { encodeRows, takeResult } = require('./values');

// Sizes of the structs in include/subpy.h.
const POOL_OPTIONS = 104;
const POOL_STATS = 352;
const REASON = 152; // in subpy_pool_stats
const DEFINITION = 48; // of native/host.c

const REFUSE = 1;
const NO_SPARES = 2;
const ABANDON = 2;

const ISOLATION = { ownGil: 0, process: 1, auto: 2 };

/** As many tasks as there is memory for. */
const NO_BOUND = 2 ** 52;

const OPTIONS = ['workers', 'backlog', 'spares', 'setup', 'functions', 'output', 'runsPerWorker', 'isolation', ...INTERP_OPTIONS];
const TASK_OPTIONS = ['submitter', 'abandon'];
const CALL_OPTIONS = [...RUN_OPTIONS, ...TASK_OPTIONS];
const MAP_OPTIONS = ['kwargs', 'returnErrors', 'chunk', 'ahead', ...CALL_OPTIONS];

/** What a pool has done, in the order of subpy_pool_stats. */
const STATS = [
  'workers', 'spares', 'queued', 'running', 'submitted', 'done', 'failed', 'cancelled', 'replaced', 'waitP50', 'waitP90',
  'waitP99', 'runP50', 'runP90', 'runP99', 'left', 'crashed',
];

/** Only createPool() makes pools. */
const SECRET = Symbol('subpy');

/**
 * A number of interpreters with a thread each, which run tasks. The object is a reference: it closes nothing when it is
 * garbage.
 */
class InterpreterPool {
  #handle;
  #how;
  #workers;
  /** The promises of the tasks that are not done. */
  #tasks = new Set();

  constructor(secret, handle, how) {
    if (secret !== SECRET) throw new TypeError('an InterpreterPool is made by createPool()');
    this.#handle = handle;
    this.#how = how;
    this.#workers = this.stats().workers;
  }

  /** Runs statements in one of the interpreters. @param {string} code @param {object} options  as for call() */
  async exec(code, options) {
    await this.#submit(options, (arena) => sourceRequest(arena, 0, EXEC, code, options, TASK_OPTIONS));
  }

  /** The value of an expression in one of the interpreters. @returns {Promise<any>} */
  async eval(expression, options) {
    return this.#submit(options, (arena) => sourceRequest(arena, 0, EVAL, expression, options, TASK_OPTIONS));
  }

  /**
   * Calls something by its name in one of the interpreters, whichever is free first.
   *
   * @param {string} callable  as for Interpreter.call()
   * @param {Array} args
   * @param {object|Map} kwargs
   * @param {object} options
   *   timeout, signal, output, results: as for Interpreter.call(), where the time counts from when the task begins;
   *   submitter: a number; those that have tasks waiting take turns;
   *   abandon: the promise is settled when the task was stopped, even if it does not end
   * @returns {Promise<any>}
   */
  async call(callable, args, kwargs, options) {
    known('options', options ?? {}, CALL_OPTIONS);
    return this.#call(callable, args, kwargs, options);
  }

  /**
   * Calls something with one row of arguments after the other, in all interpreters, and goes through the results in the
   * order of the rows, as they come. When the loop ends early, what is left is cancelled.
   *
   * @param {string} callable
   * @param {Iterable|AsyncIterable} rows  of arrays of arguments, which are taken as they are needed
   * @param {object} options
   *   as for call(), for each row;
   *   kwargs: keyword arguments of all rows;
   *   returnErrors: go on after a row that fails, with its error among the results. Otherwise it ends the loop;
   *   chunk: how many rows make a task, 1 if not said: more cost less. All rows have the same number of arguments then;
   *   ahead: how many rows may wait or run, or have results that nobody has taken; four tasks a worker if not said
   */
  async *map(callable, rows, options = {}) {
    const { kwargs, returnErrors = false, chunk = 1, signal, ...rest } = known('options', options, MAP_OPTIONS);
    const { ahead = 4 * this.#workers * chunk, ...more } = rest;
    for (const [name, number] of Object.entries({ chunk, ahead })) {
      if (!Number.isSafeInteger(number) || number < 1) throw new TypeError(`${name}: a whole number from 1 is expected`);
    }
    const source = iteratorOf(rows);
    const controller = new AbortController();
    const abort = () => controller.abort(signal.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    const limits = { ...more, signal: controller.signal };
    const begin = chunk === 1
      ? ([row]) => outcomeOf(this.#call(callable, row, kwargs, limits))
      : (batch) => this.#callRows(callable, batch, kwargs, limits, chunk, returnErrors);
    // Two batches of chunks, each of which keeps all workers busy.
    const size = chunk === 1 ? 1 : Math.ceil(ahead / 2);
    const going = [];
    let ended = false;
    let index = 0;
    try {
      for (;;) {
        while (!ended && going.length * size < ahead) {
          const batch = [];
          while (!ended && batch.length < size) {
            const { done, value: row } = await source.next();
            ended = Boolean(done);
            if (!done) batch.push(row);
          }
          if (batch.length === 0) break;
          const outcomes = begin(batch);
          outcomes.catch(() => {}); // it is looked at when it is its turn
          going.push(outcomes);
        }
        if (going.length === 0) return;
        for (const { result, error } of await going.shift()) {
          if (error instanceof Error) inRow(error, index);
          if (error !== undefined && (!returnErrors || controller.signal.aborted)) throw error;
          index += 1;
          yield error ?? result;
        }
      }
    } finally {
      signal?.removeEventListener('abort', abort);
      controller.abort();
      if (!ended) await source.return?.();
      await Promise.allSettled(going);
    }
  }

  /** What it has done, and has to do. Times are milliseconds. */
  stats() {
    return withArena((arena) => {
      const at = arena.reserve(POOL_STATS);
      const { chunk } = arena;
      chunk.setWord(at, POOL_STATS);
      check(arena, native.poolGetStats(this.#handle, chunk.address + at, arena.error));
      const numbers = Object.fromEntries(STATS.map((name, index) => {
        const number = chunk.word(at + 8 + index * 8);
        return [name, /P\d/.test(name) ? number / 1000 : number];
      }));
      const isolation = chunk.view.getInt32(at + 8 + STATS.length * 8, true) === ISOLATION.ownGil ? 'ownGil' : 'process';
      const text = chunk.bytes.subarray(at + REASON, at + POOL_STATS);
      return { ...numbers, isolation, reason: text.toString('utf8', 0, text.indexOf(0)) };
    });
  }

  /**
   * Ends it: tasks are not accepted any more, and those that are there may finish.
   *
   * @param {{timeout?: number, drain?: boolean, interrupt?: boolean}} options  as for Interpreter.closeWith(); without drain
   *   and interrupt it is drain. When it fails, the pool goes on
   * @returns {Promise<void>}
   */
  async close(options = {}) {
    const how = options.drain === undefined && !options.interrupt ? { ...options, drain: true } : options;
    const makeArguments = (arena) => [this.#handle, closeOptions(arena, how), arena.error];
    await startCall(-1, POOL_CLOSE, makeArguments, () => {});
    await Promise.allSettled(this.#tasks);
  }

  #call(callable, args, kwargs, options) {
    return this.#submit(options, (arena) => {
      const text = string('the callable', callable);
      return callRequest(arena, 0, CALL, text, 0, args, kwargs, resultFlags(options));
    });
  }

  /** What becomes of many rows. The library makes tasks of them, on a thread of the promises, and waits there. */
  async #callRows(callable, rows, kwargs, options, chunk, returnErrors) {
    if (options.submitter !== undefined || options.abandon) throw new TypeError('chunk: not with submitter or abandon');
    const limits = limitsOf(options);
    const outcomes = data().outcomes(rows.length, returnErrors);
    try {
      if (outcomes === 0) throw new RangeError('out of memory');
      const makeArguments = (arena) => {
        const [address, nargs] = encodeRows(arena, rows);
        const text = string('the callable', callable);
        const request = limited(arena, callRequest(arena, 0, CALL, text, 0, [], kwargs, resultFlags(options)), limits);
        return [this.#handle, request, address, rows.length, nargs, chunk, data().mapped, outcomes, arena.error];
      };
      const take = () => {
        const taken = [];
        for (let row = 0; row < rows.length; row++) {
          taken.push(this.#take(outcomes, row));
          if (taken[row].error !== undefined && !returnErrors) break;
        }
        return taken;
      };
      return await startCall(-1, POOL_MAP, makeArguments, take, limits);
    } catch (error) {
      throw limits.failure(error);
    } finally {
      limits.release();
      if (outcomes !== 0) data().forget(outcomes);
    }
  }

  #take(outcomes, row) {
    return withArena((arena) => {
      data().take(outcomes, row, arena.result);
      try {
        const failed = arena.head.word(ERROR);
        if (failed !== 0) check(arena, native.errorStatus(failed));
        return { result: takeResult(arena, this.#how) };
      } catch (error) {
        return { error };
      }
    });
  }

  async #submit(options = {}, makeRequest) {
    const limits = limitsOf(options);
    const { submitter = 0, abandon = false } = options;
    if (!Number.isSafeInteger(submitter) || submitter < 0) throw new TypeError('submitter: a whole number is expected');
    kept.enter();
    try {
      const thread = withArena((arena) => {
        const request = makeRequest(arena);
        const { chunk, at } = request;
        if (abandon) chunk.view.setUint32(at + 20, chunk.view.getUint32(at + 20, true) | ABANDON, true);
        const address = limited(arena, request, limits);
        const status = native.poolSubmitAs(this.#handle, submitter, address, arena.out, arena.error);
        arena.passed(status);
        check(arena, status);
        return arena.head.word(OUT);
      });
      const task = new Promise((resolve) => ended(thread, resolve));
      this.#tasks.add(task);
      try {
        await task;
      } finally {
        this.#tasks.delete(task);
      }
      printed();
      return withArena((arena) => {
        check(arena, native.threadJoin(thread, arena.result, arena.error));
        return takeResult(arena, this.#how);
      });
    } catch (error) {
      throw limits.failure(error);
    } finally {
      limits.release();
      kept.leave();
    }
  }
}

function iteratorOf(rows) {
  const make = rows?.[Symbol.asyncIterator] ?? rows?.[Symbol.iterator];
  if (typeof make !== 'function') throw new TypeError('rows: an iterable is expected, such as an array of arrays');
  return make.call(rows);
}

/** The library says in which row of a chunk an error was. */
function inRow(error, row) {
  error.row = row;
  error.message = error.message.replace(/^row \d+: /, '');
}

/** What becomes of the one row of a task. */
async function outcomeOf(task) {
  try {
    return [{ result: await task }];
  } catch (error) {
    return [{ error }];
  }
}

/** Calls a function when a thread of the library's has ended. */
function ended(thread, callback) {
  const loop = theLoop();
  const start = (id) => withArena((arena) => {
    const notice = loop.notice(loop.address, id);
    if (notice === 0) throw new Error('out of memory');
    try {
      check(arena, native.threadNotify(thread, loop.notify, notice, arena.error));
    } catch (error) {
      loop.free(notice);
      throw error;
    }
    return true;
  });
  loop.once(start, callback);
}

/**
 * Makes a pool, and waits until its interpreters are ready.
 *
 * @param {object} options
 *   workers: how many interpreters run tasks at the same time, one a core if not said;
 *   setup: statements that run once in each of them;
 *   functions: JS functions that are defined in each, by their names: functions, or [function, options] as for
 *   Interpreter.define();
 *   output: where what they print goes, as for Interpreter.setOutput();
 *   backlog: how many tasks may wait: more are SUBPY_ERROR_BUSY. Any number if not said;
 *   spares: how many interpreters are ready to take the place of one that is replaced, 1 if not said;
 *   runsPerWorker: after how many runs an interpreter is replaced;
 *   isolation: where they live: 'ownGil', in this process, as their options say; 'process', each in one of its own; 'auto', in
 *   this process until an extension module refuses that, then each in one of its own. A task that ended with that
 *   ImportError begins anew: what it did before, it does twice;
 *   and all options of create(), for each of them
 * @returns {Promise<InterpreterPool>}
 */
async function createPool(options = {}) {
  known('options', options, OPTIONS);
  const how = reading(options);
  const makeArguments = (arena) => [poolOptions(arena, options, how), arena.out, arena.error];
  const handle = await startCall(-1, POOL_NEW, makeArguments, (arena) => arena.head.word(OUT));
  return new InterpreterPool(SECRET, handle, how);
}

/** Writes a subpy_pool_options, and returns its address. */
function poolOptions(arena, options, how) {
  const count = (name, otherwise) => {
    const number = options[name] ?? otherwise;
    if (!Number.isSafeInteger(number) || number < 0) throw new TypeError(`${name}: a whole number is expected`);
    return number;
  };
  const workers = count('workers', 0);
  const backlog = count('backlog', NO_BOUND);
  const spares = count('spares', 1);
  const runs = count('runsPerWorker', 0);
  const isolation = choice('isolation', options.isolation ?? 'ownGil', ISOLATION);
  const { setup } = options;
  const length = setup === undefined ? 0 : Buffer.byteLength(string('setup', setup));
  const setupAddress = setup === undefined ? 0 : arena.text(length, setup);
  const interp = interpOptions(arena, Object.fromEntries(INTERP_OPTIONS.map((name) => [name, options[name]])));
  const [prepare, userdata, finalize] = preparation(arena, options, how);
  const at = arena.reserve(POOL_OPTIONS);
  const { chunk } = arena;
  const poolFlags = REFUSE | (spares === 0 ? NO_SPARES : 0);
  const words = [
    POOL_OPTIONS, workers, backlog, spares, interp, setupAddress, length, prepare, userdata, finalize, runs, poolFlags,
    isolation,
  ];
  words.forEach((word, index) => chunk.setWord(at + index * 8, word));
  return chunk.address + at;
}

/** What each interpreter is given: a subpy_prepare_fn, its argument, and the subpy_finalize_fn. */
function preparation(arena, { functions = {}, output }, how) {
  const entries = Object.entries(functions);
  if (entries.length === 0 && output === undefined) return [0, 0, 0];
  const checked = entries.map(([name, given]) => {
    const [fn, options = {}] = Array.isArray(given) ? given : [given];
    if (typeof fn !== 'function') throw new TypeError(`functions: ${name}: a function is expected`);
    return { name, fn, ...known('options', options, ['signature', 'doc']) };
  });
  const write = output === undefined ? undefined : tolerant(writer('output', output));
  const texts = checked.map(({ name, signature, doc }) => [['the name', name], ['signature', signature], ['doc', doc]].map(
    ([what, text]) => (text === undefined ? 0 : path(arena, what, text)),
  ));
  const loop = theLoop();
  const ids = checked.map(({ fn }) => loop.keep({ fn, how }));
  const outputId = write === undefined ? 0 : loop.keep(write);
  const at = arena.reserve(ids.length * DEFINITION);
  const { chunk } = arena;
  ids.forEach((id, index) => {
    const [name, signature, doc] = texts[index];
    [id, name, 32, 0, signature, doc].forEach((word, i) => chunk.setWord(at + index * DEFINITION + i * 8, word));
  });
  const forgotten = () => {
    for (const one of [...ids, outputId]) loop.entries.delete(one);
  };
  const id = loop.keep({ forgotten });
  const userdata = loop.preparation(loop.address, id, chunk.address + at, ids.length, outputId);
  if (userdata === 0) {
    loop.entries.delete(id);
    forgotten();
    throw new Error('out of memory');
  }
  return [loop.prepare, userdata, loop.prepared];
}

if (Symbol.asyncDispose) {
  /** close(), for `await using`. One that is closed already is left alone. */
  const dispose = async function () {
    try {
      await this.close();
    } catch (error) {
      if (!(error instanceof InterpreterNotFoundError)) throw error;
    }
  };
  Object.defineProperty(InterpreterPool.prototype, Symbol.asyncDispose, { value: dispose });
}

module.exports = { InterpreterPool, createPool };
