//! `subpy_value` as it lies in memory, checked before it is read, and results as one block of memory.

use std::ffi::c_char;
use std::mem::ManuallyDrop;
use std::ptr;

/// Containers may be nested this deep, in both directions.
pub(crate) const MAX_DEPTH: usize = 1000;

/// A value that crosses between the host and Python: 24 bytes on 64-bit systems; all bytes zero is None.
///
/// Arguments are borrowed: what a value points to must stay as it is until the call returns. A result is one block of
/// memory however deeply it is nested, owned by its root alone: free the root with subpy_value_free(). Copying the
/// struct moves the ownership, so free one of the copies.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_value {
    /// one of SUBPY_KIND_*
    pub kind: i32,
    /// the library's own; ignored on input, so zero or anything else
    pub flags: u32,
    /// bytes (STR, BYTES, BIGINT), items (TUPLE, LIST) or pairs (DICT); ignored for the other kinds
    pub len: usize,
    /// the member that belongs to the kind
    pub u: subpy_value_data,
}

/// The payload of a subpy_value. BIGINT uses as_str; NONE uses nothing.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub union subpy_value_data {
    // `as_bool` (C's bool) and `as_pairs` are added to the header by build.rs: a byte that C wrote must not be read as
    // a Rust bool before it was checked, and cbindgen cannot order the cycle between subpy_value and subpy_pair.
    /// INT
    pub as_int: i64,
    /// FLOAT
    pub as_float: f64,
    /// STR: UTF-8, not necessarily NUL-terminated on input, always in results. BIGINT: hexadecimal, "-0x1ff"
    pub as_str: *const c_char,
    /// BYTES
    pub as_bytes: *const u8,
    /// TUPLE and LIST
    pub as_items: *const subpy_value,
}

/// One entry of a DICT.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_pair {
    /// any value that is hashable in Python
    pub key: subpy_value,
    /// any value
    pub value: subpy_value,
}

pub(crate) const NONE: i32 = 0;
pub(crate) const BOOL: i32 = 1;
pub(crate) const INT: i32 = 2;
pub(crate) const BIGINT: i32 = 3;
pub(crate) const FLOAT: i32 = 4;
pub(crate) const STR: i32 = 5;
pub(crate) const BYTES: i32 = 6;
pub(crate) const TUPLE: i32 = 7;
pub(crate) const LIST: i32 = 8;
pub(crate) const DICT: i32 = 9;

/// Marks the root of a result that owns a block.
const OWNS_BLOCK: u32 = 0x5355_4250;

/// A block begins with its size in bytes, this header included; what the root points to comes behind it. As large as
/// malloc's alignment, so that values behind it are aligned.
const BLOCK_HEADER: usize = 16;

impl subpy_value {
    pub(crate) const fn none() -> subpy_value {
        subpy_value { kind: NONE, flags: 0, len: 0, u: subpy_value_data { as_int: 0 } }
    }

    pub(crate) fn int(value: i64) -> subpy_value {
        subpy_value { kind: INT, u: subpy_value_data { as_int: value }, ..subpy_value::none() }
    }

    /// All eight bytes of the union are written.
    pub(crate) fn bool(value: bool) -> subpy_value {
        subpy_value { kind: BOOL, u: subpy_value_data { as_int: i64::from(value) }, ..subpy_value::none() }
    }

    pub(crate) fn float(value: f64) -> subpy_value {
        subpy_value { kind: FLOAT, u: subpy_value_data { as_float: value }, ..subpy_value::none() }
    }

    /// A value whose `len` bytes, items or pairs lie at an offset of a block that is being built.
    pub(crate) fn at_offset(kind: i32, offset: usize, len: usize) -> subpy_value {
        subpy_value { kind, flags: 0, len, u: subpy_value_data { as_int: offset as i64 } }
    }

