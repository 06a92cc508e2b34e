'use strict';

// Checks of what functions are given.

const { checked } = require('./values');

function known(what, options, names) {
  if (typeof options !== 'object' || options === null) throw new TypeError(`${what}: an object is expected`);
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`${what}: ${name} is not one of ${names.join(', ')}`);
  }
  return options;
}

function choice(what, name, choices) {
  if (!Object.hasOwn(choices, name)) {
    throw new TypeError(`${what}: ${String(name)} is not one of ${Object.keys(choices).join(', ')}`);
  }
  return choices[name];
}

function flags(options, bits) {
  return Object.entries(bits).reduce((word, [name, bit]) => (options[name] ? word | bit : word), 0);
}

function string(what, text) {
  if (typeof text !== 'string') throw new TypeError(`${what}: a string is expected`);
  return checked(text);
}

function path(arena, what, text) {
  if (string(what, text).includes('\0')) throw new TypeError(`${what}: a string without NUL is expected`);
  return arena.text(Buffer.byteLength(text), text, 1);
}

/** Writes texts, and the list of where they are, which ends with 0. Returns where that is, 0 when there are none. */
function texts(arena, what, list) {
  if (!Array.isArray(list)) throw new TypeError(`${what}: an array of strings is expected`);
  if (list.length === 0) return 0;
  const addresses = Array.from(list, (text, index) => path(arena, `${what}[${index}]`, text));
  const at = arena.reserve((addresses.length + 1) * 8);
  const { chunk } = arena;
  [...addresses, 0].forEach((address, index) => chunk.setWord(at + index * 8, address));
  return chunk.address + at;
}

module.exports = { choice, flags, known, path, string, texts };
