//! The ABI's value: the struct as it lies in memory, its checks, and results as one block of memory. No Python and no
//! policy here; everybody stands on it.
//!
//! | file | what |
//! |---|---|
//! | this one | `subpy_value`, its kinds, reading one |
//! | `check` | is a value from outside what it says? |
//! | `tag` | what a value stands for that has no kind of its own |
//! | `args` | arguments that were checked |
//! | `block` | a value that owns its memory, and the builder of its one block |
//! | `view` | reading a whole value safely |
//! | `buffer` | the host's memory, and who gives it back |
//! | `export` | memory that a result shares, or Rust does |
//! | `form` | parts of memory, as another process describes them |
//! | `element` | memory as Rust has it: owners, numbers |
//! | `text` | short texts, a word at a time |
//! | `exception` | an exception as plain text |
//! | `raw` | a block that comes as bytes |
//! | `reserve` | memory for when there is none |
//! | `wanted` | what a caller wants of a result |

mod args;
mod block;
mod buffer;
mod check;
mod element;
mod exception;
mod export;
mod form;
mod raw;
#[cfg(all(feature = "reserve", unix))]
mod reserve;
pub(crate) mod tag;
mod text;
mod view;
mod wanted;

use std::ffi::{c_char, c_void};

pub use args::{Args, Buffers, OwnedArgs, OwnedRows, Rows};
use block::Attachments;
pub use block::{Builder, Keep, NotCopied, OwnedValue};
pub(crate) use buffer::MOST_DIMENSIONS;
pub use buffer::{Claim, Claims, Tell};
pub(crate) use check::{check_alone, ints, is_plain};
#[cfg(feature = "capi")]
pub use check::{check_main_names, check_value};
pub use check::{check_owned_main_names, path_of, printable};
pub use element::{Element, Items, Unfit};
pub use exception::{Exception, Frame, Syntax};
pub use export::{Access, Export};
pub use form::{Form, Place};
pub use raw::RawBlock;
#[cfg(all(feature = "reserve", unix))]
pub use reserve::{Reserve, enough};
pub(crate) use tag::{TAG_BITS, check_tag};
pub(crate) use text::{SHORT, copy_text, ends, is_ascii, utf8};
pub use view::{ValueRef, View};
pub use wanted::{Results, Wanted};

/// Whether small allocations can count on a reserve. Without the feature, and on Windows, nobody holds one.
#[cfg(not(all(feature = "reserve", unix)))]
pub fn enough() -> bool {
    true
}

/// Containers may be nested this deep, in both directions.
pub(crate) const MAX_DEPTH: usize = 1000;

/// More than a process can have. No processor addresses more than 2^56 bytes for it, so a length beyond that is a mistake,
/// a negative number for example, and nothing is read.
pub(crate) const MOST_BYTES: usize = if usize::BITS == 64 { 1 << 56 } else { isize::MAX as usize };

/// Of dicts with so many entries or fewer, a key's text may lie in a block once for several: rows of a table have the
/// same keys. It is then the one that the last of these dicts with that many keys has in the same place.
pub(crate) const FEW_KEYS: usize = 16;

/// No longer text is shared so: a copy of the value, of which each key has a text of its own, would otherwise be larger
/// than that by any number of times.
pub(crate) const LONGEST_SHARED: usize = 256;

/// A value that crosses between the host and Python: 24 bytes on 64-bit systems. All bytes zero is None.
///
/// Arguments are borrowed: what a value points to must not change until the call returns.
///
/// A result is one block of memory, however deeply it is nested. It is owned by its root alone, the subpy_value that
/// the call has filled in: free that with subpy_value_free(). Its items and pairs are parts of it, and are gone with
/// it. If you copy the root, free only one of the copies.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_value {
    /// one of SUBPY_KIND_*
    pub kind: i32,
    /// one of SUBPY_TAG_* or 0; and in results the library's mark: a result may be passed as an argument, but any other
    /// bit is an error
    pub flags: u32,
    /// how many bytes (STR, BYTES, BIGINT), items (TUPLE, LIST) or pairs (DICT); ignored for the other kinds
    pub len: usize,
    /// the payload: the member that belongs to the kind
    pub u: subpy_value_data,
}

