//! Queues, as hosts use them: by handles, with waits that can be cancelled. The host owns them: they do not need a
//! runtime, and are the same in the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::cancel::{Stop, Token};
use super::error::{Error, Kind, Result, Stopped};
use super::here::here;
use super::limits::Wake;
use crate::python::attach::detached;
#[cfg(feature = "capi")]
use crate::python::buffers::tell;
use crate::python::fork;
use crate::python::interrupt::Reason;
#[cfg(feature = "capi")]
use crate::python::keep;
use crate::python::loaded_api;
use crate::python::output::waiting;
#[cfg(feature = "capi")]
use crate::python::queue;
use crate::python::queue::{For, Not, Queue, Waited};
use crate::value::OwnedValue;
#[cfg(feature = "capi")]
use crate::value::{Builder, NotCopied, subpy_value};

impl Wake for Queue {
    fn wake(&self) {
        self.wake_all();
    }
}

/// A wait that has a cancel token.
struct Cancelled {
    queue: Arc<Queue>,
    fired: AtomicBool,
}

impl Stop for Cancelled {
    fn stop(&self, _: u64, _: Reason) {
        self.fired.store(true, Ordering::Release);
        self.queue.wake_all();
    }
}

/// How somebody waits.
#[derive(Default)]
pub struct Wait {
    /// None: for ever.
    pub limit: Option<Duration>,
    pub cancel: Option<Arc<Token>>,
}

#[cfg(feature = "capi")]
fn find(handle: u64) -> Result<Arc<Queue>> {
    let not_found = || Kind::NotFound(format!("{handle} is not the handle of a queue, or it was freed"));
    queue::find(handle).ok_or_else(|| not_found().into())
}

#[cfg(feature = "capi")]
fn new_handle(queue: &Arc<Queue>) -> Result<u64> {
    queue::new_handle(queue).ok_or_else(|| Kind::NoMemory.into())
}

/// A new queue, with room for so many items; 0: no bound.
pub fn queue_make(capacity: usize) -> Result<Arc<Queue>> {
    fork::watch();
    Ok(Queue::new(i64::try_from(capacity).unwrap_or(i64::MAX)).ok_or(Kind::NoMemory)?)
}

/// The same; its handle.
#[cfg(feature = "capi")]
pub fn queue_new(capacity: usize) -> Result<u64> {
    new_handle(&queue_make(capacity)?)
}

/// A handle of one's own.
#[cfg(feature = "capi")]
pub fn queue_keep(handle: u64) -> Result<u64> {
    new_handle(&find(handle)?)
}

/// Gives a handle up, and what is in the queue with the last one.
#[cfg(feature = "capi")]
pub fn queue_free(handle: u64) {
    drop(queue::free(handle));
}

/// A copy of a value to be put in.
#[cfg(feature = "capi")]
pub fn item_of(value: &subpy_value) -> Result<OwnedValue> {
    OwnedValue::keep(value, keep_item, tell).map_err(Error::from)
}

/// Items have a claim on what they name; objects belong to an interpreter, and cannot be.
#[cfg(feature = "capi")]
fn keep_item(value: &subpy_value, builder: &mut Builder) -> Result<subpy_value, NotCopied> {
    if value.is_object() {
        let message = "an object belongs to its interpreter and cannot be put into a queue";
        return Err(NotCopied::NotShareable(message.into()));
    }
    keep(value, builder)
}

/// Puts an item in; when there is no room, waits for it.
pub fn put_into(queue: &Arc<Queue>, item: OwnedValue, wait: &Wait) -> Result<()> {
    let mut item = Some(item);
    until(queue, For::Room, wait, || queue.put(&mut item))
}

#[cfg(feature = "capi")]
pub fn queue_put(handle: u64, item: OwnedValue, wait: &Wait) -> Result<()> {
    put_into(&find(handle)?, item, wait)
}

/// Takes the first item out; when there is none, waits for it.
pub fn get_from(queue: &Arc<Queue>, wait: &Wait) -> Result<OwnedValue> {
    until(queue, For::Item, wait, || queue.get())
}

#[cfg(feature = "capi")]
pub fn queue_get(handle: u64, wait: &Wait) -> Result<OwnedValue> {
    get_from(&find(handle)?, wait)
}

