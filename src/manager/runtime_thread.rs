//! The thread that CPython is initialised and finalised on: it wants both on one.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use super::error::{Kind, Result};
use super::home;
use crate::python::find::Installation;
use crate::python::stack::STACK_SIZE;
use crate::python::start::{self, StartError, Startup};

/// Who has initialised CPython, and will finalise it.
pub enum Thread {
    /// A host.
    Hosts,
    /// A thread of the library's own.
    Own(RuntimeThread),
    /// The library, on a thread of the caller's.
    Home,
}

pub struct RuntimeThread {
    finish: Sender<()>,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Initialises it on a thread of the library's own, which parks until `finish`.
    pub fn start(installation: Installation, startup: Startup) -> Result<Thread> {
        let (started, result) = channel();
        let (finish, finished) = channel();
        let handle = Builder::new()
            .name("subpy-runtime".into())
            .stack_size(STACK_SIZE)
            .spawn(move || run(&installation, startup, &started, &finished))
            .map_err(|error| Kind::Interpreter(format!("the runtime's thread was not created: {error}")))?;
        match result.recv() {
            Ok(Ok(())) => Ok(Thread::Own(RuntimeThread { finish, handle })),
            Ok(Err(error)) => {
                let _ = handle.join();
                Err(error.into())
            }
            Err(_) => Err(Kind::Panic("the runtime's thread panicked".into()).into()),
        }
    }

    /// Has it finalised, and waits for that.
    pub fn finish(self) {
        match self {
            Thread::Hosts => {}
            Thread::Own(RuntimeThread { finish, handle }) => {
                let _ = finish.send(());
                let _ = handle.join();
            }
            Thread::Home => home::finish(),
        }
    }
}

fn run(installation: &Installation, startup: Startup, started: &Sender<Result<(), StartError>>, finish: &Receiver<()>) {
    match home::initialize(installation, startup) {
        Err(error) => drop(started.send(Err(error))),
        Ok(state) => {
            let _ = started.send(Ok(()));
            // An error means that the sender is gone without a word, which only a panic does: leave CPython alone then.
            if finish.recv().is_ok() {
                start::finalize(state);
            }
        }
    }
}
