/// <reference types="node" />

/** Many isolated CPython interpreters in a Node process: Python's `concurrent.interpreters`. */

/** What goes into Python. A number that is whole and below 2^53 is an int, any other a float; a plain object a dict. */
export type Value =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float
  | Tagged
  | PythonObject
  | MemoryView
  | Queue
  | ReadonlySet<any>
  | readonly Value[]
  | ReadonlyMap<any, any>
  | { readonly [key: string]: Value };

/** What comes out of Python, when it is not known better. */
export type Result =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | Tagged
  | PythonObject
  | MemoryView
  | Queue
  | Set<Result>
  | Result[]
  | Map<Result, Result>
  | { [key: string]: Result };

/** Names and what they are bound to. */
export type Names = { readonly [name: string]: Value } | ReadonlyMap<string, Value>;

/** A Python tuple: an array of its own class, so that it comes back to Python as a tuple. */
export class Tuple<T = any> extends Array<T> {
  static of<T>(...items: T[]): Tuple<T>;
  static from<T>(items: Iterable<T> | ArrayLike<T>): Tuple<T>;
  static from<T, U>(items: Iterable<T> | ArrayLike<T>, map: (item: T, index: number) => U): Tuple<U>;
}

/** Goes to Python as a float though it is a whole number: `new Float(2)` is 2.0, 2 is 2. */
export class Float {
  constructor(value: number);
  readonly value: number;
  valueOf(): number;
}

/** What Python calls a {@link Tagged} value. */
export type Tag =
  | 'set' | 'frozenset' | 'complex' | 'date' | 'time' | 'datetime' | 'timedelta' | 'decimal' | 'uuid' | 'enum' | 'dataclass';

/**
 * A value of a Python type that JS has no equal of: the name of the type, and the value that stands for it, such as the
 * text of a date. As results there are such with `taggedValues`; a set is a Set.
 */
export class Tagged<T = any> {
  constructor(tag: Tag, value: T);
  readonly tag: Tag;
  readonly value: T;
  toString(): string;
}

/** What results become in JS. */
export interface ReadingOptions {
  /**
   * `"auto"`, the default: a number up to ±(2^53 - 1), a bigint beyond. `"number"`: a number, and a RangeError beyond.
   * `"bigint"`: always a bigint, which also tells ints from floats.
   */
  integers?: 'auto' | 'number' | 'bigint';
  /** `"map"`, the default, or `"object"`: plain objects, and a RangeError for a dict with a key that is no str. */
  dicts?: 'map' | 'object';
}

export interface InitOptions {
  /** Path of an executable, of a virtual environment's folder or of a libpython. */
  python?: string;
  /** Honour PYTHONPATH and the like. */
  useEnvironment?: boolean;
  /** Start without site-packages. */
  noSite?: boolean;
  /** Leave SIGPIPE as it is. */
  keepSigpipe?: boolean;
  /** Names of modules that are imported once for all interpreters with processes of their own. */
  preload?: string[];
  /** Path of the program that these processes begin with. Otherwise it is the one inside the library. */
  worker?: string;
}

/** Where what Python prints goes: a function of a text and its stream, a stream, or a stream for each. */
export type Output =
  | ((text: string, stream: 'stdout' | 'stderr') => void)
  | { write(text: string): unknown }
  | { stdout: { write(text: string): unknown }; stderr: { write(text: string): unknown } };

/** Limits of one run, and where its output goes. */
export interface RunOptions {
  /** Milliseconds after which it gets a KeyboardInterrupt, and is an {@link ExecutionTimeout}. */
  timeout?: number;
  /** Stops it: {@link ExecutionInterrupted} with the name `"AbortError"`, when the run has ended. */
  signal?: AbortSignal;
  /** Takes what it prints, instead of the interpreter's output. */
  output?: Output;
}

/** In which other form a result is wanted, or several. */
export interface ResultOptions {
  /**
   * `"object"`: a {@link PythonObject}, whatever it is. `"objects"`: what has no value is one, anywhere in the result.
   * `"buffers"`: what has memory that can be shared is a {@link MemoryView}. `"arrays"`: so are lists of floats alone and of
   * ints alone.
   */
  results?: ResultForm | readonly ResultForm[];
}

export type ResultForm = 'object' | 'objects' | 'buffers' | 'arrays';

export interface AsyncOptions {
  /**
   * An awaitable is awaited in Python, on the interpreter's event loop, and the result is what it comes to. In exec() and
   * eval() `await` may stand outside of functions.
   */
  async?: boolean;
}

