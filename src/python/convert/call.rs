//! Calling something with values.

use std::collections::TryReserveError;
use std::ptr;
use std::sync::Arc;

use super::super::object::{LONGEST_NAME, Obj, Py, PyResult, cut};
use super::super::own::Own;
use super::super::types::PyObject;
use super::to_python::to_python;
use crate::value::{Args, subpy_pair};

/// Most calls have few arguments; they need no allocation.
const FEW: usize = 8;

/// The arguments of a call: strong references in a row.
struct Arguments<'py, 'a> {
    py: Py<'py>,
    places: &'a mut [*mut PyObject],
    len: usize,
}

impl<'py> Arguments<'py, '_> {
    /// No more than there are places.
    #[inline]
    fn push(&mut self, object: Obj<'py>) {
        self.places[self.len] = object.into_ptr();
        self.len += 1;
    }
}

impl Drop for Arguments<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        for object in &self.places[..self.len] {
            // SAFETY: a reference that this owns, in the interpreter that the thread is attached to.
            unsafe { (self.py.api.Py_DecRef)(*object) }
        }
    }
}

/// Calls `callable(*args, **kwargs)`.
#[inline(always)]
pub fn call<'py>(py: Py<'py>, own: &Arc<Own>, callable: &Obj<'py>, args: Args) -> PyResult<Obj<'py>> {
    if args.items.len() + args.kwargs.len() <= FEW {
        call_with(py, own, Called::Callable(callable), args, &mut [ptr::null_mut(); FEW])
    } else {
        call_with_many(py, own, Called::Callable(callable), args)
    }
}

/// Calls `object.name(*args, **kwargs)`, without making an object of the method that lasts for the call.
pub fn call_method<'py>(
    py: Py<'py>,
    own: &Arc<Own>,
    object: &Obj<'py>,
    name: &Obj<'py>,
    args: Args,
) -> PyResult<Obj<'py>> {
    if args.items.len() + args.kwargs.len() < FEW {
        call_with(py, own, Called::Method(object, name), args, &mut [ptr::null_mut(); FEW])
    } else {
        call_with_many(py, own, Called::Method(object, name), args)
    }
}

/// What is called.
#[derive(Clone, Copy)]
enum Called<'py, 'a> {
    Callable(&'a Obj<'py>),
    /// Of an object, by its name.
    Method(&'a Obj<'py>, &'a Obj<'py>),
}

#[cold]
fn call_with_many<'py>(py: Py<'py>, own: &Arc<Own>, called: Called<'py, '_>, args: Args) -> PyResult<Obj<'py>> {
    // The object comes first.
    let count = args.items.len() + args.kwargs.len() + 1;
    let mut places = Vec::new();
    places.try_reserve_exact(count).map_err(|_| py.no_memory())?;
    places.resize(count, ptr::null_mut());
    call_with(py, own, called, args, &mut places)
}

#[inline(always)]
fn call_with<'py>(
    py: Py<'py>,
    own: &Arc<Own>,
    called: Called<'py, '_>,
    args: Args,
    places: &mut [*mut PyObject],
) -> PyResult<Obj<'py>> {
    let mut arguments = Arguments { py, places, len: 0 };
    if let Called::Method(object, _) = called {
        // SAFETY: a live object.
        arguments.push(unsafe { py.borrowed(object.as_ptr())? });
    }
    for value in args.items {
        arguments.push(to_python(py, own, value)?);
    }
    let names = if args.kwargs.is_empty() { None } else { Some(keywords(py, own, args.kwargs, &mut arguments)?) };
    let names = names.as_ref().map_or(ptr::null_mut(), Obj::as_ptr);
    // SAFETY: live objects; first a method's object, then the positional arguments, and then one for each of the names.
    unsafe {
        let arguments = arguments.places.as_ptr();
        let count = args.items.len();
        py.owned(match called {
            Called::Callable(callable) => (py.api.PyObject_Vectorcall)(callable.as_ptr(), arguments, count, names),
            Called::Method(_, name) => (py.api.PyObject_VectorcallMethod)(name.as_ptr(), arguments, count + 1, names),
        })
    }
}

/// Adds the values, and returns a tuple of the names. Interned, as CPython's own are: parameters are then found by
/// comparing pointers.
fn keywords<'py>(
    py: Py<'py>,
    own: &Arc<Own>,
    pairs: &[subpy_pair],
    arguments: &mut Arguments<'py, '_>,
) -> PyResult<Obj<'py>> {
    // SAFETY: attached; the keys are checked text; SetItem takes the reference to the key over.
    unsafe {
        // CPython relies on its callers for this.
        if let Some(twice) = twice(pairs).map_err(|_| py.no_memory())? {
            let twice = cut(twice.as_bytes(), LONGEST_NAME).unwrap_or_default();
            let message = format!("got multiple values for keyword argument '{twice}'");
            return Err(py.raise(py.api.PyExc_TypeError.get(), &message));
        }
        let tuple = py.owned((py.api.PyTuple_New)(pairs.len() as isize))?;
        for (index, pair) in pairs.iter().enumerate() {
            let name = own.names.get(py, text(pair))?;
            py.check((py.api.PyTuple_SetItem)(tuple.as_ptr(), index as isize, name.into_ptr()))?;
            arguments.push(to_python(py, own, &pair.value)?);
        }
        Ok(tuple)
    }
}

/// A name that is there twice.
fn twice(pairs: &[subpy_pair]) -> Result<Option<&str>, TryReserveError> {
    if pairs.len() <= FEW {
        let comes_again = |(index, name): (usize, &str)| pairs[index + 1..].iter().any(|pair| text(pair) == name);
        return Ok(pairs.iter().map(text).enumerate().find(|it| comes_again(*it)).map(|(_, name)| name));
    }
    let mut sorted: Vec<&str> = Vec::new();
    sorted.try_reserve_exact(pairs.len())?;
    sorted.extend(pairs.iter().map(text));
    sorted.sort_unstable();
    Ok(sorted.windows(2).find(|two| two[0] == two[1]).map(|two| two[0]))
}

fn text(pair: &subpy_pair) -> &str {
    // SAFETY: a checked key is UTF-8.
    unsafe { pair.key.text() }
}
