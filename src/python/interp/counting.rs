//! An interpreter that counts its memory.

use super::Interp;
use crate::python::Failure;
use crate::python::memory::{Account, Creating, Memory};

/// The account of an interpreter's memory, until this is dropped.
pub struct Counted(&'static Account);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Counted {
    pub fn open() -> Result<Counted, Failure> {
        Account::open().map(Counted).ok_or_else(Failure::no_memory)
    }

    /// Until this is dropped, all that this thread asks for is for the interpreter that it creates.
    pub fn creating(&self) -> Creating {
        Creating::begin(self.0)
    }

    /// Until this is dropped, the library makes text of an exception, which may be that there is no memory.
    pub fn explains(&self) -> impl Drop {
        self.0.explains()
    }

    /// False when there is no memory to remember it.
    pub fn is_of(&self, interp: &Interp) -> bool {
        self.0.is_of(interp.state, &interp.interrupts)
    }
}

impl Interp {
    /// What is known of its memory, if that is counted.
    pub fn memory(&self) -> Option<Memory> {
        self.account.as_ref().map(|account| account.0.memory())
    }

    /// What it may use of it from now on.
    pub fn limit_memory(&self, limit: u64) {
        if let Some(account) = &self.account {
            account.0.set_limit(Some(limit));
        }
    }

    /// Has MemoryError raised in the run that has gone beyond the limit, if there is one.
    pub fn refuse_memory(&self) {
        if let Some(account) = &self.account
            && let Some(asking) = account.0.take_asked()
        {
            self.interrupts.refuse_memory(self.state, account.0, asking);
        }
    }

    /// It is refused nothing from now on.
    pub(super) fn lift_limit(&self) {
        if let Some(account) = &self.account {
            account.0.set_limit(None);
        }
    }

    /// It is about to be freed. What is left of it is given back in time.
    pub(super) fn counts_no_more(&self) {
        if let Some(account) = &self.account {
            account.0.is_of_none();
        }
    }
}
