//! What a run does once it is inside: exec, eval, call, prepare_main.

use std::ptr;
use std::sync::Arc;

use super::types::PyCompilerFlags;

use super::Failure;
use super::buffers::revoke;
use super::convert::{self, from_python, from_python_as, to_python};
use super::dedent::dedent;
use super::interp::Scope;
use super::kept::Kept;
use super::loops::finish;
use super::object::{LONGEST_NAME, Obj, Py, PyResult, Raised, cut};
use super::objects;
use super::sources::{Source, Sources, line_of};
use crate::value::{Args, Buffers, Claims, Results, Wanted, subpy_pair, subpy_value};

/// Include/cpython/compile.h: the source is a str, so a coding cookie says nothing.
const PYCF_IGNORE_COOKIE: i32 = 0x0800;
/// As well: code with such an `await` is a coroutine.
const PYCF_ALLOW_TOP_LEVEL_AWAIT: i32 = 0x2000;

/// What to run.
#[derive(Clone, Copy)]
pub enum Code<'a> {
    Exec { source: &'a str, filename: Option<&'a str>, keep_indent: bool },
    Eval { expression: &'a str, filename: Option<&'a str> },
    Call { callable: &'a str, args: Args<'a> },
    Function { kept: &'a Arc<Kept>, args: Args<'a> },
}

/// Runs it in `__main__`. The result is converted when it is wanted.
pub fn run(py: Py, scope: &Scope, code: Code, wanted: Wanted) -> Result<(), Box<Failure>> {
    run_in_line(py, scope, code, wanted)
}

/// The same, for the one caller who must not lose the time of a call.
#[inline(always)]
pub fn run_in_line(py: Py, scope: &Scope, code: Code, wanted: Wanted) -> Result<(), Box<Failure>> {
    let result = match code {
        Code::Call { callable, args } => match resolve(py, scope, callable) {
            Ok(found) => match args.buffers.claims() {
                Some(claims) => return call_claimed(py, scope, &found, args.items, args.kwargs, claims, wanted),
                None => convert::call(py, scope.own(), &found, args),
            },
            Err(Raised) => return Err(not_found(py, scope, callable).into()),
        },
        Code::Function { kept, args } => return call_function(py, scope, kept, args, wanted),
        Code::Exec { source, filename, keep_indent } => {
            let exec = if wanted.how.has(Results::ASYNC) { exec::<true> } else { exec::<false> };
            return exec(py, scope, source, filename, keep_indent);
        }
        Code::Eval { expression, filename } => {
            let eval = if wanted.how.has(Results::ASYNC) { eval::<true> } else { eval::<false> };
            let result = eval(py, scope, expression, filename)?;
            return convert(py, scope, Ok(result), wanted.finished());
        }
    };
    convert(py, scope, result, wanted)
}

/// With `AWAITS` there may be `await` outside of functions.
#[inline(never)]
fn exec<const AWAITS: bool>(
    py: Py,
    scope: &Scope,
    source: &str,
    filename: Option<&str>,
    keep_indent: bool,
) -> Result<(), Box<Failure>> {
    let dedented = if keep_indent { None } else { dedent(source).map_err(|_| Failure::NoMemory)? };
    let removed = dedented.as_ref().map_or(Removed::Nothing, |dedented| Removed::Margin(dedented.margin));
    let text = dedented.map_or_else(|| Source::copy_of(source), |dedented| Source::of(dedented.text));
    let script = Script { text, removed, source, filename, start: super::types::Py_file_input };
    Ok(script.run::<AWAITS>(py, scope).map(drop)?)
}

/// The same; what it comes to is awaited.
#[inline(never)]
fn eval<'py, const AWAITS: bool>(
    py: Py<'py>,
    scope: &Scope<'py>,
    source: &str,
    filename: Option<&str>,
) -> Result<Obj<'py>, Failure> {
    let expression = source.trim_start_matches([' ', '\t']);
    let removed = Removed::Blanks(source.len() - expression.len());
    let text = Source::copy_of(expression);
    Script { text, removed, source, filename, start: super::types::Py_eval_input }.run::<AWAITS>(py, scope)
}

