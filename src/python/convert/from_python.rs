//! Python objects to values.

use std::ffi::c_int;
use std::fmt::Arguments;
use std::ptr;
use std::sync::Arc;

use super::super::Failure;
use super::super::interp::Scope;
use super::super::object::{Obj, Py};
use super::super::objects;
use super::super::own::Own;
use super::super::types::{PyObject, PyTypeObject};
use super::asked::{Asked, Refused};
use super::reading::{FEW_KEYS, Keys, Reading};
use super::shallow::container;
use super::stand_in::{StandIn, Standing};
use crate::value::{self, Builder, LONGEST_SHARED, MAX_DEPTH, OwnedValue, Results, subpy_pair, subpy_value};

/// Makes the value of a Python object. The result is None before.
#[inline]
pub fn from_python(py: Py, own: &Arc<Own>, object: &Obj, result: &mut OwnedValue) -> Result<(), Box<Failure>> {
    if let Some(value) = int(py, object) {
        *result = OwnedValue::int(value);
    } else if !object.is_none() {
        let asked = Asked::of(py, Results::VALUE, own);
        *result = from_any(py, object, asked, format_args!("result"))?;
    }
    Ok(())
}

/// The same, in another form.
#[cold]
#[inline(never)]
pub fn from_python_as(
    py: Py,
    scope: &Scope,
    object: &Obj,
    how: Results,
    result: &mut OwnedValue,
) -> Result<(), Box<Failure>> {
    *result = if how.has(Results::OBJECT) {
        objects::stay(py, scope.own(), object)?
    } else {
        from_any(py, object, Asked::of(py, how, scope.own()), format_args!("result"))?
    };
    Ok(())
}

/// The value of an int, when it is one that fits 64 bits: most of what is read.
#[inline]
pub fn int(py: Py, object: &Obj) -> Option<i64> {
    // SAFETY: a live object, and its type.
    unsafe { int_of(py, object.as_ptr(), object.type_ptr()) }
}

