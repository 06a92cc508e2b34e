//! Arguments that were checked.

use super::check::{self, check_len, check_names, check_untagged, is_plain};
use super::view::ValueRef;
use super::{DICT, NONE, OwnedValue, TUPLE, slice, subpy_pair, subpy_value};
use super::{Keep, NotCopied};

/// Arguments that were checked: every kind is known, every pointer and length makes sense, text is UTF-8.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    pub items: &'a [subpy_value],
    /// Keyword arguments: NULL, or a DICT whose keys are STR.
    pub kwargs: &'a [subpy_pair],
}

impl<'a> Args<'a> {
    /// The arguments that an owned TUPLE and an owned DICT hold.
    pub fn of(items: &'a OwnedValue, kwargs: &'a OwnedValue) -> Args<'a> {
        let (items, kwargs) = (items.as_value(), kwargs.as_value());
        assert!(items.kind == TUPLE && kwargs.kind == DICT, "the kinds of arguments");
        // SAFETY: an owned value is complete, lives as long as it is borrowed, and these are of the kinds that are
        // read.
        unsafe { Args { items: items.items(), kwargs: kwargs.pairs() } }
    }

    /// The same, when nothing is known of what they hold.
    pub fn check_owned(items: &'a OwnedValue, kwargs: &'a OwnedValue) -> Result<Args<'a>, String> {
        let args = Args::of(items, kwargs);
        // SAFETY: an owned value is complete.
        unsafe { Args::check(args.items.as_ptr(), args.items.len(), kwargs.as_value()) }
    }

    /// The positional ones, to be read.
    pub fn positional(self) -> impl Iterator<Item = ValueRef<'a>> {
        self.items.iter().map(ValueRef::of_checked)
    }

    /// The names and the values of the others.
    pub fn keywords(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> {
        // SAFETY: the keys were checked: they are text.
        self.kwargs.iter().map(|pair| (unsafe { pair.key.text() }, ValueRef::of_checked(&pair.value)))
    }

    /// Copies them into memory of their own, as a TUPLE and a DICT.
    pub fn to_owned(self, keep: Keep) -> Result<(OwnedValue, OwnedValue), NotCopied> {
        let items = subpy_value::pointing(TUPLE, self.items.as_ptr().cast(), self.items.len());
        let kwargs = subpy_value::pointing(DICT, self.kwargs.as_ptr().cast(), self.kwargs.len());
        Ok((OwnedValue::copy_with(&items, keep)?, OwnedValue::copy_with(&kwargs, keep)?))
    }

    /// # Safety
    /// `items` must point to `len` values, `kwargs` to one or be NULL, and all that they point to must be as they say.
    #[inline(always)]
    pub unsafe fn check(items: *const subpy_value, len: usize, kwargs: *const subpy_value) -> Result<Args<'a>, String> {
        // Most calls have a few plain values: nothing can be wrong with those.
        if kwargs.is_null() && len <= 8 && (len == 0 || !items.is_null()) {
            // SAFETY: promised by the caller.
            let items: &[subpy_value] = unsafe { slice(items, len) };
            if items.iter().all(is_plain) {
                return Ok(Args { items, kwargs: &[] });
            }
        }
        // SAFETY: as above.
        unsafe { Args::check_any(items, len, kwargs) }
    }

    unsafe fn check_any(items: *const subpy_value, len: usize, kwargs: *const subpy_value) -> Result<Args<'a>, String> {
        if len > 0 && items.is_null() {
            return Err(format!("args is NULL but nargs is {len}"));
        }
        check_len::<subpy_value>(len).map_err(|reason| format!("args: {reason}"))?;
        // SAFETY: promised by the caller; a wrong pointer or length cannot be told from a right one.
        let items: &[subpy_value] = unsafe { slice(items, len) };
        for (index, item) in items.iter().enumerate() {
            if !is_plain(item) {
                // SAFETY: as above.
                unsafe { check::check(item) }.map_err(|bad| bad.at(&format!("args[{index}]")))?;
            }
        }
        if kwargs.is_null() {
            return Ok(Args { items, kwargs: &[] });
        }
        // SAFETY: not NULL, promised by the caller.
        let kwargs = unsafe { &*kwargs };
        if kwargs.kind == NONE {
            check_untagged(kwargs).map_err(|reason| format!("kwargs: {reason}"))?;
            return Ok(Args { items, kwargs: &[] });
        }
        // SAFETY: as above.
        let kwargs = unsafe { check_names(kwargs, "kwargs")? };
        Ok(Args { items, kwargs })
    }
}

/// The positional arguments of many calls, row after row, checked as [`Args`] are.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [subpy_value],
    count: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    /// # Safety
    /// `values` must point to `count * width` values, and all that they point to must be as they say.
    pub unsafe fn check(values: *const subpy_value, count: usize, width: usize) -> Result<Rows<'a>, String> {
        // As many results, and as many arguments in all, must fit into memory.
        let all = count.checked_mul(width).filter(|all| check_len::<subpy_value>(*all.max(&count)).is_ok());
        let Some(all) = all else {
            return Err(format!("rows: {count} of {width} values are more than memory can hold"));
        };
        if all > 0 && values.is_null() {
            return Err(format!("rows is NULL but count is {count} and nargs is {width}"));
        }
        // SAFETY: promised by the caller.
        let values: &[subpy_value] = unsafe { slice(values, all) };
        for (index, value) in values.iter().enumerate() {
            if !is_plain(value) {
                let place = || format!("rows[{}][{}]", index / width, index % width);
                // SAFETY: as above.
                unsafe { check::check(value) }.map_err(|bad| bad.at(&place()))?;
            }
        }
        Ok(Rows { values, count, width })
    }

    /// The rows of an owned TUPLE of all their values, of which nothing is known yet.
    pub fn check_owned(values: &'a OwnedValue, count: usize, width: usize) -> Result<Rows<'a>, String> {
        let values = values.as_value();
        assert!(values.kind == TUPLE && Some(values.len) == count.checked_mul(width), "as many values as there are");
        // SAFETY: an owned value is complete.
        unsafe { Rows::check(values.items().as_ptr(), count, width) }
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many arguments are in each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Copies some of them, as one TUPLE of their values, and the keyword arguments as a DICT.
    pub fn copy(
        &self,
        first: usize,
        count: usize,
        kwargs: Args,
        keep: Keep,
    ) -> Result<(OwnedValue, OwnedValue), NotCopied> {
        let items = &self.values[first * self.width..][..count * self.width];
        Args { items, kwargs: kwargs.kwargs }.to_owned(keep)
    }

    #[inline]
    pub fn row(&self, row: usize) -> &'a [subpy_value] {
        &self.values[row * self.width..][..self.width]
    }
}
