//! An uncaught Python exception as plain text: taken apart inside its interpreter, readable anywhere.
//!
//! CPython's own capture (Python/crossinterp.c) crashes when str() raises, returns a NUL or a lone surrogate, and loses a
//! MemoryError. Here every step may fail on its own and leaves a placeholder instead.

use super::object::{Obj, Py};

/// What `ExecutionFailed.excinfo` holds in `concurrent.interpreters`, and more.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Exception {
    /// excinfo.type.\_\_name\_\_
    pub type_name: String,
    /// excinfo.type.\_\_qualname\_\_
    pub type_qualname: String,
    /// excinfo.type.\_\_module\_\_
    pub type_module: String,
    /// excinfo.msg: `str(exception)`
    pub message: String,
    /// excinfo.formatted: `Type: message`
    pub formatted: String,
    /// excinfo.errdisplay: what Python would print, without the final newline
    pub display: String,
    /// The traceback, outermost frame first.
    pub frames: Vec<Frame>,
    /// Where the source is wrong, for a SyntaxError.
    pub syntax: Option<Syntax>,
    /// The status that SystemExit asked for.
    pub exit_status: Option<i32>,
}

/// One line of a traceback.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Frame {
    /// The file name of the code object, such as `<script>`.
    pub file: String,
    /// The line number, from 1; 0 when unknown.
    pub line: i32,
    /// The function's name, `<module>` at the top level.
    pub function: String,
}

/// The position that a SyntaxError names; each part may be missing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Syntax {
    /// The line, from 1; 0 when unknown.
    pub line: i32,
    /// The column in characters, from 1; 0 when unknown.
    pub column: i32,
    /// The source line.
    pub text: Option<String>,
}

/// A traceback of more frames than this is cut in the middle: recursion can be a million deep.
const MAX_FRAMES: usize = 10_000;

/// A text of more bytes than this is cut.
const MAX_TEXT: usize = 1 << 20;

const STR_FAILED: &str = "<exception str() failed>";

impl Exception {
    /// Takes the exception that is set in the current thread state apart, and drops it.
    pub fn take(py: Py) -> Box<Exception> {
        let Some(exception) = py.take_exception() else {
            return Box::new(Exception::nothing_set());
        };
        let rendered = render(py, &exception);
        drop(exception);
        py.clear();
        Box::new(rendered)
    }

    /// A C function failed without an exception: CPython itself reports that as SystemError.
    fn nothing_set() -> Exception {
        let message = "error return without exception set".to_owned();
        let formatted = format!("SystemError: {message}");
        Exception {
            type_name: "SystemError".into(),
            type_qualname: "SystemError".into(),
            type_module: "builtins".into(),
            message,
            display: formatted.clone(),
            formatted,
            ..Exception::default()
        }
    }
}

fn render(py: Py, exception: &Obj) -> Exception {
    let (type_name, type_qualname, type_module) = type_names(py, exception);
    let message = message(py, exception);
    let prefix = match type_module.as_str() {
        "builtins" | "__main__" => String::new(),
        module => format!("{module}."),
    };
    let formatted = format!("{prefix}{type_qualname}: {message}");
    let (frames, depth) = frames(py, exception);
    let display = display(py, exception, depth).unwrap_or_else(|| plain_display(&frames, &formatted));
    Exception {
        syntax: exception.is_instance(py.api.PyExc_SyntaxError.get()).then(|| syntax(py, exception)),
        exit_status: exception.is_instance(py.api.PyExc_SystemExit.get()).then(|| exit_status(py, exception)),
        type_name,
        type_qualname,
        type_module,
        message,
        formatted,
        display,
        frames,
    }
}

fn type_names(py: Py, exception: &Obj) -> (String, String, String) {
    let kind = exception.type_ptr();
    // From the type itself, never through attributes: a class can answer anything to `__module__`.
    // SAFETY: the type of a live object; each function returns a new reference, or NULL with an exception.
    let [name, qualname, module] = unsafe {
        [py.api.PyType_GetName, py.api.PyType_GetQualName, py.api.PyType_GetModuleName].map(|get| {
            let text = py.owned(get(kind)).ok().and_then(|name| name.to_text_lossy());
            py.clear();
            text
        })
    };
    let name = name.unwrap_or_else(|| "<unknown>".into());
    (name.clone(), qualname.unwrap_or(name), module.unwrap_or_else(|| "<unknown>".into()))
}

