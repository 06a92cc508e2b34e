//! Values in the form that `python` reads and writes: one block of memory.

use super::buffer::Buffer;
use super::object::Object;
use super::queue::Queue;
use super::to_rust::WrongType;
use super::value::{Tag, Value};
use crate::manager::{self, Error, Kind, Result};
use crate::value::{
    BIGINT, BYTES, Builder, DICT, LIST, MAX_DEPTH, OwnedValue, STR, TUPLE, ValueRef, View, subpy_value,
};

/// Copies what a tuple or dict holds into a block. Without recursion, so that the depth of a value needs no stack; when
/// it is too deep, neither does dropping it.
pub(super) fn encode(root: Value) -> Result<OwnedValue> {
    encode_for(root, false)
}

/// The same of a call's arguments: buffers may be lent.
pub(super) fn encode_args(root: Value) -> Result<OwnedValue> {
    encode_for(root, true)
}

fn encode_for(root: Value, a_call: bool) -> Result<OwnedValue> {
    let encoded = copy(&root, a_call);
    if encoded.is_err() {
        root.take_apart();
    }
    encoded
}

fn copy(root: &Value, for_a_call: bool) -> Result<OwnedValue> {
    let no_memory = || Error::from(Kind::NoMemory);
    let (untagged, _) = untag(root)?;
    let mut builder = if is_container(untagged) { Builder::new() } else { Builder::of_bytes() };
    let mut encoded_root = subpy_value::none();
    // What is still to do: where it goes in the block (None: the root), and how deep it is.
    let mut pending = vec![(None, root, 0)];
    while let Some((place, value, depth)) = pending.pop() {
        let (value, tag) = untag(value)?;
        // The root is the arguments, and no level of any of them.
        if depth > MAX_DEPTH && is_container(value) {
            return Err(Kind::InvalidArgument(format!("a value is nested deeper than {MAX_DEPTH} levels")).into());
        }
        let mut bytes = |kind, bytes: &[u8]| {
            let start = builder.append(bytes, false).ok_or_else(no_memory)?;
            Ok::<_, Error>(subpy_value::at_offset(kind, start, bytes.len()))
        };
        let encoded = match value {
            Value::None => subpy_value::none(),
            Value::Bool(value) => subpy_value::bool(*value),
            Value::Int(value) => subpy_value::int(*value),
            Value::Float(value) => subpy_value::float(*value),
            Value::BigInt(text) => bytes(BIGINT, text.as_bytes())?,
            Value::Str(text) => bytes(STR, text.as_bytes())?,
            Value::Bytes(data) => bytes(BYTES, data)?,
            Value::Queue(queue) => manager::append_queue(&queue.0, &mut builder).ok_or_else(no_memory)?,
            Value::Buffer(buffer) => buffer.append(for_a_call, &mut builder).ok_or_else(no_memory)?,
            Value::Object(object) => manager::append_object(object.handle(), &mut builder).ok_or_else(no_memory)?,
            Value::Tuple(items) | Value::List(items) => {
                let start = builder.array(items.len()).ok_or_else(no_memory)?;
                let place = |index| Some(start + index * size_of::<subpy_value>());
                pending.try_reserve(items.len()).map_err(|_| no_memory())?;
                pending.extend(items.iter().enumerate().map(|(index, item)| (place(index), item, depth + 1)));
                let kind = if matches!(value, Value::Tuple(_)) { TUPLE } else { LIST };
                subpy_value::at_offset(kind, start, items.len())
            }
            Value::Dict(pairs) => {
                let start = builder.array(pairs.len() * 2).ok_or_else(no_memory)?;
                let place = |index| Some(start + index * size_of::<subpy_value>());
                pending.try_reserve(pairs.len() * 2).map_err(|_| no_memory())?;
                let elements = pairs.iter().flat_map(|(key, value)| [key, value]).enumerate();
                pending.extend(elements.map(|(index, element)| (place(index), element, depth + 1)));
                subpy_value::at_offset(DICT, start, pairs.len())
            }
            Value::Tagged(..) => subpy_value::none(), // `untag` has refused it
        };
        let encoded = subpy_value { flags: encoded.flags | tag, ..encoded };
        match place {
            Some(at) => builder.write(at, encoded),
            None => encoded_root = encoded,
        }
    }
    builder.finish(encoded_root).ok_or_else(no_memory)
}

/// The value without its tag, and that, or 0. More than one is too many.
fn untag(value: &Value) -> Result<(&Value, u32)> {
    match value {
        Value::Tagged(_, inner) if matches!(**inner, Value::Tagged(..)) => {
            Err(Kind::InvalidArgument("a value has more than one tag".into()).into())
        }
        Value::Tagged(tag, inner) => Ok((inner, *tag as u32)),
        _ => Ok((value, 0)),
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Tuple(_) | Value::List(_) | Value::Dict(_))
}

/// The value with the tag that it has in the block.
fn tagged(of: ValueRef, value: Value) -> Result<Value> {
    match of.tag() {
        0 => Ok(value),
        tag => match Tag::of(tag) {
            Some(tag) => Ok(Value::Tagged(tag, Box::new(value))),
            None => Err(WrongType::new(format!("tag {tag} is not known")).into()),
        },
    }
}

