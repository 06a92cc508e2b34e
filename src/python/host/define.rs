//! Binding a host function to a name.

use std::ffi::CStr;
use std::sync::Arc;

use super::super::Failure;
use super::super::interp::Scope;
use super::super::object::{Obj, Py, PyResult, Raised, own_source};
use super::super::run::raised;
use super::{Definition, HostFunction, object};

/// Makes the object, and binds it in `__main__` or in a module, which is imported or made.
pub fn define(py: Py, scope: &Scope, function: &Arc<HostFunction>, definition: Definition) -> Result<(), Box<Failure>> {
    bind(py, scope, function, definition).map_err(|Raised| {
        // A module may have kept the object all the same.
        function.retire();
        raised(py, scope).into()
    })
}

fn bind(py: Py, scope: &Scope, function: &Arc<HostFunction>, definition: Definition) -> PyResult<()> {
    if !function.hosts.functions.add(function) {
        return Err(py.no_memory());
    }
    let object = object::new(py, function, definition)?;
    let name = scope.names().get(py, definition.name)?;
    let Some(module) = definition.module else {
        // SAFETY: live objects.
        return py.check(unsafe { (py.api.PyDict_SetItem)(scope.main.as_ptr(), name.as_ptr(), object.as_ptr()) });
    };
    let module = self::module(py, &scope.names().get(py, module)?)?;
    // SAFETY: live objects.
    py.check(unsafe { (py.api.PyObject_SetAttr)(module.as_ptr(), name.as_ptr(), object.as_ptr()) })
}

fn module<'py>(py: Py<'py>, name: &Obj<'py>) -> PyResult<Obj<'py>> {
    const SOURCE: &CStr = own_source(concat!(include_str!("modules.py"), "\0"));
    // SAFETY: a live str; a new reference, or NULL with or without an exception.
    let loaded = unsafe { py.owned((py.api.PyImport_GetModule)(name.as_ptr())) };
    if let Ok(module) = loaded
        && !module.is_none()
    {
        return Ok(module);
    }
    py.clear();
    py.run_own(SOURCE, "module")?.call(&[name])
}
