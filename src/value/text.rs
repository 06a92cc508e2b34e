//! Short texts, a word at a time: a loop over bytes, or a call, costs more than most of them do.

/// The first eight and the last eight bytes. A text of up to 16 bytes is told from all others by these and its length.
#[inline]
pub fn ends(text: &[u8]) -> (u64, u64) {
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
pub const SHORT: usize = 16;

#[inline]
pub fn is_ascii(text: &[u8]) -> bool {
    if text.len() > SHORT {
        return text.is_ascii();
    }
    let (first, last) = ends(text);
    (first | last) & 0x8080_8080_8080_8080 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_more_is_seen_wherever_it_is() {
        let text: Vec<u8> = (0..70).map(|index| b'a' + index % 26).collect();
        for len in 0..=text.len() {
            let plain = &text[..len];
            assert!(is_ascii(plain), "{len}");
            for at in 0..len {
                let mut other = plain.to_vec();
                other[at] = 0x80;
                assert!(!is_ascii(&other), "{at} of {len}");
                other[at] = b'A';
                assert!(is_ascii(&other) && (len > SHORT || ends(&other) != ends(plain)), "{at} of {len}");
            }
        }
    }
}
