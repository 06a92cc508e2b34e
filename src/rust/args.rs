//! Tuples: as values, and as the arguments of a call.

use super::from_rust::ListItem;
use super::to_rust::{FromValue, WrongType};
use super::value::Value;

/// The positional arguments of a call: a tuple of what has a [`Value`], `()` for none; or a [`Vec`], array or slice,
/// when all are of one type.
pub trait Args {
    /// They, as values.
    fn into_values(self) -> Vec<Value>;
}

impl Args for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

impl<T: Into<Value>> Args for Vec<T> {
    fn into_values(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<Value>, const N: usize> Args for [T; N] {
    fn into_values(self) -> Vec<Value> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Clone + Into<Value>> Args for &[T] {
    fn into_values(self) -> Vec<Value> {
        self.iter().cloned().map(Into::into).collect()
    }
}

macro_rules! tuples {
    ($($count:literal: $($type:ident)*;)*) => { $(
        impl<$($type: Into<Value>),*> Args for ($($type,)*) {
            #[allow(non_snake_case)]
            fn into_values(self) -> Vec<Value> {
                let ($($type,)*) = self;
                vec![$($type.into()),*]
            }
        }

        impl<$($type: Into<Value>),*> From<($($type,)*)> for Value {
            fn from(tuple: ($($type,)*)) -> Value {
                Value::Tuple(tuple.into_values())
            }
        }

        impl<$($type: Clone + Into<Value>),*> ListItem for ($($type,)*) {}

        impl<$($type: Clone + Into<Value>),*> From<&($($type,)*)> for Value {
            fn from(tuple: &($($type,)*)) -> Value {
                tuple.clone().into()
            }
        }

        impl<$($type: FromValue),*> FromValue for ($($type,)*) {
            fn from_value(value: Value) -> Result<($($type,)*), WrongType> {
                let Value::Tuple(items) = value else { return Err(WrongType::expected("tuple", &value)) };
                if items.len() != $count {
                    return Err(WrongType::new(format!("tuple has {} items, not {}", items.len(), $count)));
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
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_one_type_may_be_a_sequence() {
        fn values(args: impl Args) -> Vec<Value> {
            args.into_values()
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
