//! A number that stays with an exception: an object in its `__dict__`, of a type of our own. Python code can pass it on
//! and cannot make one.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::AtomicPtr;

use super::super::api;
use super::super::c_function::{Static, definition};
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::types::{self, PyMethodDef, PyObject};

const ATTRIBUTE: &CStr = c"__subpy_tag__";

/// Its address says that a type is this one.
static TOKEN: u8 = 0;

fn token() -> *mut c_void {
    ptr::from_ref(&TOKEN).cast_mut().cast()
}

static METHODS: Static<[PyMethodDef; 2]> = Static([
    definition(c"__reduce__", reduce, types::METH_NOARGS),
    PyMethodDef { ml_name: ptr::null(), ..definition(c"", reduce, 0) },
]);

/// The type, made when the first object is. Attached to the interpreter.
fn kind<'py>(py: Py<'py>, kept: &AtomicPtr<PyObject>) -> PyResult<Obj<'py>> {
    super::object::kept(py, kept, || {
        let slots = [(types::Py_tp_token, token().cast_const()), (types::Py_tp_methods, METHODS.0.as_ptr().cast())];
        // SAFETY: a token and a table, which are static.
        unsafe { py.new_type::<u64>(c"subpy.Tag", types::Py_TPFLAGS_DISALLOW_INSTANTIATION, &slots) }
    })
}

/// Gives an exception the number.
pub fn set(py: Py, kept: &AtomicPtr<PyObject>, exception: &Obj, number: u64) -> PyResult<()> {
    let kind = kind(py, kept)?;
    // SAFETY: a type of ours, whose objects have room for the number; live objects.
    unsafe {
        let tag = py.owned((py.api.PyType_GenericAlloc)(kind.as_ptr().cast(), 0))?;
        (py.api.PyObject_GetTypeData)(tag.as_ptr(), kind.as_ptr().cast()).cast::<u64>().write_unaligned(number);
        let dict = py.owned((py.api.PyObject_GenericGetDict)(exception.as_ptr(), ptr::null_mut()))?;
        py.check((py.api.PyDict_SetItemString)(dict.as_ptr(), ATTRIBUTE.as_ptr(), tag.as_ptr()))
    }
}

/// The number of an exception; 0: none. Runs no Python code, and leaves no exception behind.
pub fn get(py: Py, exception: &Obj) -> u64 {
    let number = look(py, exception).unwrap_or(0);
    py.clear();
    number
}

fn look(py: Py, exception: &Obj) -> Option<u64> {
    let mut tag = ptr::null_mut();
    let mut kind = ptr::null_mut();
    // SAFETY: live objects; an exception's dict has str for keys, or whatever a guest has put there. An object of the
    // type with the token has the number where CPython says.
    unsafe {
        let dict = py.owned((py.api.PyObject_GenericGetDict)(exception.as_ptr(), ptr::null_mut())).ok()?;
        let name = py.str(ATTRIBUTE.to_str().ok()?).ok()?;
        (py.api.PyDict_GetItemRef)(dict.as_ptr(), name.as_ptr(), &mut tag);
        let tag = py.owned(tag).ok()?;
        if (py.api.PyType_GetBaseByToken)(tag.type_ptr(), token(), &mut kind) != 1 {
            return None;
        }
        let kind = py.owned(kind.cast()).ok()?;
        let number = (py.api.PyObject_GetTypeData)(tag.as_ptr(), kind.as_ptr().cast()).cast::<u64>();
        Some(number.read_unaligned())
    }
}

/// An exception can be pickled; the number is of this process, so it gets lost: `(type(None), ())`.
unsafe extern "C" fn reduce(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL. The types of live objects; SetItem takes the references over.
    unsafe {
        let py = Py::attached(api());
        let both = (|| {
            let both = py.owned((py.api.PyTuple_New)(2))?;
            let kind = py.borrowed(py.api.type_of(py.none()).cast())?;
            py.check((py.api.PyTuple_SetItem)(both.as_ptr(), 0, kind.into_ptr()))?;
            let nothing = py.owned((py.api.PyTuple_New)(0))?;
            py.check((py.api.PyTuple_SetItem)(both.as_ptr(), 1, nothing.into_ptr()))?;
            Ok::<_, Raised>(both)
        })();
        both.map_or(ptr::null_mut(), Obj::into_ptr)
    }
}
