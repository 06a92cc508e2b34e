//! Cancel tokens: fired once, for good, from any thread. What runs with one is stopped, and what is to run is refused.

use std::sync::Arc;
#[cfg(not(all(test, loom)))]
use std::sync::Mutex;

use super::error::{Kind, Result};
use crate::python::attach::detached;
use crate::python::interrupt::Reason;
use crate::python::loaded_api;
#[cfg(not(all(test, loom)))]
use crate::python::lock;
#[cfg(all(test, loom))]
use crate::python::model::{Mutex, lock};

/// A token.
#[derive(Default)]
pub struct Token(Mutex<State>);

#[derive(Default)]
struct State {
    fired: bool,
    /// The runs that have it.
    runs: Vec<(Arc<dyn Stop>, u64)>,
}

/// Where runs are that can be stopped.
pub trait Stop: Send + Sync {
    /// Stops one of them, if it has not ended.
    fn stop(&self, run: u64, reason: Reason);
}

impl Token {
    /// From now on the run is stopped when it is fired. True: it was fired.
    #[inline(always)]
    pub fn attach(&self, place: Arc<dyn Stop>, run: u64) -> Result<bool> {
        let mut state = lock(&self.0);
        if !state.fired {
            state.runs.try_reserve(1).map_err(|_| Kind::NoMemory)?;
            state.runs.push((place, run));
        }
        Ok(state.fired)
    }

    #[inline(always)]
    pub fn detach(&self, place: &dyn Stop, run: u64) {
        let mut state = lock(&self.0);
        if let Some(index) =
            state.runs.iter().position(|(other, id)| *id == run && std::ptr::addr_eq(&raw const **other, place))
        {
            state.runs.swap_remove(index);
        }
    }

    /// What is to begin with it is refused.
    pub fn is_fired(&self) -> bool {
        lock(&self.0).fired
    }

    /// Stops what runs with it, and what will.
    pub fn fire(&self) {
        let runs = {
            let mut state = lock(&self.0);
            state.fired = true;
            std::mem::take(&mut state.runs)
        };
        // Without a GIL: whoever has that may wait for what is locked meanwhile.
        detached(loaded_api(), || runs.iter().for_each(|(place, run)| place.stop(*run, Reason::Interrupted)));
    }
}

#[cfg(all(test, loom))]
mod model;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::interpreters::{close, create};
    use crate::manager::limits::Limits;
    use crate::manager::options::Options;
    use crate::manager::run::{run, run_with};
    use crate::manager::runtime;
    use crate::python::interrupt::test_without_look_up;
    use crate::python::run::Code;
    use crate::value::{Args, Buffers, Wanted};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// Runs that end about when they are cancelled, each followed by one that nobody cancels: how many of these were
    /// hit.
    fn late_hits(runs: usize, enough: usize) -> usize {
        let handle = create(&Options::default()).unwrap();
        let exec = |source| Code::Exec { source, filename: None, keep_indent: true };
        run(handle, exec("def f():\n  for _ in range(100): pass"), None).unwrap();
        let call = || Code::Call { callable: "f", args: Args { items: &[], kwargs: &[], buffers: Buffers::None } };
        let (target, over) = (Mutex::new(None::<Arc<Token>>), AtomicBool::new(false));
        let mut late = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let token = lock(&target).take();
                    token.inspect(|token| token.fire());
                }
            });
            for _ in 0..runs {
                let limits = Limits { cancel: Some(Arc::default()), ..Limits::default() };
                lock(&target).clone_from(&limits.cancel);
                let _ = run_with(handle, call(), Wanted::value(None), Some(&limits), None);
                late += usize::from(run(handle, call(), None).is_err());
                if late >= enough {
                    break;
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        close(handle).unwrap();
        late
    }

    #[derive(Default)]
    struct Place(Mutex<Vec<u64>>);

    impl Stop for Place {
        fn stop(&self, run: u64, reason: Reason) {
            assert_eq!(reason, Reason::Interrupted);
            lock(&self.0).push(run);
        }
    }

    #[test]
    fn a_token_stops_the_runs_that_have_it_and_forgets_the_others() {
        let (token, here, there) = (Token::default(), Arc::new(Place::default()), Arc::new(Place::default()));
        for (place, run) in [(&here, 1), (&here, 2), (&there, 2), (&here, 3)] {
            assert!(!token.attach(Arc::clone(place) as Arc<dyn Stop>, run).unwrap());
        }
        token.detach(&*there, 2);
        token.detach(&*here, 3);
        token.detach(&*there, 1);
        assert!(!token.is_fired() && lock(&token.0).runs.len() == 2);
        token.fire();
        assert_eq!((lock(&here.0).clone(), lock(&there.0).clone()), (vec![1, 2], vec![]));
        assert!(token.is_fired() && token.attach(there, 4).unwrap() && lock(&token.0).runs.is_empty());
    }

    #[test]
    fn a_cancel_never_hits_the_next_run_and_the_look_up_is_why() {
        let _runtime = runtime::for_tests();
        assert_eq!(late_hits(20_000, 1), 0);
        test_without_look_up(true);
        let seen = late_hits(1_000_000, 1);
        test_without_look_up(false);
        assert_eq!(seen, 1, "this test sees a late hit");
    }
}
