//! The source of code that was run, for the lines in tracebacks.
//!
//! CPython's own way (`linecache._register_code`, for `python -c` and the REPL) keeps every source for good, under
//! names that two sources can share. Here a source belongs to the code objects that were made of it, by their identity,
//! and goes with the last of them. Most runs leave none behind. It is looked up when a traceback is made, not before.

use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;

use super::api;
use super::c_function::{InCapsule, Static, capsule, definition, function, in_capsule};
use super::interp::Scope;
use super::object::{Obj, Py, PyResult, own_source};
use super::types::{METH_O, METH_VARARGS, Py_file_input, PyMethodDef, PyObject};

/// What may be kept in vain: as much as is needed, and this.
const SPARE_BYTES: usize = 64 * 1024;
const SPARE_SOURCES: usize = 64;

/// Source as CPython's compiler takes it: with a NUL behind it.
pub struct Source(Vec<u8>);

impl Source {
    /// None: no memory.
    pub fn copy_of(text: &str) -> Option<Source> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(text.len() + 1).ok()?;
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Some(Source(bytes))
    }

    /// None: no memory.
    pub fn of(text: String) -> Option<Source> {
        let mut bytes = text.into_bytes();
        bytes.try_reserve_exact(1).ok()?;
        bytes.push(0);
        Some(Source(bytes))
    }

    pub fn text(&self) -> &str {
        // SAFETY: it was made of a str and a NUL.
        unsafe { std::str::from_utf8_unchecked(&self.0[..self.0.len() - 1]) }
    }

    /// Where it begins, in memory.
    pub fn as_ptr(&self) -> *const std::ffi::c_char {
        self.0.as_ptr().cast()
    }
}

/// A line, from 1, of text as CPython's tokenizer splits it: `\n`, `\r\n` and a lone `\r` end lines, nothing else does.
pub fn line_of(text: &str, number: i32) -> Option<&str> {
    let mut rest = text;
    for _ in 1..usize::try_from(number).ok().filter(|number| *number > 0)? {
        let end = rest.find(['\n', '\r'])?;
        rest = &rest[end + if rest[end..].starts_with("\r\n") { 2 } else { 1 }..];
    }
    Some(&rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())])
}

/// The sources of one interpreter that code may still need.
#[derive(Default)]
pub struct Sources {
    scripts: UnsafeCell<Vec<Script>>,
    /// Bytes and number of those that were needed when it was looked, and of those that came since.
    needed: Cell<(usize, usize)>,
    since: Cell<(usize, usize)>,
    /// linecache knows of them.
    shown: Cell<bool>,
}

// SAFETY: used with the GIL of the interpreter alone. Nothing is done while the list is borrowed that could give it
// away or run Python code.
unsafe impl Send for Sources {}
// SAFETY: as above.
unsafe impl Sync for Sources {}

struct Script {
    source: Source,
    /// Its code object while it runs, borrowed from `Running`; NULL later.
    running: *mut PyObject,
    /// Later: the code objects that were left, by address, each with a weak reference that tells whether it is the
    /// same.
    left: Vec<(*mut PyObject, *mut PyObject)>,
}

/// Keeps the source of code that is running, and the code. To be dropped after an exception that names it.
pub struct Running<'a, 'py> {
    py: Py<'py>,
    scope: &'a Scope<'py>,
    code: ManuallyDrop<Obj<'py>>,
}

impl Sources {
    /// Keeps a source as long as there is code of it. Attached to the interpreter.
    #[inline(always)]
    pub fn run<'a, 'py>(py: Py<'py>, scope: &'a Scope<'py>, code: Obj<'py>, source: Source) -> Running<'a, 'py> {
        let this = scope.sources();
        this.show_if_imported(py, scope);
        // SAFETY: the GIL is held, and nothing runs until the borrow ends.
        let scripts = unsafe { &mut *this.scripts.get() };
        if scripts.try_reserve(1).is_ok() {
            scripts.push(Script { source, running: code.as_ptr(), left: Vec::new() });
        }
        Running { py, scope, code: ManuallyDrop::new(code) }
    }

    /// Keeps the source of code that ran, if some of its code objects were left.
    fn keep(&self, py: Py, script: Script) {
        let (bytes, number) = self.since.get();
        self.since.set((bytes + script.source.0.len(), number + 1));
        // SAFETY: as above.
        let scripts = unsafe { &mut *self.scripts.get() };
        match scripts.try_reserve(1) {
            Ok(()) => scripts.push(script),
            Err(_) => script.give_back(py),
        }
        let ((bytes, number), (needed_bytes, needed)) = (self.since.get(), self.needed.get());
        if bytes > needed_bytes + SPARE_BYTES || number > needed + SPARE_SOURCES {
            self.sweep(py);
        }
    }

    /// Forgets those of which no code is left.
    #[cold]
    fn sweep(&self, py: Py) {
        // SAFETY: as above; giving a weak reference back runs nothing.
        let scripts = unsafe { &mut *self.scripts.get() };
        scripts.retain_mut(|script| !script.running.is_null() || script.forget_dead(py));
        self.needed.set((scripts.iter().map(|script| script.source.0.len()).sum(), scripts.len()));
        self.since.set((0, 0));
    }