/// # Safety
/// The object must be alive, and of that type.
#[inline]
pub(super) unsafe fn int_of(py: Py, object: *mut PyObject, kind: *mut PyTypeObject) -> Option<i64> {
    // SAFETY: promised by the caller; the getter is called for its exact type alone.
    unsafe {
        if kind != py.api.PyLong_Type.0 {
            return None;
        }
        let mut overflow: c_int = 0;
        let value = (py.api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
        (overflow == 0).then_some(value)
    }
}

/// The value of any object; an error calls it `name`.
#[inline(never)]
pub fn from_any(py: Py, object: &Obj, asked: Asked, name: Arguments) -> Result<OwnedValue, Failure> {
    if asked.for_tags() { from_any_tagged(py, object, asked, name) } else { from::<false>(py, object, asked, name) }
}

#[cold]
#[inline(never)]
fn from_any_tagged(py: Py, object: &Obj, asked: Asked, name: Arguments) -> Result<OwnedValue, Failure> {
    match stand_in(py, object, asked, name)? {
        Some(stand_in) => Ok(from::<true>(py, &stand_in.object, asked, name)?.with_tag(stand_in.tag)),
        None => from::<true>(py, object, asked, name),
    }
}

/// The value of an object that nothing stands for; with `TAGS`, something may stand for what is in it.
#[inline(always)]
fn from<const TAGS: bool>(py: Py, object: &Obj, asked: Asked, name: Arguments) -> Result<OwnedValue, Failure> {
    let api = py.api;
    let kind = object.type_ptr();
    if kind != api.PyDict_Type.0 && kind != api.PyList_Type.0 && kind != api.PyTuple_Type.0 {
        if kind == api.PyFloat_Type.0 {
            // SAFETY: a float.
            return Ok(OwnedValue::float(unsafe { (api.PyFloat_AsDouble)(object.as_ptr()) }));
        }
        let mut builder = Builder::of_bytes();
        if kind == api.PyUnicode_Type.0 {
            // SAFETY: a str, and a strong reference.
            let text = unsafe { (Reader { py }).text(object.as_ptr(), &mut builder) };
            // `shallow` says why there is none.
            if let Ok((start, len)) = text {
                return Ok(builder.finish_bytes(subpy_value::at_offset(value::STR, start, len)));
            }
        }
        // SAFETY: `object` is a strong reference; see Reader.
        return match unsafe { (Reader { py }).shallow(object.as_ptr(), asked, &mut builder) } {
            Ok(root) => Ok(builder.finish_bytes(root)),
            Err(refused) => Err(refused.at(&name.to_string())),
        };
    }
    let mut builder = Builder::new();
    let root = read::<TAGS>(py, object, asked, &mut builder, name)?;
    builder.finish(root).ok_or_else(Failure::no_memory)
}

/// Reads an object, with all that is in it, into a block that is being built. `name` is what an error calls it.
#[inline]
pub fn append(
    py: Py,
    object: &Obj,
    asked: Asked,
    builder: &mut Builder,
    name: Arguments,
) -> Result<subpy_value, Failure> {
    if asked.for_tags() {
        append_tagged(py, object, asked, builder, name)
    } else {
        read::<false>(py, object, asked, builder, name)
    }
}

#[cold]
#[inline(never)]
fn append_tagged(
    py: Py,
    object: &Obj,
    asked: Asked,
    builder: &mut Builder,
    name: Arguments,
) -> Result<subpy_value, Failure> {
    let Some(stand_in) = stand_in(py, object, asked, name)? else {
        return read::<true>(py, object, asked, builder, name);
    };
    let root = read::<true>(py, &stand_in.object, asked, builder, name)?;
    Ok(subpy_value { flags: stand_in.tag, ..root })
}

/// As `append`, of an object that nothing stands for; with `TAGS`, something may stand for what is in it.
#[inline(always)]
fn read<const TAGS: bool>(
    py: Py,
    object: &Obj,
    asked: Asked,
    builder: &mut Builder,
    name: Arguments,
) -> Result<subpy_value, Failure> {
    let reader = Reader { py };
    // SAFETY: `object` is a strong reference; see Reader.
    let root = match unsafe { reader.shallow(object.as_ptr(), asked, builder) } {
        Ok(root) => root,
        Err(refused) => return Err(refused.at(&name.to_string())),
    };
    if root.is_container() { read_elements::<TAGS>(py, object, root, asked, builder, name) } else { Ok(root) }
}

/// Reads what is in a container. A function of its own, for it needs all registers.
#[inline(never)]
fn read_elements<const TAGS: bool>(
    py: Py,
    object: &Obj,
    root: subpy_value,
    asked: Asked,
    builder: &mut Builder,
    name: Arguments,
) -> Result<subpy_value, Failure> {
    let reader = Reader { py };
    let mut keys: Keys = [(ptr::null_mut(), (0, 0)); FEW_KEYS];
    let mut first = Reading::new(object.as_ptr(), &root);
    // The containers in it on the way to the one that is being read. None is moved: a processor waits when it reads at
    // once in larger pieces what was written in smaller ones.
    let mut inner: Vec<Reading> = Vec::new();
    let mut standing = if TAGS { asked.stand_ins(py).map(Standing::new) } else { None };
    let refused = loop {
        let depth = inner.len();
        let top = inner.last_mut().unwrap_or(&mut first);
        // SAFETY: containers are alive: their root is, or what stands for one, and nothing runs that could change them.
        let element = match unsafe { reader.read(top, &mut keys, builder) } {
            Ok(element) => element,
            Err(refused) => break refused,
        };
        if element.is_null() {
            if inner.pop().is_none() {
                return Ok(root);
            }
            if TAGS && standing.as_mut().is_some_and(|standing| standing.is_read(depth)) {
                // Keys that are gone now may be among them.
                keys = [(ptr::null_mut(), (0, 0)); FEW_KEYS];
            }
            continue;
        }
        let (element, tag) = match &mut standing {
            // SAFETY: as above.
            Some(standing) if TAGS => match unsafe { standing.find(element, depth) } {
                Ok(found) => found,
                Err(refused) => break refused,
            },
            _ => (element, 0),
        };
        // SAFETY: as above.
        let value = match unsafe { reader.other(element, asked, builder) } {
            Ok(value) => value,
            Err(refused) => break refused,
        };
        builder.write(top.last_place(), if TAGS { subpy_value { flags: tag, ..value } } else { value });
        if !value.is_container() {
            continue;
        }
        if inner.len() + 1 == MAX_DEPTH {
            inner.insert(0, first);
            // SAFETY: as above.
            return Err(unsafe { reader.too_deep(&inner, name) });
        }
        inner.push(Reading::new(element, &value));
    };
    inner.insert(0, first);
    // SAFETY: as above.
    Err(refused.at(&unsafe { reader.path(&inner, name) }))
}

/// What stands for the whole object, if anything does.
fn stand_in<'py>(
    py: Py<'py>,
    object: &Obj<'py>,
    asked: Asked,
    name: Arguments,
) -> Result<Option<StandIn<'py>>, Failure> {
    let Some(stand_ins) = asked.stand_ins(py) else { return Ok(None) };
    // SAFETY: a strong reference.
    unsafe { stand_ins.find(object.as_ptr()) }.map_err(|refused| refused.at(&name.to_string()))
}