/// The payload of a subpy_value. BIGINT uses as_str; NONE uses nothing.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub union subpy_value_data {
    // `as_bool` (C's bool), `as_pairs` and `as_error` are added to the header by tools/header: a byte that C wrote
    // must not be read as a Rust bool before it was checked, cbindgen cannot order the cycle between subpy_value and
    // subpy_pair, and nothing here knows of errors.
    /// INT
    pub as_int: i64,
    /// FLOAT
    pub as_float: f64,
    /// STR: UTF-8, which ends with a NUL in results, but need not in arguments. BIGINT: hexadecimal, such as "-0x1ff"
    pub as_str: *const c_char,
    /// BYTES
    pub as_bytes: *const u8,
    /// TUPLE and LIST
    pub as_items: *const subpy_value,
    /// OBJECT: its handle
    pub as_object: u64,
    /// BUFFER
    pub as_buffer: *const subpy_buffer,
    /// QUEUE: its handle
    pub as_queue: u64,
}

/// Called once, when the library has made its last call with this `userdata`, so that it may be freed. On any thread,
/// without a GIL and without a lock of the library's, so it may call any function; it must return, not unwind. NULL:
/// nothing is called.
#[allow(non_camel_case_types)]
pub type subpy_finalize_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void)>;

/// Memory that is shared and not copied: the host's, which Python sees as a memoryview, or an object's of Python, in a
/// result. Python's counterpart: Py_buffer.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_buffer {
    /// sizeof(subpy_buffer)
    pub size: usize,
    /// the memory, which begins with the element that has the lowest address: with a negative stride that is not the
    /// first element
    pub data: *mut c_void,
    /// how many bytes there are from `data` on: exactly what the elements need, or, with strides, at least that
    pub len: usize,
    /// what the elements are, in the letters of Python's struct module; NULL: "B", bytes
    pub format: *const c_char,
    /// the size of an element in bytes; 0: what the format says
    pub itemsize: usize,
    /// how many elements there are in each of `ndim` dimensions; NULL: one dimension, of len / itemsize elements
    pub shape: *const usize,
    /// how many bytes there are from one element to the next in each dimension; NULL: C contiguous
    pub strides: *const isize,
    /// how many dimensions; 0: 1
    pub ndim: i32,
    /// SUBPY_BUFFER_*
    pub flags: u32,
    /// called, once for each time that the buffer was passed, when Python has let go of the memory; NULL: the memory
    /// must stay valid for ever
    pub release: subpy_finalize_fn,
    /// passed to `release`
    pub userdata: *mut c_void,
}

/// One entry of a DICT.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct subpy_pair {
    /// any value that Python can hash: no LIST and no DICT
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
pub(crate) const OBJECT: i32 = 10;
pub(crate) const BUFFER: i32 = 11;
pub(crate) const QUEUE: i32 = 12;
pub(crate) const ERROR: i32 = 13;

/// Marks the root of a result that owns a block: the upper half of `flags`. The lower half is free for flags to come.
const OWNS_BLOCK: u32 = 0x5355_0000;

/// Marks a BUFFER of the library's own, in `flags`: it points to a claim.
const CLAIMED: u32 = 0x100;

/// The same: it points to an export.
const EXPORTED: u32 = 0x200;

/// What the block of a container begins with; what the root points to comes behind it. That of text or bytes has none. As
/// large as malloc's alignment, so that values behind it are aligned.
#[repr(C, align(16))]
struct BlockHeader {
    /// In bytes, this header included.
    size: usize,
    /// What is to be dropped with the block.
    attached: Option<Box<Attachments>>,
}

const BLOCK_HEADER: usize = size_of::<BlockHeader>();

impl subpy_value {
    pub(crate) const fn none() -> subpy_value {
        subpy_value { kind: NONE, flags: 0, len: 0, u: subpy_value_data { as_int: 0 } }
    }

