//! Arguments that were checked.

use super::check::{self, check_len, check_names, check_untagged, is_plain};
use super::view::ValueRef;
use super::{Claims, DICT, Keep, NONE, NotCopied, OwnedValue, STR, TUPLE, Tell, slice, subpy_pair, subpy_value};

/// Arguments that were checked: every kind is known, every pointer and length makes sense, text is UTF-8.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    pub items: &'a [subpy_value],
    /// Keyword arguments: NULL, or a DICT whose keys are STR.
    pub kwargs: &'a [subpy_pair],
    pub buffers: Buffers<'a>,
}

/// The buffers and objects that are among values.
#[derive(Clone, Copy)]
pub enum Buffers<'a> {
    None,
    /// The host's, still.
    Passed,
    Claimed(&'a Claims),
}

impl<'a> Buffers<'a> {
    fn passed(some: bool) -> Buffers<'static> {
        if some { Buffers::Passed } else { Buffers::None }
    }

    /// Those that were claimed.
    #[inline(always)]
    pub fn claims(self) -> Option<&'a Claims> {
        match self {
            Buffers::Claimed(claims) => Some(claims),
            Buffers::None | Buffers::Passed => None,
        }
    }

    /// There are some, and they are still the host's.
    #[inline(always)]
    pub fn are_passed(self) -> bool {
        matches!(self, Buffers::Passed)
    }

    /// There are some.
    pub fn are_there(self) -> bool {
        !matches!(self, Buffers::None)
    }

    pub fn are_claimed(self) -> bool {
        matches!(self, Buffers::Claimed(_))
    }
}

/// Arguments in memory of their own, and the buffers among them.
pub struct OwnedArgs {
    /// A TUPLE and a DICT.
    items: OwnedValue,
    kwargs: OwnedValue,
    claims: Claims,
}

impl OwnedArgs {
    /// The TUPLE and the DICT.
    #[cfg(feature = "capi")]
    pub fn into_parts(self) -> (OwnedValue, OwnedValue) {
        (self.items, self.kwargs)
    }

    pub fn args(&self) -> Args<'_> {
        Args { buffers: Buffers::Claimed(&self.claims), ..Args::of(&self.items, &self.kwargs) }
    }
}

impl<'a> Args<'a> {
    /// The arguments that an owned TUPLE and an owned DICT hold.
    pub fn of(items: &'a OwnedValue, kwargs: &'a OwnedValue) -> Args<'a> {
        let (items, kwargs) = (items.as_value(), kwargs.as_value());
        assert!(items.kind == TUPLE && kwargs.kind == DICT, "the kinds of arguments");
        // SAFETY: an owned value is complete, lives as long as it is borrowed, and these are of the kinds that are
        // read.
        unsafe { Args { items: items.items(), kwargs: kwargs.pairs(), buffers: Buffers::None } }
    }

    /// The same, when only that they are complete is known: they were read from a message. None: they are no arguments.
    pub fn of_read(items: &'a OwnedValue, kwargs: &'a OwnedValue) -> Option<Args<'a>> {
        let value = items.as_value();
        let is_tuple = value.kind == TUPLE && value.tag() == 0;
        // SAFETY: an owned value is complete.
        is_tuple
            .then(|| unsafe { value.items() })
            .and_then(|items| Some(Args { items, ..Args::of_read_names(kwargs)? }))
    }

    /// The same, without positional ones. None stands for no names.
    pub fn of_read_names(kwargs: &'a OwnedValue) -> Option<Args<'a>> {
        let value = kwargs.as_value();
        let kwargs = match (value.kind, value.tag()) {
            (NONE, _) => &[],
            // SAFETY: an owned value is complete.
            (DICT, 0) => unsafe { value.pairs() },
            _ => return None,
        };
        let named = kwargs.iter().all(|pair| pair.key.kind == STR && pair.key.tag() == 0);
        named.then_some(Args { items: &[], kwargs, buffers: Buffers::None })
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

    /// Copies them into memory of their own. The buffers among them are claimed, also when this fails: the host is
    /// told when they are its own again.
    pub fn to_owned(self, keep: Keep, tell: Tell) -> Result<OwnedArgs, NotCopied> {
        let items = subpy_value::pointing(TUPLE, self.items.as_ptr().cast(), self.items.len());
        let kwargs = subpy_value::pointing(DICT, self.kwargs.as_ptr().cast(), self.kwargs.len());
        let ([items, kwargs], claims) = OwnedValue::claim([&items, &kwargs], keep, tell)?;
        Ok(OwnedArgs { items, kwargs, claims })
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
                return Ok(Args { items, kwargs: &[], buffers: Buffers::None });
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
        let mut some = false;
        for (index, item) in items.iter().enumerate() {
            if !is_plain(item) {
                // SAFETY: as above.
                some |= unsafe { check::check(item) }.map_err(|bad| bad.at(&format!("args[{index}]")))?;
            }
        }
        if kwargs.is_null() {
            return Ok(Args { items, kwargs: &[], buffers: Buffers::passed(some) });
        }
        // SAFETY: not NULL, promised by the caller.
        let kwargs = unsafe { &*kwargs };
        if kwargs.kind == NONE {
            check_untagged(kwargs).map_err(|reason| format!("kwargs: {reason}"))?;
            return Ok(Args { items, kwargs: &[], buffers: Buffers::passed(some) });
        }
        // SAFETY: as above.
        let (kwargs, more) = unsafe { check_names(kwargs, "kwargs")? };
        Ok(Args { items, kwargs, buffers: Buffers::passed(some || more) })
    }
}

/// Rows in memory of their own, and the buffers in them.
pub struct OwnedRows {
    /// A TUPLE.
    values: OwnedValue,
    count: usize,
    width: usize,
    claims: Claims,
}

impl OwnedRows {
    pub fn rows(&self) -> Rows<'_> {
        // SAFETY: an owned value is complete.
        let values = unsafe { self.values.as_value().items() };
        Rows { values, count: self.count, width: self.width, buffers: Buffers::Claimed(&self.claims) }
    }
}

