'use strict';

/**
 * Many isolated CPython interpreters in a Node process: Python's concurrent.interpreters. The library is that of the
 * environment variable SUBPY_LIBRARY, or libsubpy.so where the dynamic loader finds it. docs/node.md explains.
 */

const koffi = require('koffi');

const native = require('./native');
const { ERROR, OUT, OUT_2, withArena } = require('./memory');
const { Float, Tuple, checked, encode, encodeArgs, takeResult } = require('./values');
const errors = require('./errors');

const { check } = errors;

const EXEC = 1, EVAL = 2, CALL = 3;
const KEEP_INDENT = 1;
const BUSY_STATUS = -3;

// Sizes of the structs in include/subpy.h.
const RUNTIME_OPTIONS = 24;
const INTERP_OPTIONS = 40;
const RUN_REQUEST = 80;

const GIL = { own: 0, shared: 1 };
const BUSY = { error: 0, wait: 1, share: 2 };
const INTERP_FLAGS = { allowFork: 1, allowExec: 2, noThreads: 4, allowDaemonThreads: 8, noExtensionCheck: 16 };
const RUNTIME_FLAGS = { useEnvironment: 1, noSite: 2, keepSigpipe: 4 };

/**
 * An interpreter. The object is a reference: it closes nothing when it is garbage. Close it with close(), or all of them
 * with shutdown().
 *
 * exec, eval, call and prepareMain run on this thread, which runs no JS meanwhile. The methods that end with InThread
 * run on a thread of their own, and return a promise.
 */
class Interpreter {
  #handle;

  /** @param {number} handle  of an interpreter, from `handle` of another Interpreter, perhaps in another worker */
  constructor(handle) {
    if (!Number.isSafeInteger(handle) || handle < 0) throw new TypeError('an interpreter has a handle: a number');
    this.#handle = handle;
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
    this.#run((arena) => this.#source(arena, EXEC, code, options));
  }

  /**
   * The value of an expression.
   *
   * @param {string} expression
   * @param {{filename?: string}} options
   */
  eval(expression, options) {
    return this.#run((arena) => this.#source(arena, EVAL, expression, options));
  }

  /**
   * Calls something by its name, and returns what it returns.
   *
   * @param {string} callable  "name" in `__main__`, or "package.module:attribute"
   * @param {Array} args  positional arguments
   * @param {object|Map} kwargs  keyword arguments
   */
  call(callable, args, kwargs) {
    return this.#run((arena) => this.#callable(arena, callable, args, kwargs));
  }

  /** exec() on a thread of its own. @returns {Promise<void>} */
  async execInThread(code, options) {
    await this.#start((arena) => this.#source(arena, EXEC, code, options));
  }

  /** eval() on a thread of its own. @returns {Promise<any>} */
  async evalInThread(expression, options) {
    return this.#start((arena) => this.#source(arena, EVAL, expression, options));
  }

  /** call() on a thread of its own. @returns {Promise<any>} */
  async callInThread(callable, args, kwargs) {
    return this.#start((arena) => this.#callable(arena, callable, args, kwargs));
  }

