//! Rust's types from values.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};

use super::buffer::Buffer;
use super::object::Object;
use super::queue::Queue;
use super::value::Value;
use crate::manager::{Error, Kind};
use crate::value::Results;

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

    pub(super) fn expected(expected: &str, value: &Value) -> WrongType {
        WrongType::new(format!("{} is not {expected}", value.type_name()))
    }

    /// A sequence of another length.
    pub(super) fn count(name: &str, len: usize, expected: usize) -> WrongType {
        WrongType::new(format!("{name} has {len} items, not {expected}"))
    }

    /// In words, of a value that is called `name`.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{name}{}: {}", self.path, self.reason)
    }

    /// The same, of a part of the value.
    pub(super) fn at(mut self, part: std::fmt::Arguments) -> WrongType {
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
    /// In what form it wants a result.
    #[doc(hidden)]
    const ROOT: Results = Results::VALUE;

    /// In what form it wants a result that it is a part of.
    #[doc(hidden)]
    const PART: Results = Self::ROOT;

    /// Makes one out of a value.
    ///
    /// # Errors
    /// The value has another type, or does not fit.
    fn from_value(value: Value) -> Result<Self, WrongType>;

    /// Makes a sequence of them out of a value.
    #[doc(hidden)]
    fn all_from_value(value: Value) -> Result<Vec<Self>, WrongType> {
        // A list, where arrays were asked for, too.
        if let Value::Buffer(buffer) = &value
            && let Some(items) = buffer.to_list()
        {
            return Self::list_from(items);
        }
        let Value::List(items) = value else { return Err(WrongType::expected("list", &value)) };
        Self::list_from(items)
    }

    /// Makes a sequence of them out of the items of a list.
    #[doc(hidden)]
    fn list_from(items: Vec<Value>) -> Result<Vec<Self>, WrongType> {
        let convert = |(index, item)| Self::from_value(item).map_err(|wrong| wrong.at(format_args!("[{index}]")));
        items.into_iter().enumerate().map(convert).collect()
    }
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Value, WrongType> {
        Ok(value)
    }
}

/// A `T`, a [`Value`] for one, in which what has no value is an [`Object`]. Without it that is
/// [`Kind::NotShareable`].
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Interpreter, Objects, Value};
///
/// let interp = Interpreter::create()?;
/// let Objects(Value::List(items)) = interp.eval("[1, print]")? else { panic!("a list") };
/// assert!(matches!(&items[..], [Value::Int(1), Value::Object(_)]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Objects<T = Value>(pub T);

impl<T: FromValue> FromValue for Objects<T> {
    const ROOT: Results = Results::OBJECTS.and(T::PART);

    fn from_value(value: Value) -> Result<Objects<T>, WrongType> {
        T::from_value(value).map(Objects)
    }
}

/// A `T` that something awaitable comes to, for one what an `async def` function returns: it is run to its end, on an event
/// loop of asyncio that the interpreter keeps. What is not awaitable is a `T` as it is.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Awaited, Interpreter};
///
/// let interp = Interpreter::create()?;
/// interp.exec("import asyncio\nasync def twice(x):\n    await asyncio.sleep(0)\n    return 2 * x")?;
/// let Awaited(twice) = interp.call("twice", (21,))?;
/// assert_eq!(42, twice);
/// assert_eq!(Awaited([2, 4]), interp.eval("await asyncio.gather(twice(1), twice(2))")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited<T = Value>(pub T);

impl<T: FromValue> FromValue for Awaited<T> {
    const ROOT: Results = T::ROOT.and(Results::ASYNC);
    const PART: Results = T::PART;

    fn from_value(value: Value) -> Result<Awaited<T>, WrongType> {
        T::from_value(value).map(Awaited)
    }
}

/// A `T`, a [`Value`] for one, in which what has a buffer, or is a row of numbers, is a
/// [`Buffer`](crate::Buffer), and not copied.
#[derive(Debug, Clone, PartialEq)]
pub struct Buffers<T = Value>(pub T);

