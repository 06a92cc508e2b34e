//! Python objects to values.

use std::collections::TryReserveError;
use std::ffi::{c_char, c_int};
use std::fmt::Arguments;
use std::ptr;

use super::super::Failure;
use super::super::object::{LONGEST_NAME, Obj, Py, cut};
use super::super::types::{self, PyObject};
use crate::value::{self, Builder, MAX_DEPTH, OwnedValue, subpy_value};

/// Why an object has no value.
pub(super) enum Refused {
    /// Not shareable, with what to say of it.
    Because(String),
    NoMemory,
}

/// Makes the value of a Python object. The result is None before.
#[inline]
pub fn from_python(py: Py, object: &Obj, result: &mut OwnedValue) -> Result<(), Box<Failure>> {
    if let Some(value) = int(py, object) {
        *result = OwnedValue::int(value);
    } else if !object.is_none() {
        *result = from_any(py, object)?;
    }
    Ok(())
}

/// The value of an int, when it is one that fits 64 bits: most of what is read.
#[inline]
pub fn int(py: Py, object: &Obj) -> Option<i64> {
    // SAFETY: a live object.
    unsafe { int_at(py, object.as_ptr()) }
}

/// # Safety
/// The object must be alive.
#[inline]
unsafe fn int_at(py: Py, object: *mut PyObject) -> Option<i64> {
    // SAFETY: promised by the caller; the getter is called for its exact type alone.
    unsafe {
        if py.api.type_of(object) != py.api.PyLong_Type.0 {
            return None;
        }
        let mut overflow: c_int = 0;
        let value = (py.api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
        (overflow == 0).then_some(value)
    }
}

fn from_any(py: Py, object: &Obj) -> Result<OwnedValue, Failure> {
    let mut builder = Builder::new();
    let root = append(py, object, &mut builder, format_args!("result"))?;
    builder.finish(root).ok_or(Failure::NoMemory)
}

/// Reads an object, with all that is in it, into a block that is being built. `name` is what an error calls it.
#[inline]
pub fn append(py: Py, object: &Obj, builder: &mut Builder, name: Arguments) -> Result<subpy_value, Failure> {
    let reader = Reader { py };
    // SAFETY: `object` is a strong reference; see Reader.
    let root = match unsafe { reader.shallow(object.as_ptr(), builder) } {
        Ok(root) => root,
        Err(refused) => return Err(failure(refused, &name.to_string())),
    };
    if !is_container(&root) {
        return Ok(root);
    }
    let mut keys: Keys = [(ptr::null_mut(), subpy_value::none()); FEW_KEYS];
    let mut open = vec![Reading::new(object.as_ptr(), &root)];
    while let Some(top) = open.last_mut() {
        // SAFETY: containers are alive: their root is, and nothing runs that could change them.
        match unsafe { reader.read(top, &mut keys, builder) } {
            Ok(None) => drop(open.pop()),
            // SAFETY: as above.
            Ok(Some(_)) if open.len() == MAX_DEPTH => return Err(unsafe { reader.too_deep(&open, name) }),
            Ok(Some(inner)) => open.push(inner),
            // SAFETY: as above.
            Err(refused) => return Err(failure(refused, &unsafe { reader.path(&open, name) })),
        }
    }
    Ok(root)
}

#[inline]
fn is_container(value: &subpy_value) -> bool {
    matches!(value.kind, value::TUPLE | value::LIST | value::DICT)
}

fn failure(refused: Refused, path: &str) -> Failure {
    match refused {
        Refused::Because(reason) => Failure::NotShareable(format!("{path}: {reason}")),
        Refused::NoMemory => Failure::NoMemory,
    }
}

/// A container that is being read.
pub(super) struct Reading {
    pub(super) object: *mut PyObject,
    pub(super) kind: i32,
    /// Elements that there was room made for (a dict's keys and values count one each) and the ones that were read.
    len: usize,
    pub(super) done: usize,
    /// Where its values go in the block.
    array: usize,
    /// PyDict_Next's position, and the value that belongs to the key that was read last.
    position: isize,
    value: *mut PyObject,
}

impl Reading {
    /// `value` is the object's, with the offset of its elements.
    fn new(object: *mut PyObject, value: &subpy_value) -> Reading {
        let len = if value.kind == value::DICT { value.len * 2 } else { value.len };
        let array = value.as_int() as usize;
        Reading { object, kind: value.kind, len, done: 0, array, position: 0, value: ptr::null_mut() }
    }
}

/// The keys of the last dict with few, and their values: rows of a table have the same ones, which are then the same
/// objects. They are alive, since nothing is freed while a value is read, and their text lies in the block.
type Keys = [Key; FEW_KEYS];
type Key = (*mut PyObject, subpy_value);

const FEW_KEYS: usize = 16;

pub(super) struct Reader<'py> {
    pub(super) py: Py<'py>,
}

