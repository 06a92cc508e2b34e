'use strict';

// Memory that C reads and writes: arguments on their way in, results on their way out.

const koffi = require('koffi');

const CHUNK = 16 * 1024;

/** A piece of memory whose address does not change, seen as bytes and as numbers. */
class Chunk {
  /** Of a copy of a result: where that is, and what keeps it when JS has memory of it. */
  root = 0;
  pin = undefined;

  constructor(size) {
    this.bytes = Buffer.from(new ArrayBuffer(size));
    this.view = new DataView(this.bytes.buffer);
    this.address = Number(koffi.address(this.bytes));
  }

  /** An address or a size, both of them below 2^53. */
  word(at) {
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 0x1_0000_0000;
  }

  setWord(at, word) {
    this.view.setUint32(at, word >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(word / 0x1_0000_0000), true);
  }
}

// What every call needs has a fixed place at the start of an arena.
const RESULT = 0;
const ERROR = 24;
const OUT = 32;
const OUT_2 = 40;
const OUT_3 = 48;
const FRAME = 56; // a subpy_frame
const FRAME_SIZE = 72;
const FREE = FRAME + FRAME_SIZE;

// With these the library has taken nothing over that was passed to it.
const INVALID_ARGUMENT = -1;
const FORKED = -13;

/** Memory for one call. It grows in chunks that never move, so addresses in it stay true until it is given back. */
class Arena {
  #held = null;

  constructor() {
    this.head = new Chunk(CHUNK);
    this.result = this.head.address + RESULT;
    this.error = this.head.address + ERROR;
    this.out = this.head.address + OUT;
    this.out2 = this.head.address + OUT_2;
    this.out3 = this.head.address + OUT_3;
    this.frame = this.head.address + FRAME;
    this.clear();
  }

  clear() {
    this.chunk = this.head;
    this.used = FREE;
    this.full = [];
    if (this.#held !== null) this.#letGo();
  }

  /**
   * Keeps something that the call needs, until the arena is given back.
   *
   * @param {any} thing
   * @param {Function} notPassed  called then if the library has not taken the thing over
   */
  hold(thing, notPassed = undefined) {
    this.#held ??= [];
    this.#held.push({ thing, notPassed });
  }

  /** Whether there is something that the library takes over. */
  get passing() {
    return this.#held !== null && this.#held.some(({ notPassed }) => notPassed);
  }

  /** The library was called, with this status: what it was passed is its own now, or it has taken nothing over. */
  passed(status) {
    if (this.#held === null || status === INVALID_ARGUMENT || status === FORKED) return;
    for (const held of this.#held) held.notPassed = undefined;
  }

  #letGo() {
    const held = this.#held;
    this.#held = null;
    for (const { notPassed } of held) notPassed?.();
  }

  /** Makes room. Returns the offset in `this.chunk`, which may be another one than before. */
  reserve(size) {
    const at = Math.ceil(this.used / 8) * 8; // not with bits, which end at 2 GiB
    if (at + size <= this.chunk.bytes.length) {
      this.used = at + size;
      return at;
    }
    this.full.push(this.chunk);
    this.chunk = new Chunk(Math.max(size, Math.min(2 * this.chunk.bytes.length, 1 << 20)));
    this.used = size;
    return 0;
  }

  /** The address of a copy of a text, without a NUL behind it unless asked for. */
  text(bytes, text, terminator = 0) {
    const at = this.reserve(bytes + terminator);
    const { chunk } = this;
    chunk.bytes.write(text, at, bytes, 'utf8');
    chunk.bytes.fill(0, at + bytes, at + bytes + terminator);
    return chunk.address + at;
  }
}

const idle = [];
const MOST_IDLE = 64;

/** An arena of one's own, until it is given back: as long as a call on another thread may take. */
function takeArena() {
  return idle.pop() ?? new Arena();
}

function giveArena(arena) {
  arena.clear();
  if (idle.length < MOST_IDLE) idle.push(arena);
}

/** Lends an arena to a function. A call within a call (by a getter of an argument) gets another one. */
function withArena(use) {
  const arena = takeArena();
  try {
    return use(arena);
  } finally {
    giveArena(arena);
  }
}

module.exports = { Chunk, ERROR, FRAME, FRAME_SIZE, OUT, OUT_2, OUT_3, RESULT, giveArena, takeArena, withArena };
