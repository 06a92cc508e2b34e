//! Tags: what a value stands for that has no kind of its own. They are the low bits of its flags, so whoever does not know
//! them reads the kind that is below.

use super::{DICT, FLOAT, INT, LIST, MOST_BYTES, STR, TUPLE, check::kind_name, subpy_value};

pub(crate) const SET: u32 = 1;
pub(crate) const FROZENSET: u32 = 2;
pub(crate) const COMPLEX: u32 = 3;
pub(crate) const DATE: u32 = 4;
pub(crate) const TIME: u32 = 5;
pub(crate) const DATETIME: u32 = 6;
pub(crate) const TIMEDELTA: u32 = 7;
pub(crate) const DECIMAL: u32 = 8;
pub(crate) const UUID: u32 = 9;
pub(crate) const ENUM: u32 = 10;
pub(crate) const DATACLASS: u32 = 11;

/// The bits of the flags that are for tags.
pub(crate) const TAG_BITS: u32 = 0xff;

/// The key of a DATACLASS's first entry, whose value is the class.
pub(crate) const CLASS: &str = "__class__";

impl subpy_value {
    /// One of these, or 0.
    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        self.flags & TAG_BITS
    }
}

/// The kind that a tag belongs to, and the name of the tag.
fn kind_of(tag: u32) -> Option<(i32, &'static str)> {
    Some(match tag {
        SET => (LIST, "SUBPY_TAG_SET"),
        FROZENSET => (TUPLE, "SUBPY_TAG_FROZENSET"),
        COMPLEX => (TUPLE, "SUBPY_TAG_COMPLEX"),
        DATE => (STR, "SUBPY_TAG_DATE"),
        TIME => (STR, "SUBPY_TAG_TIME"),
        DATETIME => (STR, "SUBPY_TAG_DATETIME"),
        TIMEDELTA => (TUPLE, "SUBPY_TAG_TIMEDELTA"),
        DECIMAL => (STR, "SUBPY_TAG_DECIMAL"),
        UUID => (STR, "SUBPY_TAG_UUID"),
        ENUM => (TUPLE, "SUBPY_TAG_ENUM"),
        DATACLASS => (DICT, "SUBPY_TAG_DATACLASS"),
        _ => return None,
    })
}

/// Checks the tag of a value whose kind, pointer and length were checked, and whose elements were not.
///
/// # Safety
/// As for `check`.
#[inline(always)]
pub(crate) unsafe fn check_tag(value: &subpy_value) -> Result<(), String> {
    // SAFETY: promised by the caller.
    if value.tag() == 0 { Ok(()) } else { unsafe { check_some_tag(value) } }
}

#[cold]
#[inline(never)]
unsafe fn check_some_tag(value: &subpy_value) -> Result<(), String> {
    let tag = value.tag();
    let Some((kind, name)) = kind_of(tag) else { return Err(format!("tag {tag} is not one of SUBPY_TAG_*")) };
    if value.kind != kind {
        return Err(format!("{name} needs {}, not {}", kind_name(kind), kind_name(value.kind)));
    }
    // SAFETY: promised by the caller: `len` elements, whose kinds may be read.
    let elements = if value.is_container() { unsafe { value.elements() } } else { &[] };
    let all = |kind, len| elements.len() == len && elements.iter().all(|part| part.kind == kind && part.tag() == 0);
    // SAFETY: as above.
    let class = |part: Option<&subpy_value>| part.is_some_and(|part| unsafe { text_of(part) }.contains(&b':'));
    let (fits, needs) = match tag {
        COMPLEX => (all(FLOAT, 2), "two SUBPY_KIND_FLOAT"),
        TIMEDELTA => (all(INT, 3), "three SUBPY_KIND_INT: days, seconds, microseconds"),
        ENUM => {
            let named = elements.get(1).is_some_and(|name| name.kind == STR && name.tag() == 0);
            (elements.len() == 3 && named && class(elements.first()), "\"module:qualname\", a name and a value")
        }
        DATACLASS => {
            // SAFETY: as above.
            let first = elements.first().is_some_and(|key| unsafe { text_of(key) } == CLASS.as_bytes());
            let named = elements.iter().step_by(2).all(|key| key.kind == STR && key.tag() == 0);
            (
                first && named && class(elements.get(1)),
                "the names of its fields, behind \"__class__\": \"module:qualname\"",
            )
        }
        _ => return Ok(()),
    };
    if fits { Ok(()) } else { Err(format!("{name} needs {needs}")) }
}

