//! What a thread does in interpreters: runs, prepared functions, sessions. And a run in an owned form, beside the
//! borrowed one that `python` takes ([`Code`]).

use std::sync::Arc;

use super::conversation::{CollectErrors, Conversation};
use super::error::{Error, Kind, Ran, Result};
use super::function::{Function, find_function};
use super::here::{Here, here};
use super::interpreter::{Interpreter, driven};
use super::limits::Limits;
use crate::process::message::Request;
use crate::python::Failure;
use crate::python::buffers;
use crate::python::interp::{Interp, Scope};
use crate::python::keep;
use crate::python::kept::Hold;
use crate::python::many::call_many;
use crate::python::object::Py;
use crate::python::output::RunOutput;
use crate::python::run::{self, Code, find_callable};
use crate::value::{
    Args, Builder, Export, Form, NotCopied, OwnedArgs, OwnedRows, OwnedValue, Place, Results, Rows, Wanted, subpy_pair,
    subpy_value,
};

/// What a message says that an interpreter which Python code made refuses, in Python's words.
const EXEC: &str = "exec code for";
const CALL: &str = "make a call in";

fn what(code: &Code) -> &'static str {
    match code {
        Code::Exec { .. } | Code::Eval { .. } => EXEC,
        Code::Call { .. } | Code::Function { .. } => CALL,
    }
}

/// `exec()`, `eval()` or `call()`. The result is converted when it is wanted. Its callers have their own code to inline,
/// and share the closure.
#[inline]
pub fn run(handle: u64, code: Code, wanted: Option<&mut OwnedValue>) -> Ran {
    here(|here| {
        let find = || driven(handle, what(&code));
        let act = |interpreter: &Interpreter, wanted| {
            here.run_in(interpreter, None, |py, scope, _| run::run_in_line(py, scope, code, Wanted::value(wanted)))
        };
        let ask =
            move |interpreter: &Interpreter, wanted| ask_in(here, interpreter, None, None, code, Wanted::value(wanted));
        here.with_interpreter(handle, wanted, find, act, ask)
    })
}

/// The same, with limits, and with a function that what it prints on this thread goes to.
pub fn run_with(handle: u64, code: Code, wanted: Wanted, limits: Option<&Limits>, output: Option<RunOutput>) -> Ran {
    here(|here| {
        let act = |interpreter: &Interpreter, (wanted, output)| {
            let Some(output) = output else {
                return here.run_in(interpreter, limits, |py, scope, _| run::run(py, scope, code, wanted));
            };
            let to = interpreter.output()?;
            here.run_in(interpreter, limits, |py, scope, _| to.to(output, || run::run(py, scope, code, wanted)))
        };
        let ask =
            move |interpreter: &Interpreter, (wanted, output)| ask_in(here, interpreter, limits, output, code, wanted);
        here.with_interpreter(handle, (wanted, output), || driven(handle, what(&code)), act, ask)
    })
}

/// The same in a process of its own.
#[cold]
#[inline(never)]
fn ask_in(
    here: &Here,
    interpreter: &Interpreter,
    limits: Option<&Limits>,
    output: Option<RunOutput>,
    code: Code,
    wanted: Wanted,
) -> Ran {
    let Some(output) = output else { return here.ask_in(interpreter, limits, |asked| ask(asked, code, wanted)) };
    let to = interpreter.output()?;
    here.ask_in(interpreter, limits, |asked| to.to(output, || ask(asked, code, wanted)))
}

/// Whatever this thread runs meanwhile in that interpreter can be stopped.
pub fn stoppable<R>(handle: u64, limits: &Limits, act: impl FnOnce() -> R) -> Result<R> {
    let interpreter = driven(handle, CALL)?;
    here(|here| {
        let _limited = here.limits.begin(&interpreter, Some(limits))?;
        Ok(act())
    })
}

/// `prepare_main()`
pub fn prepare_main(handle: u64, names: &[subpy_pair]) -> Result<()> {
    let interpreter = driven(handle, "update __main__ for")?;
    let prepared = here(|here| match interpreter.elsewhere() {
        None => here.run_in(&interpreter, None, |py, scope, _| run::prepare_main(py, scope, names)),
        Some(_) => here.ask_in(&interpreter, None, |asked| {
            asked.check_pairs(names)?;
            asked.ask(Request::PrepareMain { names }).map(drop)
        }),
    });
    prepared.map_err(|error| *error)
}

