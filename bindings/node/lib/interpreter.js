'use strict';

// Interpreters: what code runs in.

const koffi = require('koffi');

const native = require('./native');
const { known, path, string } = require('./arguments');
const { check, InterpreterNotFoundError } = require('./errors');
const { tolerant, writer } = require('./limits');
const { blocking, callerIn, theLoop, withCall } = require('./loop');
const { OUT, withArena } = require('./memory');
const { PreparedFunction, SECRET } = require('./objects');
const pool = require('./pool');
const {
  CALL, EVAL, EXEC, READING, callOptions, callRequest, closeOptions, enter, reading, resultFlags, run, sourceRequest, start,
  startCall,
} = require('./run');
const { CLOSE } = require('./slot');
const { encode } = require('./values');

// Sizes of the structs in include/subpy.h.
const DEFINE_OPTIONS = 32;
const MEMORY_INFO = 40;
const LOCK_INFO = 16;

const CALLER_THREAD_ONLY = 2;

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
   *   output: what it prints goes there: a function of a text and "stdout" or "stderr", a stream, or { stdout, stderr };
   *   async: `await` may stand outside of functions
   */
  exec(code, options) {
    run(this.#how, this.#handle, options, (arena) => sourceRequest(arena, this.#handle, EXEC, code, options));
  }

  /**
   * The value of an expression.
   *
   * @param {string} expression
   * @param {object} options  as for exec(), without keepIndent;
   *   results: "object", for a PythonObject whatever it is, or one or several of "objects", for what has no value,
   *   "buffers" and "arrays", for MemoryViews;
   *   async: an awaitable is awaited, and the result is what it comes to
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
   * @param {object} options  limits, as for exec(), and results, as for eval()
   */
  call(callable, args, kwargs, options) {
    const makeRequest = (arena) => this.#named(arena, callable, args, kwargs, options);
    return run(this.#how, this.#handle, callOptions(options), makeRequest);
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
    const makeRequest = (arena) => this.#named(arena, callable, args, kwargs, options);
    return start(this.#how, this.#handle, callOptions(options), makeRequest);
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
      const status = enter(this.#handle, () => native.prepareMain(this.#handle, values, arena.error));
      arena.passed(status);
      check(arena, status);
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

  /**
   * How much memory it uses, in bytes, when it counts that: used, peak, limit (0: none), and refused, how often the limit
   * was hit.
   */
  memory() {
    return withArena((arena) => {
      const at = arena.reserve(MEMORY_INFO);
      const { chunk } = arena;
      chunk.setWord(at, MEMORY_INFO);
      check(arena, native.memory(this.#handle, chunk.address + at, arena.error));
      const [used, peak, limit, refused] = [8, 16, 24, 32].map((offset) => chunk.word(at + offset));
      return { used, peak, limit, refused };
    });
  }

  /**
   * What holds it when it is locked: landlock, the version of Landlock that keeps it from files (0: none does; 6 is all that
   * is asked for), and seccomp, whether its system calls are filtered.
   */
  lockInfo() {
    return withArena((arena) => {
      const at = arena.reserve(LOCK_INFO);
      const { chunk } = arena;
      chunk.setWord(at, LOCK_INFO);
      check(arena, native.lockGetInfo(this.#handle, chunk.address + at, arena.error));
      return { landlock: chunk.view.getInt32(at + 8, true), seccomp: chunk.view.getInt32(at + 12, true) !== 0 };
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
      check(arena, blocking(() => native.functions[CLOSE](this.#handle, struct, arena.error), this.#handle));
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

  #named(arena, callable, args, kwargs, options) {
    const text = string('the callable', callable);
    return callRequest(arena, this.#handle, CALL, text, 0, args, kwargs, resultFlags(options));
  }
}

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
}

module.exports = { Interpreter };
