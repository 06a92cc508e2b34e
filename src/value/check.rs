//! Is a value from outside what it says it is? What is wrong is named with the way to it.

use super::tag::{TAG_BITS, check_tag};
use super::{
    BIGINT, BOOL, BUFFER, BYTES, CLAIMED, DICT, ERROR, EXPORTED, FLOAT, INT, LIST, MAX_DEPTH, MOST_BYTES, NONE, OBJECT,
    OWNS_BLOCK, OwnedValue, QUEUE, STR, TUPLE, buffer, element_size, is_ascii, subpy_pair, subpy_value, utf8,
};

/// Checks a DICT of names to values (keyword arguments, prepare_main) and returns its entries, and whether there are
/// buffers in them.
///
/// # Safety
/// As for `Args::check`.
pub unsafe fn check_names<'a>(dict: &subpy_value, what: &str) -> Result<(&'a [subpy_pair], bool), String> {
    if dict.kind != DICT {
        return Err(format!("{what}: kind is {}, must be SUBPY_KIND_DICT with str keys", kind_name(dict.kind)));
    }
    if dict.flags != 0 {
        check_untagged(dict).map_err(|reason| format!("{what}: {reason}"))?;
    }
    // SAFETY: promised by the caller; the check comes before the entries are read.
    let (pairs, buffers) = unsafe {
        let buffers = check(dict).map_err(|bad| bad.at(what))?;
        (dict.pairs(), buffers)
    };
    for (index, pair) in pairs.iter().enumerate() {
        if pair.key.flags != 0 {
            check_untagged(&pair.key).map_err(|reason| format!("{what}: key {index}: {reason}"))?;
        }
        if pair.key.kind != STR {
            return Err(format!("{what}: key {index} is {}, must be SUBPY_KIND_STR", kind_name(pair.key.kind)));
        }
    }
    Ok((pairs, buffers))
}

const KIND_NONE: u64 = NONE as u64;
const KIND_BOOL: u64 = BOOL as u64;
const KIND_INT: u64 = INT as u64;
const KIND_FLOAT: u64 = FLOAT as u64;

/// One of the kinds that point nowhere, without flags: nothing can be wrong with it.
#[inline]
pub(crate) fn is_plain(value: &subpy_value) -> bool {
    matches!(value.head(), KIND_NONE | KIND_BOOL | KIND_INT | KIND_FLOAT)
}

/// How many of the first elements are ints, in fours: rows of numbers are long.
#[inline]
pub(crate) fn ints(elements: &[subpy_value]) -> usize {
    let (fours, _) = elements.as_chunks::<4>();
    let are_ints =
        |four: &&[subpy_value; 4]| four.iter().fold(0, |other, value| other | (value.head() ^ KIND_INT)) == 0;
    fours.iter().take_while(are_ints).count() * 4
}

pub(super) fn check_len<T>(len: usize) -> Result<(), String> {
    if len > MOST_BYTES / size_of::<T>() {
        return Err(format!("len is {len}, more than memory can hold"));
    }
    Ok(())
}

/// What is wrong with a value, and the way to it from the value that was checked.
pub(super) struct BadValue {
    path: String,
    reason: String,
}

impl BadValue {
    pub(super) fn at(&self, root: &str) -> String {
        format!("{root}{}: {}", self.path, self.reason)
    }
}

/// One container on the way down: what it is, its elements (a dict's are key, value, key, value...), how many are done.
struct Level<'a> {
    kind: i32,
    elements: &'a [subpy_value],
    next: usize,
}