    /// A value that points to `len` bytes, items or pairs.
    pub(crate) fn pointing(kind: i32, data: *const u8, len: usize) -> subpy_value {
        subpy_value { kind, flags: 0, len, u: subpy_value_data { as_bytes: data } }
    }

    pub(crate) fn pointer(&self) -> *const u8 {
        // SAFETY: the union is eight bytes that are always initialised (constructors and C's zeroing write them all);
        // a pointer is read as plain bits here, and followed only by those who checked the kind.
        unsafe { self.u.as_bytes }
    }

    pub(crate) fn as_bool(&self) -> bool {
        // Only the first byte in memory is C's bool; any non-zero byte is true.
        // SAFETY: every byte of the union is initialised, see `pointer`.
        unsafe { self.u.as_int.to_ne_bytes()[0] != 0 }
    }

    pub(crate) fn as_int(&self) -> i64 {
        // SAFETY: every bit pattern is an i64, see `pointer`.
        unsafe { self.u.as_int }
    }

    pub(crate) fn as_float(&self) -> f64 {
        // SAFETY: every bit pattern is an f64, see `pointer`.
        unsafe { self.u.as_float }
    }

    /// The text or bytes of STR, BYTES and BIGINT.
    ///
    /// # Safety
    /// The value must have been checked, or have been made by the library, and what it points to must be alive.
    pub(crate) unsafe fn bytes<'a>(&self) -> &'a [u8] {
        // SAFETY: promised by the caller.
        unsafe { slice(self.pointer(), self.len) }
    }

    /// The items of TUPLE and LIST.
    ///
    /// # Safety
    /// As for [`subpy_value::bytes`].
    pub(crate) unsafe fn items<'a>(&self) -> &'a [subpy_value] {
        // SAFETY: promised by the caller.
        unsafe { slice(self.pointer().cast(), self.len) }
    }

    /// The entries of a DICT.
    ///
    /// # Safety
    /// As for [`subpy_value::bytes`].
    pub(crate) unsafe fn pairs<'a>(&self) -> &'a [subpy_pair] {
        // SAFETY: promised by the caller.
        unsafe { slice(self.pointer().cast(), self.len) }
    }

    fn owns_block(&self) -> bool {
        self.flags == OWNS_BLOCK && element_size(self.kind) > 0
    }

    /// The memory that a result points into, without its header; None for anything else.
    ///
    /// # Safety
    /// A value that carries the mark must be (a copy of) the root of a result that was not freed yet.
    pub(crate) unsafe fn block<'a>(&self) -> Option<&'a [u8]> {
        if !self.owns_block() {
            return None;
        }
        // SAFETY: the root of a result points behind the header of its block (`Builder::finish`).
        unsafe {
            let size = self.pointer().sub(BLOCK_HEADER).cast::<usize>().read();
            Some(std::slice::from_raw_parts(self.pointer(), size - BLOCK_HEADER))
        }
    }

    /// Frees the block of a result and makes the value None; anything else is left alone.
    ///
    /// # Safety
    /// As for [`subpy_value::block`].
    pub(crate) unsafe fn free(&mut self) {
        if self.owns_block() {
            // SAFETY: the root of a result points behind the header of its block, which malloc made (`Builder`).
            unsafe { libc::free(self.pointer().sub(BLOCK_HEADER).cast_mut().cast()) }
            *self = subpy_value::none();
        }
    }
}

