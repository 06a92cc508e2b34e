//! The methods of queues, and the functions that queues.py needs.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use super::super::Failure;
use super::super::api;
use super::super::c_function::{Static, definition};
use super::super::convert::{self, Asked};
use super::super::fork::forked;
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::types::{METH_KEYWORDS, METH_NOARGS, METH_O, METH_VARARGS};
use super::super::types::{PyCFunction, PyMethodDef, PyMethodDefPointer, PyObject};
use super::asked;
use super::core::{For, Not, Queue};
use super::guest::{Kept, Queues};
use super::handles;
use super::module::of_capsule;
use super::object::{OwnData, object};
use super::place::Place;
use super::there::{self, Count, There};
use crate::value::Results;

type WithKeywords = unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;

const fn with_keywords(name: &'static CStr, function: WithKeywords, doc: &'static CStr) -> PyMethodDef {
    // SAFETY: CPython calls a function with these flags with three arguments, whatever the field's type says.
    let function = unsafe { std::mem::transmute::<WithKeywords, PyCFunction>(function) };
    let ml_meth = PyMethodDefPointer { PyCFunction: function };
    PyMethodDef { ml_name: name.as_ptr(), ml_meth, ml_flags: METH_VARARGS | METH_KEYWORDS, ml_doc: doc.as_ptr() }
}

const fn plain(name: &'static CStr, function: PyCFunction, flags: c_int, doc: &'static CStr) -> PyMethodDef {
    PyMethodDef { ml_doc: doc.as_ptr(), ..definition(name, function, flags) }
}

pub(super) static METHODS: Static<[PyMethodDef; 11]> = Static([
    with_keywords(
        c"put",
        put,
        c"put($self, obj, /, block=True, timeout=None)\n--\n\nPut a copy of an object in. While there is no room this waits, not longer than `timeout` seconds;\nthen QueueFull is raised.",
    ),
    with_keywords(
        c"get",
        get,
        c"get($self, /, block=True, timeout=None)\n--\n\nTake the first object out. While there is none this waits, not longer than `timeout` seconds;\nthen QueueEmpty is raised.",
    ),
    plain(c"put_nowait", put_nowait, METH_O, c"put_nowait($self, obj, /)\n--\n\nput(obj, block=False)"),
    plain(c"get_nowait", get_nowait, METH_NOARGS, c"get_nowait($self, /)\n--\n\nget(block=False)"),
    plain(c"qsize", qsize, METH_NOARGS, c"qsize($self, /)\n--\n\nHow many objects are in it."),
    plain(
        c"close",
        close,
        METH_NOARGS,
        c"close($self, /)\n--\n\nNothing goes in any more; what is in it can still be taken. Who waits is woken.",
    ),
    definition(c"_id", id, METH_NOARGS),
    definition(c"_maxsize", maxsize, METH_NOARGS),
    definition(c"_closed", closed, METH_NOARGS),
    definition(c"_fd", descriptor, METH_O),
    PyMethodDef { ml_name: ptr::null(), ..definition(c"", id, 0) },
]);

static FUNCTIONS: Static<[PyMethodDef; 3]> = Static([
    definition(c"_create", create, METH_VARARGS),
    definition(c"_find", find, METH_VARARGS),
    definition(c"_register", register, METH_VARARGS),
]);

/// What queues.py finds in its module.
pub(super) fn functions() -> &'static [PyMethodDef] {
    &FUNCTIONS.0
}

/// The n-th of a tuple of arguments.
///
/// # Safety
/// A live tuple.
pub(super) unsafe fn argument<'py>(py: Py<'py>, args: *mut PyObject, index: isize) -> PyResult<Obj<'py>> {
    // SAFETY: promised by the caller; a borrowed reference, or NULL with an IndexError.
    unsafe { py.borrowed((py.api.PyTuple_GetItem)(args, index)) }
}