/// Checks a value and everything below it, without recursion: host threads may have small stacks. Whether there are
/// buffers in it.
pub(super) unsafe fn check(root: &subpy_value) -> Result<bool, BadValue> {
    // The first one is no container: it has the root.
    let mut outer: Vec<Level> = Vec::new();
    let mut claimed = false;
    let mut level = Level { kind: NONE, elements: std::slice::from_ref(root), next: 0 };
    loop {
        let Some(value) = level.elements.get(level.next) else {
            match outer.pop() {
                Some(container) => level = container,
                None => return Ok(claimed),
            }
            continue;
        };
        level.next += 1;
        // SAFETY: promised by the caller.
        if is_plain(value) || unsafe { is_ascii_text(value) } {
            if value.kind == INT && level.kind != DICT {
                level.next += ints(&level.elements[level.next..]);
            }
            continue;
        }
        // SAFETY: promised by the caller.
        if let Err(reason) = unsafe { check_shallow(value) } {
            outer.push(level);
            let levels = outer[1..].iter().map(|level| (level.kind, level.elements, level.next - 1));
            // SAFETY: promised by the caller; the elements on the way were checked.
            return Err(BadValue { path: unsafe { path_of(levels) }, reason });
        }
        if !value.is_container() {
            claimed |= matches!(value.kind, BUFFER | OBJECT | QUEUE);
        } else {
            if outer.len() == MAX_DEPTH {
                return Err(BadValue {
                    path: String::new(),
                    reason: format!("nested deeper than {MAX_DEPTH} levels, or it contains itself"),
                });
            }
            // SAFETY: the container was checked.
            let elements = unsafe { value.elements() };
            outer.push(std::mem::replace(&mut level, Level { kind: value.kind, elements, next: 0 }));
        }
    }
}

/// A STR, without flags, in which nothing can be wrong: most are.
#[inline]
unsafe fn is_ascii_text(value: &subpy_value) -> bool {
    // SAFETY: promised by the caller.
    value.head() == STR as u64
        && !value.pointer().is_null()
        && value.len <= MOST_BYTES
        && unsafe { is_ascii(value.bytes()) }
}

/// Checks a value without the elements that it may have, but those that its tag asks for.
///
/// # Safety
/// As for `check`.
#[inline(never)]
pub(crate) unsafe fn check_alone(value: &subpy_value) -> Result<(), String> {
    // SAFETY: promised by the caller.
    unsafe { check_shallow(value) }
}

/// The same, as a part of `check`.
#[inline(always)]
unsafe fn check_shallow(value: &subpy_value) -> Result<(), String> {
    let size = element_size(value.kind);
    if value.kind == ERROR {
        return Err("SUBPY_KIND_ERROR cannot be passed to Python".into());
    }
    if size == 0 && !matches!(value.kind, NONE | BOOL | INT | FLOAT | OBJECT | BUFFER | QUEUE) {
        return Err(format!("kind {} is not one of SUBPY_KIND_*", value.kind));
    }
    check_flags(value)?;
    if size == 0 {
        // SAFETY: promised by the caller; what is no buffer points nowhere.
        return unsafe {
            check_tag(value)?;
            if value.kind == BUFFER && !value.is_claimed() { buffer::check(value) } else { Ok(()) }
        };
    }
    if value.len > 0 && value.pointer().is_null() {
        let len = if value.len == usize::MAX { String::new() } else { format!(" with len {}", value.len) };
        return Err(format!("{}{len} points to NULL", kind_name(value.kind)));
    }
    if value.len > MOST_BYTES / size {
        let hint =
            if value.len == usize::MAX { " (SUBPY_AUTO_LEN works for text alone, through subpy_str())" } else { "" };
        return Err(format!("{}: len {} is more than memory can hold{hint}", kind_name(value.kind), value.len));
    }
    // SAFETY: promised by the caller: `len` bytes.
    unsafe {
        check_tag(value)?;
        match value.kind {
            STR => check_utf8(value.bytes()),
            BIGINT => check_bigint(value.bytes()),
            _ => Ok(()),
        }
    }
}

/// A tag, and the mark of a result that is passed back as an argument; nothing else, so that the bits stay free.
pub(super) fn check_flags(value: &subpy_value) -> Result<(), String> {
    match value.flags & !TAG_BITS {
        0 => Ok(()),
        OWNS_BLOCK if element_size(value.kind) > 0 || value.is_handle() => Ok(()),
        _ if value.kind == BUFFER && value.flags & !(CLAIMED | EXPORTED | OWNS_BLOCK) == 0 => Ok(()),
        flags => {
            let bits = if flags & !OWNS_BLOCK == 0 { flags } else { flags & !OWNS_BLOCK };
            Err(format!("flags has unknown bits set: {bits:#x}; they must be 0"))
        }
    }
}

/// What is to be what its kind says, such as the name of an argument. The other bits are checked as well.
pub(super) fn check_untagged(value: &subpy_value) -> Result<(), String> {
    check_flags(value)?;
    if value.tag() == 0 { Ok(()) } else { Err(format!("must have no tag, has {}", value.tag())) }
}

