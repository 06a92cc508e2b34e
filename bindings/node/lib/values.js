'use strict';

// Values between JS and Python. docs/node.md has the table.

const native = require('./native');
const { rowError } = require('./errors');
const { Chunk, OUT, OUT_2, RESULT } = require('./memory');

const NONE = 0, BOOL = 1, INT = 2, BIGINT = 3, FLOAT = 4, STR = 5, BYTES = 6, TUPLE = 7, LIST = 8, DICT = 9;
const OBJECT = 10, BUFFER = 11, QUEUE = 12, ERROR = 13;
const SIZE = 24; // of a subpy_value; a subpy_pair is two of them
const MAX_DEPTH = 1000;

/** A Python tuple: an array of its own class, so that it comes back to Python as a tuple. */
class Tuple extends Array {
  static get [Symbol.species]() {
    return Array;
  }
}

/** Goes to Python as a float though it is a whole number: `new Float(2)` is 2.0, 2 is 2. */
class Float {
  constructor(value) {
    if (typeof value !== 'number') throw new TypeError('a Float is made of a number');
    this.value = value;
    Object.freeze(this);
  }

  valueOf() {
    return this.value;
  }
}

/** What Python calls the tags of values, by their numbers. */
const TAGS = [
  undefined, 'set', 'frozenset', 'complex', 'date', 'time', 'datetime', 'timedelta', 'decimal', 'uuid', 'enum', 'dataclass',
];
const SET = 1;

/**
 * A value of a Python type that JS has no equal of: the name of the type, and the value that stands for it. docs/values.md
 * has the table.
 */
class Tagged {
  constructor(tag, value) {
    if (!TAGS.includes(tag, 1)) throw new TypeError(`tag: ${String(tag)} is not one of ${TAGS.slice(1).join(', ')}`);
    this.tag = tag;
    this.value = value;
    Object.freeze(this);
  }

  toString() {
    return String(this.value);
  }
}

/** The method of what puts itself into arguments: objects, queues, memory. */
const PUT = Symbol('subpy.put');

/** What makes them of results, by the modules that they are in. */
const makers = { object: undefined, buffer: undefined, leave: undefined, queue: undefined };

/** The keyword arguments of a host function, its last argument when there are any. */
class Keywords {}

// ---- to Python

/** Something that has no Python value. Its message names the way to it, which is known when all callers have added theirs. */
class NoPythonValue extends TypeError {
  constructor(reason) {
    super(reason);
    this.steps = [];
  }
}

/** Encodes a value, and returns its address. `root` is what an error message calls it. */
function encode(arena, value, root) {
  return guarded(root, () => {
    const at = arena.reserve(SIZE);
    const { chunk } = arena;
    put(arena, chunk, at, value, 0);
    return chunk.address + at;
  });
}

/** Encodes positional arguments one behind the other, and returns the address of the first. */
function encodeArgs(arena, args) {
  return guarded('args', () => putItems(arena, args, args.length, 0));
}

/**
 * Encodes the arguments of many calls, the first row first.
 *
 * @returns {[number, number]} the address of the first argument, and how many each row has
 */
function encodeRows(arena, rows) {
  const nargs = rows.length > 0 ? checkedRow(rows, 0).length : 0;
  return guarded('rows', () => {
    let at = arena.reserve(rows.length * nargs * SIZE);
    const { chunk } = arena;
    const address = chunk.address + at;
    for (let index = 0; index < rows.length; index++, at += nargs * SIZE) {
      const row = checkedRow(rows, index);
      if (row.length !== nargs) throw new TypeError(`rows[${index}] has ${row.length} items, rows[0] has ${nargs}`);
      try {
        putEach(arena, chunk, at, row, nargs, 0);
      } catch (error) {
        throw step(error, `[${index}]`);
      }
    }
    return [address, nargs];
  });
}

function checkedRow(rows, index) {
  if (!Array.isArray(rows[index])) throw new TypeError(`rows[${index}]: an array is expected`);
  return rows[index];
}

function guarded(root, encodeIt) {
  try {
    return encodeIt();
  } catch (error) {
    if (!(error instanceof NoPythonValue)) throw error;
    throw new TypeError(`${root}${error.steps.reverse().join('')}: ${error.message}`);
  }
}

