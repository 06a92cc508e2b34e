'use strict';

// The library's errors as JS errors, complete and independent of it.

const koffi = require('koffi');

const native = require('./native');
const { take } = require('./kept');
const { ERROR, FRAME, FRAME_SIZE, OUT, OUT_2, OUT_3, withArena } = require('./memory');

/**
 * Anything that the library refuses or fails at; the base of the classes below.
 *
 * @property {string} code  the status by its name, "SUBPY_ERROR_BUSY"
 * @property {number} status  the same as a number
 * @property {number} handle  the interpreter that it is about, 0 when none
 * @property {?number} row  which row of callMany() or map() it is from; null for any other error
 */
class InterpreterError extends Error {
  constructor(message, details) {
    super(message);
    Object.assign(this, details);
  }

  get name() {
    return this.constructor.name;
  }
}

/** No such interpreter: it was closed, or never there. */
class InterpreterNotFoundError extends InterpreterError {}

/** A Python object that no JS value is made for; the message names the path to it. */
class NotShareableError extends InterpreterError {}

/**
 * Python code ended with an exception that nobody caught.
 *
 * @property {object} excinfo  as in concurrent.interpreters: type {name, qualname, module}, msg, formatted, and
 *   errdisplay, which is the traceback
 * @property {object[]} frames  of the traceback, the outermost first: file, function, line, and where in the source the
 *   expression was: endLine, column and endColumn, 0 when unknown, and source, the line itself, null when unknown
 * @property {?number} exitStatus  what SystemExit asked for; null for any other exception
 */
class ExecutionFailed extends InterpreterError {}

/**
 * The source does not compile; nothing ran.
 *
 * @property {object} excinfo  as above
 * @property {number} line  from 1, 0 when unknown
 * @property {number} column  from 1, 0 when unknown
 * @property {?string} text  the line itself
 */
class PythonSyntaxError extends InterpreterError {}

/**
 * The code ran longer than it was allowed to. When none ran yet, because it waited for its turn, excinfo is that of
 * nothing: its members are null.
 */
class ExecutionTimeout extends ExecutionFailed {}

/** The code was stopped: by an AbortSignal, whose reason is the `cause` then, by interrupt(), or by a close. As above. */
class ExecutionInterrupted extends ExecutionFailed {}

/**
 * The process of the interpreter has ended, and the interpreter with it. Without a signal and an exit code it is not known
 * how.
 *
 * @property {?number} signal  the number of the signal that has killed it
 * @property {?number} exitCode  what it has ended with by itself
 * @property {string} traceback  where its threads were, as faulthandler has it; the message if that wrote nothing
 */
class InterpreterCrashed extends InterpreterError {}

/** There was nothing in a queue, or not in time. */
class QueueEmpty extends InterpreterError {}

/** There was no room in a queue, or not in time. */
class QueueFull extends InterpreterError {}

/** A queue is closed: nothing goes in, and nothing is in it to be taken out. */
class QueueClosed extends InterpreterError {}

/**
 * Thrown by a host function: Python gets an exception of the type that it names.
 *
 * @property {string} type  a builtin one such as "ValueError", or "package.module:Type"
 */
class PythonError extends Error {
  constructor(type, message = '', options = undefined) {
    if (typeof type !== 'string') throw new TypeError('the type of a PythonError is a string');
    super(message, options);
    this.type = type;
  }

  get name() {
    return this.constructor.name;
  }
}

const NOT_FOUND = -2, EXECUTION_FAILED = -4, NOT_SHAREABLE = -5, SYNTAX = -7, TIMEOUT = -10, INTERRUPTED = -11;
const CRASHED = -16;

/** The class of a status that has one of its own. */
const classes = new Map([
  [NOT_FOUND, InterpreterNotFoundError],
  [EXECUTION_FAILED, ExecutionFailed],
  [NOT_SHAREABLE, NotShareableError],
  [SYNTAX, PythonSyntaxError],
  [TIMEOUT, ExecutionTimeout],
  [INTERRUPTED, ExecutionInterrupted],
  [CRASHED, InterpreterCrashed],
]);

/** Those in which Python code has run. */
const RAN = [EXECUTION_FAILED, TIMEOUT, INTERRUPTED];

/** Throws when a call failed. The error is read from the arena, and freed. */
function check(arena, status) {
  if (status !== 0) throw takeError(arena, status);
}

