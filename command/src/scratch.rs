//! What this process makes to be thrown away, and the signals that end it: nothing is left then.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
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

/// A signal ends what this process has started, removes what it has made, and ends it. What it has started is in groups of its own,
/// and hears nothing of a terminal that is closed.
pub fn end_all_on_signals() -> Result<()> {
    let told = |error: std::io::Error| format!("signals cannot be caught: {error}");
    let ignored = ignored();
    // As nohup has it, and a shell for what it begins in the background.
    let by_terminal = [SIGHUP, SIGQUIT].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(by_terminal)).map_err(told)?;
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

/// The signals that whoever began this process has it ignore, the first one in the lowest bit (proc_pid_status(5)). None, where that
/// is not said.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
