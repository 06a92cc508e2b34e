//! The type that queues.py derives Queue from. Each interpreter has its own.

use std::ffi::c_void;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::api;
use super::super::api::Api;
use super::super::c_function::Static;
use super::super::fork::forked;
use super::super::object::{Obj, Py, PyResult};
use super::super::types::{self, PyMemberDef, PyObject, PyTypeObject};
use super::guest::{Kept, Queues};
use super::handles;
use super::methods::METHODS;
use super::place::Place;

/// Its address says that a type is this one.
static TOKEN: u8 = 0;

fn token() -> *mut c_void {
    ptr::from_ref(&TOKEN).cast_mut().cast()
}

/// What an object has beyond what CPython has in each. All zero until it was filled.
#[repr(C)]
struct Data {
    /// Counts (`Place::into_raw`); NULL in what Python code has made past `__new__`.
    place: [*const (); 2],
    queues: *const Queues,
    weak_references: *mut PyObject,
}

static MEMBERS: Static<[PyMemberDef; 2]> = Static([
    PyMemberDef {
        name: c"__weaklistoffset__".as_ptr(),
        type_code: types::Py_T_PYSSIZET,
        offset: offset_of!(Data, weak_references) as isize,
        flags: types::Py_READONLY | types::Py_RELATIVE_OFFSET,
        doc: ptr::null(),
    },
    PyMemberDef { name: ptr::null(), type_code: 0, offset: 0, flags: 0, doc: ptr::null() },
]);

/// A new type. Attached to the interpreter.
pub(super) fn kind(py: Py) -> PyResult<Obj> {
    let slots = [
        (types::Py_tp_token, token().cast_const()),
        (types::Py_tp_dealloc, dealloc as *const c_void),
        (types::Py_tp_members, MEMBERS.0.as_ptr().cast()),
        (types::Py_tp_methods, METHODS.0.as_ptr().cast()),
    ];
    // SAFETY: functions of the kinds that these slots have, and tables that are static.
    unsafe { py.new_type::<Data>(c"subpy_queues._Queue", types::Py_TPFLAGS_BASETYPE, &slots) }
}

/// # Safety
/// An object of the type, or of one that derives from it; `base` must be the type.
unsafe fn data_of(api: &Api, object: *mut PyObject, base: *mut PyTypeObject) -> *mut Data {
    /// Where the data lie in each object: they follow what `object` has. 0: CPython was not asked.
    static OFFSET: AtomicUsize = AtomicUsize::new(0);
    let mut offset = OFFSET.load(Ordering::Relaxed);
    if offset == 0 {
        // SAFETY: promised by the caller.
        offset = unsafe { (api.PyObject_GetTypeData)(object, base) }.addr() - object.addr();
        OFFSET.store(offset, Ordering::Relaxed);
    }
    object.cast::<u8>().wrapping_add(offset).cast()
}

/// The data of an object, if it is a queue.
///
/// # Safety
/// The object must be alive, and the thread attached.
unsafe fn data(py: Py, object: *mut PyObject) -> Option<*mut Data> {
    let mut base = ptr::null_mut();
    // SAFETY: promised by the caller; the base is a new reference, and the object's type keeps it alive.
    unsafe {
        if (py.api.PyType_GetBaseByToken)(py.api.type_of(object), token(), &mut base) != 1 {
            py.clear();
            return None;
        }
        let base = py.owned(base.cast()).ok()?;
        Some(data_of(py.api, object, base.as_ptr().cast()))
    }
}

/// The queue that an object is, if it is one, wherever it is.
///
/// # Safety
/// The object must be alive, and the thread attached.
pub unsafe fn queue_of(py: Py, object: *mut PyObject) -> Option<Place> {
    // SAFETY: promised by the caller; the object holds a count.
    unsafe {
        let data = OwnData::of(py, object)?;
        // A class of the user's would lose what it is.
        let Ok(class) = data.queues.kept(py, Kept::Class) else {
            py.clear();
            return None;
        };
        (py.api.type_of(object) == class.as_ptr().cast()).then(|| Place::clone(&data.place))
    }
}

/// The object of a queue by its handle, in this interpreter. Attached.
#[cold]
pub fn to_python<'py>(py: Py<'py>, handle: u64) -> PyResult<Obj<'py>> {
    let Some(place) = handles::place_of(handle) else {
        return Err(py.raise(py.api.PyExc_TypeError.get(), &gone(handle)));
    };
    let module = py.import(&py.str("subpy_queues")?)?;
    module.attr(c"Queue")?.call(&[&py.int(place.id() as i64)?])
}

pub fn gone(handle: u64) -> String {
    format!("{handle} is not the handle of a queue, or it was freed")
}

/// The counts of an object, lent.
pub(super) struct OwnData {
    pub(super) place: ManuallyDrop<Place>,
    pub(super) queues: ManuallyDrop<Arc<Queues>>,
}

impl OwnData {
    /// # Safety
    /// A live object of the type, which outlives this.
    pub(super) unsafe fn of(py: Py, object: *mut PyObject) -> Option<OwnData> {
        // SAFETY: promised by the caller. A method gets objects of the type alone; CPython checks that.
        unsafe {
            let data = data(py, object)?;
            let place = Place::from_raw((*data).place)?;
            let queues = ManuallyDrop::new(Arc::from_raw((*data).queues));
            Some(OwnData { place, queues })
        }
    }
}

/// A new object of a class that derives from the type.
pub(super) fn object<'py>(py: Py<'py>, queues: &Arc<Queues>, class: &Obj<'py>, place: Place) -> PyResult<Obj<'py>> {
    let base = queues.kept(py, Kept::Base)?;
    // SAFETY: live objects. The data are those of an object that nobody has yet.
    unsafe {
        let is_class = class.is_instance(py.api.PyType_Type.0.cast());
        if !is_class || (py.api.PyType_IsSubtype)(class.as_ptr().cast(), base.as_ptr().cast()) == 0 {
            return Err(py.raise(py.api.PyExc_TypeError.get(), "a class that derives from Queue is needed"));
        }
        let object = py.owned((py.api.PyType_GenericAlloc)(class.as_ptr().cast(), 0))?;
        let data = data_of(py.api, object.as_ptr(), base.as_ptr().cast());
        (*data).queues = Arc::into_raw(Arc::clone(queues));
        (*data).place = place.into_raw();
        Ok(object)
    }
}

/// Python has given it up.
unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called by Python with the GIL, with an object of the type, or of one that derives from it, that nobody
    // else has. An exception that is set meanwhile stays as it is.
    unsafe {
        let py = Py::attached(api());
        let raised = py.take_exception();
        let kind: *mut PyTypeObject = py.api.type_of(object);
        let (mut place, mut queues) = (None, None);
        if let Some(data) = data(py, object) {
            if !(*data).weak_references.is_null() {
                (py.api.PyObject_ClearWeakRefs)(object);
            }
            if let Some(kept) = Place::from_raw((*data).place) {
                place = Some(ManuallyDrop::into_inner(kept));
                queues = Some(Arc::from_raw((*data).queues));
            }
        }
        let free = (py.api.PyType_GetSlot)(kind, types::Py_tp_free);
        if !free.is_null() {
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(*mut PyObject)>(free)(object);
        }
        (py.api.Py_DecRef)(kind.cast());
        let _ = catch_unwind(AssertUnwindSafe(|| {
            match place {
                // A lock may be held by a thread that does not exist here.
                Some(place) if forked() => std::mem::forget(place),
                place => drop(place),
            }
            drop(queues);
        }));
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }
}
