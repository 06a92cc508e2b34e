//! Numbers that do not fit 64 bits as text.

use std::collections::TryReserveError;

/// `-0x1ff` of a big-endian two's complement number.
pub(super) fn hexadecimal(mut bytes: Vec<u8>, negative: bool) -> Result<String, TryReserveError> {
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            let (value, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (value, overflow);
        }
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).skip_while(|digit| *digit == 0);
    let mut text = String::new();
    text.try_reserve_exact(bytes.len() * 2 + 3)?;
    text.push_str(if negative { "-0x" } else { "0x" });
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::hexadecimal;

    #[test]
    fn twos_complement_becomes_signed_hexadecimal() {
        assert_eq!(hexadecimal(vec![0x00, 0x80, 0, 0, 0, 0, 0, 0, 0], false).unwrap(), "0x8000000000000000");
        assert_eq!(
            hexadecimal(vec![0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true).unwrap(),
            "-0x8000000000000001"
        );
        assert_eq!(hexadecimal(vec![0xff, 0x00], true).unwrap(), "-0x100");
        assert_eq!(hexadecimal(vec![0x80, 0x00], true).unwrap(), "-0x8000");
    }
}
