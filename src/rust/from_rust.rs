//! Values from Rust's types.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::buffer::Buffer;
use super::object::Object;
use super::queue::Queue;
use super::to_rust::{Awaited, Buffers, Objects};
use super::value::Value;

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
    &Value: value => value.clone();
    Object: object => Value::Object(object);
    &Object: object => Value::Object(object.clone());
    Buffer: buffer => Value::Buffer(buffer);
    &Buffer: buffer => Value::Buffer(buffer.clone());
    Queue: queue => Value::Queue(queue);
    &Queue: queue => Value::Queue(queue.clone());
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

impl<T: Into<Value>> From<Objects<T>> for Value {
    fn from(value: Objects<T>) -> Value {
        value.0.into()
    }
}

impl<T: Into<Value>> From<Awaited<T>> for Value {
    fn from(value: Awaited<T>) -> Value {
        value.0.into()
    }
}

impl<T: Into<Value>> From<Buffers<T>> for Value {
    fn from(value: Buffers<T>) -> Value {
        value.0.into()
    }
}

fn dict<K: Into<Value>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
    Value::Dict(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

/// A list; of [`u8`], bytes.
impl<T: ListItem> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        T::all(items)
    }
}

/// A list; of [`u8`], bytes.
impl<T: ListItem, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Value {
        T::all(items.into())
    }
}

/// A list; of [`u8`], bytes.
impl<T: ListItem> From<Box<[T]>> for Value {
    fn from(items: Box<[T]>) -> Value {
        T::all(items.into())
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

/// What a [`Vec`], an array or a slice holds to be a list: everything that is a [`Value`]. But a sequence of [`u8`] is
/// bytes.
///
/// A type of your own needs it too:
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
/// assert_eq!(Value::from(line), Value::from([(0.0, 0.0), (1.0, 2.0)]));
/// ```
pub trait ListItem: Into<Value> {
    /// What a sequence of them is in Python.
    #[doc(hidden)]
    fn all(items: Vec<Self>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl ListItem for u8 {
    fn all(items: Vec<u8>) -> Value {
        Value::Bytes(items)
    }
}

impl<'a, T: ?Sized> ListItem for &'a T where &'a T: Into<Value> {}

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
    [] String;
    [] Cow<'_, str>;
    [] Value;
    [] Buffer;
    [] Object;
    [] Queue;
    [T: Into<Value>] Option<T>;
    [T: ListItem] Vec<T>;
    [T: ListItem] Box<[T]>;
    [T: ListItem, const N: usize] [T; N];
    [K: Into<Value>, V: Into<Value>, S] HashMap<K, V, S>;
    [K: Into<Value>, V: Into<Value>] BTreeMap<K, V>;
}

/// A list; of [`u8`], bytes.
impl<T: ListItem + Clone> From<&[T]> for Value {
    fn from(items: &[T]) -> Value {
        T::all(items.into())
    }
}

/// A list; of [`u8`], such as the literal `b"..."`, bytes.
impl<T: ListItem + Clone, const N: usize> From<&[T; N]> for Value {
    fn from(items: &[T; N]) -> Value {
        T::all(items.into())
    }
}

/// A list; of [`u8`], bytes.
impl<T: ListItem + Clone> From<&Vec<T>> for Value {
    fn from(items: &Vec<T>) -> Value {
        T::all(items.clone())
    }
}

/// A list; of [`u8`], bytes.
impl<T: ListItem + Clone> From<&Box<[T]>> for Value {
    fn from(items: &Box<[T]>) -> Value {
        T::all(items.to_vec())
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
        same(&vec![1u8, 2]);
        same(&[1u8, 2]);
        same(&vec![1u8, 2].into_boxed_slice());
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
    fn a_sequence_of_u8_is_bytes() {
        let bytes = Value::Bytes(vec![1, 2]);
        assert_eq!(Value::from(vec![1u8, 2]), bytes);
        assert_eq!(Value::from([1u8, 2]), bytes);
        assert_eq!(Value::from(vec![1u8, 2].into_boxed_slice()), bytes);
        assert_eq!(Value::from(&[1u8, 2][..]), bytes);
        assert_eq!(Value::from(&[1u8, 2]), bytes);
        assert_eq!(Value::from(&vec![1u8, 2]), bytes);
        assert_eq!(Value::from(b"\x01\x02"), bytes);
        assert_eq!(Value::from(Vec::<u8>::new()), Value::Bytes(vec![]));
        assert_eq!(Value::from([vec![1u8, 2]]), Value::List(vec![bytes.clone()]));
        assert_eq!(Value::from([b"\x01\x02"]), Value::List(vec![bytes.clone()]));
        assert_eq!(Value::from(Some([1u8, 2])), bytes);

        let list = Value::List(vec![Value::Int(1), Value::Int(2)]);
        assert_eq!(Value::from(vec![1i8, 2]), list);
        assert_eq!(Value::from([1u16, 2]), list);
        assert_eq!(Value::from(&[1, 2]), list);
        assert_eq!(Value::from([&1u8, &2]), list);
        assert_eq!(Value::from(vec![Value::from(1u8), Value::from(2u8)]), list);
    }

    #[test]
    fn text_of_any_kind_is_a_str() {
        let text = Value::Str("text".into());
        assert_eq!(Value::from(Cow::Borrowed("text")), text);
        assert_eq!(Value::from(Cow::<str>::Owned("text".into())), text);
        assert_eq!(Value::from(["text"].as_slice()), Value::List(vec![text]));
    }
}