impl<T: FromValue> FromValue for Buffers<T> {
    const ROOT: Results = Buffer::ROOT.and(T::PART);

    fn from_value(value: Value) -> Result<Buffers<T>, WrongType> {
        T::from_value(value).map(Buffers)
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
    ($($type:ident $({ $($more:tt)* })?)*) => { $(
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
                fits.ok_or_else(|| WrongType::new(format!("int {} does not fit {}", shown(&value), stringify!($type))))
            }

            $($($more)*)?
        }
    )* };
}

/// An int in a message.
fn shown(int: &Value) -> String {
    match int {
        Value::Int(value) => value.to_string(),
        Value::BigInt(text) if text.len() > 40 => format!("{}...", text.get(..40).unwrap_or_default()),
        Value::BigInt(text) => text.clone(),
        _ => String::new(),
    }
}

/// Sign and digits of "-0x1ff", when they fit.
fn parse_hex(text: &str) -> Option<(bool, u128)> {
    let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("0x")?;
    Some((text.starts_with('-'), u128::from_str_radix(digits, 16).ok()?))
}

to_int! {
    i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize
    u8 {
        fn all_from_value(value: Value) -> Result<Vec<u8>, WrongType> {
            match value {
                Value::Bytes(bytes) => Ok(bytes),
                // Bytes, where buffers were asked for, too.
                Value::Buffer(buffer) if buffer.shape().len() == 1 => {
                    buffer.to_vec().map_err(|error| WrongType::new(error.to_string()))
                }
                other => Err(WrongType::expected("bytes", &other)),
            }
        }
    }
}

impl FromValue for Object {
    const ROOT: Results = Results::OBJECT;
    const PART: Results = Results::OBJECTS;

    fn from_value(value: Value) -> Result<Object, WrongType> {
        match value {
            Value::Object(object) => Ok(object),
            other => Err(WrongType::expected("object", &other)),
        }
    }
}

