//! Tuples: as values, and as the arguments of a call.

use std::fmt;

use super::from_rust::ListItem;
use super::to_rust::{FromValue, WrongType};
use super::value::Value;
use crate::manager::Result;
use crate::value::Results;

/// One argument: what has a [`Value`], or might have one.
///
/// Everything that is `Into<Value>` is one. Write it for a type of your own only when becoming a value can fail:
///
/// ```
/// use subpy::{Arg, Kind, Value};
///
/// struct Name<'a>(&'a std::path::Path);
///
/// impl Arg for Name<'_> {
///     fn into_arg(self, place: std::fmt::Arguments) -> subpy::Result<Value> {
///         let text = self.0.to_str().ok_or_else(|| Kind::InvalidArgument(format!("{place}: path is not UTF-8")))?;
///         Ok(text.into())
///     }
/// }
/// ```
pub trait Arg {
    /// It, as a value. `place` is how the message of an error calls it, such as `args[0]`.
    ///
    /// # Errors
    /// It has none: [`Kind::InvalidArgument`](crate::Kind::InvalidArgument).
    fn into_arg(self, place: fmt::Arguments) -> Result<Value>;
}

impl<T: Into<Value>> Arg for T {
    fn into_arg(self, _: fmt::Arguments) -> Result<Value> {
        Ok(self.into())
    }
}

/// The positional arguments of a call: a tuple of [`Arg`]s, `()` for none; or a [`Vec`], array or slice, when all are
/// of one type. So one list, or bytes, is `(list,)`.
pub trait Args {
    /// They, as values.
    ///
    /// # Errors
    /// One of them has none: [`Kind::InvalidArgument`](crate::Kind::InvalidArgument).
    fn into_values(self) -> Result<Vec<Value>>;
}

impl Args for () {
    fn into_values(self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

impl<T: Arg> Args for Vec<T> {
    fn into_values(self) -> Result<Vec<Value>> {
        numbered(self)
    }
}

impl<T: Arg, const N: usize> Args for [T; N] {
    fn into_values(self) -> Result<Vec<Value>> {
        numbered(self)
    }
}

impl<T: Clone + Arg> Args for &[T] {
    fn into_values(self) -> Result<Vec<Value>> {
        numbered(self.iter().cloned())
    }
}

fn numbered<T: Arg>(args: impl IntoIterator<Item = T>) -> Result<Vec<Value>> {
    all(args.into_iter().enumerate().map(|(index, arg)| arg.into_arg(format_args!("args[{index}]"))))
}

/// All of them, or the first error. What is nested too deep must be dropped in no other way than by taking it apart.
pub(super) fn all<T: TakeApart>(values: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut values = values.into_iter();
    let mut all = Vec::with_capacity(values.size_hint().0);
    while let Some(value) = values.next() {
        match value {
            Ok(value) => all.push(value),
            Err(error) => {
                all.into_iter().chain(values.filter_map(Result::ok)).for_each(T::take_apart);
                return Err(error);
            }
        }
    }
    Ok(all)
}

/// A value, or a name and a value.
pub(super) trait TakeApart {
    fn take_apart(self);
}

impl TakeApart for Value {
    fn take_apart(self) {
        Value::take_apart(self);
    }
}

impl TakeApart for (Value, Value) {
    fn take_apart(self) {
        self.1.take_apart();
    }
}

/// Those of a tuple.
fn items(value: Value) -> std::result::Result<Vec<Value>, WrongType> {
    match value {
        Value::Tuple(items) => Ok(items),
        // Numbers, where arrays were asked for, too.
        Value::Buffer(buffer) => buffer.to_list().ok_or_else(|| WrongType::expected("tuple", &Value::Buffer(buffer))),
        other => Err(WrongType::expected("tuple", &other)),
    }
}

macro_rules! tuples {
    ($($count:literal: $($index:literal $type:ident)*;)*) => { $(
        impl<$($type: Arg),*> Args for ($($type,)*) {
            #[allow(non_snake_case)]
            fn into_values(self) -> Result<Vec<Value>> {
                let ($($type,)*) = self;
                all([$($type.into_arg(format_args!("args[{}]", $index))),*])
            }
        }

        impl<$($type: Into<Value>),*> From<($($type,)*)> for Value {
            #[allow(non_snake_case)]
            fn from(tuple: ($($type,)*)) -> Value {
                let ($($type,)*) = tuple;
                Value::Tuple(vec![$($type.into()),*])
            }
        }

        impl<$($type: Into<Value>),*> ListItem for ($($type,)*) {}

        impl<$($type: Clone + Into<Value>),*> From<&($($type,)*)> for Value {
            fn from(tuple: &($($type,)*)) -> Value {
                tuple.clone().into()
            }
        }

        impl<$($type: FromValue),*> FromValue for ($($type,)*) {
            const ROOT: Results = Results::VALUE$(.and($type::PART))*;

            fn from_value(value: Value) -> std::result::Result<($($type,)*), WrongType> {
                let items = items(value)?;
                if items.len() != $count {
                    return Err(WrongType::count("tuple", items.len(), $count));
                }
                let mut items = items.into_iter().enumerate();
                Ok(($({
                    let (index, item) = items.next().unwrap_or_default();
                    $type::from_value(item).map_err(|wrong| wrong.at(format_args!("[{index}]")))?
                },)*))
            }
        }
    )* };
}

tuples! {
    1: 0 A;
    2: 0 A 1 B;
    3: 0 A 1 B 2 C;
    4: 0 A 1 B 2 C 3 D;
    5: 0 A 1 B 2 C 3 D 4 E;
    6: 0 A 1 B 2 C 3 D 4 E 5 F;
    7: 0 A 1 B 2 C 3 D 4 E 5 F 6 G;
    8: 0 A 1 B 2 C 3 D 4 E 5 F 6 G 7 H;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_one_type_may_be_a_sequence() {
        fn values(args: impl Args) -> Vec<Value> {
            args.into_values().unwrap()
        }
        let expected = [Value::Int(1), Value::Int(2)];
        assert_eq!(values((1, 2u8)), expected);
        assert_eq!(values([1, 2]), expected);
        assert_eq!(values(vec![1u8, 2]), expected);
        assert_eq!(values(&[1, 2][..]), expected);
        assert_eq!(values(&expected[..]), expected);
        assert_eq!(values(expected.to_vec()), expected);
        assert_eq!(values(()), []);
    }
}