function takeError(arena, status) {
  const error = arena.head.word(ERROR);
  try {
    return readError(arena, error, status);
  } finally {
    native.errorFree(error);
  }
}

/** The error of a row, which stays the results'. */
function rowError(error) {
  return withArena((arena) => readError(arena, error, native.errorStatus(error)));
}

function readError(arena, error, status) {
  const { head } = arena;
  const row = native.errorRow(error, arena.out) ? head.word(OUT) : null;
  const details = { code: native.statusName(status), status, handle: native.errorInterp(error), row };
  if (RAN.includes(status) || status === SYNTAX) details.excinfo = excinfo(arena, error);
  if (RAN.includes(status)) {
    details.frames = frames(arena, error);
    details.exitStatus = native.errorExitStatus(error, arena.out) ? head.view.getInt32(OUT, true) : null;
  }
  if (status === SYNTAX) Object.assign(details, place(arena, error));
  if (status === CRASHED) Object.assign(details, crash(arena, error));
  const found = new (classes.get(status) ?? InterpreterError)(text(arena, error, native.errorMessage), details);
  const thrown = take(native.errorTag(error));
  if (thrown) found.cause = thrown.error;
  return found;
}

/** An error that is not the library's, but like one. */
function ownError(status, message, handle = 0) {
  const details = { code: native.statusName(status), status, handle, row: null };
  if (RAN.includes(status)) {
    const type = { name: null, qualname: null, module: null };
    Object.assign(details, { excinfo: { type, msg: null, formatted: null, errdisplay: null }, frames: [] });
    details.exitStatus = null;
  }
  return new (classes.get(status) ?? InterpreterError)(message, details);
}

function excinfo(arena, error) {
  return {
    type: {
      name: text(arena, error, native.errorTypeName),
      qualname: text(arena, error, native.errorTypeQualname),
      module: text(arena, error, native.errorTypeModule),
    },
    msg: text(arena, error, native.errorExceptionMessage),
    formatted: text(arena, error, native.errorFormatted),
    errdisplay: text(arena, error, native.errorDisplay),
  };
}

function frames(arena, error) {
  const { head } = arena;
  const text = (offset) => {
    const address = head.word(FRAME + offset);
    return address === 0 ? null : long(address, head.word(FRAME + offset + 8));
  };
  const number = (offset) => head.view.getInt32(FRAME + offset, true);
  return Array.from({ length: native.errorFrameCount(error) }, (_, index) => {
    head.setWord(FRAME, FRAME_SIZE);
    native.errorFrame(error, index, arena.frame);
    return {
      file: text(8),
      line: number(56),
      function: text(24),
      source: text(40),
      endLine: number(60),
      column: number(64),
      endColumn: number(68),
    };
  });
}

function place(arena, error) {
  const { head } = arena;
  native.errorSyntax(error, arena.out, arena.out2, arena.out3);
  return { line: head.view.getInt32(OUT, true), column: head.view.getInt32(OUT_2, true), text: name(head.word(OUT_3)) };
}

function crash(arena, error) {
  const { head } = arena;
  native.errorCrash(error, arena.out, arena.out2);
  const [signal, exitCode] = [head.view.getInt32(OUT, true), head.view.getInt32(OUT_2, true)];
  return {
    signal: signal === 0 ? null : signal,
    exitCode: exitCode === -1 ? null : exitCode,
    traceback: text(arena, error, native.errorDisplay),
  };
}

/** A text with a length, which may hold NUL characters. */
function text(arena, error, read) {
  const address = read(error, arena.out);
  return address === 0 ? null : long(address, arena.head.word(OUT));
}

function long(address, length) {
  return koffi.decode.string(BigInt(address), length);
}

/** A text that ends with a NUL. */
function name(address) {
  return address === 0 ? null : koffi.decode.string(BigInt(address));
}

module.exports = {
  ExecutionFailed,
  ExecutionInterrupted,
  ExecutionTimeout,
  INTERRUPTED,
  InterpreterCrashed,
  InterpreterError,
  InterpreterNotFoundError,
  NotShareableError,
  PythonError,
  PythonSyntaxError,
  QueueClosed,
  QueueEmpty,
  QueueFull,
  check,
  ownError,
  rowError,
};
