//! Host functions: defining them, and what their hosts say of calls.

use super::error::{Error, Kind, Result};
use super::here::here;
use super::interpreter::{Interpreter, driven};
use super::limits;
use crate::process::message::Request;
use crate::python::attach::detached;
use crate::python::fork::forked;
use crate::python::host::{self, Context, Definition, HostCode, HostFunction, How, Over, Raise};
use crate::python::interp::{Interp, Scope};
use crate::python::loaded_api;
use crate::python::object::Py;
use crate::value::OwnedValue;
#[cfg(feature = "capi")]
use crate::value::subpy_value;

/// What a function is to be, but for what it does.
pub struct Function<'a> {
    /// `name` in `__main__`, or `module:name`
    pub name: &'a str,
    /// `(a, b=0)`
    pub signature: Option<&'a str>,
    /// The docstring.
    pub doc: Option<&'a str>,
    /// How it is called.
    pub how: How,
}

/// Binds a function to a name. Whatever comes of it, the code is dropped once, when nobody can call it any more.
pub fn define(handle: u64, function: &Function, code: Box<dyn HostCode>) -> Result<()> {
    let definition = match definition(function) {
        Ok(definition) => definition,
        Err(error) => return refused(code, error),
    };
    let interpreter = match driven(handle, "define a function in") {
        Ok(interpreter) => interpreter,
        Err(error) => return refused(code, error),
    };
    let name = match definition.module {
        Some(module) => format!("{module}.{}", definition.name),
        None => definition.name.into(),
    };
    let Some(python) = interpreter.python() else {
        return define_elsewhere(&interpreter, function, code, &name).map_err(|error| *error);
    };
    let function = HostFunction::new(code, &function.how, handle, &python.hosts, name);
    let define = |py: Py, scope: &Scope, _: &Interp| host::define(py, scope, &function, definition);
    let defined = here(|here| here.run_in(&interpreter, None, define));
    if defined.is_err() {
        host::release(function);
    }
    defined.map_err(|error| *error)
}

/// The same in a process of its own.
fn define_elsewhere(
    interpreter: &Interpreter,
    function: &Function,
    code: Box<dyn HostCode>,
    name: &str,
) -> Result<(), Box<Error>> {
    let Some(elsewhere) = interpreter.elsewhere() else { return Ok(refused(code, Kind::NoMemory.into())?) };
    let Function { signature, doc, how, .. } = *function;
    let code = match elsewhere.define(code, how.this_thread_only, name) {
        Ok(code) => code,
        Err(code) => return Ok(refused(code, Kind::NoMemory.into())?),
    };
    // Which thread calls it is seen here. The GIL there is given away while the host is asked, in any case.
    let request = Request::Define { code, name: function.name, signature, doc };
    let defined = here(|here| here.ask_in(interpreter, None, |asked| asked.ask(request).map(drop)));
    if defined.is_err() {
        outside(|| elsewhere.release(code));
    }
    defined
}

/// The code's end may run anything, so that is not done under anybody's GIL.
fn refused(code: Box<dyn HostCode>, error: Error) -> Result<()> {
    outside(|| drop(code));
    Err(error)
}

fn definition<'a>(function: &Function<'a>) -> Result<Definition<'a>> {
    let (module, name) = match function.name.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, function.name),
    };
    let invalid = |why: &str| Err(Kind::InvalidArgument(format!("name {:?}: {why}", shown(function.name))).into());
    if module.is_some_and(|module| module.split('.').any(str::is_empty)) {
        return invalid("the module has an empty name; it must be \"name\" or \"package.module:name\"");
    }
    if name.is_empty() || name.contains(['.', ':']) {
        return invalid("a function must have a plain name; it must be \"name\" or \"package.module:name\"");
    }
    if function.name.contains('\0') {
        return invalid("it has a NUL");
    }
    Ok(Definition { module, name, signature: function.signature, doc: function.doc })
}

/// Not more of a name than a message can bear.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

/// Does something that may block, or run whatever it likes, under nobody's GIL.
pub fn outside<R>(act: impl FnOnce() -> R) -> R {
    detached(loaded_api(), act)
}

// ---- what a host says of a call ----

fn over<T>(result: std::result::Result<T, Over>) -> Result<T> {
    let is_over = "the call of the host function that this context is of is over";
    result.map_err(|Over| Kind::NotFound(is_over.into()).into())
}

/// The call is to return this, if that is all that there is to it: `context_return` does what is left.
#[cfg(feature = "capi")]
#[inline(always)]
pub fn context_return_plain(context: usize, value: &subpy_value) -> bool {
    !forked() && Context(context).returns_plain(value)
}

/// The call is to return this. What is wrong with the value is raised there.
pub fn context_return(context: usize, value: std::result::Result<OwnedValue, Kind>) -> Result<()> {
    let context = Context(context);
    match value {
        Ok(value) => over(context.returns(value)),
        Err(kind) => {
            let class = if matches!(kind, Kind::NoMemory) { "MemoryError" } else { "TypeError" };
            let message = format!("the host function returned what is no value: {kind}");
            over(context.raises(Raise { kind: class.into(), message }))?;
            Err(kind.into())
        }
    }
}

/// The call is to raise this.
pub fn context_raise(context: usize, kind: String, message: String) -> Result<()> {
    over(Context(context).raises(Raise { kind, message }))
}

/// The exception that the call raises is to have this note.
pub fn context_note(context: usize, text: String) -> Result<()> {
    match over(Context(context).note(text))? {
        true => Ok(()),
        false => Err(Kind::NoMemory.into()),
    }
}

/// The exception that the call raises is to have this number.
pub fn context_tag(context: usize, tag: u64) -> Result<()> {
    over(Context(context).tag(tag))
}

/// The interpreter that the call comes from; 0 when it is over.
pub fn context_interp(context: usize) -> u64 {
    Context(context).owner().unwrap_or(0)
}

/// Whether the run that the call is in was cancelled, or its time is up.
pub fn context_cancelled(context: usize) -> bool {
    !forked() && Context(context).thread().is_ok_and(limits::is_stopped)
}
