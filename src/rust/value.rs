//! Values, from and to Rust's types.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use crate::manager::{Error, Kind};

/// A value that crosses between Rust and Python, always as a copy.
///
/// None, bool, int, float, str, bytes, tuple, list and dict cross exactly, in both directions. What Python returns
/// besides these is [`Kind::NotShareable`]. Rust's types become values with [`From`], and values become Rust's types
/// with [`FromValue`]:
///
/// | Python | Rust |
/// |---|---|
/// | None | `()`, the `None` of an [`Option`] |
/// | bool | [`bool`] |
/// | int | every integer type that holds it |
/// | float | [`f64`], [`f32`] (to Python exactly, from Python when nothing is lost) |
/// | str | [`String`], `&str`, [`char`] |
/// | bytes | [`Value::Bytes`], `&[u8]` to Python |
/// | tuple | tuples of up to eight |
/// | list | [`Vec`] |
/// | dict | [`HashMap`], [`BTreeMap`]; [`Value::Dict`] keeps the order |
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// None
    #[default]
    None,
    /// bool
    Bool(bool),
    /// an int that fits 64 bits
    Int(i64),
    /// any other int, in hexadecimal: `-0x1ff`
    BigInt(String),
    /// float
    Float(f64),
    /// str
    Str(String),
    /// bytes
    Bytes(Vec<u8>),
    /// tuple
    Tuple(Vec<Value>),
    /// list
    List(Vec<Value>),
    /// dict, in insertion order
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The value that a dict has for a str key. Looks at the pairs one by one.
    ///
    /// ```
    /// let dict = subpy::Value::Dict(vec![("a".into(), 1.into())]);
    /// assert_eq!(dict.get("a"), Some(&subpy::Value::Int(1)));
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value> {
        let Value::Dict(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| matches!(name, Value::Str(name) if name == key)).map(|(_, value)| value)
    }

    /// The name of its type in Python.
    fn type_name(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::Tuple(_) => "tuple",
            Value::List(_) => "list",
            Value::Dict(_) => "dict",
        }
    }
}

// ---- from Rust ----

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
    String: text => Value::Str(text);
    &String: text => Value::Str(text.clone());
    char: letter => Value::Str(letter.into());
    &[u8]: bytes => Value::Bytes(bytes.into());
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

/// A list; for bytes, see [`Value::Bytes`].
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>, S> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Value {
        Value::Dict(map.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Value {
        Value::Dict(map.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

// ---- to Rust ----

/// A value has another type than was asked for, or does not fit it: `result[3]: int 300 does not fit u8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongType {
    path: String,
    reason: String,
}

impl WrongType {
    /// For types of your own that are made from a value.
    pub fn new(reason: impl Into<String>) -> WrongType {
        WrongType { path: String::new(), reason: reason.into() }
    }

    fn expected(expected: &str, value: &Value) -> WrongType {
        WrongType::new(format!("{} is not {expected}", value.type_name()))
    }

    /// The same, of a part of the value.
    fn at(mut self, part: std::fmt::Arguments) -> WrongType {
        self.path = format!("{part}{}", self.path);
        self
    }
}

impl std::fmt::Display for WrongType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "result{}: {}", self.path, self.reason)
    }
}

impl std::error::Error for WrongType {}

impl From<WrongType> for Error {
    fn from(wrong: WrongType) -> Error {
        Kind::WrongType(wrong.to_string()).into()
    }
}

/// What a result can be made into. Strict: nothing is rounded, cut or guessed.
///
/// Write it for types of your own:
///
/// ```
/// use subpy::{FromValue, Value, WrongType};
///
/// struct Point { x: f64, y: f64 }
///
/// impl FromValue for Point {
///     fn from_value(value: Value) -> Result<Point, WrongType> {
///         let (x, y) = FromValue::from_value(value)?;
///         Ok(Point { x, y })
///     }
/// }
/// ```
pub trait FromValue: Sized {
    /// Makes one out of a value.
    ///
    /// # Errors
    /// The value has another type, or does not fit.
    fn from_value(value: Value) -> Result<Self, WrongType>;
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Value, WrongType> {
        Ok(value)
    }
}

/// Whatever came back is None.
impl FromValue for () {
    fn from_value(value: Value) -> Result<(), WrongType> {
        match value {
            Value::None => Ok(()),
            other => Err(WrongType::expected("None", &other)),
        }
    }
}

macro_rules! to_int {
    ($($type:ty)*) => { $(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<$type, WrongType> {
                let fits = match &value {
                    Value::Int(value) => <$type>::try_from(*value).ok(),
                    Value::BigInt(text) => parse_hex(text).and_then(|(negative, digits)| {
                        if negative {
                            0i128.checked_sub_unsigned(digits).and_then(|value| <$type>::try_from(value).ok())
                        } else {
                            <$type>::try_from(digits).ok()
                        }
                    }),
                    other => return Err(WrongType::expected("int", other)),
                };
                let shown = match &value {
                    Value::Int(value) => value.to_string(),
                    Value::BigInt(text) if text.len() > 40 => format!("{}...", text.get(..40).unwrap_or_default()),
                    Value::BigInt(text) => text.clone(),
                    _ => String::new(),
                };
                fits.ok_or_else(|| WrongType::new(format!("int {shown} does not fit {}", stringify!($type))))
            }
        }
    )* };
}

/// Sign and digits of "-0x1ff", when they fit.
fn parse_hex(text: &str) -> Option<(bool, u128)> {
    let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("0x")?;
    Some((text.starts_with('-'), u128::from_str_radix(digits, 16).ok()?))
}