impl Reader<'_> {
    /// Reads elements until there are no more, or one is a container itself: that one, with room for its elements.
    ///
    /// # Safety
    /// The container must be alive.
    unsafe fn read(
        &self,
        top: &mut Reading,
        keys: &mut Keys,
        builder: &mut Builder,
    ) -> Result<Option<Reading>, Refused> {
        // SAFETY: promised by the caller.
        unsafe {
            match top.kind {
                value::DICT => self.read_dict(top, keys, builder),
                _ => self.read_row(top, builder),
            }
        }
    }

    unsafe fn read_row(&self, top: &mut Reading, builder: &mut Builder) -> Result<Option<Reading>, Refused> {
        let api = self.py.api;
        let get = if top.kind == value::TUPLE { api.PyTuple_GetItem } else { api.PyList_GetItem };
        while top.done < top.len {
            let at = top.array + top.done * size_of::<subpy_value>();
            // SAFETY: a live tuple or list, as promised. The getters check the index and the type, and CPython's answer
            // NULL (never seen: nothing can shorten the container meanwhile) reads as None. The element is borrowed.
            let value = unsafe {
                let element = get(top.object, top.done as isize);
                let element = if element.is_null() { self.py.none() } else { element };
                top.done += 1;
                match int_at(self.py, element) {
                    Some(value) => subpy_value::int(value),
                    None => {
                        let value = self.shallow(element, builder)?;
                        if is_container(&value) {
                            builder.write(at, value);
                            return Ok(Some(Reading::new(element, &value)));
                        }
                        value
                    }
                }
            };
            builder.write(at, value);
        }
        Ok(None)
    }

    unsafe fn read_dict(
        &self,
        top: &mut Reading,
        keys: &mut Keys,
        builder: &mut Builder,
    ) -> Result<Option<Reading>, Refused> {
        let few = top.len <= FEW_KEYS * 2;
        while top.done < top.len {
            let at = top.array + top.done * size_of::<subpy_value>();
            // SAFETY: a live dict, as promised. Key and value are borrowed, and None if there were no next entry, which
            // was never seen.
            let (element, value) = unsafe {
                let place = top.done / 2;
                top.done += 1;
                if top.done.is_multiple_of(2) {
                    (top.value, self.shallow(top.value, builder)?)
                } else {
                    let mut key = self.py.none();
                    top.value = key;
                    (self.py.api.PyDict_Next)(top.object, &mut top.position, &mut key, &mut top.value);
                    (key, self.key(key, keys.get_mut(place).filter(|_| few), builder)?)
                }
            };
            builder.write(at, value);
            if is_container(&value) {
                return Ok(Some(Reading::new(element, &value)));
            }
        }
        Ok(None)
    }

    #[inline]
    unsafe fn key(
        &self,
        key: *mut PyObject,
        seen: Option<&mut Key>,
        builder: &mut Builder,
    ) -> Result<subpy_value, Refused> {
        if let Some((object, value)) = &seen
            && *object == key
        {
            return Ok(*value);
        }
        // SAFETY: promised by the caller.
        let value = unsafe { self.shallow(key, builder)? };
        if let Some(seen) = seen
            && value.kind == value::STR
        {
            *seen = (key, value);
        }
        Ok(value)
    }

    /// The value of an object, a container's elements still None. Data goes into the block; pointers are offsets.
    ///
    /// # Safety
    /// The object must be alive.
    #[inline]
    unsafe fn shallow(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let no_memory = |offset: Option<usize>| offset.ok_or(Refused::NoMemory);
        // SAFETY: promised by the caller; each getter is called for its exact type alone.
        unsafe {
            let kind = api.type_of(object);
            if kind == api.PyLong_Type.0 {
                return self.int(object, builder);
            }
            if kind == api.PyUnicode_Type.0 {
                return self.text(object, builder);
            }
            if kind == api.PyFloat_Type.0 {
                return Ok(subpy_value::float((api.PyFloat_AsDouble)(object)));
            }
            if object == self.py.none() {
                return Ok(subpy_value::none());
            }
            if kind == api.PyBool_Type.0 {
                return Ok(subpy_value::bool(object == api._Py_TrueStruct.0));
            }
            let container = |kind, len: isize, each: usize, builder: &mut Builder| {
                let len = usize::try_from(len).unwrap_or(0);
                let start = no_memory(len.checked_mul(each).and_then(|count| builder.array(count)))?;
                Ok(subpy_value::at_offset(kind, start, len))
            };
            if kind == api.PyList_Type.0 {
                return container(value::LIST, (api.PyList_Size)(object), 1, builder);
            }
            if kind == api.PyTuple_Type.0 {
                return container(value::TUPLE, (api.PyTuple_Size)(object), 1, builder);
            }
            if kind == api.PyDict_Type.0 {
                return container(value::DICT, (api.PyDict_Size)(object), 2, builder);
            }
            if kind == api.PyBytes_Type.0 {
                let (mut data, mut len) = (ptr::null_mut(), 0);
                (api.PyBytes_AsStringAndSize)(object, &mut data, &mut len);
                return bytes(data, len, builder);
            }
            if kind == api.PyByteArray_Type.0 {
                return bytes((api.PyByteArray_AsString)(object), (api.PyByteArray_Size)(object), builder);
            }
            if kind == api.PyMemoryView_Type.0 {
                return self.memoryview(object, builder);
            }
            Err(Refused::Because(self.why_not(object)))
        }
    }

    unsafe fn int(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut overflow: c_int = 0;
        // SAFETY: an exact int (`shallow`); NativeBytes is asked for the size first and then given that much room.
        unsafe {
            let value = (api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
            if overflow == 0 {
                return Ok(subpy_value::int(value));
            }
            // Big-endian two's complement (flags 0), from which hexadecimal takes linear time.
            let size = (api.PyLong_AsNativeBytes)(object, ptr::null_mut(), 0, 0);
            let len = usize::try_from(size).map_err(|_| Refused::NoMemory)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(|_| Refused::NoMemory)?;
            bytes.resize(len, 0u8);
            (api.PyLong_AsNativeBytes)(object, bytes.as_mut_ptr().cast(), size, 0);
            let text = hexadecimal(bytes, overflow < 0).map_err(|_| Refused::NoMemory)?;
            let start = builder.append(text.as_bytes(), false).ok_or(Refused::NoMemory)?;
            Ok(subpy_value::at_offset(value::BIGINT, start, text.len()))
        }
    }

    unsafe fn text(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut len = 0;
        // SAFETY: an exact str (`shallow`); the text lives as long as the object.
        unsafe {
            let data = (api.PyUnicode_AsUTF8AndSize)(object, &mut len);
            if data.is_null() {
                return Err(self.why_no_text());
            }
            let start = builder.append(std::slice::from_raw_parts(data.cast(), len as usize), false);
            Ok(subpy_value::at_offset(value::STR, start.ok_or(Refused::NoMemory)?, len as usize))
        }
    }

    /// The exception that PyUnicode_AsUTF8AndSize set: a lone surrogate, or no memory.
    fn why_no_text(&self) -> Refused {
        let Some(exception) = self.py.take_exception() else { return Refused::NoMemory };
        let position = exception.attr(c"start").ok().and_then(|start| start.to_i64());
        self.py.clear();
        match position {
            Some(position) => Refused::Because(format!(
                "str with a lone surrogate at index {position} cannot be shared, return text.encode('utf-8', 'surrogatepass')"
            )),
            None => Refused::NoMemory,
        }
    }

    unsafe fn memoryview(&self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: an exact memoryview (`shallow`). All bytes zero is a Py_buffer that nothing was put into.
        unsafe {
            let mut view: types::Py_buffer = std::mem::zeroed();
            if (api.PyObject_GetBuffer)(object, &mut view, types::PyBUF_FULL_RO) != 0 {
                self.py.clear();
                return Err(Refused::Because("a released memoryview cannot be shared".into()));
            }
            let format = if view.format.is_null() { b"B" } else { std::ffi::CStr::from_ptr(view.format).to_bytes() };
            let fits = view.ndim == 1
                && (api.PyBuffer_IsContiguous)(&view, b'C' as c_char) != 0
                && matches!(format, b"B" | b"b" | b"c");
            let result = if fits {
                bytes(view.buf.cast(), view.len, builder)
            } else {
                Err(Refused::Because(format!(
                    "memoryview of format {:?} with {} dimension(s) cannot be shared, return bytes(view)",
                    cut(format, LONGEST_NAME).unwrap_or_default(),
                    view.ndim
                )))
            };
            (api.PyBuffer_Release)(&mut view);
            result
        }
    }
}

