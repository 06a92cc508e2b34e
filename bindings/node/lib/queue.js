'use strict';

// Queues: what carries values between JS and interpreters.

const native = require('./native');
const { known } = require('./arguments');
const { INTERRUPTED, QueueClosed, QueueEmpty, QueueFull, check, ownError } = require('./errors');
const { milliseconds } = require('./limits');
const { theLoop } = require('./loop');
const { ERROR, OUT, withArena } = require('./memory');
const { READING, reading } = require('./run');
const { PUT, QUEUE, encode, makers, putHandle, takeResult } = require('./values');

const QUEUE_OPTIONS = 24;
const NOT_FOUND = -2, INTERPRETER = -6, TIMEOUT = -10, WRONG_STATE = -14;

/** What comes out of a queue that is empty. */
const NOTHING = Symbol('nothing');

/** A handle that no queue has. */
const NO_QUEUE = Number.MAX_SAFE_INTEGER;

const garbage = new FinalizationRegistry(native.queueFree);

/** A handle that is made elsewhere. */
class Handle {
  constructor(handle) {
    this.handle = handle;
  }
}

/**
 * A queue between JS and interpreters. In Python it is a Queue of the module `subpy_queues`, with the methods of
 * concurrent.interpreters.Queue. It goes with the last who has it.
 */
class Queue {
  #handle;
  #how;
  #freed = false;
  /** Who waits to put, and who waits to get: the first one first. */
  #puts = [];
  #gets = [];
  /** What tells that there is something to get: the number of the callback, and the key of the watch. */
  #watch = null;

