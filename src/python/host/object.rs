//! The Python object of a host function: to Python it is much like a builtin function. Its type is made in each
//! interpreter, and where its own data lie in it CPython says (PyObject_GetTypeData): no layout is read.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::super::api;
use super::super::api::Api;
use super::super::c_function::{Static, definition};
use super::super::object::{Obj, Py, PyResult};
use super::super::types::{self, PyMemberDef, PyMethodDef, PyObject, PyTypeObject};
use super::call::vectorcall;
use super::{Definition, HostFunction, finalize};

/// What an object has beyond what CPython has in each.
#[repr(C)]
struct Data {
    vectorcall: types::vectorcallfunc,
    /// An Arc.
    function: *const HostFunction,
    weak_references: *mut PyObject,
    /// str; `doc` and `signature` may be None.
    name: *mut PyObject,
    module: *mut PyObject,
    doc: *mut PyObject,
    signature: *mut PyObject,
}

/// The function of an object.
///
/// # Safety
/// A live object of `kind`.
#[inline]
pub unsafe fn function_of<'a>(api: &Api, object: *mut PyObject) -> &'a HostFunction {
    // SAFETY: promised by the caller; the object holds an Arc.
    unsafe { &*(*data(api, object)).function }
}

/// # Safety
/// An object of `kind`.
#[inline]
unsafe fn data(api: &Api, object: *mut PyObject) -> *mut Data {
    /// Where the data lie in each object: CPython answers the same for all types of this kind. 0: it was not asked.
    static OFFSET: AtomicUsize = AtomicUsize::new(0);
    let offset = match OFFSET.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: promised by the caller: the type is the one with the data, since it has no subclasses.
            let data = unsafe { (api.PyObject_GetTypeData)(object, api.type_of(object)) };
            let offset = data.addr() - object.addr();
            OFFSET.store(offset, Ordering::Relaxed);
            offset
        }
        offset => offset,
    };
    object.cast::<u8>().wrapping_add(offset).cast()
}

const fn member(name: &'static CStr, kind: c_int, offset: usize) -> PyMemberDef {
    let flags = types::Py_READONLY | types::Py_RELATIVE_OFFSET;
    PyMemberDef { name: name.as_ptr(), type_code: kind, offset: offset as isize, flags, doc: ptr::null() }
}

static MEMBERS: Static<[PyMemberDef; 8]> = Static([
    member(c"__vectorcalloffset__", types::Py_T_PYSSIZET, offset_of!(Data, vectorcall)),
    member(c"__weaklistoffset__", types::Py_T_PYSSIZET, offset_of!(Data, weak_references)),
    member(c"__name__", types::Py_T_OBJECT_EX, offset_of!(Data, name)),
    member(c"__qualname__", types::Py_T_OBJECT_EX, offset_of!(Data, name)),
    member(c"__module__", types::Py_T_OBJECT_EX, offset_of!(Data, module)),
    member(c"__doc__", types::Py_T_OBJECT_EX, offset_of!(Data, doc)),
    member(c"__text_signature__", types::Py_T_OBJECT_EX, offset_of!(Data, signature)),
    PyMemberDef { name: ptr::null(), type_code: 0, offset: 0, flags: 0, doc: ptr::null() },
]);

static METHODS: Static<[PyMethodDef; 2]> = Static([
    definition(c"__reduce__", reduce, types::METH_NOARGS),
    PyMethodDef { ml_name: ptr::null(), ..definition(c"", reduce, 0) },
]);

/// A type that the interpreter keeps, made when it is needed first. Attached to the interpreter.
pub fn kept<'py>(
    py: Py<'py>,
    kept: &AtomicPtr<PyObject>,
    make: impl FnOnce() -> PyResult<Obj<'py>>,
) -> PyResult<Obj<'py>> {
    let kind = kept.load(Ordering::Relaxed);
    if !kind.is_null() {
        // SAFETY: kept until the interpreter ends.
        return unsafe { py.borrowed(kind) };
    }
    let made = make()?;
    // SAFETY: live objects; the second reference is the kept one. When another thread was faster, that one's is given
    // back.
    unsafe {
        (py.api.Py_IncRef)(made.as_ptr());
        (py.api.Py_DecRef)(kept.swap(made.as_ptr(), Ordering::Relaxed));
    }
    Ok(made)
}

