'use strict';

// Objects that stay in Python. Prepared functions are such objects, too.

const native = require('./native');
const { known, string } = require('./arguments');
const { check } = require('./errors');
const { LIMITS } = require('./limits');
const { OUT, withArena } = require('./memory');
const {
  FORMS, FUNCTION, callOptions, callRequest, formFlags, perform, performInThread, resultFlags, run, start,
} = require('./run');
const slot = require('./slot');
const {
  OBJECT, PUT, encode, encodeArgs, encodeRows, makers, putHandle, takeResult, takeResults,
} = require('./values');

const RETURN_ERRORS = 1;

/** Only the library makes objects. */
const SECRET = Symbol('subpy');

/** A handle that no object has. */
const NO_OBJECT = Number.MAX_SAFE_INTEGER;

const garbage = new FinalizationRegistry(native.objectFree);

/**
 * An object that stays in Python, in the interpreter that it is of. It goes back with free(), and when this is garbage.
 *
 * The methods that end with InThread run on a thread of the pool, and return a promise. `options.results` is what it is for
 * Interpreter.eval().
 */
class PythonObject {
  #handle;
  #interp;
  #how;
  #running = 0;
  #freed = false;

  constructor(secret, handle, interp, how) {
    if (secret !== SECRET) throw new TypeError('a PythonObject is made by a run, with the option results');
    this.#handle = handle;
    this.#interp = interp;
    this.#how = how;
    garbage.register(this, handle, this);
  }

  /** The handle of its interpreter. */
  get interp() {
    return this.#interp;
  }

  /** Reads an attribute. @param {string} name @param {object} options  results */
  attr(name, options) {
    return this.#perform(perform, slot.OBJECT_ATTR, this.#named(name, options));
  }

  /** attr() on a thread of the pool. @returns {Promise<any>} */
  async attrInThread(name, options) {
    return this.#perform(performInThread, slot.OBJECT_ATTR, this.#named(name, options));
  }

  /** Reads an item, Python's object[key]. @param {any} key @param {object} options  results */
  item(key, options) {
    return this.#perform(perform, slot.OBJECT_ITEM, this.#keyed(key, options));
  }

  /** item() on a thread of the pool. @returns {Promise<any>} */
  async itemInThread(key, options) {
    return this.#perform(performInThread, slot.OBJECT_ITEM, this.#keyed(key, options));
  }