export interface CallOptions extends RunOptions, ResultOptions, AsyncOptions {}

/** What becomes of what runs, and how long to wait for it. */
export interface CloseOptions {
  /** Milliseconds; without limit when it is not there. */
  timeout?: number;
  /** New runs are refused, and those that are there finish. */
  drain?: boolean;
  /** What runs is interrupted, Python's own threads too. */
  interrupt?: boolean;
}

export interface DefineOptions {
  /** What `inspect.signature()` shows: `"(a, b=0)"`. Arguments are not checked against it. */
  signature?: string;
  /** Its docstring. */
  doc?: string;
  /** Python gets a RuntimeError when it calls the function on any other thread than this one. */
  callerThreadOnly?: boolean;
}

/** What `this` is in a host function. */
export interface HostCall {
  /** The interpreter's. */
  readonly handle: number;
  /** Whether the run is to end: what takes long looks, and returns. Only for calls on this thread. */
  readonly cancelled: boolean;
}

/** A JS function that Python calls. Keyword arguments are its last argument, an instance of {@link Keywords}. */
export type HostFunction = (this: HostCall, ...args: any[]) => Value | void | PromiseLike<Value | void>;

export interface CreateOptions extends ReadingOptions {
  /** Its own GIL, the default, or that of the main interpreter. */
  gil?: 'own' | 'shared';
  /** What happens to a run while another one is going on; `"refuse"` is the default. */
  busy?: 'refuse' | 'wait' | 'share';
  /** Folders to put in front of sys.path. */
  path?: readonly string[];
  /**
   * The folder of a virtual environment, for the same minor version of Python: it has the packages of that one, and not
   * those of the process.
   */
  venv?: string;
  allowFork?: boolean;
  allowExec?: boolean;
  noThreads?: boolean;
  allowDaemonThreads?: boolean;
  noExtensionCheck?: boolean;
  /** Each write of stdout and stderr arrives at once, instead of what a run wrote at its end. */
  unbuffered?: boolean;
  /** `input()` is EOFError. */
  noStdin?: boolean;
  /** The time limit in milliseconds of every run that has none of its own. */
  timeout?: number;
  /** How many bytes of memory it may use: beyond that its code gets a MemoryError. */
  memoryLimit?: number;
  /** Its memory is counted, without a limit, too. */
  countMemory?: boolean;
  /** It is the main interpreter of a process of its own, whose end is an {@link InterpreterCrashed}. What follows needs it. */
  process?: boolean;
  /** How many milliseconds after the exception that is to end a run its process is killed: 100. */
  grace?: number;
  /** How many milliseconds of processors its process may use in all. */
  cpuLimit?: number;
  /** Its process is locked down, but for these folders, which it may read, or read and write: absolute paths. */
  locked?: boolean;
  /** With what an older Linux has for that, which {@link Interpreter.lockInfo} says. Otherwise that is an error. */
  lockBestEffort?: boolean;
  readable?: string[];
  writable?: string[];
  /** Sets are Sets; dates, decimals and others are {@link Tagged} values. Otherwise they are NotShareableErrors. */
  taggedValues?: boolean;
}

/** How much memory an interpreter uses, in bytes. */
export interface MemoryInfo {
  used: number;
  /** The most that it has used. */
  peak: number;
  /** 0: none */
  limit: number;
  /** How often the limit was hit. */
  refused: number;
}

/** What holds an interpreter that is locked. */
export interface LockInfo {
  /** The version of Landlock that keeps it from files; 0: none does. 6 is all that is asked for. */
  landlock: number;
  /** Its system calls are filtered. */
  seccomp: boolean;
}

/** Positional arguments of many calls. */
export type Rows = readonly (readonly Value[])[];

export interface CallManyOptions {
  /** Go on after a row that fails, with its error among the results. Not after SystemExit and KeyboardInterrupt. */
  returnErrors?: boolean;
}

export interface EvalOptions extends CallOptions {
  /** The file name in tracebacks. */
  filename?: string;
}

export interface ExecOptions extends RunOptions, AsyncOptions {
  /** The file name in tracebacks. */
  filename?: string;
  /** Do not take off the indentation that all lines share. */
  keepIndent?: boolean;
}

/**
 * An interpreter. The object is a reference: it closes nothing when it is garbage.
 *
 * The methods that end with InThread run on a thread of the pool; the others block this thread until Python is done.
 */