/** Writes a value at an offset of a chunk; what it points to goes elsewhere in the arena. */
function put(arena, chunk, at, value, depth) {
  switch (typeof value) {
    case 'number':
      if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
        putKind(chunk, at, INT);
        chunk.setWord(at + 16, value);
      } else {
        putFloat(chunk, at, value);
      }
      return;
    case 'string':
      putText(arena, chunk, at, STR, checked(value));
      return;
    case 'boolean':
      putKind(chunk, at, BOOL);
      chunk.setWord(at + 16, value ? 1 : 0);
      return;
    case 'undefined':
      putKind(chunk, at, NONE);
      return;
    case 'bigint':
      if (BigInt.asIntN(64, value) === value) {
        putKind(chunk, at, INT);
        chunk.view.setBigInt64(at + 16, value, true);
      } else {
        const hex = value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
        putText(arena, chunk, at, BIGINT, hex);
      }
      return;
    case 'object':
      putObject(arena, chunk, at, value, depth);
      return;
    default:
      throw new NoPythonValue(`a ${typeof value} has no Python value`);
  }
}

function putObject(arena, chunk, at, value, depth) {
  if (value === null) {
    putKind(chunk, at, NONE);
  } else if (Array.isArray(value)) {
    const length = value.length >>> 0; // as it is now: a getter or a Proxy may change it
    const kind = value instanceof Tuple ? TUPLE : LIST;
    header(chunk, at, kind, length, putItems(arena, value, length, depth + 1));
  } else if (value instanceof Map) {
    putPairs(arena, chunk, at, value.entries(), value.size, depth + 1);
  } else if (value instanceof Uint8Array) {
    // Of one length, though another thread may grow shared memory meanwhile.
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const place = arena.reserve(bytes.length);
    arena.chunk.bytes.set(bytes, place);
    header(chunk, at, BYTES, bytes.length, arena.chunk.address + place);
  } else if (value instanceof Float) {
    putFloat(chunk, at, value.value);
  } else if (typeof value[PUT] === 'function') {
    value[PUT](arena, chunk, at);
  } else if (value instanceof Set) {
    putTagged(arena, chunk, at, SET, Array.from(value), depth);
  } else if (value instanceof Tagged) {
    putTagged(arena, chunk, at, TAGS.indexOf(value.tag), value.value, depth);
  } else if (isPlain(value)) {
    const entries = Object.entries(value);
    putPairs(arena, chunk, at, entries, entries.length, depth + 1);
  } else {
    const name = value.constructor?.name || 'class without a name';
    throw new NoPythonValue(`an object of ${name} has no Python value`);
  }
}

