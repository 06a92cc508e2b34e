//! Values from what serde takes apart.

use std::fmt;

use serde_core::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::rust::to_rust::key_name;
use crate::rust::value::Value;
use crate::value::MAX_DEPTH;

/// What has no value, and why not.
#[derive(Debug)]
pub struct Refused {
    /// The way to it; None when that would be a thousand levels long.
    path: Option<String>,
    reason: String,
}

type Result<T> = std::result::Result<T, Refused>;

impl Refused {
    /// As a message about what is in that place.
    pub fn at(self, place: fmt::Arguments) -> String {
        match self.path {
            Some(path) => format!("{place}{path}: {}", self.reason),
            None => self.reason,
        }
    }

    fn inside(self, part: fmt::Arguments) -> Refused {
        Refused { path: self.path.map(|path| format!("{part}{path}")), ..self }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}{}", self.path.as_deref().unwrap_or_default(), self.reason)
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(reason: T) -> Refused {
        Refused { path: Some(String::new()), reason: reason.to_string() }
    }
}

/// Where a value is made.
#[derive(Clone, Copy)]
pub struct Sink {
    /// The containers around it.
    depth: usize,
}

impl Sink {
    pub fn new() -> Sink {
        Sink { depth: 0 }
    }

    /// For what is in a container.
    fn deeper(self) -> Result<Sink> {
        if self.depth == MAX_DEPTH {
            return Err(Refused { path: None, reason: format!("a value is nested deeper than {MAX_DEPTH} levels") });
        }
        Ok(Sink { depth: self.depth + 1 })
    }

    /// A list or tuple, and the sink of what is in it.
    fn sequence(self, kind: fn(Vec<Value>) -> Value, variant: Option<&'static str>) -> Result<Sequence> {
        let sink = if variant.is_some() { self.deeper()? } else { self };
        Ok(Sequence { items: Vec::new(), kind, variant, sink: sink.deeper()? })
    }

    fn dict(self, variant: Option<&'static str>) -> Result<Dict> {
        let sink = if variant.is_some() { self.deeper()? } else { self };
        Ok(Dict { pairs: Vec::new(), key: Value::None, variant, sink: sink.deeper()? })
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty;)*) => { $(
        fn $method(self, value: $type) -> Result<Value> {
            Ok(value.into())
        }
    )* };
}

impl Serializer for Sink {
    type Ok = Value;
    type Error = Refused;
    type SerializeSeq = Sequence;
    type SerializeTuple = Sequence;
    type SerializeTupleStruct = Sequence;
    type SerializeTupleVariant = Sequence;
    type SerializeMap = Dict;
    type SerializeStruct = Dict;
    type SerializeStructVariant = Dict;

    plain! {
        serialize_bool: bool;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_i128: i128;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_u128: u128;
        serialize_f32: f32;
        serialize_f64: f64;
        serialize_char: char;
        serialize_str: &str;
        serialize_bytes: &[u8];
    }

    fn serialize_none(self) -> Result<Value> {
        Ok(Value::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value> {
        Ok(Value::None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value> {
        let value = value.serialize(self.deeper()?);
        Ok(of_variant(variant, value.map_err(|refused| refused.inside(format_args!(".{variant}")))?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Sequence> {
        self.sequence(Value::List, None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Sequence> {
        self.sequence(Value::Tuple, None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Sequence> {
        self.sequence(Value::Tuple, None)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Sequence> {
        self.sequence(Value::Tuple, Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Dict> {
        self.dict(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Dict> {
        self.dict(None)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Dict> {
        self.dict(Some(variant))
    }
}

fn of_variant(variant: &'static str, value: Value) -> Value {
    Value::Dict(vec![(variant.into(), value)])
}

/// The way to a part, when it is a variant's.
fn part_of(variant: Option<&str>, refused: Refused, part: fmt::Arguments) -> Refused {
    let refused = refused.inside(part);
    match variant {
        Some(variant) => refused.inside(format_args!(".{variant}")),
        None => refused,
    }
}

/// A list or tuple that is being made.
pub struct Sequence {
    items: Vec<Value>,
    kind: fn(Vec<Value>) -> Value,
    variant: Option<&'static str>,
    sink: Sink,
}

impl Sequence {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.items.len();
        let item = value.serialize(self.sink);
        self.items.push(item.map_err(|refused| part_of(self.variant, refused, format_args!("[{index}]")))?);
        Ok(())
    }

    fn finish(self) -> Value {
        let value = (self.kind)(self.items);
        match self.variant {
            Some(variant) => of_variant(variant, value),
            None => value,
        }
    }
}

macro_rules! sequence {
    ($($trait:ident $method:ident;)*) => { $(
        impl $trait for Sequence {
            type Ok = Value;
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }

            fn end(self) -> Result<Value> {
                Ok(self.finish())
            }
        }
    )* };
}

sequence! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// A dict that is being made.
pub struct Dict {
    pairs: Vec<(Value, Value)>,
    /// The one whose value comes next.
    key: Value,
    variant: Option<&'static str>,
    sink: Sink,
}

impl Dict {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        let value = value.serialize(self.sink);
        let value = value.map_err(|refused| part_of(self.variant, refused, format_args!(".{name}")))?;
        self.pairs.push((name.into(), value));
        Ok(())
    }

    fn finish(self) -> Value {
        let value = Value::Dict(self.pairs);
        match self.variant {
            Some(variant) => of_variant(variant, value),
            None => value,
        }
    }
}

impl SerializeMap for Dict {
    type Ok = Value;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        let index = self.pairs.len();
        self.key = key.serialize(self.sink).map_err(|refused| refused.inside(format_args!(" key {index}")))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.pairs.len();
        let value = value.serialize(self.sink);
        let value = value.map_err(|refused| refused.inside(format_args!("{}", key_name(&self.key, index))))?;
        self.pairs.push((std::mem::take(&mut self.key), value));
        Ok(())
    }

    fn end(self) -> Result<Value> {
        Ok(self.finish())
    }
}

impl SerializeStruct for Dict {
    type Ok = Value;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<Value> {
        Ok(self.finish())
    }
}

impl SerializeStructVariant for Dict {
    type Ok = Value;
    type Error = Refused;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.field(name, value)
    }

    fn end(self) -> Result<Value> {
        Ok(self.finish())
    }
}
