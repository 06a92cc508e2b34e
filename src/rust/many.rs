//! Many calls of a function in one crossing.

use super::args::{Args, TakeApart};
use super::block::{decode, encode_args};
use super::call;
use super::to_rust::FromValue;
use super::value::Value;
use crate::manager::{self, Error, Kind, Result};
use crate::value::{self, Builder, OwnedRows, OwnedValue, subpy_value};

/// The arguments of all calls, as one block.
pub(super) struct Rows {
    pub values: OwnedValue,
    pub count: usize,
    pub width: usize,
    /// The same, with the objects and buffers in them claimed, if there are any.
    claimed: Option<OwnedRows>,
}

impl Rows {
    pub fn new(rows: impl IntoIterator<Item = impl Args>) -> Result<Rows> {
        let mut rows = rows.into_iter();
        let (mut values, mut count, mut width) = (Vec::new(), 0, None);
        while let Some(row) = rows.next() {
            if let Err(error) = row.into_values().and_then(|row| add(&mut values, row, &mut width)) {
                // What is nested too deep must be dropped in no other way.
                let rest = rows.filter_map(|row| row.into_values().ok());
                values.into_iter().chain(rest.flatten()).for_each(TakeApart::take_apart);
                return Err(error.in_row(count));
            }
            count += 1;
        }
        Ok(Rows { values: encode_args(Value::Tuple(values))?, count, width: width.unwrap_or(0), claimed: None })
    }

    /// To be called in one crossing.
    pub fn claim(&mut self) -> Result<value::Rows<'_>> {
        let rows = self.checked()?;
        if rows.buffers().are_passed() {
            self.claimed = Some(manager::claim_rows(rows)?);
        }
        match &self.claimed {
            Some(claimed) => Ok(claimed.rows()),
            None => self.checked(),
        }
    }

    pub fn checked(&self) -> Result<value::Rows<'_>> {
        self.checked_from(0)
    }

    /// So many rows came before: a message counts them.
    pub fn checked_from(&self, first: usize) -> Result<value::Rows<'_>> {
        value::Rows::check_owned_from(first, &self.values, self.count, self.width)
            .map_err(|bad| Kind::InvalidArgument(bad).into())
    }
}

/// Adds one row, which must be as long as those before.
fn add(values: &mut Vec<Value>, row: Vec<Value>, width: &mut Option<usize>) -> Result<()> {
    let (len, width) = (row.len(), *width.get_or_insert(row.len()));
    let wrong = if len != width {
        Kind::InvalidArgument(format!("{len} arguments, those before have {width}"))
    } else if values.try_reserve(len).is_err() {
        Kind::NoMemory
    } else {
        values.extend(row);
        return Ok(());
    };
    row.into_iter().for_each(TakeApart::take_apart);
    Err(wrong.into())
}

/// Calls a function with one row after the other, until one fails.
pub(super) fn call_many<T: FromValue>(handle: u64, rows: impl IntoIterator<Item = impl Args>) -> Result<Vec<T>> {
    let mut rows = Rows::new(rows)?;
    let count = rows.count;
    let checked = rows.claim()?;
    let list = call::run_to_value::<T>(|wanted| manager::function_call_many(handle, checked, wanted, None))?;
    results(count, |row| result(&list, row))
}

/// The same, with a result or an error for each row.
pub(super) fn call_each<T: FromValue>(
    handle: u64,
    rows: impl IntoIterator<Item = impl Args>,
) -> Result<Vec<Result<T>>> {
    let mut rows = Rows::new(rows)?;
    let count = rows.count;
    let checked = rows.claim()?;
    let mut errors: Vec<Error> = Vec::new();
    let mut collect = |error, _: &mut Builder| {
        errors.try_reserve(1).ok()?;
        errors.push(error);
        Some(subpy_value::none())
    };
    let list =
        call::run_to_value::<T>(|wanted| manager::function_call_many(handle, checked, wanted, Some(&mut collect)))?;
    let mut errors = errors.into_iter().peekable();
    results(count, |row| Ok(errors.next_if(|error| error.row() == Some(row)).map_or_else(|| result(&list, row), Err)))
}

fn results<T>(count: usize, result: impl FnMut(usize) -> Result<T>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    results.try_reserve_exact(count).map_err(|_| Kind::NoMemory)?;
    for result in (0..count).map(result) {
        results.push(result?);
    }
    Ok(results)
}

fn result<T: FromValue>(list: &OwnedValue, row: usize) -> Result<T> {
    let value = list.as_ref().element(row).map_or(Ok(Value::None), decode);
    value.and_then(|value| Ok(T::from_value(value)?)).map_err(|error| error.in_row(row))
}
