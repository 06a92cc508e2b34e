//! Everything runs on the calling thread, in the interpreter's `__main__`, whose names last from run to run. By default
//! an interpreter runs one thing at a time (SUBPY_BUSY_REFUSE), but a thread that is inside already may run more in it.
//! What the code printed has been written when the function returns.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::boundary::{self, invalid, known_flags, optional_text, text};
use super::error::subpy_error;
use super::output::{RunOutput, subpy_output_fn};
use super::status::{subpy_cancel, subpy_function, subpy_interp, subpy_status};
use super::thread::start;
use crate::manager::{self, Callback, Code, Function, InThread, Kind, Limits, Result};
use crate::value::{Args, Buffers, OwnedArgs, Results, subpy_value};

/// exec: statements
pub const SUBPY_RUN_EXEC: i32 = 1;
/// eval: an expression
pub const SUBPY_RUN_EVAL: i32 = 2;
/// call: a callable by its name, with arguments
pub const SUBPY_RUN_CALL: i32 = 3;
/// call of a prepared function, with arguments
pub const SUBPY_RUN_FUNCTION: i32 = 4;

/// exec leaves indentation as it is, see subpy_exec()
pub const SUBPY_KEEP_INDENT: u32 = 1;
/// For subpy_run_in_thread() and pools: when the run is stopped, whoever waits for it gets the error soon, even if the
/// code does not end because it is blocked in C or catches every exception. The code goes on all the same: its
/// interpreter stays busy, and subpy_shutdown() is SUBPY_ERROR_BUSY until it ends. What becomes of it then is reported
/// to nobody.
pub const SUBPY_ABANDON: u32 = 2;
/// the result stays in Python: a handle of the object comes back (SUBPY_KIND_OBJECT), whatever it is
pub const SUBPY_RESULT_OBJECT: u32 = 4;
/// what has no value, anywhere in the result, comes back as a handle of the object (SUBPY_KIND_OBJECT)
pub const SUBPY_RESULT_OBJECTS: u32 = 8;
/// bytes, bytearray, array, memoryview, any C contiguous buffer in the result is shared, not copied (SUBPY_KIND_BUFFER)
pub const SUBPY_RESULT_BUFFER: u32 = 16;
/// lists and tuples that are not empty and have floats alone, or ints alone that fit 64 bits, come back as an array:
/// SUBPY_KIND_BUFFER of format "d" or "q"
pub const SUBPY_RESULT_ARRAY: u32 = 32;
/// an awaitable that the code returns is run to its end on an event loop of asyncio, and its value is the result; anything
/// else is the result as it is. exec and eval: `await` may also stand outside of functions, as in `python -m asyncio`.
///
/// The interpreter keeps the loop, and with it tasks that go on when the run has ended: they do so in the next run with this
/// flag. (The loop is the same one if no two threads run such code at the same time; a thread that has entered the
/// interpreter, see subpy_enter(), keeps its own.) It is closed with the interpreter, as asyncio.Runner does it. Inside of a
/// coroutine of such a run, on the same thread, an awaitable is SUBPY_ERROR_EXECUTION_FAILED with a RuntimeError: a thread
/// runs one loop at a time.
///
/// A run that is to end (a time limit, a cancel token, subpy_interrupt()) has its task cancelled: it ends with an
/// asyncio.CancelledError. Only if that does not help is it interrupted as others are.
pub const SUBPY_RUN_ASYNC: u32 = 64;

/// The flags of this kind.
pub(super) const RESULT_FLAGS: u32 =
    SUBPY_RESULT_OBJECT | SUBPY_RESULT_OBJECTS | SUBPY_RESULT_ARRAY | SUBPY_RESULT_BUFFER;

/// What subpy_run() and subpy_run_in_thread() are to run. Fields that do not apply must be zero.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_run_request {
    /// sizeof(subpy_run_request)
    pub size: usize,
    /// where to run it; for a function: its interpreter, or 0
    pub interp: subpy_interp,
    /// SUBPY_RUN_EXEC, _EVAL, _CALL or _FUNCTION
    pub what: i32,
    /// SUBPY_KEEP_INDENT, for exec; SUBPY_ABANDON, for subpy_run_in_thread(); SUBPY_RESULT_* and SUBPY_RUN_ASYNC
    pub flags: u32,
    /// the source, expression or callable, in UTF-8; not for a function
    pub text: *const c_char,
    /// the length of `text` in bytes, or SUBPY_AUTO_LEN
    pub text_len: usize,
    /// for a function: the function
    pub function: subpy_function,
    /// for calls: `nargs` positional arguments
    pub args: *const subpy_value,
    /// how many
    pub nargs: usize,
    /// for calls: NULL, or a DICT with STR keys
    pub kwargs: *const subpy_value,
    /// for exec and eval: the file name for tracebacks, UTF-8 that ends with a NUL; NULL: "<script>"
    pub filename: *const c_char,
    /// how long it may take, in milliseconds, including the wait for its turn; then it ends with SUBPY_ERROR_TIMEOUT.
    /// 0: as long as the interpreter's options say
    pub timeout_ms: i64,
    /// a token that stops it with SUBPY_ERROR_INTERRUPTED when it is fired, or if it was fired before; 0: none
    pub cancel: subpy_cancel,
    /// takes what the run prints on its own thread, see subpy_output_fn; NULL: it goes where the interpreter's goes
    pub output: subpy_output_fn,
    /// passed on to `output`, which is not called any more once the run has returned or, on a thread of its own, was
    /// joined
    pub output_data: *mut c_void,
}

