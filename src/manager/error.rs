//! What can go wrong, and the one place where it becomes a status code.

use std::fmt;

use crate::process::child::Death;
use crate::process::message::Failed;
use crate::python::Failure;
use crate::python::exception::{Exception, Frame};
use crate::python::find::LocateError;
use crate::python::interrupt::Reason;
use crate::python::start::StartError;
use crate::value::NotCopied;

/// What went wrong.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// The caller passed something that makes no sense.
    #[error("{0}")]
    InvalidArgument(String),
    /// InterpreterNotFoundError, or a handle of another kind that is not (or no longer) known.
    #[error("{0}")]
    NotFound(String),
    /// Already running, or running when it was to be closed.
    #[error("{0}")]
    Busy(String),
    /// ExecutionFailed: an uncaught exception.
    #[error("{}", OneLine(.0))]
    ExecutionFailed(Box<Exception>),
    /// NotShareableError: a Python object that has no value.
    #[error("{0}")]
    NotShareable(String),
    /// Nothing ran: an object of another interpreter was passed.
    #[error("{0}")]
    Elsewhere(String),
    /// A value is not of the Rust type that was asked for. The C ABI has no such error.
    #[error("{0}")]
    WrongType(String),
    /// Any other InterpreterError.
    #[error("{0}")]
    Interpreter(String),
    /// The source does not compile; nothing ran.
    #[error("{}", OneLine(.0))]
    Syntax(Box<Exception>),
    /// No CPython that fits.
    #[error("{0}")]
    PythonNotFound(String),
    /// A CPython that was asked for, or is loaded already, does not fit.
    #[error("{0}")]
    PythonUnsupported(String),
    /// The time was up: a run's, or that of waiting for one.
    #[error("{0}")]
    Timeout(Stopped),
    /// It was cancelled or interrupted.
    #[error("{0}")]
    Interrupted(Stopped),
    /// Out of memory.
    #[error("out of memory")]
    NoMemory,
    /// This process was forked from one in which CPython runs.
    #[error(
        "this process was forked from one that runs Python, so it cannot use Python; \
         start a new program (exec, posix_spawn) instead, or fork before the first use of subpy"
    )]
    Forked,
    /// Not now: the library is in another state.
    #[error("{0}")]
    WrongState(String),
    /// The process of an interpreter has ended, and the interpreter with it.
    #[error("{0}")]
    Crashed(Box<Crash>),
    /// A bug in subpy.
    #[error("internal error in subpy, please report it: {0}")]
    Panic(String),
}

/// How something ended before it was done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Stopped {
    /// What happened, without the exception.
    pub message: String,
    /// Where Python was; None when nothing ran.
    pub exception: Option<Box<Exception>>,
}

impl Stopped {
    fn by(message: &str, exception: Box<Exception>) -> Stopped {
        Stopped { message: message.into(), exception: Some(exception) }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(exception) = &self.exception else { return Ok(()) };
        match exception.message.is_empty() {
            true => write!(f, ": {}", exception.type_qualname)?,
            false => write!(f, ": {}", OneLine(exception))?,
        }
        match exception.frames.last() {
            Some(Frame { file, line, function, .. }) => write!(f, ", at {file}:{line} in {function}"),
            None => Ok(()),
        }
    }
}

/// How a process for an interpreter has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crash {
    /// What happened, in one line.
    pub message: String,
    /// The signal that has killed it.
    pub signal: Option<i32>,
    /// What it has ended with by itself. Without a signal and an exit code, how it has ended is not known.
    pub exit_code: Option<i32>,
    /// Where its threads were, as `faulthandler` says it; empty when that has not seen the end.
    pub traceback: String,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The type, the first line of the text that is not blank, and what the library has to say of it.
struct OneLine<'a>(&'a Exception);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Exception { formatted, message, hint, .. } = self.0;
        let first = formatted.lines().next().unwrap_or_default();
        // `formatted` is a prefix and the message.
        let text_begins = formatted.len() - message.len().min(formatted.len());
        match message.lines().find(|line| !line.trim().is_empty()) {
            Some(line) if message.lines().next().is_some_and(|first| first.trim().is_empty()) => {
                write!(f, "{}{}", formatted.get(..text_begins).unwrap_or_default(), line.trim())?;
            }
            _ => f.write_str(first)?,
        }
        f.write_str(hint.as_deref().unwrap_or_default())
    }
}

/// An error, and the interpreter that it is about (its handle, 0 when none).
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{kind}", InRow(*row))]
#[non_exhaustive]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// The handle of the interpreter ([`Interpreter::from_handle`](crate::Interpreter::from_handle)), or 0.
    pub interp: u64,
    row: Option<usize>,
}

/// Which of many calls it was.
struct InRow(Option<usize>);

