'use strict';

// Interpreters and prepared functions: what code runs in, and on which thread.

const koffi = require('koffi');

const native = require('./native');
const { choice, flags, known, path, string } = require('./arguments');
const { check, INTERRUPTED, InterpreterNotFoundError, ownError } = require('./errors');
const kept = require('./kept');
const { LIMITS, limitsOf, milliseconds, tolerant, writer } = require('./limits');
const { blocking, callerIn, printed, theLoop, withCall } = require('./loop');
const { OUT, giveArena, takeArena, withArena } = require('./memory');
const pool = require('./pool');
const { CALL_MANY, CLOSE, RUN } = require('./slot');
const { encode, encodeArgs, encodeRows, takeResult, takeResults } = require('./values');

const EXEC = 1, EVAL = 2, CALL = 3, FUNCTION = 4;
const KEEP_INDENT = 1;
const RETURN_ERRORS = 1;

// Sizes of the structs in include/subpy.h.
const RUN_REQUEST = 112;
const CLOSE_OPTIONS = 24;
const DEFINE_OPTIONS = 32;

const BUSY = -3;
const CLOSE_FLAGS = { drain: 1, interrupt: 2 };
const CALLER_THREAD_ONLY = 2;

/** What results become. */
const INTEGERS = { auto: 'auto', number: 'number', bigint: 'bigint' };
const DICTS = { map: 'map', object: 'object' };
const READING = ['integers', 'dicts'];

function reading({ integers = 'auto', dicts = 'map' }) {
  return { integers: choice('integers', integers, INTEGERS), dicts: choice('dicts', dicts, DICTS) };
}

/** Calls whose promises are not settled, of this thread of Node's. */
let pending = 0;

/** Runs a request on this thread, or on the one that waits for the function that is running now. */
function run(how, interp, options, makeRequest) {
  const limits = limitsOf(options);
  try {
    return withCall((arena) => {
      const request = limited(arena, makeRequest(arena), limits);
      const caller = callerIn(interp);
      const status = caller
        ? runThere(interp, caller, request, arena)
        : blocking(() => native.run(request, arena.result, arena.error), waitsIn(interp));
      check(arena, status);
      return takeResult(arena, how);
    });
  } catch (error) {
    throw limits.failure(error);
  } finally {
    limits.release();
  }
}

function runThere(interp, caller, request, arena) {
  const status = theLoop().runThere(caller, request, arena.result, arena.error);
  if (status === undefined) throw ownError(INTERRUPTED, 'the run that called this function is over', interp);
  return status;
}

/** Calls the library, which enters the interpreter: not while a thread that is in it waits for this one. */
function enter(interp, call) {
  if (callerIn(interp)) {
    throw ownError(BUSY, 'interpreter already running: on the thread that waits for this function', interp);
  }
  return blocking(call, waitsIn(interp));
}

/** The interpreter, if a call waits for its turn there; 0 if it is refused, or runs as well. */
function waitsIn(interp) {
  return pool.patient.has(interp) ? interp : 0;
}

/** Runs a request on a thread of the pool. */
async function start(how, interp, options, makeRequest) {
  if (callerIn(interp)) return run(how, interp, options, makeRequest);
  const limits = limitsOf(options);
  try {
    const makeArguments = (arena) => [limited(arena, makeRequest(arena), limits), arena.result, arena.error];
    return await startCall(interp, RUN, makeArguments, (arena) => takeResult(arena, how), limits);
  } catch (error) {
    throw limits.failure(error);
  } finally {
    limits.release();
  }
}

/**
 * Calls a function of the library on a thread of the pool. The memory that its arguments are in belongs to this thread of
 * Node's, which ends its pool, and waits for it, before it gives memory back: also when it is terminated.
 */
async function startCall(interp, which, makeArguments, take, limits = undefined) {
  const arena = takeArena();
  try {
    const job = { interp, which, args: makeArguments(arena) };
    if (limits) {
      limits.onabort = () => {
        if (pool.withdraw(job)) job.reject(ownError(INTERRUPTED, 'the run was cancelled before it started', interp));
      };
    }
    pending += 1;
    kept.enter();
    try {
      const status = await pool.run(job);
      printed();
      check(arena, status);
      return take(arena);
    } finally {
      pending -= 1;
      kept.leave();
    }
  } finally {
    giveArena(arena);
  }
}