/// Run statements. Python: Interpreter.exec().
///
/// If the first line that is not blank is indented, the indentation that all lines share is removed first, as
/// `python -c` does it.
///
/// @param interp  the interpreter
/// @param code    the source, in UTF-8, whatever a coding comment in it says
/// @param len     its length in bytes, or SUBPY_AUTO_LEN
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK;
///         SUBPY_ERROR_INVALID_ARGUMENT  `code` is NULL, or not UTF-8
///         SUBPY_ERROR_NOT_FOUND         no such interpreter
///         SUBPY_ERROR_BUSY              it is running (see SUBPY_BUSY_*), or closing
///         SUBPY_ERROR_SYNTAX            the source does not compile; nothing ran
///         SUBPY_ERROR_EXECUTION_FAILED  an uncaught exception, or SystemExit: sys.exit() does not end the process
///         SUBPY_ERROR_TIMEOUT           its time is up (`timeout_ms`)
///         SUBPY_ERROR_INTERRUPTED       subpy_interrupt(), a close or a cancel token stopped it
///         SUBPY_ERROR_CRASHED           its process has ended (SUBPY_INTERP_PROCESS)
///         SUBPY_ERROR_INTERPRETER       Python code created the interpreter, so nothing can be run in it
///         SUBPY_ERROR_WRONG_STATE       this thread's stack is too small for Python
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_exec(
    interp: subpy_interp,
    code: *const c_char,
    len: usize,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::status(error, || {
            let source = text(code, len, "code")?;
            manager::run(interp, Code::Exec { source, filename: None, keep_indent: false }, None)
        })
    }
}

/// Evaluate an expression, as eval() does.
///
/// @param interp      the interpreter
/// @param expression  the expression, in UTF-8
/// @param len         its length in bytes, or SUBPY_AUTO_LEN
/// @param result      its value, to be freed with subpy_value_free(); NULL: the value is not converted at all
/// @param error       optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_exec();
///         SUBPY_ERROR_NOT_SHAREABLE  the code ran, but its value, or something in it, cannot become a subpy_value; the
///                                    message names the path to it
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_eval(
    interp: subpy_interp,
    expression: *const c_char,
    len: usize,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let expression = text(expression, len, "expression")?;
            let code = Code::Eval { expression, filename: None };
            manager::run(interp, code, wanted.result)
        })
    }
}

/// Call something by its name. Python: Interpreter.call().
///
/// @param interp    the interpreter
/// @param callable  "name" in `__main__`, or "package.module:attribute.attribute"; looked up at each call
/// @param len       its length in bytes, or SUBPY_AUTO_LEN
/// @param args      `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
/// @param nargs     how many
/// @param kwargs    keyword arguments, copied too: a DICT with STR keys; NULL: none
/// @param result    what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_eval(). A name that does not exist, or cannot be called, is
///         SUBPY_ERROR_EXECUTION_FAILED with an AttributeError, ModuleNotFoundError or TypeError
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_call(
    interp: subpy_interp,
    callable: *const c_char,
    len: usize,
    args: *const subpy_value,
    nargs: usize,
    kwargs: *const subpy_value,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let callable = text(callable, len, "callable")?;
            let args = Args::check(args, nargs, kwargs).or_else(invalid)?;
            if args.buffers.are_passed() {
                let call = |args: Args| manager::run(interp, Code::Call { callable, args }, wanted.result);
                return boundary::claimed(args.items, args.kwargs, call);
            }
            let args = Args { buffers: Buffers::None, ..args };
            manager::run(interp, Code::Call { callable, args }, wanted.result)
        })
    }
}

/// Run what the request says: exec, eval, or a call, with every option.
///
/// @param request  what to run, and where
/// @param result   the value (None for exec), to be freed with subpy_value_free(); NULL: it is not converted at all
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_exec(), subpy_eval(), subpy_call() or subpy_function_call(); SUBPY_ERROR_INVALID_ARGUMENT also when
///         `request` is NULL, or has a field set that does not apply
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_run(
    request: *const subpy_run_request,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let request = Request::read(request)?;
            if request.abandon {
                return Ok(invalid("subpy_run_request.flags: SUBPY_ABANDON is for subpy_run_in_thread()")?);
            }
            let mut output = request.output.map(RunOutput::callback);
            let output = output.as_mut().map(|output| output as manager::RunOutput);
            manager::run_with(
                request.interp,
                request.code(),
                wanted.with(request.results),
                request.limits.as_ref(),
                output,
            )
        })
    }
}

