//! Does what the host asks for, in the main interpreter.

use super::control::Control;
use super::host::{self, Code};
use super::values::Given;
use crate::manager::{self, CloseOptions, Error, How, Kind, Memory, Ran, Result, home};
use crate::process::message::{Act, Done, Request, Run};
use crate::value::{Args, Builder, OwnedRows, OwnedValue, Results, STR, TUPLE, Wanted, subpy_value};

/// The request, in the way in which it is to be run.
pub fn serve(control: &Control, request: Request, run: &Run, given: &mut Given, done: &mut Done) -> Ran {
    if run.number == 0 && !run.captured {
        return perform(control, request, run.wanted, given, done);
    }
    specially(control, request, run, given, done)
}

#[cold]
fn specially(control: &Control, request: Request, run: &Run, given: &mut Given, done: &mut Done) -> Ran {
    let mut act = move || perform(control, request, run.wanted, given, done);
    let act = move || match run.captured {
        true => manager::capture(control.main, &mut |stream, text| host::output(true, stream, text), act)?,
        false => act(),
    };
    if run.number == 0 {
        return act();
    }
    let stoppable = control.stops.begin(run.number)?;
    manager::stoppable(control.main, &stoppable.limits, act)?
}

fn perform(control: &Control, request: Request, wanted: Option<Results>, given: &mut Given, done: &mut Done) -> Ran {
    let main = control.main;
    let mut result = Wants { value: OwnedValue::none(), wanted };
    let mut word = 0;
    match request {
        Request::Function { function, args } => result.function(function, args)?,
        Request::Call { callable, args } => result.call(main, callable, args)?,
        Request::Exec { source, filename, keep_indent } => {
            result.code(main, manager::Code::Exec { source, filename, keep_indent })?;
        }
        Request::Eval { expression, filename } => result.code(main, manager::Code::Eval { expression, filename })?,
        Request::Many { function, rows, collect } => {
            let mut errors = |error, _: &mut Builder| given.error(error);
            let mut errors = collect.then_some(&mut errors as _);
            let owned = rows.buffers().are_passed().then(|| manager::claim_rows(rows)).transpose()?;
            let rows = owned.as_ref().map_or(rows, OwnedRows::rows);
            manager::function_call_many(function, rows, result.wanted(), errors.take())?;
        }
        Request::PrepareMain { names } => manager::prepare_main(main, names)?,
        Request::Find { callable } => word = manager::function_new(main, callable)?,
        Request::Object { object, act } => word = result.act(object, act)?,
        Request::Free { handle } => manager::object_free(handle),
        Request::Define { code, name, signature, doc } => {
            // The host looks which of its threads calls: here any of them may come.
            let how = How { keep_gil: false, this_thread_only: false };
            let code = Code::new(code).ok_or_else(|| Error::from(Kind::NoMemory))?;
            manager::define(main, &manager::HostFunction { name, signature, doc, how }, code)?;
        }
        Request::Enter => manager::enter(main)?,
        Request::Leave => manager::leave(main)?,
        Request::SetOutput { captured } => {
            let callback: manager::Callback = Box::new(|stream, text| host::output(false, stream, text));
            manager::set_output(main, (captured || control.setup.lock.is_some()).then_some(callback))?;
        }
        Request::Memory => {
            done.value = Some(memory(&control.setup.memory()?)?);
            return Ok(());
        }
        Request::LockInfo => word = control.setup.lock_info(),
        Request::Look { stop } => {
            done.value = Some(texts(&manager::look(control.main, stop)?)?);
            return Ok(());
        }
        Request::End { timeout, interrupt } => {
            let options = CloseOptions { timeout, drain: false, interrupt };
            home::elsewhere(|| manager::shutdown_with(options))?.map_err(in_the_way)?;
        }
        Request::Serve
        | Request::Ending
        | Request::Host { .. }
        | Request::Release { .. }
        | Request::Output { .. }
        | Request::Queue { .. } => {
            let why = Kind::InvalidArgument("a worker does not do what only its host can".into());
            return Err(Error::from(why).into());
        }
    }
    (done.value, done.word) = (result.wanted.map(|_| result.value), word);
    Ok(())
}

