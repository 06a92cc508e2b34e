//! Calling a host function from Python.

use std::fmt::Arguments;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering;

use super::super::Failure;
use super::super::api;
use super::super::api::Api;
use super::super::attach::in_host;
use super::super::convert::{borrow, copy, to_python};
use super::super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised};
use super::super::types::{PyObject, PyThreadState};
use super::context::{NoPlace, Place, Told};
use super::finalize::sweep_if_watched;
use super::object::function_of;
use super::raise::raise;
use super::{HostFunction, own_number};
use crate::value::{Args, Buffers, OwnedValue, subpy_pair, subpy_value};

/// Most calls have few arguments; they need no allocation.
const FEW: usize = 8;

/// Include/cpython/abstract.h: the bit beside the number of arguments.
const PY_VECTORCALL_ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// What CPython calls (PEP 590).
pub unsafe extern "C" fn vectorcall(
    object: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by Python with the GIL, with an object of ours, so many arguments, and a tuple of names or NULL.
    // Whoever calls holds the references until this returns.
    unsafe {
        let py = Py::attached(api());
        let function = function_of(py.api, object);
        let count = nargsf & !PY_VECTORCALL_ARGUMENTS_OFFSET;
        let mut values = [const { MaybeUninit::<subpy_value>::uninit() }; FEW];
        if names.is_null() && count <= FEW && !function.is_restricted() {
            let mut lent = 0;
            while lent < count {
                if !borrow(py, *args.add(lent), values.as_mut_ptr().add(lent).cast()) {
                    break;
                }
                lent += 1;
            }
            if lent == count {
                // Nothing in here panics.
                let items = std::slice::from_raw_parts(values.as_ptr().cast(), count);
                let here = values.as_ptr().addr();
                let result = run(py, function, Args { items, kwargs: &[], buffers: Buffers::None }, here);
                return result.map_or(ptr::null_mut(), Obj::into_ptr);
            }
        }
        call_any(py, function, args, count, names)
    }
}

#[cold]
#[inline(never)]
unsafe fn call_any(
    py: Py,
    function: &HostFunction,
    args: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: promised by the caller.
    let called = catch_unwind(AssertUnwindSafe(|| unsafe { call(py, function, args, count, names) }));
    let result = called.unwrap_or_else(|_| {
        let message = "internal error in subpy, please report it: a call of a host function panicked";
        Err(py.raise(py.api.PyExc_SystemError.get(), message))
    });
    result.map_or(ptr::null_mut(), Obj::into_ptr)
}

/// A call with whatever arguments there are.
///
/// # Safety
/// As for `vectorcall`.
unsafe fn call<'py>(
    py: Py<'py>,
    function: &HostFunction,
    args: *const *mut PyObject,
    count: usize,
    names: *mut PyObject,
) -> PyResult<Obj<'py>> {
    function.check(py)?;
    let mut owned = Vec::new();
    let (mut items, mut kwargs) = (Vec::new(), Vec::new());
    items.try_reserve_exact(count).map_err(|_| py.no_memory())?;
    for index in 0..count {
        // SAFETY: promised by the caller.
        unsafe { items.push(positional(py, function, *args.add(index), &mut owned, index)?) };
    }
    if !names.is_null() {
        // SAFETY: a tuple of str; behind the others there is one value for each.
        unsafe {
            let len = (py.api.PyTuple_Size)(names).max(0) as usize;
            kwargs.try_reserve_exact(len).map_err(|_| py.no_memory())?;
            for index in 0..len {
                let name = (py.api.PyTuple_GetItem)(names, index as isize);
                let text = py.borrowed(name)?.to_text(LONGEST_NAME).unwrap_or_default();
                let key = lend(py, function, name, &mut owned, format_args!("the name of an argument"))?;
                let place = format_args!("argument '{text}'");
                let value = lend(py, function, *args.add(count + index), &mut owned, place)?;
                kwargs.push(subpy_pair { key, value });
            }
        }
    }
    run(py, function, Args { items: &items, kwargs: &kwargs, buffers: Buffers::None }, ptr::from_ref(&items).addr())
}