    /// The source of a code object. Attached to the interpreter; to be used before Python runs again.
    fn of_code(&self, py: Py, code: *mut PyObject) -> Option<&str> {
        // SAFETY: as above.
        let scripts = unsafe { &*self.scripts.get() };
        scripts.iter().rev().find(|script| script.has(py, code)).map(|script| script.source.text())
    }

    /// Makes linecache find the sources, if somebody has imported it. May run Python code. No exception is set.
    #[inline]
    pub fn show_if_imported(self: &Arc<Self>, py: Py, scope: &Scope) {
        if !self.shown.get() && is_imported(py, scope, "linecache") {
            scope.run.own(|| self.show_now(py));
        }
    }

    /// Makes linecache find the sources. May run Python code; an exception that is set stays.
    pub fn show(self: &Arc<Self>, py: Py) {
        if self.shown.get() {
            return;
        }
        let raised = py.take_exception();
        self.show_now(py);
        if let Some(raised) = raised {
            py.set_exception(raised);
        }
    }

    #[cold]
    fn show_now(self: &Arc<Self>, py: Py) {
        // Once, however it ends: what a guest has broken stays broken.
        self.shown.set(true);
        // Without linecache there are no lines.
        let _ = self.teach_linecache(py);
        py.clear();
    }

    fn teach_linecache(self: &Arc<Self>, py: Py) -> PyResult<()> {
        const SOURCE: &CStr = own_source(concat!(include_str!("sources.py"), "\0"));
        // SAFETY: attached; NUL-terminated texts, live objects. The functions look for the sources in the capsule.
        unsafe {
            let namespace = py.own_namespace()?;
            let set = |name: &CStr, value: &Obj| {
                py.check((py.api.PyDict_SetItemString)(namespace.as_ptr(), name.as_ptr(), value.as_ptr()))
            };
            set(c"linecache", &py.import(&py.str("linecache")?)?)?;
            let capsule = capsule(py, Arc::clone(self))?;
            for definition in &DEFINITIONS.0 {
                set(CStr::from_ptr(definition.ml_name), &function(py, definition, Some(&capsule))?)?;
            }
            py.evaluate(&py.compile_own(SOURCE, Py_file_input)?, &namespace).map(drop)
        }
    }

    /// Gives all back. Attached to the interpreter, which is about to end.
    pub fn give_back_all(&self, py: Py) {
        // SAFETY: as above.
        let scripts = std::mem::take(unsafe { &mut *self.scripts.get() });
        scripts.into_iter().for_each(|script| script.give_back(py));
    }
}

impl Script {
    fn has(&self, py: Py, code: *mut PyObject) -> bool {
        if self.running.is_null() {
            return self.left.iter().any(|(address, weak)| *address == code && is_alive(py, *weak));
        }
        let mut found = false;
        // SAFETY: `Running` keeps it alive.
        if let (Ok(running), Ok(co_consts)) = (unsafe { py.borrowed(self.running) }, py.str(CO_CONSTS)) {
            each_code(py, running, &co_consts, |each| found |= each.as_ptr() == code);
        }
        found
    }

    /// Forgets the code objects that are gone. Whether there are others.
    fn forget_dead(&mut self, py: Py) -> bool {
        self.left.retain(|(_, weak)| {
            let alive = is_alive(py, *weak);
            if !alive {
                // SAFETY: a reference that the list owns.
                unsafe { (py.api.Py_DecRef)(*weak) }
            }
            alive
        });
        !self.left.is_empty()
    }

    fn give_back(self, py: Py) {
        for (_, weak) in self.left {
            // SAFETY: a reference that the list owns.
            unsafe { (py.api.Py_DecRef)(weak) }
        }
    }
}

const CO_CONSTS: &str = "co_consts";

/// Calls it with a code object and all those in it: of functions, classes, lambdas.
fn each_code<'py>(py: Py<'py>, code: Obj<'py>, co_consts: &Obj<'py>, mut act: impl FnMut(&Obj<'py>)) {
    // Most have none in them: no memory is asked for.
    let mut open = Vec::new();
    let mut next = Some(code);
    while let Some(code) = next {
        if let Ok(constants) = code.attr_object(co_consts) {
            // SAFETY: a tuple, which keeps its elements alive.
            unsafe {
                for index in 0..(py.api.PyTuple_Size)(constants.as_ptr()) {
                    let constant = (py.api.PyTuple_GetItem)(constants.as_ptr(), index);
                    if py.api.type_of(constant) == py.api.PyCode_Type.0 && open.try_reserve(1).is_ok() {
                        open.extend(py.borrowed(constant));
                    }
                }
            }
        }
        act(&code);
        next = open.pop();
    }
    py.clear();
}

/// Whether a module was imported.
fn is_imported(py: Py, scope: &Scope, module: &str) -> bool {
    // SAFETY: a live str; a new reference, or NULL.
    let found = |name: Obj| unsafe { py.owned((py.api.PyImport_GetModule)(name.as_ptr())) };
    let imported = scope.names().get(py, module).and_then(found).is_ok();
    if !imported {
        py.clear();
    }
    imported
}

