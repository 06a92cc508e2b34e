//! The CPython that is in this process already, if there is one.
//!
//! It can be a library that the host program links or has opened, or the host program itself: a `python` executable
//! often exports CPython's symbols without any libpython.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::Installation;
use super::names::{is_library, named_version};
use crate::platform::{self, EVERYWHERE, Object, if_loaded, objects, real_path};

/// A CPython in this process that fits and is the one to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its library; `None` when the symbols come from the main program.
    pub library: Option<PathBuf>,
    /// Somebody called `Py_Initialize`: it is adopted as it is.
    pub initialized: bool,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
    /// What to start it with. Always there when it is not initialised, never when it is.
    pub installation: Option<Installation>,
}

/// A CPython in this process, fitting or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedRaw {
    /// Its library; `None` when the symbols come from the main program.
    pub library: Option<PathBuf>,
    /// What `Py_IsInitialized` says.
    pub initialized: bool,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
    /// A build without the GIL.
    pub free_threaded: bool,
}

/// Looks for a CPython in this process: first as the dynamic linker would find its symbols for everybody, then among
/// the libraries whose symbols others do not see, by their names. Changes nothing.
pub fn in_process() -> Option<LoadedRaw> {
    let objects = objects();
    describe(EVERYWHERE, &objects).or_else(|| {
        let mut libraries = objects.iter().filter(|object| is_libpython(&object.name));
        libraries.find_map(|object| if_loaded(&object.name, |handle| describe(handle, &objects)))
    })
}

/// `libpython3.14.so.1.0`, and older ones; not `libpython3.so`, which has no code in it. On Windows `python314.dll`, and not
/// `python3.dll`.
fn is_libpython(library: &Path) -> bool {
    if cfg!(windows) {
        return is_library(library) && named_version(library).is_some();
    }
    let name = library.file_name().unwrap_or_default().as_encoded_bytes();
    let version = name.strip_prefix(b"libpython").unwrap_or_default();
    matches!(version, [b'0'..=b'9', b'.', b'0'..=b'9', ..])
}

/// Asks the CPython whose symbols `handle` finds.
fn describe(handle: *mut c_void, objects: &[Object]) -> Option<LoadedRaw> {
    let is_initialized = symbol(handle, c"Py_IsInitialized")?;
    let get_version = symbol(handle, c"Py_GetVersion")?;
    // SAFETY: the symbols of these names are CPython's functions of these types; both are documented as callable
    // before Py_Initialize, on any thread and without a lock.
    let (initialized, text) = unsafe {
        let is_initialized = std::mem::transmute::<NonNull<c_void>, extern "C" fn() -> c_int>(is_initialized);
        let get_version = std::mem::transmute::<NonNull<c_void>, extern "C" fn() -> *const c_char>(get_version);
        (is_initialized() != 0, get_version())
    };
    // SAFETY: Py_GetVersion returns a NUL-terminated static text.
    let version_text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    Some(LoadedRaw {
        library: owner(text as usize, objects),
        initialized,
        version: version_of(&version_text)?,
        free_threaded: version_text.contains("free-threading"),
    })
}

/// The library that holds `address`. It has to be an address of data: in a program that is not position-independent,
/// the address of a library's function can be one of the program's own.
fn owner(address: usize, objects: &[Object]) -> Option<PathBuf> {
    let object = objects.iter().find(|object| object.spans.iter().any(|span| span.contains(&address)))?;
    let is_program = object.name.as_os_str().is_empty();
    // A name may be relative to where the host program was when it opened the library.
    (!is_program).then(|| real_path(&object.name).unwrap_or_else(|_| object.name.clone()))
}

/// `3.14.6 (main, ...)`, `3.15.0a1+ (...)`
fn version_of(text: &str) -> Option<(u8, u8, u8)> {
    let number = |part: &str| {
        let end = part.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    };
    let mut parts = text.split_whitespace().next()?.splitn(3, '.');
    Some((number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?))
}