/// Run what the request says on a new thread of its own. Everything the request points to is copied first.
///
/// @param request  what to run, and where
/// @param thread   receives the thread, to be joined or freed; NULL: it is freed at once
/// @param error    optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK when the thread was started;
///         SUBPY_ERROR_INVALID_ARGUMENT  as for subpy_run()
///         SUBPY_ERROR_NOT_FOUND         no such interpreter or function
///         SUBPY_ERROR_INTERPRETER       no thread could be started
///         SUBPY_ERROR_WRONG_STATE       the runtime is being shut down
///
/// What becomes of the run, SUBPY_ERROR_BUSY included, is for subpy_thread_join() to say.
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_run_in_thread(
    request: *const subpy_run_request,
    thread: *mut super::status::subpy_thread,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(thread, 0, error, || {
            let request = Request::read(request)?;
            let how = InThread {
                want_result: !thread.is_null(),
                results: request.results,
                output: request.output.map(|output| Box::new(output.callback()) as Callback),
                limits: request.limits.clone(),
                abandon: request.abandon,
            };
            start(request.interp, request.code(), how)
        })
    }
}

/// A request that was checked.
pub(super) struct Request<'a> {
    interp: subpy_interp,
    what: What<'a>,
    args: Args<'a>,
    /// The arguments, when there are buffers among them. Boxed, for it is copied with the rest.
    owned: Option<Box<OwnedArgs>>,
    pub output: Option<RunOutput>,
    pub limits: Option<Limits>,
    pub abandon: bool,
    pub results: Results,
}

enum What<'a> {
    Exec { source: &'a str, filename: Option<&'a str>, keep_indent: bool },
    Eval { expression: &'a str, filename: Option<&'a str> },
    Call(&'a str),
    Function(Arc<Function>),
}

impl Request<'_> {
    pub fn code(&self) -> Code<'_> {
        let args = self.args();
        match &self.what {
            What::Exec { source, filename, keep_indent } => {
                Code::Exec { source, filename: *filename, keep_indent: *keep_indent }
            }
            What::Eval { expression, filename } => Code::Eval { expression, filename: *filename },
            What::Call(callable) => Code::Call { callable, args },
            What::Function(function) => Code::Function { kept: function.kept(), args },
        }
    }

    #[inline(always)]
    fn args(&self) -> Args<'_> {
        self.owned.as_ref().map_or(self.args, |owned| owned.args())
    }

    /// What to call by its name, and with what, if it is that.
    pub fn call(&self) -> Option<(&str, Args<'_>)> {
        match &self.what {
            What::Call(callable) => Some((callable, self.args())),
            _ => None,
        }
    }

    /// A request that names no interpreter.
    ///
    /// # Safety
    /// As for `read`.
    pub unsafe fn read_for_pool<'a>(request: *const subpy_run_request) -> Result<Request<'a>> {
        // SAFETY: promised by the caller.
        let request = unsafe { Request::read(request)? };
        if matches!(request.what, What::Function(..)) {
            return invalid(
                "subpy_run_request.what is SUBPY_RUN_FUNCTION: a prepared function is of one interpreter, and a pool \
                 chooses it; use SUBPY_RUN_CALL",
            );
        }
        if request.interp != 0 {
            return invalid("subpy_run_request.interp must be 0: the pool chooses the interpreter");
        }
        Ok(request)
    }

    /// # Safety
    /// Everything that the request points to must be as it says.
    unsafe fn read<'a>(request: *const subpy_run_request) -> Result<Request<'a>> {
        if request.is_null() {
            return invalid("request is NULL");
        }
        // SAFETY: promised by the caller.
        unsafe {
            let request = boundary::options(request, "subpy_run_request")?;
            request.check_unused()?;
            let abandon = request.flags & SUBPY_ABANDON != 0;
            let results = Results::of_flags(request.flags);
            let timeout = milliseconds(request.timeout_ms, "subpy_run_request.timeout_ms")?;
            let text = match request.what {
                SUBPY_RUN_FUNCTION => "",
                _ => text(request.text, request.text_len, "subpy_run_request.text")?,
            };
            let filename = optional_text(request.filename, "subpy_run_request.filename")?;
            let args = Args::check(request.args, request.nargs, request.kwargs).or_else(invalid)?;
            let mut owned = None;
            if args.buffers.are_passed() {
                owned = request.claim(args, timeout)?;
            }
            let limits = request.limits(timeout)?;
            let function = request.function()?;
            let interp = function.as_ref().map_or(request.interp, |function| function.interp());
            let what = match (request.what, function) {
                (_, Some(function)) => What::Function(function),
                (SUBPY_RUN_EXEC, _) => {
                    let keep_indent = request.flags & SUBPY_KEEP_INDENT != 0;
                    What::Exec { source: text, filename, keep_indent }
                }
                (SUBPY_RUN_EVAL, _) => What::Eval { expression: text, filename },
                _ => What::Call(text),
            };
            let output = RunOutput::new(request.output, request.output_data, interp);
            Ok(Request { interp, what, args, owned, output, limits, abandon, results })
        }
    }
}

