'use strict';

// How something is run: on this thread, on one of the pool, or on the one that waits for the function that is running now.

const native = require('./native');
const { choice, flags, known, path, string, texts } = require('./arguments');
const { check, INTERRUPTED, ownError } = require('./errors');
const kept = require('./kept');
const { LIMITS, limitsOf, milliseconds } = require('./limits');
const { blocking, callerIn, printed, theLoop, withCall } = require('./loop');
const { giveArena, takeArena } = require('./memory');
const pool = require('./pool');
const { RUN } = require('./slot');
const { encode, encodeArgs, takeResult } = require('./values');

const EXEC = 1, EVAL = 2, CALL = 3, FUNCTION = 4;
const KEEP_INDENT = 1;

// Sizes of the structs in include/subpy.h.
const RUN_REQUEST = 112;
const CLOSE_OPTIONS = 24;
const INTERP_SIZE = 96;

const BUSY = -3;
const CLOSE_FLAGS = { drain: 1, interrupt: 2 };

const GIL = { own: 0, shared: 1 };
const BUSY_POLICY = { refuse: 0, wait: 1, share: 2 };
const INTERP_FLAGS = {
  allowFork: 1, allowExec: 2, noThreads: 4, allowDaemonThreads: 8, noExtensionCheck: 16, unbuffered: 32, noStdin: 64,
  taggedValues: 128, countMemory: 256, process: 512, locked: 1024, lockBestEffort: 2048,
};

/** What values become. */
const INTEGERS = { auto: 'auto', number: 'number', bigint: 'bigint' };
const DICTS = { map: 'map', object: 'object' };
const READING = ['integers', 'dicts'];

/** What the options of an interpreter may be. */
const INTERP_OPTIONS = [
  'gil', 'busy', 'path', 'timeout', 'memoryLimit', 'grace', 'cpuLimit', 'readable', 'writable', 'venv',
  ...Object.keys(INTERP_FLAGS), ...READING,
];

function reading({ integers = 'auto', dicts = 'map' }) {
  return { integers: choice('integers', integers, INTEGERS), dicts: choice('dicts', dicts, DICTS) };
}

/** Other forms that results have when they are asked for. */
const RESULTS = { object: 4, objects: 8, buffers: 16, arrays: 32 };
const ASYNC = 64;

/** What the options of a call may be. */
const FORMS = ['results', 'async'];
const RUN_OPTIONS = [...LIMITS, ...FORMS];

/** The flags of the forms that results are asked for in. */
function resultFlags(options) {
  const results = options?.results;
  const bits = options?.async ? ASYNC : 0;
  if (results === undefined) return bits;
  const names = Array.isArray(results) ? results : [results];
  return names.reduce((word, name) => word | choice('results', name, RESULTS), bits);
}

/** The flags of options that are nothing but the form of the result. */
function formFlags(options, names = ['results']) {
  return options === undefined ? 0 : resultFlags(known('options', options, names));
}

/** Calls whose promises are not settled, of this thread of Node's. */
let pending = 0;

/** Runs a request on this thread, or on the one that waits for the function that is running now. */
function run(how, interp, options, makeRequest) {
  const limits = limitsOf(options);
  try {
    const makeArguments = (arena) => [limited(arena, makeRequest(arena), limits), arena.result, arena.error];
    return perform(interp, RUN, makeArguments, (arena) => takeResult(arena, how));
  } catch (error) {
    throw limits.failure(error);
  } finally {
    limits.release();
  }
}

/** Calls one of the functions that may be called on another thread, there or here. */
function perform(interp, which, makeArguments, take) {
  return withCall((arena) => {
    const args = makeArguments(arena);
    const caller = callerIn(interp);
    const call = native.functions[which];
    const status = caller ? performThere(interp, caller, which, args) : blocking(() => call(...args), waitsIn(interp));
    arena.passed(status);
    check(arena, status);
    return take(arena);
  });
}

