//! Objects that stay in Python. A handle holds a reference to the object; an object belongs to an interpreter, and once
//! that is closed, what is done with the object is SUBPY_ERROR_NOT_FOUND.
//!
//! A run gives such a handle with SUBPY_RESULT_OBJECT, and with SUBPY_RESULT_OBJECTS one for each part of its result
//! that has no value. These handles belong to the result, and go with subpy_value_free(): subpy_object_keep() makes one
//! that stays. A prepared function is an object, and what can be called is a function: their handles may be used for
//! each other.

use std::ffi::c_char;

use super::boundary::{self, invalid, known_flags, text};
use super::error::subpy_error;
use super::run::{RESULT_FLAGS, SUBPY_RUN_ASYNC};
use super::status::{subpy_interp, subpy_object, subpy_status};
use crate::manager::{self, Act};
use crate::value::{Args, OwnedArgs, Results, Wanted, subpy_value};

/// Make another handle of an object, for example of one in a result, whose own handle is gone with the result.
///
/// @param object  the object
/// @param own     another handle of the same object, not NULL; to be freed with subpy_object_free()
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_INVALID_ARGUMENT when `own` is NULL; SUBPY_ERROR_NOT_FOUND; SUBPY_ERROR_NO_MEMORY
///
/// Runs no Python. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_keep(
    object: subpy_object,
    own: *mut subpy_object,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(own, 0, error, || {
            if own.is_null() {
                return invalid("own is NULL: nobody could use or free it");
            }
            manager::object_keep(object)
        })
    }
}

/// Read an attribute. Python: getattr().
///
/// @param object  the object
/// @param name    the attribute's name, in UTF-8
/// @param len     its length in bytes, or SUBPY_AUTO_LEN
/// @param flags   0 or SUBPY_RESULT_*
/// @param result  its value, to be freed with subpy_value_free(); NULL: it is not converted at all
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; any error of subpy_eval(). No such attribute is SUBPY_ERROR_EXECUTION_FAILED with an AttributeError.
///         SUBPY_ERROR_NOT_FOUND when the object was freed, or its interpreter closed
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_attr(
    object: subpy_object,
    name: *const c_char,
    len: usize,
    flags: u32,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let wanted = in_form(wanted, flags)?;
            manager::object_act(object, Act::Attribute(text(name, len, "name")?), wanted)
        })
    }
}

/// Read an item. Python: object[key].
///
/// @param object  the object: a list, a dict, anything that can be subscripted
/// @param key     the index or key, not NULL
/// @param flags   0 or SUBPY_RESULT_*
/// @param result  the item's value, to be freed with subpy_value_free(); NULL: it is not converted at all
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_object_attr(); no such item is SUBPY_ERROR_EXECUTION_FAILED with a KeyError or an IndexError
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_item(
    object: subpy_object,
    key: *const subpy_value,
    flags: u32,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let wanted = in_form(wanted, flags)?;
            if key.is_null() {
                return Ok(invalid("key is NULL")?);
            }
            let args = Args::check(key, 1, std::ptr::null());
            let args = args.or_else(|reason| invalid(reason.replacen("args[0]", "key", 1)))?;
            let owned = boundary::claim(args)?;
            let args = owned.as_ref().map_or(args, OwnedArgs::args);
            manager::object_act(object, Act::Item(args), wanted)
        })
    }
}

/// Call an object, or a method of it.
///
/// @param object  the object
/// @param method  the method's name, in UTF-8; NULL: the object itself is called
/// @param len     the length of the name in bytes, or SUBPY_AUTO_LEN; 0 when it is NULL
/// @param args    `nargs` positional arguments, copied into the interpreter; may be NULL when that is 0
/// @param nargs   how many
/// @param kwargs  keyword arguments, copied too: a DICT with STR keys; NULL: none
/// @param flags   0, SUBPY_RESULT_* and SUBPY_RUN_ASYNC
/// @param result  what it returns, to be freed with subpy_value_free(); NULL: that is not converted at all
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_object_attr(); any error of subpy_call()
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_call(
    object: subpy_object,
    method: *const c_char,
    len: usize,
    args: *const subpy_value,
    nargs: usize,
    kwargs: *const subpy_value,
    flags: u32,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let wanted = finished(wanted, flags)?;
            let method = if method.is_null() && len == 0 { None } else { Some(text(method, len, "method")?) };
            let args = Args::check(args, nargs, kwargs).or_else(invalid)?;
            let owned = boundary::claim(args)?;
            let args = owned.as_ref().map_or(args, OwnedArgs::args);
            manager::object_act(object, Act::Call(method, args), wanted)
        })
    }
}

