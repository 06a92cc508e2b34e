'use strict';

// The threads that the calls with a promise run on: worker threads of Node that wait for a job, call the library and
// tell its status. As many as were asked for, started when they are needed, and none of libuv's.

const { availableParallelism } = require('node:os');
const path = require('node:path');
const { SHARE_ENV, Worker } = require('node:worker_threads');

const native = require('./native');
const { SIZE, STATE, WORKING, FUNCTION, ARGUMENTS } = require('./slot');

class Thread {
  /** The job that it has. */
  job = null;
  ready = false;

  constructor() {
    const slot = new SharedArrayBuffer(SIZE);
    this.state = new Int32Array(slot);
    this.addresses = new Float64Array(slot);
    this.worker = new Worker(path.join(__dirname, 'thread.js'), {
      name: 'subpy',
      workerData: { slot, library: native.file },
      env: SHARE_ENV,
      execArgv: [], // a hook that this program was started with is none of theirs
    });
    this.worker.on('message', (status) => this.#told(status));
    this.worker.on('error', (error) => (this.failure = error));
    this.worker.on('exit', () => this.#ended());
  }

  start(job) {
    this.job = job;
    this.addresses[FUNCTION] = job.which;
    this.addresses.set(job.args, ARGUMENTS);
    Atomics.store(this.state, STATE, WORKING);
    Atomics.notify(this.state, STATE);
    this.worker.ref();
  }

  #told(status) {
    const { job } = this;
    this.job = null;
    this.ready = true;
    if (job) done(job);
    next(this);
    job?.resolve(status);
  }

  /** Only when it could not start, or was told to end: what it runs is C, which throws nothing. */
  #ended() {
    threads.delete(this);
    const at = idle.indexOf(this);
    if (at >= 0) idle.splice(at, 1);
    if (!this.failure) return;
    const job = this.job ?? queue.shift();
    if (job) done(job);
    const message = `a thread for the call could not be started: ${this.failure.message}`;
    job?.reject(new Error(message, { cause: this.failure }));
    serve();
  }
}

let size = Math.max(4, availableParallelism());
const threads = new Set();
const idle = [];
const queue = [];

/**
 * Interpreters in which a run waits for the one before. Here it waits without a thread, so that the calls of one
 * interpreter do not take all of them; for each that is running, what waits.
 */
const patient = new Set();
const lanes = new Map();

/** Lets the next job of an interpreter come forward. */
function done({ interp }) {
  const lane = lanes.get(interp);
  if (lane === undefined) return;
  if (lane.length > 0) queue.push(lane.shift());
  else lanes.delete(interp);
}

/** Gives a thread that has nothing to do the job that waits longest. One too many ends. */
function next(thread) {
  if (threads.size > size) {
    threads.delete(thread);
    thread.worker.terminate();
  } else if (queue.length > 0) {
    thread.start(queue.shift());
  } else {
    idle.push(thread);
    thread.worker.unref(); // a program may end without telling
  }
}

/** Gives the jobs that wait to threads that have none, and starts threads for the others, unless enough are starting. */
function serve() {
  while (queue.length > 0 && idle.length > 0) idle.pop().start(queue.shift());
  let starting = 0;
  for (const thread of threads) if (!thread.ready) starting += 1;
  for (; starting < queue.length && threads.size < size; starting++) threads.add(new Thread());
}

/**
 * Calls a function of the library on one of the threads.
 *
 * @param {object} job  interp: handle of the interpreter; which: its number in slot.js; args: its arguments, where the C
 *   memory that they point to stays until the promise is settled
 * @returns {Promise<number>} the status
 */
function run(job) {
  return new Promise((resolve, reject) => {
    Object.assign(job, { resolve, reject });
    const { interp } = job;
    if (patient.has(interp)) {
      const lane = lanes.get(interp);
      if (lane !== undefined) {
        lane.push(job);
        return;
      }
      lanes.set(interp, []);
    }
    queue.push(job);
    try {
      serve();
    } catch (failure) {
      if (threads.size > 0) return; // somebody will come to it
      queue.pop();
      done(job);
      throw failure;
    }
  });
}

/** Takes a job back. Returns false when it has begun, or is done. */
function withdraw(job) {
  const lane = lanes.get(job.interp);
  const waiting = lane?.indexOf(job) ?? -1;
  if (waiting >= 0) {
    lane.splice(waiting, 1);
    return true;
  }
  const at = queue.indexOf(job);
  if (at < 0) return false;
  queue.splice(at, 1);
  done(job);
  serve();
  return true;
}

/** How many calls run at the same time. */
const pool = {
  get size() {
    return size;
  },

  set size(count) {
    if (!Number.isSafeInteger(count) || count < 1) throw new TypeError('size: a whole number from 1 is expected');
    size = count;
    while (threads.size > size && idle.length > 0) {
      const thread = idle.shift();
      threads.delete(thread);
      thread.worker.terminate();
    }
    serve();
  },

  /** How many of its threads there are. */
  get threads() {
    return threads.size;
  },
};

module.exports = { patient, pool, run, withdraw };