    pub(crate) fn int(value: i64) -> subpy_value {
        subpy_value { kind: INT, u: subpy_value_data { as_int: value }, ..subpy_value::none() }
    }

    /// C's bool is the first byte; all eight are written.
    pub(crate) fn bool(value: bool) -> subpy_value {
        let bytes = [u8::from(value), 0, 0, 0, 0, 0, 0, 0];
        subpy_value { kind: BOOL, u: subpy_value_data { as_int: i64::from_ne_bytes(bytes) }, ..subpy_value::none() }
    }

    pub(crate) fn float(value: f64) -> subpy_value {
        subpy_value { kind: FLOAT, u: subpy_value_data { as_float: value }, ..subpy_value::none() }
    }

    /// An object or a queue.
    pub(crate) fn handle(kind: i32, handle: u64) -> subpy_value {
        subpy_value { kind, u: subpy_value_data { as_object: handle }, ..subpy_value::none() }
    }

    /// A value whose `len` bytes, items or pairs lie at an offset of a block that is being built.
    pub(crate) fn at_offset(kind: i32, offset: usize, len: usize) -> subpy_value {
        subpy_value { kind, flags: 0, len, u: subpy_value_data { as_int: offset as i64 } }
    }

    /// A value that points to `len` bytes, items or pairs.
    pub(crate) fn pointing(kind: i32, data: *const u8, len: usize) -> subpy_value {
        subpy_value { kind, flags: 0, len, u: subpy_value_data { as_bytes: data } }
    }