/// Calls a prepared function.
#[inline(always)]
pub fn call_function(py: Py, scope: &Scope, kept: &Kept, args: Args, wanted: Wanted) -> Result<(), Box<Failure>> {
    // SAFETY: attached to the interpreter that the scope is of, for a run that its gate let in.
    let Some(callable) = (unsafe { scope.kept().get(py, kept) }) else { return Err(Failure::Freed("function").into()) };
    let result = match (callable, args.buffers.claims()) {
        (Ok(callable), None) => convert::call(py, scope.own(), &callable, args),
        (Ok(callable), Some(claims)) => {
            return call_claimed(py, scope, &callable, args.items, args.kwargs, claims, wanted);
        }
        (Err(Raised), _) => Err(Raised),
    };
    convert(py, scope, result, wanted)
}

/// A call with buffers or objects among its arguments. Apart, so that the others do not pay for it.
#[cold]
#[inline(never)]
fn call_claimed(
    py: Py,
    scope: &Scope,
    callable: &Obj,
    items: &[subpy_value],
    kwargs: &[subpy_pair],
    claims: &Claims,
    wanted: Wanted,
) -> Result<(), Box<Failure>> {
    let args = Args { items, kwargs, buffers: Buffers::Claimed(claims) };
    objects::check_args(scope.kept(), args)?;
    convert_last(py, scope, convert::call(py, scope.own(), callable, args), wanted, claims)
}

/// Refuses objects of other interpreters. Those that are passed were claimed.
pub(super) fn check_objects(scope: &Scope, args: Args) -> Result<(), Box<Failure>> {
    match args.buffers {
        Buffers::None => Ok(()),
        Buffers::Passed | Buffers::Claimed(_) => Ok(objects::check_args(scope.kept(), args)?),
    }
}

pub(super) fn convert_result(
    py: Py,
    scope: &Scope,
    result: PyResult<Obj>,
    wanted: Wanted,
    buffers: Buffers,
) -> Result<(), Box<Failure>> {
    match buffers.claims() {
        Some(claims) => convert_last(py, scope, result, wanted, claims),
        None => convert(py, scope, result, wanted),
    }
}

#[inline(always)]
fn convert(py: Py, scope: &Scope, result: PyResult<Obj>, wanted: Wanted) -> Result<(), Box<Failure>> {
    match (result, wanted.result) {
        (Err(Raised), _) => Err(raised(py, scope).into()),
        (Ok(object), Some(result)) if wanted.how.is_value() => from_python(py, scope.own(), &object, result),
        (Ok(_), None) if wanted.how.is_value() => Ok(()),
        (Ok(object), result) => convert_specially(py, scope, object, Wanted { result, how: wanted.how }),
    }
}

#[cold]
#[inline(never)]
fn convert_specially(py: Py, scope: &Scope, object: Obj, wanted: Wanted) -> Result<(), Box<Failure>> {
    let finished = if wanted.how.has(Results::ASYNC) { finish(py, scope, object) } else { Ok(object) };
    let object = finished.map_err(|Raised| raised(py, scope))?;
    match wanted.result {
        Some(result) => from_python_as(py, scope, &object, wanted.how, result),
        None => Ok(()),
    }
}

/// The same when buffers were passed: those that were lent are taken back when nothing of the run is left.
#[cold]
fn convert_last(
    py: Py,
    scope: &Scope,
    result: PyResult<Obj>,
    wanted: Wanted,
    claims: &Claims,
) -> Result<(), Box<Failure>> {
    let converted = convert(py, scope, result, wanted);
    match revoke(py, claims) {
        0 => converted,
        used => converted.and(Err(Failure::Lent(used).into())),
    }
}

/// The exception that is set, with the lines of sources of ours in its traceback.
#[cold]
pub(super) fn raised(py: Py, scope: &Scope) -> Failure {
    let reason = scope.why();
    scope.run.own(|| scope.sources().show(py));
    scope.run.failure(py, reason)
}

/// What the compiler does not get to see of a source.
#[derive(Clone, Copy)]
enum Removed {
    Nothing,
    /// So many blanks at the begin of each line that is not blank.
    Margin(usize),
    /// So many in front of the first line.
    Blanks(usize),
}

/// Source to compile and run.
struct Script<'a> {
    /// None: there was no memory for it.
    text: Option<Source>,
    removed: Removed,
    /// As it came.
    source: &'a str,
    filename: Option<&'a str>,
    start: i32,
}

