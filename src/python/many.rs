//! One callable called many times in one run.

use std::ptr;
use std::sync::Arc;

use super::Failure;
use super::buffers::revoke;
use super::convert::{Asked, append, int, to_python};
use super::interp::Scope;
use super::kept::Kept;
use super::loops::finish;
use super::object::{Obj, Py, PyResult, Raised};
use super::objects;
use super::own::Own;
use super::run::raised;
use super::types::PyObject;
use crate::value::{self, Builder, OwnedValue, Results, Rows, Wanted, subpy_value};

/// Makes the value that stands for the failure of a row in the results. None: no memory.
pub type Collect<'a> = dyn FnMut(Failure, &mut Builder) -> Option<subpy_value> + 'a;

/// Rows of few arguments need no allocation.
const FEW: usize = 8;

/// Include/cpython/abstract.h: the callee may use the place in front of the arguments meanwhile. It saves a bound
/// method a copy of them.
const PY_VECTORCALL_ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// How many calls of a Python function there are between two steps. Not none: a generator does not begin when it is
/// called.
const ROWS_A_STEP: usize = 256;

/// Calls what is kept with one row after the other, and makes a list of what they return when it is wanted. The first
/// failure ends it; with `collect` only those do that no `except Exception` would catch.
pub fn call_many(
    py: Py,
    scope: &Scope,
    kept: &Arc<Kept>,
    rows: Rows,
    wanted: Wanted,
    collect: Option<&mut Collect>,
) -> Result<(), Box<Failure>> {
    if rows.buffers().claims().is_none() && wanted.how.is_value() {
        return call_all::<true>(py, scope, kept, rows, wanted, collect);
    }
    call_many_specially(py, scope, kept, rows, wanted, collect)
}

/// With buffers or objects in the rows, or for results that are no values.
#[cold]
#[inline(never)]
fn call_many_specially(
    py: Py,
    scope: &Scope,
    kept: &Arc<Kept>,
    rows: Rows,
    wanted: Wanted,
    collect: Option<&mut Collect>,
) -> Result<(), Box<Failure>> {
    let claims = rows.buffers().claims();
    if claims.is_some() {
        for row in 0..rows.count() {
            let in_row = |failure| Box::new(Failure::InRow(row, Box::new(failure)));
            objects::check_items(scope.kept(), rows.row(row)).map_err(in_row)?;
        }
    }
    let called = call_all::<false>(py, scope, kept, rows, wanted, collect);
    match claims.map_or(0, |claims| revoke(py, claims)) {
        0 => called,
        used => called.and(Err(Failure::Lent(used).into())),
    }
}

/// With `VALUES`, values alone are wanted.
#[inline(always)]
fn call_all<const VALUES: bool>(
    py: Py,
    scope: &Scope,
    kept: &Arc<Kept>,
    rows: Rows,
    wanted: Wanted,
    mut collect: Option<&mut Collect>,
) -> Result<(), Box<Failure>> {
    let raised = |Raised| raised(py, scope);
    // SAFETY: attached to the interpreter that the scope is of, for a run that its gate let in.
    let Some(callable) = (unsafe { scope.kept().get(py, kept) }) else { return Err(Failure::Freed("function").into()) };
    let callable = callable.map_err(raised)?;
    let mut list = wanted.result.is_some().then(|| List::new(rows.count())).transpose()?;
    let how = if VALUES { Results::VALUE } else { wanted.how };
    let asked = Asked::of(py, how, scope.own());
    let mut few = [ptr::null_mut(); FEW + 1];
    let mut places = Vec::new();
    if rows.count() > 0 && rows.width() > FEW {
        places.try_reserve_exact(rows.width() + 1).map_err(|_| Failure::NoMemory)?;
        places.resize(rows.width() + 1, ptr::null_mut());
    }
    let places = if places.is_empty() { &mut few[..] } else { &mut places };
    let mut calls = Calls { py, own: scope.own(), callable: &callable, places };
    let rows_a_step = if steps_by_itself(py, &callable) { ROWS_A_STEP } else { 1 };
    let mut step = None;
    for row in 0..rows.count() {
        let in_row = |failure| Box::new(Failure::InRow(row, Box::new(failure)));
        if row > 0 && row.is_multiple_of(rows_a_step) {
            take_step(py, scope, &mut step).map_err(raised).map_err(in_row)?;
        }
        let mut ends = collect.is_none();
        let returned = calls.call(rows.row(row));
        let returned = if how.has(Results::ASYNC) { returned.and_then(|it| finish(py, scope, it)) } else { returned };
        let failure = match returned {
            Ok(object) => {
                let Some(list) = &mut list else { continue };
                if how.is_value()
                    && let Some(value) = int(py, &object)
                {
                    list.put(subpy_value::int(value));
                    continue;
                }
                match list.push(py, &object, asked) {
                    Ok(()) => continue,
                    Err(Failure::NoMemory) => return Err(Failure::NoMemory.into()),
                    Err(failure) => failure,
                }
            }
            Err(Raised) => {
                ends |= !is_exception(py);
                let failure = raised(Raised);
                ends |= matches!(failure, Failure::Stopped(..));
                failure
            }
        };
        match (&mut collect, &mut list) {
            (Some(collect), Some(list)) if !ends => list.push_failure(*in_row(failure), collect)?,
            _ => return Err(in_row(failure)),
        }
    }
    if let (Some(list), Some(result)) = (list, wanted.result) {
        *result = list.finish()?;
    }
    Ok(())
}

