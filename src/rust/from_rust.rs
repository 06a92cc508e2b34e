//! Values from Rust's types.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::value::{Bytes, Value};

macro_rules! from_small_int {
    ($($type:ty)*) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Value {
                Value::Int(value.into())
            }
        }
    )* };
}

macro_rules! from_large_int {
    ($($type:ty)*) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Value {
                i64::try_from(value).map_or_else(|_| big_int(value < 0 as $type, value.abs_diff(0) as u128), Value::Int)
            }
        }
    )* };
}

fn big_int(negative: bool, digits: u128) -> Value {
    Value::BigInt(format!("{}{digits:#x}", if negative { "-" } else { "" }))
}

from_small_int!(i8 i16 i32 i64 u8 u16 u32);
from_large_int!(isize usize u64 i128 u128);

macro_rules! from_simple {
    ($($type:ty: $variable:ident => $value:expr;)*) => { $(
        impl From<$type> for Value {
            fn from($variable: $type) -> Value {
                $value
            }
        }
    )* };
}

from_simple! {
    bool: value => Value::Bool(value);
    f64: value => Value::Float(value);
    f32: value => Value::Float(value.into());
    &str: text => Value::Str(text.into());
    &&str: text => Value::Str((*text).into());
    String: text => Value::Str(text);
    &String: text => Value::Str(text.clone());
    Cow<'_, str>: text => Value::Str(text.into_owned());
    char: letter => Value::Str(letter.into());
    &[u8]: bytes => Value::Bytes(bytes.into());
    Bytes: bytes => Value::Bytes(bytes.0);
    &Bytes: bytes => Value::Bytes(bytes.0.clone());
    &Value: value => value.clone();
}

/// None
impl From<()> for Value {
    fn from((): ()) -> Value {
        Value::None
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

fn list<T: Into<Value>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(items.into_iter().map(Into::into).collect())
}

fn dict<K: Into<Value>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
    Value::Dict(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

/// A list; for bytes, see [`Bytes`].
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        list(items)
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Value {
        list(items)
    }
}

/// A list; for bytes, see [`Bytes`].
impl<T: Into<Value>> From<Box<[T]>> for Value {
    fn from(items: Box<[T]>) -> Value {
        list(items)
    }
}

impl<K: Into<Value>, V: Into<Value>, S> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Value {
        dict(map)
    }
}

impl<K: Into<Value>, V: Into<Value>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Value {
        dict(map)
    }
}

// ---- from references ----

macro_rules! from_reference {
    ($($type:ty)*) => { $(
        impl From<&$type> for Value {
            fn from(value: &$type) -> Value {
                (*value).into()
            }
        }
    )* };
}

from_reference!(() bool char f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

/// What a slice or a reference to an array or a [`Vec`] holds to be a list: anything that is a [`Value`], but [`u8`],
/// whose slices are bytes.
///
/// A type of your own whose slices are to be arguments needs it too:
///
/// ```
/// use subpy::{ListItem, Value};
///
/// #[derive(Clone)]
/// struct Point { x: f64, y: f64 }
///
/// impl From<Point> for Value {
///     fn from(point: Point) -> Value {
///         (point.x, point.y).into()
///     }
/// }
///
/// impl ListItem for Point {}
///
/// let line = [Point { x: 0.0, y: 0.0 }, Point { x: 1.0, y: 2.0 }];
/// assert_eq!(Value::from(&line[..]), Value::from([(0.0, 0.0), (1.0, 2.0)]));
/// ```
pub trait ListItem: Clone + Into<Value> {}

macro_rules! list_item {
    ($([$($parameters:tt)*] $type:ty;)*) => { $(
        impl<$($parameters)*> ListItem for $type {}
    )* };
}

list_item! {
    [] ();
    [] bool;
    [] char;
    [] f32;
    [] f64;
    [] i8;
    [] i16;
    [] i32;
    [] i64;
    [] i128;
    [] isize;
    [] u16;
    [] u32;
    [] u64;
    [] u128;
    [] usize;
    [] &str;
    [] String;
    [] &String;
    [] Cow<'_, str>;
    [] Bytes;
    [] &[u8];
    [const N: usize] &[u8; N];
    [] Value;
    [] &Value;
    [T: Clone + Into<Value>] Option<T>;
    [T: Clone + Into<Value>] Vec<T>;
    [T: Clone + Into<Value>] Box<[T]>;
    [T: Clone + Into<Value>, const N: usize] [T; N];
    [K: Clone + Into<Value>, V: Clone + Into<Value>, S: Clone] HashMap<K, V, S>;
    [K: Clone + Into<Value>, V: Clone + Into<Value>] BTreeMap<K, V>;
}

/// Bytes, such as a literal: `b"..."`.
impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Value {
        Value::Bytes(bytes.into())
    }
}

