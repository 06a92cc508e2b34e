//! Where an interpreter's output goes.

use super::conversation::Conversation;
use super::error::{Error, Kind, Result};
use super::gate::Refused;
use super::here::here;
use super::interpreter::{Interpreter, driven};
use crate::process::message::Request;
use crate::python::attach::detached;
use crate::python::loaded_api;
use crate::python::output::{Callback, Output, RunOutput, let_go};

/// What a message says that an interpreter which Python code made refuses.
const CAPTURE: &str = "capture the output of";

/// From now on what the interpreter prints goes to this function, or to the file descriptors when there is none. The
/// function is let go when it is called no more: at once, when there is an error.
pub fn set_output(handle: u64, mut callback: Option<Callback>) -> Result<()> {
    let found = driven(handle, CAPTURE);
    detached(loaded_api(), || {
        let set = || {
            let interpreter = found?;
            let output = interpreter.output()?;
            let Some(elsewhere) = interpreter.elsewhere() else {
                return set_here(&interpreter, output, callback.take());
            };
            // First, so that nothing has changed when it fails. What comes before there is somebody who takes it goes to
            // the descriptors, as before.
            let captured = callback.is_some();
            let tell = |asked: &Conversation| asked.ask(Request::SetOutput { captured }).map(drop);
            here(|here| here.visit_elsewhere(&interpreter, elsewhere, tell))?;
            set_here(&interpreter, output, callback.take())
        };
        let result = set();
        let_go(callback);
        result
    })
}

fn set_here(interpreter: &Interpreter, output: &Output, callback: Option<Callback>) -> Result<()> {
    match here(|here| here.keeps.during(interpreter.handle, || output.set(callback))) {
        true => Ok(()),
        false => Err(interpreter.refused(Refused::Closed)),
    }
}

/// What this thread prints in the interpreter while `act` runs goes to this function.
pub fn capture<R>(handle: u64, output: RunOutput, act: impl FnOnce() -> R) -> Result<R> {
    let interpreter = driven(handle, CAPTURE)?;
    Ok(interpreter.output()?.to(output, act))
}

impl Interpreter {
    /// Its output, when that can be had.
    pub(super) fn output(&self) -> Result<&Output> {
        let elsewhere = self.elsewhere().map(|elsewhere| &elsewhere.output);
        self.python().and_then(|python| python.output.as_ref()).or(elsewhere).ok_or_else(|| {
            let message = "the main interpreter of a host's own Python has streams of its own, which are left alone; \
                           in an interpreter that subpy creates, output can be captured";
            Error::from(Kind::Interpreter(message.into())).of(self.handle)
        })
    }
}
