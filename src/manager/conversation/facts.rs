//! What an interpreter in a process of its own tells of itself, and what is to be true of its results.

use super::Conversation;
use crate::manager::error::{Error, Result};
use crate::manager::memory::Memory;
use crate::manager::options::LockInfo;
use crate::process::message::{Act, Request};
use crate::value::{LIST, OBJECT, OwnedValue, Results, STR, ValueRef, View, printable};

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
        Ok(done.value.as_ref().map(|value| words(value.as_ref())).unwrap_or_default())
    }
}

/// So many of the things that run there are told, and each in a line: it says itself how many there are, and how long.
const MOST_TOLD: usize = 100;

fn words(texts: ValueRef) -> Vec<String> {
    let text = |index| match texts.element(index)?.view() {
        View::Str(text) => Some(printable(text)),
        _ => None,
    };
    (0..MOST_TOLD).map_while(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{TUPLE, subpy_value};

    #[test]
    fn what_runs_there_is_told_in_few_words() {
        let long = "x".repeat(1 << 20);
        let text = |text: &str| subpy_value::pointing(STR, text.as_ptr(), text.len());
        let told = |texts: &[subpy_value]| {
            let all = subpy_value::pointing(TUPLE, texts.as_ptr().cast(), texts.len());
            words(OwnedValue::copy_of(&all).unwrap().as_ref())
        };
        assert_eq!(told(&[text("a thread"), text("a\nrun")]), ["a thread", "a\\nrun"]);
        let many = told(&[text(&long); 200]);
        assert!(many.len() == MOST_TOLD && many.iter().all(|text| text.len() < 2000));
        assert!(told(&[subpy_value::int(1), text("a run")]).is_empty());
    }
}
