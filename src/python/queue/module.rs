//! The module `subpy_queues`. Each interpreter has a finder at the end of sys.meta_path, a C function in a
//! SimpleNamespace, which costs next to nothing; the rest is made when somebody imports the module.

use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::super::api;
use super::super::c_function::{self, InCapsule, Static, capsule, definition, in_capsule};
use super::super::object::{Obj, Py, PyResult, own_source};
use super::super::types::{self, METH_O, METH_VARARGS, PyMethodDef, PyObject};
use super::guest::{Kept, Queues};
use super::methods::{argument, functions, guarded};
use super::object;

const NAME: &str = "subpy_queues";

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Arc<Queues> {
    const NAME: &CStr = c"subpy.queues";
}

/// A module's spec, and how it is filled.
const SPEC: &CStr = c"
def spec(name, execute):
    from _frozen_importlib import ModuleSpec

    class Loader:
        create_module = staticmethod(lambda spec: None)
        exec_module = staticmethod(execute)

    return ModuleSpec(name, Loader, origin='subpy')
";

const ADD: &CStr = c"
def add(find_spec):
    import sys
    # A host's main outlives the library's runtime, and may have met one before.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not hasattr(finder, 'finds_subpy_queues')]
    sys.modules.pop('subpy_queues', None)
    sys.meta_path.append(type(sys.implementation)(find_spec=find_spec, finds_subpy_queues=True))
";

static FIND: Static<PyMethodDef> = Static(definition(c"find_spec", find_spec, METH_VARARGS));
static EXECUTE: Static<PyMethodDef> = Static(definition(c"exec_module", execute, METH_O));

/// A function that has the interpreter's queues.
///
/// # Safety
/// The definition must be one whose function calls `of_capsule`.
pub(super) unsafe fn function<'py>(
    py: Py<'py>,
    queues: &Arc<Queues>,
    definition: &'static PyMethodDef,
) -> PyResult<Obj<'py>> {
    // SAFETY: promised by the caller.
    unsafe { c_function::function(py, definition, Some(&capsule(py, Arc::clone(queues))?)) }
}

/// What a function of the module's that Python calls does.
///
/// # Safety
/// Called by Python, with the capsule of `function`.
pub(super) unsafe fn of_capsule<'py>(
    capsule: *mut PyObject,
    act: impl FnOnce(Py<'py>, &'py Arc<Queues>) -> PyResult<Obj<'py>>,
) -> *mut PyObject {
    // SAFETY: Python calls with the GIL; the capsule is the function's own, and keeps the count as long as it runs.
    unsafe {
        let py = Py::attached(api());
        let Some(queues) = in_capsule::<Arc<Queues>>(py.api, capsule) else { return ptr::null_mut() };
        guarded(py, || act(py, queues))
    }
}

/// The function for sys.meta_path.
pub fn finder<'py>(py: Py<'py>, queues: &Arc<Queues>) -> PyResult<Obj<'py>> {
    // SAFETY: its function calls `of_capsule`.
    unsafe { function(py, queues, &FIND.0) }
}

/// Puts it there; new interpreters do that in guest.py.
pub fn add_finder(py: Py, queues: &Arc<Queues>) -> PyResult<()> {
    py.run_own(ADD, "add")?.call(&[&finder(py, queues)?])?;
    Ok(())
}

unsafe extern "C" fn find_spec(capsule: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python, with a tuple.
    unsafe {
        of_capsule(capsule, |py, queues| {
            let name = argument(py, args, 0)?;
            if name.to_text(NAME.len() + 1).is_none_or(|text| text != NAME) {
                return py.borrowed(py.none());
            }
            py.run_own(SPEC, "spec")?.call(&[&name, &function(py, queues, &EXECUTE.0)?])
        })
    }
}

unsafe extern "C" fn execute(capsule: *mut PyObject, module: *mut PyObject) -> *mut PyObject {
    const SOURCE: &CStr = own_source(concat!(include_str!("queues.py"), "\0"));
    // SAFETY: called by Python, with a live object. GetDict gives a borrowed reference, or NULL with an exception.
    unsafe {
        of_capsule(capsule, |py, queues| {
            let namespace = py.borrowed((py.api.PyModule_GetDict)(module))?;
            for definition in functions() {
                let function = function(py, queues, definition)?;
                py.check((py.api.PyDict_SetItemString)(namespace.as_ptr(), definition.ml_name, function.as_ptr()))?;
            }
            let base = object::kind(py)?;
            py.check((py.api.PyDict_SetItemString)(namespace.as_ptr(), c"_Queue".as_ptr(), base.as_ptr()))?;
            queues.keep(py, Kept::Base, base);
            py.evaluate(&py.compile_own(SOURCE, types::Py_file_input)?, &namespace)
        })
    }
}
