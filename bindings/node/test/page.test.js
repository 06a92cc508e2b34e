'use strict';

// The first programs of docs/node.md and of the package's README, as a reader would copy them, with nothing but the package.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const PROGRAM = path.dirname(__dirname);

/** What a program prints, in the folder that the package is installed in. */
function printed(program) {
  fs.writeFileSync(path.join(PROGRAM, 'program.mjs'), program);
  const env = { ...process.env };
  delete env.SUBPY_LIBRARY;
  return execFileSync(process.execPath, ['program.mjs'], { cwd: PROGRAM, env, encoding: 'utf8' });
}

test('the first program of the page prints what the page says', () => {
  const page = fs.readFileSync(path.join(PROGRAM, 'page.md'), 'utf8');
  const [, program, expected] = page.match(/\n```js\n(.*?)\n```\n.*?\n```text\n(.*?)```\n/s);
  assert.equal(printed(program), expected);
});

test('the program of the README runs', () => {
  const page = fs.readFileSync(path.join(PROGRAM, 'node_modules', 'subpy', 'README.md'), 'utf8');
  const [, program] = page.match(/\n```js\n(.*?)\n```\n/s);
  assert.equal(printed(program), '{ to: 2, be: 2, or: 1, not: 1 }\n{ that: 1, is: 1, the: 1, question: 1 }\n');
});