/// Nothing of what goes wrong in Rust gets into Python's C code.
pub(super) fn guarded<'py>(py: Py<'py>, act: impl FnOnce() -> PyResult<Obj<'py>>) -> *mut PyObject {
    if forked() {
        // A lock may be held by a thread that does not exist here.
        py.raise(py.api.PyExc_RuntimeError.get(), "queues do not work in a forked process");
        return ptr::null_mut();
    }
    let result = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        let message = "internal error in subpy, please report it: a function of a queue panicked";
        Err(py.raise(py.api.PyExc_SystemError.get(), message))
    });
    result.map_or(ptr::null_mut(), Obj::into_ptr)
}

/// A method that Python calls.
///
/// # Safety
/// With the GIL, and an object of the type.
unsafe fn method(
    object: *mut PyObject,
    act: for<'py> fn(Py<'py>, &Place, &Queues, [*mut PyObject; 2]) -> PyResult<Obj<'py>>,
    args: [*mut PyObject; 2],
) -> *mut PyObject {
    // SAFETY: promised by the caller. The object keeps what it has as long as it is alive, and whoever calls holds it.
    unsafe {
        let py = Py::attached(api());
        guarded(py, || {
            let data = match OwnData::of(py, object) {
                Some(data) => data,
                None => return Err(py.raise(py.api.PyExc_RuntimeError.get(), "this is no queue: make it by create()")),
            };
            act(py, &data.place, &data.queues, args)
        })
    }
}

/// How long somebody wants to wait.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    None,
    Until(Option<Instant>),
}

/// `block=True, timeout=None`, from the index on.
///
/// # Safety
/// A live tuple, and a live dict or NULL.
unsafe fn patience(py: Py, args: *mut PyObject, kwargs: *mut PyObject, first: isize) -> PyResult<Patience> {
    // SAFETY: promised by the caller.
    unsafe {
        let count = (py.api.PyTuple_Size)(args);
        let mut given = [None, None];
        for (index, place) in given.iter_mut().enumerate() {
            let index = first + index as isize;
            if index < count {
                *place = Some(argument(py, args, index)?);
            }
        }
        if count > first + 2 || count < first {
            return Err(py.raise(py.api.PyExc_TypeError.get(), "wrong number of arguments"));
        }
        let mut named = 0;
        if !kwargs.is_null() {
            for (name, place) in ["block", "timeout"].into_iter().zip(&mut given) {
                let mut value = ptr::null_mut();
                (py.api.PyDict_GetItemRef)(kwargs, py.str(name)?.as_ptr(), &mut value);
                let Ok(value) = py.owned(value) else { continue };
                if place.replace(value).is_some() {
                    let message = format!("got multiple values for argument '{name}'");
                    return Err(py.raise(py.api.PyExc_TypeError.get(), &message));
                }
                named += 1;
            }
            if (py.api.PyDict_Size)(kwargs) > named {
                let message = "got an unexpected keyword argument: there are block and timeout";
                return Err(py.raise(py.api.PyExc_TypeError.get(), message));
            }
        }
        let [block, timeout] = given;
        if let Some(block) = block {
            let block = (py.api.PyObject_IsTrue)(block.as_ptr());
            py.check(block)?;
            if block == 0 {
                return Ok(Patience::None);
            }
        }
        let Some(timeout) = timeout.filter(|timeout| !timeout.is_none()) else { return Ok(Patience::Until(None)) };
        let seconds = (py.api.PyFloat_AsDouble)(timeout.as_ptr());
        if seconds == -1.0 && !(py.api.PyErr_Occurred)().is_null() {
            return Err(Raised);
        }
        // What no clock can tell is for ever.
        let refuse = || py.raise(py.api.PyExc_ValueError.get(), "timeout value must be non-negative");
        if seconds.is_nan() || seconds < 0.0 {
            return Err(refuse());
        }
        let until = Duration::try_from_secs_f64(seconds).ok().and_then(|timeout| Instant::now().checked_add(timeout));
        Ok(Patience::Until(until))
    }
}

pub(super) fn refused(py: Py, queues: &Queues, not: Not, wanted: For) -> Raised {
    match (not, wanted) {
        (Not::Now, For::Item) => queues.raise(py, Kept::Empty, "the queue is empty"),
        (Not::Now, For::Room) => queues.raise(py, Kept::Full, "the queue is full"),
        (Not::Open, For::Item) => queues.raise(py, Kept::Closed, "the queue is closed and empty"),
        (Not::Open, For::Room) => queues.raise(py, Kept::Closed, "the queue is closed"),
        (Not::NoMemory, _) => py.no_memory(),
        (Not::Event(errno), _) => {
            let message = std::io::Error::from_raw_os_error(errno).to_string();
            py.raise(py.api.PyExc_OSError.get(), &message)
        }
    }
}

