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
    if is_utf8(text) {
        // SAFETY: it is.
        return Ok(unsafe { str::from_utf8_unchecked(text) });
    }
    str::from_utf8(text)
}

/// How far a letter is: what may come next. A state is where the one after it lies in an entry of `STEPS`, in bits.
const WRONG: u64 = 0;
const BETWEEN: u64 = 6;
const ONE_MORE: u64 = 12;
const TWO_MORE: u64 = 18;
const THREE_MORE: u64 = 24;
const AFTER_E0: u64 = 30;
const AFTER_ED: u64 = 36;
const AFTER_F0: u64 = 42;
const AFTER_F4: u64 = 48;

/// For each byte the states that follow each state: a step is a look-up and a shift, without a branch.
static STEPS: [u64; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let first = match byte {
            0x00..=0x7f => BETWEEN,
            0xc2..=0xdf => ONE_MORE,
            0xe0 => AFTER_E0,
            0xed => AFTER_ED,
            0xe1..=0xef => TWO_MORE,
            0xf0 => AFTER_F0,
            0xf1..=0xf3 => THREE_MORE,
            0xf4 => AFTER_F4,
            _ => WRONG,
        };
        steps[byte] = first << BETWEEN;
        if matches!(byte, 0x80..=0xbf) {
            steps[byte] |= BETWEEN << ONE_MORE | ONE_MORE << TWO_MORE | TWO_MORE << THREE_MORE;
            steps[byte] |= if byte < 0xa0 { ONE_MORE << AFTER_ED } else { ONE_MORE << AFTER_E0 };
            steps[byte] |= if byte < 0x90 { TWO_MORE << AFTER_F4 } else { TWO_MORE << AFTER_F0 };
        }
        byte += 1;
    }
    steps
};

const ALL_HIGH: u128 = u128::from_ne_bytes([0x80; SHORT]);

/// Takes half as long as the standard library's for text that is not ASCII.
fn is_utf8(text: &[u8]) -> bool {
    let after = |state: u64, bytes: &[u8]| {
        bytes.iter().fold(state, |state, byte| STEPS[usize::from(*byte)] >> (state % 64)) % 64
    };
    let (rows, rest) = text.as_chunks::<SHORT>();
    let state = rows.iter().fold(BETWEEN, |state, row| {
        if state == BETWEEN && u128::from_ne_bytes(*row) & ALL_HIGH == 0 { state } else { after(state, row) }
    });
    after(state, rest) == BETWEEN
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
    fn utf8_is_told_from_all_else() {
        let bytes = [0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed];
        let bytes: Vec<u8> = bytes.into_iter().chain([0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff]).collect();
        let count = bytes.len();
        for index in 0..count.pow(4) {
            let four = [0, 1, 2, 3].map(|place| bytes[index / count.pow(place) % count]);
            assert_eq!(is_utf8(&four), str::from_utf8(&four).is_ok(), "{four:x?}");
        }
        let text = "Grüße, мир! \u{10ffff} and long enough for more than one row, \u{800}\u{d7ff}".as_bytes();
        for end in 0..=text.len() {
            for start in 0..=end {
                let part = &text[start..end];
                assert_eq!(utf8(part), str::from_utf8(part));
            }
        }
    }

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