/// Passed by value: the compiler then knows that nothing changes the table of functions.
#[derive(Clone, Copy)]
pub(super) struct Reader<'py> {
    pub(super) py: Py<'py>,
}

impl Reader<'_> {
    /// Reads elements until there are no more (NULL), or one is of no common kind: that one.
    ///
    /// # Safety
    /// The container must be alive.
    #[inline(always)]
    unsafe fn read(self, top: &mut Reading, keys: &mut Keys, builder: &mut Builder) -> Result<*mut PyObject, Refused> {
        // SAFETY: promised by the caller.
        unsafe {
            match top.kind {
                value::DICT => self.read_dict(top, keys, builder),
                _ => self.read_row(top, builder),
            }
        }
    }

    /// A function of its own: for this and `read_dict` together a processor has too few registers.
    #[inline(never)]
    unsafe fn read_row(self, top: &mut Reading, builder: &mut Builder) -> Result<*mut PyObject, Refused> {
        let api = self.py.api;
        let get = if top.kind == value::TUPLE { api.PyTuple_GetItem } else { api.PyList_GetItem };
        // SAFETY: a live tuple or list, as promised.
        unsafe {
            self.read_ints(get, top, builder);
            self.read_alike(get, top, builder, |element, kind| {
                let is_float = kind == api.PyFloat_Type.0;
                is_float.then(|| subpy_value::float((api.PyFloat_AsDouble)(element)))
            });
        }
        let mut index = top.done() as isize;
        while top.next < top.end {
            let at = top.next_place();
            // SAFETY: a live tuple or list, as promised. The getters check the index and the type, and CPython's answer
            // NULL (never seen: nothing can shorten the container meanwhile) reads as None. The element is borrowed.
            unsafe {
                let element = get(top.object, index);
                let element = if element.is_null() { self.py.none() } else { element };
                if !self.write_scalar(element, at, builder)? {
                    return Ok(element);
                }
            }
            index += 1;
        }
        Ok(ptr::null_mut())
    }

    /// The ints that a row begins with. A function of its own, for the same reason.
    #[inline(never)]
    unsafe fn read_ints(
        self,
        get: unsafe extern "C" fn(*mut PyObject, isize) -> *mut PyObject,
        top: &mut Reading,
        builder: &mut Builder,
    ) {
        let value_of = |element, kind| {
            // SAFETY: an element of a live container, and its type.
            unsafe { int_of(self.py, element, kind) }.map(subpy_value::int)
        };
        // SAFETY: promised by the caller.
        unsafe { self.read_alike(get, top, builder, value_of) };
    }

    /// Rows of numbers: reads elements as long as they have a value of one kind.
    #[inline(always)]
    unsafe fn read_alike(
        self,
        get: unsafe extern "C" fn(*mut PyObject, isize) -> *mut PyObject,
        top: &mut Reading,
        builder: &mut Builder,
        value_of: impl Fn(*mut PyObject, *mut PyTypeObject) -> Option<subpy_value>,
    ) {
        let (object, mut index, mut at) = (top.object, top.done() as isize, top.next);
        while at < top.end {
            // SAFETY: promised by the caller; the element is borrowed.
            let value = unsafe {
                let element = get(object, index);
                if element.is_null() { None } else { value_of(element, self.py.api.type_of(element)) }
            };
            let Some(value) = value else { break };
            builder.write(at, value);
            index += 1;
            at += size_of::<subpy_value>();
        }
        top.next = at;
    }

    #[inline(always)]
    unsafe fn read_dict(
        self,
        top: &mut Reading,
        keys: &mut Keys,
        builder: &mut Builder,
    ) -> Result<*mut PyObject, Refused> {
        let api = self.py.api;
        let (mut at, end) = (top.next, top.end);
        let few = end - top.first <= FEW_KEYS * size_of::<subpy_pair>();
        let mut entry = top.done() / 2;
        let mut has_key = !top.value.is_null();
        while at < end {
            // SAFETY: a live dict, as promised. Key and value are borrowed, and None if there were no next entry, which
            // was never seen.
            unsafe {
                if !has_key {
                    let mut key = ptr::null_mut();
                    if (api.PyDict_Next)(top.object, &mut top.position, &mut key, &mut top.value) == 0 {
                        (key, top.value) = (self.py.none(), self.py.none());
                    }
                    let seen = &mut keys[entry % FEW_KEYS];
                    top.next = at + size_of::<subpy_value>();
                    if few && seen.0 == key {
                        let (start, len) = seen.1;
                        builder.write(at, subpy_value::at_offset(value::STR, start, len));
                    } else if api.type_of(key) == api.PyUnicode_Type.0 {
                        let (start, len) = self.text(key, builder)?;
                        if few && len <= LONGEST_SHARED {
                            *seen = (key, (start, len));
                        }
                        builder.write(at, subpy_value::at_offset(value::STR, start, len));
                    } else {
                        return Ok(key);
                    }
                    at += size_of::<subpy_value>();
                }
                let place = at;
                at += size_of::<subpy_value>();
                top.next = at;
                if !self.write_scalar(top.value, place, builder)? {
                    return Ok(std::mem::replace(&mut top.value, ptr::null_mut()));
                }
                entry += 1;
                has_key = false;
            }
        }
        Ok(ptr::null_mut())
    }

    /// Writes the value of an element of one of the kinds that most have. False for all others.
    ///
    /// # Safety
    /// The object must be alive.
    #[inline(always)]
    unsafe fn write_scalar(self, object: *mut PyObject, at: usize, builder: &mut Builder) -> Result<bool, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller; each getter is called for its exact type alone.
        unsafe {
            let kind = api.type_of(object);
            if let Some(value) = int_of(self.py, object, kind) {
                builder.write(at, subpy_value::int(value));
            } else if kind == api.PyUnicode_Type.0 {
                // `other` says why.
                let Ok((start, len)) = self.text(object, builder) else { return Ok(false) };
                builder.write(at, subpy_value::at_offset(value::STR, start, len));
            } else if kind == api.PyFloat_Type.0 {
                builder.write(at, subpy_value::float((api.PyFloat_AsDouble)(object)));
            } else if kind == api.PyBool_Type.0 {
                builder.write(at, subpy_value::bool(object == api._Py_TrueStruct.0));
            } else {
                return Ok(false);
            }
            Ok(true)
        }
    }

    /// `shallow` for an element that `write_scalar` left: often a dict.
    ///
    /// # Safety
    /// The object must be alive.
    #[inline(always)]
    unsafe fn other(self, object: *mut PyObject, asked: Asked, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller.
        unsafe {
            if api.type_of(object) == api.PyDict_Type.0 {
                return container(value::DICT, (api.PyDict_Size)(object), builder);
            }
            self.shallow(object, asked, builder)
        }
    }
}
