//! The host's memory in Python: a memoryview of an object that has the buffer protocol and nothing else. When Python has
//! let go of that, the claim on the memory goes with it.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::attach::{detached, in_host};
use super::fork::forked;
use super::host::kept_type;
use super::object::{Obj, Py, PyResult};
use super::own::Own;
use super::types::{self, Py_buffer, PyObject, PyTypeObject};
use super::{api, loaded_api, lock};
use crate::value::{Claim, Claims, subpy_finalize_fn, subpy_value};

/// What one interpreter has of them.
#[derive(Default)]
pub struct Buffers {
    /// The type, a strong reference; NULL before it is needed first.
    kind: AtomicPtr<PyObject>,
    /// Those that Python has, by address.
    claims: Mutex<HashMap<usize, Weak<Claim>>>,
}

impl Buffers {
    /// Gives the references to Python objects back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        // SAFETY: the reference that was kept; Py_DecRef ignores NULL.
        unsafe { (py.api.Py_DecRef)(self.kind.swap(ptr::null_mut(), Ordering::Relaxed)) }
    }

    /// The interpreter has ended: what it had and has not let go of, because an object leaked or a thread never came back,
    /// nobody uses any more. Detached.
    pub fn end(&self) {
        let claims = std::mem::take(&mut *lock(&self.claims));
        claims.into_values().filter_map(|claim| claim.upgrade()).for_each(|claim| claim.over());
    }
}

/// Calls a `release`, under nobody's GIL.
pub fn tell(release: subpy_finalize_fn, userdata: *mut c_void) {
    // In a fork the memory is a copy, and who wants to know of it is elsewhere.
    if let Some(release) = release
        && !forked()
    {
        let call = || {
            // SAFETY: the host's function, as it was declared to be; once.
            unsafe { release(userdata) }
        };
        detached(loaded_api(), || match loaded_api() {
            Some(_) => drop(in_host(call)),
            None => call(),
        });
    }
}

/// What an object has beyond what CPython has in each.
#[repr(C)]
struct Data {
    /// An Arc.
    claim: *const Claim,
    /// One too.
    own: *const Own,
}

/// # Safety
/// An object of `kind`.
unsafe fn data(py: Py, object: *mut PyObject) -> *mut Data {
    // SAFETY: promised by the caller: the type is the one with the data, since it has no subclasses.
    unsafe { (py.api.PyObject_GetTypeData)(object, py.api.type_of(object)).cast() }
}

fn kind<'py>(py: Py<'py>, own: &Own) -> PyResult<Obj<'py>> {
    kept_type(py, &own.buffers.kind, || {
        let slots = [
            (types::Py_bf_getbuffer, get_buffer as *const c_void),
            (types::Py_bf_releasebuffer, release_buffer as *const c_void),
            (types::Py_tp_dealloc, dealloc as *const c_void),
        ];
        // SAFETY: functions of the kinds that these slots have.
        unsafe { py.new_type::<Data>(c"subpy.Buffer", types::Py_TPFLAGS_DISALLOW_INSTANTIATION, &slots) }
    })
}

/// A memoryview of a BUFFER with a claim.
///
/// # Safety
/// A value that the library has made, whose block is alive.
pub unsafe fn view<'py>(py: Py<'py>, own: &Arc<Own>, value: &subpy_value) -> PyResult<Obj<'py>> {
    // SAFETY: promised by the caller.
    let claim = unsafe { Claim::of(value) };
    let kind = kind(py, own)?;
    {
        let mut claims = lock(&own.buffers.claims);
        claims.try_reserve(1).map_err(|_| py.no_memory())?;
        claims.insert(Arc::as_ptr(&claim).addr(), Arc::downgrade(&claim));
    }
    // SAFETY: a type of ours, whose objects have room for the data; new references.
    unsafe {
        let exporter = py.owned((py.api.PyType_GenericAlloc)(kind.as_ptr().cast(), 0))?;
        data(py, exporter.as_ptr())
            .write(Data { claim: Arc::into_raw(Arc::clone(&claim)), own: Arc::into_raw(Arc::clone(own)) });
        let view = py.owned((py.api.PyMemoryView_FromObject)(exporter.as_ptr()))?;
        if claim.is_lent() {
            (py.api.Py_IncRef)(view.as_ptr());
            // Nobody else has this claim: each is made for one value, which is converted once.
            (py.api.Py_DecRef)(claim.view.swap(view.as_ptr().cast(), Ordering::Relaxed).cast());
        }
        Ok(view)
    }
}