/// A slice of `len` elements that allows NULL when there are none.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: promised by the callers: `len` elements, alive, aligned.
    unsafe { std::slice::from_raw_parts(data, len) }
}

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
        // SAFETY: an owned value is complete, and lives as long as it is borrowed.
        unsafe { Args { items: items.as_value().items(), kwargs: kwargs.as_value().pairs() } }
    }

    /// The same, when nothing is known of what they hold.
    pub fn check_owned(items: &'a OwnedValue, kwargs: &'a OwnedValue) -> Result<Args<'a>, String> {
        let args = Args::of(items, kwargs);
        // SAFETY: an owned value is complete.
        unsafe { Args::check(args.items.as_ptr(), args.items.len(), kwargs.as_value()) }
    }

    /// Copies them into memory of their own, as a TUPLE and a DICT.
    pub fn to_owned(self) -> Option<(OwnedValue, OwnedValue)> {
        let items = subpy_value::pointing(TUPLE, self.items.as_ptr().cast(), self.items.len());
        let kwargs = subpy_value::pointing(DICT, self.kwargs.as_ptr().cast(), self.kwargs.len());
        Some((OwnedValue::copy_of(&items)?, OwnedValue::copy_of(&kwargs)?))
    }

    /// # Safety
    /// `items` must point to `len` values, `kwargs` to one or be NULL, and all that they point to must be as they say.
    #[inline(always)]
    pub unsafe fn check(items: *const subpy_value, len: usize, kwargs: *const subpy_value) -> Result<Args<'a>, String> {
        // Most calls have a few plain values: nothing can be wrong with those.
        if kwargs.is_null() && len <= 8 && (len == 0 || !items.is_null()) {
            // SAFETY: promised by the caller.
            let items: &[subpy_value] = unsafe { slice(items, len) };
            if items.iter().all(|item| is_plain(item.kind)) {
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
            if !is_plain(item.kind) {
                // SAFETY: as above.
                unsafe { check(item) }.map_err(|bad| bad.at(&format!("args[{index}]")))?;
            }
        }
        if kwargs.is_null() {
            return Ok(Args { items, kwargs: &[] });
        }
        // SAFETY: not NULL, promised by the caller.
        let kwargs = unsafe { &*kwargs };
        if kwargs.kind == NONE {
            return Ok(Args { items, kwargs: &[] });
        }
        // SAFETY: as above.
        let kwargs = unsafe { check_names(kwargs, "kwargs")? };
        Ok(Args { items, kwargs })
    }
}

/// Checks a DICT of names to values (keyword arguments, prepare_main) and returns its entries.
///
/// # Safety
/// As for [`Args::check`].
pub unsafe fn check_names<'a>(dict: &subpy_value, what: &str) -> Result<&'a [subpy_pair], String> {
    if dict.kind != DICT {
        return Err(format!("{what}: kind is {}, must be SUBPY_KIND_DICT with str keys", kind_name(dict.kind)));
    }
    // SAFETY: promised by the caller; the check comes before the entries are read.
    let pairs = unsafe {
        check(dict).map_err(|bad| bad.at(what))?;
        dict.pairs()
    };
    for (index, pair) in pairs.iter().enumerate() {
        if pair.key.kind != STR {
            return Err(format!("{what}: key {index} is {}, must be SUBPY_KIND_STR", kind_name(pair.key.kind)));
        }
    }
    Ok(pairs)
}

#[inline]
fn is_plain(kind: i32) -> bool {
    matches!(kind, NONE | BOOL | INT | FLOAT)
}

/// The size of one element that a value of this kind points to, 0 when it points to none.
fn element_size(kind: i32) -> usize {
    match kind {
        STR | BYTES | BIGINT => 1,
        TUPLE | LIST => size_of::<subpy_value>(),
        DICT => size_of::<subpy_pair>(),
        _ => 0,
    }
}

fn check_len<T>(len: usize) -> Result<(), String> {
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(format!("len is {len}, more than memory can hold"));
    }
    Ok(())
}

/// What is wrong with a value, and the way to it from the value that was checked.
struct BadValue {
    path: String,
    reason: String,
}

impl BadValue {
    fn at(&self, root: &str) -> String {
        format!("{root}{}: {}", self.path, self.reason)
    }
}

/// One container on the way down: where it is, how many of its elements are done.
struct Level<'a> {
    container: &'a subpy_value,
    next: usize,
}

