'use strict';

// Runs the table that all bindings run, conformance/cases.json; what its members mean is in the README.md beside it.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');

const subpy = require('subpy');

const table = require(path.join(__dirname, '..', 'conformance', 'cases.json'));

const { many } = table;

/** What Node cannot express, by name, and why. */
const SKIPPED = new Map([
  ['a NaN keeps its payload', 'JS has one NaN; which bits it keeps is up to the engine'],
  ['a row with an argument that is wrong', 'every bigint that JS has is one for Python'],
]);

/**
 * Where this thread waits for one of Python's that calls a function of this thread. The other ways of the cases run: on
 * threads of the pool.
 */
const ONLY_IN_THREAD = new Set(['a host function is called on a thread of Python\'s']);

/** Whether a way runs on this thread. */
const blocks = (way) => !String(way).includes('InThread');

/** The table is the same for interpreters in processes of their own. */
const IN_PROCESSES = process.env.SUBPY_CONFORMANCE_PROCESS !== undefined;

function create(options) {
  return subpy.create({ ...options, ...(IN_PROCESSES ? { process: true, grace: 5000 } : {}) });
}

function createPool(options) {
  return subpy.createPool({ ...options, ...(IN_PROCESSES ? { isolation: 'process', grace: 5000 } : {}) });
}

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
    case 'tag':
      return content === 'set' ? new Set(value(json.value)) : new subpy.Tagged(content, value(json.value));
    case 'buffer':
      return new subpy.MemoryView(Buffer.from(content.bytes, 'hex'), { format: content.format, shape: content.shape });
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
  if (result instanceof Set) return { tag: 'set', value: { list: Array.from(result, notation) } };
  if (result instanceof subpy.Tagged) return { tag: result.tag, value: notation(result.value) };
  if (result instanceof subpy.PythonObject) return { object: result.text() };
  if (result instanceof subpy.MemoryView) {
    const { format, shape, bytes } = result;
    return { buffer: { format, shape, bytes: bytes.toString('hex') } };
  }
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
function ways(one) {
  const { do: what, text, args = [], kwargs = [], filename, keep_indent: keepIndent = false } = one;
  const named = filename === undefined ? {} : { filename };
  const names = new Map(kwargs.map(([name, json]) => [name, value(json)]));
  // What a case passes first is made for each run.
  const positional = (first) => [...first, ...args.map(value)];
  if (one.pool) return [(pool, options) => pool[what](text, ...(what === 'call' ? [positional([]), names] : []), options)];
  switch (what) {
    case 'exec':
      return [
        (interp, options) => interp.exec(text, { ...named, ...options, keepIndent }),
        (interp, options) => interp.execInThread(text, { ...named, ...options, keepIndent }),
      ];
    case 'eval':
      return [
        (interp, options) => interp.eval(text, { ...named, ...options }),
        (interp, options) => interp.evalInThread(text, { ...named, ...options }),
      ];
    case 'call':
      return [
        (interp, options, first) => interp.call(text, positional(first), names, options),
        (interp, options, first) => interp.callInThread(text, positional(first), names, options),
        (interp, options, first) => interp.function(text).call(positional(first), names, options),
        (interp, options, first) => interp.function(text).callInThread(positional(first), names, options),
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

const MEMBERS = ['name', 'setup', 'do', 'text', 'args', 'kwargs', 'filename', 'keep_indent', 'result', 'error'];
const DATA_MEMBERS = [
  'tagged_values', 'memory_limit', 'flags', 'object', 'object_in', 'queue', 'queue_closed', 'queue_after', 'pool', 'timeout_ms',
];
const OUTPUT_MEMBERS = ['output', 'stdout', 'stderr', 'stdout_length', 'no_stdin'];

function defineHost(interp) {
  interp.define('host:echo', (argument) => argument);
  interp.define('host:arguments', (...args) => {
    const named = args.at(-1) instanceof subpy.Keywords ? args.pop() : {};
    return subpy.Tuple.of(args, { ...named });
  });
  interp.define('host:nothing', () => {});
  interp.define('host:fail', (type, message) => {
    throw new subpy.PythonError(type, message);
  });
  interp.define('host:again', (text) => interp.eval(text));
}

/** Runs one case in one way. */
async function run(section, one, way) {
  const { interp_timeout_ms: timeout, no_stdin: noStdin = false } = one;
  const { tagged_values: taggedValues = false, memory_limit: memoryLimit = 0 } = one;
  const interp = one.pool
    ? await createPool({ integers: 'bigint', workers: 1, setup: one.setup })
    : create({ integers: 'bigint', noStdin, taggedValues, memoryLimit, ...(timeout === undefined ? {} : { timeout }) });
  if (section === 'host') defineHost(interp);
  const printed = { stdout: '', stderr: '' };
  const output = (text, stream) => (printed[stream] += text);
  if (one.output === 'interpreter') interp.setOutput(output);
  if (one.setup !== undefined && !one.pool) interp.exec(one.setup);
  const options = {};
  for (const flag of one.flags ?? []) {
    if (flag === 'async') options.async = true;
    else options.results = FORMS[flag];
  }
  const first = [];
  const another = one.object_in === 'another' ? create() : undefined;
  if (one.object !== undefined) first.push((another ?? interp).eval(one.object, { results: 'object' }));
  if (one.queue !== undefined) {
    const queue = new subpy.Queue({ integers: 'bigint' });
    for (const item of one.queue) queue.putNowait(value(item));
    if (one.queue_closed) queue.close();
    first.push(queue);
  }
  if (one.timeout_ms !== undefined) options.timeout = one.timeout_ms;
  if (one.output === 'run') options.output = output;
  const controller = new AbortController();
  let timer;
  if (one.cancel_ms !== undefined) {
    options.signal = controller.signal;
    if (one.cancel_ms === 0) controller.abort();
    else timer = setTimeout(() => controller.abort(), one.cancel_ms);
  }
  let outcome;
  try {
    outcome = { result: notation(await way(interp, options, first)) };
  } catch (error) {
    assert.ok(one.error && error instanceof subpy.InterpreterError, `${one.name}: ${error.stack}`);
    outcome = { error: seen(error, one.error) };
  }
  clearTimeout(timer);
  if ('error' in one) assert.deepEqual(outcome, { error: versioned(one.error) }, one.name);
  else if ('result' in one) assert.deepEqual(outcome, { result: versioned(one.result) }, one.name);
  else assert.ok('result' in outcome, one.name);
  for (const stream of ['stdout', 'stderr']) if (stream in one) assert.equal(printed[stream], one[stream], one.name);
  if ('stdout_length' in one) assert.equal(printed.stdout.length, one.stdout_length, one.name);
  for (const item of one.queue_after ?? []) assert.deepEqual(notation(first[0].getNowait()), item, one.name);
  if (one.queue_after) assert.equal(first[0].size, 0, one.name);
  another?.close();
  await interp.close();
}

/** What the table's flags are here. */
const FORMS = { object: 'object', objects: 'objects', buffer: 'buffers', array: 'arrays' };

const SECTIONS = {
  cases: MEMBERS,
  host: MEMBERS,
  limits: [...MEMBERS, 'interp_timeout_ms', 'timeout_ms', 'cancel_ms'],
  output: [...MEMBERS, ...OUTPUT_MEMBERS],
  data: [...MEMBERS, ...DATA_MEMBERS],
};

for (const [section, members] of Object.entries(SECTIONS)) {
  test(`the cases of the conformance table: ${section}`, async () => {
    assert.ok(table[section].length > 0);
    for (const one of table[section]) {
      if (SKIPPED.has(one.name)) {
        console.log(`skipped: conformance in Node: ${one.name}: ${SKIPPED.get(one.name)}`);
        continue;
      }
      for (const name of Object.keys(one)) assert.ok(members.includes(name), `${one.name}: ${name}`);
      for (const way of ways(one)) {
        // Nor does the event loop, which is to cancel it, go on while Python runs on this thread.
        if (blocks(way) && (ONLY_IN_THREAD.has(one.name) || (one.cancel_ms > 0 && one.error))) continue;
        await run(section, one, way);
      }
      count += 1;
    }
  });
}

test('the names of what is skipped are those of cases', () => {
  const names = [...Object.keys(SECTIONS), 'many'].flatMap((section) => table[section].map(({ name }) => name));
  for (const name of [...SKIPPED.keys(), ...ONLY_IN_THREAD]) assert.ok(names.includes(name), name);
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
        const interp = create({ integers: 'bigint' });
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
  console.log(`conformance: ${count} cases in Node${IN_PROCESSES ? ', in processes' : ''}`);
  subpy.shutdown();
});

/** With {python} replaced. */
function versioned(expected) {
  return JSON.parse(JSON.stringify(expected).replaceAll('{python}', subpy.pythonVersion()));
}
