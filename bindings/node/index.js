'use strict';

/** Many isolated CPython interpreters in a Node process: Python's concurrent.interpreters. README.md has more. */

const native = require('./lib/native');
const errors = require('./lib/errors');
const { Interpreter, PreparedFunction } = require('./lib/interpreter');
const { pool } = require('./lib/pool');
const runtime = require('./lib/runtime');
const { Float, Keywords, Tuple } = require('./lib/values');

module.exports = {
  ExecutionFailed: errors.ExecutionFailed,
  ExecutionInterrupted: errors.ExecutionInterrupted,
  ExecutionTimeout: errors.ExecutionTimeout,
  Float,
  Interpreter,
  InterpreterError: errors.InterpreterError,
  InterpreterNotFoundError: errors.InterpreterNotFoundError,
  Keywords,
  NotShareableError: errors.NotShareableError,
  PreparedFunction,
  PythonError: errors.PythonError,
  PythonSyntaxError: errors.PythonSyntaxError,
  Tuple,
  create: runtime.create,
  find: runtime.find,
  getCurrent: runtime.getCurrent,
  getMain: runtime.getMain,
  init: runtime.init,
  listAll: runtime.listAll,
  pool,
  pythonLibrary: native.pythonLibrary,
  pythonVersion: native.pythonVersion,
  shutdown: runtime.shutdown,
  version: native.version,
};