impl Script<'_> {
    fn run<'py, const AWAITS: bool>(self, py: Py<'py>, scope: &Scope<'py>) -> Result<Obj<'py>, Failure> {
        let text = self.text.ok_or_else(Failure::no_memory)?;
        let filename = self.filename.unwrap_or("<script>");
        let compiled =
            scope.names().get(py, filename).and_then(|filename| compile(py, &text, &filename, self.start, AWAITS));
        let code = compiled.map_err(|Raised| does_not_compile(py, scope, self.source, self.removed))?;
        let run = |code: &Obj<'py>| match py.evaluate(code, &scope.main) {
            Ok(result) if AWAITS => finish(py, scope, result).map_err(|Raised| raised(py, scope)),
            result => result.map_err(|Raised| raised(py, scope)),
        };
        // Python shows lines of what is no file for such names alone.
        if !filename.starts_with('<') {
            return run(&code);
        }
        let running = Sources::run(py, scope, code, text);
        run(running.code())
    }
}

#[inline(always)]
fn compile<'py>(py: Py<'py>, source: &Source, filename: &Obj<'py>, start: i32, awaits: bool) -> PyResult<Obj<'py>> {
    if source.text().as_bytes().contains(&0) {
        return Err(py.raise(py.api.PyExc_SyntaxError.get(), "source code string cannot contain null bytes"));
    }
    let cf_flags = PYCF_IGNORE_COOKIE | if awaits { PYCF_ALLOW_TOP_LEVEL_AWAIT } else { 0 };
    let mut flags = PyCompilerFlags { cf_flags, cf_feature_version: 0 };
    // SAFETY: NUL-terminated source, a live str; a new reference or NULL with an exception.
    unsafe { py.owned((py.api.Py_CompileStringObject)(source.as_ptr(), filename.as_ptr(), start, &mut flags, -1)) }
}

/// The exception that the compiler set, with the place in the source as it came.
#[cold]
fn does_not_compile(py: Py, scope: &Scope, source: &str, removed: Removed) -> Failure {
    let mut exception = match scope.failure(py) {
        Failure::Exception(exception) => exception,
        // What the compiler warned of was code of users too.
        stopped => return stopped,
    };
    let Some(place) = &mut exception.syntax else { return Failure::Exception(exception) };
    let columns = match removed {
        Removed::Margin(margin) => margin,
        Removed::Blanks(blanks) if place.line == 1 => blanks,
        _ => 0,
    };
    // A blank line had its blanks removed and no margin.
    if columns > 0
        && let Some(line) = line_of(source, place.line).filter(|line| !line.trim_matches([' ', '\t']).is_empty())
    {
        if place.column > 0 {
            place.column += i32::try_from(columns).unwrap_or(0);
        }
        if let Some(text) = &mut place.text {
            let removed = line.get(..columns).unwrap_or_default();
            if text.try_reserve(removed.len()).is_ok() {
                text.insert_str(0, removed);
            }
        }
    }
    Failure::Syntax(exception)
}

/// Finds `name` in `__main__`, or `package.module:attr.attr`, anew at each call: a name that was bound again is seen.
#[inline(always)]
fn resolve<'py>(py: Py<'py>, scope: &Scope<'py>, callable: &str) -> PyResult<Obj<'py>> {
    // Names are short: a plain loop finds out faster than the searches below.
    if callable.bytes().all(|byte| byte != b':' && byte != b'.') {
        main_attribute(py, scope, callable)
    } else {
        follow_path(py, scope, callable)
    }
}

#[inline(never)]
fn follow_path<'py>(py: Py<'py>, scope: &Scope<'py>, callable: &str) -> PyResult<Obj<'py>> {
    let name = |text| scope.names().get(py, text);
    let (module, path) = match split_at_first(callable, b':') {
        (module, Some(path)) => (Some(module), path),
        (path, None) => (None, path),
    };
    let (first, mut rest) = split_at_first(path, b'.');
    let mut object = match module {
        Some(module) => py.import(&name(module)?)?.attr_object(&name(first)?)?,
        None => main_attribute(py, scope, first)?,
    };
    while let Some(path) = rest {
        let (attribute, more) = split_at_first(path, b'.');
        object = object.attr_object(&name(attribute)?)?;
        rest = more;
    }
    Ok(object)
}

