//! What goes into Python and comes out of it, as a copy. None, bool, int, float, str, bytes, tuple, list and dict cross
//! exactly, in both directions. From Python, bytearray and memoryviews of bytes come out as BYTES. Anything else, an
//! instance of a subclass included, is SUBPY_ERROR_NOT_SHAREABLE, unless a flag asks for it
//! (SUBPY_INTERP_TAGGED_VALUES, SUBPY_RESULT_*). Only buffers, objects and queues (SUBPY_KIND_BUFFER, _OBJECT, _QUEUE)
//! are not copied. Values may be nested 1,000 levels deep.
//!
//! The constructors (subpy_int() and so on) allocate nothing and borrow what they are given, so there is nothing to
//! free. Only results own memory: see subpy_value.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use super::boundary;
use super::status::{SUBPY_AUTO_LEN, subpy_object, subpy_queue};
use crate::value::{self, subpy_buffer, subpy_pair, subpy_value};

/// A dict that claims to have more has none.
const MOST_PAIRS: usize = value::MOST_BYTES / size_of::<subpy_pair>();

/// None: the union is not used
pub const SUBPY_KIND_NONE: i32 = 0;
/// bool: as_bool
pub const SUBPY_KIND_BOOL: i32 = 1;
/// an int that fits into 64 bits: as_int
pub const SUBPY_KIND_INT: i32 = 2;
/// any other int: as_str, hexadecimal text such as "-0x1ff", of any length
pub const SUBPY_KIND_BIGINT: i32 = 3;
/// float: as_float, bit for bit
pub const SUBPY_KIND_FLOAT: i32 = 4;
/// str: as_str, UTF-8, which may contain NUL characters
pub const SUBPY_KIND_STR: i32 = 5;
/// bytes: as_bytes
pub const SUBPY_KIND_BYTES: i32 = 6;
/// tuple: as_items
pub const SUBPY_KIND_TUPLE: i32 = 7;
/// list: as_items
pub const SUBPY_KIND_LIST: i32 = 8;
/// dict: as_pairs, in insertion order
pub const SUBPY_KIND_DICT: i32 = 9;
/// an object that stays in Python: as_object
pub const SUBPY_KIND_OBJECT: i32 = 10;
/// memory that is shared and not copied: as_buffer
pub const SUBPY_KIND_BUFFER: i32 = 11;
/// a queue: as_queue
pub const SUBPY_KIND_QUEUE: i32 = 12;
/// the error of a row, only in results of subpy_function_call_many(), never an argument: as_error
pub const SUBPY_KIND_ERROR: i32 = 13;

/// set, as a LIST. This and the other tags are the low 8 bits of subpy_value.flags: what the value was in Python. A host
/// that does not know them reads the kind as ever. Results have them only in interpreters with
/// SUBPY_INTERP_TAGGED_VALUES; arguments may have them in any
pub const SUBPY_TAG_SET: u32 = 1;
/// frozenset, as a TUPLE
pub const SUBPY_TAG_FROZENSET: u32 = 2;
/// complex, as a TUPLE of two FLOAT
pub const SUBPY_TAG_COMPLEX: u32 = 3;
/// datetime.date, as a STR: isoformat()
pub const SUBPY_TAG_DATE: u32 = 4;
/// datetime.time, as a STR: isoformat()
pub const SUBPY_TAG_TIME: u32 = 5;
/// datetime.datetime, as a STR: isoformat()
pub const SUBPY_TAG_DATETIME: u32 = 6;
/// datetime.timedelta, as a TUPLE of three INT: days, seconds, microseconds
pub const SUBPY_TAG_TIMEDELTA: u32 = 7;
/// decimal.Decimal, as a STR: str()
pub const SUBPY_TAG_DECIMAL: u32 = 8;
/// uuid.UUID, as a STR: str()
pub const SUBPY_TAG_UUID: u32 = 9;
/// a member of an Enum, as a TUPLE: "module:qualname", its name, its value. Members of a Flag may have no name: ""
pub const SUBPY_TAG_ENUM: u32 = 10;
/// an instance of a dataclass, as a DICT: "__class__": "module:qualname", and then its fields
pub const SUBPY_TAG_DATACLASS: u32 = 11;

/// Python may write to the memory
pub const SUBPY_BUFFER_WRITABLE: u32 = 1;
/// The memory is lent for one call: when the call returns, Python's views of it are revoked. If something still uses
/// the memory then, such as a slice, the call is SUBPY_ERROR_BUSY although the code ran; those views stay safe, and
/// `release` is called when they are gone
pub const SUBPY_BUFFER_LENT: u32 = 2;

/// None. Like all constructors, for any thread.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_none() -> subpy_value {
    boundary::value(subpy_value::none(), subpy_value::none)
}

/// The bool `value`.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_bool(value: bool) -> subpy_value {
    // Compared as a number: a caller without a type for C's bool can pass more than 0 and 1.
    boundary::value(subpy_value::none(), || subpy_value::bool(u8::from(value) != 0).in_one_piece())
}

/// The int `value`.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_int(value: i64) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::int(value).in_one_piece())
}

/// The float `value`.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_float(value: f64) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::float(value).in_one_piece())
}

