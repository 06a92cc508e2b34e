//! What an interpreter may do, and what is set up in each new one (guest.py).

use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Mutex};

#[cfg(unix)]
use super::environ;
use super::object::{Obj, Py, PyResult, own_source};
use super::output::Output;
use super::queue::{Queues, finder};
use super::types::PyObject;
use super::venv::Venv;
use super::{frozen, lock};

/// What an interpreter may do (CPython: PyInterpreterConfig). All false is what `concurrent.interpreters` calls
/// "isolated".
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// It shares the main interpreter's GIL instead of having its own: it loads more extension modules, and runs when
    /// main and its like do not.
    pub(crate) shared_gil: bool,
    /// Its code may call `os.fork()`.
    pub(crate) allow_fork: bool,
    /// Its code may call `os.exec*()`, which replaces the process.
    pub(crate) allow_exec: bool,
    /// Its code cannot start threads.
    pub(crate) no_threads: bool,
    /// Its code may start daemon threads.
    pub(crate) allow_daemon_threads: bool,
    /// It loads extension modules that do not say that they support interpreters; only with `shared_gil`.
    pub(crate) no_extension_check: bool,
    /// What it prints is passed on at once.
    pub(crate) unbuffered: bool,
    /// Its sys.stdin is at its end.
    pub(crate) no_stdin: bool,
    /// What has no kind of its own comes out as a tagged value.
    pub(crate) tagged_values: bool,
    /// It counts the memory that it uses.
    pub(crate) count_memory: bool,
    /// Put in front of sys.path.
    pub(crate) path: Vec<String>,
    /// The virtual environment whose packages it has; None: those of the process.
    pub(crate) venv: Option<Venv>,
}

/// Runs guest.py's `setup` in a namespace of its own.
pub fn set_up_guest(py: Py, output: &Output, queues: &Arc<Queues>, config: &Config, id: i64) -> PyResult<()> {
    let namespace = guest_namespace(py)?;
    let setup = function(py, &namespace, "setup")?;
    let (stdout, stderr) = (output.functions(py, 1)?, output.functions(py, 2)?);
    setup.call(&[&stdout, &stderr, &frozen::names(py)?, &finder(py, queues)?])?;
    if super::version() < (3, 15, 0) {
        function(py, &namespace, "replace_current")?.call(&[&flag(py, id == 0)?])?;
    }
    // Elsewhere tracemalloc cannot be imported.
    share_process(py, &namespace, id == 0 || config.no_extension_check)?;
    configure_in(py, &namespace, config)
}

/// In a main interpreter that a host has started: what it shares with the others alone.
pub fn set_up_host(py: Py) -> PyResult<()> {
    share_process(py, &guest_namespace(py)?, true)
}

/// What is the process's, and so of all interpreters, is used in a way that they can.
fn share_process(py: Py, namespace: &Obj, tracemalloc: bool) -> PyResult<()> {
    // Windows has a lock for the environment.
    #[cfg(unix)]
    {
        let [put, unset] = environ::functions(py)?;
        function(py, namespace, "share_environment")?.call(&[&put, &unset])?;
    }
    function(py, namespace, "ask_before_tracing")?.call(&[&flag(py, tracemalloc)?])?;
    Ok(())
}

/// Runs guest.py's `configure` when there is something for it to do, in an interpreter that was set up before.
pub fn configure_guest(py: Py, config: &Config) -> PyResult<()> {
    if config.no_stdin || !config.path.is_empty() || config.venv.is_some() {
        configure_in(py, &guest_namespace(py)?, config)
    } else {
        Ok(())
    }
}

fn configure_in(py: Py, namespace: &Obj, config: &Config) -> PyResult<()> {
    // SAFETY: a new list; SetItem takes the references to its items over.
    let list = unsafe {
        let list = py.owned((py.api.PyList_New)(config.path.len() as isize))?;
        for (index, folder) in config.path.iter().enumerate() {
            let folder = py.str(folder)?.into_ptr();
            py.check((py.api.PyList_SetItem)(list.as_ptr(), index as isize, folder))?;
        }
        list
    };
    function(py, namespace, "configure")?.call(&[&flag(py, config.no_stdin)?, &list])?;
    if let Some(Venv { folder, with_system }) = &config.venv {
        function(py, namespace, "use_venv")?.call(&[&py.str(folder)?, &flag(py, *with_system)?])?;
    }
    Ok(())
}

/// guest.py's functions.
fn guest_namespace(py: Py) -> PyResult<Obj> {
    let namespace = py.own_namespace()?;
    py.evaluate(&guest_code(py)?, &namespace)?;
    Ok(namespace)
}

fn function<'py>(py: Py<'py>, namespace: &Obj, name: &str) -> PyResult<Obj<'py>> {
    // SAFETY: a new reference of what is in a live dict, or NULL.
    unsafe {
        let mut function = ptr::null_mut();
        (py.api.PyDict_GetItemRef)(namespace.as_ptr(), py.str(name)?.as_ptr(), &mut function);
        py.owned(function)
    }
}

fn flag(py: Py, set: bool) -> PyResult<Obj> {
    let constant = if set { super::types::Py_CONSTANT_TRUE } else { super::types::Py_CONSTANT_FALSE };
    // SAFETY: an immortal constant.
    unsafe { py.borrowed((py.api.Py_GetConstantBorrowed)(constant)) }
}

/// guest.py's code object. It is compiled once a process: every interpreter of one CPython understands the marshal.
fn guest_code(py: Py) -> PyResult<Obj> {
    static MARSHALLED: Mutex<Option<Arc<[u8]>>> = Mutex::new(None);
    const SOURCE: &CStr = own_source(concat!(include_str!("guest.py"), "\0"));
    /// Include/cpython/marshal.h of 3.14; a constant slice needs it.
    const MARSHAL_VERSION: i32 = 5;
    let marshalled = lock(&MARSHALLED).clone();
    // SAFETY: attached; pointers and lengths of live bytes; new references.
    unsafe {
        if let Some(bytes) = marshalled {
            return py.owned((py.api.PyMarshal_ReadObjectFromString)(bytes.as_ptr().cast(), bytes.len() as isize));
        }
        let code = py.compile_own(SOURCE, super::types::Py_file_input)?;
        let bytes = py.owned((py.api.PyMarshal_WriteObjectToString)(code.as_ptr(), MARSHAL_VERSION))?;
        let (mut data, mut len) = (ptr::null_mut(), 0);
        py.check((py.api.PyBytes_AsStringAndSize)(bytes.as_ptr(), &mut data, &mut len))?;
        *lock(&MARSHALLED) = Some(std::slice::from_raw_parts(data.cast::<u8>(), len as usize).into());
        Ok(code)
    }
}

/// `__main__`, a strong reference until the end, and its `__dict__`: looking it up would cost as much as a call. The
/// module is held and not the dict alone, because CPython's finalization clears the modules that are left, and no
/// dicts.
pub struct Main {
    pub module: *mut PyObject,
    pub dict: *mut PyObject,
}

pub fn main(py: Py) -> PyResult<Main> {
    // SAFETY: attached; AddModuleRef gives a new reference, GetDict a borrowed one.
    unsafe {
        let module = py.owned((py.api.PyImport_AddModuleRef)(c"__main__".as_ptr()))?;
        let dict = (py.api.PyModule_GetDict)(module.as_ptr());
        Ok(Main { module: module.into_ptr(), dict })
    }
}