fn message(py: Py, exception: &Obj) -> String {
    // SAFETY: a live object; a new reference, or NULL with an exception.
    let text = unsafe { py.owned((py.api.PyObject_Str)(exception.as_ptr())) };
    py.clear();
    let text = text.ok().and_then(|text| text.to_text_lossy());
    shortened(text.unwrap_or_else(|| STR_FAILED.into()))
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let cut = (0..=MAX_TEXT).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        let left = text.len() - cut;
        text.truncate(cut);
        text.push_str(&format!("... ({left} more bytes)"));
    }
    text
}

/// The frames, and how many there were before the middle was cut.
fn frames(py: Py, exception: &Obj) -> (Vec<Frame>, usize) {
    // SAFETY: a live exception; a new reference or NULL without an exception.
    let mut traceback = unsafe { py.owned((py.api.PyException_GetTraceback)(exception.as_ptr())) }.ok();
    let mut frames = Vec::new();
    let mut depth = 0;
    while let Some(entry) = traceback.filter(|entry| !entry.is_none()) {
        depth += 1;
        if frames.len() == MAX_FRAMES {
            // Keep the outermost half, and of the rest the innermost.
            frames.remove(MAX_FRAMES / 2);
        }
        if let Some(frame) = frame(&entry) {
            frames.push(frame);
        }
        traceback = entry.attr(c"tb_next").ok();
        py.clear();
    }
    (frames, depth)
}

fn frame(entry: &Obj) -> Option<Frame> {
    // Traceback, frame and code are C types that cannot be subclassed, so these attributes run no Python code.
    let code = entry.attr(c"tb_frame").ok()?.attr(c"f_code").ok()?;
    Some(Frame {
        file: code.attr(c"co_filename").ok()?.to_text_lossy()?,
        line: to_i32(entry.attr(c"tb_lineno").ok().and_then(|line| line.to_i64())),
        function: code.attr(c"co_name").ok()?.to_text_lossy()?,
    })
}

fn to_i32(value: Option<i64>) -> i32 {
    value.and_then(|value| i32::try_from(value).ok()).unwrap_or(0)
}

/// `"".join(traceback.TracebackException.from_exception(exception).format())`, as `concurrent.interpreters` does it.
fn display(py: Py, exception: &Obj, depth: usize) -> Option<String> {
    if depth > MAX_FRAMES {
        return None; // a FrameSummary a frame would cost more memory than the interpreter may have
    }
    let text = (|| {
        let traceback = py.import(&py.str("traceback")?)?;
        let summary = traceback.attr(c"TracebackException")?.attr(c"from_exception")?.call(&[exception])?;
        let lines = summary.attr(c"format")?.call(&[])?;
        py.str("")?.attr(c"join")?.call(&[&lines])
    })();
    let text = text.ok().and_then(|text| text.to_text_lossy());
    py.clear();
    let mut text = text?;
    if text.ends_with('\n') {
        text.pop();
    }
    Some(shortened(text))
}

/// The same from what was walked, when the traceback module cannot do it (no memory, patched, recursion limit).
fn plain_display(frames: &[Frame], formatted: &str) -> String {
    let mut text = String::new();
    if !frames.is_empty() {
        text.push_str("Traceback (most recent call last):\n");
    }
    for frame in frames {
        text.push_str(&format!("  File \"{}\", line {}, in {}\n", frame.file, frame.line, frame.function));
    }
    text.push_str(formatted);
    text
}

fn syntax(py: Py, exception: &Obj) -> Syntax {
    let number = |name| {
        let value = exception.attr(name).ok().and_then(|value| value.to_i64());
        py.clear();
        to_i32(value)
    };
    let text = exception.attr(c"text").ok().and_then(|text| text.to_text_lossy());
    py.clear();
    Syntax { line: number(c"lineno"), column: number(c"offset"), text: text.map(shortened) }
}

/// As Python's own exit does it: None is 0, an int is itself, anything else (printed by python) is 1.
fn exit_status(py: Py, exception: &Obj) -> i32 {
    let code = exception.attr(c"code").ok();
    py.clear();
    match code {
        None => 1,
        Some(code) if code.is_none() => 0,
        // SAFETY: CPython's static type object.
        Some(code) if unsafe { (py.api.PyType_IsSubtype)(code.type_ptr(), py.api.PyLong_Type.0) != 0 } => {
            code.to_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(-1)
        }
        Some(_) => 1,
    }
}
