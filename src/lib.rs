//! Many isolated CPython interpreters in one program, each with its own GIL or in a process of its own: Python's
//! `concurrent.interpreters` (Python 3.14, PEP 734) for programs that are not Python.
//!
//! ```
//! # fn main() -> subpy::Result<()> {
//! use subpy::{Interpreter, Kind};
//!
//! let interp = Interpreter::create()?;
//! interp.exec(
//!     "import collections
//! def count(text):
//!     return dict(collections.Counter(text.split()))",
//! )?;
//! let words: std::collections::HashMap<String, u32> = interp.call("count", ("to be or not to be",))?;
//! assert_eq!(words["be"], 2);
//!
//! // An exception is an error with its traceback.
//! let error = interp.call::<()>("count", (42,)).unwrap_err();
//! let Kind::ExecutionFailed(exception) = &error.kind else { panic!("{error}") };
//! assert_eq!(exception.formatted, "AttributeError: 'int' object has no attribute 'split'");
//! assert_eq!(exception.frames.last().map(|frame| frame.line), Some(3));
//! interp.close()
//! # }
//! ```
//!
//! Any thread may run code in any interpreter, and interpreters run Python at the same time:
//!
//! ```
//! # fn main() -> subpy::Result<()> {
//! let interps = [subpy::Interpreter::create()?, subpy::Interpreter::create()?];
//! let sums = std::thread::scope(|scope| {
//!     let threads = interps.each_ref().map(|interp| scope.spawn(|| interp.eval::<i64>("sum(range(1000))")));
//!     threads.map(|thread| thread.join().expect("no panic"))
//! });
//! for sum in sums {
//!     assert_eq!(sum?, 499_500);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Nothing is linked to Python, and none is needed to build. When the first interpreter is created, a CPython 3.14.1 or
//! newer with a shared libpython is looked for (see [`RuntimeOptions::python`]) and loaded. Values are copies
//! ([`Value`]); a [`Buffer`] and an [`Object`] are not. An extension module has to support a GIL of its own (PEP 684); others work in the main interpreter
//! ([`get_main`]), one at a time.
//!
//! # Features
//!
//! - `capi` (default): the C interface, its symbols and its header. A Rust program does without it.
//! - `reserve` (default): a global allocator for programs that are not Rust, with which the lack of memory is an error.
//!   A Rust program has one of its own, or aborts then as Rust does.
//! - `serde`: what serde can take apart and put together is an argument and a result, in the wrapper `Serde`.
//!
//! # Inside
//!
//! The same library has a C ABI (`include/subpy.h`). Dependencies point one way:
//!
//! ```text
//! rust     this crate's public API, a file for each noun
//! ffi      the C surface, a file for each noun: checks pointers, calls the manager, translates the outcome
//! worker   what a process for interpreters does
//!  |
//! manager  which interpreters there are, who may be in them, when they end; safe Rust
//!  |
//! python   the only part that touches CPython: find, load, start, enter, convert
//! process  processes for interpreters: start them, notice their ends
//!  |
//! value    the ABI's value: its layout, its checks, its one block of memory; used by all
//!  |
//! platform what differs from one system to the next; used by all
//! ```
//!
//! `unsafe` is found in `ffi`, `platform`, `process`, `python` and `value` alone. `include/subpy.h` is generated from `ffi` by
//! tools/header. docs/architecture.md says why things are as they are.

// Processes for interpreters are Linux's; what they alone use is used nowhere else.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

// Public so that a Rust program can hand what it has to its C parts; the documented way to it is include/subpy.h.
// Its comments become the header's, so they are not written for rustdoc.
#[cfg(feature = "capi")]
#[doc(hidden)]
#[allow(rustdoc::invalid_html_tags)]
pub mod ffi;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[forbid(unsafe_code)]
mod manager;
mod platform;
// The manager is to use what hosts need of it.
#[cfg_attr(not(test), allow(dead_code))]
mod process;
mod python;
#[forbid(unsafe_code)]
mod rust;
mod value;
#[cfg(target_os = "linux")]
#[forbid(unsafe_code)]
mod worker;

#[cfg(all(feature = "reserve", unix))]
#[global_allocator]
static RESERVE: value::Reserve = value::Reserve;

// A program that this crate is a part of begins its interpreters' processes, and this is where they part from it: before
// anything of its own runs. Other C libraries do not give these functions the arguments of main().
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[used]
#[unsafe(link_section = ".init_array.00100")]
static BEFORE_MAIN: process::executable::BeforeMain = process::executable::before_main::<worker::Process>;

pub use manager::{
    Busy, CloseOptions, Config, Crash, Error, Exception, FoundPython, Frame, Isolation, Kind, LockInfo, Memory,
    Options, PoolStats, ProcessOptions, PythonSearch, Result, RuntimeOptions, Startup, Stopped, Syntax, TriedPython,
};
pub use rust::{
    Arg, Args, Array, Awaited, Buffer, Buffers, Cancel, DefineOptions, Element, FromValue, Function, HostCall, HostFn,
    Interpreter, Limited, Limits, ListItem, Object, ObjectIter, Objects, Outcome, Pool, PoolMap, PoolOptions, Queue,
    Raise, Session, Stream, Tag, TaskOptions, Tasks, Thread, Value, WrongType, find, find_python, get_current,
    get_main, init, list_all, python_library, python_version, shutdown, shutdown_with, version,
};
#[cfg(feature = "serde")]
pub use rust::{Serde, from_value, to_value};
