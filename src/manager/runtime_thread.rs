//! The thread that CPython is initialised and finalised on: it wants both on one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::{Kind, Result};
use super::home;
use crate::platform::thread::{JoinHandle, spawn};
use crate::python::find::Installation;
use crate::python::lock;
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
    shared: Arc<Shared>,
    handle: JoinHandle,
}

#[derive(Default)]
struct Shared {
    said: Mutex<Said>,
    changed: Condvar,
}

/// What was said last.
#[derive(Default)]
enum Said {
    #[default]
    Nothing,
    /// By the thread. None: it panicked.
    Started(Option<Result<(), StartError>>),
    /// To the thread.
    Finish,
}

impl Shared {
    fn say(&self, what: Said) {
        *lock(&self.said) = what;
        self.changed.notify_all();
    }

    /// Waits until something is said that is wanted.
    fn hear(&self, wanted: fn(&Said) -> bool) -> MutexGuard<'_, Said> {
        let unwanted = |said: &mut Said| !wanted(said);
        self.changed.wait_while(lock(&self.said), unwanted).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Thread {
    /// Initialises it on a thread of the library's own, which parks until `finish`.
    pub fn start(installation: Installation, startup: Startup) -> Result<Thread> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| run(&installation, startup, &theirs))).is_err() {
                theirs.say(Said::Started(None));
            }
        };
        let handle = spawn("subpy-runtime", STACK_SIZE, run)
            .map_err(|error| Kind::Interpreter(format!("the runtime's thread was not created: {error}")))?;
        let said = std::mem::take(&mut *shared.hear(|said| matches!(said, Said::Started(_))));
        match said {
            Said::Started(Some(Ok(()))) => Ok(Thread::Own(RuntimeThread { shared, handle })),
            Said::Started(Some(Err(error))) => {
                handle.join();
                Err(error.into())
            }
            _ => Err(Kind::Panic("the runtime's thread panicked".into()).into()),
        }
    }

    /// Has it finalised, and waits for that.
    pub fn finish(self) {
        match self {
            Thread::Hosts => {}
            Thread::Own(RuntimeThread { shared, handle }) => {
                shared.say(Said::Finish);
                handle.join();
            }
            Thread::Home => home::finish(),
        }
    }
}

fn run(installation: &Installation, startup: Startup, shared: &Shared) {
    match home::initialize(installation, startup) {
        Err(error) => shared.say(Said::Started(Some(Err(error)))),
        Ok(state) => {
            shared.say(Said::Started(Some(Ok(()))));
            drop(shared.hear(|said| matches!(said, Said::Finish)));
            start::finalize(state);
        }
    }
}
