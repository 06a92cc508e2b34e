//! What went wrong, as text and numbers. An error needs nothing else: it stays valid when its interpreter is closed,
//! and after subpy_shutdown(), until subpy_error_free(). It never changes, and any thread may read it.
//!
//! Texts are UTF-8, end with a NUL (and may contain others), and are valid until the error is freed. `len` receives the
//! length of the text in bytes; it may be NULL. All functions accept NULL as the error.
//!
//! SUBPY_ERROR_EXECUTION_FAILED and SUBPY_ERROR_SYNTAX have a Python exception, whose fields are those of
//! ExecutionFailed.excinfo in `concurrent.interpreters`; so have SUBPY_ERROR_TIMEOUT and SUBPY_ERROR_INTERRUPTED, if
//! Python code had begun. Other errors do not: the functions then return NULL, 0 or false. Only subpy_error_display() has
//! a text for SUBPY_ERROR_CRASHED too.

use std::ffi::c_char;
use std::fmt::Write;
use std::ptr;

use super::boundary;
use super::error_texts::{CrashText, Fallible, Text, Texts};
use super::status::{SUBPY_ERROR_NO_MEMORY, SUBPY_ERROR_SYNTAX, SUBPY_OK, subpy_interp, subpy_status};
use crate::manager::{Error, Kind};

/// An error, owned by whoever received it.
#[allow(non_camel_case_types)]
pub struct subpy_error {
    status: subpy_status,
    interp: subpy_interp,
    row: Option<usize>,
    /// Whoever has it does not own it: it is in results, or the library's own.
    lent: bool,
    message: Text,
    exception: Option<Texts>,
    crash: Option<CrashText>,
}

impl subpy_error {
    pub(super) fn new(error: Error) -> Box<subpy_error> {
        let mut message = Fallible(String::new());
        let _ = write!(message, "{error}");
        let message = Text::new(message.0);
        let crash = if let Kind::Crashed(crash) = &error.kind { Some(CrashText::new(crash, &message)) } else { None };
        Box::new(subpy_error {
            status: error.status(),
            interp: error.interp,
            row: error.row(),
            lent: false,
            message,
            crash,
            exception: match error.kind {
                Kind::ExecutionFailed(exception) | Kind::Syntax(exception) => Some(Texts::new(*exception)),
                Kind::Timeout(stopped) | Kind::Interrupted(stopped) => stopped.exception.map(|it| Texts::new(*it)),
                _ => None,
            },
        })
    }

    /// One that results own.
    pub(super) fn in_results(error: Error) -> Box<subpy_error> {
        let mut error = subpy_error::new(error);
        error.lent = true;
        error
    }

    /// The one for when there is no memory for one. Nobody writes to it, and nobody frees it.
    pub(super) fn no_memory() -> *mut subpy_error {
        static NO_MEMORY: subpy_error = subpy_error {
            status: SUBPY_ERROR_NO_MEMORY,
            interp: 0,
            row: None,
            lent: true,
            message: Text::of(b"out of memory\0"),
            exception: None,
            crash: None,
        };
        (&raw const NO_MEMORY).cast_mut()
    }

    fn copy(&self) -> Box<subpy_error> {
        Box::new(subpy_error {
            lent: false,
            message: self.message.copy(),
            exception: self.exception.as_ref().map(Texts::copy),
            crash: self.crash.as_ref().map(|crash| CrashText { display: crash.display.copy(), ..*crash }),
            ..*self
        })
    }
}

/// What an accessor does: the pointer and the length of a text, or NULL and 0.
///
/// # Safety
/// `error` must be NULL or an error that was not freed; `len` must be NULL or point to room for a length.
unsafe fn text(
    error: *const subpy_error,
    len: *mut usize,
    get: impl FnOnce(&subpy_error) -> Option<&Text>,
) -> *const c_char {
    boundary::value(ptr::null(), || {
        // SAFETY: promised by the caller.
        unsafe {
            let text = error.as_ref().and_then(get);
            if !len.is_null() {
                len.write(text.map_or(0, Text::len));
            }
            text.map_or(ptr::null(), Text::as_ptr)
        }
    })
}

/// The status that came with the error; SUBPY_OK for NULL.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_status(error: *const subpy_error) -> subpy_status {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(SUBPY_OK, || unsafe { error.as_ref().map_or(SUBPY_OK, |error| error.status) })
}

/// What went wrong, in one line, or in several for SUBPY_ERROR_PYTHON_NOT_FOUND. NULL only for a NULL error.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_message(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| Some(&error.message)) }
}

/// excinfo.type.__name__, such as "ValueError"; NULL when there is no Python exception.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_type_name(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| error.exception.as_ref().map(|it| &it.type_name)) }
}

/// excinfo.type.__qualname__; NULL when there is no Python exception.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_type_qualname(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| error.exception.as_ref().map(|it| &it.type_qualname)) }
}