  /** Calls it, and returns what it returns. @param {Array} args @param {object|Map} kwargs @param {object} options */
  call(args, kwargs, options) {
    const makeRequest = (arena) => this.#request(arena, args, kwargs, options);
    return run(this.#how, this.#interp, callOptions(options), makeRequest);
  }

  /** call() on a thread of the pool. @returns {Promise<any>} */
  async callInThread(args, kwargs, options) {
    const makeRequest = (arena) => this.#request(arena, args, kwargs, options);
    return this.#keep(() => start(this.#how, this.#interp, callOptions(options), makeRequest));
  }

  /** Calls a method. @param {string} name @param {Array} args @param {object|Map} kwargs @param {object} options */
  callMethod(name, args, kwargs, options) {
    if (hasLimits(options)) {
      const method = this.attr(name, { results: 'object' });
      try {
        return method.call(args, kwargs, options);
      } finally {
        method.free();
      }
    }
    return this.#perform(perform, slot.OBJECT_CALL, this.#calling(name, args, kwargs, options));
  }

  /** callMethod() on a thread of the pool. @returns {Promise<any>} */
  async callMethodInThread(name, args, kwargs, options) {
    if (hasLimits(options)) {
      const method = await this.attrInThread(name, { results: 'object' });
      try {
        return await method.callInThread(args, kwargs, options);
      } finally {
        method.free();
      }
    }
    return this.#perform(performInThread, slot.OBJECT_CALL, this.#calling(name, args, kwargs, options));
  }

  /**
   * Calls it with one row of arguments after the other, and returns what the calls return. This takes a fraction of the
   * time of as many calls. The first error ends it, and there are no results then.
   *
   * @param {Array[]} rows  positional arguments, as many in each row
   * @param {{returnErrors?: boolean}} options  whether to go on after a row that fails, with its error among the results
   */
  callMany(rows, options) {
    const returnErrors = wantsErrors(options);
    const makeArguments = (arena) => this.#many(arena, rows, returnErrors);
    return perform(this.#interp, slot.CALL_MANY, makeArguments, (arena) => takeResults(arena, this.#how, returnErrors));
  }

  /** callMany() on a thread of the pool. @returns {Promise<Array>} */
  async callManyInThread(rows, options) {
    const returnErrors = wantsErrors(options);
    const makeArguments = (arena) => this.#many(arena, rows, returnErrors);
    const take = (arena) => takeResults(arena, this.#how, returnErrors);
    return this.#keep(() => performInThread(this.#interp, slot.CALL_MANY, makeArguments, take));
  }

  /** Its value, as runs have it. @param {object} options  results, async */
  value(options) {
    const flags = formFlags(options, FORMS);
    return this.#perform(perform, slot.OBJECT_VALUE, () => [flags]);
  }

  /** value() on a thread of the pool. @returns {Promise<any>} */
  async valueInThread(options) {
    const flags = formFlags(options, FORMS);
    return this.#perform(performInThread, slot.OBJECT_VALUE, () => [flags]);
  }

  /** Python's str() of it. */
  text() {
    return this.#perform(perform, slot.OBJECT_TEXT, () => []);
  }

  /** text() on a thread of the pool. @returns {Promise<string>} */
  async textInThread() {
    return this.#perform(performInThread, slot.OBJECT_TEXT, () => []);
  }

  toString() {
    return this.text();
  }

  /** Goes through what it has, as Python's `for` does. @param {object} options  results */
  *iterate(options) {
    const flags = formFlags(options);
    const iterator = perform(this.#interp, slot.OBJECT_ITER, this.#arguments(outAlone), this.#takeIterator());
    try {
      for (;;) {
        const [more, element] = perform(this.#interp, slot.OBJECT_NEXT, iterator.#next(flags), this.#takeNext());
        if (!more) return;
        yield element;
      }
    } finally {
      iterator.free();
    }
  }

  /** iterate() on a thread of the pool: for `for await`. */
  async *iterateInThread(options) {
    const flags = formFlags(options);
    const [interp, take] = [this.#interp, this.#takeNext()];
    const begin = () => performInThread(interp, slot.OBJECT_ITER, this.#arguments(outAlone), this.#takeIterator());
    const iterator = await this.#keep(begin);
    try {
      for (;;) {
        const [more, element] = await performInThread(interp, slot.OBJECT_NEXT, iterator.#next(flags), take);
        if (!more) return;
        yield element;
      }
    } finally {
      iterator.free();
    }
  }

  [Symbol.iterator]() {
    return this.iterate();
  }

  [Symbol.asyncIterator]() {
    return this.iterateInThread();
  }

  /** Gives it back, when the calls that were started are done. What is garbage is given back as well. */
  free() {
    this.#freed = true;
    if (this.#running > 0) return;
    garbage.unregister(this);
    native.objectFree(this.#handle);
  }

  /** As an argument it is the object itself, in its own interpreter. */
  [PUT](arena, chunk, at) {
    arena.hold(this);
    putHandle(chunk, at, OBJECT, this.#callable());
  }

  /** Keeps the object while a call is going on. */
  async #keep(call) {
    this.#running += 1;
    try {
      return await call();
    } finally {
      this.#running -= 1;
      if (this.#freed) this.free();
    }
  }

  /** Calls one of the functions that begin with the object, and end with where the result goes. */
  #perform(how, which, makeArguments) {
    const take = (arena) => takeResult(arena, this.#how);
    const all = (arena) => [...this.#arguments(makeArguments)(arena), arena.result, arena.error];
    if (how === perform) return perform(this.#interp, which, all, take);
    return this.#keep(() => performInThread(this.#interp, which, all, take));
  }

  #arguments(makeArguments) {
    return (arena) => {
      arena.hold(this);
      return [this.#callable(), ...makeArguments(arena)];
    };
  }

  #named(name, options) {
    const flags = formFlags(options);
    return (arena) => [...textOf(arena, 'the name', name), flags];
  }

  #keyed(key, options) {
    const flags = formFlags(options);
    return (arena) => [encode(arena, key, 'key'), flags];
  }

  #calling(name, args = [], kwargs, options) {
    callOptions(options);
    if (!Array.isArray(args)) throw new TypeError('args: an array is expected');
    return (arena) => {
      const copy = Array.from(args);
      return [
        ...textOf(arena, 'the name', name),
        copy.length === 0 ? 0 : encodeArgs(arena, copy),
        copy.length,
        kwargs === undefined || kwargs === null ? 0 : encode(arena, kwargs, 'kwargs'),
        resultFlags(options),
      ];
    };
  }

  /** An iterator, which goes back as well if nobody ends the loop. */
  #takeIterator() {
    return (arena) => new PythonObject(SECRET, arena.head.word(OUT), this.#interp, this.#how);
  }

  #next(flags) {
    return this.#arguments((arena) => [flags, arena.out, arena.result, arena.error]);
  }

  #takeNext() {
    return (arena) => {
      const more = arena.head.view.getUint8(OUT) !== 0;
      return [more, more ? takeResult(arena, this.#how) : null];
    };
  }

  #request(arena, args, kwargs, options) {
    arena.hold(this);
    return callRequest(arena, 0, FUNCTION, undefined, this.#callable(), args, kwargs, resultFlags(options));
  }

  /** The arguments of subpy_function_call_many(). */
  #many(arena, rows, returnErrors) {
    if (!Array.isArray(rows)) throw new TypeError('rows: an array of arrays is expected');
    const callable = this.#callable();
    const copy = Array.from(rows); // a getter of an argument may change the original
    const [address, nargs] = encodeRows(arena, copy);
    return [callable, address, copy.length, nargs, returnErrors ? RETURN_ERRORS : 0, arena.result, arena.error];
  }

  /** After free() the handle may be good for a while: for calls that go on. */
  #callable() {
    return this.#freed ? NO_OBJECT : this.#handle;
  }
}

/** A callable that was looked up once. Belongs to its interpreter: with that closed, it is not found. */
class PreparedFunction extends PythonObject {
  constructor(secret, ...args) {
    if (secret !== SECRET) throw new TypeError('a PreparedFunction is made by Interpreter.function()');
    super(secret, ...args);
  }
}

function textOf(arena, what, text) {
  const length = Buffer.byteLength(string(what, text));
  return [arena.text(length, text), length];
}

function outAlone(arena) {
  return [arena.out, arena.error];
}

function hasLimits(options = {}) {
  return LIMITS.some((name) => options[name] !== undefined);
}

function wantsErrors(options = {}) {
  return Boolean(known('options', options, ['returnErrors']).returnErrors);
}

/** The object of a result gets a handle of its own: that of the result goes with it. */
makers.object = (how, handle) => withArena((arena) => {
  check(arena, native.objectKeep(handle, arena.out, arena.error));
  const own = arena.head.word(OUT);
  check(arena, native.objectInterp(own, arena.out, arena.error));
  return new PythonObject(SECRET, own, arena.head.word(OUT), how);
});

if (Symbol.dispose) {
  Object.defineProperty(PythonObject.prototype, Symbol.dispose, { value: PythonObject.prototype.free });
}

module.exports = { PreparedFunction, PythonObject, SECRET };