/// Checks a value and everything below it, without recursion: host threads may have small stacks.
unsafe fn check(root: &subpy_value) -> Result<(), BadValue> {
    let mut levels: Vec<Level> = Vec::new();
    let fail = |levels: &[Level], reason: String| Err(BadValue { path: input_path(levels), reason });
    let mut value = root;
    loop {
        if !is_plain(value.kind) {
            // SAFETY: promised by the caller.
            if let Err(reason) = unsafe { check_shallow(value) } {
                return fail(&levels, reason);
            }
            if matches!(value.kind, TUPLE | LIST | DICT) {
                if levels.len() == MAX_DEPTH {
                    return Err(BadValue {
                        path: String::new(),
                        reason: format!("nested deeper than {MAX_DEPTH} levels, or it contains itself"),
                    });
                }
                levels.push(Level { container: value, next: 0 });
            }
        }
        // On to the next element of the innermost container that has one left.
        value = loop {
            let Some(level) = levels.last_mut() else { return Ok(()) };
            if level.container.kind != DICT {
                // SAFETY: the container was checked when it was entered.
                let rest = unsafe { &level.container.items()[level.next..] };
                // Most elements are plain, and nothing can be wrong with those.
                level.next += rest.iter().take_while(|element| is_plain(element.kind)).count();
            }
            // SAFETY: as above.
            match unsafe { element(level.container, level.next) } {
                Some(element) => {
                    level.next += 1;
                    break element;
                }
                None => levels.pop(),
            };
        };
    }
}

/// The n-th element of a container; a DICT's are key, value, key, value...
unsafe fn element<'a>(container: &subpy_value, n: usize) -> Option<&'a subpy_value> {
    // SAFETY: promised by the caller: a checked container.
    unsafe {
        if container.kind != DICT {
            return container.items().get(n);
        }
        let pair = container.pairs().get(n / 2)?;
        Some(if n.is_multiple_of(2) { &pair.key } else { &pair.value })
    }
}

unsafe fn check_shallow(value: &subpy_value) -> Result<(), String> {
    let size = element_size(value.kind);
    if size == 0 {
        return Err(format!("kind {} is not one of SUBPY_KIND_*", value.kind));
    }
    if value.len > 0 && value.pointer().is_null() {
        let len = if value.len == usize::MAX { String::new() } else { format!(" with len {}", value.len) };
        return Err(format!("{}{len} points to NULL", kind_name(value.kind)));
    }
    if value.len > isize::MAX as usize / size {
        let hint =
            if value.len == usize::MAX { " (SUBPY_AUTO_LEN works for text alone, through subpy_str())" } else { "" };
        return Err(format!("{}: len {} is more than memory can hold{hint}", kind_name(value.kind), value.len));
    }
    // SAFETY: promised by the caller: `len` bytes.
    unsafe {
        match value.kind {
            STR => check_utf8(value.bytes()),
            BIGINT => check_bigint(value.bytes()),
            _ => Ok(()),
        }
    }
}

fn check_utf8(bytes: &[u8]) -> Result<(), String> {
    std::str::from_utf8(bytes)
        .map(|_| ())
        .map_err(|error| format!("invalid UTF-8 at byte offset {}", error.valid_up_to()))
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

/// Checks names for `__main__` (prepare_main) and what they are bound to, and returns the entries.
///
/// # Safety
/// As for [`Args::check`].
pub unsafe fn check_main_names<'a>(names: &subpy_value) -> Result<&'a [subpy_pair], String> {
    // SAFETY: promised by the caller.
    unsafe {
        let pairs = check_names(names, "names")?;
        if pairs.is_empty() {
            return Err("names must be a non-empty dict".into());
        }
        match pairs.iter().position(|pair| pair.key.bytes().contains(&0)) {
            Some(index) => Err(format!("names: key {index} has an embedded NUL character")),
            None => Ok(pairs),
        }
    }
}

/// The same, of an owned DICT.
pub fn check_owned_main_names(names: &OwnedValue) -> Result<&[subpy_pair], String> {
    // SAFETY: an owned value is complete.
    unsafe { check_main_names(names.as_value()) }
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
        other => format!("{other} (no SUBPY_KIND_*)"),
    }
}