fn check_utf8(bytes: &[u8]) -> Result<(), String> {
    utf8(bytes).map(|_| ()).map_err(|error| format!("invalid UTF-8 at byte offset {}", error.valid_up_to()))
}

fn check_bigint(text: &[u8]) -> Result<(), String> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits.strip_prefix(b"0x") {
        Some(hex) if !hex.is_empty() && hex.iter().all(u8::is_ascii_hexdigit) => Ok(()),
        _ => {
            let shown = String::from_utf8_lossy(&text[..text.len().min(40)]);
            Err(format!("SUBPY_KIND_BIGINT must be hexadecimal like \"-0x1ff\", got {shown:?}"))
        }
    }
}

/// Checks names for `__main__` (prepare_main) and what they are bound to, and returns the entries, and whether there are
/// buffers in them.
///
/// # Safety
/// As for `Args::check`.
pub unsafe fn check_main_names<'a>(names: &subpy_value) -> Result<(&'a [subpy_pair], bool), String> {
    // SAFETY: promised by the caller.
    unsafe {
        let (pairs, buffers) = check_names(names, "names")?;
        if pairs.is_empty() {
            return Err("names must be a non-empty dict".into());
        }
        match pairs.iter().position(|pair| pair.key.bytes().contains(&0)) {
            Some(index) => Err(format!("names: key {index} has an embedded NUL character")),
            None => Ok((pairs, buffers)),
        }
    }
}

/// The same, of an owned DICT.
pub fn check_owned_main_names(names: &OwnedValue) -> Result<&[subpy_pair], String> {
    // SAFETY: an owned value is complete.
    unsafe { check_main_names(names.as_value()) }.map(|(pairs, _)| pairs)
}

/// Checks a value; a message calls it `name`. Whether there are buffers in it.
///
/// # Safety
/// All that it points to must be as it says.
#[cfg(feature = "capi")]
pub unsafe fn check_value(value: &subpy_value, name: &str) -> Result<bool, String> {
    // SAFETY: promised by the caller.
    unsafe { check(value) }.map_err(|bad| bad.at(name))
}

pub fn kind_name(kind: i32) -> String {
    match kind {
        NONE => "SUBPY_KIND_NONE".into(),
        BOOL => "SUBPY_KIND_BOOL".into(),
        INT => "SUBPY_KIND_INT".into(),
        BIGINT => "SUBPY_KIND_BIGINT".into(),
        FLOAT => "SUBPY_KIND_FLOAT".into(),
        STR => "SUBPY_KIND_STR".into(),
        BYTES => "SUBPY_KIND_BYTES".into(),
        TUPLE => "SUBPY_KIND_TUPLE".into(),
        LIST => "SUBPY_KIND_LIST".into(),
        DICT => "SUBPY_KIND_DICT".into(),
        OBJECT => "SUBPY_KIND_OBJECT".into(),
        BUFFER => "SUBPY_KIND_BUFFER".into(),
        QUEUE => "SUBPY_KIND_QUEUE".into(),
        ERROR => "SUBPY_KIND_ERROR".into(),
        other => format!("{other} (no SUBPY_KIND_*)"),
    }
}

/// `[3]['x']`: the way from the root to an element. Built only when there is an error. Each container on the way has its
/// kind, its elements, and the place among them of the one that comes next.
///
/// # Safety
/// The values must be checked, up to the one that is the last on the way.
pub unsafe fn path_of<'a>(levels: impl Iterator<Item = (i32, &'a [subpy_value], usize)>) -> String {
    let mut path = String::new();
    for (kind, elements, index) in levels {
        if kind != DICT {
            path.push_str(&format!("[{index}]"));
        } else if index.is_multiple_of(2) {
            path.push_str(&format!(" key {}", index / 2));
        } else {
            // SAFETY: the key was checked before its value.
            path.push_str(&unsafe { key_text(&elements[index - 1]) });
        }
    }
    path
}

/// How a key looks in a path.
unsafe fn key_text(key: &subpy_value) -> String {
    match key.kind {
        // SAFETY: promised by the caller: a checked value.
        STR => format!("['{}']", printable(unsafe { std::str::from_utf8_unchecked(key.bytes()) })),
        INT => format!("[{}]", key.as_int()),
        BOOL => format!("[{}]", if key.as_bool() { "True" } else { "False" }),
        NONE => "[None]".into(),
        kind => format!("[<{}>]", kind_name(kind)),
    }
}