    /// The same value, with its first 16 bytes written at once. C compilers copy a value in pieces of 16 and 8 bytes, and
    /// to read 16 bytes that were just written as twice 8 takes a processor several times as long as all the rest.
    #[cfg(feature = "capi")]
    #[inline]
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    pub(crate) fn in_one_piece(mut self) -> subpy_value {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{__m128i, _mm_set_epi64x, _mm_storeu_si128};
            let head = u64::from(self.flags) << 32 | u64::from(self.kind.cast_unsigned());
            // SAFETY: kind, flags and len are 16 bytes, and every x86-64 processor has these instructions. The empty
            // one keeps the compiler from taking the 16 bytes apart again.
            unsafe {
                let mut whole = _mm_set_epi64x(self.len.cast_signed() as i64, head.cast_signed());
                std::arch::asm!("/* {} */", inout(xmm_reg) whole, options(pure, nomem, nostack, preserves_flags));
                _mm_storeu_si128((&raw mut self).cast::<__m128i>(), whole);
            }
        }
        self
    }

    pub(crate) fn pointer(&self) -> *const u8 {
        // SAFETY: asked only of kinds that use it, so the caller or a constructor has set it. It is read as plain bits
        // here, and followed only by those who checked the kind.
        unsafe { self.u.as_bytes }
    }

    pub(crate) fn as_bool(&self) -> bool {
        // Any byte but 0 is true. The seven behind it are not read: who sets `as_bool` alone need not write them.
        // SAFETY: the first byte of the union, which the caller or a constructor has set.
        unsafe { (&raw const self.u).cast::<u8>().read() != 0 }
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

    /// The text of STR and BIGINT.
    ///
    /// # Safety
    /// As for [`subpy_value::bytes`].
    pub(crate) unsafe fn text<'a>(&self) -> &'a str {
        // SAFETY: promised by the caller; both are checked for UTF-8.
        unsafe { std::str::from_utf8_unchecked(self.bytes()) }
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

    /// The elements of a container; a DICT's are key, value, key, value...
    ///
    /// # Safety
    /// As for [`subpy_value::bytes`].
    pub(crate) unsafe fn elements<'a>(&self) -> &'a [subpy_value] {
        let each = element_size(self.kind) / size_of::<subpy_value>();
        // SAFETY: promised by the caller. A pair is two values and nothing else.
        unsafe { slice(self.pointer().cast(), self.len * each) }
    }

    /// Kind and flags, which lie side by side: one comparison is of both.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        u64::from(self.flags) << 32 | u64::from(self.kind.cast_unsigned())
    }

    /// TUPLE, LIST or DICT.
    #[inline]
    pub(crate) fn is_container(&self) -> bool {
        matches!(self.kind, TUPLE | LIST | DICT)
    }

    /// A BUFFER that points to a claim.
    pub(crate) fn is_claimed(&self) -> bool {
        self.kind == BUFFER && self.flags & CLAIMED != 0
    }

    /// A BUFFER that points to an export.
    fn is_exported(&self) -> bool {
        self.kind == BUFFER && self.flags & EXPORTED != 0
    }

    fn owns_block(&self) -> bool {
        self.flags & !(TAG_BITS | CLAIMED | EXPORTED) == OWNS_BLOCK && (element_size(self.kind) > 0 || self.is_handle())
    }

    /// OBJECT, BUFFER or QUEUE: what it stands for lies outside of the block. A root of these kinds has no block, but the
    /// list of what is to be dropped with it, where others have their length.
    #[inline]
    pub(crate) fn is_handle(&self) -> bool {
        matches!(self.kind, OBJECT | BUFFER | QUEUE)
    }

    /// The memory that a result points into, without its header; None for anything else.
    ///
    /// # Safety
    /// A value that carries the mark must be (a copy of) the root of a result that was not freed yet.
    pub(crate) unsafe fn block<'a>(&self) -> Option<&'a [u8]> {
        if !self.owns_block() || self.is_handle() {
            return None;
        }
        // SAFETY: the root of a result points behind the header of its block (`Builder::finish`), or to its bytes, behind
        // which a NUL is.
        unsafe {
            let size = if self.is_container() { (*self.header()).size - BLOCK_HEADER } else { self.len + 1 };
            Some(std::slice::from_raw_parts(self.pointer(), size))
        }
    }

    #[cfg(feature = "capi")]
    pub(crate) fn is_object(&self) -> bool {
        self.kind == OBJECT
    }

    fn header(&self) -> *mut BlockHeader {
        self.pointer().wrapping_sub(BLOCK_HEADER).cast_mut().cast()
    }

    /// Frees the block of a result and makes the value None; anything else is left alone.
    ///
    /// # Safety
    /// As for [`subpy_value::block`].
    pub(crate) unsafe fn free(&mut self) {
        // Most have no flags at all.
        if self.flags != 0 && self.owns_block() {
            // SAFETY: the root of a result points behind the header of its block, which malloc made (`Builder`), or to
            // the begin of one without a header; or it has its list (`Builder::finish_bytes`).
            unsafe {
                if self.is_container() {
                    let header = self.header();
                    if (*header).attached.is_some() {
                        drop((*header).attached.take());
                    }
                    libc::free(header.cast());
                } else if self.is_handle() {
                    drop(Attachments::from_len(self.len));
                } else {
                    libc::free(self.pointer().cast_mut().cast());
                }
            }
            *self = subpy_value::none();
        }
    }
}

/// A DICT of these entries, which must outlive it.
#[cfg(feature = "capi")]
pub(crate) fn dict_of(pairs: &[subpy_pair]) -> subpy_value {
    subpy_value::pointing(DICT, pairs.as_ptr().cast(), pairs.len())
}

/// A slice of `len` elements that allows NULL when there are none.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: promised by the callers: `len` elements, alive, aligned.
    unsafe { std::slice::from_raw_parts(data, len) }
}

/// The size of one element that a value of this kind points to, 0 when it points to none.
#[inline]
pub(crate) fn element_size(kind: i32) -> usize {
    match kind {
        STR | BYTES | BIGINT => 1,
        TUPLE | LIST => size_of::<subpy_value>(),
        DICT => size_of::<subpy_pair>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_24_bytes_and_zero_is_none() {
        assert_eq!(size_of::<subpy_value>(), 24);
        assert_eq!(size_of::<subpy_pair>(), 2 * size_of::<subpy_value>());
        assert_eq!(subpy_value::none().kind, NONE);
    }
}