/// `[3]['x']`: the way from the root to the element that is looked at now. Built only when there is an error.
fn input_path(levels: &[Level]) -> String {
    let mut path = String::new();
    for level in levels {
        let index = level.next - 1;
        if level.container.kind != DICT {
            path.push_str(&format!("[{index}]"));
            continue;
        }
        // SAFETY: `next` was advanced past an element that is there, in a container that was checked.
        let key = unsafe { &level.container.pairs()[index / 2].key };
        if index.is_multiple_of(2) {
            path.push_str(&format!(" key {}", index / 2));
        } else {
            // SAFETY: the key was checked before its value.
            path.push_str(&unsafe { key_text(key) });
        }
    }
    path
}

/// How a key looks in a path.
unsafe fn key_text(key: &subpy_value) -> String {
    match key.kind {
        // SAFETY: promised by the caller: a checked value.
        STR => format!("['{}']", printable(&String::from_utf8_lossy(unsafe { key.bytes() }))),
        INT => format!("[{}]", key.as_int()),
        BOOL => format!("[{}]", if key.as_bool() { "True" } else { "False" }),
        NONE => "[None]".into(),
        kind => format!("[<{}>]", kind_name(kind)),
    }
}

/// A message is one line, whatever a key holds.
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { printable.extend(letter.escape_default()) } else { printable.push(letter) }
    }
    printable
}

/// A value that owns the memory it points to.
pub struct OwnedValue(ManuallyDrop<subpy_value>);

// SAFETY: a value is plain memory that nobody else points to.
unsafe impl Send for OwnedValue {}

impl OwnedValue {
    pub fn none() -> OwnedValue {
        OwnedValue(ManuallyDrop::new(subpy_value::none()))
    }

    #[inline]
    pub fn int(value: i64) -> OwnedValue {
        OwnedValue(ManuallyDrop::new(subpy_value::int(value)))
    }

    /// Hands the value, and the duty to free it, over to C.
    pub fn into_raw(self) -> subpy_value {
        *ManuallyDrop::new(self).0
    }

    pub fn as_value(&self) -> &subpy_value {
        &self.0
    }

    /// A deep copy of checked arguments, for a run on another thread.
    pub fn copy_of(root: &subpy_value) -> Option<OwnedValue> {
        let mut builder = Builder::new();
        let mut root_copy = *root;
        // Every value that was copied and whose contents were not yet: where it lies in the block (None: the root).
        let mut pending: Vec<(Option<usize>, subpy_value)> = vec![(None, *root)];
        while let Some((place, value)) = pending.pop() {
            let size = element_size(value.kind);
            let mut copy = subpy_value { flags: 0, ..value };
            if size > 0 {
                // SAFETY: a checked value.
                let bytes = unsafe { slice(value.pointer(), value.len * size) };
                let start = builder.append(bytes, size > 1)?;
                copy.u.as_int = start as i64;
                let values = value.len * size / size_of::<subpy_value>();
                if size > 1 {
                    for index in 0..values {
                        let at = start + index * size_of::<subpy_value>();
                        pending.push((Some(at), builder.read(at)));
                    }
                }
            }
            match place {
                Some(at) => builder.write(at, copy),
                None => root_copy = copy,
            }
        }
        Some(builder.finish(root_copy))
    }
}

impl Drop for OwnedValue {
    fn drop(&mut self) {
        // SAFETY: the root of a result; into_raw() keeps a value that was handed over from getting here.
        unsafe { self.0.free() }
    }
}

/// An owned value, or a part of one, to be read.
#[derive(Clone, Copy)]
pub struct ValueRef<'a>(&'a subpy_value);