/// Takes one out with the GIL alone: a thread that does not come back from a wait has taken nothing.
fn take<'py>(py: Py<'py>, place: &Place, queues: &Queues, patience: Patience) -> PyResult<Obj<'py>> {
    let queue = match place {
        Place::Here(queue) => queue,
        Place::There(there) => return asked::take(py, there, queues, patience),
    };
    loop {
        match (queue.get(), patience) {
            (Ok(item), _) => {
                let object = convert::to_python(py, &queues.own, item.as_value());
                if object.is_err() {
                    queue.put_back(item);
                }
                return object;
            }
            (Err(Not::Now), Patience::Until(until)) if queues.wait(py, queue, For::Item, until)? => {}
            (Err(not), _) => return Err(refused(py, queues, not, For::Item)),
        }
    }
}

fn give<'py>(py: Py<'py>, place: &Place, queues: &Queues, object: &Obj<'py>, patience: Patience) -> PyResult<Obj<'py>> {
    let asked = Asked { how: Results::VALUE, own: Some(&queues.own) };
    let item = convert::from_any(py, object, asked, format_args!("item")).map_err(|failure| match failure {
        Failure::NotShareable(text) => {
            // The hints are made for results.
            let text = match text.rfind("return ") {
                Some(at) => format!("{}put {}", &text[..at], &text[at + "return ".len()..]),
                None => text,
            };
            py.raise(py.api.PyExc_TypeError.get(), &text)
        }
        _ => py.no_memory(),
    })?;
    let queue = match place {
        Place::Here(queue) => queue,
        Place::There(there) => return asked::give(py, there, queues, &item, patience),
    };
    let mut item = Some(item);
    loop {
        match (queue.put(&mut item), patience) {
            (Ok(()), _) => break,
            (Err(Not::Now), Patience::Until(until)) if queues.wait(py, queue, For::Room, until)? => {}
            (Err(not), _) => return Err(refused(py, queues, not, For::Room)),
        }
    }
    // SAFETY: None is immortal.
    unsafe { py.borrowed(py.none()) }
}

unsafe extern "C" fn put(object: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple, and a dict or NULL.
    unsafe {
        method(
            object,
            |py, place, queues, [args, kwargs]| {
                if (py.api.PyTuple_Size)(args) == 0 {
                    return Err(py.raise(py.api.PyExc_TypeError.get(), "put() missing the object to put"));
                }
                let (item, patience) = (argument(py, args, 0)?, patience(py, args, kwargs, 1)?);
                give(py, place, queues, &item, patience)
            },
            [args, kwargs],
        )
    }
}

unsafe extern "C" fn get(object: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple, and a dict or NULL.
    unsafe {
        method(
            object,
            |py, place, queues, [args, kwargs]| {
                let patience = patience(py, args, kwargs, 0)?;
                take(py, place, queues, patience)
            },
            [args, kwargs],
        )
    }
}

unsafe extern "C" fn put_nowait(object: *mut PyObject, item: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live object.
    unsafe {
        method(
            object,
            |py, place, queues, [item, _]| {
                let item = py.borrowed(item)?;
                give(py, place, queues, &item, Patience::None)
            },
            [item, ptr::null_mut()],
        )
    }
}

unsafe extern "C" fn get_nowait(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe { method(object, |py, place, queues, _| take(py, place, queues, Patience::None), [ptr::null_mut(); 2]) }
}

fn count<'py>(py: Py<'py>, place: &Place, queues: &Queues, what: Count) -> PyResult<Obj<'py>> {
    let count = match (place, what) {
        (Place::Here(queue), Count::Capacity) => queue.capacity(),
        (Place::Here(queue), _) => queue.len() as i64,
        (Place::There(there), _) => asked::ask(py, queues, || there.count(what))?,
    };
    py.int(count)
}

