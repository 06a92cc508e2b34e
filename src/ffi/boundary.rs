//! What every export goes through: no panic gets out, no pointer is trusted to be there, no output is half written.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::subpy_error;
use super::status::{SUBPY_AUTO_LEN, SUBPY_ERROR_NO_MEMORY, SUBPY_OK, subpy_status};
use crate::manager::{self, Error, Kind, Ran, Result, forked};
use crate::value::{self, Args, Buffers, OwnedArgs, OwnedRows, OwnedValue, Rows, Wanted, subpy_pair, subpy_value};

/// A function that can fail and has no output.
///
/// # Safety
/// `error` must be NULL or point to room for one pointer.
#[inline]
pub unsafe fn status<E: Into<Box<Error>>>(
    error: *mut *mut subpy_error,
    body: impl FnOnce() -> Result<(), E>,
) -> subpy_status {
    // SAFETY: promised by the caller.
    unsafe {
        let failed = match forked() {
            true => Error::from(Kind::Forked).into(),
            false => match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => {
                    if !error.is_null() {
                        error.write(std::ptr::null_mut());
                    }
                    return SUBPY_OK;
                }
                Ok(Err(failed)) => failed.into(),
                Err(panic) => Error::from(Kind::Panic(panic_text(&*panic))).into(),
            },
        };
        failure(error, *failed)
    }
}

/// # Safety
/// As for [`status`].
#[cold]
unsafe fn failure(error: *mut *mut subpy_error, failed: Error) -> subpy_status {
    let status = failed.status();
    if !error.is_null() {
        // What there is no memory for is an error that nobody can keep.
        let lent = status == SUBPY_ERROR_NO_MEMORY && !value::enough();
        let failed = if lent { subpy_error::no_memory() } else { Box::into_raw(subpy_error::new(failed)) };
        // SAFETY: promised by the caller.
        unsafe { error.write(failed) }
    }
    status
}

/// A function that runs something, and gives a result if the caller wants one.
///
/// # Safety
/// As for [`status`]; `result` must be NULL or point to room for a value, whatever is in it. It may be one of the
/// arguments.
#[inline]
pub unsafe fn run(
    result: *mut subpy_value,
    error: *mut *mut subpy_error,
    body: impl FnOnce(Wanted) -> Ran,
) -> subpy_status {
    let mut value = OwnedValue::none();
    let wanted = Wanted::value((!result.is_null()).then_some(&mut value));
    // SAFETY: promised by the caller.
    unsafe {
        let status = status(error, || body(wanted));
        if !result.is_null() {
            result.write(if status == SUBPY_OK { value.into_raw() } else { subpy_value::none() });
        }
        status
    }
}

/// The same with one more output, which may be NULL; on failure it is made empty.
///
/// # Safety
/// As for [`run`] and [`output`].
pub unsafe fn run_and_output<T: Copy>(
    result: *mut subpy_value,
    output: *mut T,
    empty: T,
    error: *mut *mut subpy_error,
    body: impl FnOnce(Wanted, &mut T) -> Ran,
) -> subpy_status {
    let mut value = empty;
    // SAFETY: promised by the caller.
    unsafe {
        let status = run(result, error, |wanted| body(wanted, &mut value));
        if !output.is_null() {
            output.write(if status == SUBPY_OK { value } else { empty });
        }
        status
    }
}

/// A function that can fail and has one output, which may be NULL; on failure it is made empty.
///
/// # Safety
/// As for [`status`]; `output` must be NULL or point to room for a `T`, whatever is in it.
pub unsafe fn output<T: Copy>(
    output: *mut T,
    empty: T,
    error: *mut *mut subpy_error,
    body: impl FnOnce() -> Result<T>,
) -> subpy_status {
    let mut value = empty;
    // SAFETY: promised by the caller.
    unsafe {
        let status = status(error, || {
            value = body()?;
            Ok::<(), Error>(())
        });
        if !output.is_null() {
            output.write(if status == SUBPY_OK { value } else { empty });
        }
        status
    }
}

