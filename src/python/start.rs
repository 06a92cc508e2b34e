//! Loading a CPython into the process, initialising it and finalising it.

use std::ffi::{CStr, CString, c_char, c_ulong, c_void};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use super::types::{PyInitConfig, PyThreadState};

use super::api::Api;
use super::attach::{Entry, detached, host_is_python};
use super::chunks::cache_chunks;
use super::find::{Found, Installation, is_shortage};
use super::object::Py;
use super::stack::this_stack;
use super::state_blocks::cache_state_blocks;
use super::{API, api, frozen, hooks};
use crate::platform::{ignore_broken_pipes, open_library, symbol};

/// How CPython is initialised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Startup {
    /// Honour PYTHON* variables.
    pub(crate) use_environment: bool,
    /// No site module.
    pub(crate) no_site: bool,
    /// Leave SIGPIPE as it is.
    pub(crate) keep_sigpipe: bool,
}

impl Startup {
    /// For a process whose environment was set by somebody with fewer rights, if it is one.
    pub fn without_environment(self, is_one: bool) -> Startup {
        Startup { use_environment: self.use_environment && !is_one, ..self }
    }

    /// SUBPY_RUNTIME_*, for another process.
    pub fn flags(self) -> u64 {
        let Startup { use_environment, no_site, keep_sigpipe } = self;
        u64::from(use_environment) | u64::from(no_site) << 1 | u64::from(keep_sigpipe) << 2
    }

    /// What `flags` gave.
    pub fn from_flags(flags: u64) -> Startup {
        let has = |flag| flags & flag != 0;
        Startup { use_environment: has(1), no_site: has(2), keep_sigpipe: has(4) }
    }
}

/// The one CPython of this process.
#[derive(Debug)]
pub struct Library {
    /// The file; None when the symbols come from the main program.
    pub path: Option<PathBuf>,
    pub version: (u8, u8, u8),
    /// `sys.version` of it, and the path, for C.
    pub version_text: CString,
    pub path_text: CString,
}

static LIBRARY: OnceLock<Library> = OnceLock::new();

/// The CPython that was loaded, if any.
pub fn library() -> Option<&'static Library> {
    LIBRARY.get()
}

/// Why a CPython that was found could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot be loaded, or lacks a function.
    #[error("{0}")]
    Unsupported(String),
    /// Another one is in use, or an earlier start failed.
    #[error("{0}")]
    WrongState(String),
    /// CPython refused to start.
    #[error("{0}")]
    Failed(String),
}

/// Loads what was found, if it is not loaded yet. True when a host had initialised it: it is adopted.
pub fn load(found: &Found) -> Result<bool, StartError> {
    let (path, initialized) = match found {
        Found::OnDisk(installation) => (Some(installation.library.as_path()), false),
        Found::InProcess(loaded) => (loaded.library.as_deref(), loaded.initialized),
    };
    if let Some(library) = LIBRARY.get() {
        if !same_file(library.path.as_deref(), path) {
            return Err(StartError::WrongState(format!(
                "this process has loaded CPython {}; it cannot use {} as well: only one CPython can live in a process",
                shown(library.path.as_deref()),
                shown(path)
            )));
        }
        return Ok(initialized);
    }
    let handle = open(path)?;
    // SAFETY: the handle is a CPython's, found by its Py_Version; it is never closed.
    let table = unsafe { Api::load(&|name| symbol(handle, name)) };
    let table = table.map_err(|missing| {
        StartError::Unsupported(format!(
            "{} has no function {missing}; subpy needs CPython 3.14.1 or later, try: uv python install 3.14",
            shown(path)
        ))
    })?;
    let version = loaded_version(handle)
        .ok_or_else(|| StartError::Unsupported(format!("{} has no Py_Version: is it a CPython?", shown(path))))?;
    let text = |text: &[u8]| CString::new(text).unwrap_or_default();
    let (major, minor, micro) = version;
    let _ = LIBRARY.set(Library {
        path: path.map(Path::to_owned),
        version,
        version_text: text(format!("{major}.{minor}.{micro}").as_bytes()),
        path_text: text(path.map_or(&b""[..], |path| path.as_os_str().as_encoded_bytes())),
    });
    let _ = API.set(table);
    Ok(initialized)
}

fn same_file(one: Option<&Path>, other: Option<&Path>) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one.map(real) == other.map(real)
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "the CPython in the main program".into(), |path| path.display().to_string())
}

/// Its symbols are global: extension modules are not linked to libpython and look for it among the global symbols. When the host
/// has loaded it already, maybe locally, this makes its symbols global.
fn open(path: Option<&Path>) -> Result<*mut c_void, StartError> {
    open_library(path).map_err(|reason| {
        // The dynamic linker's reason is a text alone, in the language of the user.
        if let Some(Err(error)) = path.map(std::fs::File::open)
            && is_shortage(&error)
        {
            return StartError::Failed(format!("{} could not be loaded now: {error}", shown(path)));
        }
        StartError::Unsupported(format!("{} cannot be loaded: {reason}", shown(path)))
    })
}

fn loaded_version(handle: *mut c_void) -> Option<(u8, u8, u8)> {
    // SAFETY: Py_Version is a constant of type unsigned long (Include/pylifecycle.h): 0x030E06F0.
    unsafe {
        let version = symbol(handle, c"Py_Version").cast::<c_ulong>();
        let version = version.as_ref()?;
        Some(((version >> 24) as u8, (version >> 16) as u8, (version >> 8) as u8))
    }
}

/// The state of the thread that initialised CPython, which is the one that has to finalise it.
pub struct MainState(*mut PyThreadState);