/// Looks a callable up, as a call does, to call it many times.
pub fn function_new(interp: u64, callable: &str) -> Result<u64> {
    let interpreter = driven(interp, CALL)?;
    let keep = |py: Py, scope: &Scope, python: &Interp| {
        let found = find_callable(py, scope, callable)?;
        python.own.kept.keep(found).ok_or_else(|| Failure::NoMemory.into())
    };
    let hold = here(|here| match interpreter.elsewhere() {
        None => here.run_in(&interpreter, None, keep),
        Some(_) => here.ask_in(&interpreter, None, |asked| asked.keep(Request::Find { callable })),
    });
    Function::register(interpreter, hold.map_err(|error| *error)?)
}

/// Calls a prepared function.
#[inline]
pub fn function_call(handle: u64, args: Args, wanted: Option<&mut OwnedValue>) -> Ran {
    here(|here| {
        let call = |function: &Function, wanted| {
            let interpreter = function.interpreter(handle)?;
            here.run_in(interpreter, None, |py, scope, _| {
                run::call_function(py, scope, function.kept(), args, Wanted::value(wanted))
            })
        };
        let ask = move |function: &Function, wanted| {
            let code = Code::Function { kept: function.kept(), args };
            ask_in(here, function.interpreter(handle)?, None, None, code, Wanted::value(wanted))
        };
        here.with_function(handle, wanted, call, ask)
    })
}

/// The same, with buffers or objects among the arguments, or for a result in another form. A way of its own, so that the
/// others do not pay for it.
#[cold]
#[inline(never)]
pub fn function_call_specially(handle: u64, args: Args, wanted: Wanted) -> Ran {
    let function = find_function(handle)?;
    run_with(function.interp(), Code::Function { kept: function.kept(), args }, wanted, None, None)
}

/// The same for an interpreter in a process of its own.
fn ask(asked: &Conversation, code: Code, wanted: Wanted) -> Ran {
    let request = match code {
        Code::Exec { source, filename, keep_indent } => Request::Exec { source, filename, keep_indent },
        Code::Eval { expression, filename } => Request::Eval { expression, filename },
        Code::Call { callable, args } => {
            asked.check_args(args)?;
            Request::Call { callable, args }
        }
        Code::Function { kept, args } => {
            asked.check_args(args)?;
            Request::Function { function: asked.number_of(kept, "function")?, args }
        }
    };
    asked.run(request, wanted).map(drop)
}

/// Calls a prepared function with one row after the other. Without `collect` the first error ends it.
pub fn function_call_many(handle: u64, rows: Rows, wanted: Wanted, collect: Option<&mut CollectErrors>) -> Ran {
    here(|here| {
        let call = |function: &Function, (wanted, mut collect): (_, Option<&mut CollectErrors>)| {
            let interpreter = function.interpreter(handle)?;
            let mut collect = collect.as_mut().map(|collect| {
                |failure, results: &mut Builder| collect(Error::from(failure).of(interpreter.handle), results)
            });
            here.run_in(interpreter, None, |py, scope, _| {
                call_many(py, scope, function.kept(), rows, wanted, collect.as_mut().map(|collect| collect as _))
            })
        };
        let ask = |function: &Function, (wanted, collect): (_, Option<&mut CollectErrors>)| {
            here.ask_in(function.interpreter(handle)?, None, |asked| {
                asked.check_rows(&rows)?;
                let function = asked.number_of(function.kept(), "function")?;
                let request = Request::Many { function, rows, collect: collect.is_some() };
                asked.run_collecting(request, wanted, collect).map(drop)
            })
        };
        here.with_function(handle, (wanted, collect), call, ask)
    })
}

/// Keeps this thread in an interpreter, or counts one more.
pub fn enter(handle: u64) -> Result<()> {
    here(|here| here.enter(handle, || here.interpreter(handle, CALL)))
}

/// Does ahead what the next run of this thread in an interpreter of this process would begin with.
pub fn make_ahead(handle: u64) {
    here(|here| here.sessions.make_ahead(handle, || driven(handle, CALL).ok()));
}

/// Undoes one `enter`.
pub fn leave(handle: u64) -> Result<()> {
    here(|here| here.leave(handle))
}