export class Interpreter {
  /** @param handle  of another Interpreter, perhaps in another worker */
  constructor(handle: number, options?: ReadingOptions);
  /** The library's number for it, the same in all workers of the process. */
  readonly handle: number;
  /** The id that CPython gave it: 0 for the main interpreter. */
  readonly id: number;
  /** Where it came from, in CPython's words: `"C-API"` for one that create() made. */
  readonly whence: string;
  /** Whether something is being run in it by this library. */
  isRunning(): boolean;
  /** Runs statements in its `__main__`. */
  exec(code: string, options?: ExecOptions): void;
  /** The value of an expression. */
  eval<T = any>(expression: string, options?: EvalOptions): T;
  /** Calls `"name"` in `__main__`, or `"package.module:attribute"`. */
  call<T = any>(callable: string, args?: readonly Value[], kwargs?: Names | null, options?: CallOptions): T;
  execInThread(code: string, options?: ExecOptions): Promise<void>;
  evalInThread<T = any>(expression: string, options?: EvalOptions): Promise<T>;
  callInThread<T = any>(callable: string, args?: readonly Value[], kwargs?: Names | null, options?: CallOptions): Promise<T>;
  /** Looks a callable up, to call it many times. */
  function<T = any>(callable: string): PreparedFunction<T>;
  /** Binds names in its `__main__`. */
  prepareMain(names: Names): void;
  /** Makes a JS function callable from Python: `"name"` in `__main__`, or `"module:name"`. */
  define(name: string, fn: HostFunction, options?: DefineOptions): void;
  /** Where everything goes that it prints; null for the process's stdout and stderr again. */
  setOutput(output: Output | null): void;
  /** How much memory it uses, when it counts that. */
  memory(): MemoryInfo;
  /** What holds it, when it is locked. */
  lockInfo(): LockInfo;
  /** A KeyboardInterrupt for whatever runs in it now. */
  interrupt(): void;
  /** Ends it. Waits for the threads that Python code started in it, and runs its atexit handlers. */
  close(): void;
  /** close() that waits for what runs, or ends it. When it fails, the interpreter is intact. */
  closeWith(options?: CloseOptions): void;
  closeInThread(options?: CloseOptions): Promise<void>;
  /** close(), or nothing when it is closed. */
  [Symbol.dispose](): void;
}

/**
 * An object that stays in Python. Made by runs with the option `results`. As an argument it is the object itself, in its own
 * interpreter.
 *
 * The methods that end with InThread run on a thread of the pool; the others block this thread until Python is done.
 */
export class PythonObject<T = any> implements Iterable<any>, AsyncIterable<any> {
  protected constructor();
  /** The handle of its interpreter. */
  readonly interp: number;
  /** Reads an attribute. */
  attr<U = any>(name: string, options?: ResultOptions): U;
  attrInThread<U = any>(name: string, options?: ResultOptions): Promise<U>;
  /** Reads an item: Python's `object[key]`. */
  item<U = any>(key: Value, options?: ResultOptions): U;
  itemInThread<U = any>(key: Value, options?: ResultOptions): Promise<U>;
  call(args?: readonly Value[], kwargs?: Names | null, options?: CallOptions): T;
  callInThread(args?: readonly Value[], kwargs?: Names | null, options?: CallOptions): Promise<T>;
  callMethod<U = any>(name: string, args?: readonly Value[], kwargs?: Names | null, options?: CallOptions): U;
  callMethodInThread<U = any>(
    name: string, args?: readonly Value[], kwargs?: Names | null, options?: CallOptions,
  ): Promise<U>;
  /**
   * Calls it with one row of arguments after the other; all have the same number of them. This takes a fraction of the
   * time of as many calls. The first error ends it, and is thrown: there are no results then.
   */
  callMany(rows: Rows, options?: { returnErrors?: false }): T[];
  /** The same, but goes on after a row that fails, with its error among the results. */
  callMany(rows: Rows, options: CallManyOptions): (T | InterpreterError | RangeError)[];
  callManyInThread(rows: Rows, options?: { returnErrors?: false }): Promise<T[]>;
  callManyInThread(rows: Rows, options: CallManyOptions): Promise<(T | InterpreterError | RangeError)[]>;
  /** Its value, as runs have it. */
  value<U = any>(options?: ResultOptions & AsyncOptions): U;
  valueInThread<U = any>(options?: ResultOptions & AsyncOptions): Promise<U>;
  /** Python's str() of it. */
  text(): string;
  textInThread(): Promise<string>;
  /** text() */
  toString(): string;
  /** Goes through what it has, as Python's `for` does. */
  iterate<U = any>(options?: ResultOptions): Generator<U, void, undefined>;
  iterateInThread<U = any>(options?: ResultOptions): AsyncGenerator<U, void, undefined>;
  [Symbol.iterator](): Generator<any, void, undefined>;
  [Symbol.asyncIterator](): AsyncGenerator<any, void, undefined>;
  /** Gives it back, when the calls that were started are done. What is garbage is given back as well. */
  free(): void;
  [Symbol.dispose](): void;
}

