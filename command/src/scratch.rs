//! What this process makes to be thrown away, and the signals that end it: nothing is left then.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{Result, child};

static TO_REMOVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn to_remove() -> MutexGuard<'static, Vec<PathBuf>> {
    TO_REMOVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It goes with `remove_all`.
pub fn remember(path: PathBuf) {
    to_remove().push(path);
}

pub fn remove_all() {
    for path in to_remove().drain(..) {
        let _ = fs::remove_dir_all(path);
    }
}

/// A signal ends what this process has started, removes what it has made, and ends it.
pub fn end_all_on_signals() -> Result<()> {
    let told = |error: std::io::Error| format!("signals cannot be caught: {error}");
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(told)?;
    let end = move || {
        if let Some(signal) = signals.forever().next() {
            child::end_all();
            remove_all();
            std::process::exit(128 + signal);
        }
    };
    thread::Builder::new().spawn(end).map_err(told)?;
    Ok(())
}
