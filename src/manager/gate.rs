//! Who may be in an interpreter: one run at a time or several, and none while it closes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::python::tstate::detached;
use crate::python::{loaded_api, lock};

/// What happens to a run in an interpreter that is running already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Busy {
    /// It is refused, as in `concurrent.interpreters`.
    #[default]
    Error,
    /// It waits for its turn; first come, first served.
    Wait,
    /// It runs too: the threads share the interpreter's GIL.
    Share,
}

/// Why a run is not let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Running,
    Closing,
    Closed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Closed,
}

struct State {
    phase: Phase,
    /// Runs that were let in and have not left, nested ones included.
    runs: usize,
    /// Those who wait for their turn, the longest first. Each is woken alone.
    queue: VecDeque<Arc<Condvar>>,
}

/// The gate of one interpreter.
pub struct Gate {
    busy: Busy,
    state: Mutex<State>,
    /// Signalled when the last run has left.
    empty: Condvar,
}

thread_local! {
    /// The handles of the interpreters that this thread is in, the innermost last.
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// True when this thread runs something in that interpreter, maybe further out.
pub fn is_inside(handle: u64) -> bool {
    INSIDE.with_borrow(|inside| inside.contains(&handle))
}

/// True when this thread runs something in any interpreter.
pub fn is_inside_any() -> bool {
    INSIDE.with_borrow(|inside| !inside.is_empty())
}

/// A run that was let in; leaves when dropped.
pub struct Running<'a> {
    gate: &'a Gate,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
        let mut state = lock(&self.gate.state);
        state.runs -= 1;
        if state.runs == 0 {
            match state.queue.front() {
                Some(next) => next.notify_one(),
                None if state.phase != Phase::Open => self.gate.empty.notify_all(),
                None => {}
            }
        }
    }
}

impl Gate {
    pub fn new(busy: Busy) -> Gate {
        let state = State { phase: Phase::Open, runs: 0, queue: VecDeque::new() };
        Gate { busy, state: Mutex::new(state), empty: Condvar::new() }
    }

    /// Lets a run of this thread in, now or, if the policy is to wait, when its turn has come.
    pub fn enter(&self, handle: u64) -> Result<Running<'_>, Refused> {
        let state = lock(&self.state);
        match self.try_enter(state, is_inside(handle)) {
            Ok(()) => {}
            Err(Refused::Running) if self.busy == Busy::Wait => {
                detached(loaded_api(), || self.wait_for_turn())?;
            }
            Err(refused) => return Err(refused),
        }
        INSIDE.with_borrow_mut(|inside| inside.push(handle));
        Ok(Running { gate: self })
    }

    fn try_enter(&self, mut state: MutexGuard<State>, inside: bool) -> Result<(), Refused> {
        // Whoever is inside may run more: it has the interpreter already.
        let free = state.runs == 0 && state.queue.is_empty();
        match state.phase {
            Phase::Closed => Err(Refused::Closed),
            Phase::Closing => Err(Refused::Closing),
            Phase::Open if inside || free || self.busy == Busy::Share => {
                state.runs += 1;
                Ok(())
            }
            Phase::Open => Err(Refused::Running),
        }
    }

    fn wait_for_turn(&self) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        let me = Arc::new(Condvar::new());
        state.queue.push_back(Arc::clone(&me));
        loop {
            let first = state.queue.front().is_some_and(|front| Arc::ptr_eq(front, &me));
            if first && state.runs == 0 || state.phase != Phase::Open {
                break;
            }
            state = me.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.queue.retain(|waiting| !Arc::ptr_eq(waiting, &me));
        match state.phase {
            Phase::Open => {
                state.runs += 1;
                Ok(())
            }
            Phase::Closing => Err(Refused::Closing),
            Phase::Closed => Err(Refused::Closed),
        }
    }

    pub fn is_running(&self) -> Result<bool, Refused> {
        let state = lock(&self.state);
        match state.phase {
            Phase::Closed => Err(Refused::Closed),
            _ => Ok(state.runs > 0),
        }
    }

    /// From now on nobody is let in; refused while somebody is in or waits.
    pub fn begin_close(&self) -> Result<(), Refused> {
        let mut state = lock(&self.state);
        match state.phase {
            Phase::Closed => Err(Refused::Closed),
            Phase::Closing => Err(Refused::Closing),
            Phase::Open if state.runs > 0 || !state.queue.is_empty() => Err(Refused::Running),
            Phase::Open => {
                state.phase = Phase::Closing;
                Ok(())
            }
        }
    }

    /// The close that began does not take place.
    pub fn reopen(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::Closing {
            state.phase = Phase::Open;
        }
    }

    pub fn closed(&self) {
        let mut state = lock(&self.state);
        state.phase = Phase::Closed;
        state.queue.iter().for_each(|waiting| waiting.notify_one());
    }

    /// Somebody else ends the interpreter: lets nobody in any more and returns when the last run has left. False when
    /// the library is closing it itself.
    pub fn close_from_outside(&self) -> bool {
        let mut state = lock(&self.state);
        if state.phase != Phase::Open {
            return false;
        }
        state.phase = Phase::Closed;
        state.queue.iter().for_each(|waiting| waiting.notify_one());
        while state.runs > 0 {
            state = self.empty.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn one_run_at_a_time_but_more_from_inside() {
        let gate = Gate::new(Busy::Error);
        let outer = gate.enter(1).unwrap();
        assert!(gate.enter(1).is_ok(), "nested on the same thread");
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(gate.enter(1), Err(Refused::Running))));
        });
        assert_eq!(gate.begin_close(), Err(Refused::Running));
        drop(outer);
        assert!(!is_inside_any());
        assert_eq!(gate.begin_close(), Ok(()));
        assert!(matches!(gate.enter(1), Err(Refused::Closing)));
        gate.closed();
        assert!(matches!(gate.enter(1), Err(Refused::Closed)));
    }

    #[test]
    fn waiting_runs_come_in_order() {
        let gate = Gate::new(Busy::Wait);
        let (sender, order) = mpsc::channel();
        thread::scope(|scope| {
            let first = gate.enter(1).unwrap();
            for number in 0..5 {
                let (gate, sender) = (&gate, sender.clone());
                scope.spawn(move || {
                    let _running = gate.enter(1).unwrap();
                    sender.send(number).unwrap();
                });
                while lock(&gate.state).queue.len() <= number {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            drop(first);
        });
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn ending_from_outside_waits_for_the_last_run() {
        let gate = Gate::new(Busy::Share);
        let (entered, was_entered) = mpsc::channel();
        thread::scope(|scope| {
            let gate = &gate;
            scope.spawn(move || {
                let _running = gate.enter(1).unwrap();
                entered.send(()).unwrap();
                while lock(&gate.state).phase == Phase::Open {
                    thread::yield_now();
                }
            });
            was_entered.recv().unwrap();
            assert!(gate.close_from_outside());
            assert_eq!(lock(&gate.state).runs, 0);
        });
        assert!(!gate.close_from_outside());
    }
}
