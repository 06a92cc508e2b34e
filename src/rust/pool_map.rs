//! One call for many rows, by a pool.

use std::collections::VecDeque;
use std::marker::PhantomData;

use super::args::Args;
use super::block::encode;
use super::call;
use super::many::Rows;
use super::to_rust::FromValue;
use super::unless_forked;
use super::value::Value;
use crate::manager::{self, Result};

/// The results of a [`Pool::map`](super::Pool::map).
#[must_use = "what is left of it is cancelled when it is dropped"]
pub struct PoolMap<I, T> {
    /// None: it is over.
    map: Option<manager::Map>,
    /// None: there are no more.
    rows: Option<I>,
    chunk: usize,
    /// How many rows were submitted.
    begun: usize,
    ready: VecDeque<Result<T>>,
    result: PhantomData<fn() -> T>,
}

impl<I, T> std::fmt::Debug for PoolMap<I, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("PoolMap").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl<I, T> PoolMap<I, T> {
    pub(super) fn new(map: manager::Map, rows: I, chunk: usize) -> PoolMap<I, T> {
        PoolMap { map: Some(map), rows: Some(rows), chunk, begun: 0, ready: VecDeque::new(), result: PhantomData }
    }
}

impl<I: Iterator, T: FromValue> PoolMap<I, T>
where
    I::Item: Args,
{
    /// More rows for the pool, as many as it has use for.
    fn submit(&mut self) -> Result<()> {
        while let (Some(map), Some(rows)) = (&mut self.map, &mut self.rows) {
            if map.is_full() {
                break;
            }
            let chunk: Vec<I::Item> = rows.take(self.chunk).collect();
            if chunk.len() < self.chunk {
                self.rows = None;
            }
            if chunk.is_empty() {
                break;
            }
            let begun = self.begun;
            let rows = Rows::new(chunk).map_err(|error| {
                let row = begun + error.row().unwrap_or(0);
                error.in_row(row)
            })?;
            rows.checked_from(begun)?;
            let (count, width) = (rows.count, rows.width);
            unless_forked(|| map.submit(rows.values, encode(Value::Dict(Vec::new()))?, count, width))?;
            self.begun += count;
        }
        Ok(())
    }
}

impl<I: Iterator, T: FromValue> Iterator for PoolMap<I, T>
where
    I::Item: Args,
{
    type Item = Result<T>;

    /// The first error that is not one of a row's ends it.
    fn next(&mut self) -> Option<Result<T>> {
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let results = match self.submit() {
            Ok(()) => unless_forked(|| self.map.as_mut().and_then(manager::Map::next).transpose()).transpose()?,
            Err(error) => Err(error),
        };
        match results {
            Ok(results) => {
                self.ready.extend(results.into_iter().map(|row| call::result(row?)));
                self.ready.pop_front()
            }
            Err(error) => {
                (self.map, self.rows) = (None, None);
                Some(Err(error))
            }
        }
    }
}