  /** Binds names in its `__main__`. @param {object|Map} names */
  prepareMain(names) {
    withArena((arena) => check(arena, native.prepareMain(this.#handle, encode(arena, names, 'names'), arena.error)));
  }

  /** Ends it. Waits for the threads that Python code started in it, and runs its atexit handlers. */
  close() {
    withArena((arena) => check(arena, native.close(this.#handle, arena.error)));
  }

  #run(makeRequest) {
    return withArena((arena) => {
      check(arena, native.run(makeRequest(arena), arena.result, arena.error));
      return takeResult(arena);
    });
  }

  #start(makeRequest) {
    const thread = withArena((arena) => {
      check(arena, native.runInThread(makeRequest(arena), arena.out, arena.error));
      return arena.head.word(OUT);
    });
    return join(thread);
  }

  #source(arena, what, source, options = {}) {
    const { filename, keepIndent = false } = known('options', options, ['filename', 'keepIndent']);
    return this.#request(arena, {
      what,
      flags: keepIndent ? KEEP_INDENT : 0,
      text: string('the source', source),
      filename: filename === undefined ? 0 : path(arena, 'filename', filename),
    });
  }

  #callable(arena, callable, args = [], kwargs) {
    if (!Array.isArray(args)) throw new TypeError('args: an array is expected');
    const copy = Array.from(args); // a getter of an argument may change the original
    return this.#request(arena, {
      what: CALL,
      text: string('the callable', callable),
      args: encodeArgs(arena, copy),
      nargs: copy.length,
      kwargs: kwargs === undefined || kwargs === null ? 0 : encode(arena, kwargs, 'kwargs'),
    });
  }

  #request(arena, { what, text, flags = 0, filename = 0, args = 0, nargs = 0, kwargs = 0 }) {
    const length = Buffer.byteLength(text);
    const textAddress = arena.text(length, text);
    const at = arena.reserve(RUN_REQUEST);
    const { chunk } = arena;
    chunk.bytes.fill(0, at, at + RUN_REQUEST);
    chunk.setWord(at, RUN_REQUEST);
    chunk.setWord(at + 8, this.#handle);
    chunk.view.setInt32(at + 16, what, true);
    chunk.view.setUint32(at + 20, flags, true);
    chunk.setWord(at + 24, textAddress);
    chunk.setWord(at + 32, length);
    chunk.setWord(at + 48, nargs === 0 ? 0 : args);
    chunk.setWord(at + 56, nargs);
    chunk.setWord(at + 64, kwargs);
    chunk.setWord(at + 72, filename);
    return chunk.address + at;
  }
}

if (Symbol.dispose) {
  /** close(), for `using`. One that is closed already is left alone. */
  const dispose = function () {
    try {
      this.close();
    } catch (error) {
      if (!(error instanceof errors.InterpreterNotFoundError)) throw error;
    }
  };
  Object.defineProperty(Interpreter.prototype, Symbol.dispose, { value: dispose });
}

/** Runs of this worker whose promises are not settled. The outcomes of those that are done are gone after a shutdown. */
let pending = 0;

/** Waits on a thread of libuv's pool. What C writes to is C's memory: it outlives a worker that is terminated. */
function join(thread) {
  const size = OUT;
  return new Promise((resolve, reject) => {
    const out = koffi.alloc('uint8_t', size);
    native.join.async(thread, Number(out), Number(out) + ERROR, (failure, status) => {
      pending -= 1;
      try {
        if (failure) throw failure;
        resolve(
          withArena((arena) => {
            native.memcpy(arena.head.address, Number(out), size);
            check(arena, status);
            return takeResult(arena);
          }),
        );
      } catch (error) {
        reject(error);
      } finally {
        koffi.free(out);
      }
    });
    pending += 1;
  });
}

/**
 * Starts CPython, or makes sure that it runs. Needed only to choose which one, and how; create() starts it as well.
 *
 * @param {object} options
 *   python: path of an executable, of a virtual environment's folder or of a libpython;
 *   useEnvironment: honour PYTHONPATH and the like; noSite: start without site-packages;
 *   keepSigpipe: leave SIGPIPE as it is
 */
function init(options = {}) {
  known('options', options, ['python', ...Object.keys(RUNTIME_FLAGS)]);
  withArena((arena) => {
    const python = options.python === undefined ? 0 : path(arena, 'python', options.python);
    const at = arena.reserve(RUNTIME_OPTIONS);
    const { chunk } = arena;
    chunk.setWord(at, RUNTIME_OPTIONS);
    chunk.setWord(at + 8, python);
    chunk.setWord(at + 16, flags(options, RUNTIME_FLAGS));
    check(arena, native.init(chunk.address + at, arena.error));
  });
}

/**
 * Closes all interpreters and finalizes CPython. init() and create() work again afterwards. Await all promises first:
 * while one of this worker is pending, as while anything runs, this is SUBPY_ERROR_BUSY.
 */
function shutdown() {
  if (pending > 0) {
    const runs = pending === 1 ? '1 promise of a run is' : `${pending} promises of runs are`;
    const details = { code: 'SUBPY_ERROR_BUSY', status: BUSY_STATUS, handle: 0 };
    throw new errors.InterpreterError(`${runs} not settled yet: await them before the shutdown`, details);
  }
  withArena((arena) => check(arena, native.shutdown(arena.error)));
}