#[cold]
unsafe fn positional(
    py: Py,
    function: &HostFunction,
    object: *mut PyObject,
    owned: &mut Vec<OwnedValue>,
    index: usize,
) -> PyResult<subpy_value> {
    // SAFETY: promised by the caller: a live object.
    unsafe { lend(py, function, object, owned, format_args!("argument {}", index + 1)) }
}

/// The value of an argument; raises TypeError when it has none.
unsafe fn lend(
    py: Py,
    function: &HostFunction,
    object: *mut PyObject,
    owned: &mut Vec<OwnedValue>,
    name: Arguments,
) -> PyResult<subpy_value> {
    let mut value = subpy_value::none();
    // SAFETY: promised by the caller: a live object.
    if unsafe { borrow(py, object, &mut value) } {
        return Ok(value);
    }
    // SAFETY: as above.
    unsafe { copy(py, &function.hosts.own, object, owned, name) }.map_err(|failure| match failure {
        Failure::NotShareable(text) => {
            // The hints are made for results.
            let text = match text.rfind("return ") {
                Some(at) => format!("{}pass {}", &text[..at], &text[at + "return ".len()..]),
                None => text,
            };
            py.raise(py.api.PyExc_TypeError.get(), &format!("{}() {text}", function.name))
        }
        _ => py.no_memory(),
    })
}

impl HostFunction {
    /// It must not be called by everybody.
    #[inline]
    fn is_restricted(&self) -> bool {
        self.restricted.load(Ordering::Relaxed)
    }

    fn check(&self, py: Py) -> PyResult<()> {
        let refuse = |why: &str| Err(py.raise(py.api.PyExc_RuntimeError.get(), &format!("{}() {why}", self.name)));
        if self.is_retired() {
            return refuse("can be called no more: the host has shut subpy down, or did not define it after all");
        }
        if self.thread.is_some_and(|thread| thread != own_number()) {
            return refuse("may be called only on the thread that defined it");
        }
        Ok(())
    }
}

/// The thread is detached, until this is dropped.
struct Detached {
    api: &'static Api,
    state: *mut PyThreadState,
}

impl Drop for Detached {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the state that this thread has stepped out of.
        unsafe { (self.api.PyEval_RestoreThread)(self.state) }
    }
}

/// Has the host do it, and gives Python what comes of it. `here` is an address on this stack.
#[inline(always)]
fn run<'py>(py: Py<'py>, function: &HostFunction, args: Args, here: usize) -> PyResult<Obj<'py>> {
    let hosts = &*function.hosts;
    let (place, context) = match hosts.places.begin(function, here) {
        Ok(begun) => begun,
        Err(why) => return Err(no_place(py, &why)),
    };
    let told = if function.keep_gil {
        function.code().call(context, args);
        let told = place.end(context);
        sweep_if_watched();
        told
    } else {
        // SAFETY: attached.
        let detached = Detached { api: py.api, state: unsafe { (py.api.PyEval_SaveThread)() } };
        place.detached(detached.state);
        let called = in_host(|| function.code().call(context, args));
        let told = place.end(context);
        sweep_if_watched();
        // Last: where the interpreter has ended meanwhile the thread does not come back.
        drop(detached);
        if called.is_none() {
            hosts.places.put_back(place);
            return Err(py.no_memory());
        }
        told
    };
    if told.is_none()
        && let Some(int) = place.take_int()
    {
        hosts.places.put_back(place);
        return py.int(int);
    }
    give(py, function, place, told)
}

/// The rest of `run`, for all but ints: apart, so that they do not pay for it.
#[inline(never)]
fn give<'py>(
    py: Py<'py>,
    function: &HostFunction,
    place: &'static Place,
    told: Option<Box<Told>>,
) -> PyResult<Obj<'py>> {
    let hosts = &*function.hosts;
    let returned = place.take();
    hosts.places.put_back(place);
    match told {
        None => to_python(py, &hosts.own, returned.as_value()),
        Some(told) => Err(raise(py, function, *told)),
    }
}

#[cold]
fn no_place(py: Py, why: &NoPlace) -> Raised {
    match why {
        NoPlace::Memory => py.no_memory(),
        NoPlace::Stack => py.raise(py.api.PyExc_RecursionError.get(), "too little stack is left for a host function"),
    }
}