/// A container whose elements are being decoded.
struct Open<'a> {
    container: ValueRef<'a>,
    elements: Vec<Value>,
}

/// Copies a value out of a block, without recursion. Python code decides how large it is, so there may be no memory.
pub(super) fn decode(root: ValueRef) -> Result<Value> {
    let mut open: Vec<Open> = Vec::new();
    let mut next = root;
    loop {
        let mut done = match next.view() {
            View::None => Value::None,
            View::Bool(value) => Value::Bool(value),
            View::Int(value) => Value::Int(value),
            View::BigInt(text) => Value::BigInt(copy_text(text)?),
            View::Float(value) => Value::Float(value),
            View::Str(text) => Value::Str(copy_text(text)?),
            View::Bytes(bytes) => Value::Bytes(copy_bytes(bytes)?),
            View::Tuple | View::List | View::Dict => {
                if let Some(first) = next.element(0) {
                    reserve(&mut open, 1)?;
                    open.push(Open { container: next, elements: Vec::new() });
                    next = first;
                    continue;
                }
                container(next, Vec::new())?
            }
            View::Queue(handle) => match manager::find_queue(handle) {
                Some(queue) => Value::Queue(Queue(queue)),
                None => return Err(Kind::NotFound("a queue in a value was freed".into()).into()),
            },
            View::Buffer => Value::Buffer(Buffer::of_export(next.export().ok_or(Kind::NoMemory)?)),
            View::Object(handle) => Value::Object(Object::keep(handle)?),
            View::Unknown(kind) => return Err(WrongType::new(format!("kind {kind} is not known")).into()),
        };
        done = tagged(next, done)?;
        // Into the innermost container; when that is complete, it goes into the next one.
        loop {
            let Some(mut top) = open.pop() else { return Ok(done) };
            reserve(&mut top.elements, 1)?;
            top.elements.push(done);
            if let Some(element) = top.container.element(top.elements.len()) {
                next = element;
                open.push(top);
                break;
            }
            done = tagged(top.container, container(top.container, top.elements)?)?;
        }
    }
}

fn container(of: ValueRef, elements: Vec<Value>) -> Result<Value> {
    Ok(match of.view() {
        View::Tuple => Value::Tuple(elements),
        View::List => Value::List(elements),
        _ => {
            let mut pairs = Vec::new();
            reserve(&mut pairs, elements.len() / 2)?;
            let mut elements = elements.into_iter();
            while let (Some(key), Some(value)) = (elements.next(), elements.next()) {
                pairs.push((key, value));
            }
            Value::Dict(pairs)
        }
    })
}

fn copy_text(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Kind::NoMemory)?;
    copy.push_str(text);
    Ok(copy)
}

fn copy_bytes(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Kind::NoMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    list.try_reserve(more).map_err(|_| Kind::NoMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: &Value) {
        let block = copy(value, false).unwrap();
        assert_eq!(&decode(block.as_ref()).unwrap(), value);
    }

    #[test]
    fn what_goes_in_comes_out() {
        round_trip(&Value::None);
        round_trip(&Value::List(vec![]));
        round_trip(&Value::Dict(vec![]));
        round_trip(&Value::Dict(vec![
            (Value::from("a\0b"), Value::Tuple(vec![Value::Int(1), Value::List(vec![]), Value::Bytes(vec![0, 255])])),
            (Value::Tuple(vec![Value::None]), Value::BigInt("-0x1ffffffffffffffffff".into())),
            (Value::Bool(true), Value::Float(-0.0)),
        ]));
        let tagged = |tag, value| Value::Tagged(tag, Box::new(value));
        round_trip(&tagged(Tag::Decimal, "1.50".into()));
        round_trip(&tagged(Tag::Set, Value::List(vec![tagged(Tag::FrozenSet, Value::Tuple(vec![])), Value::None])));
        let twice = tagged(Tag::Date, tagged(Tag::Date, "2026-01-01".into()));
        assert!(matches!(encode(Value::List(vec![twice])), Err(Error { kind: Kind::InvalidArgument(_), .. })));
    }

    #[test]
    fn a_kind_that_is_not_known_is_an_error() {
        let unknown = subpy_value { kind: 77, ..subpy_value::none() };
        let mut list = Builder::new();
        let start = list.array(1).unwrap();
        list.write(start, unknown);
        let list = list.finish(subpy_value::at_offset(LIST, start, 1)).unwrap();
        for block in [Builder::new().finish(unknown).unwrap(), list] {
            let error = decode(block.as_ref()).unwrap_err();
            assert!(matches!(error.kind, Kind::WrongType(_)));
            assert_eq!(error.to_string(), "result: kind 77 is not known");
        }
    }

    #[test]
    fn depth_needs_no_stack_and_has_a_limit() {
        let holding = |depth| Value::Tuple(vec![(0..depth).fold(Value::Int(1), |inner, _| Value::List(vec![inner]))]);
        round_trip(&holding(MAX_DEPTH));
        for depth in [MAX_DEPTH + 1, 1_000_000] {
            assert!(matches!(encode(holding(depth)), Err(Error { kind: Kind::InvalidArgument(_), .. })));
        }
    }
}