/**
 * Creates an interpreter.
 *
 * @param {object} options
 *   gil: "own" (the default) or "shared" with the main interpreter;
 *   busy: what happens to a run while another one is going on: "error" (the default), "wait" or "share";
 *   path: folders to put in front of sys.path;
 *   allowFork, allowExec, noThreads, allowDaemonThreads, noExtensionCheck: see include/subpy.h
 * @returns {Interpreter}
 */
function create(options = {}) {
  known('options', options, ['gil', 'busy', 'path', ...Object.keys(INTERP_FLAGS)]);
  const { gil = 'own', busy = 'error', path: folders = [] } = options;
  if (!Array.isArray(folders)) throw new TypeError('path: an array of folders is expected');
  return withArena((arena) => {
    const texts = folders.map((folder, index) => path(arena, `path[${index}]`, folder));
    const list = arena.reserve(texts.length * 8);
    texts.forEach((text, index) => arena.chunk.setWord(list + index * 8, text));
    const listAddress = texts.length === 0 ? 0 : arena.chunk.address + list;
    const at = arena.reserve(INTERP_OPTIONS);
    const { chunk } = arena;
    chunk.setWord(at, INTERP_OPTIONS);
    chunk.view.setInt32(at + 8, choice('gil', gil, GIL), true);
    chunk.view.setInt32(at + 12, choice('busy', busy, BUSY), true);
    chunk.setWord(at + 16, flags(options, INTERP_FLAGS));
    chunk.setWord(at + 24, listAddress);
    chunk.setWord(at + 32, texts.length);
    check(arena, native.create(chunk.address + at, arena.out, arena.error));
    return new Interpreter(arena.head.word(OUT));
  });
}

/** All interpreters by ascending id: main, yours, and those that Python code created. @returns {Interpreter[]} */
function listAll() {
  return withArena((arena) => {
    for (let room = 64; ; room *= 2) {
      const at = arena.reserve(room * 8);
      const { chunk } = arena;
      check(arena, native.listAll(chunk.address + at, room, arena.out, arena.error));
      const count = arena.head.word(OUT);
      if (count <= room) return Array.from({ length: count }, (_, index) => new Interpreter(chunk.word(at + index * 8)));
    }
  });
}

/** The interpreter that this thread is in. A Node thread is in none: InterpreterNotFoundError. @returns {Interpreter} */
function getCurrent() {
  return found((arena) => native.getCurrent(arena.out, arena.error));
}

/** The main interpreter. Packages that refuse other interpreters work there. @returns {Interpreter} */
function getMain() {
  return found((arena) => native.getMain(arena.out, arena.error));
}

/** The interpreter with this id. @param {number} id @returns {Interpreter} */
function find(id) {
  if (!Number.isSafeInteger(id)) throw new TypeError('id: a whole number is expected');
  return found((arena) => native.find(id, arena.out, arena.error));
}

function found(call) {
  return withArena((arena) => {
    check(arena, call(arena));
    return new Interpreter(arena.head.word(OUT));
  });
}

// ---- arguments

function known(what, options, names) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${what}: an object is expected`);
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`${what}: ${name} is not one of ${names.join(', ')}`);
  }
  return options;
}

function choice(what, name, choices) {
  if (!Object.hasOwn(choices, name)) {
    throw new TypeError(`${what}: ${String(name)} is not one of ${Object.keys(choices).join(', ')}`);
  }
  return choices[name];
}

function flags(options, bits) {
  return Object.entries(bits).reduce((word, [name, bit]) => (options[name] ? word | bit : word), 0);
}

function string(what, text) {
  if (typeof text !== 'string') throw new TypeError(`${what}: a string is expected`);
  return checked(text);
}

function path(arena, what, text) {
  if (string(what, text).includes('\0')) throw new TypeError(`${what}: a string without NUL is expected`);
  return arena.text(Buffer.byteLength(text), text, 1);
}

module.exports = {
  ExecutionFailed: errors.ExecutionFailed,
  Float,
  Interpreter,
  InterpreterError: errors.InterpreterError,
  InterpreterNotFoundError: errors.InterpreterNotFoundError,
  NotShareableError: errors.NotShareableError,
  PythonSyntaxError: errors.PythonSyntaxError,
  Tuple,
  create,
  find,
  getCurrent,
  getMain,
  init,
  listAll,
  pythonLibrary: native.pythonLibrary,
  pythonVersion: native.pythonVersion,
  shutdown,
  version: native.version,
};
