//! Waiting for the turn. It is a number in a word that both processes see; it counts the turns, and whoever has it adds
//! one to give it to the other.
//!
//! Who waits spins for a while, since an answer is often there before a sleep would have begun. When that does not pay,
//! it is done less and less often, and never by more threads than there are cores for.
//!
//! A thread that sleeps says so beside the word, so that the other one makes a system call only to wake somebody. Other
//! threads of its own process wake it too, with a bit in the word, so that it does not fall asleep after it has looked.
//! What they want is not in the word, because the other process writes there: it can hide the bit, and is then late by
//! as much as a sleep is long.

use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use super::word::{AtomicU32, Word, fence};

/// Bits of the word; the turn's number is in the others.
/// Whoever waits looks whether somebody in its own process wants something.
const LOOK: u32 = 1;
/// There are more threads than cores: no spinning.
const CROWDED: u32 = 2;
pub const BITS: u32 = LOOK | CROWDED;
const STEP: u32 = BITS + 1;

/// The number of a turn. Even ones are the host's, odd ones the worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u32);

impl Turn {
    /// The host's.
    pub const FIRST: Turn = Turn(0);

    #[inline]
    pub fn next(self) -> Turn {
        Turn(self.0.wrapping_add(STEP))
    }

    /// The word, without any bit.
    #[cfg(all(test, not(loom)))]
    pub fn word(self) -> u32 {
        self.0
    }

    #[inline]
    pub fn is_hosts(self) -> bool {
        self.0 & STEP == 0
    }
}

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The turn has come, and the other process asks not to spin.
    Turn {
        crowded: bool,
    },
    /// Somebody in this process has called.
    Poked,
    /// Nothing will come any more.
    Ended,
    Late,
    /// The word has a number that it cannot have.
    Broken,
}

/// What other threads of the process want of one that waits.
#[derive(Default)]
pub struct Calls(AtomicU32);

const POKE: u32 = 1;
const END: u32 = 2;

impl Calls {
    /// The wait that is going on ends, or else the next one.
    pub fn poke(&self, word: &Word) {
        self.call(POKE, word);
    }

    /// Every wait ends, this one and all to come.
    pub fn end(&self, word: &Word) {
        self.call(END, word);
    }

    fn call(&self, what: u32, word: &Word) {
        self.0.fetch_or(what, SeqCst);
        word.add_bits(LOOK);
        word.wake();
    }

    /// Nothing will come any more.
    pub fn has_ended(&self) -> bool {
        self.0.load(SeqCst) & END != 0
    }

    /// A poke that came at a bad moment is there for the next wait.
    pub fn keep_poke(&self) {
        self.0.fetch_or(POKE, SeqCst);
    }

    #[inline]
    fn are_there(&self) -> bool {
        self.0.load(SeqCst) != 0
    }

    /// The end, which stays, or a poke, which is taken.
    fn take(&self) -> Waited {
        if self.0.fetch_and(!POKE, SeqCst) & END != 0 { Waited::Ended } else { Waited::Poked }
    }
}

/// Gives the turn to the other process, with all that was written before.
#[inline]
pub fn pass(word: &Word, turn: Turn) {
    let crowded = if is_crowded() { CROWDED } else { 0 };
    word.store(turn.0 | crowded);
    // Either this sees that the other one sleeps, or that one sees the turn before it does.
    fence(SeqCst);
    if word.is_sleeping(turn.is_hosts()) {
        word.wake();
    }
}

/// Where a thread waits, and for what.
pub struct Wait<'a> {
    pub word: &'a Word,
    pub calls: &'a Calls,
    /// The turn that was passed; the next one is waited for.
    pub passed: Turn,
    pub until: Option<Instant>,
    /// No sleep is longer; for who does not trust the other process.
    pub longest_sleep: Option<Duration>,
}

