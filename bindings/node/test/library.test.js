'use strict';

// Libraries that are missing or of another version: what a program is told when it imports the package.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');

const PROGRAM = path.dirname(__dirname);

let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'subpy-'))));
after(() => fs.rmSync(folder, { recursive: true }));

/** What the import of the package throws, with this SUBPY_LIBRARY. */
function refused(library, cwd = PROGRAM) {
  const code = `
    try { require('subpy'); }
    catch ({ name, code, message }) { console.log(JSON.stringify({ name, code, message })); }`;
  const env = { ...process.env, SUBPY_LIBRARY: library, LD_LIBRARY_PATH: '' };
  const run = spawnSync(process.execPath, ['-e', code], { cwd, env, encoding: 'utf8' });
  assert.equal(run.stderr, '');
  return JSON.parse(run.stdout);
}

/** Compiles a library. */
function built(name, source) {
  const [c, so] = [path.join(folder, `${name}.c`), path.join(folder, name)];
  fs.writeFileSync(c, source);
  const [compiler, ...options] = (process.env.CC || 'cc').split(' ');
  execFileSync(compiler, [...options, '-shared', '-fPIC', '-o', so, c]);
  return so;
}

test('a library that is not there is named, and what to do', () => {
  const { name, code, message } = refused('/nonexistent/libsubpy.so');
  assert.deepEqual([name, code], ['LibraryError', 'SUBPY_LIBRARY_NOT_FOUND']);
  assert.deepEqual(message.split('\n').slice(0, 2), [
    'the library libsubpy could not be opened. Tried:',
    '  /nonexistent/libsubpy.so (SUBPY_LIBRARY): no such file',
  ]);
  assert.match(message, /\nWhat to do: set SUBPY_LIBRARY to the path of a libsubpy\.so, or /);
});

test('a file that is no library is named with the reason', () => {
  const file = path.join(folder, 'text.so');
  fs.writeFileSync(file, 'no library\n');
  const { code, message } = refused(file);
  assert.equal(code, 'SUBPY_LIBRARY_NOT_FOUND');
  assert.ok(message.split('\n')[1].startsWith(`  ${file} (SUBPY_LIBRARY): `), message);
  assert.match(message, /invalid ELF header|file too short/);
});

test('without the library of the package all places are named', () => {
  const copy = path.join(folder, 'copy');
  fs.cpSync(path.join(PROGRAM, 'node_modules'), path.join(copy, 'node_modules'), { recursive: true });
  fs.rmSync(path.join(copy, 'node_modules', 'subpy', 'native'), { recursive: true });
  const { code, message } = refused('', copy);
  assert.equal(code, 'SUBPY_LIBRARY_NOT_FOUND');
  const tried = message.split('\n').slice(1, -1).map((line) => line.split(': ')[0]);
  const system = `${process.platform}-${process.arch}`;
  const packaged = path.join(copy, 'node_modules', 'subpy', 'native', system, 'libsubpy.so');
  assert.deepEqual(tried, [
    `  ${packaged} (in this package)`,
    '  libsubpy.so.0 (where the dynamic loader looks)',
    '  libsubpy.so (where the dynamic loader looks)',
  ]);
});

test('a package for another system says so', () => {
  const copy = path.join(folder, 'other');
  fs.cpSync(path.join(PROGRAM, 'node_modules'), path.join(copy, 'node_modules'), { recursive: true });
  const native = path.join(copy, 'node_modules', 'subpy', 'native');
  const system = `${process.platform}-${process.arch}`;
  fs.renameSync(path.join(native, system), path.join(native, 'plan9-mips'));
  const { code, message } = refused('', copy);
  assert.equal(code, 'SUBPY_LIBRARY_NOT_FOUND');
  const last = message.split('\n').at(-1);
  const start = `This package has the library for plan9-mips, and this is ${system}: one for it has to be built. `;
  assert.ok(last.startsWith(`${start}What to do: set SUBPY_LIBRARY to the path of a libsubpy.so, or `), message);
});

test('npm is told what the libraries in the package are for', () => {
  const { os: systems, cpu, libc } = require(path.join(PROGRAM, 'node_modules', 'subpy', 'package.json'));
  assert.deepEqual([systems, cpu, libc], [[process.platform], [process.arch], ['glibc']]);
});

test('a library of another version is one clear error, before anything else is looked up', () => {
  // They have this function alone: had another been looked up before, the error would be about that.
  for (const [number, version] of [[999_000, '0.999.0'], [1_000_000, '1.0.0'], [3, '0.0.3']]) {
    const file = built(`libsubpy-${version}.so`, `unsigned subpy_version(void) { return ${number}; }`);
    const { name, code, message } = refused(file);
    assert.deepEqual([name, code], ['LibraryError', 'SUBPY_LIBRARY_VERSION']);
    assert.equal(message, `${file} is libsubpy ${version}, the npm package subpy 0.1.0 needs 0.1.x. ` +
      'What to do: install both in the same version, or set SUBPY_LIBRARY to a library that fits.');
  }
  const other = built('libother.so', 'int other(void) { return 1; }');
  const { code, message } = refused(other);
  assert.equal(code, 'SUBPY_LIBRARY_VERSION');
  assert.ok(message.startsWith(`${other} is not libsubpy: it has no subpy_version(). What to do: `), message);
});