impl fmt::Display for InRow {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.map_or(Ok(()), |row| write!(f, "row {row}: "))
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a run ended. One register on the way through the layers: an `Error` is many times as large, and moving it costs
/// more than it looks (a store and a wider load of the same memory do not overlap).
pub type Ran = Result<(), Box<Error>>;

impl Error {
    /// The status code of the C ABI.
    pub fn status(&self) -> i32 {
        match self.kind {
            Kind::InvalidArgument(_) | Kind::WrongType(_) => -1,
            Kind::NotFound(_) => -2,
            Kind::Busy(_) => -3,
            Kind::ExecutionFailed(_) => -4,
            Kind::NotShareable(_) | Kind::Elsewhere(_) => -5,
            Kind::Interpreter(_) => -6,
            Kind::Syntax(_) => -7,
            Kind::PythonNotFound(_) => -8,
            Kind::PythonUnsupported(_) => -9,
            Kind::Timeout(_) => -10,
            Kind::Interrupted(_) => -11,
            Kind::NoMemory => -12,
            Kind::Forked => -13,
            Kind::WrongState(_) => -14,
            Kind::Panic(_) => -15,
            Kind::Crashed(_) => -16,
        }
    }

    /// The Python exception behind it.
    pub fn exception(&self) -> Option<&Exception> {
        match &self.kind {
            Kind::ExecutionFailed(exception) | Kind::Syntax(exception) => Some(exception),
            Kind::Timeout(stopped) | Kind::Interrupted(stopped) => stopped.exception.as_deref(),
            _ => None,
        }
    }

    /// The row of many calls ([`Function::call_many`](crate::Function::call_many)) that it is of, from 0.
    pub fn row(&self) -> Option<usize> {
        self.row
    }

    /// The same error, about this interpreter.
    pub(crate) fn of(mut self, interp: u64) -> Error {
        self.interp = interp;
        self
    }

