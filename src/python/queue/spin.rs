//! Looking out for a change before one sleeps: to fall asleep and be woken takes fifty times as long as an answer does
//! that comes from another core. Where that does not pay, since cores are busy or answers take longer, it is given up, and
//! tried again now and then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Longer than it takes to wake who sleeps: an answer that begins with that is waited for as well, until that one looks
/// out, too.
const TIME: Duration = Duration::from_micros(40);
/// Who has given up tries it again each so many waits: a fiftieth of what they take.
const AGAIN: u32 = 64;

pub struct Spin {
    /// The last one was in vain.
    given_up: AtomicBool,
    /// How many waits there were since then.
    waits: AtomicU32,
}

impl Spin {
    pub const fn new() -> Spin {
        Spin { given_up: AtomicBool::new(false), waits: AtomicU32::new(0) }
    }

    /// Looks out, for a while, until it is so.
    pub fn until(&self, so: impl Fn() -> bool) {
        if self.given_up.load(Ordering::Relaxed) && self.waits.fetch_add(1, Ordering::Relaxed) % AGAIN != AGAIN - 1 {
            return;
        }
        if !has_cores() {
            return;
        }
        let end = Instant::now() + TIME;
        let mut seen = so();
        while !seen && Instant::now() < end {
            std::hint::spin_loop();
            seen = so();
        }
        if self.given_up.load(Ordering::Relaxed) == seen {
            self.given_up.store(!seen, Ordering::Relaxed);
        }
    }
}

/// With one core alone nobody answers meanwhile.
fn has_cores() -> bool {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from)) > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_does_not_pay_is_given_up_and_tried_again() {
        let (spin, asked) = (Spin::new(), Cell::new(0));
        let in_vain = || {
            asked.set(asked.get() + 1);
            false
        };
        if !has_cores() {
            return spin.until(|| panic!("nobody answers"));
        }
        spin.until(in_vain);
        assert!(asked.replace(0) > 0);
        (1..AGAIN).for_each(|_| spin.until(in_vain));
        assert_eq!(asked.get(), 0);
        spin.until(|| true);
        spin.until(in_vain);
        assert!(asked.get() > 0, "it has paid");
    }
}