/// What a value is. The elements of the last three are at [`ValueRef::element`].
pub enum View<'a> {
    None,
    Bool(bool),
    Int(i64),
    BigInt(&'a str),
    Float(f64),
    Str(&'a str),
    Bytes(&'a [u8]),
    Tuple,
    List,
    Dict,
}

impl OwnedValue {
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef(&self.0)
    }
}

impl<'a> ValueRef<'a> {
    pub fn view(self) -> View<'a> {
        // SAFETY: an owned value is complete, and its text is UTF-8.
        let text = || unsafe { std::str::from_utf8_unchecked(self.0.bytes()) };
        match self.0.kind {
            BOOL => View::Bool(self.0.as_bool()),
            INT => View::Int(self.0.as_int()),
            BIGINT => View::BigInt(text()),
            FLOAT => View::Float(self.0.as_float()),
            STR => View::Str(text()),
            // SAFETY: as above.
            BYTES => View::Bytes(unsafe { self.0.bytes() }),
            TUPLE => View::Tuple,
            LIST => View::List,
            DICT => View::Dict,
            _ => View::None,
        }
    }

    /// The n-th element of a container; a DICT's are key, value, key, value...
    pub fn element(self, n: usize) -> Option<ValueRef<'a>> {
        if !matches!(self.0.kind, TUPLE | LIST | DICT) {
            return None;
        }
        // SAFETY: an owned value is complete.
        unsafe { element(self.0, n) }.map(ValueRef)
    }
}