/// What is in the way of the end here is in the way of the host's close, which says itself that it was not closed.
fn in_the_way(error: Error) -> Error {
    let Kind::Busy(message) = &error.kind else { return error };
    let found = message.strip_prefix("not closed: interpreter 0: ").map(str::to_owned);
    found.map_or(error, |found| Kind::Busy(found).into())
}

/// What comes of a run, and whether it is wanted.
struct Wants {
    value: OwnedValue,
    wanted: Option<Results>,
}

impl Wants {
    fn wanted(&mut self) -> Wanted<'_> {
        let is_wanted = self.wanted.is_some_and(|how| !how.has(Results::DROPPED));
        Wanted { result: is_wanted.then_some(&mut self.value), how: self.wanted.unwrap_or_default() }
    }

    fn function(&mut self, function: u64, args: Args) -> Ran {
        if !args.buffers.are_passed() && self.wanted.is_none_or(|how| how == Results::default()) {
            let result = self.wanted.is_some().then_some(&mut self.value);
            return manager::function_call(function, args, result);
        }
        claimed(args, |args| manager::function_call_specially(function, args, self.wanted()))
    }

    fn call(&mut self, main: u64, callable: &str, args: Args) -> Ran {
        if !args.buffers.are_passed() {
            return self.code(main, manager::Code::Call { callable, args });
        }
        claimed(args, |args| manager::run_with(main, manager::Code::Call { callable, args }, self.wanted(), None, None))
    }

    fn code(&mut self, main: u64, code: manager::Code) -> Ran {
        manager::run_with(main, code, self.wanted(), None, None)
    }

    /// Whether there was a next, if that was asked for.
    fn act(&mut self, object: u64, act: Act) -> Result<u64, Box<Error>> {
        let mut more = false;
        let act = match act {
            Act::Iter => manager::Act::Iter,
            Act::Item(key) => {
                claimed(key, |key| manager::object_act(object, manager::Act::Item(key), self.wanted()))?;
                return Ok(0);
            }
            Act::Method(name, args) => {
                claimed(args, |args| manager::object_act(object, manager::Act::Call(Some(name), args), self.wanted()))?;
                return Ok(0);
            }
            Act::Attribute(name) => manager::Act::Attribute(name),
            Act::Next => manager::Act::Next(&mut more),
            Act::Value => manager::Act::Value,
            Act::Text => manager::Act::Text,
        };
        manager::object_act(object, act, self.wanted())?;
        Ok(more.into())
    }
}

/// A call whose arguments may have handles among them: those are its own as long as it runs.
fn claimed(args: Args, call: impl FnOnce(Args) -> Ran) -> Ran {
    let owned = args.buffers.are_passed().then(|| manager::claim(args)).transpose()?;
    call(owned.as_ref().map_or(args, |owned| owned.args()))
}

fn texts(texts: &[String]) -> Result<OwnedValue> {
    let texts: Vec<_> = texts.iter().map(|text| subpy_value::pointing(STR, text.as_ptr(), text.len())).collect();
    let tuple = subpy_value::pointing(TUPLE, texts.as_ptr().cast(), texts.len());
    OwnedValue::copy_of(&tuple).ok_or_else(|| Kind::NoMemory.into())
}

/// `manager::Memory`, field by field.
fn memory(memory: &Memory) -> Result<OwnedValue> {
    let int = |number: u64| subpy_value::int(i64::try_from(number).unwrap_or(i64::MAX));
    let limit = memory.limit.map_or(subpy_value::none(), int);
    let fields = [int(memory.used), int(memory.peak), limit, int(memory.refused)];
    let tuple = subpy_value::pointing(TUPLE, fields.as_ptr().cast(), fields.len());
    OwnedValue::copy_of(&tuple).ok_or_else(|| Kind::NoMemory.into())
}
