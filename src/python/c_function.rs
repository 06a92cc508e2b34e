//! Functions of C that Python calls, and what they are about: a function owns a capsule, and the capsule owns a value of Rust's.

use std::ffi::CStr;
use std::ptr;

use super::api;
use super::api::Api;
use super::object::{Obj, Py, PyResult};
use super::types::{PyCFunction, PyMemberDef, PyMethodDef, PyMethodDefPointer, PyObject};

/// What CPython takes the address of: definitions of functions, methods and members.
pub struct Static<T>(pub T);

// SAFETY: constant data: names, addresses of functions, numbers. CPython never writes to it.
unsafe impl Sync for Static<PyMethodDef> {}

// SAFETY: as above.
unsafe impl<const N: usize> Sync for Static<[PyMethodDef; N]> {}

// SAFETY: as above.
unsafe impl<const N: usize> Sync for Static<[PyMemberDef; N]> {}

pub const fn definition(name: &'static CStr, function: PyCFunction, flags: i32) -> PyMethodDef {
    let ml_meth = PyMethodDefPointer { PyCFunction: function };
    PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: flags, ml_doc: ptr::null() }
}

/// What a capsule owns.
///
/// # Safety
/// No other type has its name: by that a capsule is known. It may be dropped on any thread that has the GIL of the interpreter
/// that the capsule is of.
pub unsafe trait InCapsule: Sized + 'static {
    const NAME: &'static CStr;
}

/// A capsule that owns the value. Attached.
pub fn capsule<'py, T: InCapsule>(py: Py<'py>, value: T) -> PyResult<Obj<'py>> {
    // Guests decide how many there are. A box of one element is a box of what it has.
    let mut room = Vec::new();
    if room.try_reserve_exact(1).is_err() {
        return Err(py.no_memory());
    }
    room.push(value);
    let pointer = Box::into_raw(room.into_boxed_slice()).cast::<T>();
    // SAFETY: attached; a static name. The capsule owns the box, which `drop_value` takes back; without a capsule it is still
    // ours.
    unsafe {
        let capsule = (py.api.PyCapsule_New)(pointer.cast(), T::NAME.as_ptr(), Some(drop_value::<T>));
        if capsule.is_null() {
            drop(Box::from_raw(pointer));
        }
        py.owned(capsule)
    }
}

unsafe extern "C" fn drop_value<T: InCapsule>(capsule: *mut PyObject) {
    // SAFETY: CPython destroys a capsule that `capsule` made, once, with the GIL.
    unsafe { drop(Box::from_raw((api().PyCapsule_GetPointer)(capsule, T::NAME.as_ptr()).cast::<T>())) }
}

/// What a capsule owns. None, and an exception is set, when the object is none of `capsule` for this type.
///
/// # Safety
/// Attached; the object is alive as long as what is returned is used: a function that Python calls keeps the one that it owns.
pub unsafe fn in_capsule<'a, T: InCapsule>(api: &Api, capsule: *mut PyObject) -> Option<&'a T> {
    // SAFETY: by its name it is one that `capsule` made for this type; the caller keeps it alive.
    unsafe { (api.PyCapsule_GetPointer)(capsule, T::NAME.as_ptr()).cast::<T>().as_ref() }
}

/// A function that Python calls with `about` in the place of self, which it owns. Attached.
///
/// # Safety
/// The definition's function must make do with such an object.
pub unsafe fn function<'py>(py: Py<'py>, definition: &'static PyMethodDef, about: Option<&Obj>) -> PyResult<Obj<'py>> {
    let about = about.map_or(ptr::null_mut(), Obj::as_ptr);
    // SAFETY: attached; a live object or none. The definition is static, and CPython never writes to it.
    unsafe {
        py.owned((py.api.PyCMethod_New)(ptr::from_ref(definition).cast_mut(), about, ptr::null_mut(), ptr::null_mut()))
    }
}
