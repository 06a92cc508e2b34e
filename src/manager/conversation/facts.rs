//! What an interpreter in a process of its own tells of itself, and what is to be true of its results.

use super::Conversation;
use crate::manager::error::{Error, Result};
use crate::manager::memory::Memory;
use crate::manager::options::LockInfo;
use crate::process::message::{Act, Request};
use crate::value::{LIST, OBJECT, OwnedValue, Results, STR, View};

impl Conversation<'_> {
    /// How much memory it uses.
    pub fn memory(&self) -> Result<Memory, Box<Error>> {
        let done = self.ask_collecting(&Request::Memory, Some(Results::VALUE), None)?;
        let fields = done.value.as_ref().and_then(|value| {
            let field = |index| match value.as_ref().element(index)?.view() {
                View::Int(number) => Some(number as u64),
                _ => None,
            };
            let limit = field(2).filter(|limit| *limit != 0);
            Some(Memory { used: field(0)?, peak: field(1)?, limit, refused: field(3)? })
        });
        fields.ok_or_else(|| self.breaks("its memory is no four numbers"))
    }

    /// Whoever gets a result relies on what is promised of it, and does not look again: as many values as there are rows,
    /// the text of an object, an object where one is asked for.
    pub fn promised(&self, request: &Request, how: Results, value: Option<&OwnedValue>) -> Result<(), Box<Error>> {
        let is = |kind| value.is_some_and(|value| value.as_value().kind == kind && value.as_ref().tag() == 0);
        let kept = match request {
            Request::Many { rows, .. } => is(LIST) && value.is_some_and(|value| value.as_value().len == rows.count()),
            Request::Object { act: Act::Text, .. } => is(STR),
            _ => value.is_none() || !how.has(Results::OBJECT) || is(OBJECT),
        };
        if kept { Ok(()) } else { Err(self.breaks("a result is not of the kind that was asked for")) }
    }

    /// What holds it.
    pub fn lock_info(&self) -> Result<LockInfo, Box<Error>> {
        let word = self.ask(Request::LockInfo)?.word;
        Ok(LockInfo { landlock: word as u32, seccomp: word >> 32 != 0 })
    }

    /// What runs there, in words, and is to end: see `Request::Look`.
    pub fn look(&self, stop: u32) -> Result<Vec<String>, Box<Error>> {
        let done = self.ask_collecting(&Request::Look { stop }, Some(Results::VALUE), None)?;
        let texts = done.value.as_ref().map(OwnedValue::as_ref);
        let text = |index| match texts?.element(index)?.view() {
            View::Str(text) => Some(text.to_owned()),
            _ => None,
        };
        Ok((0..).map_while(text).collect())
    }
}