/// The bytes of a STR that was not checked yet; none for anything else.
///
/// # Safety
/// As for `check`.
unsafe fn text_of<'a>(value: &subpy_value) -> &'a [u8] {
    let usable = value.kind == STR && value.tag() == 0 && !value.pointer().is_null() && value.len <= MOST_BYTES;
    // SAFETY: promised by the caller: a STR has `len` bytes where it points to.
    if usable { unsafe { value.bytes() } } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::super::check::check;
    use super::super::{BOOL, NONE, OWNS_BLOCK, subpy_pair};
    use super::*;

    fn text(text: &'static str) -> subpy_value {
        subpy_value::pointing(STR, text.as_ptr(), text.len())
    }

    fn tagged(tag: u32, value: subpy_value) -> String {
        // SAFETY: the tests' values point to what they say.
        unsafe { check(&subpy_value { flags: value.flags | tag, ..value }) }
            .err()
            .map_or_else(String::new, |bad| bad.at("x"))
    }

    fn tuple(items: &[subpy_value]) -> subpy_value {
        subpy_value::pointing(TUPLE, items.as_ptr().cast(), items.len())
    }

    #[test]
    fn a_tag_belongs_to_its_kind() {
        for tag in [DATE, TIME, DATETIME, DECIMAL, UUID] {
            assert_eq!(tagged(tag, text("x")), "");
            assert!(tagged(tag, tuple(&[])).contains("needs SUBPY_KIND_STR, not SUBPY_KIND_TUPLE"));
        }
        assert_eq!(tagged(FROZENSET, tuple(&[])), "");
        assert_eq!(tagged(SET, subpy_value { kind: LIST, ..tuple(&[subpy_value::int(1)]) }), "");
        assert_eq!(tagged(SET | OWNS_BLOCK, subpy_value { kind: LIST, ..tuple(&[]) }), "");
        for kind in [NONE, BOOL, INT, FLOAT] {
            assert!(tagged(SET, subpy_value { kind, ..subpy_value::none() }).contains("needs SUBPY_KIND_LIST"));
        }
        for unknown in [12, 100, 255] {
            assert_eq!(tagged(unknown, text("x")), format!("x: tag {unknown} is not one of SUBPY_TAG_*"));
        }
        assert!(tagged(0x100, text("x")).contains("unknown bits"));
    }

    #[test]
    fn parts_are_as_many_and_of_the_kinds_that_belong_to_the_tag() {
        let (int, float) = (subpy_value::int(1), subpy_value::float(1.0));
        assert_eq!(tagged(COMPLEX, tuple(&[float, float])), "");
        for wrong in [&[float][..], &[float, int], &[float, float, float]] {
            assert!(tagged(COMPLEX, tuple(wrong)).contains("needs two SUBPY_KIND_FLOAT"));
        }
        assert_eq!(tagged(TIMEDELTA, tuple(&[int, int, int])), "");
        for wrong in [&[int, int][..], &[int, int, float], &[int, int, int, int]] {
            assert!(tagged(TIMEDELTA, tuple(wrong)).contains("needs three SUBPY_KIND_INT"));
        }
        assert_eq!(tagged(ENUM, tuple(&[text("m:C"), text("N"), float])), "");
        for wrong in [&[][..], &[text("m:C"), text("N")], &[text("C"), text("N"), int], &[text("m:C"), int, int]] {
            assert!(tagged(ENUM, tuple(wrong)).contains("needs \"module:qualname\""));
        }
        let nowhere = subpy_value { kind: STR, len: 9, ..subpy_value::none() };
        assert!(tagged(ENUM, tuple(&[nowhere, text("N"), int])).contains("needs \"module:qualname\""));
        let class = subpy_pair { key: text(CLASS), value: text("m:C") };
        let field = subpy_pair { key: text("x"), value: int };
        let dict = |pairs: &[subpy_pair]| subpy_value::pointing(DICT, pairs.as_ptr().cast(), pairs.len());
        assert_eq!(tagged(DATACLASS, dict(&[class, field])), "");
        let number = subpy_pair { key: int, value: int };
        let lost = subpy_pair { key: nowhere, value: text("m:C") };
        for wrong in [&[][..], &[field, class], &[class, number], &[subpy_pair { value: int, ..class }], &[lost]] {
            assert!(tagged(DATACLASS, dict(wrong)).contains("needs the names of its fields"));
        }
    }
}
