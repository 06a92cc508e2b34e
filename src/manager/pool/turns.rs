//! The tasks that wait: in the order in which each submitter gave them, and the submitters take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::error::{Kind, Result};

/// Things that wait, by who gave them.
pub struct Turns<T> {
    /// Only those that have some.
    lines: HashMap<u64, VecDeque<Arc<T>>>,
    /// Who has some, the next first.
    order: VecDeque<u64>,
    len: usize,
}

impl<T> Turns<T> {
    pub fn new() -> Turns<T> {
        Turns { lines: HashMap::new(), order: VecDeque::new(), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn push(&mut self, submitter: u64, thing: Arc<T>) -> Result<()> {
        let no_memory = |_| Kind::NoMemory;
        if !self.lines.contains_key(&submitter) {
            self.order.try_reserve(1).map_err(no_memory)?;
            self.lines.try_reserve(1).map_err(no_memory)?;
            self.order.push_back(submitter);
        }
        let line = self.lines.entry(submitter).or_default();
        if line.try_reserve(1).is_err() {
            self.forget_if_empty(submitter);
            return Err(Kind::NoMemory.into());
        }
        line.push_back(thing);
        self.len += 1;
        Ok(())
    }

    /// The next, of the submitter whose turn it is.
    pub fn pop(&mut self) -> Option<Arc<T>> {
        let submitter = self.order.pop_front()?;
        let line = self.lines.get_mut(&submitter)?;
        let thing = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&submitter);
        } else {
            // The place that it came from is free.
            self.order.push_back(submitter);
        }
        self.len -= usize::from(thing.is_some());
        thing
    }

    /// Takes one out; false: it does not wait here.
    pub fn remove(&mut self, submitter: u64, thing: *const T) -> bool {
        let Some(line) = self.lines.get_mut(&submitter) else { return false };
        let Some(index) = line.iter().position(|other| std::ptr::eq(Arc::as_ptr(other), thing)) else { return false };
        line.remove(index);
        self.len -= 1;
        self.forget_if_empty(submitter);
        true
    }

    fn forget_if_empty(&mut self, submitter: u64) {
        if self.lines.get(&submitter).is_some_and(VecDeque::is_empty) {
            self.lines.remove(&submitter);
            self.order.retain(|other| *other != submitter);
        }
    }

    /// All of them.
    pub fn drain(&mut self) -> Vec<Arc<T>> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submitters_take_turns_and_each_keeps_its_order() {
        let mut turns = Turns::new();
        for (submitter, thing) in [(0, 1), (0, 2), (0, 3), (7, 4), (7, 5), (9, 6)] {
            turns.push(submitter, Arc::new(thing)).unwrap();
        }
        assert_eq!(turns.len(), 6);
        let order: Vec<i32> = turns.drain().iter().map(|thing| **thing).collect();
        assert_eq!((order, turns.len()), (vec![1, 4, 6, 2, 5, 3], 0));
    }

    #[test]
    fn what_is_taken_out_is_nobodys_turn() {
        let mut turns = Turns::new();
        let (one, two) = (Arc::new(1), Arc::new(2));
        turns.push(3, Arc::clone(&one)).unwrap();
        turns.push(4, Arc::clone(&two)).unwrap();
        assert!(turns.remove(3, Arc::as_ptr(&one)) && !turns.remove(3, Arc::as_ptr(&one)));
        assert!(!turns.remove(3, Arc::as_ptr(&two)));
        assert_eq!((turns.pop(), turns.pop(), turns.len()), (Some(two), None, 0));
    }
}
