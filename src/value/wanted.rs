//! What a caller wants of a result.

use super::OwnedValue;

/// In what form: the bits of SUBPY_RESULT_* and SUBPY_RUN_ASYNC, where C has them.
///
/// cbindgen:ignore
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Results(u32);

/// cbindgen:ignore
#[allow(dead_code)]
impl Results {
    /// A value.
    pub(crate) const VALUE: Results = Results(0);
    /// The object itself stays in Python, whatever it is.
    pub(crate) const OBJECT: Results = Results(4);
    /// Objects that have no value stay in Python.
    pub(crate) const OBJECTS: Results = Results(8);
    /// What has a buffer is shared, not copied.
    pub(crate) const BUFFER: Results = Results(16);
    /// Rows of numbers are an array.
    pub(crate) const ARRAY: Results = Results(32);
    /// What is awaitable is run to its end first.
    pub(crate) const ASYNC: Results = Results(64);
    /// Nobody wants it. It is said with others that matter all the same.
    pub(crate) const DROPPED: Results = Results(128);

    /// These and those.
    pub(crate) const fn and(self, others: Results) -> Results {
        Results(self.0 | others.0)
    }

    /// Those of these bits that are known here.
    #[cfg(feature = "capi")]
    pub fn of_flags(flags: u32) -> Results {
        const KNOWN: u32 =
            Results::OBJECT.0 | Results::OBJECTS.0 | Results::BUFFER.0 | Results::ARRAY.0 | Results::ASYNC.0;
        Results(flags & KNOWN)
    }

    /// As one number.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// What `bits` gave.
    pub fn of_bits(bits: u32) -> Results {
        Results(bits)
    }

    /// A value, and nothing else.
    #[inline(always)]
    pub fn is_value(self) -> bool {
        self.0 == 0
    }

    /// All of these are among them.
    pub fn has(self, these: Results) -> bool {
        self.0 & these.0 == these.0
    }
}

/// Where a result goes, if anybody wants it, and in what form.
pub struct Wanted<'a> {
    pub result: Option<&'a mut OwnedValue>,
    pub how: Results,
}

impl<'a> Wanted<'a> {
    /// The value, if there is a place for it.
    #[inline(always)]
    pub fn value(result: Option<&'a mut OwnedValue>) -> Wanted<'a> {
        Wanted { result, how: Results::VALUE }
    }

    /// The same, of what was awaited already.
    #[inline(always)]
    pub fn finished(self) -> Wanted<'a> {
        Wanted { how: Results(self.how.0 & !Results::ASYNC.0), ..self }
    }

    /// The same place, for a result in this form.
    #[cfg(feature = "capi")]
    pub fn with(self, how: Results) -> Wanted<'a> {
        Wanted { how, ..self }
    }
}