/// excinfo.type.__module__, such as "builtins"; NULL when there is no Python exception.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_type_module(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| error.exception.as_ref().map(|it| &it.type_module)) }
}

/// excinfo.msg: str(exception), which may be "", or "<exception str() failed>" when str() raised an exception itself;
/// NULL when there is no Python exception.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_exception_message(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| error.exception.as_ref().map(|it| &it.message)) }
}

/// excinfo.formatted: "module.Type: message", without the module for builtins and `__main__`; NULL when there is no
/// Python exception.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_formatted(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { text(error, len, |error| error.exception.as_ref().map(|it| &it.formatted)) }
}

/// excinfo.errdisplay: the traceback that Python would print, without the final newline. For SUBPY_ERROR_CRASHED what
/// `faulthandler` wrote when the process ended, or the message if it wrote nothing. NULL for errors that are neither.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_display(error: *const subpy_error, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        text(error, len, |error| {
            let exception = error.exception.as_ref().map(|it| &it.display);
            exception.or_else(|| error.crash.as_ref().map(|it| &it.display))
        })
    }
}

/// How many frames the traceback has, at most 10,000: of a longer one the middle is left out.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_frame_count(error: *const subpy_error) -> usize {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(0, || unsafe {
        error.as_ref().and_then(|error| error.exception.as_ref()).map_or(0, |it| it.frames.len())
    })
}

/// One frame of a traceback, filled in by subpy_error_frame(). Its texts belong to the error.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_frame {
    /// sizeof(subpy_frame), set by the caller beforehand
    pub size: usize,
    /// the name of the file that its code is from, such as "<script>"
    pub file: *const c_char,
    /// in bytes
    pub file_len: usize,
    /// the function's name, "<module>" at the top level
    pub function: *const c_char,
    /// in bytes
    pub function_len: usize,
    /// the source line, without its newline and without the indentation that exec removed; NULL when it is not known
    pub source: *const c_char,
    /// in bytes; 0 when `source` is NULL
    pub source_len: usize,
    /// the line number, from 1; 0 when unknown
    pub line: i32,
    /// the line in which the expression that was being evaluated ends; 0 when unknown
    pub end_line: i32,
    /// where in `line` that expression begins, in characters, from 1; 0 when unknown, as it is without the source
    pub column: i32,
    /// the column after its last character, in `end_line`; 0 when unknown
    pub end_column: i32,
}

/// No version of the struct will be as large: a size beyond it was not set.
const LARGEST_FRAME: usize = 4096;

/// Get one frame of the traceback.
///
/// A newer program may pass a longer struct: the fields that this library does not know are made zero.
///
/// @param index  0 is the outermost frame
/// @param frame  receives the frame; its `size` must be set
/// @return true; or false, with nothing written, when there is no such frame, `frame` is NULL, or its `size` is less
///         than 72 (on 64-bit systems) or more than 4096
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_frame(error: *const subpy_error, index: usize, frame: *mut subpy_frame) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let found = error.as_ref().and_then(|error| error.exception.as_ref()?.frames.get(index));
        let (Some(found), false) = (found, frame.is_null()) else { return false };
        let size = (&raw const (*frame).size).read();
        if !(size_of::<subpy_frame>()..=LARGEST_FRAME).contains(&size) {
            return false;
        }
        frame.cast::<u8>().write_bytes(0, size);
        frame.write(subpy_frame {
            size,
            file: found.file.as_ptr(),
            file_len: found.file.len(),
            function: found.function.as_ptr(),
            function_len: found.function.len(),
            source: found.source.as_ref().map_or(ptr::null(), Text::as_ptr),
            source_len: found.source.as_ref().map_or(0, Text::len),
            line: found.line,
            end_line: found.end_line,
            column: found.column,
            end_column: found.end_column,
        });
        true
    })
}

/// Where the source is wrong, for SUBPY_ERROR_SYNTAX. Each output may be NULL.
///
/// @param line    the line number, from 1; 0 when unknown
/// @param column  in characters, from 1; 0 when unknown
/// @param text    the line itself, which belongs to the error; NULL when unknown
/// @return true; or false, with nothing written, for any other error
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_syntax(
    error: *const subpy_error,
    line: *mut i32,
    column: *mut i32,
    text: *mut *const c_char,
) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let error = error.as_ref().filter(|error| error.status == SUBPY_ERROR_SYNTAX);
        let Some((its_line, its_column, its_text)) = error.and_then(|error| error.exception.as_ref()?.syntax.as_ref())
        else {
            return false;
        };
        write(line, *its_line);
        write(column, *its_column);
        write(text, its_text.as_ref().map_or(ptr::null(), Text::as_ptr));
        true
    })
}

/// The exit status that a SystemExit asked for.
///
/// @param status  its number; 0 when it had None, 1 when it had anything else that is not an int; may be NULL
/// @return true; or false, with nothing written, when the error is not a SystemExit
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_exit_status(error: *const subpy_error, status: *mut i32) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let Some(exit) = error.as_ref().and_then(|error| error.exception.as_ref()?.exit_status) else { return false };
        write(status, exit);
        true
    })
}