fn symbol(handle: *mut c_void, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: `handle` is `EVERYWHERE`, or one that `if_loaded` has not closed.
    NonNull::new(unsafe { platform::symbol(handle, name) })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::process::Command;

    use super::*;
    use crate::python::find as locate;

    /// The variables by which a test talks to itself in a child process, since what it loads stays there for good.
    const LIBRARY: &str = "SUBPY_TEST_LOADED_LIBRARY";
    const HOW: &str = "SUBPY_TEST_LOADED_HOW";

    /// The libpython that the tests use.
    fn libpython() -> PathBuf {
        let python = std::env::var_os("SUBPY_TEST_PYTHON")
            .expect("set SUBPY_TEST_PYTHON to the executable of a CPython 3.14.1 or newer with a shared libpython");
        match locate::locate(Some(Path::new(&python)), &|_| None, false) {
            Ok(locate::Found::OnDisk(found)) => found.library,
            // Other tests of this process may have loaded it.
            Ok(locate::Found::InProcess(Loaded { library: Some(library), .. })) => library,
            other => panic!("SUBPY_TEST_PYTHON: {other:?}"),
        }
    }

    /// Runs the ignored test `child` in a process of its own.
    fn in_a_child(how: &str) {
        let child = format!("{}::child", module_path!().split_once("::").unwrap().1);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &child, "--ignored", "--nocapture"])
            .env(LIBRARY, libpython())
            .env(HOW, how)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{how}: {text}");
    }

    #[test]
    fn a_global_library_is_found() {
        in_a_child("global");
    }

    #[test]
    fn a_local_library_is_found() {
        in_a_child("local");
    }

    #[test]
    fn an_initialized_library_is_told_apart() {
        in_a_child("initialized");
    }

    #[test]
    #[ignore = "runs in a child process of the other tests"]
    fn child() {
        let (Ok(library), Ok(how)) = (std::env::var(LIBRARY), std::env::var(HOW)) else {
            return;
        };
        assert_eq!(in_process(), None);
        let name = CString::new(library.as_str()).unwrap();
        let scope = if how == "local" { libc::RTLD_LOCAL } else { libc::RTLD_GLOBAL };
        // SAFETY: loading a libpython runs no code of it.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | scope) };
        assert!(!handle.is_null());
        if how == "initialized" {
            let initialize = symbol(handle, c"Py_InitializeEx").unwrap();
            // SAFETY: this is the type of Py_InitializeEx, and nobody else uses this CPython.
            unsafe { std::mem::transmute::<NonNull<c_void>, extern "C" fn(c_int)>(initialize)(0) };
        }

        let found = in_process().unwrap();
        assert_eq!(found.library.as_deref(), Some(Path::new(&library)));
        assert_eq!(found.initialized, how == "initialized");
        assert!(found.version >= (3, 14, 1) && !found.free_threaded, "{found:?}");

        let Ok(locate::Found::InProcess(loaded)) = locate::locate(None, &|_| None, false) else { panic!() };
        assert_eq!((loaded.library, loaded.version), (found.library, found.version));
        let installation = loaded.installation.map(|installation| installation.library);
        assert_eq!(installation, (how != "initialized").then(|| library.into()));
    }

    #[test]
    fn versions_are_read_from_the_text() {
        assert_eq!(version_of("3.14.6 (main, Jun 10 2026, 12:00:00) [Clang 22]"), Some((3, 14, 6)));
        assert_eq!(version_of("3.15.0a1+ (heads/main:1234567, Jan  1 2026) [GCC]"), Some((3, 15, 0)));
        assert_eq!(version_of("2.7.18 (default, Jan  1 2020)"), Some((2, 7, 18)));
        assert_eq!(version_of("unknown"), None);
    }

    #[test]
    fn libraries_are_known_by_name() {
        for name in ["libpython3.14.so.1.0", "/usr/lib/libpython2.7.so", "lib/libpython3.14d.so.1.0"] {
            assert!(is_libpython(Path::new(name)), "{name}");
        }
        for name in ["libpython3.so", "libpython.so", "/libpython3.14/x.so", "libpypy3.11-c.so", ""] {
            assert!(!is_libpython(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn objects_are_the_program_and_its_libraries() {
        let objects = objects();
        let here: &'static str = "in the program";
        assert_eq!(owner(here.as_ptr() as usize, &objects), None);
        // SAFETY: takes no arguments and returns a static text.
        let there = unsafe { libc::gnu_get_libc_version() } as usize;
        let libc = owner(there, &objects).unwrap();
        assert!(libc.is_absolute() && libc.to_string_lossy().contains("libc"), "{libc:?}");
        assert_eq!(owner(1, &objects), None);
    }
}
