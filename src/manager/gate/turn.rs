//! Waiting for one's turn, in slices of time.
//!
//! Turns that change with each run would make each run wait for the operating system to wake somebody. So whoever
//! finds the gate free gets in, past those who wait, and these sleep. The first of them is told by the first run that
//! leaves, and gets in if nobody comes after that one. If others call in a loop, it is not told again: it sleeps until
//! its slice is over, and then nobody overtakes it any more. A slice begins when somebody gets in from the queue, so each
//! has about as long, in the order in which they came.

use std::collections::VecDeque;
use std::time::Duration;

use super::sync::{Arc, Condvar, Moment, MutexGuard, Ordering, lock, sleep, spin_until};
use super::word::{AWAITED, DRAINING, FAIR, NOT_OPEN, RUNS, TELL, without};
use super::{Gate, Refused};
use crate::python::fork::forked;

/// How long others may overtake the first in the queue. To change threads costs some 10 us, a twentieth of it.
const SLICE: Duration = Duration::from_micros(200);
/// How long it looks out for a run to end before it sleeps: as long as it takes to fall asleep and wake up.
const SPIN: Duration = Duration::from_micros(5);
/// When nobody has come in for so long, nobody is calling in a loop.
const PAUSE: Duration = Duration::from_micros(2);

/// Those who wait for their turn, the longest first. Each is woken alone.
pub struct Queue {
    waiting: VecDeque<Arc<Condvar>>,
    /// From then on nobody overtakes the first.
    slice_ends: Moment,
}

impl Queue {
    pub fn new() -> Queue {
        Queue { waiting: VecDeque::new(), slice_ends: Moment::after(Duration::ZERO) }
    }

    fn begins_with(&self, me: &Arc<Condvar>) -> bool {
        self.waiting.front().is_some_and(|first| Arc::ptr_eq(first, me))
    }

    /// All of them, to look at the gate again.
    pub fn wake(&self) {
        self.waiting.iter().for_each(|waiting| waiting.notify_one());
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[cfg(all(test, not(loom)))]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// Whether a run may come in.
fn is_free(word: usize) -> bool {
    word & (NOT_OPEN | RUNS) == 0
}

impl Gate {
    /// Waits until this thread is in, or there is a reason not to let it in. Who makes one wakes the queue.
    pub(super) fn wait_for_turn(&self, reason: impl Fn() -> Option<Refused>) -> Result<(), Refused> {
        let me = Arc::new(Condvar::new());
        let mut queue = self.join(&me);
        // Its slice was over when it woke.
        let mut late = false;
        loop {
            if let Some(refused) = reason() {
                self.give_up(queue, &me);
                return Err(refused);
            }
            (queue, late) = if queue.begins_with(&me) {
                match self.try_first(queue, &me, late, &reason) {
                    None => return Ok(()),
                    Some(slept) => slept,
                }
            } else {
                sleep(queue, &me, None)
            };
        }
    }

    fn join(&self, me: &Arc<Condvar>) -> MutexGuard<'_, Queue> {
        let mut queue = lock(&self.queue);
        let mut flags = AWAITED;
        if queue.waiting.is_empty() {
            queue.slice_ends = Moment::after(SLICE);
            flags |= TELL;
        }
        queue.waiting.push_back(Arc::clone(me));
        self.word.fetch_or(flags, Ordering::AcqRel);
        queue
    }

    /// The first in the queue gets in, which is None, or has slept.
    fn try_first<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        me: &Condvar,
        late: bool,
        reason: impl Fn() -> Option<Refused>,
    ) -> Option<(MutexGuard<'a, Queue>, bool)> {
        let (mut in_a_loop, mut until) = (false, None);
        if late || queue.slice_ends.is_over() {
            self.word.fetch_or(FAIR, Ordering::AcqRel);
            drop(queue);
            spin_until(SPIN, || is_free(self.load()));
            queue = lock(&self.queue);
        } else if self.load() & TELL == 0 {
            // It was told. Where others call in a loop, it would be told in vain again and again.
            drop(queue);
            let others_come = spin_until(PAUSE, || !is_free(self.load()));
            in_a_loop = others_come && spin_until(SPIN, || is_free(self.load()));
            queue = lock(&self.queue);
            until = Some(queue.slice_ends);
        }
        if !in_a_loop && self.take_turn(&mut queue, TELL) {
            return None;
        }
        // Who makes a reason wakes those who sleep, and this one did not while it had no lock.
        if reason().is_some() { Some((queue, late)) } else { Some(sleep(queue, me, until)) }
    }

    /// The first in the queue gets in if nobody else is; if not, the word gets these flags.
    fn take_turn(&self, queue: &mut Queue, otherwise: usize) -> bool {
        // The next one becomes the first.
        let flags = if queue.waiting.len() > 1 { AWAITED | TELL } else { 0 };
        let entered = |word| without(word + 1, AWAITED | TELL | FAIR) | flags;
        let update = |word| Some(if is_free(word) { entered(word) } else { word | otherwise });
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
        if !before.is_ok_and(is_free) {
            return false;
        }
        queue.waiting.pop_front();
        queue.slice_ends = Moment::after(SLICE);
        true
    }

    /// Leaves the queue without a turn.
    fn give_up(&self, mut queue: MutexGuard<Queue>, me: &Arc<Condvar>) {
        let was_first = queue.begins_with(me);
        queue.waiting.retain(|waiting| !Arc::ptr_eq(waiting, me));
        let Some(next) = queue.waiting.front() else {
            self.update(|word| without(word, AWAITED | TELL | FAIR));
            if self.load() & DRAINING != 0 {
                self.changed.notify_all();
            }
            return;
        };
        if was_first {
            self.update(|word| without(word, FAIR) | TELL);
            next.notify_one();
        }
    }

    /// The last run has left: the first in the queue is told, and whoever ends the interpreter.
    #[cold]
    pub(super) fn tell(&self) {
        // In a fork, the thread that holds the lock may not exist, and nobody waits.
        if forked() {
            return;
        }
        let queue = lock(&self.queue);
        let first = queue.waiting.front().map(Arc::clone);
        if first.is_some() {
            let fair = if queue.slice_ends.is_over() { FAIR } else { 0 };
            self.update(|word| without(word, TELL) | fair);
        }
        drop(queue);
        // It need not wait for the lock when it wakes.
        if let Some(first) = first {
            first.notify_one();
        }
        self.changed.notify_all();
    }
}
