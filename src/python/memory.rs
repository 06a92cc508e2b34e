//! The memory of interpreters that count it: how much they use, and what happens at a limit.
//!
//! The limit is a soft one. Large blocks are refused beyond it; for small ones CPython gets its memory, and the run that
//! asked gets a MemoryError from an interrupt, because CPython is at home with the first and less so with the second.
//! Code that goes on all the same is refused everything at twice the limit.
//!
//! Whose memory a block is, is known from the thread that asks for it: from the interpreter that it is attached to.
//! `counted` remembers it for each block, so it does not matter who frees it, and when.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use super::api;
use super::interrupt::Interrupts;
use super::types::PyInterpreterState;
use crate::platform::this_thread;

/// Blocks from this size on are refused at the limit.
const LARGE: usize = 64 * 1024;

/// At least so much lies between the limit and the end of everything.
const LEAST_BEYOND: u64 = 64 << 20;

/// What a run gets beyond the end, because it may be the one that gives memory back; all of them together; and text of
/// exceptions.
const FOR_A_RUN: u64 = 1 << 20;
const FOR_RUNS: u64 = 64 << 20;
const FOR_TEXT: u64 = 8 << 20;

/// Code that has been told of the limit gets at least so much to clean up, before it is told again.
const LEAST_STEP: u64 = 1 << 20;

const NO_LIMIT: u64 = u64::MAX;

/// What one interpreter has used. It is never freed, since blocks name it that outlive the interpreter; once all of
/// these have gone it is used again.
pub struct Account {
    used: AtomicU64,
    peak: AtomicU64,
    limit: AtomicU64,
    /// Beyond this much, somebody has to be told.
    next: AtomicU64,
    refused: AtomicU64,
    asks: Mutex<Asks>,
    /// So many threads make text of an exception: they get what they need for it.
    explaining: AtomicUsize,
    /// No interpreter has it any more.
    closed: AtomicBool,
}

/// An interrupt that is wanted.
struct Asks {
    /// Of the interpreter that has the account.
    runs: Option<Arc<Interrupts>>,
    who: Option<Asking>,
    /// How many runs had begun when the limit was crossed.
    crossed: u64,
    /// How far beyond the end it has come, and how many runs had begun then.
    beyond: u64,
    begun: u64,
}

impl Asks {
    const fn of(runs: Option<Arc<Interrupts>>) -> Asks {
        Asks { runs, who: None, crossed: 0, beyond: 0, begun: 0 }
    }

    fn begun(&self) -> u64 {
        self.runs.as_ref().map_or(0, |runs| runs.begun())
    }

    /// What may be used beyond the end, when so much is.
    fn allowed_beyond(&mut self, used: u64) -> u64 {
        let begun = self.begun();
        if begun != self.begun {
            self.begun = begun;
            self.beyond = used.saturating_add(FOR_A_RUN).min(FOR_RUNS);
        }
        self.beyond
    }
}

/// Who went beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    pub thread: usize,
    /// So many runs had begun in the interpreter. It is not for those that come later.
    pub begun: u64,
    /// And so many when the limit was crossed: what began later is not to blame for that.
    pub crossed: u64,
}

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// What the interpreter uses now.
    pub used: u64,
    /// The most that it has used.
    pub peak: u64,
    /// The limit, if there is one.
    pub limit: Option<u64>,
    /// How often it was refused memory, or got a MemoryError from the limit.
    pub refused: u64,
}

/// Those that are in no use.
static UNUSED: Mutex<Vec<&'static Account>> = Mutex::new(Vec::new());

/// The interpreters that count, by their address.
static COUNTING: Mutex<Vec<(usize, &'static Account)>> = Mutex::new(Vec::new());

/// Changes with it. Before there is the first one it is 0.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// Some account has asked for an interrupt.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Who sends these. An allocator must not call CPython, which may hold a lock of its own while it allocates.
static TELL: OnceLock<fn()> = OnceLock::new();

struct Here {
    /// This thread creates an interpreter that counts.
    creates: Cell<Option<&'static Account>>,
    /// Who was asked for last, and the answer; in that epoch.
    interp: Cell<*mut PyInterpreterState>,
    account: Cell<Option<&'static Account>>,
    epoch: Cell<u64>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            creates: Cell::new(None),
            interp: Cell::new(ptr::null_mut()),
            account: Cell::new(None),
            epoch: Cell::new(0),
        }
    };
}

/// Not when another thread has it: in the child of a fork that one may not exist.
pub(super) fn unless_locked<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose memory this thread asks for, if that is counted.
#[inline]
pub(super) fn owner() -> Option<&'static Account> {
    HERE.with(|here| {
        let creates = here.creates.get();
        if creates.is_some() {
            return creates;
        }
        // SAFETY: GetUnchecked needs no state, and one that is attached is alive; GetInterpreter reads one field.
        let interp = unsafe {
            let state = (api().PyThreadState_GetUnchecked)();
            if state.is_null() {
                return None;
            }
            (api().PyThreadState_GetInterpreter)(state)
        };
        if here.interp.get() != interp || here.epoch.get() != EPOCH.load(Ordering::Acquire) {
            look_up(here, interp);
        }
        here.account.get()
    })
}

