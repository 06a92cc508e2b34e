//! The values of objects that are memory.

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use super::super::object::{LONGEST_NAME, Obj, Py, PyResult, cut};
use super::super::pins::{Pin, View};
use super::super::types::{self, PyObject};
use super::asked::{Asked, Refused};
use super::from_python::Reader;
use crate::value::{self, Access, Builder, Export, Results, subpy_value};

/// What is smaller is copied: a pin takes as long as that, and outlives its interpreter less well.
const SMALL: isize = 4 << 10;

/// The function behind every `__buffer__` that is written in Python, once it is known. Such a one must not be called while
/// a value is read: it could change what is being read.
static IN_PYTHON: OnceLock<usize> = OnceLock::new();

/// To be called before the first object is read whose buffer is asked for. It fails for lack of memory alone: nothing of it
/// runs Python code, where the run that asks could be hit.
#[cold]
pub fn prepare(py: Py) {
    if IN_PYTHON.get().is_none() {
        match class_in_python(py) {
            // SAFETY: a live type.
            Ok(class) => drop(IN_PYTHON.set(unsafe { slot(py, class.as_ptr()) })),
            Err(_) => py.clear(),
        }
    }
}

/// type('Buffer', (), {'__buffer__': None})
fn class_in_python(py: Py) -> PyResult<Obj> {
    // SAFETY: attached; new references, and live objects.
    unsafe {
        let (bases, names) = (py.owned((py.api.PyTuple_New)(0))?, py.owned((py.api.PyDict_New)())?);
        py.check((py.api.PyDict_SetItemString)(names.as_ptr(), c"__buffer__".as_ptr(), py.none()))?;
        let class = py.borrowed(py.api.PyType_Type.0.cast())?;
        class.call(&[&py.str("Buffer")?, &bases, &names])
    }
}

/// # Safety
/// A live type.
unsafe fn slot(py: Py, kind: *mut PyObject) -> usize {
    // SAFETY: promised by the caller.
    unsafe { (py.api.PyType_GetSlot)(kind.cast(), types::Py_bf_getbuffer) }.addr()
}

impl Reader<'_> {
    /// The memory of an object as a BUFFER; None: it is not asked for, there is none, or only code in Python could tell.
    ///
    /// # Safety
    /// A live object.
    pub(super) unsafe fn shared(
        self,
        object: *mut PyObject,
        asked: Asked,
        builder: &mut Builder,
    ) -> Result<Option<subpy_value>, Refused> {
        let Some(own) = asked.own.filter(|_| asked.how.has(Results::BUFFER)) else { return Ok(None) };
        let api = self.py.api;
        // SAFETY: promised by the caller. What is filled in is released once, here or by the pin.
        unsafe {
            match (slot(self.py, api.type_of(object).cast()), IN_PYTHON.get()) {
                (0, _) => return Ok(None),
                (_, None) => return Err(Refused::NO_MEMORY),
                (slot, Some(in_python)) if slot == *in_python => return Ok(None),
                _ => {}
            }
            let mut view = View::new();
            if (api.PyObject_GetBuffer)(object, &mut view.buffer, types::PyBUF_FULL_RO) != 0 {
                self.py.clear();
                return Err(Refused::because("its buffer cannot be shared: it was released, or gives none".into()));
            }
            let buffer = &view.buffer;
            let format = if buffer.format.is_null() { c"B" } else { CStr::from_ptr(buffer.format) };
            let (itemsize, len) = (buffer.itemsize.max(1), buffer.len.max(0) as usize);
            let access = match buffer.readonly {
                0 => Access::Writable,
                _ if api.type_of(object) == api.PyBytes_Type.0 => Access::Fixed,
                _ => Access::ReadOnly,
            };
            let flat = [buffer.len / itemsize];
            let shape = match buffer.ndim {
                1.. if !buffer.shape.is_null() => std::slice::from_raw_parts(buffer.shape, buffer.ndim as usize),
                _ => &flat,
            };
            let contiguous = (api.PyBuffer_IsContiguous)(buffer, b'C' as c_char) != 0;
            let export = if buffer.len > SMALL && contiguous {
                let data = buffer.buf;
                // It may lie in the view. The format is the object's.
                let shape = shape.to_vec();
                let pin = Pin::new(view, own);
                Export::new((data, len), format, itemsize as usize, &shape, access, Box::new(pin))
            } else {
                let mut copy: Vec<u8> = Vec::new();
                let copied = copy.try_reserve_exact(len).is_ok() && {
                    copy.resize(len, 0);
                    (api.PyBuffer_ToContiguous)(copy.as_mut_ptr().cast(), buffer, buffer.len, b'C' as c_char) == 0
                };
                let memory = (copy.as_mut_ptr().cast(), len);
                let export = copied
                    .then(|| Export::new(memory, format, itemsize as usize, shape, access.of_copy(), Box::new(copy)))
                    .flatten();
                self.py.clear();
                (api.PyBuffer_Release)(&mut view.buffer);
                export
            };
            export.and_then(|export| export.attach(builder)).map(Some).ok_or(Refused::NO_MEMORY)
        }
    }

    /// # Safety
    /// A live memoryview.
    pub(super) unsafe fn memoryview(
        self,
        object: *mut PyObject,
        builder: &mut Builder,
    ) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        // SAFETY: promised by the caller. All bytes zero is a Py_buffer that nothing was put into.
        unsafe {
            let mut view: types::Py_buffer = std::mem::zeroed();
            if (api.PyObject_GetBuffer)(object, &mut view, types::PyBUF_FULL_RO) != 0 {
                self.py.clear();
                return Err(Refused::because("a released memoryview cannot be shared".into()));
            }
            let format = if view.format.is_null() { b"B" } else { std::ffi::CStr::from_ptr(view.format).to_bytes() };
            let fits = view.ndim == 1
                && (api.PyBuffer_IsContiguous)(&view, b'C' as c_char) != 0
                && matches!(format, b"B" | b"b" | b"c");
            let result = if fits {
                bytes(view.buf.cast(), view.len, builder)
            } else {
                Err(Refused::because(format!(
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
///
/// # Safety
/// `data` must be NULL, or that many bytes.
pub(super) unsafe fn bytes(data: *const c_char, len: isize, builder: &mut Builder) -> Result<subpy_value, Refused> {
    let len = if data.is_null() { 0 } else { len as usize };
    // SAFETY: CPython's pointer to that many bytes; it may be NULL when there are none.
    let data = unsafe { if len == 0 { &[] } else { std::slice::from_raw_parts(data.cast(), len) } };
    let start = builder.append(data, false).ok_or(Refused::NO_MEMORY)?;
    Ok(subpy_value::at_offset(value::BYTES, start, len))
}