/** Writes a subpy_run_request, and returns where. */
function request(arena, { interp, what, flags = 0, text, fn = 0, args = 0, nargs = 0, kwargs = 0, filename = 0 }) {
  const length = text === undefined ? 0 : Buffer.byteLength(text);
  const textAddress = text === undefined ? 0 : arena.text(length, text);
  const at = arena.reserve(RUN_REQUEST);
  const { chunk } = arena;
  chunk.setWord(at, RUN_REQUEST);
  chunk.setWord(at + 8, interp);
  chunk.view.setInt32(at + 16, what, true);
  chunk.view.setUint32(at + 20, flags, true);
  chunk.setWord(at + 24, textAddress);
  chunk.setWord(at + 32, length);
  chunk.setWord(at + 40, fn);
  chunk.setWord(at + 48, nargs === 0 ? 0 : args);
  chunk.setWord(at + 56, nargs);
  chunk.setWord(at + 64, kwargs);
  chunk.setWord(at + 72, filename);
  for (let more = at + 80; more < at + RUN_REQUEST; more += 8) chunk.setWord(more, 0);
  return { chunk, at };
}

/** Writes limits into a request, and returns its address. */
function limited(arena, { chunk, at }, limits) {
  chunk.setWord(at + 80, limits.timeout);
  chunk.setWord(at + 88, limits.cancel);
  chunk.setWord(at + 96, limits.outputFunction);
  chunk.setWord(at + 104, limits.sink);
  return chunk.address + at;
}

/** Writes a subpy_close_options, and returns its address. */
function closeOptions(arena, options = {}) {
  const { timeout } = known('options', options, ['timeout', ...Object.keys(CLOSE_FLAGS)]);
  const at = arena.reserve(CLOSE_OPTIONS);
  const { chunk } = arena;
  chunk.setWord(at, CLOSE_OPTIONS);
  const time = timeout === undefined || timeout === Infinity ? -1 : milliseconds('timeout', timeout, 0);
  chunk.view.setBigInt64(at + 8, BigInt(time), true);
  chunk.setWord(at + 16, flags(options, CLOSE_FLAGS));
  return chunk.address + at;
}

function sourceRequest(arena, interp, what, source, options = {}) {
  const { filename, keepIndent = false } = known('options', options, ['filename', 'keepIndent', ...LIMITS]);
  return request(arena, {
    interp,
    what,
    flags: keepIndent ? KEEP_INDENT : 0,
    text: string('the source', source),
    filename: filename === undefined ? 0 : path(arena, 'filename', filename),
  });
}

/** What is called is `text` in an interpreter, or a prepared function. */
function callRequest(arena, interp, what, text, fn, args = [], kwargs) {
  if (!Array.isArray(args)) throw new TypeError('args: an array is expected');
  const copy = Array.from(args); // a getter of an argument may change the original
  return request(arena, {
    interp,
    what,
    text,
    fn,
    args: encodeArgs(arena, copy),
    nargs: copy.length,
    kwargs: kwargs === undefined || kwargs === null ? 0 : encode(arena, kwargs, 'kwargs'),
  });
}

/**
 * An interpreter. The object is a reference: it closes nothing when it is garbage. Close it with close(), or all of them
 * with shutdown().
 *
 * exec, eval, call and prepareMain run on this thread, which runs no JS meanwhile. The methods that end with InThread
 * run on a thread of the pool, and return a promise.
 */
class Interpreter {
  #handle;
  #how;

  /**
   * @param {number} handle  of an interpreter, from `handle` of another Interpreter, perhaps in another worker
   * @param {object} options  what its results become here: integers: "auto", "number" or "bigint"; dicts: "map" or
   *   "object"
   */
  constructor(handle, options = {}) {
    if (!Number.isSafeInteger(handle) || handle < 0) throw new TypeError('an interpreter has a handle: a number');
    this.#handle = handle;
    this.#how = reading(known('options', options, READING));
  }

  /** The library's number for it, the same in all workers of the process. */
  get handle() {
    return this.#handle;
  }

