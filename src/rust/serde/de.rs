//! What serde puts together, from values.

use std::{fmt, vec};

use serde_core::de::value::StringDeserializer;
use serde_core::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_core::forward_to_deserialize_any;

use crate::rust::to_rust::{FromValue, WrongType, key_name};
use crate::rust::value::Value;

type Result<T> = std::result::Result<T, WrongType>;

/// So that a [`FromValue`] of one's own can be serde's work.
impl Error for WrongType {
    fn custom<T: fmt::Display>(reason: T) -> WrongType {
        WrongType::new(reason.to_string())
    }

    fn invalid_type(unexpected: Unexpected, expected: &dyn Expected) -> WrongType {
        match unexpected {
            Unexpected::Unit => WrongType::new(format!("invalid type: None, expected {expected}")),
            Unexpected::Bytes(_) => WrongType::new(format!("invalid type: bytes, expected {expected}")),
            Unexpected::Map => WrongType::new(format!("invalid type: dict, expected {expected}")),
            other => WrongType::new(format!("invalid type: {other}, expected {expected}")),
        }
    }
}

/// Python code decides how deep a result is, and what serde makes of it needs stack for each level, several kilobytes
/// in a debug build. As deep as with serde_json.
const MAX_DEPTH: usize = 128;

/// A value that is taken apart.
pub struct Source {
    value: Value,
    /// The containers around it.
    depth: usize,
}

impl Source {
    pub fn new(value: Value) -> Source {
        Source::at(value, 0)
    }

    /// A tag says nothing to serde: it gets what the value is without one.
    fn at(value: Value, depth: usize) -> Source {
        match value {
            Value::Tagged(_, value) => Source { value: *value, depth },
            value => Source { value, depth },
        }
    }
}

/// The depth of what is in a container that is itself at this depth.
fn deeper(depth: usize) -> Result<usize> {
    if depth == MAX_DEPTH {
        return Err(WrongType::new(format!("nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(depth + 1)
}

/// The whole of a sequence: what the visitor leaves was too much.
fn sequence<'de, V: Visitor<'de>>(name: &str, items: Vec<Value>, depth: usize, visitor: V) -> Result<V::Value> {
    let len = items.len();
    let mut items = Items { items: items.into_iter(), next: 0, depth: deeper(depth)? };
    let made = visitor.visit_seq(&mut items)?;
    if items.next == len { Ok(made) } else { Err(WrongType::count(name, len, items.next)) }
}

fn dict<'de, V: Visitor<'de>>(pairs: Vec<(Value, Value)>, fields: bool, depth: usize, visitor: V) -> Result<V::Value> {
    let len = pairs.len();
    let mut pairs = Pairs { pairs: pairs.into_iter(), next: 0, value: None, fields, depth: deeper(depth)? };
    let made = visitor.visit_map(&mut pairs)?;
    if pairs.next == len { Ok(made) } else { Err(WrongType::count("dict", len, pairs.next)) }
}

impl<'de> Deserializer<'de> for Source {
    type Error = WrongType;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::None => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Int(value) => visitor.visit_i64(value),
            // The smallest type that holds it is the one that most visitors take.
            value @ Value::BigInt(_) => match (u64::from_value(value.clone()), i128::from_value(value.clone())) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i128(value),
                _ => visitor.visit_u128(u128::from_value(value)?),
            },
            Value::Float(value) => visitor.visit_f64(value),
            Value::Str(text) => visitor.visit_string(text),
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::Tuple(items) => sequence("tuple", items, self.depth, visitor),
            Value::List(items) => sequence("list", items, self.depth, visitor),
            Value::Dict(pairs) => dict(pairs, false, self.depth, visitor),
            Value::Tagged(_, value) => Source::at(*value, self.depth).deserialize_any(visitor),
            other @ (Value::Queue(_) | Value::Buffer(_) | Value::Object(_)) => {
                Err(WrongType::expected("something that serde knows", &other))
            }
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(f32::from_value(self.value)?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(f64::from_value(self.value)?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            Value::None => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        match &self.value {
            Value::Tuple(items) | Value::List(items) if items.len() != len => {
                Err(WrongType::count(self.value.type_name(), items.len(), len))
            }
            Value::Tuple(_) | Value::List(_) => self.deserialize_any(visitor),
            other => Err(WrongType::expected("tuple", other)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.value {
            Value::Dict(pairs) => dict(pairs, true, self.depth, visitor),
            other => Err(WrongType::expected("dict", &other)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let (name, value) = match self.value {
            Value::Dict(pairs) => match <[_; 1]>::try_from(pairs) {
                Ok([(name, value)]) => (name, Some(value)),
                Err(pairs) => return Err(WrongType::count("dict", pairs.len(), 1)),
            },
            Value::Str(_) => (self.value, None),
            other => return Err(WrongType::expected("str or dict", &other)),
        };
        let name = String::from_value(name).map_err(|wrong| wrong.at(format_args!(" key 0")))?;
        visitor.visit_enum(Variant { name, value, depth: deeper(self.depth)? })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.value {
            // Serde would take these for the number of a field, and for its name.
            Value::BigInt(_) | Value::Bytes(_) => Err(WrongType::expected("str", &self.value)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct seq map
    }
}

struct Items {
    items: vec::IntoIter<Value>,
    next: usize,
    depth: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = WrongType;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Source::at(item, self.depth)).map(Some).map_err(|wrong| wrong.at(format_args!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Pairs {
    pairs: vec::IntoIter<(Value, Value)>,
    next: usize,
    /// The value that comes next, and how a message calls it.
    value: Option<(String, Value)>,
    /// The keys are the names of a struct's fields.
    fields: bool,
    depth: usize,
}

impl<'de> MapAccess<'de> for Pairs {
    type Error = WrongType;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, value)) = self.pairs.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let name = match &key {
            Value::Str(name) if self.fields => format!(".{name}"),
            key => key_name(key, index),
        };
        self.value = Some((name, value));
        let fields = self.fields;
        // A name that is not a field's says so itself.
        let place = |wrong: WrongType| if fields { wrong } else { wrong.at(format_args!(" key {index}")) };
        seed.deserialize(Source::at(key, self.depth)).map(Some).map_err(place)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let (name, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Source::at(value, self.depth)).map_err(|wrong| wrong.at(format_args!("{name}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

/// A variant: its name, and what is in it.
struct Variant {
    name: String,
    value: Option<Value>,
    depth: usize,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = WrongType;
    type Variant = Variant;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Variant)> {
        let name: StringDeserializer<WrongType> = self.name.clone().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl Variant {
    fn inside<T>(self, make: impl FnOnce(Source) -> Result<T>) -> Result<T> {
        let Variant { name, value, depth } = self;
        let value = value.ok_or_else(|| WrongType::new(format!("{name:?} has no value: str is not dict")))?;
        make(Source::at(value, depth)).map_err(|wrong| wrong.at(format_args!(".{name}")))
    }
}

impl<'de> VariantAccess<'de> for Variant {
    type Error = WrongType;

    fn unit_variant(self) -> Result<()> {
        if self.value.is_none() { Ok(()) } else { self.inside(|value| FromValue::from_value(value.value)) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.inside(|value| seed.deserialize(value))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.inside(|value| value.deserialize_tuple(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.inside(|value| value.deserialize_struct("", fields, visitor))
    }
}
