//! What a run does once it is inside: exec, eval, call, prepare_main.

use std::ffi::CString;
use std::ptr;
use std::sync::Arc;

use super::types::PyCompilerFlags;

use super::Failure;
use super::convert::{self, from_python, to_python};
use super::dedent::dedent;
use super::exception::Exception;
use super::interp::Scope;
use super::kept::Kept;
use super::object::{Obj, Py, PyResult, Raised};
use crate::value::{Args, OwnedValue, subpy_pair};

/// Include/cpython/compile.h: the source is a str, so a coding cookie says nothing.
const PYCF_IGNORE_COOKIE: i32 = 0x0800;

/// What to run.
#[derive(Clone, Copy)]
pub enum Code<'a> {
    Exec { source: &'a str, filename: Option<&'a str>, keep_indent: bool },
    Eval { expression: &'a str, filename: Option<&'a str> },
    Call { callable: &'a str, args: Args<'a> },
    Function { kept: &'a Arc<Kept>, args: Args<'a> },
}

/// Runs it in `__main__`. The result is converted when it is wanted.
#[inline]
pub fn run(py: Py, scope: &Scope, code: Code, wanted: Option<&mut OwnedValue>) -> Result<(), Box<Failure>> {
    let result = match code {
        Code::Exec { source, filename, keep_indent } => {
            let dedented = if keep_indent { None } else { dedent(source) };
            let source = dedented.as_deref().unwrap_or(source);
            let code = compile(py, source, filename, super::types::Py_file_input)?;
            evaluate(py, &code, &scope.main).map(|_| None)
        }
        Code::Eval { expression, filename } => {
            let expression = expression.trim_start_matches([' ', '\t']);
            let code = compile(py, expression, filename, super::types::Py_eval_input)?;
            evaluate(py, &code, &scope.main).map(Some)
        }
        Code::Call { callable, args } => {
            resolve(py, scope, callable).and_then(|callable| convert::call(py, scope.names, &callable, args)).map(Some)
        }
        Code::Function { kept, args } => {
            // SAFETY: attached to the interpreter that the scope is of, for a run that its gate let in.
            let callable = unsafe { scope.kept.get(py, kept) }.ok_or(Failure::Freed)?;
            callable.and_then(|callable| convert::call(py, scope.names, &callable, args)).map(Some)
        }
    };
    match (result, wanted) {
        (Err(Raised), _) => Err(Failure::exception(py).into()),
        (Ok(Some(object)), Some(wanted)) => from_python(py, &object, wanted),
        _ => Ok(()),
    }
}

fn compile<'py>(py: Py<'py>, source: &str, filename: Option<&str>, start: i32) -> Result<Obj<'py>, Failure> {
    let compiled = (|| {
        let Ok(source) = CString::new(source) else {
            let class = py.api.PyExc_SyntaxError.get();
            return Err(py.raise(class, "source code string cannot contain null bytes"));
        };
        let filename = CString::new(filename.unwrap_or("<script>")).unwrap_or_default();
        let mut flags = PyCompilerFlags { cf_flags: PYCF_IGNORE_COOKIE, cf_feature_version: 0 };
        // SAFETY: NUL-terminated strings; a new reference or NULL with an exception.
        unsafe {
            let (source, filename) = (source.as_ptr(), filename.as_ptr());
            py.owned((py.api.Py_CompileStringExFlags)(source, filename, start, &mut flags, -1))
        }
    })();
    compiled.map_err(|Raised| {
        let exception = Exception::take(py);
        match exception.syntax {
            Some(_) => Failure::Syntax(exception),
            None => Failure::Exception(exception),
        }
    })
}

fn evaluate<'py>(py: Py<'py>, code: &Obj<'py>, main: &Obj<'py>) -> PyResult<Obj<'py>> {
    // SAFETY: live objects; a new reference or NULL with an exception.
    unsafe { py.owned((py.api.PyEval_EvalCode)(code.as_ptr(), main.as_ptr(), main.as_ptr())) }
}

/// Finds `name` in `__main__`, or `package.module:attr.attr`, anew at each call: a name that was bound again is seen.
fn resolve<'py>(py: Py<'py>, scope: &Scope<'py>, callable: &str) -> PyResult<Obj<'py>> {
    // Names are short: a plain loop finds out faster than the searches below.
    if callable.bytes().all(|byte| byte != b':' && byte != b'.') {
        return main_attribute(py, scope, callable);
    }
    let (module, path) = match callable.split_once(':') {
        Some((module, path)) => (Some(module), path),
        None => (None, callable),
    };
    let name = |text| scope.names.get(py, text);
    let mut names = path.split('.');
    let first = names.next().unwrap_or_default();
    let mut object = match module {
        Some(module) => py.import(&name(module)?)?.attr_object(&name(first)?)?,
        None => main_attribute(py, scope, first)?,
    };
    for attribute in names {
        object = object.attr_object(&name(attribute)?)?;
    }
    Ok(object)
}

/// Finds what a call would call, and fails as the call would when there is no such name or it cannot be called.
pub fn find_callable<'py>(py: Py<'py>, scope: &Scope<'py>, name: &str) -> Result<Obj<'py>, Failure> {
    let callable = resolve(py, scope, name).and_then(|object| {
        // SAFETY: attached; a live object.
        match unsafe { (py.api.PyCallable_Check)(object.as_ptr()) } {
            0 => {
                // SAFETY: a live object has a type; a new reference or NULL with an exception.
                let name = unsafe { py.owned((py.api.PyType_GetName)(object.type_ptr()))? };
                let message = format!("'{}' object is not callable", name.to_text_lossy().unwrap_or_default());
                Err(py.raise(py.api.PyExc_TypeError.get(), &message))
            }
            _ => Ok(object),
        }
    });
    callable.map_err(|Raised| Failure::exception(py))
}

fn main_attribute<'py>(py: Py<'py>, scope: &Scope<'py>, name: &str) -> PyResult<Obj<'py>> {
    let key = scope.names.get(py, name)?;
    let mut object = ptr::null_mut();
    // SAFETY: live objects; 1 with a new reference, 0 with NULL, -1 with an exception.
    unsafe {
        match (py.api.PyDict_GetItemRef)(scope.main.as_ptr(), key.as_ptr(), &mut object) {
            0 => Err(convert::no_attribute(py, &format!("module '__main__' has no attribute '{name}'"))),
            _ => py.owned(object),
        }
    }
}

/// Binds names in `__main__`. All or nothing: every value is made before the first name is bound.
pub fn prepare_main(py: Py, scope: &Scope, names: &[subpy_pair]) -> Result<(), Box<Failure>> {
    bind_all(py, &scope.main, names).map_err(|Raised| Failure::exception(py).into())
}

fn bind_all(py: Py, main: &Obj, names: &[subpy_pair]) -> PyResult<()> {
    let mut objects = Vec::with_capacity(names.len());
    for pair in names {
        objects.push((to_python(py, &pair.key)?, to_python(py, &pair.value)?));
    }
    for (name, value) in &objects {
        // SAFETY: live objects.
        py.check(unsafe { (py.api.PyDict_SetItem)(main.as_ptr(), name.as_ptr(), value.as_ptr()) })?;
    }
    Ok(())
}