/// Whether the object of a weak reference is still there.
fn is_alive(py: Py, weak: *mut PyObject) -> bool {
    let mut object = ptr::null_mut();
    // SAFETY: a live weak reference; 1 with a new reference, or 0 or -1 with NULL.
    unsafe {
        (py.api.PyWeakref_GetRef)(weak, &mut object);
        py.owned(object).is_ok()
    }
}

impl<'py> Running<'_, 'py> {
    pub fn code(&self) -> &Obj<'py> {
        &self.code
    }
}

impl Drop for Running<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        let (py, this) = (self.py, self.scope.sources());
        // SAFETY: as above.
        let scripts = unsafe { &mut *this.scripts.get() };
        let at = scripts.iter().rposition(|script| script.running == self.code.as_ptr());
        let script = at.map(|at| scripts.swap_remove(at));
        // SAFETY: used for the last time.
        let code = unsafe { ManuallyDrop::take(&mut self.code) };
        if let Some(mut script) = script {
            script.running = ptr::null_mut();
            if note_what_is_left(py, self.scope, code, &mut script) && script.forget_dead(py) {
                this.keep(py, script);
                // A traceback may now come in a call.
                this.show_if_imported(py, self.scope);
            }
        }
    }
}

/// Takes weak references to the code objects and gives the code back. False when nothing can be left.
#[inline(always)]
fn note_what_is_left<'py>(py: Py<'py>, scope: &Scope<'py>, code: Obj<'py>, script: &mut Script) -> bool {
    // SAFETY: a live object.
    let is_last = unsafe { (py.api.PyUnstable_Object_IsUniquelyReferenced)(code.as_ptr()) != 0 };
    let mut objects = 0;
    // Interned: a look-up of another string is slow.
    let Ok(co_consts) = scope.names().get(py, CO_CONSTS) else {
        py.clear();
        return false;
    };
    let left = &mut script.left;
    each_code(py, code, &co_consts, |each| {
        objects += 1;
        // Most scripts are one code object, which ends with the run.
        if (objects == 1 && is_last) || left.try_reserve(1).is_err() {
            return;
        }
        // SAFETY: a live object; a new reference, or NULL with an exception.
        if let Ok(weak) = unsafe { py.owned((py.api.PyWeakref_NewRef)(each.as_ptr(), ptr::null_mut())) } {
            left.push((each.as_ptr(), weak.into_ptr()));
        }
    });
    !script.left.is_empty()
}

// ---- the functions that sources.py calls ----

// SAFETY: the name is its own; nothing of it is a thread's.
unsafe impl InCapsule for Arc<Sources> {
    const NAME: &CStr = c"subpy.sources";
}

static DEFINITIONS: Static<[PyMethodDef; 2]> =
    Static([definition(c"text", text_of_code, METH_O), definition(c"line", line_of_code, METH_VARARGS)]);

/// Finds the source of a code object, and makes a str of what is chosen of it; None when there is none.
unsafe fn found(
    capsule: *mut PyObject,
    code: *mut PyObject,
    choose: impl FnOnce(&str) -> Option<&str>,
) -> *mut PyObject {
    // SAFETY: Python calls with the GIL and a live argument; the capsule is the function's own and keeps the sources
    // alive. Making a str runs no Python code.
    unsafe {
        let py = Py::attached(api());
        let Some(sources) = in_capsule::<Arc<Sources>>(py.api, capsule) else { return ptr::null_mut() };
        let chosen = sources.of_code(py, code).and_then(choose);
        chosen.map_or_else(|| py.borrowed(py.none()), |text| py.str(text)).map_or(ptr::null_mut(), Obj::into_ptr)
    }
}

unsafe extern "C" fn text_of_code(capsule: *mut PyObject, code: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python.
    unsafe { found(capsule, code, |text| Some(text)) }
}

unsafe extern "C" fn line_of_code(capsule: *mut PyObject, args: *mut PyObject) -> *mut PyObject {
    // SAFETY: called by Python with a tuple; its elements live as long as it does. GetItem gives NULL, with an
    // exception, for what is not there.
    unsafe {
        let py = Py::attached(api());
        let (code, number) = ((py.api.PyTuple_GetItem)(args, 0), (py.api.PyTuple_GetItem)(args, 1));
        if code.is_null() || number.is_null() {
            return ptr::null_mut();
        }
        let number = py.borrowed(number).ok().and_then(|number| number.to_i64());
        let number = number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
        found(capsule, code, |text| line_of(text, number))
    }
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn lines_end_where_they_end_for_python() {
        let text = "a\nb\r\n\rc\x0cd\u{2028}e\x1cf";
        let lines: Vec<_> = (1..=5).map(|number| line_of(text, number)).collect();
        assert_eq!(lines, [Some("a"), Some("b"), Some(""), Some("c\x0cd\u{2028}e\x1cf"), None]);
        assert_eq!((line_of(text, 0), line_of(text, -1), line_of("", 1)), (None, None, Some("")));
    }
}