/// A str that borrows `text`, UTF-8, which is checked when the value is used. `len` in bytes, or SUBPY_AUTO_LEN.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_str(text: *const c_char, len: usize) -> subpy_value {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(subpy_value::none(), || unsafe { borrowed_text(value::STR, text, len) })
}

/// A bytes object that borrows `len` bytes from `data`. SUBPY_AUTO_LEN is an error, reported when the value is used.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_bytes(data: *const u8, len: usize) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::pointing(value::BYTES, data, len).in_one_piece())
}

/// An int of any size that borrows `hex`, text such as "0x1ff" or "-0x1ff". `len` in bytes, or SUBPY_AUTO_LEN.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_bigint(hex: *const c_char, len: usize) -> subpy_value {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value(subpy_value::none(), || unsafe { borrowed_text(value::BIGINT, hex, len) })
}

/// # Safety
/// With SUBPY_AUTO_LEN, `text` must be NULL or end with a NUL.
unsafe fn borrowed_text(kind: i32, text: *const c_char, len: usize) -> subpy_value {
    let len = match len {
        // SAFETY: promised by the caller. NULL keeps the impossible length, so that its use is an error.
        SUBPY_AUTO_LEN if !text.is_null() => unsafe { CStr::from_ptr(text) }.count_bytes(),
        len => len,
    };
    subpy_value::pointing(kind, text.cast(), len).in_one_piece()
}

/// A tuple that borrows `len` values, `items`.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_tuple(items: *const subpy_value, len: usize) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::pointing(value::TUPLE, items.cast(), len).in_one_piece())
}

/// A list that borrows `len` values, `items`.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_list(items: *const subpy_value, len: usize) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::pointing(value::LIST, items.cast(), len).in_one_piece())
}

/// A dict that borrows `len` pairs.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_dict(pairs: *const subpy_pair, len: usize) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::pointing(value::DICT, pairs.cast(), len).in_one_piece())
}

/// A memoryview of the memory that `buffer` describes. The struct must not change until the call that gets the value
/// has returned; the memory must stay until `release` is called.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_value_from_buffer(buffer: *const subpy_buffer) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::pointing(value::BUFFER, buffer.cast(), 0).in_one_piece())
}

/// An object of Python's, to be passed to its own interpreter. The handle stays the caller's.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_value_from_object(object: subpy_object) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::handle(value::OBJECT, object).in_one_piece())
}

/// A queue. The handle stays the caller's.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn subpy_value_from_queue(queue: subpy_queue) -> subpy_value {
    boundary::value(subpy_value::none(), || subpy_value::handle(value::QUEUE, queue).in_one_piece())
}

/// Look up a STR key in a DICT. The pairs are compared one by one.
///
/// @param dict  a DICT; in NULL and in values of other kinds nothing is found
/// @param key   in UTF-8
/// @param len   its length in bytes, or SUBPY_AUTO_LEN
/// @return the value, which is a part of the dict; NULL when there is no such key. Any thread.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_value_get(
    dict: *const subpy_value,
    key: *const c_char,
    len: usize,
) -> *const subpy_value {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(ptr::null(), || unsafe {
        let (Some(dict), Ok(key)) = (dict.as_ref(), boundary::bytes(key, len, "key")) else { return ptr::null() };
        if dict.kind != value::DICT || dict.pointer().is_null() || dict.len > MOST_PAIRS {
            return ptr::null();
        }
        let found = dict.pairs().iter().find(|pair| {
            let alike = pair.key.kind == value::STR && pair.key.len == key.len();
            alike && (key.is_empty() || !pair.key.pointer().is_null()) && pair.key.bytes() == key
        });
        found.map_or(ptr::null(), |pair| &pair.value)
    })
}

/// The block of memory that a result owns. All its items, pairs and texts lie in it, so a binding can copy the block as
/// a whole instead of following pointers one by one. Errors (SUBPY_KIND_ERROR) do not lie in it: a copy of the block
/// points to them until the result is freed.
///
/// @param value  a result
/// @param base   where the block begins; NULL when there is none; may be NULL
/// @param size   its size in bytes; 0 when there is none; may be NULL
/// @return whether the value owns a block. NONE, BOOL, INT and FLOAT do not, nor do parts of a result, nor values that
///         are not results. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_value_block(
    value: *const subpy_value,
    base: *mut *const c_void,
    size: *mut usize,
) -> bool {
    // SAFETY: the caller's pointers are as the declaration says.
    boundary::value(false, || unsafe {
        let block = value.as_ref().and_then(|value| value.block());
        if !base.is_null() {
            base.write(block.map_or(ptr::null(), |block| block.as_ptr().cast()));
        }
        if !size.is_null() {
            size.write(block.map_or(0, <[u8]>::len));
        }
        block.is_some()
    })
}

/// Free a result, and the errors in it, and make it None.
///
/// @param value  a result. NULL, a value from a constructor, a part of a result and a result that was freed are left as
///               they are
///
/// Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_value_free(value: *mut subpy_value) {
    // SAFETY: the caller's pointer is as the declaration says.
    boundary::value((), || unsafe {
        if let Some(value) = value.as_mut() {
            value.free();
        }
    });
}
