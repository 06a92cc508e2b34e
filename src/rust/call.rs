//! What a call needs, checked and in the form that `python` reads.

use super::args::Args;
use super::block::{decode, encode};
use super::session::leave_late;
use super::to_rust::FromValue;
use super::unless_forked;
use super::value::Value;
use crate::manager::{Kind, Ran, Result};
use crate::value::{self, OwnedValue};

/// The arguments of a call: a tuple and a dict, as blocks.
pub(super) struct Call {
    pub args: OwnedValue,
    pub kwargs: OwnedValue,
}

impl Call {
    pub fn new<K: Into<String>, V: Into<Value>>(
        args: impl Args,
        kwargs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Call> {
        // Both before the first error: what is nested too deep must not be dropped in any other way.
        let (args, kwargs) = (encode(Value::Tuple(args.into_values())), encode(named(kwargs)));
        Ok(Call { args: args?, kwargs: kwargs? })
    }

    pub fn args(&self) -> Result<value::Args<'_>> {
        value::Args::check_owned(&self.args, &self.kwargs).map_err(|bad| Kind::InvalidArgument(bad).into())
    }
}

/// No keyword arguments.
pub(super) const NO_KWARGS: [(&str, Value); 0] = [];

/// A dict with str keys.
pub(super) fn named<K: Into<String>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
    Value::Dict(pairs.into_iter().map(|(name, value)| (Value::Str(name.into()), value.into())).collect())
}

/// Runs something on this thread.
pub(super) fn run<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = unless_forked(body);
    leave_late();
    result
}

/// Runs something that has a result, if that is wanted.
pub(super) fn run_wanting(wanted: bool, body: impl FnOnce(Option<&mut OwnedValue>) -> Ran) -> Result<OwnedValue> {
    run(|| {
        let mut result = OwnedValue::none();
        body(wanted.then_some(&mut result)).map_err(|error| *error)?;
        Ok(result)
    })
}

/// The result of a run as what was asked for.
pub(super) fn result<T: FromValue>(value: OwnedValue) -> Result<T> {
    Ok(T::from_value(decode(value.as_ref()))?)
}
