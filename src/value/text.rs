//! Short texts, a word at a time: a loop over bytes, or a call, costs more than most of them do.

use std::ptr;
use std::str::{self, Utf8Error};

/// The first eight and the last eight bytes. A text of up to 16 bytes is told from all others by these and its length.
#[inline]
pub(crate) fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_ne_bytes(*first), u64::from_ne_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u32::from_ne_bytes(*first).into(), u32::from_ne_bytes(*last).into());
    }
    match *text {
        [] => (0, 0),
        [first] => (first.into(), 0),
        [first, .., last] => (u64::from(first) | u64::from(text[1]) << 8, last.into()),
    }
}

/// How long a text may be that `ends` tells from all others.
pub(crate) const SHORT: usize = 16;

/// Like the standard library's, in half the time: short texts as two words, long ones with no look at each word.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    if text.len() > SHORT {
        return is_long_ascii(text);
    }
    let (first, last) = ends(text);
    (first | last) & 0x8080_8080_8080_8080 == 0
}

/// The compiler makes vector instructions of the loops over rows.
fn is_long_ascii(text: &[u8]) -> bool {
    let any = |bytes: &[u8]| bytes.iter().fold(0, |any, byte| any | byte);
    let (long, rest) = text.as_chunks::<128>();
    let (short, _) = rest.as_chunks::<SHORT>();
    let end = &text[text.len() - SHORT..];
    long.iter().all(|row| any(row) < 0x80) && short.iter().fold(any(end), |all, row| all | any(row)) < 0x80
}

/// Like the standard library's, which takes three times as long to see that a short text is ASCII.
#[inline]
pub(crate) fn utf8(text: &[u8]) -> Result<&str, Utf8Error> {
    if is_ascii(text) {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { str::from_utf8_unchecked(text) });
    }
    other_utf8(text)
}

#[inline(never)]
fn other_utf8(text: &[u8]) -> Result<&str, Utf8Error> {
    // It does not say where an error is.
    simdutf8::basic::from_utf8(text).or_else(|_| str::from_utf8(text))
}

/// Copies a text.
///
/// # Safety
/// There must be room for it, elsewhere.
#[inline]
pub(crate) unsafe fn copy_text(text: &[u8], to: *mut u8) {
    // SAFETY: promised by the caller: none of these goes beyond the end of the text.
    unsafe {
        let end = to.add(text.len());
        if text.len() > SHORT {
            ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
        } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            to.cast::<[u8; 8]>().write(*first);
            end.sub(8).cast::<[u8; 8]>().write(*last);
        } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            to.cast::<[u8; 4]>().write(*first);
            end.sub(4).cast::<[u8; 4]>().write(*last);
        } else if let [first, .., last] = text {
            to.write(*first);
            to.add(1).write(text[1]);
            end.sub(1).write(*last);
        } else if let [only] = text {
            to.write(*only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_more_is_seen_wherever_it_is() {
        let text: Vec<u8> = (0..300u32).map(|index| b'a' + (index % 26) as u8).collect();
        for len in 0..=text.len() {
            let plain = &text[..len];
            assert!(is_ascii(plain), "{len}");
            let mut copy = vec![b'.'; len + 1];
            // SAFETY: it has room, and for one more.
            unsafe { copy_text(plain, copy.as_mut_ptr()) };
            assert_eq!((&copy[..len], copy[len]), (plain, b'.'));
            for at in 0..len {
                let mut other = plain.to_vec();
                assert_eq!(utf8(&other), str::from_utf8(plain));
                other[at] = 0x80;
                assert_eq!(utf8(&other), str::from_utf8(&other));
                assert!(!is_ascii(&other), "{at} of {len}");
                other[at] = b'A';
                assert!(is_ascii(&other) && (len > SHORT || ends(&other) != ends(plain)), "{at} of {len}");
            }
        }
    }
}
