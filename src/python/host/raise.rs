//! Exceptions that hosts raise.

use super::super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised};
use super::context::{Raise, Told};
use super::{HostFunction, tag};

/// Sets the exception that the host has asked for; or one that says why there is none such.
#[cold]
pub fn raise(py: Py, function: &HostFunction, told: Told) -> Raised {
    let Some(wanted) = &told.raise else { return Raised };
    let exception = match make(py, wanted) {
        Ok(exception) => exception,
        Err(Raised) => {
            let why = match py.take_exception() {
                // The run is to end.
                Some(why) if !why.is_instance(py.api.PyExc_Exception.get()) => {
                    return py.set_exception(why);
                }
                why => why.map(|why| reason(py, &why)).unwrap_or_default(),
            };
            let Raise { kind, message } = wanted;
            py.raise(
                py.api.PyExc_TypeError.get(),
                &format!("{}() raised {kind}, which is not an exception here ({why}): {message}", function.name),
            );
            let Some(exception) = py.take_exception() else { return py.no_memory() };
            exception
        }
    };
    for note in &told.notes {
        // An exception may refuse it; it is raised all the same.
        let _ = py.str(note).and_then(|note| exception.attr(c"add_note")?.call(&[&note]));
        py.clear();
    }
    if told.tag != 0 {
        // Without memory it has none.
        let _ = tag::set(py, &function.hosts.tags, &exception, told.tag);
        py.clear();
    }
    py.set_exception(exception)
}

/// `Type: text`
fn reason(py: Py, exception: &Obj) -> String {
    let text = |object: PyResult<Obj>| {
        let text = object.ok().and_then(|object| object.to_text(LONGEST_NAME));
        py.clear();
        text.unwrap_or_default()
    };
    // SAFETY: live objects; new references, or NULL with an exception.
    unsafe {
        let kind = text(py.owned((py.api.PyType_GetName)(exception.type_ptr())));
        format!("{kind}: {}", text(py.owned((py.api.PyObject_Str)(exception.as_ptr()))))
    }
}

fn make<'py>(py: Py<'py>, wanted: &Raise) -> PyResult<Obj<'py>> {
    let (module, path) = wanted.kind.split_once(':').unwrap_or(("builtins", &wanted.kind));
    let mut class = py.import(&py.str(module)?)?;
    for name in path.split('.') {
        class = class.attr_object(&py.str(name)?)?;
    }
    let is_class = class.is_instance(py.api.PyType_Type.0.cast());
    let base = py.api.PyExc_BaseException.get();
    // SAFETY: a live class.
    if !is_class || unsafe { (py.api.PyType_IsSubtype)(class.as_ptr().cast(), base.cast()) == 0 } {
        return Err(py.raise(py.api.PyExc_TypeError.get(), "it does not derive from BaseException"));
    }
    let exception = class.call(&[&py.str(&wanted.message)?])?;
    if !exception.is_instance(base) {
        return Err(py.raise(py.api.PyExc_TypeError.get(), "calling it gives no exception"));
    }
    Ok(exception)
}
