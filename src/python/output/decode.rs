//! Bytes as text, piece by piece: what is not UTF-8 becomes U+FFFD, and a character may come in several pieces.

use std::collections::TryReserveError;
use std::str::from_utf8;

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The beginning of a character whose end has not come yet.
#[derive(Default)]
pub struct Decoder {
    partial: [u8; 4],
    len: usize,
}

impl Decoder {
    /// Appends what the bytes say.
    pub fn decode(&mut self, mut bytes: &[u8], text: &mut Vec<u8>) -> Result<(), TryReserveError> {
        // Each byte becomes three at most, and the beginning that waits is one character.
        let room = if self.len == 0 && from_utf8(bytes).is_ok() { bytes.len() } else { 3 * bytes.len() + 4 };
        text.try_reserve(room)?;
        while self.len > 0
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.partial[self.len] = first;
            match from_utf8(&self.partial[..=self.len]) {
                Ok(character) => {
                    text.extend_from_slice(character.as_bytes());
                    self.len = 0;
                }
                Err(error) if error.error_len().is_none() => self.len += 1,
                // This byte does not belong to it.
                Err(_) => {
                    text.extend_from_slice(REPLACEMENT);
                    self.len = 0;
                    continue;
                }
            }
            bytes = rest;
        }
        for chunk in bytes.utf8_chunks() {
            text.extend_from_slice(chunk.valid().as_bytes());
            let invalid = chunk.invalid();
            match from_utf8(invalid) {
                Err(error) if error.error_len().is_none() && is_last(bytes, invalid) => {
                    self.partial[..invalid.len()].copy_from_slice(invalid);
                    self.len = invalid.len();
                }
                Err(_) => text.extend_from_slice(REPLACEMENT),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// The end has come: what waits for its rest is none.
    pub fn finish(&mut self, text: &mut Vec<u8>) -> Result<(), TryReserveError> {
        if self.len > 0 {
            text.try_reserve(REPLACEMENT.len())?;
            text.extend_from_slice(REPLACEMENT);
            self.len = 0;
        }
        Ok(())
    }
}

/// Whether the part of it lies at its end.
fn is_last(all: &[u8], part: &[u8]) -> bool {
    std::ptr::eq(all.as_ptr_range().end, part.as_ptr_range().end)
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    fn decoded(pieces: &[&[u8]]) -> String {
        let (mut decoder, mut text) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.decode(piece, &mut text).unwrap();
            assert!(std::str::from_utf8(&text).is_ok());
        }
        decoder.finish(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn is_what_it_is_at_once() {
        let texts: [&[u8]; 12] = [
            b"",
            b"plain",
            "\u{e9}\u{20ac}\u{1f40d}".as_bytes(),
            b"\xff",
            b"a\xe2\x82",
            b"\xe2\x82\xe2\x82\xac",
            b"\xf0\x9f\x90A\xf0",
            b"\xed\xb2\x80",
            b"\xc3\xc3\xa9\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82\xac\xe2",
            b"\xe0\x80\x80x",
        ];
        for text in texts {
            let expected = String::from_utf8_lossy(text);
            assert_eq!(decoded(&[text]), expected);
            for cut in 0..=text.len() {
                assert_eq!(decoded(&[&text[..cut], &text[cut..]]), expected, "{text:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert_eq!(decoded(&bytes), expected, "{text:?} byte by byte");
        }
    }

    #[test]
    fn a_character_comes_when_it_is_whole() {
        let (mut decoder, mut text) = (Decoder::default(), Vec::new());
        decoder.decode(b"a\xf0\x9f", &mut text).unwrap();
        assert_eq!(text, b"a");
        decoder.decode(b"\x90", &mut text).unwrap();
        assert_eq!(text, b"a");
        decoder.decode(b"\x8db", &mut text).unwrap();
        assert_eq!(text, "a\u{1f40d}b".as_bytes());
    }
}