function performThere(interp, caller, which, args) {
  const status = theLoop().runThere(caller, which, args);
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

/** perform() on a thread of the pool. */
async function performInThread(interp, which, makeArguments, take) {
  if (callerIn(interp)) return perform(interp, which, makeArguments, take);
  return startCall(interp, which, makeArguments, take);
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
      arena.passed(status);
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

/** Writes a subpy_interp_options, and returns its address. */
function interpOptions(arena, options) {
  known('options', options, INTERP_OPTIONS);
  const { gil = 'own', busy = 'refuse', path: folders = [], memoryLimit = 0, readable = [], writable = [] } = options;
  if (!Number.isSafeInteger(memoryLimit) || memoryLimit < 0) {
    throw new TypeError('memoryLimit: a number of bytes is expected');
  }
  const time = (name) => (options[name] === undefined ? 0 : milliseconds(name, options[name], Number.MIN_VALUE));
  const lists = Object.entries({ path: folders, readable, writable });
  const [pathList, readableList, writableList] = lists.map(([name, list]) => texts(arena, name, list));
  const venv = options.venv === undefined ? 0 : path(arena, 'venv', options.venv);
  const at = arena.reserve(INTERP_SIZE);
  const { chunk } = arena;
  chunk.setWord(at, INTERP_SIZE);
  chunk.view.setInt32(at + 8, choice('gil', gil, GIL), true);
  chunk.view.setInt32(at + 12, choice('busy', busy, BUSY_POLICY), true);
  chunk.setWord(at + 16, flags(options, INTERP_FLAGS));
  chunk.setWord(at + 24, pathList);
  chunk.setWord(at + 32, folders.length);
  chunk.setWord(at + 40, time('timeout'));
  chunk.setWord(at + 48, memoryLimit);
  chunk.setWord(at + 56, time('grace'));
  chunk.setWord(at + 64, time('cpuLimit'));
  chunk.setWord(at + 72, readableList);
  chunk.setWord(at + 80, writableList);
  chunk.setWord(at + 88, venv);
  return chunk.address + at;
}

/** The options of exec(), and of eval(), which has a result. */
const SOURCE_OPTIONS = ['filename', 'keepIndent', 'async', ...LIMITS];
const EVAL_OPTIONS = [...SOURCE_OPTIONS, 'results'];

function sourceRequest(arena, interp, what, source, options = {}, more = []) {
  const names = [...(what === EVAL ? EVAL_OPTIONS : SOURCE_OPTIONS), ...more];
  const { filename, keepIndent = false } = known('options', options, names);
  return request(arena, {
    interp,
    what,
    flags: (keepIndent ? KEEP_INDENT : 0) | resultFlags(options),
    text: string('the source', source),
    filename: filename === undefined ? 0 : path(arena, 'filename', filename),
  });
}

/** What is called is `text` in an interpreter, or a prepared function. */
function callRequest(arena, interp, what, text, fn, args = [], kwargs = undefined, flags = 0) {
  if (!Array.isArray(args)) throw new TypeError('args: an array is expected');
  const copy = Array.from(args); // a getter of an argument may change the original
  return request(arena, {
    interp,
    what,
    flags,
    text,
    fn,
    args: encodeArgs(arena, copy),
    nargs: copy.length,
    kwargs: kwargs === undefined || kwargs === null ? 0 : encode(arena, kwargs, 'kwargs'),
  });
}

/** The options of a call: limits and forms of its result, and nothing else. */
function callOptions(options = {}) {
  return known('options', options, RUN_OPTIONS);
}

module.exports = {
  CALL,
  EVAL,
  EXEC,
  FORMS,
  FUNCTION,
  INTERP_OPTIONS,
  READING,
  RUN_OPTIONS,
  callOptions,
  callRequest,
  closeOptions,
  enter,
  formFlags,
  interpOptions,
  limited,
  pendingCalls: () => pending,
  perform,
  performInThread,
  reading,
  resultFlags,
  run,
  sourceRequest,
  start,
  startCall,
};