impl Wait<'_> {
    #[inline]
    pub fn wait(&self, spin: &mut Spin, crowded: bool) -> Waited {
        match spin.until(crowded, || self.look()) {
            Some(waited) => waited,
            None => self.sleep(),
        }
    }

    #[inline]
    fn look(&self) -> Option<Waited> {
        let waited = self.look_at_turn();
        if waited.is_none() && self.calls.are_there() {
            return Some(self.called());
        }
        waited
    }

    #[cold]
    fn called(&self) -> Waited {
        match self.calls.take() {
            // Before its end the other one may have answered, after it was looked.
            Waited::Ended => self.look_at_turn().unwrap_or(Waited::Ended),
            waited => waited,
        }
    }

    #[inline]
    fn look_at_turn(&self) -> Option<Waited> {
        let word = self.word.load();
        let turn = Turn(word & !BITS);
        if turn == self.passed {
            None
        } else if turn == self.passed.next() {
            Some(Waited::Turn { crowded: word & CROWDED != 0 })
        } else {
            Some(Waited::Broken)
        }
    }

    #[cold]
    fn sleep(&self) -> Waited {
        loop {
            let word = self.word.load();
            if let Some(waited) = self.look() {
                return waited;
            }
            let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Waited::Late;
            }
            let expected = word & !LOOK;
            if word != expected && !self.word.exchange(word, expected) {
                continue;
            }
            // Only now: whoever calls from here on puts the bit back, so that the sleep does not begin, or wakes it.
            if self.calls.are_there() {
                return self.called();
            }
            let host = self.passed.next().is_hosts();
            self.word.set_sleeping(host, true);
            fence(SeqCst);
            self.word.sleep(expected, [left, self.longest_sleep].into_iter().flatten().min());
            self.word.set_sleeping(host, false);
        }
    }
}

/// So often is it looked before the clock is read, and before it counts as spinning: what is hot is there sooner.
const LOOKS: u32 = 16;
const MOST_SKIPPED: u32 = 64;

/// Whether spinning pays, as it was seen by one who waits.
pub struct Spin {
    time: Duration,
    /// So many waits go by without it.
    skip: u32,
    /// So many the next time that it was in vain.
    next_skip: u32,
}

/// Threads of this process that spin.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// There is no core for one more that spins, and for the one that it waits for.
#[inline]
fn is_crowded() -> bool {
    2 * (SPINNING.load(Relaxed) + 1) > cores()
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        // The calling thread, and the process's main thread.
        match (affinity(0), affinity(std::process::id() as libc::pid_t)) {
            // This thread is bound to some cores; that says nothing of others. A quota is for all.
            (Some(own), Some(main)) if usable >= own => main,
            _ => usable,
        }
    })
}

/// How many cores a thread may run on.
fn affinity(thread: libc::pid_t) -> Option<usize> {
    // SAFETY: a set of bits.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: it is written there.
    let known = unsafe { libc::sched_getaffinity(thread, size_of_val(&set), &raw mut set) } == 0;
    // SAFETY: counts its bits.
    known.then(|| unsafe { libc::CPU_COUNT(&set) }).and_then(|count| usize::try_from(count).ok())
}

impl Spin {
    pub fn new(time: Duration) -> Spin {
        Spin { time, skip: 0, next_skip: 0 }
    }

    /// Looks again and again, for a time that is too short to sleep. None: it has not come, or this is no time to spin.
    #[inline]
    pub fn until<T>(&mut self, crowded: bool, look: impl Fn() -> Option<T>) -> Option<T> {
        if let Some(seen) = look() {
            return Some(seen);
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if crowded || is_crowded() {
            return None;
        }
        let seen = look_again(&look).or_else(|| {
            SPINNING.fetch_add(1, Relaxed);
            let seen = spin(self.time, look);
            SPINNING.fetch_sub(1, Relaxed);
            seen
        });
        self.next_skip = if seen.is_some() { 0 } else { (2 * self.next_skip + 1).min(MOST_SKIPPED) };
        self.skip = self.next_skip;
        seen
    }
}

#[inline]
fn look_again<T>(look: &impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..LOOKS {
        std::hint::spin_loop();
        if let Some(seen) = look() {
            return Some(seen);
        }
    }
    None
}

fn spin<T>(time: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(seen) = look_again(&look) {
            return Some(seen);
        }
        if Instant::now() >= end {
            return None;
        }
    }
}
