//! What the methods of queues do where the host has the queue.

use std::sync::Arc;
use std::time::Instant;

use super::super::attach::detached;
use super::super::convert;
use super::super::object::{Obj, Py, PyResult, Raised};
use super::super::output::waiting;
use super::core::{For, Not, Waited};
use super::guest::{Kept, Queues};
use super::methods::{Patience, refused};
use super::place::Place;
use super::there::{self, Refused, There};
use crate::value::{OwnedValue, is_plain};

/// Asks for what is there at once. Meanwhile other threads of Python's may run.
pub(super) fn ask<R>(py: Py, queues: &Queues, ask: impl FnOnce() -> Result<R, Refused>) -> PyResult<R> {
    detached(Some(py.api), || waiting(ask)).map_err(|why| raise(py, queues, why, For::Item))
}

/// None: there is no such queue.
pub(super) fn find(py: Py, queues: &Queues, id: u64) -> PyResult<Option<Arc<There>>> {
    ask(py, queues, || match There::find(id) {
        Err(Refused::Gone) => Ok(None),
        found => found.map(Some),
    })
}

fn raise(py: Py, queues: &Queues, why: Refused, wanted: For) -> Raised {
    match why {
        Refused::Not(not) => refused(py, queues, not, wanted),
        Refused::Look => refused(py, queues, Not::Now, wanted),
        Refused::Gone => queues.raise(py, Kept::NotFound, "the host has this queue no more"),
        Refused::Unshareable(why) => py.raise(py.api.PyExc_TypeError.get(), &why),
        Refused::Failed(why) => py.raise(py.api.PyExc_RuntimeError.get(), &why),
    }
}

/// Has the host do something, which may take until there is what is wanted. None: it has to be tried again.
fn attempt<R>(
    py: Py,
    queues: &Queues,
    there: &Arc<There>,
    wanted: For,
    patience: Patience,
    mut attempt: impl FnMut(there::Patience) -> Result<R, Refused>,
) -> PyResult<R> {
    let Patience::Until(until) = patience else {
        let done = detached(Some(py.api), || waiting(|| attempt(there::Patience::NONE)));
        return done.map_err(|why| raise(py, queues, why, wanted));
    };
    let mut result = Err(Refused::Not(Not::Now));
    queues.wait_by(py, Place::There(Arc::clone(there)), until, |next, stop, _| {
        // Before it is looked for a reason: what is wished after that, the host hears of.
        let looks = there::looks();
        if stop() {
            return Waited::Stopped;
        }
        let time = next.map(|next| next.saturating_duration_since(Instant::now()));
        result = attempt(there::Patience { time, looks });
        match result {
            Err(Refused::Not(Not::Now)) => Waited::Late,
            Err(Refused::Look) => Waited::Stopped,
            _ => Waited::Look,
        }
    })?;
    result.map_err(|why| raise(py, queues, why, wanted))
}

/// A thread that does not come back, because the interpreter ends, may have taken one all the same.
pub(super) fn take<'py>(py: Py<'py>, there: &Arc<There>, queues: &Queues, patience: Patience) -> PyResult<Obj<'py>> {
    let item = attempt(py, queues, there, For::Item, patience, |patience| there.host.get(there.id, patience))?;
    let object = convert::to_python(py, &queues.own, item.as_value());
    if object.is_err() {
        let raised = py.take_exception();
        // Whatever comes of it, the exception is what is told.
        let _ = detached(Some(py.api), || waiting(|| there.host.put_back(there.id, &item)));
        raised.map(|raised| py.set_exception(raised));
    }
    object
}

pub(super) fn give<'py>(
    py: Py<'py>,
    there: &Arc<There>,
    queues: &Queues,
    item: &OwnedValue,
    patience: Patience,
) -> PyResult<Obj<'py>> {
    let (host, id) = (there.host, there.id);
    // What may be large goes when there is room, and not each time that the wait is looked after.
    let is_small = is_plain(item.as_value());
    let mut was_full = false;
    attempt(py, queues, there, For::Room, patience, |patience| {
        if is_small {
            return host.put(id, item, patience);
        }
        if !was_full {
            match host.put(id, item, there::Patience::NONE) {
                Err(Refused::Not(Not::Now)) => was_full = true,
                put => return put,
            }
        }
        host.wait(id, For::Room, patience)?;
        match host.put(id, item, there::Patience::NONE) {
            // Another one was faster.
            Err(Refused::Not(Not::Now)) => Err(Refused::Look),
            put => put,
        }
    })?;
    // SAFETY: None is immortal.
    unsafe { py.borrowed(py.none()) }
}