/// The call is over that these were lent for: takes the memory away from Python. How many of them are still in use, by
/// views that were made of those that Python was given. Attached.
pub fn revoke(py: Py, claims: &Claims) -> usize {
    let raised = py.take_exception();
    let mut used = 0;
    for claim in claims.list().iter().filter(|claim| claim.is_lent()) {
        // SAFETY: the strong reference that `view` has put there, or NULL.
        if let Ok(view) = unsafe { py.owned(claim.view.swap(ptr::null_mut(), Ordering::Relaxed).cast()) } {
            // Refused while something has a view of it, such as an array.
            if view.attr(c"release").and_then(|release| release.call(&[])).is_err() {
                py.clear();
            }
        }
        claim.revoked.store(true, Ordering::Relaxed);
        used += claim.exports.load(Ordering::Relaxed);
    }
    if let Some(raised) = raised {
        py.set_exception(raised);
    }
    used
}

unsafe extern "C" fn get_buffer(object: *mut PyObject, view: *mut Py_buffer, flags: c_int) -> c_int {
    // SAFETY: called by Python with the GIL, with an object of `kind` and a view to fill in. What it points to is the
    // claim's, which lives as long as the object, and that as long as the view.
    unsafe {
        let py = Py::attached(api());
        (*view).obj = ptr::null_mut();
        let claim = &*(*data(py, object)).claim;
        let refuse = |why: &str| {
            py.raise(py.api.PyExc_BufferError.get(), why);
            -1
        };
        if claim.revoked.load(Ordering::Relaxed) {
            return refuse("the buffer was lent for a call that is over");
        }
        if flags & types::PyBUF_WRITABLE != 0 && !claim.is_writable() {
            return refuse("the buffer is read-only");
        }
        let has = |these| flags & these == these;
        let (format, shape, strides) = (claim.format(), claim.shape(), claim.strides());
        *view = Py_buffer {
            buf: claim.data(),
            obj: ptr::null_mut(),
            len: claim.len() as isize,
            itemsize: claim.itemsize() as isize,
            readonly: c_int::from(!claim.is_writable()),
            ndim: shape.len() as c_int,
            format: format.cast_mut(),
            shape: shape.as_ptr().cast_mut(),
            strides: strides.as_ptr().cast_mut(),
            suboffsets: ptr::null_mut(),
            internal: ptr::null_mut(),
        };
        let is = |order: u8| (py.api.PyBuffer_IsContiguous)(view, order as c_char) != 0;
        let fits = (has(types::PyBUF_STRIDES) || is(b'C'))
            && (!has(types::PyBUF_C_CONTIGUOUS) || is(b'C'))
            && (!has(types::PyBUF_F_CONTIGUOUS) || is(b'F'))
            && (!has(types::PyBUF_ANY_CONTIGUOUS) || is(b'A'));
        if !fits {
            return refuse("the buffer is not contiguous in this order");
        }
        if !has(types::PyBUF_FORMAT) {
            (*view).format = ptr::null_mut();
        }
        if !has(types::PyBUF_STRIDES) {
            (*view).strides = ptr::null_mut();
        }
        if !has(types::PyBUF_ND) {
            (*view).shape = ptr::null_mut();
        }
        (py.api.Py_IncRef)(object);
        (*view).obj = object;
        claim.exports.fetch_add(1, Ordering::Relaxed);
        0
    }
}

unsafe extern "C" fn release_buffer(object: *mut PyObject, _: *mut Py_buffer) {
    // SAFETY: called by Python with the GIL, with an object of `kind`.
    unsafe {
        let py = Py::attached(api());
        (*(*data(py, object)).claim).exports.fetch_sub(1, Ordering::Relaxed);
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
        let Data { claim, own } = data(py, object).read();
        (py.api.PyObject_Free)(object.cast());
        (py.api.Py_DecRef)(kind.cast());
        // It may never have got that far.
        if !claim.is_null() {
            let (claim, own) = (Arc::from_raw(claim), Arc::from_raw(own));
            lock(&own.buffers.claims).remove(&Arc::as_ptr(&claim).addr());
            // This may be the end of it: then the host is told.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop((claim, own))));
        }
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }
}
