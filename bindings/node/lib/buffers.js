'use strict';

// Memory that Python and JS share.

const path = require('node:path');
const { endianness } = require('node:os');
const { isMainThread, markAsUntransferable } = require('node:worker_threads');

const koffi = require('koffi');

const native = require('./native');
const { known, string } = require('./arguments');
const { theLoop, warn } = require('./loop');
const { Chunk } = require('./memory');
const { BUFFER, PUT, makers, putHandle } = require('./values');

// Of a subpy_buffer.
const SIZE = 80;
const WRITABLE = 1;
const LENT = 2;

/** The class of the elements of a format, by its letter and the size of one, and the other way round. */
const SIGNED = { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: BigInt64Array };
const UNSIGNED = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array };
const FLOATS = { 4: Float32Array, 8: Float64Array };
const LETTERS = new Map([
  [Int8Array, 'b'], [Uint8Array, 'B'], [Uint8ClampedArray, 'B'], [Int16Array, 'h'], [Uint16Array, 'H'], [Int32Array, 'i'],
  [Uint32Array, 'I'], [BigInt64Array, 'q'], [BigUint64Array, 'Q'], [Float32Array, 'f'], [Float64Array, 'd'],
]);

function classOf(format, itemsize) {
  const [, order, letter] = /^([@=<>!]?)(.)$/.exec(format) ?? [];
  if (letter === undefined || (itemsize > 1 && ['>', '!'].includes(order) && endianness() === 'LE')) return undefined;
  if ('bhilqn'.includes(letter)) return SIGNED[itemsize];
  if ('BHILQNP?c'.includes(letter)) return UNSIGNED[itemsize];
  return 'fd'.includes(letter) ? FLOATS[itemsize] : undefined;
}

/** native/data.c, when something is shared. */
let opened;

function data() {
  opened ??= open();
  return opened;
}

function open() {
  theLoop(); // has it look up the functions of the library
  const file = path.join(__dirname, '..', 'native', `${process.platform}-${process.arch}`, 'host.so');
  const lib = koffi.load(file);
  const addon = { exports: {} };
  process.dlopen(addon, file);
  const address = 'uintptr_t';
  return {
    ...addon.exports,
    pin: lib.func('data_pin', address, [address]),
    allocate: lib.func('data_allocate', address, ['size_t', address]),
    share: lib.func('data_share', address, ['size_t', address]),
    hold: lib.func('data_hold', 'void', [address]),
    drop: lib.func('data_drop', 'void', [address]),
    outcomes: lib.func('data_outcomes', address, ['size_t', 'bool']),
    mapped: lib.func('data_mapped_address', address, [])(),
    take: lib.func('data_take', 'void', [address, 'size_t', address]),
    forget: lib.func('data_forget', 'void', [address]),
    dropAddress: lib.func('data_drop_address', address, [])(),
  };
}

/** The options of memory that is passed. */
const OPTIONS = ['format', 'itemsize', 'shape', 'strides', 'writable', 'lent', 'onRelease'];

/**
 * Memory that Python and JS share: of JS, for Python to see as a memoryview when it is an argument, or Python's, in a result
 * (results: "buffers" or "arrays").
 */
class MemoryView {
  /** What the elements are, in the letters of Python's struct module. */
  format;
  /** The size of an element in bytes. */
  itemsize;
  /** How many elements there are in each dimension. */
  shape;
  /** How many bytes there are from one element to the next in each dimension; null: C contiguous. */
  strides;
  /** Whether Python may not write to it, or JS if it is Python's. */
  readonly;
  #bytes;
  #length;
  #freed = false;
  #lent;
  #onRelease;
  /** What keeps the memory, when it is not JS that does. */
  #pin = 0;
  #address = 0;