/// The one block of a result while it grows. Until `finish`, values hold offsets into the block instead of pointers.
pub struct Builder {
    data: *mut u8,
    len: usize,
    capacity: usize,
    /// Where the values lie in the block that `finish` has to turn into pointers.
    pointing: Vec<usize>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder { data: ptr::null_mut(), len: BLOCK_HEADER, capacity: 0, pointing: Vec::new() }
    }

    /// Room for `size` more bytes, aligned for values, or for text with a NUL behind it; its offset. None: no memory.
    fn reserve(&mut self, size: usize, values: bool) -> Option<usize> {
        let start = if values { self.len.next_multiple_of(align_of::<subpy_value>()) } else { self.len };
        let end = start.checked_add(size)?.checked_add(usize::from(!values))?;
        // An empty container needs a block too, since the root's pointer is what is freed. Exact for the first piece:
        // most results are one string or one flat list.
        if end > self.capacity {
            let capacity = end.max(self.capacity.checked_mul(2)?);
            // SAFETY: `data` is NULL or came from realloc.
            let data = unsafe { libc::realloc(self.data.cast(), capacity) };
            if data.is_null() {
                return None;
            }
            (self.data, self.capacity) = (data.cast(), capacity);
        }
        self.len = end;
        Some(start)
    }

    /// Appends bytes (of values, or of text, which gets a NUL behind it) and returns their offset.
    pub fn append(&mut self, bytes: &[u8], values: bool) -> Option<usize> {
        let start = self.reserve(bytes.len(), values)?;
        // SAFETY: `reserve` made room for them, and for the NUL.
        unsafe {
            let target = self.data.add(start);
            ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
            if !values {
                *target.add(bytes.len()) = 0;
            }
        }
        Some(start)
    }

    /// Room for an array of `count` values, each of which is to be written; its offset.
    pub fn array(&mut self, count: usize) -> Option<usize> {
        self.reserve(count.checked_mul(size_of::<subpy_value>())?, true)
    }

    fn read(&self, at: usize) -> subpy_value {
        debug_assert!(at + size_of::<subpy_value>() <= self.len);
        // SAFETY: `at` is an element of an array that was appended, thus aligned and initialised.
        unsafe { self.data.add(at).cast::<subpy_value>().read() }
    }

    /// Writes one element of an array, once.
    #[inline]
    pub fn write(&mut self, at: usize, value: subpy_value) {
        debug_assert!(at + size_of::<subpy_value>() <= self.len);
        // SAFETY: `at` is an element of an array in the block, thus aligned.
        unsafe { self.data.add(at).cast::<subpy_value>().write(value) }
        if element_size(value.kind) > 0 {
            self.pointing.push(at);
        }
    }

    /// Turns offsets into pointers. The first thing that was appended lies right behind the header, and the root is what
    /// points to it: so the root knows its block.
    pub fn finish(mut self, root: subpy_value) -> OwnedValue {
        let base = std::mem::replace(&mut self.data, ptr::null_mut());
        // SAFETY: an offset into the block.
        let fix = |value: &mut subpy_value| value.u.as_bytes = unsafe { base.add(value.u.as_int as usize) };
        for &at in &self.pointing {
            // SAFETY: a value that was written into the block.
            fix(unsafe { &mut *base.add(at).cast::<subpy_value>() });
        }
        let mut root = root;
        if element_size(root.kind) > 0 {
            debug_assert!(root.as_int() == BLOCK_HEADER as i64);
            // SAFETY: the header of a block that has at least one piece.
            unsafe { base.cast::<usize>().write(self.len) }
            fix(&mut root);
            root.flags = OWNS_BLOCK;
        }
        OwnedValue(ManuallyDrop::new(root))
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // SAFETY: NULL, or a block that was not handed over.
        unsafe { libc::free(self.data.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> subpy_value {
        subpy_value::pointing(STR, text.as_ptr(), text.len())
    }

    fn message(value: &subpy_value) -> String {
        // SAFETY: the tests' values point to what they say, but for those that must be refused.
        unsafe { check(value) }.err().map_or_else(String::new, |bad| bad.at("args[0]"))
    }

    #[test]
    fn a_value_is_24_bytes_and_zero_is_none() {
        assert_eq!(size_of::<subpy_value>(), 24);
        assert_eq!(size_of::<subpy_pair>(), 48);
        assert_eq!(subpy_value::none().kind, NONE);
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
        for wrong in ["", "12", "0x", "--0x1", "0x1g", "0X1f"] {
            let bigint = subpy_value::pointing(BIGINT, wrong.as_ptr(), wrong.len());
            assert!(message(&bigint).contains("hexadecimal"), "{wrong}");
        }
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

    #[test]
    fn a_copy_is_independent_and_complete() {
        let items = [subpy_value::int(7), text("h\u{e9}llo"), subpy_value::float(1.5)];
        let list = subpy_value::pointing(LIST, items.as_ptr().cast(), 3);
        let pairs =
            [subpy_pair { key: text("k"), value: list }, subpy_pair { key: subpy_value::bool(true), value: text("") }];
        let dict = subpy_value::pointing(DICT, pairs.as_ptr().cast(), 2);
        let copy = OwnedValue::copy_of(&dict).unwrap();
        // SAFETY: the copy is alive and complete.
        unsafe {
            let copied = copy.as_value().pairs();
            assert_ne!(copied.as_ptr(), pairs.as_ptr());
            assert_eq!(copied[0].key.bytes(), b"k");
            let inner = copied[0].value.items();
            assert_eq!(inner[0].as_int(), 7);
            assert_eq!(inner[1].bytes(), "h\u{e9}llo".as_bytes());
            assert_eq!(inner[2].as_float(), 1.5);
            assert!(copied[1].key.as_bool());
            assert_eq!(copied[1].value.bytes(), b"");
        }
        assert_eq!(OwnedValue::copy_of(&subpy_value::int(3)).unwrap().into_raw().as_int(), 3);
    }

    #[test]
    fn free_empties_a_result_and_nothing_else() {
        let mut copy = OwnedValue::copy_of(&text("abc")).unwrap().into_raw();
        // SAFETY: a result, and values that own nothing.
        unsafe {
            copy.free();
            assert_eq!(copy.kind, NONE);
            copy.free();
            let mut borrowed = text("abc");
            borrowed.free();
            assert_eq!(borrowed.kind, STR);
        }
    }
}
