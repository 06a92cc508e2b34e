//! CPython in this process.

use std::path::Path;

use super::unless_forked;
use crate::manager::{self, CloseOptions, PythonSearch, Result, RuntimeOptions};

/// Starts CPython, to choose which one and how. Without it, the first use of an interpreter starts it with the
/// defaults.
///
/// A library that uses this crate never has to call it; an application may. It is fine when CPython runs already with
/// the same options.
///
/// # Errors
/// [`Kind::PythonNotFound`](crate::Kind::PythonNotFound), with a list of what was tried;
/// [`Kind::PythonUnsupported`](crate::Kind::PythonUnsupported) when the one that was asked for does not fit;
/// [`Kind::WrongState`](crate::Kind::WrongState) when it runs with other options;
/// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) for a path with a NUL.
///
/// ```no_run
/// # fn main() -> subpy::Result<()> {
/// subpy::init(&subpy::RuntimeOptions::new().python("/opt/app/venv"))?;
/// # Ok(())
/// # }
/// ```
pub fn init(options: &RuntimeOptions) -> Result<()> {
    options.check()?;
    unless_forked(|| manager::init(options))
}

/// Looks for the CPython that [`init`] would start with these options, and says what was tried. Loads and starts nothing;
/// runs the executables that it considers, as `init` does.
///
/// ```
/// let search = subpy::find_python(&subpy::RuntimeOptions::new());
/// for tried in &search.tried {
///     println!("{}: {}", tried.what, tried.reason);
/// }
/// match search.found {
///     Ok(found) => println!("{:?}, CPython {:?}", found.library, found.version),
///     Err(error) => println!("{error}"),
/// }
/// ```
pub fn find_python(options: &RuntimeOptions) -> PythonSearch {
    match options.check() {
        Ok(()) => manager::find_python(options),
        Err(error) => PythonSearch { tried: Vec::new(), found: Err(error) },
    }
}

/// Closes every interpreter and finalizes CPython. [`init`] works again afterwards.
///
/// Waits for the threads that Python code started, for ever when one never ends. All interpreters, functions and
/// threads of this crate are gone then; values and errors stay.
///
/// # Errors
/// [`Kind::Busy`](crate::Kind::Busy) while something runs: everything stays as it was.
pub fn shutdown() -> Result<()> {
    unless_forked(manager::shutdown)
}

/// As [`shutdown`], within a time: [`Interpreter::close_with`](crate::Interpreter::close_with) for all interpreters at the
/// same time, the main one included.
///
/// # Errors
/// [`Kind::Busy`](crate::Kind::Busy) when the time was over before nothing was left anywhere: the message names what is,
/// and everything stays as it was. [`Kind::Timeout`](crate::Kind::Timeout) when everything is ending, and has not ended
/// in time: call it again to wait on.
pub fn shutdown_with(options: CloseOptions) -> Result<()> {
    unless_forked(|| manager::shutdown_with(options))
}

/// The version of this crate, `"0.1.0"`.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The version of the CPython in use, `"3.14.6"`; None before its first start.
pub fn python_version() -> Option<&'static str> {
    manager::python_version().and_then(|text| text.to_str().ok())
}

/// The libpython in use, empty when a host program brought CPython inside itself; None before its first start.
pub fn python_library() -> Option<&'static Path> {
    manager::python_library().and_then(|text| text.to_str().ok()).map(Path::new)
}