/// The positional arguments of many calls, row after row, checked as [`Args`] are.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [subpy_value],
    count: usize,
    width: usize,
    buffers: Buffers<'a>,
}

impl<'a> Rows<'a> {
    /// # Safety
    /// `values` must point to `count * width` values, and all that they point to must be as they say.
    pub unsafe fn check(values: *const subpy_value, count: usize, width: usize) -> Result<Rows<'a>, String> {
        // SAFETY: promised by the caller.
        unsafe { Rows::check_from(0, values, count, width) }
    }

    /// The same, of rows of which so many were others' before.
    ///
    /// # Safety
    /// As above.
    unsafe fn check_from(
        first: usize,
        values: *const subpy_value,
        count: usize,
        width: usize,
    ) -> Result<Rows<'a>, String> {
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
        let mut some = false;
        for (index, value) in values.iter().enumerate() {
            if !is_plain(value) {
                let place = || format!("rows[{}][{}]", first + index / width, index % width);
                // SAFETY: as above.
                some |= unsafe { check::check(value) }.map_err(|bad| bad.at(&place()))?;
            }
        }
        Ok(Rows { values, count, width, buffers: Buffers::passed(some) })
    }

    /// The rows of an owned TUPLE of all their values, of which nothing is known yet.
    pub fn check_owned(values: &'a OwnedValue, count: usize, width: usize) -> Result<Rows<'a>, String> {
        Rows::check_owned_from(0, values, count, width)
    }

    /// The same, of rows of which so many were others' before.
    pub fn check_owned_from(
        first: usize,
        values: &'a OwnedValue,
        count: usize,
        width: usize,
    ) -> Result<Rows<'a>, String> {
        let values = values.as_value();
        assert!(values.kind == TUPLE && Some(values.len) == count.checked_mul(width), "as many values as there are");
        // SAFETY: an owned value is complete.
        unsafe { Rows::check_from(first, values.items().as_ptr(), count, width) }
    }

    /// The rows of a TUPLE that was read from a message. None: they are none.
    pub fn of_read(values: &'a OwnedValue, count: usize, width: usize, handles: bool) -> Option<Rows<'a>> {
        let all = count.checked_mul(width).filter(|all| check_len::<subpy_value>(*all.max(&count)).is_ok())?;
        let value = values.as_value();
        let fits = value.kind == TUPLE && value.tag() == 0 && value.len == all;
        // SAFETY: an owned value is complete.
        let values = fits.then(|| unsafe { value.items() })?;
        Some(Rows { values, count, width, buffers: Buffers::passed(handles) })
    }

    /// The buffers in all of them.
    #[inline(always)]
    pub fn buffers(&self) -> Buffers<'a> {
        self.buffers
    }

    /// As [`Args::to_owned`].
    pub fn to_owned(self, keep: Keep, tell: Tell) -> Result<OwnedRows, NotCopied> {
        let values = subpy_value::pointing(TUPLE, self.values.as_ptr().cast(), self.values.len());
        let ([values], claims) = OwnedValue::claim([&values], keep, tell)?;
        Ok(OwnedRows { values, count: self.count, width: self.width, claims })
    }

    /// Row after row.
    pub fn values(&self) -> &'a [subpy_value] {
        self.values
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
    #[cfg(feature = "capi")]
    pub fn copy(
        &self,
        first: usize,
        count: usize,
        kwargs: Args,
        keep: Keep,
        tell: Tell,
    ) -> Result<OwnedArgs, NotCopied> {
        let items = &self.values[first * self.width..][..count * self.width];
        Args { items, kwargs: kwargs.kwargs, buffers: Buffers::None }.to_owned(keep, tell)
    }

    #[inline]
    pub fn row(&self, row: usize) -> &'a [subpy_value] {
        &self.values[row * self.width..][..self.width]
    }
}