/// A message is one line, and not a long one, whatever a key holds.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 1100;
    let mut printable = String::new();
    for letter in text.chars().take(LONGEST) {
        if letter.is_control() { printable.extend(letter.escape_default()) } else { printable.push(letter) }
    }
    if text.chars().nth(LONGEST).is_some() {
        printable.push_str("...");
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::ptr;

    fn text(text: &'static str) -> subpy_value {
        subpy_value::pointing(STR, text.as_ptr(), text.len())
    }

    fn message(value: &subpy_value) -> String {
        // SAFETY: the tests' values point to what they say, but for those that must be refused.
        unsafe { check(value) }.err().map_or_else(String::new, |bad| bad.at("args[0]"))
    }

    #[test]
    fn errors_name_the_path_and_the_reason() {
        let bad = [subpy_value::int(1), subpy_value { kind: 77, ..subpy_value::none() }];
        let list = subpy_value::pointing(LIST, bad.as_ptr().cast(), 2);
        let pairs = [subpy_pair { key: text("x"), value: list }];
        let dict = subpy_value::pointing(DICT, pairs.as_ptr().cast(), 1);
        assert_eq!(message(&dict), "args[0]['x'][1]: kind 77 is not one of SUBPY_KIND_*");
        let invalid = subpy_value::pointing(STR, b"ab\xff".as_ptr(), 3);
        assert_eq!(message(&invalid), "args[0]: invalid UTF-8 at byte offset 2");
        assert!(message(&subpy_value::pointing(LIST, ptr::null(), 3)).contains("points to NULL"));
        assert!(message(&subpy_value::pointing(BYTES, b"x".as_ptr(), usize::MAX)).contains("SUBPY_AUTO_LEN"));
        assert!(message(&text("12")).is_empty());
        for good in [subpy_value::int(1), text("x")] {
            for flags in [1 << 8, 1 << 15, 1 << 16, 1 << 31, OWNS_BLOCK | 1 << 8, u32::MAX] {
                let bad = message(&subpy_value { flags, ..good });
                assert!(bad.contains("flags has unknown bits set"), "{flags:#x}: {bad}");
            }
        }
        assert!(message(&subpy_value { flags: OWNS_BLOCK, ..subpy_value::int(1) }).contains("unknown bits"));
        assert!(message(&subpy_value { flags: OWNS_BLOCK, ..text("x") }).is_empty());
        for wrong in ["", "12", "0x", "--0x1", "0x1g", "0X1f"] {
            let bigint = subpy_value::pointing(BIGINT, wrong.as_ptr(), wrong.len());
            assert!(message(&bigint).contains("hexadecimal"), "{wrong}");
        }
    }

    #[test]
    fn a_long_key_is_cut_in_messages() {
        let long = "k".repeat(1 << 20);
        let key = subpy_value::pointing(STR, long.as_ptr(), long.len());
        let pair = subpy_pair { key, value: subpy_value { kind: 77, ..subpy_value::none() } };
        let said = message(&subpy_value::pointing(DICT, (&raw const pair).cast(), 1));
        assert!(said.starts_with("args[0]['kkk") && said.contains("...']: kind 77") && said.len() < 2000, "{said}");
    }

    #[test]
    fn a_value_that_contains_itself_is_refused() {
        let items = std::cell::Cell::new([subpy_value::none(), subpy_value::none()]);
        let list = subpy_value::pointing(LIST, items.as_ptr().cast(), 2);
        items.set([subpy_value::none(), list]);
        assert!(message(&list).contains("contains itself"));
    }

    #[test]
    fn depth_1000_is_the_limit() {
        let mut chain = vec![subpy_value::none(); 1001];
        for index in 1..chain.len() {
            chain[index] = subpy_value::pointing(LIST, (&raw const chain[index - 1]).cast(), 1);
        }
        assert_eq!(message(&chain[1000]), "");
        let deeper = subpy_value::pointing(TUPLE, (&raw const chain[1000]).cast(), 1);
        assert!(message(&deeper).contains("1000 levels"));
    }
}