#[cold]
fn look_up(here: &Here, interp: *mut PyInterpreterState) {
    let epoch = EPOCH.load(Ordering::Acquire);
    let all = locked(&COUNTING);
    here.account.set(all.iter().find(|(address, _)| *address == interp.addr()).map(|(_, account)| *account));
    here.interp.set(interp);
    here.epoch.set(epoch);
}

/// Memory for an interpreter that is being created on this thread.
pub(super) struct Creating(());

impl Creating {
    pub fn begin(account: &'static Account) -> Creating {
        HERE.with(|here| here.creates.set(Some(account)));
        Creating(())
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        HERE.with(|here| here.creates.set(None));
    }
}

/// Whom to tell that `take_asked` has something.
pub fn tell(somebody: fn()) {
    TELL.get_or_init(|| somebody);
}

/// Whether an account has asked for an interrupt.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// The same, and it is being seen to.
pub fn take_asked() -> bool {
    ASKED.swap(false, Ordering::SeqCst)
}

impl Account {
    const fn new() -> Account {
        Account {
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            limit: AtomicU64::new(NO_LIMIT),
            next: AtomicU64::new(NO_LIMIT),
            refused: AtomicU64::new(0),
            asks: Mutex::new(Asks::of(None)),
            explaining: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// None when there is no memory for it.
    pub(super) fn open() -> Option<&'static Account> {
        if let Some(account) = locked(&UNUSED).pop() {
            return Some(account);
        }
        let mut room = Vec::new();
        room.try_reserve_exact(1).ok()?;
        room.push(Account::new());
        room.leak().first()
    }

    /// From now on what this interpreter asks for is booked here.
    pub(super) fn is_of(&'static self, interp: *mut PyInterpreterState, runs: &Arc<Interrupts>) -> bool {
        *locked(&self.asks) = Asks::of(Some(Arc::clone(runs)));
        let mut all = locked(&COUNTING);
        if all.try_reserve(1).is_err() {
            return false;
        }
        all.push((interp.addr(), self));
        EPOCH.fetch_add(1, Ordering::Release);
        true
    }

    /// The interpreter is about to be freed. Its address may become that of another one.
    pub(super) fn is_of_none(&'static self) {
        self.set_limit(None);
        let mut all = locked(&COUNTING);
        all.retain(|(_, account)| !ptr::eq(*account, self));
        EPOCH.fetch_add(1, Ordering::Release);
    }

    /// Nobody asks any more. What is booked here may go later.
    pub(super) fn close(&'static self) {
        let asks = std::mem::replace(&mut *locked(&self.asks), Asks::of(None));
        drop(asks);
        self.closed.store(true, Ordering::SeqCst);
        if self.used.load(Ordering::SeqCst) == 0 {
            self.recycle();
        }
    }

    #[cold]
    fn recycle(&'static self) {
        if !self.closed.swap(false, Ordering::SeqCst) {
            return;
        }
        self.peak.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
        let mut unused = locked(&UNUSED);
        if unused.try_reserve(1).is_ok() {
            unused.push(self);
        }
    }

    pub fn set_limit(&self, limit: Option<u64>) {
        let limit = limit.unwrap_or(NO_LIMIT);
        self.limit.store(limit, Ordering::Relaxed);
        self.next.store(limit, Ordering::Relaxed);
    }

    pub fn memory(&self) -> Memory {
        let (used, peak) = (self.used.load(Ordering::Relaxed), self.peak.load(Ordering::Relaxed));
        let limit = self.limit.load(Ordering::Relaxed);
        let limit = (limit != NO_LIMIT).then_some(limit);
        Memory { used, peak: peak.max(used), limit, refused: self.refused.load(Ordering::Relaxed) }
    }

    /// Whether a block of that size, of which so much is new, may be had.
    #[inline]
    pub(super) fn allows(&self, size: usize, more: usize) -> bool {
        let after = self.used.load(Ordering::Relaxed).saturating_add(more as u64);
        after <= self.limit.load(Ordering::Relaxed) || self.allows_beyond(size, after)
    }

    #[cold]
    fn allows_beyond(&self, size: usize, after: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let end = limit.saturating_add(limit.max(LEAST_BEYOND));
        let explaining = self.explaining.load(Ordering::Relaxed) > 0;
        let allowed = match after.checked_sub(end) {
            None | Some(0) => size < LARGE || explaining,
            Some(beyond) if explaining => beyond <= FOR_RUNS + FOR_TEXT,
            Some(beyond) => size < LARGE && self.allows_at_the_end(beyond, end),
        };
        if !allowed {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    fn allows_at_the_end(&self, beyond: u64, end: u64) -> bool {
        let used = self.used.load(Ordering::Relaxed).saturating_sub(end);
        unless_locked(&self.asks).is_some_and(|mut asks| beyond <= asks.allowed_beyond(used))
    }

    /// Until this is dropped, large blocks are not refused at the limit.
    pub(super) fn explains(&self) -> impl Drop + '_ {
        struct Explaining<'a>(&'a AtomicUsize);
        impl Drop for Explaining<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.explaining.fetch_add(1, Ordering::Relaxed);
        Explaining(&self.explaining)
    }

    #[inline]
    pub(super) fn take(&self, size: usize) {
        let used = self.used.fetch_add(size as u64, Ordering::Relaxed) + size as u64;
        if used > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
        if used > self.next.load(Ordering::Relaxed) {
            self.ask(used);
        }
    }

    #[inline]
    pub(super) fn give(&'static self, size: usize) {
        let size = size as u64;
        let used = self.used.fetch_sub(size, Ordering::SeqCst);
        let limit = self.limit.load(Ordering::Relaxed);
        if used > limit && used - size <= limit {
            self.next.store(limit, Ordering::Relaxed);
        }
        if used == size && self.closed.load(Ordering::SeqCst) {
            self.recycle();
        }
    }

    #[cold]
    fn ask(&self, used: u64) {
        let limit = self.limit.load(Ordering::Relaxed);
        let next = self.next.swap(used.saturating_add((limit / 16).max(LEAST_STEP)), Ordering::Relaxed);
        if let Some(mut asks) = unless_locked(&self.asks) {
            let begun = asks.begun();
            if next <= limit {
                asks.crossed = begun;
            }
            asks.who = Some(Asking { thread: this_thread(), begun, crossed: asks.crossed });
        }
        ASKED.store(true, Ordering::SeqCst);
        if let Some(tell) = TELL.get() {
            tell();
        }
    }

    /// Who has asked, and is to be interrupted.
    pub(super) fn take_asked(&self) -> Option<Asking> {
        locked(&self.asks).who.take()
    }

    /// Memory may have been given back before the interrupt came. Otherwise it counts as refused.
    pub(super) fn refuses_now(&self) -> bool {
        let over = self.used.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed);
        if over {
            self.refused.fetch_add(1, Ordering::Relaxed);
        } else {
            self.next.store(self.limit.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn the_peak_stays_and_a_closed_account_is_used_again() {
        let account = Account::open().unwrap();
        account.take(3 * MIB);
        account.give(MIB);
        let memory = account.memory();
        assert_eq!((memory.used, memory.peak, memory.limit), (2 * MIB as u64, 3 * MIB as u64, None));
        account.close();
        assert!(!locked(&UNUSED).iter().any(|unused| ptr::eq(*unused, account)));
        account.give(2 * MIB);
        assert!(locked(&UNUSED).iter().any(|unused| ptr::eq(*unused, account)));
        assert_eq!(account.memory().peak, 0);
    }

    #[test]
    fn large_blocks_are_refused_at_the_limit_and_all_far_beyond() {
        let account = Account::new();
        account.set_limit(Some(100 * MIB as u64));
        account.take(100 * MIB);
        assert!(!account.allows(LARGE, LARGE) && account.allows(LARGE - 1, LARGE - 1));
        assert!(account.allows(2 * LARGE, 0), "a block that does not grow");
        let explaining = account.explains();
        assert!(account.allows(LARGE, LARGE));
        drop(explaining);
        account.take(100 * MIB);
        assert!(!account.allows(16, 16));
        assert_eq!(account.memory().refused, 2);
        account.set_limit(None);
        assert!(account.allows(LARGE, LARGE));
    }

    #[test]
    fn who_goes_beyond_the_limit_is_told_once_until_much_more_is_taken() {
        let account = Box::leak(Box::new(Account::new()));
        account.set_limit(Some(160 * MIB as u64));
        account.take(160 * MIB);
        let asking = Asking { thread: this_thread(), begun: 0, crossed: 0 };
        assert_eq!(account.take_asked(), None);
        account.take(1);
        assert_eq!(account.take_asked(), Some(asking));
        assert!(account.refuses_now());
        account.take(MIB);
        assert_eq!(account.take_asked(), None);
        account.take(10 * MIB);
        assert_eq!(account.take_asked(), Some(asking));
        // Back below, the next time is the first one again.
        account.give(20 * MIB);
        assert!(!account.refuses_now());
        account.take(20 * MIB);
        assert_eq!(account.take_asked(), Some(asking));
        assert_eq!(account.memory().refused, 1);
    }
}
