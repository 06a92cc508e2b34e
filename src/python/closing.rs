//! What is in the way of closing an interpreter: the runs in it, and the threads that Python code has started. Where they
//! are, and how to have them end.

use std::ffi::CStr;

use super::Failure;
use super::interp::Interp;
use super::kept::Hold;
use super::object::{LONGEST_NAME, Obj, Py, PyResult, own_source};
use super::stack::this_stack;
use super::types::{PyObject, PyThreadState};

const SOURCE: &CStr = own_source(concat!(include_str!("closing.py"), "\0"));

/// How to look.
#[derive(Clone, Copy)]
pub struct Look {
    /// All is told to end: for the how manieth time, from 1. 0: it is not.
    pub stop: u32,
    /// Python's threads too, once all runs were hit.
    pub threads: bool,
    /// Nobody is in it but Python's own threads, and this one.
    pub drained: bool,
}

/// Looks at one interpreter again and again.
#[derive(Default)]
pub struct Closing {
    /// closing.py's function.
    look: Option<Hold>,
    /// How often threads were not told, because of runs that were to be hit first.
    spared: u32,
}

/// After so many times they are told all the same: a run may wait for one in a place where nothing is hit.
const SPARED: u32 = 10;

impl Closing {
    /// What is still there, each in words. What makes it fail is in nobody's way: a guest that has broken `threading`.
    /// The gate has let this thread in.
    pub fn look(&mut self, interp: &Interp, how: Look) -> Result<Vec<String>, Failure> {
        let entry = interp.enter_on(this_stack())?;
        let found = self.found(entry.py(), interp, how).unwrap_or_default();
        Ok(found)
    }

    fn found(&mut self, py: Py, interp: &Interp, how: Look) -> PyResult<Vec<String>> {
        if how.drained && !is_imported(py, "threading")? {
            return Ok(Vec::new());
        }
        let look = self.function(py, interp)?;
        let mut states = interp.interrupts.states();
        // A thread that calls out and in again uses the state that it has.
        states.dedup();
        let runs = frames(py, states)?;
        // SAFETY: attached; nobody else is in it, so all states are of Python's threads, which unlink theirs with the
        // GIL. None of them runs until the list is done.
        let threads = how.drained.then(|| unsafe { threads(py) });
        let threads = match threads {
            Some(threads) => frames(py, threads)?,
            // SAFETY: None is immortal.
            None => unsafe { py.borrowed(py.none())? },
        };
        let stop = if how.threads { self.stop(interp, how.stop) } else { 0 };
        let look_here = interp.interrupts.look_here(py)?;
        let times = |count: u32| py.int(i64::from(count));
        let found = look.call(&[&times(how.stop)?, &times(stop)?, &runs, &threads, &look_here])?;
        drop((runs, threads));
        // One may have begun meanwhile, and may have started threads. Now nothing runs.
        let told = self.spared >= SPARED || interp.interrupts.all_were_hit();
        let (mut texts, mut threads) = (Vec::new(), Vec::new());
        // SAFETY: a live list, whose items are borrowed and are used before anything runs.
        unsafe {
            for index in 0..(py.api.PyList_Size)(found.as_ptr()) {
                let item = py.borrowed((py.api.PyList_GetItem)(found.as_ptr(), index))?;
                if let Some(ident) = item.to_i64() {
                    threads.extend(usize::try_from(ident).ok().filter(|_| told));
                } else if let Some(text) = item.to_text(LONGEST_NAME) {
                    texts.push(text);
                }
            }
        }
        if stop > 0 {
            // SAFETY: attached to it.
            unsafe { interp.interrupts.end_threads(py.api, threads, stop) };
            // They hear of it when their code goes on.
            interp.interrupts.look_around();
        }
        Ok(texts)
    }

    /// How often threads are told, with this one. A run whose threads end before it is hit would go on without what they
    /// were to do, and may be done before it is. Attached to the interpreter.
    fn stop(&mut self, interp: &Interp, stop: u32) -> u32 {
        if stop <= 1 {
            self.spared = 0;
        }
        if stop > 0 && self.spared < SPARED && !interp.interrupts.all_were_hit() {
            self.spared += 1;
        }
        stop.saturating_sub(self.spared)
    }

    fn function<'py>(&mut self, py: Py<'py>, interp: &Interp) -> PyResult<Obj<'py>> {
        let hold = match &mut self.look {
            Some(hold) => hold,
            look => {
                let function = py.run_own(SOURCE, "look")?;
                look.insert(interp.own.kept.keep(function).ok_or_else(|| py.no_memory())?)
            }
        };
        // SAFETY: attached to the interpreter that it is of, which has not begun to end.
        unsafe { interp.own.kept.get(py, hold.kept()) }.unwrap_or(Err(super::object::Raised))
    }
}

fn is_imported(py: Py, module: &str) -> PyResult<bool> {
    // SAFETY: a live str; a new reference, or NULL.
    let found = unsafe { py.owned((py.api.PyImport_GetModule)(py.str(module)?.as_ptr())) };
    py.clear();
    Ok(found.is_ok())
}

/// The states of this interpreter's threads.
///
/// # Safety
/// Attached, and nobody may remove a state as long as they are used.
pub unsafe fn threads(py: Py) -> Vec<*mut PyThreadState> {
    let mut states = Vec::new();
    // SAFETY: promised by the caller.
    unsafe {
        let interp = (py.api.PyThreadState_GetInterpreter)((py.api.PyThreadState_GetUnchecked)());
        let mut state = (py.api.PyInterpreterState_ThreadHead)(interp);
        while !state.is_null() {
            states.push(state);
            state = (py.api.PyThreadState_Next)(state);
        }
    }
    states
}

/// A list of the innermost frames of these states, as far as they have one.
fn frames<'py>(py: Py<'py>, states: impl IntoIterator<Item = *mut PyThreadState>) -> PyResult<Obj<'py>> {
    // SAFETY: attached, and the states are alive. A frame is a new reference, which the list does not take over.
    unsafe {
        let list = py.owned((py.api.PyList_New)(0))?;
        for state in states {
            let frame: *mut PyObject = (py.api.PyThreadState_GetFrame)(state).cast();
            if let Ok(frame) = py.owned(frame) {
                py.check((py.api.PyList_Insert)(list.as_ptr(), 0, frame.as_ptr()))?;
            }
        }
        Ok(list)
    }
}