/** A callable that was looked up once. Made by {@link Interpreter.function}. */
export class PreparedFunction<T = any> extends PythonObject<T> {
  private constructor();
}

/** What memory that is passed to Python is. */
export interface MemoryOptions {
  /** What the elements are, in the letters of Python's struct module; that of the typed array, `"B"` for bytes. */
  format?: string;
  /** The size of an element in bytes, for formats of more than a letter. */
  itemsize?: number;
  /** How many elements there are in each dimension; one dimension if not said. */
  shape?: readonly number[];
  /** How many bytes there are from one element to the next in each dimension; C contiguous if not said. */
  strides?: readonly number[] | null;
  /** Python may write to it. */
  writable?: boolean;
  /** It is there for one call: Python's views end with it, and it is SUBPY_ERROR_BUSY if some are in use. */
  lent?: boolean;
  /** Called each time that Python has let go of it after it was passed. */
  onRelease?: () => void;
}

/**
 * Memory that Python and JS share: of JS, which Python sees as a memoryview when it is an argument, or Python's, in a result
 * that was asked for with `results: "buffers"` or `"arrays"`.
 */
export class MemoryView {
  /** Memory of JS. Not in workers, whose memory ends with them: see allocate(). */
  constructor(source: ArrayBuffer | SharedArrayBuffer | NodeJS.ArrayBufferView, options?: MemoryOptions);
  /**
   * So many bytes outside of JS, all zero, that can be shared in any thread; with `shared` interpreters in processes see
   * them without a copy, too.
   */
  static allocate(length: number, options?: MemoryOptions & { shared?: boolean }): MemoryView;
  readonly format: string;
  readonly itemsize: number;
  readonly shape: number[];
  readonly strides: number[] | null;
  /** Whether Python may not write to it; if it is Python's, JS must not. */
  readonly readonly: boolean;
  /** How many bytes there are. */
  readonly nbytes: number;
  /** All of the memory. */
  readonly bytes: Buffer;
  /** The memory as an array of what the format says; null when JS has none. */
  readonly array:
    | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array
    | Float32Array | Float64Array | null;
  /** Gives memory that is Python's, or that of allocate(), back: what reads it here finds nothing any more. */
  free(): void;
  [Symbol.dispose](): void;
}

export interface QueueOptions extends ReadingOptions {
  /** How many items have room; any number if not said. */
  capacity?: number;
}

/** How long to wait for a queue. */
export interface WaitOptions {
  /** Milliseconds; without limit if not said. */
  timeout?: number;
  /** Ends the wait, with an error whose name is `"AbortError"`. */
  signal?: AbortSignal;
}

/**
 * A queue between JS and interpreters. In Python it is a Queue of the module `subpy_queues`, with the methods of
 * `concurrent.interpreters.Queue`.
 */
export class Queue<T = any> implements AsyncIterable<T> {
  constructor(options?: QueueOptions);
  /** The queue with the handle of a Queue in another worker. */
  static from<T = any>(handle: number, options?: ReadingOptions): Queue<T>;
  /** The library's number for it, the same in all workers of the process. */
  readonly handle: number;
  /** How many items are in it. */
  readonly size: number;
  /** Puts a copy of a value in, when there is room. QueueFull when there is none in time, QueueClosed when it is closed. */
  put(value: Value, options?: WaitOptions): Promise<void>;
  /** The same without waiting. */
  putNowait(value: Value): void;
  /** Takes the first item out. QueueEmpty when there is none in time, QueueClosed when it is closed and empty. */
  get(options?: WaitOptions): Promise<T>;
  /** The same without waiting. */
  getNowait(): T;
  /** Nothing goes in any more, and what is in can be taken out. Who waits is woken. */
  close(): void;
  /** All items, until it is closed and empty. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined>;
  /** Gives the handle up. What is garbage is given up as well. */
  free(): void;
  [Symbol.dispose](): void;
}

