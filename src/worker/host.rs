//! What the host does: its functions, and what it has for output.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::line::{self, ask};
use crate::manager::{self, Context, Error, HostCode, Kind, Result};
use crate::process::message::{Raised, Reply, Request};
use crate::value::{Args, OwnedValue};

/// The numbers of functions that can be called no more and of buffers that nobody has, which the host has not been told. There is room for all that
/// there are: in how many it is beside it.
static RELEASED: Mutex<(Vec<u64>, usize)> = Mutex::new((Vec::new(), 0));
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn known() -> MutexGuard<'static, (Vec<u64>, usize)> {
    RELEASED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A host's function or buffer, by its number there.
pub struct Number(u64);

/// A host's function.
pub struct Code(Number);

impl Code {
    /// None: no memory. From now on the host is told when it can be called no more.
    pub fn new(code: u64) -> Option<Box<Code>> {
        Number::new(code).map(|number| Box::new(Code(number)))
    }
}

impl Number {
    /// None: no memory. From now on the host is told when nobody here has it any more.
    pub fn new(number: u64) -> Option<Number> {
        let mut known = known();
        let all = known.1 + 1;
        // Beside those that wait to be told of.
        known.0.try_reserve(all).ok()?;
        known.1 = all;
        Some(Number(number))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        {
            let mut known = known();
            known.1 -= 1;
            known.0.push(self.0);
            COUNT.store(known.0.len(), Ordering::Relaxed);
        }
        line::tell_if_idle();
    }
}

/// Those that the host is to be told of now.
pub fn released() -> impl Iterator<Item = u64> {
    let next = || {
        let mut known = known();
        let code = known.0.pop();
        COUNT.store(known.0.len(), Ordering::Relaxed);
        code
    };
    std::iter::from_fn(move || if COUNT.load(Ordering::Relaxed) == 0 { None } else { next() })
}

impl HostCode for Code {
    fn call(&self, Context(context): Context, args: Args) {
        let told = match ask(&Request::Host { code: self.0.0, args }) {
            Ok(Reply::Done(done)) => {
                manager::context_return(context, Ok(done.value.unwrap_or(const { OwnedValue::none() })))
            }
            Ok(Reply::Raised(raised)) => raise(context, *raised),
            Ok(Reply::Failed(failed)) => refuse(context, &(*failed).into()),
            Err(error) => refuse(context, &error),
        };
        // The call is running, so an error is one that is raised.
        drop(told);
    }
}

fn raise(context: usize, raised: Raised) -> Result<()> {
    let Raised { kind, message, notes, tag } = raised;
    manager::context_raise(context, kind, message)?;
    notes.into_iter().try_for_each(|note| manager::context_note(context, note))?;
    if tag == 0 { Ok(()) } else { manager::context_tag(context, tag) }
}

/// The host was not called, or what it has returned is no value.
fn refuse(context: usize, error: &Error) -> Result<()> {
    let class = match error.kind {
        Kind::NoMemory => "MemoryError",
        Kind::NotShareable(_) | Kind::NotFound(_) | Kind::Elsewhere(_) => "TypeError",
        _ => "RuntimeError",
    };
    manager::context_raise(context, class.into(), error.to_string())
}

/// The host gets what was printed, with or without the NUL behind it.
pub fn output(of_run: bool, stream: i32, text: &str) {
    let text = text.strip_suffix('\0').unwrap_or(text);
    // Whatever comes of it, the program goes on.
    drop(ask(&Request::Output { of_run, stream, text }));
}