/// A BYTES value.
unsafe fn bytes(data: *const c_char, len: isize, builder: &mut Builder) -> Result<subpy_value, Refused> {
    let len = if data.is_null() { 0 } else { len as usize };
    // SAFETY: CPython's pointer to that many bytes; it may be NULL when there are none.
    let data = unsafe { if len == 0 { &[] } else { std::slice::from_raw_parts(data.cast(), len) } };
    let start = builder.append(data, false).ok_or(Refused::NoMemory)?;
    Ok(subpy_value::at_offset(value::BYTES, start, len))
}

/// `-0x1ff` of a big-endian two's complement number.
fn hexadecimal(mut bytes: Vec<u8>, negative: bool) -> Result<String, TryReserveError> {
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (value, overflow);
        }
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).skip_while(|digit| *digit == 0);
    let mut text = String::new();
    text.try_reserve_exact(bytes.len() * 2 + 3)?;
    text.push_str(if negative { "-0x" } else { "0x" });
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn twos_complement_becomes_signed_hexadecimal() {
        assert_eq!(hexadecimal(vec![0x00, 0x80, 0, 0, 0, 0, 0, 0, 0], false).unwrap(), "0x8000000000000000");
        assert_eq!(
            hexadecimal(vec![0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true).unwrap(),
            "-0x8000000000000001"
        );
        assert_eq!(hexadecimal(vec![0xff, 0x00], true).unwrap(), "-0x100");
        assert_eq!(hexadecimal(vec![0x80, 0x00], true).unwrap(), "-0x8000");
    }
}
