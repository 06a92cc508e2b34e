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
//! | `shallow` | one of them, without what is in it |
//! | `asked` | what values are asked for, and why there may be none |
//! | `reading` | where a reader of values is |
//! | `memory` | the values of objects that are memory |
//! | `borrow` | values that are lent for a call |
//! | `stand_in` | what stands for an object that has no kind of its own |
//! | `tagged` | objects made of what stands for them |
//! | `classes` | the classes that these two need |
//! | `arrays` | rows of numbers |
//! | `keep` | what is in copies of values, and lies elsewhere |
//! | `hexadecimal` | numbers that do not fit 64 bits, as text |
//! | `refusals` | why an object has no value |

mod arrays;
mod asked;
mod borrow;
mod call;
mod classes;
mod from_python;
mod hexadecimal;
mod keep;
mod memory;
mod reading;
mod refusals;
mod shallow;
mod stand_in;
mod tagged;
mod to_python;

pub use asked::Asked;
pub use borrow::{borrow, copy};
pub use call::{call, call_method};
pub use classes::Classes;
pub use from_python::{append, from_any, from_python, from_python_as, int};
pub use keep::keep;
pub use to_python::to_python;

use super::object::{Py, Raised};

/// Raises what CPython raises for a name that is missing: used by those who look names up themselves.
pub fn no_attribute(py: Py, message: &str) -> Raised {
    py.raise(py.api.PyExc_AttributeError.get(), message)
}