/// A function that cannot fail; a panic would give `otherwise`. Around what cannot panic, such as the constructors of
/// values, it compiles to nothing, and a test can demand the boundary of every export without a list of exceptions.
pub fn value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic").to_owned()
}

pub fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Kind::InvalidArgument(message.into()).into())
}

/// The bytes of a text parameter.
///
/// # Safety
/// `text` must point to `len` bytes, or to a NUL-terminated string when that is SUBPY_AUTO_LEN, or be NULL.
pub unsafe fn bytes<'a>(text: *const c_char, len: usize, name: &str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if text.is_null() {
        return invalid(format!("{name} is NULL"));
    }
    if len == SUBPY_AUTO_LEN {
        // SAFETY: promised by the caller.
        return Ok(unsafe { CStr::from_ptr(text) }.to_bytes());
    }
    if len > value::MOST_BYTES {
        return invalid(format!("the length of {name} is {len}, more than memory can hold"));
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { std::slice::from_raw_parts(text.cast(), len) })
}

/// A text parameter, which must be UTF-8.
///
/// # Safety
/// As for [`bytes`].
#[inline]
pub unsafe fn text<'a>(text: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    // SAFETY: promised by the caller.
    let bytes = unsafe { bytes(text, len, name)? };
    value::utf8(bytes).or_else(|error| invalid(format!("{name}: invalid UTF-8 at byte offset {}", error.valid_up_to())))
}

/// An optional text parameter that ends with a NUL.
///
/// # Safety
/// `pointer` must be NULL or point to a NUL-terminated string.
pub unsafe fn optional_text<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: promised by the caller.
    unsafe { text(pointer, SUBPY_AUTO_LEN, name).map(Some) }
}

/// Texts that end with a NUL, until a pointer that is NULL; none when there is no list.
///
/// # Safety
/// `list` must be NULL or point to pointers to NUL-terminated strings, the last of which is NULL.
pub unsafe fn texts<T: From<String>>(list: *const *const c_char, name: &str) -> Result<Vec<T>> {
    let mut texts = Vec::new();
    if list.is_null() {
        return Ok(texts);
    }
    loop {
        let index = texts.len();
        // SAFETY: promised by the caller: those before this one are not NULL.
        let Some(text) = (unsafe { optional_text(*list.add(index), &format!("{name}[{index}]"))? }) else {
            return Ok(texts);
        };
        texts.try_reserve(1).map_err(|_| Kind::NoMemory)?;
        texts.push(manager::copy(text)?.into());
    }
}

/// A struct whose first field is the caller's sizeof of it. An older caller's is shorter: its missing fields are zero.
/// A newer caller's is longer: what this library does not know must be zero.
///
/// # Safety
/// `options` must be NULL, which gives `T` with all bytes zero, or point to as many bytes as its first field says. All
/// bytes zero must be a valid `T`.
pub unsafe fn options<T: Copy>(options: *const T, name: &str) -> Result<T> {
    // SAFETY: promised by the caller.
    unsafe {
        let mut known: T = std::mem::zeroed();
        if options.is_null() {
            return Ok(known);
        }
        let size = options.cast::<usize>().read();
        if size < size_of::<usize>() || size > 64 * size_of::<T>() {
            return invalid(format!("{name}->size is {size}, set it to sizeof({name})"));
        }
        let theirs = std::slice::from_raw_parts(options.cast::<u8>(), size);
        if theirs.iter().skip(size_of::<T>()).any(|byte| *byte != 0) {
            return invalid(format!(
                "{name} has fields set that this version of subpy ({}) does not know",
                env!("CARGO_PKG_VERSION")
            ));
        }
        let copied = size.min(size_of::<T>());
        std::ptr::copy_nonoverlapping(theirs.as_ptr(), (&raw mut known).cast::<u8>(), copied);
        Ok(known)
    }
}

/// Takes the buffers among the arguments over, if there are any: from now on whoever passed them is told when they are
/// needed no more, whatever comes of the call. So nothing may be an invalid argument any more.
#[inline(always)]
pub fn claim(args: Args) -> Result<Option<OwnedArgs>> {
    if args.buffers.are_passed() { claim_some(args) } else { Ok(None) }
}