impl FromValue for Queue {
    fn from_value(value: Value) -> Result<Queue, WrongType> {
        match value {
            Value::Queue(queue) => Ok(queue),
            other => Err(WrongType::expected("Queue", &other)),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<bool, WrongType> {
        match value {
            Value::Bool(value) => Ok(value),
            other => Err(WrongType::expected("bool", &other)),
        }
    }
}

/// A float, or an int up to 2^53.
impl FromValue for f64 {
    fn from_value(value: Value) -> Result<f64, WrongType> {
        match value {
            Value::Float(value) => Ok(value),
            Value::Int(int) if int.unsigned_abs() <= 1 << 53 => Ok(int as f64),
            Value::Int(_) | Value::BigInt(_) => {
                Err(WrongType::new(format!("int {} is beyond 2^53, where f64 is not exact", shown(&value))))
            }
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
    const ROOT: Results = T::PART;

    fn from_value(value: Value) -> Result<Option<T>, WrongType> {
        match value {
            Value::None => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// A list; of [`u8`], bytes.
impl<T: FromValue> FromValue for Vec<T> {
    const ROOT: Results = T::PART;

    fn from_value(value: Value) -> Result<Vec<T>, WrongType> {
        T::all_from_value(value)
    }
}

/// A list; of [`u8`], bytes.
impl<T: FromValue> FromValue for Box<[T]> {
    const ROOT: Results = T::PART;

    fn from_value(value: Value) -> Result<Box<[T]>, WrongType> {
        T::all_from_value(value).map(Vec::into_boxed_slice)
    }
}

/// A list of just as many items; of [`u8`], bytes.
impl<T: FromValue, const N: usize> FromValue for [T; N] {
    const ROOT: Results = T::PART;

    fn from_value(value: Value) -> Result<[T; N], WrongType> {
        let name = value.type_name();
        let items = T::all_from_value(value)?;
        items.try_into().map_err(|items: Vec<T>| WrongType::count(name, items.len(), N))
    }
}

/// The way to the value that a dict has for a key, its pair's number given.
pub(super) fn key_name(key: &Value, index: usize) -> String {
    match key {
        Value::Str(text) => format!("[{text:?}]"),
        Value::Int(number) => format!("[{number}]"),
        _ => format!("[key {index}]"),
    }
}

fn pairs<K: FromValue, V: FromValue, M: FromIterator<(K, V)>>(value: Value) -> Result<M, WrongType> {
    let Value::Dict(pairs) = value else { return Err(WrongType::expected("dict", &value)) };
    let convert = |(index, (key, value)): (usize, (Value, Value))| {
        let name = key_name(&key, index);
        let key = K::from_value(key).map_err(|wrong| wrong.at(format_args!(" key {index}")))?;
        Ok((key, V::from_value(value).map_err(|wrong| wrong.at(format_args!("{name}")))?))
    };
    pairs.into_iter().enumerate().map(convert).collect()
}

impl<K: FromValue + Eq + Hash, V: FromValue, S: BuildHasher + Default> FromValue for HashMap<K, V, S> {
    const ROOT: Results = K::PART.and(V::PART);

    fn from_value(value: Value) -> Result<HashMap<K, V, S>, WrongType> {
        pairs(value)
    }
}

impl<K: FromValue + Ord, V: FromValue> FromValue for BTreeMap<K, V> {
    const ROOT: Results = K::PART.and(V::PART);

    fn from_value(value: Value) -> Result<BTreeMap<K, V>, WrongType> {
        pairs(value)
    }
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
        assert_eq!(f64::from_value(Value::Int(-1 << 53)), Ok(-9_007_199_254_740_992.0));
        let float = |value: Value| f64::from_value(value).map_err(message);
        let beyond = |int| Err(format!("result: int {int} is beyond 2^53, where f64 is not exact"));
        assert_eq!(float(Value::Int((1 << 53) + 1)), beyond("9007199254740993"));
        assert_eq!(float(Value::from(1u128 << 64)), beyond("0x10000000000000000"));
        assert_eq!(float(Value::from("1")), Err("result: str is not float".into()));
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

    #[test]
    fn sequences_of_any_kind() {
        let list = || Value::from(vec![1, 2, 3]);
        let message = |wrong: WrongType| wrong.to_string();
        assert_eq!(<[u16; 3]>::from_value(list()), Ok([1, 2, 3]));
        assert_eq!(<[i64; 0]>::from_value(Value::List(vec![])), Ok([]));
        assert_eq!(<[i8; 2]>::from_value(list()).map_err(message), Err("result: list has 3 items, not 2".into()));
        assert_eq!(<[char; 3]>::from_value(list()).map_err(message), Err("result[0]: int is not str".into()));
        assert_eq!(<[i8; 2]>::from_value(Value::None).map_err(message), Err("result: None is not list".into()));
        assert_eq!(Box::<[i8]>::from_value(list()), Ok([1, 2, 3].into()));

        let bytes = || Value::Bytes(vec![1, 2, 3]);
        assert_eq!(Vec::<u8>::from_value(bytes()), Ok(vec![1, 2, 3]));
        assert_eq!(Box::<[u8]>::from_value(bytes()), Ok([1, 2, 3].into()));
        assert_eq!(<[u8; 3]>::from_value(bytes()), Ok([1, 2, 3]));
        assert_eq!(Vec::<[u8; 3]>::from_value(Value::List(vec![bytes()])), Ok(vec![[1, 2, 3]]));
        assert_eq!(<[u8; 2]>::from_value(bytes()).map_err(message), Err("result: bytes has 3 items, not 2".into()));
        assert_eq!(Vec::<u8>::from_value(list()).map_err(message), Err("result: list is not bytes".into()));
        assert_eq!(Vec::<i8>::from_value(bytes()).map_err(message), Err("result: bytes is not list".into()));
    }
}
