//! What a host does with an object that it has a handle of.

use std::ptr;

use super::super::Failure;
use super::super::convert::{self, to_python};
use super::super::interp::Scope;
use super::super::kept::Kept;
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::run::{check_objects, convert_result, raised};
use crate::value::{Args, Buffers, Wanted};

/// What to do.
pub enum Act<'a> {
    /// `object.name`
    Attribute(&'a str),
    /// `object[key]`: the only argument.
    Item(Args<'a>),
    /// `object.name(...)`, or `object(...)`
    Call(Option<&'a str>, Args<'a>),
    /// `iter(object)`
    Iter,
    /// `next(object)`: whether there was one.
    Next(&'a mut bool),
    /// The object.
    Value,
    /// `str(object)`
    Text,
}

/// Does it.
pub fn act(py: Py, scope: &Scope, kept: &Kept, act: Act, wanted: Wanted) -> Result<(), Box<Failure>> {
    // SAFETY: attached to the interpreter that the scope is of, for a run that its gate let in.
    let Some(object) = (unsafe { scope.kept().get(py, kept) }) else { return Err(Failure::Freed("object").into()) };
    let object = object.map_err(|Raised| raised(py, scope))?;
    let mut buffers = Buffers::None;
    let result = match act {
        Act::Attribute(name) => attribute(py, scope, &object, name),
        Act::Item(key) => {
            buffers = key.buffers;
            check_objects(scope, key)?;
            item(py, scope, &object, key)
        }
        Act::Call(name, args) => {
            buffers = args.buffers;
            check_objects(scope, args)?;
            match name.map(|name| scope.names().get(py, name)) {
                None => convert::call(py, scope.own(), &object, args),
                Some(name) => name.and_then(|name| convert::call_method(py, scope.own(), &object, &name, args)),
            }
        }
        // SAFETY: a live object; a new reference or NULL with an exception.
        Act::Iter => unsafe { py.owned((py.api.PyObject_GetIter)(object.as_ptr())) },
        Act::Next(more) => match next(py, &object) {
            Ok(Some(element)) => {
                *more = true;
                Ok(element)
            }
            Ok(None) => return Ok(()),
            Err(raised) => Err(raised),
        },
        Act::Value => Ok(object),
        // SAFETY: as above.
        Act::Text => unsafe { py.owned((py.api.PyObject_Str)(object.as_ptr())) },
    };
    convert_result(py, scope, result, wanted, buffers)
}

fn attribute<'py>(py: Py<'py>, scope: &Scope<'py>, object: &Obj<'py>, name: &str) -> PyResult<Obj<'py>> {
    object.attr_object(&scope.names().get(py, name)?)
}

fn item<'py>(py: Py<'py>, scope: &Scope<'py>, object: &Obj<'py>, key: Args) -> PyResult<Obj<'py>> {
    let key = to_python(py, scope.own(), &key.items[0])?;
    // SAFETY: live objects; a new reference or NULL with an exception.
    unsafe { py.owned((py.api.PyObject_GetItem)(object.as_ptr(), key.as_ptr())) }
}

fn next<'py>(py: Py<'py>, iterator: &Obj<'py>) -> PyResult<Option<Obj<'py>>> {
    let mut element = ptr::null_mut();
    // SAFETY: a live object; sets a new reference, or NULL at the end.
    unsafe {
        py.check((py.api.PyIter_NextItem)(iterator.as_ptr(), &mut element).min(0))?;
        if element.is_null() { Ok(None) } else { py.owned(element).map(Some) }
    }
}
