//! Cancel tokens under a model checker (loom): runs that begin and end while their token is fired. `tests/run model` runs it,
//! `make test-model` with more orders.

use std::sync::Arc;

use loom::thread::{self, JoinHandle};

use super::{Stop, Token};
use crate::python::interrupt::Reason;
use crate::python::model::{Mutex, WHOLE, lock};

/// A thread's runs, as `limits` has them: those that have not ended, and whether each was stopped.
#[derive(Default)]
struct Place(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    last: u64,
    frames: Vec<(u64, bool)>,
}

impl Stop for Place {
    fn stop(&self, run: u64, _: Reason) {
        let mut runs = lock(&self.0);
        runs.frames.iter_mut().filter(|(id, _)| *id == run).for_each(|(_, stopped)| *stopped = true);
    }
}

impl Place {
    /// A run from its begin to its end; true: it was stopped.
    fn run(self: &Arc<Place>, token: Option<&Token>, act: impl FnOnce()) -> bool {
        let id = {
            let mut runs = lock(&self.0);
            runs.last += 1;
            let id = runs.last;
            runs.frames.push((id, false));
            id
        };
        let fired = token.is_some_and(|token| token.attach(Arc::clone(self) as _, id).expect("memory"));
        if !fired {
            act();
            token.inspect(|token| token.detach(&**self, id));
        }
        let (last, stopped) = lock(&self.0).frames.pop().expect("it is there");
        assert_eq!(last, id);
        fired || stopped
    }
}

fn go<R: 'static>(act: impl FnOnce() -> R + 'static) -> JoinHandle<R> {
    thread::spawn(act)
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect(WHOLE)
}

/// Whoever fires it and then sees a run has stopped that run: it is not missed between its beginning and its place in the
/// token.
#[test]
fn none_is_missed() {
    loom::model(|| {
        let (token, place) = (Arc::new(Token::default()), Arc::new(Place::default()));
        let fires = {
            let token = Arc::clone(&token);
            go(move || token.fire())
        };
        let is_fired = std::cell::Cell::new(false);
        let stopped = place.run(Some(&token), || {
            join(fires);
            is_fired.set(true);
        });
        assert!(stopped);
        // There is no way back.
        assert!(place.run(Some(&token), || unreachable!("it was fired")) && token.is_fired());
    });
}

/// What comes after a run on the same thread is not hit, however late the token is fired.
#[test]
fn no_other_run_is_hit() {
    loom::model(|| {
        let (token, place) = (Arc::new(Token::default()), Arc::new(Place::default()));
        let fires = {
            let token = Arc::clone(&token);
            go(move || token.fire())
        };
        place.run(Some(&token), || ());
        assert!(!place.run(None, thread::yield_now), "it does not have the token");
        join(fires);
    });
}

/// Two runs with one token, on two threads, and two who fire it: nothing is left in the token, and both end.
#[test]
fn two_runs_and_two_who_fire() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(|| {
        let token = Arc::new(Token::default());
        let threads = [(); 2].map(|()| {
            let token = Arc::clone(&token);
            go(move || {
                Arc::new(Place::default()).run(Some(&token), || ());
            })
        });
        let fires = {
            let token = Arc::clone(&token);
            go(move || token.fire())
        };
        token.fire();
        join(fires);
        threads.into_iter().for_each(join);
        assert!(lock(&token.0).runs.is_empty() && token.is_fired());
    });
}