/// Make an iterator. Python: iter().
///
/// @param object    the object: a list, a dict, a generator, anything that can be iterated over
/// @param iterator  receives the iterator, not NULL; for subpy_object_next(), and to be freed with subpy_object_free()
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_object_attr(); SUBPY_ERROR_EXECUTION_FAILED with a TypeError when it cannot be iterated over
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_iter(
    object: subpy_object,
    iterator: *mut subpy_object,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::output(iterator, 0, error, || {
            if iterator.is_null() {
                return invalid("iterator is NULL: nobody could use or free it");
            }
            manager::object_iter(object)
        })
    }
}

/// Take the next element of an iterator: of a generator, say. Python: next().
///
/// @param iterator  the iterator
/// @param flags     0 or SUBPY_RESULT_*
/// @param more      receives whether there was one, not NULL: false at the end, and on failure
/// @param result    the element, to be freed with subpy_value_free(), None at the end; NULL: it is not converted at all
/// @param error     optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK, also at the end; as subpy_object_attr(); SUBPY_ERROR_EXECUTION_FAILED with a TypeError when it is no
///         iterator (subpy_object_iter()). An element that has no value is SUBPY_ERROR_NOT_SHAREABLE, and was taken
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_next(
    iterator: subpy_object,
    flags: u32,
    more: *mut bool,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run_and_output(result, more, false, error, |wanted, found| {
            let wanted = in_form(wanted, flags)?;
            if more.is_null() {
                return Ok(invalid("more is NULL: nobody would know the end")?);
            }
            manager::object_act(iterator, Act::Next(found), wanted)
        })
    }
}

/// The value of an object, as runs have it: a copy.
///
/// @param object  the object
/// @param flags   0 or SUBPY_RESULT_*; SUBPY_RUN_ASYNC: await the object, a coroutine for example, and give its result
/// @param result  the value, to be freed with subpy_value_free(); NULL: it is not converted at all
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_object_attr(); SUBPY_ERROR_NOT_SHAREABLE when it has none
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_value(
    object: subpy_object,
    flags: u32,
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe {
        boundary::run(result, error, |wanted| {
            let wanted = finished(wanted, flags)?;
            manager::object_act(object, Act::Value, wanted)
        })
    }
}

/// An object as text. Python: str().
///
/// @param object  the object
/// @param text    a STR, to be freed with subpy_value_free(); NULL: it is made and thrown away
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return as subpy_object_attr()
///
/// Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_text(
    object: subpy_object,
    text: *mut subpy_value,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::run(text, error, |wanted| manager::object_act(object, Act::Text, wanted)) }
}

/// The interpreter that an object belongs to.
///
/// @param object  the object
/// @param interp  receives its interpreter, which may have been closed; 0 on failure; may be NULL
/// @param error   optional; set on failure, to be freed with subpy_error_free()
/// @return SUBPY_OK; SUBPY_ERROR_NOT_FOUND
///
/// Runs no Python. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subpy_object_interp(
    object: subpy_object,
    interp: *mut subpy_interp,
    error: *mut *mut subpy_error,
) -> subpy_status {
    // SAFETY: the caller's pointers are as the declaration says.
    unsafe { boundary::output(interp, 0, error, || manager::object_interp(object)) }
}

/// Free a handle. If it was the last one, the reference to the object is dropped when the interpreter is entered next.
///
/// @param object  the object; 0, or one that was freed already, is ignored
///
/// Never blocks and runs no Python; works after subpy_close() and subpy_shutdown() too. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn subpy_object_free(object: subpy_object) {
    boundary::value((), || {
        // In a fork a lock may be held by a thread that does not exist there.
        if !manager::forked() {
            manager::object_free(object);
        }
    });
}

fn in_form(wanted: Wanted<'_>, flags: u32) -> manager::Result<Wanted<'_>> {
    with_flags(wanted, flags, RESULT_FLAGS)
}

/// The same for what may give an awaitable.
fn finished(wanted: Wanted<'_>, flags: u32) -> manager::Result<Wanted<'_>> {
    with_flags(wanted, flags, RESULT_FLAGS | SUBPY_RUN_ASYNC)
}

fn with_flags(wanted: Wanted<'_>, flags: u32, known: u32) -> manager::Result<Wanted<'_>> {
    known_flags(flags.into(), known.into(), "flags")?;
    Ok(wanted.with(Results::of_flags(flags)))
}