  /**
   * @param {ArrayBuffer|SharedArrayBuffer|ArrayBufferView} source
   * @param {object} options
   *   format, itemsize, shape, strides: as above; otherwise what the source is, in one dimension;
   *   writable: Python may write to it; lent: it is there for one call, see docs/buffers.md;
   *   onRelease: called each time that Python has let go of it after it was passed
   */
  constructor(source, options = {}) {
    if (source instanceof Pinned) this.#keep(source);
    else this.#bytes = bytesOf(source);
    this.#length = this.#bytes.length;
    const Class = ArrayBuffer.isView(source) ? [...LETTERS.keys()].find((one) => source instanceof one) : undefined;
    const otherwise = { format: LETTERS.get(Class) ?? 'B', itemsize: Class?.BYTES_PER_ELEMENT ?? 1 };
    const { format, itemsize, shape, strides = null, writable = false, lent = false, onRelease } = known(
      'options', options, OPTIONS,
    );
    if (format !== undefined && string('format', format).includes('\0')) throw new TypeError('format: has a NUL');
    if (onRelease !== undefined && typeof onRelease !== 'function') throw new TypeError('onRelease: a function is expected');
    this.format = format ?? otherwise.format;
    this.itemsize = itemsize ?? (format === undefined ? otherwise.itemsize : sizeOf(format));
    this.shape = shape === undefined ? [Math.floor(this.#bytes.length / this.itemsize)] : numbers('shape', shape);
    this.strides = strides === null ? null : numbers('strides', strides);
    if (this.strides && this.strides.length !== this.shape.length) {
      throw new TypeError(`strides: ${this.shape.length} numbers are expected, as many as in shape`);
    }
    this.readonly = !writable;
    this.#lent = lent;
    this.#onRelease = onRelease;
  }

  /**
   * Memory outside of JS, all zero. It can be shared in any thread, and is there as long as Python or JS has it.
   *
   * @param {number} length  in bytes
   * @param {object} options  as for the constructor; and shared: interpreters in processes see it without a copy, too
   */
  static allocate(length, { shared = false, ...options } = {}) {
    if (!Number.isSafeInteger(length) || length < 0) throw new TypeError('length: a number of bytes is expected');
    if (typeof shared !== 'boolean') throw new TypeError('shared: true or false is expected');
    const out = new Chunk(8);
    const pin = shared ? data().share(length, out.address) : data().allocate(length, out.address);
    if (pin === 0) throw new RangeError('out of memory');
    try {
      return new MemoryView(new Pinned(pin, out.word(0), length), options);
    } finally {
      data().drop(pin);
    }
  }

  /** All of the memory, as bytes. What is `readonly` must not be written to. */
  get bytes() {
    return this.#bytes;
  }

  /** The memory as an array of what the format says, the first dimension's first element first; null when JS has none. */
  get array() {
    const Class = classOf(this.format, this.itemsize);
    const { buffer, byteOffset, length } = this.#bytes;
    if (!Class || byteOffset % this.itemsize !== 0) return null;
    return new Class(buffer, byteOffset, Math.floor(length / this.itemsize));
  }

  /** How many bytes there are. */
  get nbytes() {
    return this.#bytes.length;
  }

  /**
   * Gives memory that is Python's back, or that of allocate(); what reads `bytes` or `array` finds nothing any more. What is
   * garbage is given back as well. Of memory of JS there is nothing to give back.
   */
  free() {
    if (this.#pin === 0) return;
    data().detach(this.#bytes.buffer);
    data().drop(this.#pin);
    garbage.unregister(this);
    this.#pin = 0;
    this.#address = 0;
    this.#bytes = Buffer.alloc(0);
    this.#freed = true;
  }

  #keep({ pin, address, length }) {
    // Node has no ArrayBuffer of no memory.
    const buffer = length === 0 ? new ArrayBuffer(0) : data().view(pin, address, length);
    if (!buffer) throw new RangeError('no ArrayBuffer can be made over this memory');
    this.#bytes = Buffer.from(buffer);
    data().hold(pin);
    this.#pin = pin;
    this.#address = address;
    garbage.register(this, pin, this);
  }

  /** As an argument it is a memoryview. */
  [PUT](arena, chunk, at) {
    const length = this.#bytes.length;
    if (this.#freed) throw new TypeError('the memory was given back');
    if (this.#pin === 0 && this.#lost()) throw new TypeError('the memory was transferred to another thread');
    const format = arena.text(Buffer.byteLength(this.format), this.format, 1);
    const [shape, strides] = [this.shape, this.strides ?? []].map((list) => {
      const place = arena.reserve(list.length * 8);
      list.forEach((number, index) => arena.chunk.view.setBigInt64(place + index * 8, BigInt(number), true));
      return list.length === 0 ? 0 : arena.chunk.address + place;
    });
    const address = this.#pin !== 0 ? this.#address : length === 0 ? NOTHING.address : Number(koffi.address(this.#bytes));
    const [release, userdata] = this.#pass(arena);
    const struct = arena.reserve(SIZE);
    const { chunk: there } = arena;
    [SIZE, address, length, format, this.itemsize, shape, strides].forEach((word, i) => there.setWord(struct + i * 8, word));
    there.view.setInt32(struct + 56, this.shape.length, true);
    there.view.setUint32(struct + 60, (this.readonly ? 0 : WRITABLE) | (this.#lent ? LENT : 0), true);
    there.setWord(struct + 64, release);
    there.setWord(struct + 72, userdata);
    putHandle(chunk, at, BUFFER, there.address + struct);
  }

  /** Whether the memory is not the one any more that it was. */
  #lost() {
    return this.#length !== this.#bytes.length;
  }

  /** What keeps the memory until Python has let go of it: a subpy_finalize_fn and its argument. */
  #pass(arena) {
    if (this.#pin !== 0 && !this.#onRelease) {
      const pin = this.#pin;
      data().hold(pin);
      arena.hold(this, () => data().drop(pin));
      return [data().dropAddress, pin];
    }
    const loop = theLoop();
    const pin = this.#pin;
    if (pin !== 0) data().hold(pin);
    const back = pin === 0 ? lend() : () => data().drop(pin);
    const forgotten = () => {
      back();
      try {
        this.#onRelease?.();
      } catch (error) {
        warn(error);
      }
    };
    const [id, userdata] = loop.add({ forgotten, bytes: this.#bytes });
    arena.hold(this, () => {
      loop.entries.delete(id);
      loop.free(userdata);
      back();
    });
    return [loop.finalize, userdata];
  }
}

/** Memory that somebody else has, and what keeps it. */
class Pinned {
  constructor(pin, address, length) {
    Object.assign(this, { pin, address, length });
  }
}

const garbage = new FinalizationRegistry((pin) => data().drop(pin));

/** How much of JS's memory Python has: how often it was passed, and is not released. */
let lent = 0;

/** When the program comes to its end, Node frees the memory of JS, whoever uses it; not in process.exit(). */
function atTheEnd() {
  if (lent > 0) process.exit();
}

/** Python gets memory of JS. Returns what is to be called when it has let go. */
function lend() {
  if (lent === 0 && !process.listeners('beforeExit').includes(comeLast)) process.on('beforeExit', comeLast);
  lent += 1;
  return () => (lent -= 1);
}

/** Behind all others that are called at the end. */
function comeLast() {
  process.off('exit', atTheEnd);
  process.on('exit', atTheEnd);
}

/** Where memory lies of which there is none. */
const NOTHING = new Chunk(8);

/** The bytes of memory of JS that can be shared. */
function bytesOf(source) {
  const view = ArrayBuffer.isView(source);
  const buffer = view ? source.buffer : source;
  if (!(buffer instanceof ArrayBuffer) && !(buffer instanceof SharedArrayBuffer)) {
    throw new TypeError('memory: an ArrayBuffer, a typed array or a Buffer is expected');
  }
  if (!isMainThread) {
    throw new TypeError('the memory of a worker ends with it, whoever uses it: share that of MemoryView.allocate()');
  }
  if (buffer.resizable) throw new TypeError('memory that can shrink cannot be shared');
  // In a transfer the memory would go away from under Python.
  if (buffer instanceof ArrayBuffer) markAsUntransferable(buffer);
  return view ? Buffer.from(buffer, source.byteOffset, source.byteLength) : Buffer.from(buffer);
}

/** The size of an element, for formats of one letter. */
function sizeOf(format) {
  const [, order, letter] = /^([@=<>!]?)(.)$/.exec(format) ?? [];
  const sizes = { bBc: 1, '?': 1, hH: 2, e: 2, iI: 4, f: 4, qQd: 8, lL: order ? 4 : 8, nNP: 8 };
  const found = Object.keys(sizes).find((letters) => letters.includes(letter));
  if (letter === undefined || found === undefined) throw new TypeError(`itemsize: is missing, for the format ${format}`);
  return sizes[found];
}

function numbers(what, list) {
  if (!Array.isArray(list) || !list.every(Number.isSafeInteger)) {
    throw new TypeError(`${what}: an array of numbers is expected`);
  }
  return Array.from(list);
}

/** A buffer in a result, which is kept as long as one of its buffers is in use. */
makers.buffer = (block, address) => {
  block.pin ??= data().pin(block.root);
  if (block.pin === 0) throw new RangeError('out of memory');
  const struct = copyOf(address, SIZE);
  const [where, length, format, itemsize, shape, strides] = [8, 16, 24, 32, 40, 48].map((at) => struct.word(at));
  const dimensions = struct.view.getInt32(56, true);
  const list = (at) => {
    const copy = copyOf(at, dimensions * 8);
    return Array.from({ length: dimensions }, (_, index) => Number(copy.view.getBigInt64(index * 8, true)));
  };
  const size = itemsize === 0 ? 1 : itemsize;
  return new MemoryView(new Pinned(block.pin, where, length), {
    format: format === 0 ? 'B' : koffi.decode.string(BigInt(format)),
    itemsize: size,
    shape: shape === 0 ? [length / size] : list(shape),
    strides: strides === 0 ? null : list(strides),
    writable: (struct.view.getUint32(60, true) & WRITABLE) !== 0,
  });
};

makers.leave = (pin) => data().drop(pin);

function copyOf(address, size) {
  const copy = new Chunk(size);
  if (size > 0) native.memcpy(copy.address, address, size);
  return copy;
}

if (Symbol.dispose) {
  Object.defineProperty(MemoryView.prototype, Symbol.dispose, { value: MemoryView.prototype.free });
}

module.exports = { MemoryView, data };
