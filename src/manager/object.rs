//! Objects that stay in Python: what hosts do with them. A prepared function is one, too.

use super::conversation::Conversation;
use super::error::{Kind, Ran, Result};
use super::function::function_free;
use super::here::here;
use super::interpreter::{Interpreter, driven};
use crate::process::message::{self, Request};
use crate::python::kept::Hold;
use crate::python::objects::{self, Act};
use crate::value::{OwnedValue, Results, Wanted};

fn find(handle: u64) -> Result<Hold> {
    objects::find(handle).ok_or_else(|| {
        let message = format!("{handle} is not the handle of an object, or it was freed");
        Kind::NotFound(message).into()
    })
}

/// Does something with an object, in its interpreter.
pub fn object_act(handle: u64, act: Act, wanted: Wanted) -> Ran {
    let hold = find(handle)?;
    let interp = hold.kept().interp();
    here(|here| {
        let find = || driven(interp, "use an object of");
        let run = |interpreter: &Interpreter, (act, wanted)| {
            here.run_in(interpreter, None, |py, scope, _| objects::act(py, scope, hold.kept(), act, wanted))
        };
        let ask = |interpreter: &Interpreter, (act, wanted)| {
            here.ask_in(interpreter, None, |asked| ask(asked, &hold, act, wanted))
        };
        here.with_interpreter(interp, (act, wanted), find, run, ask)
    })
}

/// The same in a process of its own.
fn ask(asked: &Conversation, hold: &Hold, act: Act, wanted: Wanted) -> Ran {
    let object = asked.number_of(hold.kept(), "object")?;
    let run = |act, wanted| asked.run(Request::Object { object, act }, wanted).map(drop);
    match act {
        Act::Attribute(name) => run(message::Act::Attribute(name), wanted),
        Act::Item(key) => {
            asked.check_args(key)?;
            run(message::Act::Item(key), wanted)
        }
        Act::Call(None, args) => {
            asked.check_args(args)?;
            asked.run(Request::Function { function: object, args }, wanted).map(drop)
        }
        Act::Call(Some(name), args) => {
            asked.check_args(args)?;
            run(message::Act::Method(name, args), wanted)
        }
        Act::Iter => run(message::Act::Iter, wanted),
        Act::Next(more) => {
            *more = asked.run(Request::Object { object, act: message::Act::Next }, wanted)? != 0;
            Ok(())
        }
        Act::Value => run(message::Act::Value, wanted),
        Act::Text => run(message::Act::Text, wanted),
    }
}

/// A handle of an iterator over it.
pub fn object_iter(handle: u64) -> Result<u64> {
    let mut iterator = OwnedValue::none();
    let wanted = Wanted { result: Some(&mut iterator), how: Results::OBJECT };
    object_act(handle, Act::Iter, wanted).map_err(|error| *error)?;
    // The value's own handle goes with it.
    object_keep(iterator.as_value().as_int().cast_unsigned())
}

/// Another handle of the same object.
pub fn object_keep(handle: u64) -> Result<u64> {
    objects::new_handle(find(handle)?).ok_or_else(|| Kind::NoMemory.into())
}

/// The handle of the interpreter that it is of, which may have been closed.
pub fn object_interp(handle: u64) -> Result<u64> {
    Ok(find(handle)?.kept().interp())
}

/// Gives a handle up. When it was the last, the reference is given back when the interpreter is entered next.
pub fn object_free(handle: u64) {
    function_free(handle);
}
