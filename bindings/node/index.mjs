// The same for ES modules. One implementation, so a program that uses both sees one set of classes.

import subpy from './index.js';

export default subpy;

export const {
  ExecutionFailed,
  ExecutionInterrupted,
  ExecutionTimeout,
  Float,
  Interpreter,
  InterpreterCrashed,
  InterpreterError,
  InterpreterNotFoundError,
  InterpreterPool,
  Keywords,
  MemoryView,
  NotShareableError,
  PreparedFunction,
  PythonError,
  PythonObject,
  PythonSyntaxError,
  Queue,
  QueueClosed,
  QueueEmpty,
  QueueFull,
  Tagged,
  Tuple,
  create,
  createPool,
  find,
  getCurrent,
  getMain,
  init,
  listAll,
  pool,
  pythonLibrary,
  pythonVersion,
  shutdown,
  version,
} = subpy;