/// How the process of an interpreter has ended, for SUBPY_ERROR_CRASHED. Each output may be NULL. subpy_error_display()
/// says where its threads were, and subpy_error_interp() which interpreter it was: that handle is stale.
///
/// @param signal     the number of the signal that killed it, such as SIGSEGV; 0: none did
/// @param exit_code  its exit status, 0 to 255, if it ended by itself; otherwise -1. If `signal` is 0 then too, nobody
///                   knows how it ended
/// @return true; or false, with nothing written, for any other error
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_crash(error: *const subpy_error, signal: *mut i32, exit_code: *mut i32) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let Some(crash) = error.as_ref().and_then(|error| error.crash.as_ref()) else { return false };
        write(signal, crash.signal);
        write(exit_code, crash.exit_code);
        true
    })
}

/// The interpreter that the error is about, or 0. The handle may be stale.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_interp(error: *const subpy_error) -> subpy_interp {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(0, || unsafe { error.as_ref().map_or(0, |error| error.interp) })
}

/// The row of subpy_function_call_many() that raised the exception, or whose result is not shareable.
///
/// @param row  its index, from 0; may be NULL
/// @return true; or false, with nothing written, when the error is not about a row
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_row(error: *const subpy_error, row: *mut usize) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let Some(its_row) = error.as_ref().and_then(|error| error.row) else { return false };
        write(row, its_row);
        true
    })
}

/// The number that a host function gave, with subpy_context_tag(), to the exception that came out of the run; 0: none.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_tag(error: *const subpy_error) -> u64 {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(0, || unsafe {
        error.as_ref().and_then(|error| error.exception.as_ref()).map_or(0, |exception| exception.tag)
    })
}

/// Copy an error, to keep one that you do not own: one in results (SUBPY_KIND_ERROR), or one that a subpy_map_fn is
/// called with. The copy is to be freed with subpy_error_free(). NULL for NULL.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_copy(error: *const subpy_error) -> *mut subpy_error {
    // SAFETY: the caller's pointer is NULL or an error that was not freed.
    boundary::value(ptr::null_mut(), || unsafe {
        error.as_ref().map_or(ptr::null_mut(), |error| Box::into_raw(error.copy()))
    })
}

/// Free an error. NULL is ignored, and so is an error in results (SUBPY_KIND_ERROR), which is freed with them. Never
/// blocks and runs no Python; works after subpy_shutdown(). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_error_free(error: *mut subpy_error) {
    // SAFETY: the caller's pointer is NULL or an error that was not freed.
    boundary::value((), || unsafe {
        if error.as_ref().is_some_and(|error| !error.lent) {
            drop(Box::from_raw(error));
        }
    });
}

/// # Safety
/// `output` must be NULL or point to room for a `T`.
unsafe fn write<T>(output: *mut T, value: T) {
    if !output.is_null() {
        // SAFETY: promised by the caller.
        unsafe { output.write(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::Crash;
    use std::ffi::CStr;

    /// What the accessors say: signal, exit code, message, display.
    fn said(crash: Crash) -> (i32, i32, String, String) {
        let error = Box::into_raw(subpy_error::new(Error::from(Kind::Crashed(Box::new(crash))).of(7)));
        // SAFETY: errors that are freed last, and pointers to locals.
        unsafe {
            let copy = subpy_error_copy(error);
            let [said, copied] = [error, copy].map(|error| {
                let (mut signal, mut exit_code) = (77, 77);
                assert!(subpy_error_crash(error, &mut signal, &mut exit_code));
                assert!(subpy_error_crash(error, ptr::null_mut(), ptr::null_mut()));
                assert_eq!((subpy_error_status(error), subpy_error_interp(error)), (-16, 7));
                assert!(subpy_error_type_name(error, ptr::null_mut()).is_null());
                let text = |text: *const c_char| CStr::from_ptr(text).to_str().unwrap().to_owned();
                let message = text(subpy_error_message(error, ptr::null_mut()));
                (signal, exit_code, message, text(subpy_error_display(error, ptr::null_mut())))
            });
            assert_eq!(said, copied);
            subpy_error_free(copy);
            subpy_error_free(error);
            said
        }
    }

    #[test]
    fn a_crash_says_how_it_ended_and_where() {
        let crash = |signal, exit_code, traceback: &str| Crash {
            message: "gone".into(),
            signal,
            exit_code,
            traceback: traceback.into(),
        };
        let trace = "Fatal Python error: Segmentation fault\n\nStack (most recent call first):\n  File";
        assert_eq!(said(crash(Some(11), None, &format!("{trace}\n"))), (11, -1, "gone".into(), trace.into()));
        assert_eq!(said(crash(None, Some(0), "")), (0, 0, "gone".into(), "gone".into()));
        assert_eq!(said(crash(None, None, "\n")), (0, -1, "gone".into(), "gone".into()));
    }
}