fn kind<'py>(py: Py<'py>, kept: &AtomicPtr<PyObject>) -> PyResult<Obj<'py>> {
    self::kept(py, kept, || {
        let slots = [
            (types::Py_tp_call, py.api.PyVectorcall_Call as *const c_void),
            (types::Py_tp_dealloc, dealloc as *const c_void),
            (types::Py_tp_repr, repr as *const c_void),
            // inspect and pydoc take it for a routine then; and it is no method when it is put into a class.
            (types::Py_tp_descr_get, get as *const c_void),
            (types::Py_tp_members, MEMBERS.0.as_ptr().cast()),
            (types::Py_tp_methods, METHODS.0.as_ptr().cast()),
        ];
        // SAFETY: functions of the kinds that these slots have, and tables that are static.
        unsafe {
            py.new_type::<Data>(
                c"subpy.HostFunction",
                types::Py_TPFLAGS_HAVE_VECTORCALL | types::Py_TPFLAGS_DISALLOW_INSTANTIATION,
                &slots,
            )
        }
    })
}

/// A new object that calls it.
pub fn new<'py>(py: Py<'py>, function: &Arc<HostFunction>, definition: Definition) -> PyResult<Obj<'py>> {
    let kind = kind(py, &function.hosts.kind)?;
    let text = |text: Option<&str>| match text {
        Some(text) => py.str(text),
        // SAFETY: None is alive.
        None => unsafe { py.borrowed(py.none()) },
    };
    let name = py.interned(definition.name)?;
    let module = py.interned(definition.module.unwrap_or("__main__"))?;
    let (doc, signature) = (text(definition.doc)?, text(definition.signature)?);
    // SAFETY: a type of ours, whose objects have room for the data; the references become the object's.
    unsafe {
        let object = py.owned((py.api.PyType_GenericAlloc)(kind.as_ptr().cast(), 0))?;
        data(py.api, object.as_ptr()).write(Data {
            vectorcall,
            function: Arc::into_raw(Arc::clone(function)),
            weak_references: ptr::null_mut(),
            name: name.into_ptr(),
            module: module.into_ptr(),
            doc: doc.into_ptr(),
            signature: signature.into_ptr(),
        });
        Ok(object)
    }
}

/// Python has given it up.
unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called by Python with the GIL, with an object of `kind` that nobody else has. An exception that is set
    // meanwhile stays as it is.
    unsafe {
        let py = Py::attached(api());
        let raised = py.take_exception();
        let kind: *mut PyTypeObject = py.api.type_of(object);
        let data = data(py.api, object);
        if !(*data).weak_references.is_null() {
            (py.api.PyObject_ClearWeakRefs)(object);
        }
        let Data { function, name, module, doc, signature, .. } = data.read();
        (py.api.PyObject_Free)(object.cast());
        for object in [name, module, doc, signature, kind.cast()] {
            (py.api.Py_DecRef)(object);
        }
        let function = Arc::from_raw(function);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| finalize::release(function)));
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with an object of `kind`.
    unsafe {
        let py = Py::attached(api());
        let name = &function_of(py.api, object).name;
        py.str(&format!("<host function {name}>")).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}

/// `pickle` then finds it by its name.
unsafe extern "C" fn reduce(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with an object of `kind`.
    unsafe {
        let py = Py::attached(api());
        py.borrowed((*data(py.api, object)).name).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}

/// In a class it stays what it is.
unsafe extern "C" fn get(object: *mut PyObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with an object of `kind`.
    unsafe {
        (api().Py_IncRef)(object);
        object
    }
}