function putTagged(arena, chunk, at, tag, value, depth) {
  put(arena, chunk, at, value, depth);
  const kind = chunk.view.getInt32(at, true);
  const tagged = chunk.view.getUint32(at + 4, true) !== 0;
  if (tagged || ![STR, LIST, TUPLE, DICT].includes(kind)) {
    throw new NoPythonValue(`a ${TAGS[tag]} of this has no Python value`);
  }
  chunk.view.setUint32(at + 4, tag, true);
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  // Object.prototype of any realm: the only prototype that has none itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The kind, and flags that are all zero: what lay there before is not. */
function putKind(chunk, at, kind) {
  chunk.view.setInt32(at, kind, true);
  chunk.view.setUint32(at + 4, 0, true);
}

/** A handle. */
function putHandle(chunk, at, kind, handle) {
  putKind(chunk, at, kind);
  chunk.setWord(at + 8, 0);
  chunk.setWord(at + 16, handle);
}

function header(chunk, at, kind, length, address) {
  putKind(chunk, at, kind);
  chunk.setWord(at + 8, length);
  chunk.setWord(at + 16, address);
}

function putFloat(chunk, at, value) {
  putKind(chunk, at, FLOAT);
  chunk.view.setFloat64(at + 16, value, true);
}

function putText(arena, chunk, at, kind, text) {
  const length = Buffer.byteLength(text);
  header(chunk, at, kind, length, arena.text(length, text));
}

/** JS texts may hold half characters, which UTF-8 has no place for. Node would write something else instead. */
function checked(text) {
  if (!text.isWellFormed()) throw new NoPythonValue('a string with a lone surrogate has no Python value');
  return text;
}

function tooDeep() {
  return new RangeError('a value that is nested more than 1,000 levels deep, or contains itself');
}

function putItems(arena, items, length, depth) {
  if (depth > MAX_DEPTH) throw tooDeep();
  const at = arena.reserve(length * SIZE);
  const { chunk } = arena;
  putEach(arena, chunk, at, items, length, depth);
  return chunk.address + at;
}

function putEach(arena, chunk, at, items, length, depth) {
  let index = 0;
  try {
    for (; index < length; index++, at += SIZE) put(arena, chunk, at, items[index], depth);
  } catch (error) {
    throw step(error, `[${index}]`);
  }
}

function putPairs(arena, place, placeAt, entries, length, depth) {
  if (depth > MAX_DEPTH) throw tooDeep();
  let at = arena.reserve(length * 2 * SIZE);
  const { chunk } = arena;
  const address = chunk.address + at;
  let count = 0;
  for (const [key, value] of entries) {
    // A getter may have added some meanwhile.
    if (count === length) break;
    try {
      put(arena, chunk, at, key, depth);
      put(arena, chunk, at + SIZE, value, depth);
    } catch (error) {
      throw step(error, `[${typeof key === 'string' ? JSON.stringify(key) : String(typeof key)}]`);
    }
    count += 1;
    at += 2 * SIZE;
  }
  header(place, placeAt, DICT, count, address);
}

function step(error, text) {
  if (error instanceof NoPythonValue) error.steps.push(text);
  return error;
}

// ---- from Python

const scratch = new Chunk(64 * 1024);

/**
 * Takes the result of a call out of its arena, and frees it. What it points to lies in one block of memory, which is
 * copied here at once: reading it item by item through the foreign function interface takes a thousand times as long.
 *
 * @param {Reading} how  what ints and dicts become
 */
function takeResult(arena, how) {
  const { head } = arena;
  const kind = head.view.getInt32(RESULT, true);
  if (kind === NONE || kind === BOOL || kind === INT || kind === FLOAT) return read(how, head, 0, RESULT);
  return takeBlock(arena, (block, base) => read(how, block, base, RESULT, head));
}

/**
 * Takes the results of many calls, as takeResult() does.
 *
 * @param {boolean} returnErrors  whether what JS has no value for is an error among the results
 */
function takeResults(arena, how, returnErrors) {
  return takeBlock(arena, (block, base) => {
    const results = new Array(arena.head.word(RESULT + 8));
    let at = arena.head.word(RESULT + 16) - base;
    for (let row = 0; row < results.length; row++, at += SIZE) {
      try {
        results[row] = read(how, block, base, at);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        error.message = `row ${row}: ${error.message}`;
        error.row = row;
        if (!returnErrors) throw error;
        results[row] = error;
      }
    }
    return results;
  });
}

function takeBlock(arena, use) {
  const { head } = arena;
  let block;
  try {
    native.valueBlock(arena.result, arena.out, arena.out2);
    const base = head.word(OUT);
    const size = head.word(OUT_2);
    block = size <= scratch.bytes.length ? scratch : new Chunk(size);
    block.root = arena.result;
    native.memcpy(block.address, base, size);
    return use(block, base);
  } finally {
    // Memory of the result that JS has now keeps all of it.
    if (block?.pin) makers.leave(block.pin);
    else native.valueFree(arena.result);
    if (block) block.pin = undefined;
  }
}

/** Reads the value at an offset of `from`, whose pointers lead into the copy of the block that was at `base`. */
function read(how, block, base, at, from = block) {
  const { view } = from;
  switch (view.getInt32(at, true)) {
    case NONE:
      return null;
    case BOOL:
      return view.getUint8(at + 16) !== 0;
    case INT: {
      if (how.integers === 'bigint') return view.getBigInt64(at + 16, true);
      const number = view.getUint32(at + 16, true) + view.getInt32(at + 20, true) * 0x1_0000_0000;
      return Number.isSafeInteger(number) ? number : large(how, view.getBigInt64(at + 16, true));
    }
    case FLOAT:
      return view.getFloat64(at + 16, true);
    case OBJECT:
      return makers.object(how, from.word(at + 16));
    case QUEUE:
      return makers.queue(how, from.word(at + 16));
    case BUFFER:
      return makers.buffer(block, from.word(at + 16));
    default: {
      const value = readBlock(how, block, base, view.getInt32(at, true), from.word(at + 8), from.word(at + 16) - base);
      const tag = view.getUint8(at + 4);
      return tag === 0 ? value : tagged(tag, value);
    }
  }
}

function tagged(tag, value) {
  if (TAGS[tag] === undefined) return value;
  if (tag !== SET) return new Tagged(TAGS[tag], value);
  const set = new Set(value);
  // Python's sets may have several NaNs, a Set has one.
  if (set.size !== value.length) throw new RangeError('a set with several NaNs has no Set');
  return set;
}

/** An int that a number cannot stand for. */
function large(how, value) {
  if (how.integers === 'number') {
    throw new RangeError("an int beyond 2^53 - 1 has no number: integers 'auto' and 'bigint' make a bigint of it");
  }
  return value;
}

function readBlock(how, block, base, kind, length, at) {
  switch (kind) {
    case STR:
      return block.bytes.toString('utf8', at, at + length);
    case BIGINT: {
      const hex = block.bytes.toString('latin1', at, at + length);
      return large(how, hex.startsWith('-') ? -BigInt(hex.slice(1)) : BigInt(hex));
    }
    case BYTES:
      return Buffer.from(block.bytes.subarray(at, at + length));
    case LIST:
      return readItems(how, block, base, new Array(length), at);
    case TUPLE: {
      // Not new Tuple(length), which is slower for the lengths that tuples have.
      const tuple = new Tuple();
      tuple.length = length;
      return readItems(how, block, base, tuple, at);
    }
    case DICT:
      return how.dicts === 'object' ? readObject(how, block, base, length, at) : readMap(how, block, base, length, at);
    case ERROR:
      return rowError(base + at);
    default:
      throw new Error(`a value of kind ${kind}, which this version of the package does not know: the library is newer`);
  }
}

function readItems(how, block, base, items, at) {
  for (let index = 0; index < items.length; index++, at += SIZE) items[index] = read(how, block, base, at);
  return items;
}

function readMap(how, block, base, length, at) {
  const dict = new Map();
  for (let index = 0; index < length; index++, at += 2 * SIZE) {
    dict.set(read(how, block, base, at), read(how, block, base, at + SIZE));
  }
  // Python's dicts may have several NaNs as keys, a Map has one.
  if (dict.size !== length) throw new RangeError('a dict with several NaNs as keys has no Map');
  return dict;
}

function readObject(how, block, base, length, at) {
  const object = {};
  for (let index = 0; index < length; index++, at += 2 * SIZE) {
    if (block.view.getInt32(at, true) !== STR) {
      throw new RangeError("a dict with a key that is no str has no object: dicts 'map' makes a Map of it");
    }
    const key = read(how, block, base, at);
    const value = read(how, block, base, at + SIZE);
    if (key === '__proto__') {
      // As JSON.parse() does it: a key like any other.
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
    } else {
      object[key] = value;
    }
  }
  return object;
}

// ---- the arguments of host functions

/**
 * Reads values that lie anywhere in memory, and stay the library's.
 *
 * @param {number} address  of the first
 * @param {number} count  how many there are
 * @returns {Array}
 */
function readAnywhere(how, address, count) {
  const chunk = copyOf(address, count * SIZE);
  return Array.from({ length: count }, (_, index) => readOne(how, chunk, index * SIZE));
}

/** The keyword arguments of a call: a dict, or nothing at address 0. */
function readKeywords(how, address) {
  const keywords = new Keywords();
  if (address !== 0) {
    const chunk = copyOf(address, SIZE);
    const [length, first] = [chunk.word(8), chunk.word(16)];
    const items = readAnywhere(how, first, 2 * length);
    for (let index = 0; index < length; index++) {
      const property = { value: items[2 * index + 1], writable: true, enumerable: true, configurable: true };
      Object.defineProperty(keywords, items[2 * index], property);
    }
  }
  return keywords;
}

function copyOf(address, size) {
  const chunk = new Chunk(size);
  if (size > 0) native.memcpy(chunk.address, address, size);
  return chunk;
}

function readOne(how, from, at) {
  const kind = from.view.getInt32(at, true);
  if (kind <= INT || kind === FLOAT) return read(how, from, 0, at);
  const tag = from.view.getUint8(at + 4);
  const value = readLong(how, from, at, kind);
  return tag === 0 ? value : tagged(tag, value);
}

function readLong(how, from, at, kind) {
  const [length, address] = [from.word(at + 8), from.word(at + 16)];
  switch (kind) {
    case QUEUE:
      return makers.queue(how, address);
    case LIST:
      return readAnywhere(how, address, length);
    case TUPLE: {
      const tuple = new Tuple();
      for (const item of readAnywhere(how, address, length)) tuple.push(item);
      return tuple;
    }
    case DICT:
      return dictOf(how, readAnywhere(how, address, 2 * length));
    default: {
      const block = copyOf(address, length);
      return readBlock(how, block, address, kind, length, 0);
    }
  }
}

/** A dict of keys and values one after the other. */
function dictOf(how, items) {
  const pairs = [];
  for (let index = 0; index < items.length; index += 2) pairs.push([items[index], items[index + 1]]);
  if (how.dicts !== 'object') {
    const dict = new Map(pairs);
    if (dict.size !== pairs.length) throw new RangeError('a dict with several NaNs as keys has no Map');
    return dict;
  }
  if (pairs.some(([key]) => typeof key !== 'string')) {
    throw new RangeError("a dict with a key that is no str has no object: dicts 'map' makes a Map of it");
  }
  return Object.fromEntries(pairs);
}

module.exports = {
  BUFFER,
  Float,
  Keywords,
  OBJECT,
  PUT,
  QUEUE,
  Tagged,
  Tuple,
  checked,
  encode,
  encodeArgs,
  encodeRows,
  makers,
  putHandle,
  readAnywhere,
  readKeywords,
  takeResult,
  takeResults,
};
