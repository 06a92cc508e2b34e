//! What a call needs, checked and in the form that `python` reads.

use super::args::{Arg, Args, all};
use super::block::{decode, encode_args};
use super::session::leave_late;
use super::to_rust::FromValue;
use super::unless_forked;
use super::value::Value;
use crate::manager::{self, Kind, Ran, Result};
use crate::value::{self, OwnedValue, Wanted, printable};

/// The arguments of a call: a tuple and a dict, as blocks.
pub(super) struct Call {
    pub args: OwnedValue,
    pub kwargs: OwnedValue,
    /// The same, with the objects in them claimed, if there are any.
    claimed: Option<value::OwnedArgs>,
}

impl Call {
    pub fn new(args: impl Args, kwargs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>) -> Result<Call> {
        // Both before the first error: what is nested too deep must not be dropped in any other way.
        let args = args.into_values().and_then(|args| encode_args(Value::Tuple(args)));
        let kwargs = named(kwargs, "kwargs").and_then(encode_args);
        let mut call = Call { args: args?, kwargs: kwargs?, claimed: None };
        let args = call.args()?;
        if args.buffers.are_passed() {
            call.claimed = Some(manager::claim(args)?);
        }
        Ok(call)
    }

    pub fn args(&self) -> Result<value::Args<'_>> {
        if let Some(claimed) = &self.claimed {
            return Ok(claimed.args());
        }
        value::Args::check_owned(&self.args, &self.kwargs).map_err(|bad| Kind::InvalidArgument(bad).into())
    }
}

/// No keyword arguments.
pub(super) const NO_KWARGS: [(&str, Value); 0] = [];

/// A dict with str keys. An error calls it `what`.
pub(super) fn named(pairs: impl IntoIterator<Item = (impl Into<String>, impl Arg)>, what: &str) -> Result<Value> {
    let pair = |(name, arg): (_, _)| {
        let name: String = Into::into(name);
        let value = Arg::into_arg(arg, format_args!("{what}['{}']", printable(&name)))?;
        Ok((Value::Str(name), value))
    };
    Ok(Value::Dict(all(pairs.into_iter().map(pair))?))
}

/// Runs something on this thread.
pub(super) fn run<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = unless_forked(body);
    leave_late();
    result
}

/// Runs something that has a result, if that is wanted.
pub(super) fn run_wanting(wanted: bool, body: impl FnOnce(Wanted) -> Ran) -> Result<OwnedValue> {
    run(|| {
        let mut result = OwnedValue::none();
        body(Wanted::value(wanted.then_some(&mut result))).map_err(|error| *error)?;
        Ok(result)
    })
}

/// The same in the form that a `T` is made of.
pub(super) fn run_to_value<T: FromValue>(body: impl FnOnce(Wanted) -> Ran) -> Result<OwnedValue> {
    run_wanting(true, |wanted| body(Wanted { how: T::ROOT, ..wanted }))
}

/// Runs something whose result is a `T`.
pub(super) fn run_for<T: FromValue>(body: impl FnOnce(Wanted) -> Ran) -> Result<T> {
    result(run_to_value::<T>(body)?)
}

/// The result of a run as what was asked for.
pub(super) fn result<T: FromValue>(value: OwnedValue) -> Result<T> {
    Ok(T::from_value(decode(value.as_ref())?)?)
}
