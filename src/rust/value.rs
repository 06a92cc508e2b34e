//! Values.

use std::ops::Deref;

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
/// | bytes | [`Bytes`]; to Python also `&[u8]` and `&[u8; N]` |
/// | tuple | tuples of up to eight |
/// | list | [`Vec`], arrays, `Box<[T]>`; to Python also slices |
/// | dict | [`HashMap`], [`BTreeMap`]; [`Value::Dict`] keeps the order |
///
/// [`HashMap`]: std::collections::HashMap
/// [`BTreeMap`]: std::collections::BTreeMap
///
/// To Python, a reference does as well as the thing itself: the value is a copy either way. Bytes are what is behind
/// `&[u8]` and `&[u8; N]` alone; `Vec<u8>` and `[u8; N]` are lists of ints, as of any other integer type, and
/// `&Vec<u8>` does not compile: write `&vec[..]` or [`Bytes`].
///
/// Containers may be nested 1,000 levels deep; what is deeper is
/// [`Kind::InvalidArgument`](crate::Kind::InvalidArgument) when it is to cross. Like any nested type, a value is
/// cloned, compared, printed and dropped with stack for each level. So do not build one that is nested tens of
/// thousands of levels deep; Python cannot make you have one.
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
        }
    }

    /// Drops the value without a stack for each level.
    pub(super) fn take_apart(self) {
        let mut pending = vec![self];
        while let Some(value) = pending.pop() {
            match value {
                Value::Tuple(items) | Value::List(items) => pending.extend(items),
                Value::Dict(pairs) => pending.extend(pairs.into_iter().flat_map(|(key, value)| [key, value])),
                _ => {}
            }
        }
    }
}

/// A Python bytes object. As a type of its own, because a `Vec<u8>` is a list of ints like any other [`Vec`].
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::Bytes;
///
/// let interp = subpy::Interpreter::create()?;
/// let packed: Bytes = interp.call("zlib:compress", (Bytes(vec![0; 1000]),))?;
/// assert!(packed.len() < 100);
/// let plain: Bytes = interp.call("zlib:decompress", (packed,))?;
/// assert_eq!(*plain, [0; 1000]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Bytes {
        Bytes(bytes.into())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Vec<u8> {
        bytes.0
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
            _ => Value::Dict(vec![(Value::None, inner)]),
        });
        nested.take_apart();
    }
}
