//! Structs and enums as values, by serde.

mod de;
mod ser;

use std::fmt;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;

use super::args::Arg;
use super::to_rust::{FromValue, WrongType};
use super::value::Value;
use crate::manager::{Kind, Result};

/// An argument or a result that serde takes apart or puts together (feature `serde`).
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use serde::{Deserialize, Serialize};
/// use subpy::Serde;
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Point { x: f64, y: f64 }
///
/// let interp = subpy::Interpreter::create()?;
/// interp.exec("def mirrored(point): return {'x': point['y'], 'y': point['x']}")?;
/// let Serde(point) = interp.call::<Serde<Point>>("mirrored", (Serde(Point { x: 1.0, y: 2.0 }),))?;
/// assert_eq!(point, Point { x: 2.0, y: 1.0 });
/// # Ok(())
/// # }
/// ```
///
/// | serde | Python |
/// |---|---|
/// | unit, unit struct, `Option::None` | None |
/// | integers, floats, [`bool`] | int, float, bool |
/// | str, [`char`], unit variant | str |
/// | bytes (the crate serde_bytes) | bytes |
/// | newtype struct, `Option::Some` | what is in it |
/// | sequence ([`Vec`]) | list |
/// | tuple, array, tuple struct | tuple |
/// | struct | dict with str keys |
/// | map | dict; keys are whatever they are |
/// | other variants | dict with one entry: the variant's name, and what is in it |
///
/// In the other direction, tuples and lists stand for each other. Numbers are as strict as with [`FromValue`]. Serde
/// takes a `Vec<u8>` for a sequence like any other: mark such a field with `#[serde(with = "serde_bytes")]`.
///
/// A result may be nested 128 levels deep, because serde needs stack for each.
///
/// What cannot be serialized is [`Kind::InvalidArgument`], and a result that does not fit is [`Kind::WrongType`]. Both
/// name the way to it: `result.items[3].name: invalid type: integer `7`, expected a string`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serde<T>(pub T);

impl<T: Serialize> Arg for Serde<T> {
    fn into_arg(self, place: fmt::Arguments) -> Result<Value> {
        serialize(&self.0, place)
    }
}

impl<T: DeserializeOwned> FromValue for Serde<T> {
    fn from_value(value: Value) -> std::result::Result<Serde<T>, WrongType> {
        T::deserialize(de::Source::new(value)).map(Serde)
    }
}

/// Makes a value out of what serde can take apart, as [`Serde`] does (feature `serde`).
///
/// # Errors
/// [`Kind::InvalidArgument`]: it cannot be serialized, or is nested too deep.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::Value;
///
/// #[derive(serde::Serialize)]
/// struct Item { name: &'static str, count: u8 }
///
/// let value = subpy::to_value(&[Item { name: "a", count: 1 }].as_slice())?;
/// assert_eq!(value, Value::List(vec![Value::Dict(vec![("name".into(), "a".into()), ("count".into(), 1.into())])]));
/// # Ok(())
/// # }
/// ```
pub fn to_value<T: Serialize + ?Sized>(from: &T) -> Result<Value> {
    serialize(from, format_args!("value"))
}

/// Makes a value into what serde can put together, as [`Serde`] does (feature `serde`).
///
/// # Errors
/// [`Kind::WrongType`]: it does not fit.
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// #[derive(serde::Deserialize)]
/// struct Item { name: String, count: u8 }
///
/// let interp = subpy::Interpreter::create()?;
/// let item: Item = subpy::from_value(interp.eval("{'name': 'a', 'count': 1}")?)?;
/// assert_eq!((item.name.as_str(), item.count), ("a", 1));
/// let error = subpy::from_value::<Vec<Item>>(interp.eval("[{'name': 'a', 'count': 256}]")?).map(drop).unwrap_err();
/// assert_eq!(error.to_string(), "result[0].count: invalid value: integer `256`, expected u8");
/// # Ok(())
/// # }
/// ```
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    let Serde(it) = Serde::from_value(value)?;
    Ok(it)
}

fn serialize<T: Serialize + ?Sized>(from: &T, place: fmt::Arguments) -> Result<Value> {
    from.serialize(ser::Sink::new()).map_err(|refused| Kind::InvalidArgument(refused.at(place)).into())
}
