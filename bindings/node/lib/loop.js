'use strict';

// The functions of this JS thread that Python calls, and what it prints. On this thread Python calls them at once; other
// threads put what they want into a queue and wait (native/host.c), and are served by the event loop.

const { AsyncLocalStorage } = require('node:async_hooks');
const net = require('node:net');
const path = require('node:path');

const koffi = require('koffi');

const kept = require('./kept');
const native = require('./native');
const { ExecutionFailed, ExecutionTimeout, NotShareableError, PythonError } = require('./errors');
const { withArena } = require('./memory');
const { FUNCTIONS, MOST_ARGUMENTS } = require('./slot');
const { encode, readAnywhere, readKeywords } = require('./values');

const CALL = 1, RAN = 2, TEXT = 3, FORGET = 4, NOTICE = 5; // messages
const ANY = 0, WAIT = 1, TEXT_ONLY = 2; // which
const MOST_NOTE = 16 * 1024;

/** How many runs may be in one another on another thread: well below what the stack of JS has room for. */
const MOST_WAITS = 64;

/** The call that the running code answers: of which interpreter, on which thread, and what it runs in. */
const answering = new AsyncLocalStorage();

/** What is there when something was defined. */
let loop = null;

/** In how many calls of the library this thread is, and in how many waits for a run on another one. */
let depth = 0;
let waits = 0;

class Loop {
  /** Functions and outputs, by their numbers. */
  entries = new Map();
  #last = 0;
  /** Calls whose thread has run something. */
  #ran = new Map();
  #out = new BigUint64Array(6);
  #socket;
  #waits = 0;