/// Whether calls of it do what Python does in each round of a loop (Python/ceval_gil.c, `_Py_HandlePending`): give the
/// GIL to whoever waits for it, run signal handlers, raise an exception that another thread has sent. Python functions
/// do when they begin; others are called with a step in between that is one.
fn steps_by_itself(py: Py, callable: &Obj) -> bool {
    let is_function = |kind| kind == py.api.PyFunction_Type.0;
    let kind = callable.type_ptr();
    // SAFETY: of a method that is alive its function, borrowed; the type of a live object.
    let of_method = || unsafe { (py.api.Py_TYPE)((py.api.PyMethod_Function)(callable.as_ptr())) };
    is_function(kind) || kind == py.api.PyMethod_Type.0 && is_function(of_method())
}

/// What Python does in each round of a loop.
#[inline]
fn take_step<'py>(py: Py<'py>, scope: &Scope<'py>, step: &mut Option<Obj<'py>>) -> PyResult<()> {
    let callable = match step {
        Some(step) => step,
        None => step.insert(scope.kept().step(py)?),
    };
    Calls { py, own: scope.own(), callable, places: &mut [ptr::null_mut()] }.call(&[]).map(drop)
}

/// Whether the exception that is set is an Exception: SystemExit and KeyboardInterrupt, for two, are not.
#[cold]
fn is_exception(py: Py) -> bool {
    // SAFETY: attached; the type of the exception that is set, alive as long as it is, or NULL.
    unsafe {
        let kind = (py.api.PyErr_Occurred)();
        // CPython calls a failure without an exception a SystemError.
        kind.is_null() || (py.api.PyType_IsSubtype)(kind.cast(), py.api.PyExc_Exception.get().cast()) != 0
    }
}

/// Calls of one callable.
struct Calls<'py, 'a> {
    py: Py<'py>,
    own: &'a Arc<Own>,
    callable: &'a Obj<'py>,
    /// One that the callee may use, and those of the arguments.
    places: &'a mut [*mut PyObject],
}

impl<'py> Calls<'py, '_> {
    #[inline(always)]
    fn call(&mut self, row: &[subpy_value]) -> PyResult<Obj<'py>> {
        let api = self.py.api;
        let places = &mut self.places[..=row.len()];
        for (filled, value) in row.iter().enumerate() {
            match to_python(self.py, self.own, value) {
                Ok(object) => places[filled + 1] = object.into_ptr(),
                Err(Raised) => {
                    self.give_back(filled);
                    return Err(Raised);
                }
            }
        }
        // SAFETY: live objects, as many arguments as the row has, and a place in front of them.
        let result = unsafe {
            let nargs = row.len() | PY_VECTORCALL_ARGUMENTS_OFFSET;
            let arguments = places.as_mut_ptr().add(1);
            self.py.owned((api.PyObject_Vectorcall)(self.callable.as_ptr(), arguments, nargs, ptr::null_mut()))
        };
        self.give_back(row.len());
        result
    }

    /// Gives so many arguments back.
    #[inline]
    fn give_back(&self, filled: usize) {
        for object in &self.places[1..=filled] {
            // SAFETY: a reference that this call owns, in the interpreter that the thread is attached to.
            unsafe { (self.py.api.Py_DecRef)(*object) }
        }
    }
}

/// The list of results, as a block that is being built.
struct List {
    builder: Builder,
    array: usize,
    count: usize,
    done: usize,
}

impl List {
    fn new(count: usize) -> Result<List, Failure> {
        let mut builder = Builder::new();
        let array = builder.array(count).ok_or_else(Failure::no_memory)?;
        Ok(List { builder, array, count, done: 0 })
    }

    #[inline(never)]
    fn push(&mut self, py: Py, object: &Obj, asked: Asked) -> Result<(), Failure> {
        let end = self.builder.end();
        let value = match asked.own.filter(|_| asked.how.has(Results::OBJECT)) {
            Some(own) => objects::stay_in(py, own, object, &mut self.builder),
            None => append(py, object, asked, &mut self.builder, format_args!("result")),
        };
        match value {
            Ok(value) => self.put(value),
            Err(failure) => {
                // What was read before it is not wanted.
                self.builder.cut(end);
                return Err(failure);
            }
        }
        Ok(())
    }

    #[cold]
    fn push_failure(&mut self, failure: Failure, collect: &mut Collect) -> Result<(), Failure> {
        let value = collect(failure, &mut self.builder).ok_or_else(Failure::no_memory)?;
        self.put(value);
        Ok(())
    }

    #[inline]
    fn put(&mut self, value: subpy_value) {
        self.builder.write(self.array + self.done * size_of::<subpy_value>(), value);
        self.done += 1;
    }

    fn finish(self) -> Result<OwnedValue, Failure> {
        debug_assert_eq!(self.done, self.count);
        let root = subpy_value::at_offset(value::LIST, self.array, self.count);
        self.builder.finish(root).ok_or_else(Failure::no_memory)
    }
}