export interface PoolOptions extends CreateOptions {
  /** How many interpreters run tasks at the same time; one a core if not said. */
  workers?: number;
  /** Statements that run once in each of them. */
  setup?: string;
  /** JS functions that are defined in each, by their names. */
  functions?: { readonly [name: string]: HostFunction | readonly [HostFunction, Omit<DefineOptions, 'callerThreadOnly'>] };
  /** Where what they print goes. */
  output?: Output;
  /** How many tasks may wait: more are SUBPY_ERROR_BUSY. Any number if not said. */
  backlog?: number;
  /** How many interpreters are ready to take the place of one that is replaced; 1 if not said. */
  spares?: number;
  /** After how many runs an interpreter is replaced; never if not said. */
  runsPerWorker?: number;
  /**
   * Where they live: in this process, the default; each in a process of its own; or in this one until an extension module
   * refuses that. A task that ended with that ImportError begins anew: what it did before, it does twice.
   */
  isolation?: 'ownGil' | 'process' | 'auto';
}

export interface TaskOptions {
  /** Who submits the task: those that have tasks waiting take turns. */
  submitter?: number;
  /** The promise is settled when the task was stopped, even if it does not end. */
  abandon?: boolean;
}

export interface MapOptions extends CallOptions, TaskOptions {
  /** Keyword arguments of all rows. */
  kwargs?: Names | null;
  /** Go on after a row that fails, with its error among the results. */
  returnErrors?: boolean;
  /** How many rows make a task, 1 if not said: more cost less. All rows have the same number of arguments then. */
  chunk?: number;
  /** How many rows may wait or run, or have results that nobody has taken; four tasks a worker if not said. */
  ahead?: number;
}

/** What a pool has done, and has to do. Times are milliseconds, of all tasks so far. */
export interface PoolStats {
  workers: number;
  spares: number;
  queued: number;
  running: number;
  submitted: number;
  done: number;
  failed: number;
  cancelled: number;
  replaced: number;
  waitP50: number;
  waitP90: number;
  waitP99: number;
  runP50: number;
  runP90: number;
  runP99: number;
  /** Interpreters that were replaced and cannot be closed. */
  left: number;
  /** Interpreters whose process has crashed, or was killed because a run did not end in time. */
  crashed: number;
  /** Where they live now. */
  isolation: 'ownGil' | 'process';
  /** With isolation "auto", why they have processes; empty before. */
  reason: string;
}

