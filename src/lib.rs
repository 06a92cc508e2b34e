//! subpy: many isolated CPython interpreters in one process, each with its own GIL, driven through one C ABI.
//!
//! It is `concurrent.interpreters` (Python 3.14) for hosts that are not Python. Dependencies point one way:
//!
//! ```text
//! ffi      the C surface, a file a noun: checks pointers, calls the manager, translates the outcome
//!  |
//! manager  which interpreters there are, who may be in them, when they end; safe Rust
//!  |
//! python   the only part that touches CPython: find, load, start, enter, convert
//! ```
//!
//! `unsafe` is found in `ffi` and `python` alone. `include/subpy.h` is generated from `ffi` by build.rs.
//! docs/architecture.md says why things are as they are.

mod ffi;
mod manager;
mod python;

pub use ffi::*;
pub use manager::{Busy, Error, Kind, Options, Result, RuntimeOptions};