  constructor() {
    const file = path.join(__dirname, '..', 'native', `${process.platform}-${process.arch}`, 'host.so');
    const lib = koffi.load(file);
    const address = 'uintptr_t';
    this.open = lib.func('host_open', 'int32_t', ['str']);
    const make = lib.func('host_loop', address, [address, address, address]);
    const addressOf = lib.func('host_address', address, ['int32_t']);
    this.function = lib.func('host_function', address, [address, 'uint64_t', 'uint64_t']);
    this.free = lib.func('host_free', 'void', [address]);
    this.next = lib.func('host_next', 'int32_t', [address, 'int32_t', address]);
    this.taken = lib.func('host_taken', 'void', [address]);
    this.done = lib.func('host_done', 'void', [address]);
    this.run = lib.func('host_run', 'bool', [address, address, address]);
    this.preparation = lib.func('host_preparation', address, [address, 'uint64_t', address, 'size_t', 'uint64_t']);
    this.notice = lib.func('data_notice', address, [address, 'uint64_t']);
    this.watch = lib.func('data_watch', 'uint64_t', [address, 'uint64_t', 'int32_t']);
    this.unwatch = lib.func('data_unwatch', 'void', ['uint64_t']);
    this.put = lib.func('data_put', 'bool', [address, 'uint64_t', 'uint64_t', 'uint64_t', 'int64_t', 'uint64_t']);
    const symbol = lib.func('host_symbol', address, ['str', 'str']);
    const noticeAddress = lib.func('data_address', address, []);
    const openData = lib.func('data_open', 'int32_t', ['str']);
    const close = lib.func('host_close', 'void', [address]);
    const inside = lib.func('host_inside', address, [address]);
    if (this.open(native.file) !== 0 || openData(native.file) !== 0) {
      throw new Error(`${native.file} has no host functions`);
    }
    this.functions = FUNCTIONS.map(([name]) => symbol(native.file, name));

    [this.call, this.output, this.finalize, this.prepare, this.prepared] = [0, 1, 2, 3, 4].map(addressOf);
    this.notify = noticeAddress();
    const direct = koffi.proto('void', ['uint64_t', address, address, 'size_t', address]);
    const drain = koffi.proto('void', []);
    const fd = new Int32Array(1);
    this.address = make(
      Number(koffi.address(koffi.register(guarded(callHere), koffi.pointer(direct)))),
      Number(koffi.address(koffi.register(guarded(printed), koffi.pointer(drain)))),
      Number(koffi.address(fd)),
    );
    if (this.address === 0) throw new Error('out of memory or file descriptors');
    this.out = Number(koffi.address(this.#out));
    const state = koffi.view(BigInt(inside(this.address)), 16);
    this.inside = new Uint32Array(state, 0, 1);
    this.where = new BigUint64Array(state, 8, 1);
    const socket = new net.Socket({ fd: fd[0], readable: true, writable: false });
    socket.on('data', () => this.serve(ANY));
    socket.unref();
    this.#socket = socket;
    process.on('exit', () => close(this.address));
  }

  /** Keeps something, and returns its number. */
  keep(entry) {
    this.#last += 1;
    this.entries.set(this.#last, entry);
    return this.#last;
  }

  /**
   * Calls a function once, when what `start` begins says so. The program goes on until then.
   *
   * @param {Function} start  gets the number that a notice is made with; false: it has begun nothing
   * @param {Function} callback  gets what is said, a number
   * @returns {number} the number, for forget(); 0 when nothing was begun
   */
  once(start, callback) {
    const id = this.keep((word) => {
      this.forget(id);
      callback(word);
    });
    this.#waits += 1;
    this.#socket.ref();
    let begun = false;
    try {
      begun = start(id);
    } finally {
      if (!begun) this.forget(id);
    }
    return begun ? id : 0;
  }

  /** Nobody waits for that any more. */
  forget(id) {
    if (!this.entries.delete(id)) return;
    this.#waits -= 1;
    if (this.#waits === 0) this.#socket.unref();
  }

  /** Keeps something until the library has no use for it. Returns its number and its userdata. */
  add(entry) {
    this.#last += 1;
    const userdata = this.function(this.address, this.#last, entry.interp ?? 0);
    if (userdata === 0) throw new Error('out of memory');
    this.entries.set(this.#last, entry);
    return [this.#last, userdata];
  }

  /** Handles the messages that there are. */
  serve(how) {
    for (;;) {
      const what = this.next(this.address, how, this.out);
      if (what === 0) return;
      this.#handle(what);
    }
  }

  /** Has something run on the thread of a call, and waits. Returns the status; undefined when the thread waits no more. */
  runThere(call, which, args) {
    if (waits === MOST_WAITS) throw new RangeError(`Maximum call stack size exceeded: ${waits} runs in one another`);
    const words = new BigUint64Array(MOST_ARGUMENTS);
    args.forEach((arg, index) => (words[index] = BigInt(arg)));
    const address = Number(koffi.address(words));
    if (call.over || !this.run(call.address, this.functions[which], address)) return undefined;
    waits += 1;
    try {
      while (!this.#ran.has(call.address)) {
        try {
          this.#handle(this.next(this.address, WAIT, this.out));
        } catch (error) {
          warn(error); // the other thread goes on, in memory of this one
        }
      }
    } finally {
      waits -= 1;
    }
    const status = this.#ran.get(call.address);
    this.#ran.delete(call.address);
    return status;
  }

  #handle(what) {
    const [id, ...words] = Array.from(this.#out, Number);
    if (what === CALL) {
      callThere(id, ...words);
    } else if (what === RAN) {
      this.#ran.set(words[0], Number(BigInt.asIntN(32, this.#out[2])));
    } else if (what === TEXT) {
      const [message, address, length, stream] = words;
      const text = koffi.decode.string(BigInt(address), length);
      this.free(message);
      this.entries.get(id)?.(text, stream === 2 ? 'stderr' : 'stdout');
    } else if (what === FORGET) {
      const entry = this.entries.get(id);
      this.entries.delete(id);
      entry?.forgotten?.();
    } else if (what === NOTICE) {
      this.entries.get(id)?.(Number(BigInt.asIntN(64, this.#out[1])));
    }
  }
}

/** The loop of this thread. */
function theLoop() {
  loop ??= new Loop();
  return loop;
}

/** Tells of an error that has nowhere to go. */
function warn(error) {
  process.emitWarning(error instanceof Error ? error : String(error));
}

/** What C calls must not throw. */
function guarded(callback) {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      warn(error);
    }
  };
}

/**
 * Calls the library: other threads are told meanwhile that this one cannot answer, and in which interpreter it waits for
 * what runs there, if it does.
 */
function blocking(call, where = 0) {
  depth += 1;
  if (loop && depth === 1) loop.inside[0] += 1;
  const before = loop?.where[0];
  if (loop && where !== 0) loop.where[0] = BigInt(where);
  try {
    return call();
  } finally {
    depth -= 1;
    if (loop && before !== undefined) loop.where[0] = before;
    if (loop && depth === 0) {
      if (loop.inside[0] % 2 === 1) loop.inside[0] += 1;
      loop.serve(TEXT_ONLY);
    }
  }
}

/** Passes on what was printed so far. */
function printed() {
  loop?.serve(TEXT_ONLY);
}

/** What `this` is in a host function. */
class HostCall {
  #context;

  constructor(interp, context, outer) {
    this.handle = interp;
    this.#context = context;
    Object.defineProperty(this, 'outer', { value: outer });
  }

  /** Whether the run was cancelled, or is beyond its time limit: what takes long looks, and returns. */
  get cancelled() {
    return native.contextCancelled(this.#context);
  }
}

/** Python code on this thread calls. */
function callHere(id, context, args, nargs, kwargs) {
  const interp = loop.entries.get(Number(id)).interp ?? native.contextInterp(context);
  const call = new HostCall(interp, context, answering.getStore());
  try {
    const { fn, how } = loop.entries.get(Number(id));
    const result = invoke(call, fn, how, Number(args), Number(nargs), Number(kwargs));
    if (isPromise(result)) {
      result.then(undefined, () => {}); // nobody waits for it
      throw new PythonError(
        'RuntimeError',
        'the host function returned a promise, and its JavaScript thread runs Python: ' +
          'use the methods whose names end with InThread',
      );
    }
    give(context, result);
  } catch (error) {
    refuse(context, error);
  }
}

/** Python code on another thread calls, which waits. */
function callThere(id, address, context, args, nargs, kwargs) {
  const { fn, how, interp } = loop.entries.get(id);
  const call = new HostCall(interp ?? native.contextInterp(context), context, undefined);
  Object.assign(call, { address, over: false });
  const end = (answer, value) => {
    try {
      answer(context, value);
    } catch (error) {
      refuse(context, error);
    } finally {
      call.over = true;
      loop.done(address);
    }
  };
  let result;
  try {
    result = invoke(call, fn, how, args, nargs, kwargs, () => loop.taken(address));
    if (isPromise(result) && waits > 0) {
      result.then(undefined, () => {});
      throw new PythonError(
        'RuntimeError',
        'the host function returned a promise while its JavaScript thread waits for a run inside another one',
      );
    }
  } catch (error) {
    end(refuse, error);
    return;
  }
  if (!isPromise(result)) end(give, result);
  else result.then((value) => end(give, value), (error) => end(refuse, error));
}

function invoke(call, fn, how, args, nargs, kwargs, taken = undefined) {
  let values;
  try {
    values = readAnywhere(how, args, nargs);
    if (kwargs !== 0) values.push(readKeywords(how, kwargs));
  } finally {
    taken?.();
  }
  return answering.run(call, () => fn.apply(call, values));
}

function isPromise(value) {
  return typeof value === 'object' && value !== null && typeof value.then === 'function';
}

function give(context, value) {
  withArena((arena) => arena.passed(native.contextReturn(context, encode(arena, value, 'result'))));
}

/** The Python type for what was thrown. */
function typeOf(error) {
  if (error instanceof PythonError) return error.type;
  if (error instanceof ExecutionTimeout) return 'TimeoutError';
  if (error instanceof ExecutionFailed && error.excinfo.type.name !== null) {
    const { module, qualname } = error.excinfo.type;
    return `${module}:${qualname}`;
  }
  if (error instanceof NotShareableError || error instanceof TypeError) return 'TypeError';
  if (error instanceof RangeError) return /call stack/.test(error.message) ? 'RecursionError' : 'ValueError';
  if (error?.name === 'TimeoutError') return 'TimeoutError';
  if (error?.code === 'ENOENT') return 'FileNotFoundError';
  if (error?.code === 'EACCES' || error?.code === 'EPERM') return 'PermissionError';
  if (typeof error?.errno === 'number') return 'OSError';
  return 'RuntimeError';
}

function refuse(context, error) {
  let [type, message, stack] = ['RuntimeError', 'a value that has no text', ''];
  try {
    type = typeOf(error);
    const failed = error instanceof ExecutionFailed && !(error instanceof ExecutionTimeout);
    message = String((failed ? error.excinfo.msg : undefined) ?? (error instanceof Error ? error.message : error));
    stack = error instanceof Error ? String(error.stack) : '';
  } catch {
    // A getter or a toString() that throws.
  }
  withArena((arena) => {
    const put = (text) => {
      const length = Buffer.byteLength(text);
      return [arena.text(length, text), length];
    };
    native.contextRaise(context, ...put(type), ...put(message.toWellFormed()));
    native.contextTag(context, kept.keep(error));
    if (stack !== '') native.contextNote(context, ...put(note(stack)));
  });
}

/** The stack, without what is below the host function. */
function note(stack) {
  const lines = stack.toWellFormed().slice(0, MOST_NOTE).split('\n');
  const below = lines.findIndex((line) => line.includes(' invoke (') && line.includes(__filename));
  return ['JavaScript stack:', ...(below < 0 ? lines : lines.slice(0, below))].join('\n');
}

/**
 * The call that the running code answers, when it is one by a thread in that interpreter: which waits for the answer, and
 * so is the one that more has to run on.
 */
function callerIn(interp) {
  for (let call = answering.getStore(); call; call = call.outer) {
    if (call.handle === interp) return call.address !== undefined && !call.over ? call : null;
  }
  return null;
}

/** Lends an arena to a function that calls Python: what host functions throw meanwhile is kept until it returns. */
function withCall(use) {
  kept.enter();
  try {
    return withArena(use);
  } finally {
    kept.leave();
  }
}

module.exports = { blocking, callerIn, printed, theLoop, warn, withCall };
