//! An uncaught Python exception as plain text: taken apart inside its interpreter, readable anywhere.
//!
//! CPython's own capture (Python/crossinterp.c) crashes when str() raises, returns a NUL or a lone surrogate, and loses
//! a MemoryError. Here every step may fail on its own and leaves a placeholder instead.

use std::collections::HashMap;
use std::rc::Rc;

use super::host::tag;
use super::object::{Obj, Py, PyResult};
use super::types::PyObject;
pub use crate::value::{Exception, Frame, Syntax};

/// A traceback of more frames than this is cut in the middle: recursion can be a million deep.
const MAX_FRAMES: usize = 10_000;
const HALF: usize = MAX_FRAMES / 2;

/// A text of more bytes than this is cut.
const MAX_TEXT: usize = 1 << 20;

/// A name or a line of more bytes than this is cut: there are thousands of frames.
const MAX_LINE: usize = 4096;

/// Lines that are kept while one traceback is read.
const MAX_KNOWN_LINES: usize = 1000;

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

    /// When it, or what it came from, is that an extension module does not load in this interpreter: the line that says so,
    /// without what quotes it.
    pub fn refused_import(&self) -> Option<&str> {
        if !self.display.contains("ImportError") {
            return None;
        }
        let says = |line: &&str| line.contains(NOT_HERE) || ONCE.iter().any(|text| line.contains(text));
        let line = self.message.lines().find(says).or_else(|| self.display.lines().find(says))?;
        let begins = line.find(NOT_HERE).and_then(|end| line[..end].rfind("module "));
        Some(&line[begins.unwrap_or(0)..])
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

/// Imports what taking an exception apart needs. The exception that is set stays.
pub fn prepare(py: Py) {
    let raised = py.take_exception();
    // traceback imports the last two when it underlines an expression.
    for module in ["linecache", "traceback", "ast", "unicodedata"] {
        // One that is missing is missed later.
        let _ = py.str(module).and_then(|module| py.import(&module));
        py.clear();
    }
    if let Some(raised) = raised {
        py.set_exception(raised);
    }
}

fn render<'py>(py: Py<'py>, exception: &Obj<'py>) -> Exception {
    let (type_name, type_qualname, type_module) = type_names(py, exception);
    let message = message(py, exception);
    let (module, dot) = match type_module.as_str() {
        "builtins" | "__main__" => ("", ""),
        module => (module, "."),
    };
    // Without memory for a copy of the message, the type alone.
    let formatted = concat(&[module, dot, &type_qualname, ": ", &message]).unwrap_or_else(|| type_qualname.clone());
    let hint = match exception.is_instance(py.api.PyExc_ImportError.get()) {
        true => import_hint(&message),
        false => daemon_hint(&type_name, &message),
    };
    // Without memory for these there are no frames.
    let names = Attributes::new(py).ok();
    py.clear();
    let depth = names.as_ref().map_or(0, |names| names.entries(py, exception).count());
    // First the display: it makes linecache look whether the files have changed.
    let display = display(py, exception, depth);
    let frames = names.map_or_else(Vec::new, |names| frames(py, &names, exception, depth));
    let display = display.unwrap_or_else(|| plain_display(&frames, &formatted));
    Exception {
        hint: hint.map(Into::into),
        syntax: exception.is_instance(py.api.PyExc_SyntaxError.get()).then(|| syntax(py, exception)),
        exit_status: exception.is_instance(py.api.PyExc_SystemExit.get()).then(|| exit_status(py, exception)),
        tag: tag(py, exception),
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
            let text = py.owned(get(kind)).ok().and_then(|name| name.to_text(MAX_LINE));
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
    text.ok().and_then(|text| text.to_text(MAX_TEXT)).unwrap_or_else(|| STR_FAILED.into())
}

/// The texts in a row, with room for a NUL. None: no memory.
fn concat(texts: &[&str]) -> Option<String> {
    let mut all = String::new();
    all.try_reserve_exact(texts.iter().map(|text| text.len()).sum::<usize>() + 1).ok()?;
    texts.iter().for_each(|text| all.push_str(text));
    Some(all)
}

/// What is said when an extension module does not load in an interpreter: by CPython; and by Cython, PyO3 and numpy.
/// Other packages quote it.
const NOT_HERE: &str = "does not support loading in subinterpreters";
const ONCE: [&str; 3] = [
    "cannot load module more than once per process",
    "Interpreter change detected",
    "do not yet support subinterpreters",
];

/// What to do then.
fn import_hint(message: &str) -> Option<&'static str> {
    if message.contains(NOT_HERE) {
        return Some(
            "; create the interpreter with SUBPY_INTERP_PROCESS, or with SUBPY_GIL_SHARED and \
             SUBPY_INTERP_NO_EXTENSION_CHECK, or use the main one, subpy_get_main()",
        );
    }
    ONCE.iter().any(|text| message.contains(text)).then_some(
        "; such a module loads in one interpreter of a process: in each with SUBPY_INTERP_PROCESS, else in the main one, \
         subpy_get_main(), or in the only one with SUBPY_GIL_SHARED and SUBPY_INTERP_NO_EXTENSION_CHECK",
    )
}

