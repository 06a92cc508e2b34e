//! Runs that the host may stop, by the numbers that it has given them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::manager::{Error, Kind, Limits, Result, Token};

/// A run that is to end before it has come is one that is on its way. So many are remembered: the host uses a number
/// once, so those that were late are no harm.
const MOST_EARLY: usize = 1024;

#[derive(Default)]
pub struct Stops(Mutex<Known>);

#[derive(Default)]
struct Known {
    runs: Vec<(u64, Arc<Token>)>,
    early: VecDeque<u64>,
}

/// A run that can be stopped, until this is dropped.
pub struct Stoppable<'a> {
    stops: &'a Stops,
    number: u64,
    pub limits: Limits,
}

impl Stops {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run with this number begins.
    pub fn begin(&self, number: u64) -> Result<Stoppable<'_>> {
        let token = Arc::new(Token::default());
        let mut known = self.known();
        known.runs.try_reserve(1).map_err(|_| Error::from(Kind::NoMemory))?;
        known.runs.push((number, Arc::clone(&token)));
        if let Some(index) = known.early.iter().position(|early| *early == number) {
            known.early.remove(index);
            token.fire();
        }
        Ok(Stoppable { stops: self, number, limits: Limits { cancel: Some(token), ..Limits::default() } })
    }

    /// The run with this number is to end.
    pub fn stop(&self, number: u64) {
        let token = {
            let mut known = self.known();
            let token = known.runs.iter().find(|(run, _)| *run == number).map(|(_, token)| Arc::clone(token));
            if token.is_none() && known.early.try_reserve(1).is_ok() {
                if known.early.len() == MOST_EARLY {
                    known.early.pop_front();
                }
                known.early.push_back(number);
            }
            token
        };
        token.inspect(|token| token.fire());
    }
}

impl Drop for Stoppable<'_> {
    fn drop(&mut self) {
        self.stops.known().runs.retain(|(number, _)| *number != self.number);
    }
}