unsafe extern "C" fn qsize(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe { method(object, |py, place, queues, _| count(py, place, queues, Count::Items), [ptr::null_mut(); 2]) }
}

unsafe extern "C" fn close(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python; None is immortal.
    unsafe {
        method(
            object,
            |py, place, queues, _| {
                match place {
                    Place::Here(queue) => queue.close(),
                    Place::There(there) => asked::ask(py, queues, || there.host.close(there.id))?,
                }
                py.borrowed(py.none())
            },
            [ptr::null_mut(); 2],
        )
    }
}

unsafe extern "C" fn id(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe { method(object, |py, place, _, _| py.int(place.id() as i64), [ptr::null_mut(); 2]) }
}

unsafe extern "C" fn maxsize(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe { method(object, |py, place, queues, _| count(py, place, queues, Count::Capacity), [ptr::null_mut(); 2]) }
}

unsafe extern "C" fn closed(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python; the constants are immortal.
    unsafe {
        method(
            object,
            |py, place, queues, _| {
                let closed = match place {
                    Place::Here(queue) => queue.is_closed(),
                    Place::There(there) => asked::ask(py, queues, || there.count(Count::Closed))? != 0,
                };
                let constant = if closed { py.api._Py_TrueStruct } else { py.api._Py_FalseStruct };
                py.borrowed(constant.0)
            },
            [ptr::null_mut(); 2],
        )
    }
}

/// 0: something to get, 1: room.
unsafe extern "C" fn descriptor(object: *mut PyObject, what: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a live object.
    unsafe {
        method(
            object,
            |py, place, queues, [what, _]| {
                let what = py.borrowed(what)?.to_i64();
                let wanted = if what == Some(1) { For::Room } else { For::Item };
                let descriptor = match place {
                    Place::Here(queue) => queue.descriptor(wanted).map_err(|not| refused(py, queues, not, wanted))?,
                    Place::There(there) => asked::ask(py, queues, || there.descriptor(wanted))?,
                };
                py.int(i64::from(descriptor))
            },
            [what, ptr::null_mut()],
        )
    }
}

unsafe extern "C" fn create(capsule: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple.
    unsafe {
        of_capsule(capsule, |py, queues| {
            let (class, maxsize) = (argument(py, args, 0)?, argument(py, args, 1)?);
            let mut overflow = 0;
            let capacity = (py.api.PyLong_AsLongLongAndOverflow)(maxsize.as_ptr(), &mut overflow);
            if capacity == -1 && overflow == 0 && !(py.api.PyErr_Occurred)().is_null() {
                return Err(Raised);
            }
            // So many never are in it.
            let capacity = if overflow > 0 { i64::MAX } else { capacity };
            let place = match there::host() {
                None => Place::Here(Queue::new(capacity).ok_or_else(|| py.no_memory())?),
                Some(_) => Place::There(asked::ask(py, queues, || There::make(capacity))?),
            };
            object(py, queues, &class, place)
        })
    }
}

/// The queue with an id, which is an int; None when there is none.
unsafe extern "C" fn find(capsule: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple.
    unsafe {
        of_capsule(capsule, |py, queues| {
            let (class, id) = (argument(py, args, 0)?, argument(py, args, 1)?);
            let number = id.to_i64().and_then(|id| u64::try_from(id).ok());
            let place = match (number, there::host()) {
                (Some(id), None) => handles::by_id(id).map(Place::Here),
                (Some(id), Some(_)) => asked::find(py, queues, id)?.map(Place::There),
                (None, _) => None,
            };
            match place {
                Some(place) => object(py, queues, &class, place),
                None => py.borrowed(py.none()),
            }
        })
    }
}

unsafe extern "C" fn register(capsule: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple; None is immortal.
    unsafe {
        of_capsule(capsule, |py, queues| {
            let all = [Kept::Class, Kept::Empty, Kept::Full, Kept::Closed, Kept::NotFound, Kept::Step];
            for (index, what) in all.into_iter().enumerate() {
                queues.keep(py, what, argument(py, args, index as isize)?);
            }
            py.borrowed(py.none())
        })
    }
}
