// The same for ES modules. One implementation, so a program that uses both sees one set of classes.

import subpy from './index.js';

export default subpy;

export const {
  ExecutionFailed,
  ExecutionInterrupted,
  ExecutionTimeout,
  Float,
  Interpreter,
  InterpreterError,
  InterpreterNotFoundError,
  Keywords,
  NotShareableError,
  PreparedFunction,
  PythonError,
  PythonSyntaxError,
  Tuple,
  create,
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
