'use strict';

// Runs the table that all bindings run, conformance/cases.json; what its members mean is in the README.md beside it.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const subpy = require('subpy');

const { cases, many } = require(path.join(__dirname, '..', 'conformance', 'cases.json'));

/** What Node cannot express, by name, and why. */
const SKIPPED = new Map([
  ['a NaN keeps its payload', 'JS has one NaN; which bits it keeps is up to the engine'],
  ['a row with an argument that is wrong', 'every bigint that JS has is one for Python'],
]);

/** How many cases ran. */
let count = 0;

/** From the table's notation to JS. */
function value(json) {
  if (json === null || typeof json !== 'object') return json;
  const [[kind, content]] = Object.entries(json);
  switch (kind) {
    case 'int':
      return BigInt(content);
    case 'bigint':
      return content.startsWith('-') ? -BigInt(content.slice(1)) : BigInt(content);
    case 'float':
      return new subpy.Float(Buffer.from(content, 'hex').readDoubleBE());
    case 'bytes':
      return Buffer.from(content, 'hex');
    case 'tuple':
      return subpy.Tuple.from(content, value);
    case 'list':
      return content.map(value);
    case 'dict':
      return new Map(content.map((pair) => pair.map(value)));
    default:
      throw new Error(`an unknown kind: ${kind}`);
  }
}

/** The other way round, of results whose ints are bigints. */
function notation(result) {
  if (typeof result === 'bigint') {
    if (BigInt.asIntN(64, result) === result) return { int: String(result) };
    return { bigint: result < 0n ? `-0x${(-result).toString(16)}` : `0x${result.toString(16)}` };
  }
  if (typeof result === 'number') {
    const bits = Buffer.alloc(8);
    bits.writeDoubleBE(result);
    return { float: bits.toString('hex') };
  }
  if (Buffer.isBuffer(result)) return { bytes: result.toString('hex') };
  if (result instanceof subpy.Tuple) return { tuple: Array.from(result, notation) };
  if (Array.isArray(result)) return { list: result.map(notation) };
  if (result instanceof Map) return { dict: Array.from(result, (pair) => pair.map(notation)) };
  return result;
}

/** The error, with the members that the table has for one like it. */
function seen(error, expected) {
  const { excinfo } = error;
  const members = {
    status: () => error.code,
    message: () => error.message,
    type_name: () => excinfo.type.name,
    type_qualname: () => excinfo.type.qualname,
    type_module: () => excinfo.type.module,
    exception_message: () => excinfo.msg,
    formatted: () => excinfo.formatted,
    display: () => excinfo.errdisplay,
    frames: () => error.frames.map((frame, index) => only(frame, expected.frames[index])),
    syntax: () => only(error, expected.syntax),
    exit_status: () => error.exitStatus,
    row: () => error.row,
  };
  return Object.fromEntries(Object.keys(expected).map((name) => [name, members[name]()]));
}

function only(object, members = object) {
  const names = { end_line: 'endLine', end_column: 'endColumn' };
  return Object.fromEntries(Object.keys(members).map((name) => [name, object[names[name] ?? name]]));
}

/** The ways in which Node can do what a case says. */
function ways({ do: what, text, args = [], kwargs = [], filename, keep_indent: keepIndent = false }) {
  const options = filename === undefined ? {} : { filename };
  const names = new Map(kwargs.map(([name, json]) => [name, value(json)]));
  const positional = args.map(value);
  switch (what) {
    case 'exec':
      return [
        (interp) => interp.exec(text, { ...options, keepIndent }),
        (interp) => interp.execInThread(text, { ...options, keepIndent }),
      ];
    case 'eval':
      return [(interp) => interp.eval(text, options), (interp) => interp.evalInThread(text, options)];
    case 'call':
      return [
        (interp) => interp.call(text, positional, names),
        (interp) => interp.callInThread(text, positional, names),
        (interp) => interp.function(text).call(positional, names),
        (interp) => interp.function(text).callInThread(positional, names),
      ];
    case 'prepare_main':
      return [(interp) => {
        interp.prepareMain(names);
        return interp.eval(text);
      }];
    default:
      throw new Error(`unknown: ${what}`);
  }
}

test('the cases of the conformance table', async () => {
  assert.ok(cases.length > 0);
  for (const name of SKIPPED.keys()) assert.ok([...cases, ...many].some((one) => one.name === name), name);
  for (const one of cases) {
    if (SKIPPED.has(one.name)) {
      console.log(`skipped: conformance in Node: ${one.name}: ${SKIPPED.get(one.name)}`);
      continue;
    }
    for (const way of ways(one)) {
      const interp = subpy.create({ integers: 'bigint' });
      if (one.setup !== undefined) interp.exec(one.setup);
      let outcome;
      try {
        outcome = { result: notation(await way(interp)) };
      } catch (error) {
        assert.ok(one.error && error instanceof subpy.InterpreterError, `${one.name}: ${error.stack}`);
        outcome = { error: seen(error, one.error) };
      }
      if ('error' in one) assert.deepEqual(outcome, { error: versioned(one.error) }, one.name);
      else if ('result' in one) assert.deepEqual(outcome, { result: versioned(one.result) }, one.name);
      interp.close();
    }
    count += 1;
  }
});

/** What callMany() comes to: what became of each row, or the error that ended it. */
function expectedOfMany({ outcomes, ends }, returnErrors) {
  if (ends) return { ends: { row: null, ...ends } };
  const withRows = outcomes.map(({ result, error }, row) => (error ? { error: { ...error, row } } : { result }));
  const first = returnErrors ? undefined : withRows.find(({ error }) => error);
  return first ? { ends: first.error } : { outcomes: withRows };
}

async function outcomeOfMany(call, expected) {
  let results;
  try {
    results = await call();
  } catch (error) {
    assert.ok(expected.ends && error instanceof subpy.InterpreterError, error.stack);
    return { ends: seen(error, expected.ends) };
  }
  const outcome = (result, row) => {
    if (!(result instanceof Error)) return { result: notation(result) };
    return { error: seen(result, expected.outcomes?.[row]?.error ?? { message: '' }) };
  };
  return { outcomes: results.map(outcome) };
}

test('the cases of many calls', async () => {
  assert.ok(many.length > 0);
  for (const one of many) {
    if (SKIPPED.has(one.name)) {
      console.log(`skipped: conformance in Node: ${one.name}: ${SKIPPED.get(one.name)}`);
      continue;
    }
    const rows = one.rows.map((row) => row.map(value));
    for (const way of ['callMany', 'callManyInThread']) {
      for (const returnErrors of [false, true]) {
        const interp = subpy.create({ integers: 'bigint' });
        if (one.setup !== undefined) interp.exec(one.setup);
        const f = interp.function(one.text);
        const expected = versioned(expectedOfMany(one, returnErrors));
        const outcome = await outcomeOfMany(async () => f[way](rows, { returnErrors }), expected);
        assert.deepEqual(outcome, expected, `${one.name}, ${way}, ${returnErrors}`);
        interp.close();
      }
    }
    count += 1;
  }
  console.log(`conformance: ${count} cases in Node`);
  subpy.shutdown();
});

/** With {python} replaced. */
function versioned(expected) {
  return JSON.parse(JSON.stringify(expected).replaceAll('{python}', subpy.pythonVersion()));
}