  /** The id that CPython gave it: 0 for the main interpreter. */
  get id() {
    return withArena((arena) => {
      check(arena, native.id(this.#handle, arena.out, arena.error));
      return arena.head.word(OUT);
    });
  }

  /** Where it came from, in CPython's words: "C-API" for one that create() made. */
  get whence() {
    return withArena((arena) => {
      check(arena, native.whence(this.#handle, arena.out, arena.error));
      return koffi.decode.string(BigInt(arena.head.word(OUT)));
    });
  }

  /** Whether something is being run in it by this library. */
  isRunning() {
    return withArena((arena) => {
      check(arena, native.isRunning(this.#handle, arena.out, arena.error));
      return arena.head.view.getUint8(OUT) !== 0;
    });
  }

  /**
   * Runs statements in its `__main__`.
   *
   * @param {string} code  indentation that all lines share is taken off
   * @param {object} options
   *   filename: in tracebacks; keepIndent: leave the indentation as it is;
   *   timeout: milliseconds after which it gets a KeyboardInterrupt, and is an ExecutionTimeout;
   *   signal: an AbortSignal that stops it in the same way, ExecutionInterrupted;
   *   output: what it prints goes there: a function of a text and "stdout" or "stderr", a stream, or { stdout, stderr }
   */
  exec(code, options) {
    run(this.#how, this.#handle, options, (arena) => sourceRequest(arena, this.#handle, EXEC, code, options));
  }

  /**
   * The value of an expression.
   *
   * @param {string} expression
   * @param {object} options  as for exec(), without keepIndent
   */
  eval(expression, options) {
    return run(this.#how, this.#handle, options, (arena) => sourceRequest(arena, this.#handle, EVAL, expression, options));
  }

  /**
   * Calls something by its name, and returns what it returns.
   *
   * @param {string} callable  "name" in `__main__`, or "package.module:attribute"
   * @param {Array} args  positional arguments
   * @param {object|Map} kwargs  keyword arguments
   * @param {{timeout?: number, signal?: AbortSignal, output?: object}} options  limits, as for exec()
   */
  call(callable, args, kwargs, options) {
    const makeRequest = (arena) => this.#named(arena, callable, args, kwargs);
    return run(this.#how, this.#handle, limitsAlone(options), makeRequest);
  }

  /** exec() on a thread of the pool. @returns {Promise<void>} */
  async execInThread(code, options) {
    const makeRequest = (arena) => sourceRequest(arena, this.#handle, EXEC, code, options);
    await start(this.#how, this.#handle, options, makeRequest);
  }

  /** eval() on a thread of the pool. @returns {Promise<any>} */
  async evalInThread(expression, options) {
    const makeRequest = (arena) => sourceRequest(arena, this.#handle, EVAL, expression, options);
    return start(this.#how, this.#handle, options, makeRequest);
  }

  /** call() on a thread of the pool. @returns {Promise<any>} */
  async callInThread(callable, args, kwargs, options) {
    const makeRequest = (arena) => this.#named(arena, callable, args, kwargs);
    return start(this.#how, this.#handle, limitsAlone(options), makeRequest);
  }

  /**
   * Looks a callable up, to call it many times. Binding its name to something else later does not change what is called.
   *
   * @param {string} callable  as for call()
   * @returns {PreparedFunction}
   */
  function(callable) {
    const handle = withCall((arena) => {
      const length = Buffer.byteLength(string('the callable', callable));
      const text = arena.text(length, callable);
      check(arena, enter(this.#handle, () => native.functionNew(this.#handle, text, length, arena.out, arena.error)));
      return arena.head.word(OUT);
    });
    return new PreparedFunction(SECRET, handle, this.#handle, this.#how);
  }

  /** Binds names in its `__main__`. @param {object|Map} names */
  prepareMain(names) {
    withCall((arena) => {
      const values = encode(arena, names, 'names');
      check(arena, enter(this.#handle, () => native.prepareMain(this.#handle, values, arena.error)));
    });
  }

  /**
   * Makes a JS function callable from Python.
   *
   * Called by Python code that this thread runs, it is called at once. Called on another thread, of the pool or one that
   * Python code started, it is called by the event loop, while that thread waits, and may return a promise. What it throws
   * becomes a Python exception. Keyword arguments are its last argument, an instance of Keywords.
   *
   * @param {string} name  "name" in `__main__`, or "module:name", where the module is made when there is none
   * @param {Function} fn
   * @param {object} options
   *   signature: what inspect.signature() shows, "(a, b=0)"; doc: its docstring;
   *   callerThreadOnly: RuntimeError in Python on any other thread
   */
  define(name, fn, options = {}) {
    if (typeof fn !== 'function') throw new TypeError('fn: a function is expected');
    const { signature, doc, callerThreadOnly } = known(
      'options', options, ['signature', 'doc', 'callerThreadOnly'],
    );
    withCall((arena) => {
      const length = Buffer.byteLength(string('the name', name));
      const text = arena.text(length, name);
      const texts = [[16, 'signature', signature], [24, 'doc', doc]].map(([at, what, given]) => {
        return [at, given === undefined ? 0 : path(arena, what, given)];
      });
      const at = arena.reserve(DEFINE_OPTIONS);
      const { chunk } = arena;
      chunk.setWord(at, DEFINE_OPTIONS);
      chunk.setWord(at + 8, callerThreadOnly ? CALLER_THREAD_ONLY : 0);
      for (const [offset, address] of texts) chunk.setWord(at + offset, address);
      const loop = theLoop();
      const [, userdata] = loop.add({ fn, how: this.#how, interp: this.#handle });
      const define = () => native.defineWith(
        this.#handle, text, length, chunk.address + at, loop.call, userdata, loop.finalize, arena.error,
      );
      check(arena, enter(this.#handle, define));
    });
  }

  /**
   * Where everything goes that it prints, unless a run has an output of its own.
   *
   * @param {?(Function|object)} output  a function of a text and "stdout" or "stderr", a stream, or { stdout, stderr } of
   *   streams; null for the process's stdout and stderr again
   */
  setOutput(output) {
    withArena((arena) => {
      if (output === null) {
        check(arena, native.setOutput(this.#handle, 0, 0, 0, arena.error));
        return;
      }
      const loop = theLoop();
      const [, userdata] = loop.add(tolerant(writer('output', output)));
      check(arena, native.setOutput(this.#handle, loop.output, userdata, loop.finalize, arena.error));
    });
  }

  /** A KeyboardInterrupt for whatever runs in it now. */
  interrupt() {
    withArena((arena) => check(arena, native.interrupt(this.#handle, arena.error)));
  }

  /** Ends it. Waits for the threads that Python code started in it, and runs its atexit handlers. */
  close() {
    withCall((arena) => check(arena, enter(this.#handle, () => native.close(this.#handle, arena.error))));
    pool.patient.delete(this.#handle);
  }

  /**
   * Ends it as close() does, but waits for what runs in it, or ends that. When it fails, the message says what still lives,
   * and the interpreter is intact.
   *
   * @param {{timeout?: number, drain?: boolean, interrupt?: boolean}} options
   *   timeout: how many milliseconds to wait, without limit when it is not there;
   *   drain: refuse new runs, and let those that are there finish; interrupt: stop them, Python's own threads too
   */
  closeWith(options) {
    withCall((arena) => {
      const struct = closeOptions(arena, options);
      enter(this.#handle, () => {}); // as close()
      check(arena, blocking(() => native.closeWith(this.#handle, struct, arena.error), this.#handle));
    });
    pool.patient.delete(this.#handle);
  }

  /** closeWith() on a thread of the pool. @returns {Promise<void>} */
  async closeInThread(options) {
    const makeArguments = (arena) => [this.#handle, closeOptions(arena, options), arena.error];
    if (callerIn(this.#handle)) this.closeWith(options);
    await startCall(-1, CLOSE, makeArguments, () => {});
    pool.patient.delete(this.#handle);
  }

  #named(arena, callable, args, kwargs) {
    return callRequest(arena, this.#handle, CALL, string('the callable', callable), 0, args, kwargs);
  }
}

/** Only Interpreter.function() makes functions. */
const SECRET = Symbol('subpy');

const garbage = new FinalizationRegistry(native.functionFree);

/** A callable that was looked up once. Belongs to its interpreter: with that closed, it is not found. */
class PreparedFunction {
  #handle;
  #interp;
  #how;
  #running = 0;
  #freed = false;

  constructor(secret, handle, interp, how) {
    if (secret !== SECRET) throw new TypeError('a PreparedFunction is made by Interpreter.function()');
    this.#handle = handle;
    this.#interp = interp;
    this.#how = how;
    garbage.register(this, handle, this);
  }

  /** Calls it, and returns what it returns. @param {Array} args @param {object|Map} kwargs */
  call(args, kwargs, options) {
    const makeRequest = (arena) => this.#request(arena, args, kwargs);
    return run(this.#how, this.#interp, limitsAlone(options), makeRequest);
  }

  /** call() on a thread of the pool. @returns {Promise<any>} */
  async callInThread(args, kwargs, options) {
    const makeRequest = (arena) => this.#request(arena, args, kwargs);
    return this.#keep(() => start(this.#how, this.#interp, limitsAlone(options), makeRequest));
  }

  /**
   * Calls it with one row of arguments after the other, and returns what the calls return. This takes a fraction of the
   * time of as many calls. The first error ends it, and there are no results then.
   *
   * @param {Array[]} rows  positional arguments, as many in each row
   * @param {{returnErrors?: boolean}} options  whether to go on after a row that fails, with its error among the results
   */
  callMany(rows, options) {
    const returnErrors = wantsErrors(options);
    return withCall((arena) => {
      const args = this.#many(arena, rows, returnErrors);
      const call = () => native.functionCallMany(...args, arena.result, arena.error);
      check(arena, enter(this.#interp, call));
      return takeResults(arena, this.#how, returnErrors);
    });
  }

  /** callMany() on a thread of the pool. @returns {Promise<Array>} */
  async callManyInThread(rows, options) {
    const returnErrors = wantsErrors(options);
    const makeArguments = (arena) => [...this.#many(arena, rows, returnErrors), arena.result, arena.error];
    enter(this.#interp, () => {});
    const take = (arena) => takeResults(arena, this.#how, returnErrors);
    return this.#keep(() => startCall(this.#interp, CALL_MANY, makeArguments, take));
  }

  /** Gives the Python object back, when the calls that were started are done. What is garbage is freed as well. */
  free() {
    this.#freed = true;
    if (this.#running > 0) return;
    garbage.unregister(this);
    native.functionFree(this.#handle);
  }

  /** Keeps the Python object while a call is going on. */
  async #keep(call) {
    this.#running += 1;
    try {
      return await call();
    } finally {
      this.#running -= 1;
      if (this.#freed) this.free();
    }
  }

  #request(arena, args, kwargs) {
    return callRequest(arena, 0, FUNCTION, undefined, this.#callable(), args, kwargs);
  }

  /** The arguments of subpy_function_call_many(), without where the results go. */
  #many(arena, rows, returnErrors) {
    if (!Array.isArray(rows)) throw new TypeError('rows: an array of arrays is expected');
    const callable = this.#callable();
    const copy = Array.from(rows); // a getter of an argument may change the original
    const [address, nargs] = encodeRows(arena, copy);
    return [callable, address, copy.length, nargs, returnErrors ? RETURN_ERRORS : 0];
  }

  /** After free() the handle may be good for a while: for calls that go on. */
  #callable() {
    return this.#freed ? NO_FUNCTION : this.#handle;
  }
}

/** The options of a call: limits, and nothing else. */
function limitsAlone(options = {}) {
  return known('options', options, LIMITS);
}

function wantsErrors(options = {}) {
  return Boolean(known('options', options, ['returnErrors']).returnErrors);
}

/** A handle that no function has. */
const NO_FUNCTION = Number.MAX_SAFE_INTEGER;

if (Symbol.dispose) {
  /** close(), for `using`. One that is closed already is left alone. */
  const dispose = function () {
    try {
      this.close();
    } catch (error) {
      if (!(error instanceof InterpreterNotFoundError)) throw error;
    }
  };
  Object.defineProperty(Interpreter.prototype, Symbol.dispose, { value: dispose });
  Object.defineProperty(PreparedFunction.prototype, Symbol.dispose, { value: PreparedFunction.prototype.free });
}

module.exports = { Interpreter, PreparedFunction, READING, closeOptions, pendingCalls: () => pending, reading };