  /**
   * @param {object} options
   *   capacity: how many items have room, otherwise any number; integers, dicts: what items become, see Interpreter
   */
  constructor(options = {}) {
    if (options instanceof Handle) {
      [this.#handle, this.#how] = options.handle;
    } else {
      const { capacity = 0 } = known('options', options, ['capacity', ...READING]);
      if (!Number.isSafeInteger(capacity) || capacity < 0) throw new TypeError('capacity: a whole number is expected');
      this.#how = reading(options);
      this.#handle = newQueue(capacity);
    }
    garbage.register(this, this.#handle, this);
  }

  /** The queue with the `handle` of a Queue in another worker. @param {number} handle @param {object} options */
  static from(handle, options = {}) {
    if (!Number.isSafeInteger(handle) || handle < 0) throw new TypeError('a queue has a handle: a number');
    return keep(reading(known('options', options, READING)), handle);
  }

  /** The library's number for it, the same in all workers of the process. */
  get handle() {
    return this.#handle;
  }

  /** How many items are in it. */
  get size() {
    return withArena((arena) => {
      this.#check(arena, native.queueLen(this.#number, arena.out, arena.error));
      return arena.head.word(OUT);
    });
  }

  /**
   * Puts a copy of a value in, when there is room.
   *
   * @param {any} value
   * @param {{timeout?: number, signal?: AbortSignal}} options  timeout: milliseconds to wait, then QueueFull; without limit
   *   when it is not there
   * @returns {Promise<void>}  QueueClosed when it is closed
   */
  async put(value, options) {
    const wait = new Wait(options, QueueFull, 'the queue is full');
    const from = withArena((arena) => {
      const item = encode(arena, value, 'value');
      // What is passed once is gone, whether there was room or not.
      if (this.#puts.length === 0 && !arena.passing) {
        const status = native.queuePut(this.#number, item, 0, arena.error);
        if (status !== TIMEOUT) {
          this.#check(arena, status);
          return 0;
        }
        native.errorFree(arena.head.word(ERROR));
      }
      const queue = newQueue(1);
      const status = native.queuePut(queue, item, 0, arena.error);
      arena.passed(status);
      if (status !== 0) native.queueFree(queue);
      this.#check(arena, status);
      return queue;
    });
    if (from === 0) return;
    try {
      await wait.begin((ended) => {
        const put = { from, wait, cancel: 0 };
        this.#puts.push(put);
        if (this.#puts.length === 1) this.#putNext();
        ended(() => this.#stopPut(put));
      });
    } finally {
      native.queueFree(from);
    }
  }

  /** Puts a copy of a value in; QueueFull when there is no room. */
  putNowait(value) {
    withArena((arena) => {
      const item = encode(arena, value, 'value');
      const status = native.queuePut(this.#number, item, 0, arena.error);
      arena.passed(status);
      this.#check(arena, status, QueueFull);
    });
  }

  /**
   * Takes the first item out, when there is one.
   *
   * @param {{timeout?: number, signal?: AbortSignal}} options  timeout: milliseconds to wait, then QueueEmpty; without limit
   *   when it is not there
   * @returns {Promise<any>}  QueueClosed when it is closed and empty
   */
  async get(options) {
    const wait = new Wait(options, QueueEmpty, 'the queue is empty');
    if (this.#gets.length === 0) {
      const item = this.#take();
      if (item !== NOTHING) return item;
    }
    return wait.begin((ended) => {
      this.#gets.push(wait);
      if (this.#gets.length === 1) this.#look();
      ended(() => this.#stopGet(wait));
    });
  }

  /** Takes the first item out; QueueEmpty when there is none. */
  getNowait() {
    const item = this.#take();
    if (item === NOTHING) throw queueError(QueueEmpty, TIMEOUT, 'the queue is empty');
    return item;
  }

  /** Nothing goes in any more, and what is in can be taken out. Who waits is woken. */
  close() {
    withArena((arena) => this.#check(arena, native.queueClose(this.#number, arena.error)));
  }

  /** All items, until the queue is closed and empty. */
  async *[Symbol.asyncIterator]() {
    for (;;) {
      let item;
      try {
        item = await this.get();
      } catch (error) {
        if (error instanceof QueueClosed) return;
        throw error;
      }
      yield item;
    }
  }

  /** Gives the handle up; nobody is woken by that but who waits here. What is garbage is given up as well. */
  free() {
    if (this.#freed) return;
    this.#freed = true;
    garbage.unregister(this);
    native.queueFree(this.#handle);
    this.#unwatch();
    for (const wait of this.#gets.splice(0)) wait.reject(freed());
    // The first one is on its way.
    for (const { wait } of this.#puts.splice(1)) wait.reject(freed());
  }

  /** As an argument it is a Queue of the module subpy_queues. */
  [PUT](arena, chunk, at) {
    if (this.#freed) throw freed();
    arena.hold(this);
    putHandle(chunk, at, QUEUE, this.#handle);
  }

  #take() {
    return withArena((arena) => {
      const status = native.queueGet(this.#number, 0, arena.result, arena.error);
      if (status === TIMEOUT) {
        native.errorFree(arena.head.word(ERROR));
        return NOTHING;
      }
      this.#check(arena, status);
      return takeResult(arena, this.#how);
    });
  }

  get #number() {
    return this.#freed ? NO_QUEUE : this.#handle;
  }

  /** Has the first of those that wait put what it has. */
  #putNext() {
    const [put] = this.#puts;
    if (!put) return;
    const loop = theLoop();
    try {
      withArena((arena) => {
        check(arena, native.cancelNew(arena.out, arena.error));
        put.cancel = arena.head.word(OUT);
      });
      const start = (id) => loop.put(loop.address, id, this.#number, put.from, -1, put.cancel);
      if (loop.once(start, (status) => this.#put(put, status)) === 0) {
        throw this.#freed ? freed() : ownError(INTERPRETER, 'no thread could be started that waits for room in the queue');
      }
    } catch (error) {
      native.cancelFree(put.cancel);
      this.#puts.shift();
      put.wait.reject(error);
      this.#putNext();
    }
  }

  /** What the first of those that wait has put is in, or not. */
  #put({ wait, cancel }, status) {
    native.cancelFree(cancel);
    this.#puts.shift();
    if (status === 0) wait.resolve();
    else if (status === WRONG_STATE) wait.reject(queueError(QueueClosed, status, 'the queue is closed'));
    else wait.fail(status);
    this.#putNext();
  }

  /** Somebody waits to put no more. The first one has put, when that comes too late. */
  #stopPut(put) {
    if (put === this.#puts[0]) {
      native.cancelFire(put.cancel);
      return;
    }
    this.#puts.splice(this.#puts.indexOf(put), 1);
    put.wait.fail(INTERRUPTED);
  }

  #stopGet(wait) {
    this.#gets.splice(this.#gets.indexOf(wait), 1);
    if (this.#gets.length === 0) this.#unwatch();
    wait.fail(INTERRUPTED);
  }

  /** Gives those that wait what there is, and has them told when there is more. */
  #look() {
    while (this.#gets.length > 0) {
      try {
        const item = this.#take();
        if (item === NOTHING) break;
        this.#gets.shift().resolve(item);
      } catch (error) {
        this.#gets.shift().reject(error);
      }
    }
    if (this.#gets.length > 0 && this.#watch === null) this.#wait();
  }

  #wait() {
    try {
      const fd = withArena((arena) => {
        this.#check(arena, native.queueFd(this.#number, arena.out, arena.error));
        return arena.head.view.getInt32(OUT, true);
      });
      const loop = theLoop();
      let key = 0;
      const start = (id) => (key = loop.watch(loop.address, id, fd)) !== 0;
      const id = loop.once(start, () => {
        this.#watch = null;
        this.#look();
      });
      if (id === 0) throw ownError(INTERPRETER, 'the queue cannot be watched: no descriptor, thread or memory is left');
      this.#watch = { id, key };
    } catch (error) {
      for (const wait of this.#gets.splice(0)) wait.reject(error);
    }
  }

  #unwatch() {
    if (this.#watch === null) return;
    const loop = theLoop();
    loop.unwatch(this.#watch.key);
    loop.forget(this.#watch.id);
    this.#watch = null;
  }

  #check(arena, status, Expired = undefined) {
    if (status === 0) return;
    try {
      check(arena, status);
    } catch (error) {
      if (status === TIMEOUT && Expired) throw queueError(Expired, status, error.message);
      if (status === WRONG_STATE) throw queueError(QueueClosed, status, error.message);
      throw error;
    }
  }
}

/** One that waits: for a time, and until its signal is aborted. */
class Wait {
  #signal;
  #timeout;
  #expired;
  #failure;
  #settled = false;

  constructor(options = {}, Expired, message) {
    const { timeout, signal } = known('options', options, ['timeout', 'signal']);
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal: an AbortSignal is expected');
    if (timeout !== undefined) this.#timeout = milliseconds('timeout', timeout, 0);
    this.#signal = signal;
    this.#expired = () => queueError(Expired, TIMEOUT, message);
    if (signal?.aborted) throw this.#aborted();
  }

  /** Waits. `start` gets a function that takes what ends the wait early. */
  async begin(start) {
    let stop = () => {};
    const end = (failure) => {
      if (this.#settled || this.#failure) return;
      this.#failure = failure;
      stop();
    };
    const abort = () => end(this.#aborted());
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        const settle = (how) => (value) => {
          this.#settled = true;
          how(value);
        };
        [this.resolve, this.reject] = [resolve, reject].map(settle);
        start((how) => (stop = how));
        this.#signal?.addEventListener('abort', abort, { once: true });
        // A timer of Node's that is longer comes at once.
        if (this.#timeout < 2 ** 31) timer = setTimeout(() => end(this.#expired()), this.#timeout);
      });
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener('abort', abort);
    }
  }

  /** It has not come to anything: because it was ended, or with a status. */
  fail(status) {
    this.reject(this.#failure ?? ownError(status, `the queue: ${native.statusName(status)}`));
  }

  #aborted() {
    const error = ownError(INTERRUPTED, 'the wait for the queue was cancelled');
    Object.defineProperty(error, 'name', { value: 'AbortError', configurable: true, writable: true });
    error.cause = this.#signal.reason;
    return error;
  }
}

function freed() {
  return ownError(NOT_FOUND, 'no such queue: it was freed');
}

function queueError(Class, status, message) {
  return new Class(message, { code: native.statusName(status), status, handle: 0, row: null });
}

function newQueue(capacity) {
  return withArena((arena) => {
    const at = arena.reserve(QUEUE_OPTIONS);
    const { chunk } = arena;
    [QUEUE_OPTIONS, capacity, 0].forEach((word, index) => chunk.setWord(at + index * 8, word));
    check(arena, native.queueNew(chunk.address + at, arena.out, arena.error));
    return arena.head.word(OUT);
  });
}

/** A Queue with a handle of its own. */
function keep(how, handle) {
  return withArena((arena) => {
    check(arena, native.queueKeep(handle, arena.out, arena.error));
    return new Queue(new Handle([arena.head.word(OUT), how]));
  });
}

makers.queue = keep;

if (Symbol.dispose) Object.defineProperty(Queue.prototype, Symbol.dispose, { value: Queue.prototype.free });

module.exports = { Queue };