/// What multiprocessing.Pool and multiprocessing.Queue run into (Lib/threading.py: Thread.daemon), and
/// ProcessPoolExecutor, on a thread of its own.
fn daemon_hint(type_name: &str, message: &str) -> Option<&'static str> {
    match type_name {
        "RuntimeError" if message.starts_with("daemon threads are disabled") => {
            Some(" (SUBPY_INTERP_ALLOW_DAEMON_THREADS allows them when the interpreter is created)")
        }
        "BrokenProcessPool" => Some(" (ProcessPoolExecutor needs SUBPY_INTERP_ALLOW_DAEMON_THREADS)"),
        _ => None,
    }
}

fn traceback<'py>(py: Py<'py>, exception: &Obj<'py>) -> Option<Obj<'py>> {
    // SAFETY: a live exception; a new reference or NULL without an exception.
    unsafe { py.owned((py.api.PyException_GetTraceback)(exception.as_ptr())) }.ok()
}

/// The names of what is read of each entry of a traceback, interned: to look up another string is slow.
struct Attributes<'py> {
    tb_next: Obj<'py>,
    tb_frame: Obj<'py>,
    tb_lineno: Obj<'py>,
    tb_lasti: Obj<'py>,
    f_code: Obj<'py>,
    co_filename: Obj<'py>,
    co_name: Obj<'py>,
}

impl<'py> Attributes<'py> {
    fn new(py: Py<'py>) -> PyResult<Attributes<'py>> {
        Ok(Attributes {
            tb_next: py.interned("tb_next")?,
            tb_frame: py.interned("tb_frame")?,
            tb_lineno: py.interned("tb_lineno")?,
            tb_lasti: py.interned("tb_lasti")?,
            f_code: py.interned("f_code")?,
            co_filename: py.interned("co_filename")?,
            co_name: py.interned("co_name")?,
        })
    }

    fn next(&self, py: Py<'py>, entry: &Obj<'py>) -> Option<Obj<'py>> {
        let next = entry.attr_object(&self.tb_next).ok();
        py.clear();
        next.filter(|next| !next.is_none())
    }

    /// The entries of an exception's traceback.
    fn entries(&self, py: Py<'py>, exception: &Obj<'py>) -> impl Iterator<Item = Obj<'py>> {
        std::iter::successors(traceback(py, exception), move |entry| self.next(py, entry))
    }
}

/// The frames: of too many the outermost half, and of the rest the innermost. When there is no memory, as many as fit.
fn frames<'py>(py: Py<'py>, names: &Attributes<'py>, exception: &Obj<'py>, depth: usize) -> Vec<Frame> {
    let left_out = if depth > MAX_FRAMES { HALF..depth - HALF } else { 0..0 };
    let mut lines = Lines::new(py);
    let mut frames = Vec::new();
    let entries = names.entries(py, exception).take(depth).enumerate();
    for (_, entry) in entries.filter(|(index, _)| !left_out.contains(index)) {
        let frame = frame(py, names, &entry, &mut lines);
        py.clear();
        if let Some(frame) = frame
            && frames.try_reserve(1).is_ok()
        {
            frames.push(frame);
        }
    }
    frames
}

fn frame<'py>(py: Py<'py>, names: &Attributes<'py>, entry: &Obj<'py>, lines: &mut Lines<'py>) -> Option<Frame> {
    // Traceback, frame and code are C types that cannot be subclassed, so these attributes run no Python code.
    let code = entry.attr_object(&names.tb_frame).ok()?.attr_object(&names.f_code).ok()?;
    let file = code.attr_object(&names.co_filename).ok()?;
    let line = to_i32(entry.attr_object(&names.tb_lineno).ok().and_then(|line| line.to_i64()));
    let instruction =
        entry.attr_object(&names.tb_lasti).ok().and_then(|at| at.to_i64()).map_or(-1, |at| to_i32(Some(at)));
    let (mut start, mut begin, mut end_line, mut end) = (0, -1, 0, -1);
    if instruction >= 0 {
        // SAFETY: a live code object and places for four numbers. They stay as they are when there is no position.
        unsafe {
            (py.api.PyCode_Addr2Location)(code.as_ptr(), instruction, &mut start, &mut begin, &mut end_line, &mut end);
        }
    }
    // Code can be written that says one line here and another there.
    if start != line {
        (begin, end_line, end) = (-1, 0, -1);
    }
    let source = lines.line(&code, &file, line);
    let last = if end_line == line { source.clone() } else { lines.line(&code, &file, end_line) };
    Some(Frame {
        file: file.to_text(MAX_LINE)?,
        function: code.attr_object(&names.co_name).ok()?.to_text(MAX_LINE)?,
        line,
        end_line: end_line.max(0),
        column: column(source.as_deref(), begin),
        end_column: column(last.as_deref(), end),
        source: source.and_then(|source| concat(&[&source])),
    })
}

