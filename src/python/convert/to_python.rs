//! Values to Python objects.

use std::ffi::c_char;
use std::ptr;

use super::super::object::{Obj, Py, PyResult};
use super::super::types;
use crate::value::{self, subpy_value};

/// Makes the Python object of a checked value.
#[inline]
pub fn to_python<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    match value.kind {
        value::INT => py.int(value.as_int()),
        value::TUPLE | value::LIST | value::DICT => container(py, value),
        _ => scalar(py, value),
    }
}

fn container<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // The containers on the way from the root to the one that is being filled.
    let mut open = vec![Filling::new(py, *value)?];
    loop {
        let Some(top) = open.last_mut() else { unreachable!("the root returns") };
        if let Some(inner) = top.fill(py)? {
            open.push(Filling::new(py, inner)?);
            continue;
        }
        let done = open.pop().expect("the one that was filled").object;
        match open.last_mut() {
            Some(parent) => parent.put(py, done)?,
            None => return Ok(done),
        }
    }
}

/// A tuple, list or dict that is being filled.
struct Filling<'py> {
    value: subpy_value,
    object: Obj<'py>,
    filled: usize,
    /// A dict's key that waits for its value.
    key: Option<Obj<'py>>,
}

impl<'py> Filling<'py> {
    fn new(py: Py<'py>, value: subpy_value) -> PyResult<Filling<'py>> {
        let len = value.len as isize;
        // SAFETY: attached; new references.
        let object = unsafe {
            py.owned(match value.kind {
                value::TUPLE => (py.api.PyTuple_New)(len),
                value::LIST => (py.api.PyList_New)(len),
                _ => (py.api.PyDict_New)(),
            })?
        };
        Ok(Filling { value, object, filled: 0, key: None })
    }

    /// Puts elements in until there are no more, or one is a container itself: that one.
    fn fill(&mut self, py: Py<'py>) -> PyResult<Option<subpy_value>> {
        while let Some(element) = self.next_element() {
            let object = match element.kind {
                value::INT => py.int(element.as_int())?,
                value::TUPLE | value::LIST | value::DICT => return Ok(Some(*element)),
                _ => scalar(py, element)?,
            };
            self.put(py, object)?;
        }
        Ok(None)
    }

    #[inline]
    fn next_element<'a>(&self) -> Option<&'a subpy_value> {
        // SAFETY: the value was checked before the run began, and what it points to is borrowed until the run ends.
        unsafe {
            if self.value.kind != value::DICT {
                return self.value.items().get(self.filled);
            }
            let pair = self.value.pairs().get(self.filled)?;
            Some(if self.key.is_none() { &pair.key } else { &pair.value })
        }
    }

    #[inline]
    fn put(&mut self, py: Py<'py>, element: Obj<'py>) -> PyResult<()> {
        let at = self.filled as isize;
        // SAFETY: live objects; SetItem takes the reference over, also when it fails (a guest that got hold of the
        // half-filled list through the garbage collector may have shortened it).
        unsafe {
            match self.value.kind {
                value::TUPLE => py.check((py.api.PyTuple_SetItem)(self.object.as_ptr(), at, element.into_ptr()))?,
                value::LIST => py.check((py.api.PyList_SetItem)(self.object.as_ptr(), at, element.into_ptr()))?,
                _ => match self.key.take() {
                    None => {
                        self.key = Some(element);
                        return Ok(());
                    }
                    Some(key) => {
                        py.check((py.api.PyDict_SetItem)(self.object.as_ptr(), key.as_ptr(), element.as_ptr()))?;
                    }
                },
            }
        }
        self.filled += 1;
        Ok(())
    }
}

fn scalar<'py>(py: Py<'py>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the value was checked, so its bytes are there and text is valid UTF-8. All but the constants
    // are new references.
    unsafe {
        let data = || value.pointer().cast::<c_char>();
        match value.kind {
            value::BOOL => {
                let constant = if value.as_bool() { types::Py_CONSTANT_TRUE } else { types::Py_CONSTANT_FALSE };
                py.borrowed((py.api.Py_GetConstantBorrowed)(constant))
            }
            value::INT => py.int(value.as_int()),
            value::FLOAT => py.owned((py.api.PyFloat_FromDouble)(value.as_float())),
            value::STR if value.len == 0 => py.str(""),
            value::STR => py.owned((py.api.PyUnicode_DecodeUTF8)(data(), value.len as isize, ptr::null())),
            value::BYTES => py.owned((py.api.PyBytes_FromStringAndSize)(data(), value.len as isize)),
            value::BIGINT => {
                // PyLong_FromString wants a NUL behind the digits. Base 16 takes linear time.
                let mut text = Vec::new();
                text.try_reserve_exact(value.len + 1).map_err(|_| py.no_memory())?;
                text.extend_from_slice(value.bytes());
                text.push(0);
                py.owned((py.api.PyLong_FromString)(text.as_ptr().cast(), ptr::null_mut(), 16))
            }
            _ => py.borrowed(py.none()),
        }
    }
}
