//! Cancel tokens: fired once, for good, from any thread. What runs with one is stopped, and what is to run is refused.

use std::sync::{Arc, Mutex};

use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::registry::Registry;
use crate::python::interrupt::Reason;
use crate::python::lock;

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

static TOKENS: Registry<Token> = Registry::new();

impl Token {
    /// From now on the run is stopped when it is fired. True: it was fired.
    pub fn attach(&self, place: Arc<dyn Stop>, run: u64) -> Result<bool> {
        let mut state = lock(&self.0);
        if !state.fired {
            state.runs.try_reserve(1).map_err(|_| Kind::NoMemory)?;
            state.runs.push((place, run));
        }
        Ok(state.fired)
    }

    pub fn detach(&self, place: &dyn Stop, run: u64) {
        let mut state = lock(&self.0);
        if let Some(index) =
            state.runs.iter().position(|(other, id)| *id == run && std::ptr::addr_eq(&raw const **other, place))
        {
            state.runs.swap_remove(index);
        }
    }

    /// Stops what runs with it, and what will.
    pub fn fire(&self) {
        let runs = {
            let mut state = lock(&self.0);
            state.fired = true;
            std::mem::take(&mut state.runs)
        };
        runs.iter().for_each(|(place, run)| place.stop(*run, Reason::Interrupted));
    }
}

/// Makes one.
pub fn cancel_new() -> Result<u64> {
    static NUMBERS: Numbers = Numbers::new(handle::CANCEL);
    let (_, handle) = NUMBERS.next()?;
    TOKENS.insert(handle, Arc::default());
    Ok(handle)
}

/// The token with this handle.
pub fn cancel_find(handle: u64) -> Result<Arc<Token>> {
    let not_found =
        || Error::from(Kind::NotFound(format!("{handle} is not the handle of a cancel token, or it was freed")));
    TOKENS.get(handle).ok_or_else(not_found)
}

/// Fires it; nothing when there is none.
pub fn cancel_fire(handle: u64) {
    if let Some(token) = TOKENS.get(handle) {
        token.fire();
    }
}

/// Forgets it. Runs that have it go on.
pub fn cancel_free(handle: u64) {
    TOKENS.remove(handle);
}