    /// The same error, of this row of many calls.
    pub(crate) fn in_row(mut self, row: usize) -> Error {
        self.row = Some(row);
        self
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Error {
        Error { kind, interp: 0, row: None }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::from(match failure {
            Failure::Exception(exception) => Kind::ExecutionFailed(exception),
            Failure::Syntax(exception) => Kind::Syntax(exception),
            Failure::Stopped(Reason::Timeout, exception) => Kind::Timeout(Stopped::by("timed out", exception)),
            Failure::Stopped(Reason::Interrupted, exception) => {
                Kind::Interrupted(Stopped::by("interrupted", exception))
            }
            Failure::NotShareable(message) => Kind::NotShareable(message),
            Failure::Elsewhere(message) => Kind::Elsewhere(message),
            Failure::NotFound(message) => Kind::NotFound(message),
            Failure::Lent(views) => Kind::Busy(format!(
                "{views} views of what was lent for the call are still in use; they stay good, and `release` comes when \
                 they are gone"
            )),
            Failure::NotCreated(message) => Kind::Interpreter(message),
            Failure::Traced => Kind::WrongState(
                "tracemalloc runs in the main interpreter, and cannot when there are others: call tracemalloc.stop() there \
                 before one is created, or create it with SUBPY_INTERP_PROCESS"
                    .into(),
            ),
            Failure::Freed(what) => Kind::NotFound(format!("the {what} was freed")),
            Failure::Running => Kind::Busy("interpreter already running".into()),
            Failure::NoMemory => Kind::NoMemory,
            Failure::InRow(row, failure) => return Error::from(*failure).in_row(row),
        })
    }
}

impl From<NotCopied> for Error {
    fn from(why: NotCopied) -> Error {
        Error::from(match why {
            NotCopied::NoMemory => Kind::NoMemory,
            NotCopied::NotFound(handle, what) => {
                Kind::NotFound(format!("{handle} is not the handle of {what}, or it was freed"))
            }
            NotCopied::NotShareable(why) => Kind::NotShareable(why),
        })
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Error {
        Error::from(match error {
            StartError::Unsupported(message) => Kind::PythonUnsupported(message),
            StartError::WrongState(message) => Kind::WrongState(message),
            StartError::Failed(message) => Kind::Interpreter(message),
        })
    }
}

impl From<LocateError> for Error {
    fn from(error: LocateError) -> Error {
        let message = error.to_string();
        Error::from(match error {
            LocateError::NotFound { .. } => Kind::PythonNotFound(message),
            LocateError::Unsupported { .. } => Kind::PythonUnsupported(message),
            LocateError::CouldNotLook { .. } => Kind::Interpreter(message),
        })
    }
}

impl From<&Death> for Error {
    fn from(death: &Death) -> Error {
        let Death { signal, exit_code, traceback } = death;
        Error::from(Kind::Crashed(Box::new(Crash {
            message: death.to_string(),
            signal: *signal,
            exit_code: *exit_code,
            traceback: traceback.clone(),
        })))
    }
}

/// For another process; the interpreter has another handle there.
impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        let stopped = |stopped: Stopped| (stopped.message, stopped.exception);
        let (kind, (message, exception)) = match error.kind {
            Kind::InvalidArgument(message) => (1, (message, None)),
            Kind::NotFound(message) => (2, (message, None)),
            Kind::Busy(message) => (3, (message, None)),
            Kind::ExecutionFailed(exception) => (4, (String::new(), Some(exception))),
            Kind::NotShareable(message) => (5, (message, None)),
            Kind::Elsewhere(message) => (6, (message, None)),
            Kind::WrongType(message) => (7, (message, None)),
            Kind::Interpreter(message) => (8, (message, None)),
            Kind::Syntax(exception) => (9, (String::new(), Some(exception))),
            Kind::PythonNotFound(message) => (10, (message, None)),
            Kind::PythonUnsupported(message) => (11, (message, None)),
            Kind::Timeout(it) => (12, stopped(it)),
            Kind::Interrupted(it) => (13, stopped(it)),
            Kind::NoMemory => (14, (String::new(), None)),
            Kind::Forked => (15, (String::new(), None)),
            Kind::WrongState(message) => (16, (message, None)),
            // A worker has none: it is the host who sees its end.
            Kind::Crashed(crash) => (8, (crash.message, None)),
            Kind::Panic(message) => (17, (message, None)),
        };
        Failed { kind, message, exception, row: error.row.map(|row| row as u64) }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Error {
        let Failed { kind, message, exception, row } = failed;
        let kind = match (kind, exception) {
            (1, _) => Kind::InvalidArgument(message),
            (2, _) => Kind::NotFound(message),
            (3, _) => Kind::Busy(message),
            (4, Some(exception)) => Kind::ExecutionFailed(exception),
            (5, _) => Kind::NotShareable(message),
            (6, _) => Kind::Elsewhere(message),
            (7, _) => Kind::WrongType(message),
            (9, Some(exception)) => Kind::Syntax(exception),
            (10, _) => Kind::PythonNotFound(message),
            (11, _) => Kind::PythonUnsupported(message),
            (12, exception) => Kind::Timeout(Stopped { message, exception }),
            (13, exception) => Kind::Interrupted(Stopped { message, exception }),
            (14, _) => Kind::NoMemory,
            (15, _) => Kind::Forked,
            (16, _) => Kind::WrongState(message),
            (17, _) => Kind::Panic(message),
            // 8, and what no worker says.
            _ => Kind::Interpreter(message),
        };
        Error { kind, interp: 0, row: row.and_then(|row| usize::try_from(row).ok()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_an_error_with_all_that_is_known() {
        let of = |signal, exit_code| {
            let error = Error::from(&Death { signal, exit_code, traceback: "where".into() });
            assert_eq!((error.status(), error.exception().is_none()), (-16, true));
            let text = error.to_string();
            let Kind::Crashed(crash) = error.kind else { panic!("{text}") };
            assert_eq!((crash.signal, crash.exit_code, &*crash.traceback), (signal, exit_code, "where"));
            assert_eq!(crash.message, text);
            text
        };
        assert_eq!(of(Some(libc::SIGSEGV), None), "the interpreter's process was killed by signal 11 (SIGSEGV)");
        assert_eq!(of(Some(libc::SIGRTMIN()), None), "the interpreter's process was killed by signal 34");
        assert_eq!(of(None, Some(3)), "the interpreter's process has ended with exit code 3");
        assert_eq!(of(None, None), "the interpreter's process has ended");
    }

    #[test]
    fn errors_cross_to_another_process_and_back() {
        let text = || "text".to_owned();
        let exception = || Box::new(Exception { type_name: "E".into(), ..Exception::default() });
        let mut kinds = vec![
            Kind::InvalidArgument(text()),
            Kind::NotFound(text()),
            Kind::Busy(text()),
            Kind::ExecutionFailed(exception()),
            Kind::NotShareable(text()),
            Kind::Elsewhere(text()),
            Kind::WrongType(text()),
            Kind::Interpreter(text()),
            Kind::Syntax(exception()),
            Kind::PythonNotFound(text()),
            Kind::PythonUnsupported(text()),
            Kind::NoMemory,
            Kind::Forked,
            Kind::WrongState(text()),
            Kind::Panic(text()),
        ];
        for exception in [None, Some(exception())] {
            let stopped = Stopped { message: text(), exception };
            kinds.extend([Kind::Timeout(stopped.clone()), Kind::Interrupted(stopped)]);
        }
        for kind in kinds {
            for row in [None, Some(3)] {
                let error = Error { kind: kind.clone(), interp: 0, row };
                let back = Error::from(Failed::from(error.clone()));
                assert_eq!(format!("{back:?}"), format!("{error:?}"));
            }
        }
        let death = Death { signal: Some(libc::SIGKILL), exit_code: None, traceback: String::new() };
        let interpreter = Error::from(Failed::from(Error::from(&death))).kind;
        assert!(matches!(interpreter, Kind::Interpreter(message) if message == death.to_string()));
        for kind in [0, 4, 9, 18, u32::MAX] {
            let failed = Failed { kind, message: text(), ..Failed::default() };
            assert!(matches!(Error::from(failed).kind, Kind::Interpreter(message) if message == "text"));
        }
    }
}
