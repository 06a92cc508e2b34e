//! What values are asked for, and why there may be none.

use std::sync::Arc;

use super::super::Failure;
use super::super::object::Py;
use super::super::own::Own;
use super::memory::prepare;
use super::stand_in::StandIns;
use crate::value::Results;

/// Why an object has no value: what to say of it, or None when there was no memory. Small, since every element may have
/// one.
pub(super) struct Refused(Option<Box<str>>);

impl Refused {
    pub(super) const NO_MEMORY: Refused = Refused(None);

    pub(super) fn is_no_memory(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn because(reason: String) -> Refused {
        Refused(Some(reason.into()))
    }

    /// With the name of the type in front.
    pub(super) fn of(self, name: impl FnOnce() -> String) -> Refused {
        Refused(self.0.map(|reason| format!("{}: {reason}", name()).into()))
    }

    /// As the failure of what is found there.
    pub(super) fn at(self, path: &str) -> Failure {
        match self.0 {
            Some(reason) => Failure::NotShareable(format!("{path}: {reason}")),
            None => Failure::NoMemory,
        }
    }
}

/// In what form values are asked for, and by whom: what the slow paths need to know.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub how: Results,
    /// Of the interpreter that the objects are of.
    pub own: Option<&'a Arc<Own>>,
}

impl<'a> Asked<'a> {
    /// A result, in this form.
    #[inline(always)]
    pub fn of(py: Py, how: Results, own: &'a Arc<Own>) -> Asked<'a> {
        if how.has(Results::BUFFER) {
            prepare(py);
        }
        Asked { how, own: Some(own) }
    }

    /// The arguments of a host function.
    pub(super) fn argument(own: &'a Arc<Own>) -> Asked<'a> {
        Asked { how: Results::VALUE, own: Some(own) }
    }

    /// Tagged values are wanted.
    #[inline(always)]
    pub(super) fn for_tags(self) -> bool {
        self.own.is_some_and(|own| own.gives_tags())
    }

    /// What finds stand-ins, when they are wanted.
    pub(super) fn stand_ins<'py>(self, py: Py<'py>) -> Option<StandIns<'py, 'a>> {
        self.own.filter(|own| own.gives_tags()).map(|own| StandIns { py, own })
    }
}