to_int!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl FromValue for bool {
    fn from_value(value: Value) -> Result<bool, WrongType> {
        match value {
            Value::Bool(value) => Ok(value),
            other => Err(WrongType::expected("bool", &other)),
        }
    }
}

/// A float, or an int that is exact as one.
impl FromValue for f64 {
    fn from_value(value: Value) -> Result<f64, WrongType> {
        match value {
            Value::Float(value) => Ok(value),
            Value::Int(int) if int.unsigned_abs() <= 1 << 53 => Ok(int as f64),
            Value::Int(int) => Err(WrongType::new(format!("int {int} is not exact as f64"))),
            other => Err(WrongType::expected("float", &other)),
        }
    }
}

/// A float that loses nothing as one of 32 bits.
impl FromValue for f32 {
    fn from_value(value: Value) -> Result<f32, WrongType> {
        let value = f64::from_value(value)?;
        if value.is_nan() || f64::from(value as f32) == value {
            Ok(value as f32)
        } else {
            Err(WrongType::new(format!("float {value} is not exact as f32")))
        }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<String, WrongType> {
        match value {
            Value::Str(text) => Ok(text),
            other => Err(WrongType::expected("str", &other)),
        }
    }
}

impl FromValue for char {
    fn from_value(value: Value) -> Result<char, WrongType> {
        let text = String::from_value(value)?;
        let mut letters = text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(WrongType::new(format!("str of {} characters is not a char", text.chars().count()))),
        }
    }
}

/// None, or the other.
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Option<T>, WrongType> {
        match value {
            Value::None => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// A list.
impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Vec<T>, WrongType> {
        let Value::List(items) = value else { return Err(WrongType::expected("list", &value)) };
        let convert = |(index, item)| T::from_value(item).map_err(|wrong| wrong.at(format_args!("[{index}]")));
        items.into_iter().enumerate().map(convert).collect()
    }
}

fn pairs<K: FromValue, V: FromValue, M: FromIterator<(K, V)>>(value: Value) -> Result<M, WrongType> {
    let Value::Dict(pairs) = value else { return Err(WrongType::expected("dict", &value)) };
    let convert = |(index, (key, value)): (usize, (Value, Value))| {
        let name = match &key {
            Value::Str(text) => format!("[{text:?}]"),
            Value::Int(number) => format!("[{number}]"),
            _ => format!("[key {index}]"),
        };
        let key = K::from_value(key).map_err(|wrong| wrong.at(format_args!(" key {index}")))?;
        Ok((key, V::from_value(value).map_err(|wrong| wrong.at(format_args!("{name}")))?))
    };
    pairs.into_iter().enumerate().map(convert).collect()
}

impl<K: FromValue + Eq + Hash, V: FromValue, S: BuildHasher + Default> FromValue for HashMap<K, V, S> {
    fn from_value(value: Value) -> Result<HashMap<K, V, S>, WrongType> {
        pairs(value)
    }
}

impl<K: FromValue + Ord, V: FromValue> FromValue for BTreeMap<K, V> {
    fn from_value(value: Value) -> Result<BTreeMap<K, V>, WrongType> {
        pairs(value)
    }
}

// ---- tuples, and arguments ----

/// The positional arguments of a call: a tuple of what has a [`Value`], `()` for none, or a list of values.
pub trait Args {
    /// They, as values.
    fn into_values(self) -> Vec<Value>;
}

impl Args for () {
    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

impl Args for Vec<Value> {
    fn into_values(self) -> Vec<Value> {
        self
    }
}

impl Args for &[Value] {
    fn into_values(self) -> Vec<Value> {
        self.to_vec()
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
    fn integers_are_exact() {
        assert_eq!(Value::from(u64::MAX), Value::BigInt("0xffffffffffffffff".into()));
        assert_eq!(Value::from(i128::MIN), Value::BigInt("-0x80000000000000000000000000000000".into()));
        assert_eq!(i128::from_value(Value::from(i128::MIN)), Ok(i128::MIN));
        assert_eq!(u128::from_value(Value::from(u128::MAX)), Ok(u128::MAX));
        assert_eq!(u8::from_value(Value::Int(255)), Ok(255));
        let message = |wrong: WrongType| wrong.to_string();
        assert_eq!(u8::from_value(Value::Int(256)).map_err(message), Err("result: int 256 does not fit u8".into()));
        assert!(u64::from_value(Value::from(-1)).is_err());
        assert!(i64::from_value(Value::from(u64::MAX)).is_err());
        assert!(i64::from_value(Value::Bool(true)).is_err());
        assert!(f64::from_value(Value::Int((1 << 53) + 1)).is_err());
        assert!(f32::from_value(Value::Float(0.1)).is_err());
    }

    #[test]
    fn errors_name_the_path() {
        type Type = BTreeMap<String, Vec<(i64, Option<u8>)>>;
        let value = |last: i64| {
            let list = vec![(1, Some(2i64)), (3, None), (4, Some(last))];
            Value::from(BTreeMap::from([("a", list)]))
        };
        assert_eq!(Type::from_value(value(7)).unwrap()["a"], vec![(1, Some(2)), (3, None), (4, Some(7))]);
        let wrong = Type::from_value(value(300)).unwrap_err();
        assert_eq!(wrong.to_string(), "result[\"a\"][2][1]: int 300 does not fit u8");
        let wrong = <(i64, i64)>::from_value(Value::Tuple(vec![])).unwrap_err();
        assert_eq!(wrong.to_string(), "result: tuple has 0 items, not 2");
    }
}
