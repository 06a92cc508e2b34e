//! Values between C and Python: exact, iterative (no recursion: host threads can have small stacks), one block a
//! result.
//!
//! From Python only exact types are taken: a subclass would lose its type or its overrides. Reading them runs no Python
//! code and never releases the GIL, so borrowed references stay valid while a value is read.
//!
//! | file | what |
//! |---|---|
//! | `to_python` | values to Python objects |
//! | `call` | calling something with values |
//! | `from_python` | Python objects to values |
//! | `memory` | the values of objects that are memory |
//! | `borrow` | values that are lent for a call |
//! | `hexadecimal` | numbers that do not fit 64 bits, as text |
//! | `refusals` | why an object has no value |

mod borrow;
mod call;
mod from_python;
mod hexadecimal;
mod memory;
mod refusals;
mod to_python;

pub use borrow::{borrow, copy};
pub use call::call;
pub use from_python::{Asked, append, from_python, int};
pub use to_python::to_python;

use super::object::{Py, Raised};

/// Raises what CPython raises for a name that is missing: used by those who look names up themselves.
pub fn no_attribute(py: Py, message: &str) -> Raised {
    py.raise(py.api.PyExc_AttributeError.get(), message)
}