#[cold]
fn claim_some(args: Args) -> Result<Option<OwnedArgs>> {
    manager::claim(args).map(Some)
}

/// Makes a call, when there are buffers among its arguments. Apart, so that the others do not pay for it: nor do they put
/// all arguments into memory, to pass them in one piece.
#[cold]
#[inline(never)]
pub fn claimed(items: &[subpy_value], kwargs: &[subpy_pair], call: impl FnOnce(Args) -> Ran) -> Ran {
    call(manager::claim(Args { items, kwargs, buffers: Buffers::Passed })?.args())
}

/// As `claim`, of many calls.
#[inline(always)]
pub fn claim_rows(rows: Rows) -> Result<Option<OwnedRows>> {
    if !rows.buffers().are_passed() {
        return Ok(None);
    }
    manager::claim_rows(rows).map(Some)
}

/// Refuses flag bits that do not exist.
pub fn known_flags(flags: u64, known: u64, name: &str) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => invalid(format!("{name} has unknown bits set: {unknown:#x}")),
    }
}

/// No version of a struct that is filled in will be as large: a size beyond it was not set.
const LARGEST_INFO: usize = 4096;

/// A function that can fail and fills in a struct of the caller's that begins with its size: at least `oldest` bytes, as
/// older callers have them, and maybe more than this library knows. What it does not know is made zero, and on failure all
/// but the size. A size that makes no sense is refused, and nothing is written. `body` gets the size.
///
/// # Safety
/// As for [`status`]; `place` must be NULL, or point to as many bytes as its first field says, a `usize`.
pub unsafe fn info<T: Copy>(
    place: *mut T,
    oldest: usize,
    parameter: &str,
    error: *mut *mut subpy_error,
    body: impl FnOnce(usize) -> Result<T>,
) -> subpy_status {
    let name = std::any::type_name::<T>().rsplit(':').next().unwrap_or_default();
    // SAFETY: promised by the caller: so many bytes.
    unsafe {
        let size = if place.is_null() { 0 } else { place.cast::<usize>().read() };
        let fits = (oldest..=LARGEST_INFO).contains(&size);
        if fits {
            place.cast::<u8>().add(size_of::<usize>()).write_bytes(0, size - size_of::<usize>());
        }
        status(error, || {
            if place.is_null() {
                return invalid(format!("{parameter} is NULL"));
            }
            if !fits {
                return invalid(format!("{name}.size is {size}, set it to sizeof({name})"));
            }
            let info = body(size)?;
            std::ptr::copy_nonoverlapping((&raw const info).cast::<u8>(), place.cast(), size.min(size_of::<T>()));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::{subpy_error_free, subpy_error_message, subpy_error_status};

    #[test]
    fn a_panic_becomes_a_status_and_the_output_is_empty() {
        let mut error = std::ptr::null_mut();
        let mut out = 7;
        // Other tests that panic say so.
        let (own, before) = (std::thread::current().id(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() != own {
                before(info)
            }
        }));
        // SAFETY: pointers to locals.
        unsafe {
            assert_eq!(output(&mut out, 0, &mut error, || panic!("on purpose")), -15);
            assert_eq!(out, 0);
            assert_eq!(subpy_error_status(error), -15);
            let message = CStr::from_ptr(subpy_error_message(error, std::ptr::null_mut()));
            assert!(message.to_str().unwrap().contains("on purpose"));
            subpy_error_free(error);
        }
        assert_eq!(value(3, || panic!("again")), 3);
    }

    #[test]
    fn success_writes_the_output_and_no_error() {
        let mut error = std::ptr::dangling_mut();
        let mut out = 0;
        // SAFETY: pointers to locals.
        unsafe { assert_eq!(output(&mut out, 0, &mut error, || Ok(5)), 0) };
        assert_eq!(out, 5);
        assert!(error.is_null());
        // SAFETY: NULL is allowed for both.
        unsafe { assert_eq!(output(std::ptr::null_mut(), 0, std::ptr::null_mut(), || Ok(5)), 0) };
    }
}