/// CPython's offset in bytes from 0 as a column in characters from 1. What is not known, or does not lie in the line,
/// is 0.
fn column(line: Option<&str>, offset: i32) -> i32 {
    let offset = usize::try_from(offset).ok().filter(|offset| *offset < MAX_LINE);
    let before = offset.and_then(|offset| line?.get(..offset));
    before.and_then(|before| i32::try_from(before.chars().count() + 1).ok()).unwrap_or(0)
}

/// Source lines, looked up as the traceback module does it.
struct Lines<'py> {
    py: Py<'py>,
    getline: Option<Obj<'py>>,
    getline_from_code: Option<Obj<'py>>,
    /// Those that were looked up last, by code object (kept alive, so that the address is its own) and line: recursion
    /// asks for the same ones again and again.
    known: HashMap<(*mut PyObject, i32), Known<'py>>,
}

struct Known<'py> {
    _code: Obj<'py>,
    text: Option<Rc<str>>,
}

impl<'py> Lines<'py> {
    fn new(py: Py<'py>) -> Lines<'py> {
        let linecache = py.str("linecache").and_then(|name| py.import(&name)).ok();
        let function = |name| linecache.as_ref().and_then(|linecache| linecache.attr(name).ok());
        let (getline, getline_from_code) = (function(c"getline"), function(c"_getline_from_code"));
        py.clear();
        Lines { py, getline, getline_from_code, known: HashMap::new() }
    }

    fn line(&mut self, code: &Obj<'py>, file: &Obj<'py>, line: i32) -> Option<Rc<str>> {
        if line <= 0 {
            return None;
        }
        let key = (code.as_ptr(), line);
        if let Some(known) = self.known.get(&key) {
            return known.text.clone();
        }
        let text = self.look_up(code, file, line).map(Rc::from);
        self.py.clear();
        if self.known.len() == MAX_KNOWN_LINES {
            self.known.clear();
        }
        // SAFETY: a live object.
        let code = unsafe { self.py.borrowed(code.as_ptr()) }.ok()?;
        self.known.insert(key, Known { _code: code, text: text.clone() });
        text
    }

    fn look_up(&self, code: &Obj<'py>, file: &Obj<'py>, line: i32) -> Option<String> {
        let line = self.py.int(i64::from(line)).ok()?;
        let text = |function: &Option<Obj<'py>>, place: &Obj<'py>| {
            let text = function.as_ref()?.call(&[place, &line]).ok().and_then(|text| text.to_text(MAX_LINE));
            self.py.clear();
            text.map(|text| text.trim_end_matches(['\n', '\r']).to_owned()).filter(|text| !text.is_empty())
        };
        let of_code = || if file.to_text(1)?.starts_with('<') { text(&self.getline_from_code, code) } else { None };
        text(&self.getline, file).or_else(of_code)
    }
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
    let text = text.ok().and_then(|text| text.to_text(MAX_TEXT));
    py.clear();
    let mut text = text?;
    if text.ends_with('\n') {
        text.pop();
    }
    Some(text)
}

/// The same from what was walked, when the traceback module cannot do it (no memory, patched, recursion limit).
fn plain_display(frames: &[Frame], formatted: &str) -> String {
    let mut text = String::new();
    if !frames.is_empty() {
        text.push_str("Traceback (most recent call last):\n");
    }
    for (index, frame) in frames.iter().enumerate() {
        if text.len() >= MAX_TEXT || text.try_reserve(4 * MAX_LINE).is_err() {
            text.push_str(&format!("  ... ({} more frames)\n", frames.len() - index));
            break;
        }
        text.push_str(&format!("  File \"{}\", line {}, in {}\n", frame.file, frame.line, frame.function));
        if let Some(source) = frame.source.as_deref().map(str::trim).filter(|source| !source.is_empty()) {
            text.push_str(&format!("    {source}\n"));
        }
    }
    if text.try_reserve(formatted.len() + 1).is_ok() {
        text.push_str(formatted);
    }
    text
}

fn syntax(py: Py, exception: &Obj) -> Syntax {
    let number = |name| {
        let value = exception.attr(name).ok().and_then(|value| value.to_i64());
        py.clear();
        to_i32(value)
    };
    let text = exception.attr(c"text").ok().and_then(|text| text.to_text(MAX_TEXT));
    py.clear();
    Syntax { line: number(c"lineno"), column: number(c"offset"), text }
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
