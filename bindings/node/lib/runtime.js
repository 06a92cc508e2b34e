'use strict';

// CPython in this process, and the interpreters that there are.

const native = require('./native');
const { flags, known, path, texts } = require('./arguments');
const { check, ownError } = require('./errors');
const { Interpreter } = require('./interpreter');
const { blocking } = require('./loop');
const { OUT, withArena } = require('./memory');
const { patient } = require('./pool');
const { closeOptions, interpOptions, pendingCalls, reading } = require('./run');

const BUSY_STATUS = -3;

// The size of the struct in include/subpy.h.
const RUNTIME_OPTIONS = 40;
const RUNTIME_FLAGS = { useEnvironment: 1, noSite: 2, keepSigpipe: 4 };

/**
 * Starts CPython, or makes sure that it runs. Needed only to choose which one, and how; create() starts it as well.
 *
 * @param {object} options
 *   python: path of an executable, of a virtual environment's folder or of a libpython;
 *   useEnvironment: honour PYTHONPATH and the like; noSite: start without site-packages;
 *   keepSigpipe: leave SIGPIPE as it is;
 *   preload: names of modules that are imported once for all interpreters with processes of their own;
 *   worker: path of the program that these begin with, otherwise it is the one inside the library
 */
function init(options = {}) {
  known('options', options, ['python', 'worker', 'preload', ...Object.keys(RUNTIME_FLAGS)]);
  withArena((arena) => {
    const [python, worker] = ['python', 'worker'].map((name) =>
      options[name] === undefined ? 0 : path(arena, name, options[name]),
    );
    const preload = options.preload === undefined ? 0 : texts(arena, 'preload', options.preload);
    const at = arena.reserve(RUNTIME_OPTIONS);
    const { chunk } = arena;
    chunk.setWord(at, RUNTIME_OPTIONS);
    chunk.setWord(at + 8, python);
    chunk.setWord(at + 16, flags(options, RUNTIME_FLAGS));
    chunk.setWord(at + 24, worker);
    chunk.setWord(at + 32, preload);
    check(arena, native.init(chunk.address + at, arena.error));
  });
}

/**
 * Closes all interpreters and finalizes CPython. init() and create() work again afterwards. Await all promises first:
 * while one of this worker is pending, as while anything runs, this is SUBPY_ERROR_BUSY.
 *
 * @param {object} options  as for Interpreter.closeWith(): wait for what runs, or stop it; with `interrupt` promises may be
 *   pending, which are settled afterwards
 */
function shutdown(options = undefined) {
  const pending = pendingCalls();
  if (pending > 0 && !options?.interrupt) {
    const runs = pending === 1 ? '1 promise of a run is' : `${pending} promises of runs are`;
    throw ownError(BUSY_STATUS, `${runs} not settled yet: await them before the shutdown`);
  }
  withArena((arena) => {
    const struct = options === undefined ? 0 : closeOptions(arena, options);
    check(arena, blocking(() => (struct ? native.shutdownWith(struct, arena.error) : native.shutdown(arena.error))));
  });
  patient.clear();
}

/**
 * Creates an interpreter.
 *
 * @param {object} options
 *   gil: "own" (the default) or "shared" with the main interpreter;
 *   busy: what happens to a run while another one is going on: "refuse" (the default), "wait" or "share";
 *   path: folders to put in front of sys.path;
 *   venv: the folder of a virtual environment, whose packages it has in place of those of the process;
 *   timeout: the time limit in milliseconds of every run in it that has none of its own;
 *   memoryLimit: how many bytes of memory it may use; countMemory: its memory is counted without that, too;
 *   taggedValues: sets, dates and others that are no values otherwise are such, see Tagged;
 *   process: it has a process of its own; then grace, how many milliseconds after the exception that ends a run that process
 *   is killed (100), cpuLimit, how many milliseconds of processors it may use, and locked, to lock it down but for the folders
 *   in readable and writable, absolute paths; lockBestEffort makes do with what an older Linux has for that, see
 *   lockInfo();
 *   allowFork, allowExec, noThreads, allowDaemonThreads, noExtensionCheck, unbuffered, noStdin: see include/subpy.h;
 *   integers, dicts: what its results become here, see Interpreter
 * @returns {Interpreter}
 */
function create(options = {}) {
  const how = reading(options);
  return withArena((arena) => {
    check(arena, native.create(interpOptions(arena, options), arena.out, arena.error));
    const handle = arena.head.word(OUT);
    if (options.busy === 'wait') patient.add(handle);
    return new Interpreter(handle, how);
  });
}

/**
 * All interpreters by ascending id: main, yours, and those that Python code created.
 *
 * @param {object} options  as for Interpreter, here and below
 * @returns {Interpreter[]}
 */
function listAll(options) {
  return withArena((arena) => {
    for (let room = 64; ; room *= 2) {
      const at = arena.reserve(room * 8);
      const { chunk } = arena;
      check(arena, native.listAll(chunk.address + at, room, arena.out, arena.error));
      const count = arena.head.word(OUT);
      const interp = (_, index) => new Interpreter(chunk.word(at + index * 8), options);
      if (count <= room) return Array.from({ length: count }, interp);
    }
  });
}

/** The interpreter that this thread is in. A Node thread is in none: InterpreterNotFoundError. @returns {Interpreter} */
function getCurrent(options) {
  return found(options, (arena) => native.getCurrent(arena.out, arena.error));
}

/** The main interpreter. Packages that refuse other interpreters work there. @returns {Interpreter} */
function getMain(options) {
  return found(options, (arena) => native.getMain(arena.out, arena.error));
}

/** The interpreter with this id. @param {number} id @returns {Interpreter} */
function find(id, options) {
  if (!Number.isSafeInteger(id)) throw new TypeError('id: a whole number is expected');
  return found(options, (arena) => native.find(id, arena.out, arena.error));
}

function found(options, call) {
  return withArena((arena) => {
    check(arena, call(arena));
    return new Interpreter(arena.head.word(OUT), options);
  });
}

module.exports = { create, find, getCurrent, getMain, init, listAll, shutdown };
