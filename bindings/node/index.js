'use strict';

/** Many isolated CPython interpreters in a Node process: Python's concurrent.interpreters. README.md has more. */

const native = require('./lib/native');
const errors = require('./lib/errors');
const { MemoryView } = require('./lib/buffers');
const { Interpreter } = require('./lib/interpreter');
const { InterpreterPool, createPool } = require('./lib/interpreterpool');
const { PreparedFunction, PythonObject } = require('./lib/objects');
const { pool } = require('./lib/pool');
const { Queue } = require('./lib/queue');
const runtime = require('./lib/runtime');
const { Float, Keywords, Tagged, Tuple } = require('./lib/values');

module.exports = {
  ExecutionFailed: errors.ExecutionFailed,
  ExecutionInterrupted: errors.ExecutionInterrupted,
  ExecutionTimeout: errors.ExecutionTimeout,
  Float,
  Interpreter,
  InterpreterCrashed: errors.InterpreterCrashed,
  InterpreterError: errors.InterpreterError,
  InterpreterNotFoundError: errors.InterpreterNotFoundError,
  InterpreterPool,
  Keywords,
  MemoryView,
  NotShareableError: errors.NotShareableError,
  PreparedFunction,
  PythonError: errors.PythonError,
  PythonObject,
  PythonSyntaxError: errors.PythonSyntaxError,
  Queue,
  QueueClosed: errors.QueueClosed,
  QueueEmpty: errors.QueueEmpty,
  QueueFull: errors.QueueFull,
  Tagged,
  Tuple,
  create: runtime.create,
  createPool,
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
