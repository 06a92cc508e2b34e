//! Values.

use super::buffer::Buffer;
use super::object::Object;
use super::queue::Queue;

/// A value that crosses between Rust and Python, always as a copy.
///
/// None, bool, int, float, str, bytes, tuple, list and dict cross exactly, in both directions. What Python returns
/// besides these is [`Kind::NotShareable`](crate::Kind::NotShareable). Rust's types become values with [`From`], and
/// values become Rust's types with [`FromValue`](crate::FromValue):
///
/// | Python | Rust |
/// |---|---|
/// | None | `()`, the `None` of an [`Option`] |
/// | bool | [`bool`] |
/// | int | every integer type that holds it |
/// | float | [`f64`], [`f32`] (to Python exactly, from Python when nothing is lost) |
/// | str | [`String`], `&str`, `Cow<str>`, [`char`] |
/// | bytes | `Vec<u8>`, `[u8; N]`, `Box<[u8]>`; to Python also `&[u8]` |
/// | tuple | tuples of up to eight |
/// | list | [`Vec`], arrays, `Box<[T]>`; to Python also slices |
/// | dict | [`HashMap`], [`BTreeMap`]; [`Value::Dict`] keeps the order |
/// | `subpy_queues.Queue` | [`Queue`] |
/// | what has a buffer, rows of numbers | [`Buffer`], [`Array`](crate::Array) |
/// | any object, when a result is to be one | [`Object`] |
///
/// [`HashMap`]: std::collections::HashMap
/// [`BTreeMap`]: std::collections::BTreeMap
///
/// To Python, a reference does as well as the thing itself: the value is a copy either way. A sequence of [`u8`] is
/// bytes, in both directions. For a list of small ints take another integer type, such as `Vec<u16>`, or
/// [`Value::List`].
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// let interp = subpy::Interpreter::create()?;
/// let packed: Vec<u8> = interp.call("zlib:compress", (vec![0u8; 1000],))?;
/// assert!(packed.len() < 100);
/// let plain: Vec<u8> = interp.call("zlib:decompress", (packed,))?;
/// assert_eq!(plain, [0; 1000]);
/// # Ok(())
/// # }
/// ```
///
/// With the feature `serde`, structs and enums cross too, in the wrapper `Serde`.
///
/// Containers may be nested 1,000 levels deep; what is deeper is
/// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) when it is to cross. Like any nested type, a value is
/// cloned, compared, printed and dropped with stack for each level. So do not build one that is nested tens of
/// thousands of levels deep; Python cannot make you have one.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
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
    /// what has no variant of its own, as the value that the tag says. Results have them only in interpreters with
    /// [`Config::tagged_values`](crate::Config::tagged_values)
    Tagged(Tag, Box<Value>),
    /// a queue: the same one, and no copy
    Queue(Queue),
    /// memory that is shared, and not copied
    Buffer(Buffer),
    /// an object that stays in Python: as an argument, the very object
    Object(Object),
}

/// What a [`Value::Tagged`] is, and in which form its value is then.
///
/// docs/values.md says what is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tag {
    /// set: a list
    Set = 1,
    /// frozenset: a tuple
    FrozenSet = 2,
    /// complex: a tuple of two floats
    Complex = 3,
    /// `datetime.date`: a str, ISO 8601
    Date = 4,
    /// `datetime.time`: a str, ISO 8601
    Time = 5,
    /// `datetime.datetime`: a str, ISO 8601
    DateTime = 6,
    /// `datetime.timedelta`: a tuple of three ints: days, seconds, microseconds
    TimeDelta = 7,
    /// `decimal.Decimal`: a str
    Decimal = 8,
    /// `uuid.UUID`: a str
    Uuid = 9,
    /// a member of an Enum: a tuple of `module:qualname`, its name and its value
    Enum = 10,
    /// an instance of a dataclass: a dict of its fields, behind `__class__`, which is `module:qualname`
    Dataclass = 11,
}

impl Tag {
    const ALL: [Tag; 11] = [
        Tag::Set,
        Tag::FrozenSet,
        Tag::Complex,
        Tag::Date,
        Tag::Time,
        Tag::DateTime,
        Tag::TimeDelta,
        Tag::Decimal,
        Tag::Uuid,
        Tag::Enum,
        Tag::Dataclass,
    ];

    /// The tag of that number.
    pub(super) fn of(number: u32) -> Option<Tag> {
        Tag::ALL.into_iter().find(|tag| *tag as u32 == number)
    }

    /// The name of the type in Python.
    fn type_name(self) -> &'static str {
        match self {
            Tag::Set => "set",
            Tag::FrozenSet => "frozenset",
            Tag::Complex => "complex",
            Tag::Date => "date",
            Tag::Time => "time",
            Tag::DateTime => "datetime",
            Tag::TimeDelta => "timedelta",
            Tag::Decimal => "Decimal",
            Tag::Uuid => "UUID",
            Tag::Enum => "Enum",
            Tag::Dataclass => "dataclass",
        }
    }
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
    pub(super) fn type_name(&self) -> &'static str {
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
            Value::Tagged(tag, _) => tag.type_name(),
            Value::Queue(_) => "Queue",
            Value::Buffer(_) => "buffer",
            Value::Object(_) => "object",
        }
    }

    /// Whether an object is in it.
    pub(super) fn has_object(&self) -> bool {
        let mut pending = vec![self];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(_) => return true,
                Value::Tuple(items) | Value::List(items) => pending.extend(items),
                Value::Dict(pairs) => pending.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
                Value::Tagged(_, value) => pending.push(value),
                _ => {}
            }
        }
        false
    }

    /// Drops the value without a stack for each level.
    pub(super) fn take_apart(self) {
        let mut pending = vec![self];
        while let Some(value) = pending.pop() {
            match value {
                Value::Tuple(items) | Value::List(items) => pending.extend(items),
                Value::Dict(pairs) => pending.extend(pairs.into_iter().flat_map(|(key, value)| [key, value])),
                Value::Tagged(_, value) => pending.push(*value),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_apart_needs_no_stack() {
        let nested = (0..1_000_000).fold(Value::Int(1), |inner, level| match level % 3 {
            0 => Value::List(vec![Value::None, inner]),
            1 => Value::Tuple(vec![inner]),
            _ => Value::Tagged(Tag::Set, Box::new(Value::Dict(vec![(Value::None, inner)]))),
        });
        nested.take_apart();
    }
}