impl subpy_run_request {
    /// Fields that do not apply stay free for later versions.
    fn check_unused(&self) -> Result<()> {
        let set = |field: &str, why: &str| invalid(format!("subpy_run_request.{field} {why}"));
        if !(SUBPY_RUN_EXEC..=SUBPY_RUN_FUNCTION).contains(&self.what) {
            let why = format!(
                "is {}, must be SUBPY_RUN_EXEC, SUBPY_RUN_EVAL, SUBPY_RUN_CALL or SUBPY_RUN_FUNCTION",
                self.what
            );
            return set("what", &why);
        }
        let is = |what| self.what == what;
        let flags =
            SUBPY_ABANDON | RESULT_FLAGS | SUBPY_RUN_ASYNC | if is(SUBPY_RUN_EXEC) { SUBPY_KEEP_INDENT } else { 0 };
        if self.flags & !flags != 0 {
            known_flags(self.flags.into(), flags.into(), "subpy_run_request.flags (for this kind of run)")?;
        }
        let calls = is(SUBPY_RUN_CALL) || is(SUBPY_RUN_FUNCTION);
        let no_arguments = self.args.is_null() && self.nargs == 0 && self.kwargs.is_null();
        if !calls && !no_arguments {
            return set("args", "and kwargs are for SUBPY_RUN_CALL and SUBPY_RUN_FUNCTION");
        }
        if calls && !self.filename.is_null() {
            return set("filename", "is for SUBPY_RUN_EXEC and SUBPY_RUN_EVAL");
        }
        if is(SUBPY_RUN_FUNCTION) && (!self.text.is_null() || self.text_len != 0) {
            return set("text", "must be NULL for SUBPY_RUN_FUNCTION, and text_len 0");
        }
        if !is(SUBPY_RUN_FUNCTION) && self.function != 0 {
            return set("function", "is for SUBPY_RUN_FUNCTION");
        }
        if self.flags & SUBPY_ABANDON != 0 && self.timeout_ms == 0 && self.cancel == 0 {
            return set("flags", "has SUBPY_ABANDON, which is for runs with timeout_ms or cancel");
        }
        if self.output.is_none() && !self.output_data.is_null() {
            return set("output_data", "is for subpy_run_request.output, which is NULL");
        }
        Ok(())
    }

    /// The arguments with the buffers that are among them. From then on these are not the caller's, unless an error is its
    /// fault.
    #[cold]
    #[inline(never)]
    fn claim(&self, args: Args, timeout: Option<Duration>) -> Result<Option<Box<OwnedArgs>>> {
        let found = self.limits(timeout).and_then(|_| self.function());
        if found.is_err_and(|error| matches!(error.kind, Kind::InvalidArgument(_))) {
            return Ok(None);
        }
        Ok(boundary::claim(args)?.map(Box::new))
    }

    #[inline(always)]
    fn limits(&self, timeout: Option<Duration>) -> Result<Option<Limits>> {
        if timeout.is_none() && self.cancel == 0 {
            return Ok(None);
        }
        let cancel = if self.cancel == 0 { None } else { Some(manager::cancel_find(self.cancel)?) };
        Ok(Some(Limits { timeout, cancel, abandon: None }))
    }

    /// If it is one of a function.
    #[inline(always)]
    fn function(&self) -> Result<Option<Arc<Function>>> {
        if self.what != SUBPY_RUN_FUNCTION {
            return Ok(None);
        }
        let function = manager::find_function(self.function)?;
        if self.interp != 0 && self.interp != function.interp() {
            return invalid("subpy_run_request.interp is not the function's interpreter; it may be 0");
        }
        Ok(Some(function))
    }
}

/// A limit; 0 is none.
pub(super) fn milliseconds(timeout_ms: i64, name: &str) -> Result<Option<Duration>> {
    match u64::try_from(timeout_ms) {
        Ok(0) => Ok(None),
        Ok(timeout) => Ok(Some(Duration::from_millis(timeout))),
        Err(_) => invalid(format!("{name} is {timeout_ms}, must be 0 (no limit) or more")),
    }
}
