//! What a process for interpreters does: first it is the zygote, with a CPython that is initialised, and each fork of it
//! is a worker.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::manager::{self, RuntimeOptions, Startup, home};
use crate::process::zygote::{Worker, Zygote};

/// What is wrong with the arguments, or with a worker: its exit code. All other errors go to the host.
const MISUSED: i32 = 2;

const THREADS: &str = "a module that Python imports when it starts (sitecustomize, a .pth file) has started a thread, so \
                       this process cannot be forked";

/// Does it, with the arguments that the host gave. The process's exit code.
pub fn main(arguments: &[OsString]) -> i32 {
    let Ok(zygote) = Zygote::new() else { return MISUSED };
    let started = match start(arguments) {
        Ok(()) if zygote.has_other_threads() => Err(THREADS.into()),
        started => started,
    };
    if let Err(why) = started {
        zygote.fails(&why);
        return 1;
    }
    match zygote.serve(home::fork) {
        None => 0,
        Some(worker) => work(&worker),
    }
}

fn start(arguments: &[OsString]) -> Result<(), String> {
    let [_, library, version, python, flags] = arguments else {
        return Err("subpy-worker is started by libsubpy alone".into());
    };
    if version != env!("CARGO_PKG_VERSION") {
        let own = env!("CARGO_PKG_VERSION");
        return Err(format!("{} is libsubpy {own}, and its host has {}", library.display(), version.display()));
    }
    let flags = flags.to_str().and_then(|flags| flags.parse().ok()).ok_or("the flags are no number")?;
    let python = Some(PathBuf::from(python)).filter(|python| !python.as_os_str().is_empty());
    let options = RuntimeOptions { python, startup: Startup::from_flags(flags), ..RuntimeOptions::default() };
    manager::init_here(&options).map_err(|error| error.to_string())
}

fn work(worker: &Worker) -> i32 {
    let settled = worker.settle().map_err(|error| format!("an interpreter's process could not be set up: {error}"));
    let ready = settled.and_then(|()| home::trace_to(worker.trace()).map_err(|error| error.to_string()));
    let begins = ready.is_ok();
    if worker.starts(ready).is_err() || !begins {
        return 1;
    }
    if worker.answer() { 0 } else { MISUSED }
}
