//! What the manager has in its hands of interpreters' processes, on systems that have none: on all but Linux. Nothing of it
//! can be made; whoever tries to is told so.

use std::io;

/// There is none of these.
enum Never {}

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "interpreters have processes of their own on Linux alone"))
}

pub mod channel {
    use super::Never;

    /// The fixed part of a message.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Header {
        pub op: u16,
        pub flags: u16,
        pub a: u64,
        pub b: u64,
    }

    /// Why nothing was sent, or nothing has come.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Stop {
        Poked,
        Ended,
        Late,
        Broken,
        TooLong,
        NoMemory,
    }

    pub struct Caller(pub(super) Never);

    impl Clone for Caller {
        fn clone(&self) -> Caller {
            match self.0 {}
        }
    }

    impl Caller {
        pub fn poke(&self) {
            match self.0 {}
        }

        pub fn end(&self) {
            match self.0 {}
        }
    }
}

pub mod talk {
    use crate::platform::fd::OwnedFd;
    use std::io;
    use std::time::Instant;

    use super::super::message::{Done, Failed, Raised, Reply, Request, Run, ToRun};
    use super::super::wire::{Describe, NotRead, Restore};
    use super::channel::{Caller, Stop};
    use super::{Never, refused};
    use crate::value::NotCopied;

    /// What the other side says.
    pub enum Said {
        Request(Box<ToRun>),
        Reply(Reply),
        Done,
    }

    /// Why nothing was said.
    #[derive(Debug)]
    pub enum Unsaid {
        NotWritten(NotCopied),
        Stop(Stop),
    }

    /// Why nothing was heard.
    #[derive(Debug)]
    pub enum Unheard {
        NotRead(NotRead),
        ReplyNotRead(NotRead),
        Stop(Stop),
    }

    pub struct Talk(Never);

    impl Talk {
        pub fn create() -> io::Result<(Talk, OwnedFd)> {
            refused()
        }

        pub fn caller(&self) -> Caller {
            match self.0 {}
        }

        pub fn ask(&self, _: &Request, _: &Run, _: &mut Describe) -> Result<(), Unsaid> {
            match self.0 {}
        }

        pub fn reply(&self, _: &Done, _: &mut Describe) -> Result<(), Unsaid> {
            match self.0 {}
        }

        pub fn fail(&self, _: &Failed) -> Result<(), Unsaid> {
            match self.0 {}
        }

        pub fn raise(&self, _: &Raised) -> Result<(), Unsaid> {
            match self.0 {}
        }

        pub fn served(&self, _: Box<ToRun>) {
            match self.0 {}
        }

        pub fn hear(&self, _: Option<Instant>, _: &mut Restore) -> Result<Said, Unheard> {
            match self.0 {}
        }

        pub fn hear_reply(&self, _: Option<Instant>, _: &mut Done, _: &mut Restore) -> Result<Said, Unheard> {
            match self.0 {}
        }
    }
}

pub mod child {
    use crate::platform::fd::{BorrowedFd, OwnedFd};
    use std::fmt::{self, Display, Formatter};
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::Never;
    use super::channel::Caller;

    /// How a worker has ended.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Death {
        pub signal: Option<i32>,
        pub exit_code: Option<i32>,
        pub traceback: String,
    }

    impl Display for Death {
        fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
            out.write_str("the interpreter's process has ended")
        }
    }

    /// Why those are to look around who wait for a worker.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Look {
        Wanted,
        Gone,
    }

    pub struct Watch(Never);

    pub struct Child(Never);

    impl Child {
        pub fn id(&self) -> i32 {
            match self.0 {}
        }

        pub fn death(&self) -> Option<Arc<Death>> {
            match self.0 {}
        }

        pub fn has_ended(&self) -> bool {
            match self.0 {}
        }

        pub fn wait(&self, _: Duration) -> Option<Arc<Death>> {
            match self.0 {}
        }

        pub fn kill(&self) {
            match self.0 {}
        }

        pub fn ping(&self, _: u64, _: Duration) -> io::Result<bool> {
            match self.0 {}
        }

        pub fn add_channel(&self, _: &OwnedFd) -> io::Result<()> {
            match self.0 {}
        }

        pub fn granted(&self, _: &OwnedFd) -> io::Result<()> {
            match self.0 {}
        }

        pub fn refused(&self) -> io::Result<()> {
            match self.0 {}
        }

        pub fn event(&self, _: u64, _: BorrowedFd) -> io::Result<()> {
            match self.0 {}
        }

        pub fn stop(&self, _: u64) -> io::Result<()> {
            match self.0 {}
        }

        pub fn interrupt(&self) -> io::Result<()> {
            match self.0 {}
        }

        pub fn copy(&self, _: u64) -> Option<OwnedFd> {
            match self.0 {}
        }

        pub fn watch(&self, _: Caller) -> io::Result<Watch> {
            match self.0 {}
        }

        pub fn on_wanted(&self, _: Arc<dyn Fn() + Send + Sync>) {
            match self.0 {}
        }

        pub fn on_look(&self, _: Arc<dyn Fn(Look) + Send + Sync>) {
            match self.0 {}
        }

        pub fn on_released(&self, _: Arc<dyn Fn(u64) + Send + Sync>) {
            match self.0 {}
        }
    }
}

pub mod region {
    use crate::platform::fd::OwnedFd;
    use std::ffi::CStr;
    use std::io;
    use std::sync::Arc;

    use super::child::Child;
    use super::{Never, refused};
    use crate::value::{Claim, Export};

    /// There is nothing that could be locked.
    pub fn are_unlocked() -> bool {
        true
    }

    pub struct Region(Never);

    impl Region {
        pub fn new(_: usize, _: bool) -> io::Result<Arc<Region>> {
            refused()
        }

        pub fn find(_: usize, _: usize) -> Option<(Arc<Region>, usize)> {
            None
        }

        pub fn hand_out(self: Arc<Region>) -> *mut u8 {
            match self.0 {}
        }

        pub fn give_back(_: *mut u8) -> bool {
            false
        }

        pub fn id(&self) -> u64 {
            match self.0 {}
        }

        pub fn start(&self) -> *mut u8 {
            match self.0 {}
        }

        pub fn is_writable(&self) -> bool {
            match self.0 {}
        }

        pub fn export(self: &Arc<Region>, _: &CStr, _: usize) -> Option<Arc<Export>> {
            match self.0 {}
        }

        pub fn bytes(self: &Arc<Region>, _: Vec<Arc<Claim>>) -> Option<Arc<Export>> {
            match self.0 {}
        }

        pub fn show(self: &Arc<Region>, _: &Child) -> io::Result<()> {
            match self.0 {}
        }
    }

    pub fn send_copy(_: &Export, _: &Child) -> io::Result<u64> {
        refused()
    }

    pub fn open_copy(_: &OwnedFd, _: usize) -> io::Result<Option<Arc<Export>>> {
        refused()
    }
}

pub mod spawn {
    use std::io;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use super::child::{Child, Death};
    use super::{Never, refused};
    pub use crate::process::settings::{Options, Settings};

    /// Why there is no worker.
    #[derive(Debug, thiserror::Error)]
    pub enum SpawnError {
        #[error("{0}")]
        Crashed(Arc<Death>),
        #[error("a fork cannot start them")]
        Forked,
        #[error("{0}")]
        Refused(io::Error),
    }

    pub struct Spawner(Never);

    impl Spawner {
        pub fn new(_: Options) -> io::Result<Spawner> {
            refused()
        }

        pub fn create(&self, _: &Settings, _: Duration) -> Result<Child, SpawnError> {
            match self.0 {}
        }
    }
}