/// A list.
impl<T: ListItem> From<&[T]> for Value {
    fn from(items: &[T]) -> Value {
        list(items.iter().cloned())
    }
}

/// A list.
impl<T: ListItem, const N: usize> From<&[T; N]> for Value {
    fn from(items: &[T; N]) -> Value {
        list(items.iter().cloned())
    }
}

/// A list.
impl<T: ListItem> From<&Vec<T>> for Value {
    fn from(items: &Vec<T>) -> Value {
        list(items.iter().cloned())
    }
}

impl<T: Clone + Into<Value>> From<&Option<T>> for Value {
    fn from(value: &Option<T>) -> Value {
        value.clone().into()
    }
}

impl<K: Clone + Into<Value>, V: Clone + Into<Value>, S> From<&HashMap<K, V, S>> for Value {
    fn from(map: &HashMap<K, V, S>) -> Value {
        dict(map.iter().map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl<K: Clone + Into<Value>, V: Clone + Into<Value>> From<&BTreeMap<K, V>> for Value {
    fn from(map: &BTreeMap<K, V>) -> Value {
        dict(map.iter().map(|(key, value)| (key.clone(), value.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_gives_what_the_thing_gives() {
        fn same<T: Clone + Into<Value>>(thing: &T)
        where
            for<'a> &'a T: Into<Value>,
        {
            assert_eq!(thing.into(), thing.clone().into());
        }
        same(&());
        same(&true);
        same(&7);
        same(&u128::MAX);
        same(&1.5f32);
        same(&'x');
        same(&"text");
        same(&String::from("text"));
        same(&Bytes(vec![1, 2]));
        same(&Value::List(vec![Value::None]));
        same(&Some("text"));
        same(&None::<i32>);
        same(&vec![vec![1, 2], vec![]]);
        same(&[Some("a"), None]);
        same(&(1, "two", vec![3.0]));
        same(&BTreeMap::from([("a", vec![1]), ("b", vec![])]));
        same(&HashMap::from([(1, (2, 3))]));
    }

    #[test]
    fn bytes_are_behind_references_alone() {
        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        let bytes = Value::Bytes(vec![1, 2]);
        assert_eq!(Value::from(vec![1u8, 2]), list);
        assert_eq!(Value::from([1u8, 2]), list);
        assert_eq!(Value::from(vec![1u8, 2].into_boxed_slice()), list);
        assert_eq!(Value::from(&[1u16, 2][..]), list);
        assert_eq!(Value::from(&[1, 2]), list);
        assert_eq!(Value::from(&[1u8, 2][..]), bytes);
        assert_eq!(Value::from(b"\x01\x02"), bytes);
        assert_eq!(Value::from(Bytes(vec![1, 2])), bytes);
        assert_eq!(Value::from(vec![b"\x01\x02"]), Value::List(vec![bytes]));
    }

    #[test]
    fn text_of_any_kind_is_a_str() {
        let text = Value::Str("text".into());
        assert_eq!(Value::from(Cow::Borrowed("text")), text);
        assert_eq!(Value::from(Cow::<str>::Owned("text".into())), text);
        assert_eq!(Value::from(["text"].as_slice()), Value::List(vec![text]));
    }
}