/** A number of interpreters with a thread each, which run tasks. Made by {@link createPool}. */
export class InterpreterPool {
  private constructor();
  exec(code: string, options?: ExecOptions & TaskOptions): Promise<void>;
  eval<T = any>(expression: string, options?: EvalOptions & TaskOptions): Promise<T>;
  call<T = any>(
    callable: string, args?: readonly Value[], kwargs?: Names | null, options?: CallOptions & TaskOptions,
  ): Promise<T>;
  /**
   * Calls something with one row of arguments after the other, and goes through the results in the order of the rows. The
   * first error ends it. When the loop ends early, what is left is cancelled.
   */
  map<T = any>(
    callable: string, rows: Iterable<readonly Value[]> | AsyncIterable<readonly Value[]>,
    options?: MapOptions & { returnErrors?: false },
  ): AsyncGenerator<T, void, undefined>;
  /** The same, but goes on after a row that fails, with its error among the results. */
  map<T = any>(
    callable: string, rows: Iterable<readonly Value[]> | AsyncIterable<readonly Value[]>, options: MapOptions,
  ): AsyncGenerator<T | InterpreterError | RangeError, void, undefined>;
  stats(): PoolStats;
  /** Ends it when its tasks are done, or interrupts them. When it fails, the pool goes on. */
  close(options?: CloseOptions): Promise<void>;
  /** close(), or nothing when it is closed. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The keyword arguments of a host function. */
export class Keywords {
  readonly [name: string]: any;
}

/** There was nothing in a queue, or not in time. */
export class QueueEmpty extends InterpreterError {
  private constructor();
}

/** There was no room in a queue, or not in time. */
export class QueueFull extends InterpreterError {
  private constructor();
}

/** A queue is closed: nothing goes in, and nothing is in it to be taken out. */
export class QueueClosed extends InterpreterError {
  private constructor();
}

/** Thrown by a host function: Python gets an exception of the type that it names. */
export class PythonError extends Error {
  /** @param type  a builtin one such as `"ValueError"`, or `"package.module:Type"` */
  constructor(type: string, message?: string, options?: ErrorOptions);
  readonly type: string;
}

/** What is known of a Python exception. */
export interface ExceptionInfo {
  type: { name: string; qualname: string; module: string };
  /** str(exception) */
  msg: string;
  /** module.Type: message */
  formatted: string;
  /** The traceback. */
  errdisplay: string;
}

/** One frame of a traceback. */
export interface Frame {
  file: string | null;
  function: string | null;
  /** From 1, 0 when unknown. */
  line: number;
  /** Where the expression was that was being evaluated: lines and columns in characters from 1, 0 when unknown. */
  column: number;
  endLine: number;
  endColumn: number;
  /** The line itself. */
  source: string | null;
}

/** Anything that the library refuses or fails at. */
export class InterpreterError extends Error {
  protected constructor();
  /** The status by its name: `"SUBPY_ERROR_BUSY"`. */
  readonly code: string;
  /** The same as a number. */
  readonly status: number;
  /** The interpreter that it is about, 0 when none. */
  readonly handle: number;
  /** Which row of callMany() or map() it is from; null for any other error. */
  readonly row: number | null;
}

/** No such interpreter: it was closed, or never there. */
export class InterpreterNotFoundError extends InterpreterError {
  private constructor();
}

/** The process of the interpreter has ended, and the interpreter with it. */
export class InterpreterCrashed extends InterpreterError {
  private constructor();
  /** The number of the signal that has killed it; null when none has. */
  readonly signal: number | null;
  /** What it has ended with by itself; null when a signal has killed it. Both are null when it is not known how it ended. */
  readonly exitCode: number | null;
  /** Where its threads were, as faulthandler has it; the message if that wrote nothing. */
  readonly traceback: string;
}

/** A Python object that no JS value is made for; the message names the path to it. */
export class NotShareableError extends InterpreterError {
  private constructor();
}

/** Python code ended with an exception that nobody caught. Its `cause` is what a host function threw, if it is that. */
export class ExecutionFailed extends InterpreterError {
  protected constructor();
  readonly excinfo: ExceptionInfo;
  /** The traceback, the outermost frame first. */
  readonly frames: Frame[];
  /** What SystemExit asked for; null for any other exception. */
  readonly exitStatus: number | null;
}

/** The code ran longer than it was allowed to. When none ran yet, the members of its `excinfo` are null. */
export class ExecutionTimeout extends ExecutionFailed {
  private constructor();
}

/** The code was stopped: by a signal, whose reason is the `cause`, by interrupt() or by a close. As above. */
export class ExecutionInterrupted extends ExecutionFailed {
  private constructor();
}

/** The source does not compile; nothing ran. */
export class PythonSyntaxError extends InterpreterError {
  private constructor();
  readonly excinfo: ExceptionInfo;
  /** From 1, 0 when unknown. */
  readonly line: number;
  /** In characters from 1, 0 when unknown. */
  readonly column: number;
  readonly text: string | null;
}

/** The threads that calls with a promise run on. */
export interface Pool {
  /** How many calls run at the same time: threads are started up to this number, when they are needed. */
  size: number;
  /** How many threads there are. */
  readonly threads: number;
}

export const pool: Pool;

/** Starts CPython, or makes sure that it runs. Needed only to choose which one, and how. */
export function init(options?: InitOptions): void;

/** Closes all interpreters and finalizes CPython. Await all promises first, or interrupt what runs. */
export function shutdown(options?: CloseOptions): void;

/** Creates an interpreter. */
export function create(options?: CreateOptions): Interpreter;

/** Makes a pool of interpreters, and waits until they are ready. */
export function createPool(options?: PoolOptions): Promise<InterpreterPool>;

/** All interpreters by ascending id: main, yours, and those that Python code created. */
export function listAll(options?: ReadingOptions): Interpreter[];

/** The interpreter that this thread is in. A Node thread is in none: InterpreterNotFoundError. */
export function getCurrent(options?: ReadingOptions): Interpreter;

/** The main interpreter. */
export function getMain(options?: ReadingOptions): Interpreter;

/** The interpreter with this id. */
export function find(id: number, options?: ReadingOptions): Interpreter;

/** The version of the library. */
export function version(): string;

/** The version of the CPython in use; null before the first start. */
export function pythonVersion(): string | null;

/** The path of the libpython in use; null before the first start. */
export function pythonLibrary(): string | null;
