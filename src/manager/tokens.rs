//! Cancel tokens by their handles, for hosts that have no better way to hold one.

use std::sync::Arc;

use super::cancel::Token;
use super::error::{Error, Kind, Result};
use super::handle::{self, Numbers};
use super::registry::Registry;
use crate::python::fork;

static TOKENS: Registry<Token> = Registry::new();

/// Makes one.
pub fn cancel_new() -> Result<u64> {
    static NUMBERS: Numbers = Numbers::new(handle::CANCEL);
    let (_, handle) = NUMBERS.next()?;
    fork::mind(|| TOKENS.is_unlocked());
    TOKENS.insert(handle, Arc::default())?;
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
