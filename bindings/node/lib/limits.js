'use strict';

// What a run may be given besides its arguments: a time limit, an AbortSignal, and where its output goes.

const { defaultMaxListeners, getMaxListeners, setMaxListeners } = require('node:events');

const native = require('./native');
const { check, ExecutionInterrupted, INTERRUPTED, ownError } = require('./errors');
const { OUT, withArena } = require('./memory');
const { printed, theLoop, warn } = require('./loop');

const NAMES = ['timeout', 'signal', 'output'];

/** A function of a text and the name of its stream, for what an option may be. */
function writer(what, output) {
  if (typeof output === 'function') return output;
  if (typeof output?.write === 'function') return (text) => output.write(text);
  if (typeof output?.stdout?.write === 'function' && typeof output.stderr?.write === 'function') {
    return (text, stream) => output[stream].write(text);
  }
  throw new TypeError(`${what}: a function, a stream, or { stdout, stderr } of streams is expected`);
}

/** A function that calls one of the user's, whose errors are told once and otherwise left alone. */
function tolerant(write) {
  let failed = false;
  return (text, stream) => {
    try {
      write(text, stream);
    } catch (error) {
      if (failed) return;
      failed = true;
      warn(error);
    }
  };
}

function milliseconds(what, time, least) {
  if (typeof time !== 'number' || !(time >= least)) {
    throw new TypeError(`${what}: a number of milliseconds${least > 0 ? ' above 0' : ''} is expected`);
  }
  // Not shorter than it was asked for. Beyond 2^53 nobody waits for the difference.
  return Math.min(Math.ceil(time), Number.MAX_SAFE_INTEGER);
}

/** Limits of one run, and what C needs of them until it is over. */
class Limits {
  timeout = 0;
  cancel = 0;
  sink = 0;
  /** Called when the signal is aborted, after the run was told. */
  onabort = null;
  #signal;
  #fire;
  #id;

  constructor({ timeout, signal, output }) {
    if (timeout !== undefined) this.timeout = milliseconds('timeout', timeout, Number.MIN_VALUE);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError('signal: an AbortSignal is expected');
    }
    const write = output === undefined ? undefined : tolerant(writer('output', output));
    if (signal !== undefined) {
      this.#signal = signal;
      this.throwIfAborted();
      withArena((arena) => {
        check(arena, native.cancelNew(arena.out, arena.error));
        this.cancel = arena.head.word(OUT);
      });
      this.#fire = () => {
        native.cancelFire(this.cancel);
        this.onabort?.();
      };
      // Many runs with one signal are no leak.
      if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(1500, signal);
      signal.addEventListener('abort', this.#fire, { once: true });
    }
    if (write !== undefined) [this.#id, this.sink] = theLoop().add(write);
  }

  get outputFunction() {
    return this.sink === 0 ? 0 : theLoop().output;
  }

  throwIfAborted() {
    if (this.#signal?.aborted) throw this.failure(ownError(INTERRUPTED, 'the run was cancelled before it started'));
  }

  /** The error of the run: that of an abort is called so, and has the signal's reason. */
  failure(error) {
    if (error instanceof ExecutionInterrupted && this.#signal?.aborted) {
      Object.defineProperty(error, 'name', { value: 'AbortError', configurable: true, writable: true });
      error.cause ??= this.#signal.reason;
    }
    return error;
  }

  /** The run is over. */
  release() {
    if (this.#fire) {
      this.#signal.removeEventListener('abort', this.#fire);
      native.cancelFree(this.cancel);
    }
    if (this.sink !== 0) {
      const loop = theLoop();
      printed();
      loop.entries.delete(this.#id);
      loop.free(this.sink);
    }
  }
}

const NONE = { timeout: 0, cancel: 0, sink: 0, outputFunction: 0, failure: (error) => error, release() {} };

/** The limits among options. */
function limitsOf(options = {}) {
  return NAMES.some((name) => options[name] !== undefined) ? new Limits(options) : NONE;
}

module.exports = { LIMITS: NAMES, limitsOf, milliseconds, tolerant, writer };