/// What is in front of the first separator, and what is behind it.
#[inline]
fn split_at_first(text: &str, separator: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == separator) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Finds what a call would call, and fails as the call would when there is no such name or it cannot be called.
pub fn find_callable<'py>(py: Py<'py>, scope: &Scope<'py>, name: &str) -> Result<Obj<'py>, Failure> {
    let callable = resolve(py, scope, name).and_then(|object| {
        // SAFETY: attached; a live object.
        match unsafe { (py.api.PyCallable_Check)(object.as_ptr()) } {
            0 => {
                // SAFETY: a live object has a type; a new reference or NULL with an exception.
                let name = unsafe { py.owned((py.api.PyType_GetName)(object.type_ptr()))? };
                let message = format!("'{}' object is not callable", name.to_text(LONGEST_NAME).unwrap_or_default());
                Err(py.raise(py.api.PyExc_TypeError.get(), &message))
            }
            _ => Ok(object),
        }
    });
    callable.map_err(|Raised| not_found(py, scope, name))
}

/// The exception that is set because there is no such callable, and what was meant instead, if that can be told.
#[cold]
fn not_found(py: Py, scope: &Scope, callable: &str) -> Failure {
    let mut exception = match raised(py, scope) {
        Failure::Exception(exception) => exception,
        stopped => return stopped,
    };
    if exception.hint.is_none() {
        exception.hint = meant(py, scope, callable).map(|meant| format!("; did you mean \"{meant}\"?"));
    }
    py.clear();
    Failure::Exception(exception)
}

/// `math:sqrt` for `math.sqrt`, `builtins:print` for `print`.
fn meant(py: Py, scope: &Scope, callable: &str) -> Option<String> {
    /// Nobody makes a mistake in a longer one that is worth a word.
    const LONGEST: usize = 200;
    let mut names = callable.split('.');
    if callable.len() > LONGEST || callable.contains(':') || names.any(str::is_empty) {
        return None;
    }
    let first = callable.split('.').next()?;
    if main_attribute(py, scope, first).is_ok() {
        return None;
    }
    py.clear();
    let object = |name: &str| scope.names().get(py, name).ok();
    if py.import(&object("builtins")?).ok()?.attr_object(&object(first)?).is_ok() {
        return Some(format!("builtins:{callable}"));
    }
    py.clear();
    // The longest name of a module that is loaded; else all but the last.
    let splits = callable.rmatch_indices('.').map(|(at, _)| (&callable[..at], &callable[at + 1..]));
    let is_loaded = |name: &str| {
        // SAFETY: a live str; a new reference, or NULL.
        object(name).is_some_and(|name| unsafe { py.owned((py.api.PyImport_GetModule)(name.as_ptr())).is_ok() })
    };
    let (module, name) = splits.clone().find(|(module, _)| is_loaded(module)).or_else(|| splits.clone().next())?;
    Some(format!("{module}:{name}"))
}

#[inline]
fn main_attribute<'py>(py: Py<'py>, scope: &Scope<'py>, name: &str) -> PyResult<Obj<'py>> {
    let key = scope.names().get(py, name)?;
    let mut object = ptr::null_mut();
    // SAFETY: live objects; 1 with a new reference, 0 with NULL, -1 with an exception.
    unsafe {
        match (py.api.PyDict_GetItemRef)(scope.main.as_ptr(), key.as_ptr(), &mut object) {
            0 => Err(no_main_attribute(py, name)),
            _ => py.owned(object),
        }
    }
}

#[cold]
fn no_main_attribute(py: Py, name: &str) -> Raised {
    let name = cut(name.as_bytes(), LONGEST_NAME).unwrap_or_default();
    convert::no_attribute(py, &format!("module '__main__' has no attribute '{name}'"))
}

/// Binds names in `__main__`. All or nothing: every value is made before the first name is bound.
pub fn prepare_main(py: Py, scope: &Scope, names: &[subpy_pair]) -> Result<(), Box<Failure>> {
    objects::check_names(scope.kept(), names)?;
    bind_all(py, scope, names).map_err(|Raised| scope.failure(py).into())
}

fn bind_all<'py>(py: Py<'py>, scope: &Scope<'py>, names: &[subpy_pair]) -> PyResult<()> {
    let mut objects = Vec::new();
    objects.try_reserve_exact(names.len()).map_err(|_| py.no_memory())?;
    for pair in names {
        objects.push((to_python(py, scope.own(), &pair.key)?, to_python(py, scope.own(), &pair.value)?));
    }
    for (name, value) in &objects {
        // SAFETY: live objects.
        py.check(unsafe { (py.api.PyDict_SetItem)(scope.main.as_ptr(), name.as_ptr(), value.as_ptr()) })?;
    }
    Ok(())
}