/// Tries until it is done, or the wait is over.
fn until<R>(queue: &Arc<Queue>, wanted: For, wait: &Wait, mut attempt: impl FnMut() -> Result<R, Not>) -> Result<R> {
    let what = match wanted {
        For::Item => "something to get from a queue",
        For::Room => "room in a queue",
    };
    let interrupted = || {
        let message = format!("cancelled while it waited for {what}");
        Error::from(Kind::Interrupted(Stopped { message, exception: None }))
    };
    if wait.cancel.as_ref().is_some_and(|token| token.is_fired()) {
        return Err(interrupted());
    }
    match attempt() {
        Ok(done) => return Ok(done),
        Err(Not::Now) if wait.limit == Some(Duration::ZERO) => return Err(late(wait, wanted)),
        Err(Not::Now) => {}
        Err(not) => return Err(refused(not, wanted)),
    }
    // A limit beyond what the clock can tell is none.
    let deadline = wait.limit.and_then(|limit| Instant::now().checked_add(limit));
    let cancelled = Arc::new(Cancelled { queue: Arc::clone(queue), fired: AtomicBool::new(false) });
    let place: Arc<dyn Stop> = cancelled.clone();
    if let Some(token) = &wait.cancel
        && token.attach(Arc::clone(&place), 0)?
    {
        cancelled.fired.store(true, Ordering::Release);
    }
    let result = here(|here| {
        here.limits.waiting(queue, format_args!("{what}"), |stopped| {
            detached(loaded_api(), || {
                waiting(|| {
                    let stop = || cancelled.fired.load(Ordering::Acquire) || stopped().is_some();
                    loop {
                        match queue.wait(wanted, deadline, &stop) {
                            Waited::Look => match attempt() {
                                Ok(done) => return Ok(done),
                                Err(Not::Now) => {}
                                Err(not) => return Err(refused(not, wanted)),
                            },
                            Waited::Late => return Err(late(wait, wanted)),
                            Waited::Stopped => return Err(stopped().unwrap_or_else(interrupted)),
                        }
                    }
                })
            })
        })
    });
    if let Some(token) = &wait.cancel {
        token.detach(&*place, 0);
    }
    result
}

fn late(wait: &Wait, wanted: For) -> Error {
    let state = if wanted == For::Item { "empty" } else { "full" };
    let message = match wait.limit {
        Some(limit) if !limit.is_zero() => format!("the queue was {state} for {} ms", limit.as_millis()),
        _ => format!("the queue is {state}"),
    };
    Kind::Timeout(Stopped { message, exception: None }).into()
}

fn refused(not: Not, wanted: For) -> Error {
    Error::from(match (not, wanted) {
        (Not::NoMemory, _) => Kind::NoMemory,
        (Not::Event(errno), _) => {
            Kind::Interpreter(format!("no descriptor for the queue: {}", std::io::Error::from_raw_os_error(errno)))
        }
        (_, For::Item) => Kind::WrongState("the queue is closed and empty".into()),
        (_, For::Room) => Kind::WrongState("the queue is closed".into()),
    })
}

/// How many items are in it.
#[cfg(feature = "capi")]
pub fn queue_len(handle: u64) -> Result<usize> {
    Ok(find(handle)?.len())
}

/// What a queue is.
#[cfg(feature = "capi")]
pub struct QueueInfo {
    /// The same for all of its handles, and in Python.
    pub id: u64,
    /// How many items have room; 0: no bound.
    pub capacity: usize,
    pub len: usize,
    pub closed: bool,
}

#[cfg(feature = "capi")]
pub fn queue_info(handle: u64) -> Result<QueueInfo> {
    let queue = find(handle)?;
    let capacity = usize::try_from(queue.capacity()).unwrap_or(0);
    Ok(QueueInfo { id: queue.id, capacity, len: queue.len(), closed: queue.is_closed() })
}

/// A descriptor that is readable while there is what is wanted, or the queue is closed.
pub fn descriptor_of(queue: &Queue, wanted: For) -> Result<i32> {
    queue.descriptor(wanted).map_err(|not| refused(not, wanted))
}

#[cfg(feature = "capi")]
pub fn queue_fd(handle: u64, wanted: For) -> Result<i32> {
    descriptor_of(&*find(handle)?, wanted)
}

/// Nothing goes in any more.
#[cfg(feature = "capi")]
pub fn queue_close(handle: u64) -> Result<()> {
    find(handle)?.close();
    Ok(())
}
