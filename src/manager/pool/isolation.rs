//! Where the interpreters of a pool live: in this process, or each in one of its own.

use super::super::error::{Error, Kind, Result};
use super::super::options::{Options, ProcessOptions};
use super::{Pool, State};
use crate::python::exception::Exception;

/// Where the interpreters of a pool live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In this process, as the options of the interpreters say; in processes if they say that.
    #[default]
    OwnGil,
    /// Each in a process of its own.
    Process,
    /// In this process, with a GIL each, until an extension module refuses that; then each in a process of its own.
    Auto,
}

/// How interpreters are created.
pub struct Ways {
    here: Options,
    /// Here first, then in processes.
    pub is_auto: bool,
    elsewhere: Options,
}

impl Ways {
    /// Refuses what does not go together.
    pub fn new(here: Options, isolation: Isolation) -> Result<Ways> {
        let is_auto = isolation == Isolation::Auto;
        let mut elsewhere = here.clone();
        if is_auto {
            if here.process.is_some() {
                let why = "SUBPY_ISOLATION_AUTO is not for SUBPY_INTERP_PROCESS: what is made for a process only cannot \
                           begin in this one";
                return Err(Kind::InvalidArgument(why.into()).into());
            }
            if here.config.shared_gil {
                let why =
                    "SUBPY_ISOLATION_AUTO needs SUBPY_GIL_OWN: an interpreter in a process of its own shares no GIL";
                return Err(Kind::InvalidArgument(why.into()).into());
            }
            here.check_together()?;
        }
        if isolation != Isolation::OwnGil {
            elsewhere.process.get_or_insert_with(ProcessOptions::default);
        }
        elsewhere.check_together()?;
        Ok(Ways { here, is_auto, elsewhere })
    }

    pub fn begins_in_processes(&self) -> bool {
        !self.is_auto && self.elsewhere.process.is_some()
    }

    pub fn options(&self, in_process: bool) -> &Options {
        if in_process { &self.elsewhere } else { &self.here }
    }
}

impl State {
    /// Where its interpreters live now.
    pub(super) fn isolation(&self) -> Isolation {
        if self.in_processes { Isolation::Process } else { Isolation::OwnGil }
    }
}

impl Pool {
    /// An interpreter in this process is not for what has failed there: from now on the pool has processes.
    pub(super) fn moves(&self, error: &Error) -> bool {
        if !self.ways.is_auto {
            return false;
        }
        let Some(why) = error.exception().and_then(Exception::refused_import) else { return false };
        let mut state = self.state();
        if !state.in_processes {
            state.in_processes = true;
            state.why_in_processes = why.trim().to_owned();
            let state = &mut *state;
            state.counts.replaced += state.spares.len() as u64;
            state.retired.append(&mut state.spares);
            state.no_spares = false;
            self.tell_all();
        }
        true
    }
}
