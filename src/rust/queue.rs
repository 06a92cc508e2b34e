//! Queues between the program and interpreters, and between interpreters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::args::Arg;
use super::block::{decode, encode};
use super::limits::Limits;
use super::to_rust::FromValue;
use super::unless_forked;
use crate::manager::{self, For, Kind, RawFd, Result, Wait};

/// A queue. Each item is copied once, and comes out once, in the order in which they went in; any number of threads and
/// of interpreters may put and get. Clones are the same queue.
///
/// Passed to Python, as an argument for example, it is a `Queue` of the module `subpy_queues`, with the methods of
/// `concurrent.interpreters.Queue`. A queue belongs to no interpreter: what is in it stays good when the interpreter
/// that has put it is closed, and after a [`shutdown`](crate::shutdown).
///
/// ```
/// # fn main() -> subpy::Result<()> {
/// use subpy::{Interpreter, Queue};
///
/// let interp = Interpreter::create()?;
/// let (tasks, results) = (Queue::new()?, Queue::new()?);
/// interp.exec("def work(tasks, results):\n    for task in tasks: results.put(task * task)")?;
/// let worker = interp.call_in_thread::<()>("work", (&tasks, &results))?;
/// for task in 1..=3 {
///     tasks.put(task)?;
/// }
/// tasks.close()?;
/// worker.join()?;
/// results.close()?;
/// assert_eq!(results.iter().collect::<subpy::Result<Vec<i64>>>()?, [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Queue(pub(super) Arc<manager::Queue>);

impl Queue {
    /// A queue that takes as many items as memory has room for.
    ///
    /// # Errors
    /// [`Kind::NoMemory`].
    pub fn new() -> Result<Queue> {
        Queue::bounded(0)
    }

    /// A queue with room for so many items; 0: no bound.
    ///
    /// # Errors
    /// [`Kind::NoMemory`].
    pub fn bounded(capacity: usize) -> Result<Queue> {
        unless_forked(|| manager::queue_make(capacity)).map(Queue)
    }

    /// Puts an item in. While there is no room, it waits.
    ///
    /// # Errors
    /// [`Kind::WrongState`] when the queue is closed; [`Kind::NotShareable`] when an object is in it; [`Kind::Timeout`] and [`Kind::Interrupted`] when the run that this
    /// thread is in is to end; what [`Arg`] says. Then the item is not in.
    pub fn put(&self, item: impl Arg) -> Result<()> {
        self.put_with(item, &Limits::new())
    }

    /// The same, with limits of the wait: [`Kind::Timeout`] when the time is up, [`Kind::Interrupted`] when it was
    /// cancelled.
    ///
    /// # Errors
    /// As [`put`](Queue::put).
    pub fn put_with(&self, item: impl Arg, limits: &Limits) -> Result<()> {
        self.put_waiting(item, &limits.to_wait())
    }

    /// The same without waiting: [`Kind::Timeout`] when there is no room.
    ///
    /// # Errors
    /// As [`put`](Queue::put).
    pub fn try_put(&self, item: impl Arg) -> Result<()> {
        self.put_waiting(item, &Wait { limit: Some(Duration::ZERO), cancel: None })
    }

    fn put_waiting(&self, item: impl Arg, wait: &Wait) -> Result<()> {
        unless_forked(|| {
            let item = item.into_arg(format_args!("item"))?;
            if item.has_object() {
                item.take_apart();
                let message = "an object belongs to its interpreter and cannot be put into a queue";
                return Err(Kind::NotShareable(message.into()).into());
            }
            manager::put_into(&self.0, encode(item)?, wait)
        })
    }

    /// Takes the first item out. While there is none, it waits.
    ///
    /// # Errors
    /// [`Kind::WrongState`] when the queue is closed and empty; [`Kind::Timeout`] and [`Kind::Interrupted`] when the run
    /// that this thread is in is to end; [`Kind::WrongType`] when the item is no `T`: then it is still the first.
    pub fn get<T: FromValue>(&self) -> Result<T> {
        self.get_with(&Limits::new())
    }

    /// The same, with limits of the wait: [`Kind::Timeout`] when the time is up, [`Kind::Interrupted`] when it was
    /// cancelled.
    ///
    /// # Errors
    /// As [`get`](Queue::get).
    pub fn get_with<T: FromValue>(&self, limits: &Limits) -> Result<T> {
        self.get_waiting(&limits.to_wait())
    }

    /// The same without waiting: [`Kind::Timeout`] when there is none.
    ///
    /// # Errors
    /// As [`get`](Queue::get).
    pub fn try_get<T: FromValue>(&self) -> Result<T> {
        self.get_waiting(&Wait { limit: Some(Duration::ZERO), cancel: None })
    }

    fn get_waiting<T: FromValue>(&self, wait: &Wait) -> Result<T> {
        unless_forked(|| {
            let item = manager::get_from(&self.0, wait)?;
            let result = decode(item.as_ref()).and_then(|value| Ok(T::from_value(value)?));
            if result.is_err() {
                self.0.put_back(item);
            }
            result
        })
    }

    /// Gets until the queue is closed and empty.
    pub fn iter<T: FromValue>(&self) -> impl Iterator<Item = Result<T>> + use<'_, T> {
        std::iter::from_fn(|| match self.get() {
            Err(error) if matches!(error.kind, Kind::WrongState(_)) => None,
            item => Some(item),
        })
    }

    /// How many items are in it. Others may change that at any time.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it. Others may change that at any time.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items have room; 0: as many as memory has. Python: `Queue.maxsize`.
    pub fn capacity(&self) -> usize {
        usize::try_from(self.0.capacity()).unwrap_or(0)
    }

    /// The number that Python code knows it by. Python: `Queue.id`.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether it was closed. Python: `Queue.closed`.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Nothing goes in any more; what is in it can still be taken. Whoever waits is woken.
    ///
    /// # Errors
    /// [`Kind::Forked`] in a fork.
    pub fn close(&self) -> Result<()> {
        unless_forked(|| {
            self.0.close();
            Ok(())
        })
    }

    /// A descriptor for poll and epoll: readable while there is something to get, or the queue is closed. It is the
    /// queue's: do not read, write or close it.
    ///
    /// # Errors
    /// [`Kind::Interpreter`] when the system has none left.
    pub fn fd(&self) -> Result<RawFd> {
        unless_forked(|| manager::descriptor_of(&self.0, For::Item))
    }
}

/// Whether they are the same queue.
impl PartialEq for Queue {
    fn eq(&self, other: &Queue) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Queue {}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.0.id).finish()
    }
}
