'use strict';

// Interpreters and prepared functions: what code runs in, and on which thread.

const koffi = require('koffi');

const native = require('./native');
const { choice, known, path, string } = require('./arguments');
const { check, InterpreterNotFoundError } = require('./errors');
const { OUT, giveArena, takeArena, withArena } = require('./memory');
const pool = require('./pool');
const { CALL_MANY, RUN } = require('./slot');
const { encode, encodeArgs, encodeRows, takeResult, takeResults } = require('./values');

const EXEC = 1, EVAL = 2, CALL = 3, FUNCTION = 4;
const KEEP_INDENT = 1;
const RETURN_ERRORS = 1;

// Size of the struct in include/subpy.h.
const RUN_REQUEST = 80;

/** What results become. */
const INTEGERS = { auto: 'auto', number: 'number', bigint: 'bigint' };
const DICTS = { map: 'map', object: 'object' };
const READING = ['integers', 'dicts'];

function reading({ integers = 'auto', dicts = 'map' }) {
  return { integers: choice('integers', integers, INTEGERS), dicts: choice('dicts', dicts, DICTS) };
}

/** Calls whose promises are not settled, of this thread of Node's. */
let pending = 0;

/** Runs a request on this thread. */
function run(how, makeRequest) {
  return withArena((arena) => {
    check(arena, native.run(makeRequest(arena), arena.result, arena.error));
    return takeResult(arena, how);
  });
}

/** Runs a request on a thread of the pool. */
function start(how, interp, makeRequest) {
  return startCall(interp, RUN, (arena) => [makeRequest(arena)], (arena) => takeResult(arena, how));
}

/**
 * Calls a function of the library on a thread of the pool, with a result and an error behind its arguments. The memory that it is in belongs to this thread of Node's, which ends its pool,
 * and waits for it, before it gives memory back: also when it is terminated.
 */
async function startCall(interp, which, makeArguments, take) {
  const arena = takeArena();
  try {
    const args = makeArguments(arena);
    pending += 1;
    try {
      check(arena, await pool.run(interp, which, [...args, arena.result, arena.error]));
      return take(arena);
    } finally {
      pending -= 1;
    }
  } finally {
    giveArena(arena);
  }
}

/** Writes a subpy_run_request, and returns its address. */
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
  return chunk.address + at;
}

function sourceRequest(arena, interp, what, source, options = {}) {
  const { filename, keepIndent = false } = known('options', options, ['filename', 'keepIndent']);
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
   * @param {{filename?: string, keepIndent?: boolean}} options  the file name in tracebacks; whether to leave the
   *   indentation as it is
   */
  exec(code, options) {
    run(this.#how, (arena) => sourceRequest(arena, this.#handle, EXEC, code, options));
  }

  /**
   * The value of an expression.
   *
   * @param {string} expression
   * @param {{filename?: string}} options
   */
  eval(expression, options) {
    return run(this.#how, (arena) => sourceRequest(arena, this.#handle, EVAL, expression, options));
  }

  /**
   * Calls something by its name, and returns what it returns.
   *
   * @param {string} callable  "name" in `__main__`, or "package.module:attribute"
   * @param {Array} args  positional arguments
   * @param {object|Map} kwargs  keyword arguments
   */
  call(callable, args, kwargs) {
    return run(this.#how, (arena) => this.#named(arena, callable, args, kwargs));
  }

  /** exec() on a thread of the pool. @returns {Promise<void>} */
  async execInThread(code, options) {
    await start(this.#how, this.#handle, (arena) => sourceRequest(arena, this.#handle, EXEC, code, options));
  }

  /** eval() on a thread of the pool. @returns {Promise<any>} */
  async evalInThread(expression, options) {
    return start(this.#how, this.#handle, (arena) => sourceRequest(arena, this.#handle, EVAL, expression, options));
  }

  /** call() on a thread of the pool. @returns {Promise<any>} */
  async callInThread(callable, args, kwargs) {
    return start(this.#how, this.#handle, (arena) => this.#named(arena, callable, args, kwargs));
  }

  /**
   * Looks a callable up, to call it many times. Binding its name to something else later does not change what is called.
   *
   * @param {string} callable  as for call()
   * @returns {PreparedFunction}
   */
  function(callable) {
    const handle = withArena((arena) => {
      const length = Buffer.byteLength(string('the callable', callable));
      const text = arena.text(length, callable);
      check(arena, native.functionNew(this.#handle, text, length, arena.out, arena.error));
      return arena.head.word(OUT);
    });
    return new PreparedFunction(SECRET, handle, this.#handle, this.#how);
  }

  /** Binds names in its `__main__`. @param {object|Map} names */
  prepareMain(names) {
    withArena((arena) => check(arena, native.prepareMain(this.#handle, encode(arena, names, 'names'), arena.error)));
  }

  /** Ends it. Waits for the threads that Python code started in it, and runs its atexit handlers. */
  close() {
    withArena((arena) => check(arena, native.close(this.#handle, arena.error)));
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
  call(args, kwargs) {
    return run(this.#how, (arena) => this.#request(arena, args, kwargs));
  }

  /** call() on a thread of the pool. @returns {Promise<any>} */
  async callInThread(args, kwargs) {
    return this.#keep(() => start(this.#how, this.#interp, (arena) => this.#request(arena, args, kwargs)));
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
    return withArena((arena) => {
      const args = this.#many(arena, rows, returnErrors);
      check(arena, native.functionCallMany(...args, arena.result, arena.error));
      return takeResults(arena, this.#how, returnErrors);
    });
  }

  /** callMany() on a thread of the pool. @returns {Promise<Array>} */
  async callManyInThread(rows, options) {
    const returnErrors = wantsErrors(options);
    const makeArguments = (arena) => this.#many(arena, rows, returnErrors);
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

module.exports = { Interpreter, PreparedFunction, READING, pendingCalls: () => pending, reading };