impl MainState {
    /// Does something attached, on the thread that initialised CPython.
    pub fn attached<R>(&self, act: impl FnOnce(Py) -> R) -> R {
        // SAFETY: the state that `initialize` detached. As it is no `Send`, this is that thread, and it is attached until
        // it is detached again.
        unsafe {
            (api().PyEval_RestoreThread)(self.0);
            let result = act(Py::attached(api()));
            (api().PyEval_SaveThread)();
            self.unbind();
            result
        }
    }

    /// PyGILState_* find a state on its thread even when it is detached: then the thread would be taken for one that
    /// Python code calls from. They find none once another one has come and gone.
    pub fn unbind(&self) {
        // SAFETY: main is alive, as its state is; the thread is detached.
        unsafe { drop(Entry::new(api(), (api().PyInterpreterState_Main)(), this_stack())) };
    }
}

/// Initialises CPython on the calling thread and leaves it detached.
pub fn initialize(installation: &Installation, startup: Startup) -> Result<MainState, StartError> {
    static FAILED: OnceLock<String> = OnceLock::new();
    if let Some(reason) = FAILED.get() {
        return Err(StartError::WrongState(format!(
            "CPython failed to start earlier in this process and cannot be started again ({reason}); restart the process"
        )));
    }
    // CPython does so when it installs its signal handlers, which here it does not: without it, a guest that writes to a
    // closed pipe would end the process.
    if !startup.keep_sigpipe {
        ignore_broken_pipes();
    }
    // SAFETY: CPython is loaded and not initialised. The allocator has to come before, the audit hook after it: CPython
    // frees it with the allocator that it has then (PYTHONMALLOC=debug).
    unsafe {
        cache_chunks(api());
        let config = (api().PyInitConfig_Create)();
        if config.is_null() {
            return Err(StartError::Failed("no memory for CPython's configuration".into()));
        }
        let result = configure_and_start(config, installation, startup);
        (api().PyInitConfig_Free)(config);
        match result {
            Ok(()) => {
                let py = Py::attached(api());
                if let Err(refused) = hook(py) {
                    (api().Py_FinalizeEx)();
                    return Err(refused);
                }
                frozen::freeze(py);
                // A start that is not the first takes away what was there before it.
                cache_chunks(api());
                cache_state_blocks(api(), (api().PyInterpreterState_Main)());
                Ok(MainState((api().PyEval_SaveThread)()))
            }
            Err(reason) => {
                let reason = format!("CPython {} did not start: {reason}", installation.library.display());
                let _ = FAILED.set(reason.clone());
                Err(StartError::Failed(reason))
            }
        }
    }
}

/// # Safety
/// The configuration must be alive, and CPython not initialised.
unsafe fn configure_and_start(
    config: *mut PyInitConfig,
    installation: &Installation,
    startup: Startup,
) -> Result<(), String> {
    // CPython derives every folder from its executable. Without one, from where it would be.
    let fallback = installation.usual_executable();
    let executable = installation.executable.as_ref().unwrap_or(&fallback);
    let executable = CString::new(executable.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    // utf8_mode: an isolated configuration would otherwise give a C host ASCII streams and file names.
    let mut options = vec![(c"utf8_mode", 1), (c"install_signal_handlers", 0)];
    options.push((c"site_import", u64::from(!startup.no_site)));
    if startup.use_environment {
        options.extend([(c"isolated", 0), (c"use_environment", 1)]);
    }
    // SAFETY: promised by the caller; names and values are C strings, which are copied.
    unsafe {
        let mut failed =
            options.iter().any(|(name, value)| (api().PyInitConfig_SetInt)(config, name.as_ptr(), *value) < 0);
        failed |= (api().PyInitConfig_SetStr)(config, c"executable".as_ptr(), executable.as_ptr()) < 0;
        if failed || (api().Py_InitializeFromInitConfig)(config) < 0 {
            let mut message: *const c_char = ptr::null();
            (api().PyInitConfig_GetError)(config, &mut message);
            return Err(if message.is_null() {
                "it gives no reason".into()
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            });
        }
    }
    Ok(())
}

/// Finalises CPython, on the thread that initialised it. No other interpreter may be left.
pub fn finalize(state: MainState) {
    // SAFETY: the state that `initialize` detached on this thread.
    unsafe {
        (api().PyEval_RestoreThread)(state.0);
        (api().Py_FinalizeEx)();
    }
}

/// From now on the library hears of all that comes and goes. Attached to main.
fn hook(py: Py) -> Result<(), StartError> {
    if !hooks::hook(py) {
        return Err(StartError::Failed("another audit hook refuses the library's".into()));
    }
    hooks::seed(py);
    Ok(())
}

/// Prepares a CPython that a host has initialised.
pub fn adopt() -> Result<(), StartError> {
    host_is_python();
    detached(Some(api()), hook_into_host)
}

fn hook_into_host() -> Result<(), StartError> {
    // SAFETY: CPython is initialised, so main is alive. The hook is added with main's GIL.
    unsafe {
        cache_chunks(api());
        let Some(entry) = Entry::new(api(), (api().PyInterpreterState_Main)(), this_stack()) else {
            return Err(StartError::Failed("no memory to enter the host's CPython".into()));
        };
        let py: Py = entry.py();
        cache_state_blocks(api(), (api().PyInterpreterState_Main)());
        // It hears of all that comes and goes from now on, also while the library is shut down.
        if hooks::is_hooked() {
            return Ok(());
        }
        hook(py)?;
        frozen::freeze(py);
    }
    Ok(())
}