/// A run with everything it needs in its own memory.
pub enum Work {
    /// exec
    Exec {
        /// The source.
        source: String,
        /// For tracebacks.
        filename: Option<String>,
        /// Do not dedent.
        keep_indent: bool,
    },
    /// eval
    Eval {
        /// The expression.
        expression: String,
        /// For tracebacks.
        filename: Option<String>,
    },
    /// call
    Call {
        /// `name` or `module:attr.attr`
        callable: String,
        args: OwnedArgs,
    },
    /// a prepared function
    Function {
        /// What it holds; the function itself may be freed meanwhile.
        hold: Hold,
        args: OwnedArgs,
    },
}

impl Work {
    /// Copies a run.
    pub fn of(code: Code) -> Result<Work> {
        let owned = |args: Args| args.to_owned(keep, buffers::tell).map_err(Error::from);
        Ok(match code {
            Code::Exec { source, filename, keep_indent } => {
                Work::Exec { source: copy(source)?, filename: filename.map(copy).transpose()?, keep_indent }
            }
            Code::Eval { expression, filename } => {
                Work::Eval { expression: copy(expression)?, filename: filename.map(copy).transpose()? }
            }
            Code::Call { callable, args } => Work::Call { args: owned(args)?, callable: copy(callable)? },
            Code::Function { kept, args } => {
                let args = owned(args)?;
                let hold = Hold::of(kept).ok_or_else(|| Kind::NotFound("the function was freed".into()))?;
                Work::Function { hold, args }
            }
        })
    }

    /// Does it.
    pub fn run(
        &self,
        interp: u64,
        want_result: bool,
        how: Results,
        limits: Option<&Limits>,
        output: Option<RunOutput>,
    ) -> Result<OwnedValue> {
        let code = match self {
            Work::Exec { source, filename, keep_indent } => {
                Code::Exec { source, filename: filename.as_deref(), keep_indent: *keep_indent }
            }
            Work::Eval { expression, filename } => Code::Eval { expression, filename: filename.as_deref() },
            Work::Call { callable, args } => Code::Call { callable, args: args.args() },
            Work::Function { hold, args } => Code::Function { kept: hold.kept(), args: args.args() },
        };
        let mut result = OwnedValue::none();
        let wanted = Wanted { result: want_result.then_some(&mut result), how };
        run_with(interp, code, wanted, limits, output).map_err(|error| *error)?;
        Ok(result)
    }

    /// How a traceback calls it.
    pub fn name(&self) -> &str {
        match self {
            Work::Exec { .. } => "exec",
            Work::Eval { .. } => "eval",
            Work::Call { callable, .. } => callable,
            Work::Function { .. } => "function",
        }
    }
}

/// A copy of a value for later.
#[cfg(feature = "capi")]
pub fn copy_of(value: &subpy_value) -> Result<OwnedValue> {
    OwnedValue::keep(value, keep, buffers::tell).map_err(Error::from)
}

/// Copies some rows, as one TUPLE of their values, and the keyword arguments as a DICT.
#[cfg(feature = "capi")]
pub fn copy_rows(rows: &Rows, first: usize, count: usize, kwargs: Args) -> Result<(OwnedValue, OwnedValue)> {
    rows.copy(first, count, kwargs, keep, buffers::tell).map(OwnedArgs::into_parts).map_err(Error::from)
}

/// Memory to be passed, in a block that has a share in it. None: no memory.
pub fn append_buffer(export: &Arc<Export>, lent: bool, block: &mut Builder) -> Option<subpy_value> {
    export.pass(lent, buffers::tell, block)
}

/// A part of memory to be passed, likewise.
pub fn append_part(
    memory: &Arc<Export>,
    place: Place,
    form: Form,
    (writable, lent): (bool, bool),
    block: &mut Builder,
) -> Result<subpy_value, NotCopied> {
    memory.pass_part(place, form, (writable, lent), buffers::tell, block)
}

/// Takes the buffers among arguments over: whoever passed them is told when they are needed no more.
pub fn claim(args: Args) -> Result<OwnedArgs> {
    args.to_owned(keep, buffers::tell).map_err(Error::from)
}

/// The same, of many calls.
pub fn claim_rows(rows: Rows) -> Result<OwnedRows> {
    rows.to_owned(keep, buffers::tell).map_err(Error::from)
}

/// A text whose size a caller chose.
pub fn copy(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Kind::NoMemory)?;
    copy.push_str(text);
    Ok(copy)
}
