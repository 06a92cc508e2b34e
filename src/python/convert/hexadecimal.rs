//! Numbers that do not fit 64 bits as text.

use std::collections::TryReserveError;
use std::ffi::c_int;
use std::ptr;

use super::super::types::PyObject;
use super::asked::Refused;
use super::from_python::Reader;
use crate::value::{self, Builder, subpy_value};

impl Reader<'_> {
    /// # Safety
    /// A live int.
    pub(super) unsafe fn int(self, object: *mut PyObject, builder: &mut Builder) -> Result<subpy_value, Refused> {
        let api = self.py.api;
        let mut overflow: c_int = 0;
        // SAFETY: an exact int (`shallow`); NativeBytes is asked for the size first and then given that much room.
        unsafe {
            let value = (api.PyLong_AsLongLongAndOverflow)(object, &mut overflow);
            if overflow == 0 {
                return Ok(subpy_value::int(value));
            }
            // Big-endian two's complement (flags 0), from which hexadecimal takes linear time.
            let size = (api.PyLong_AsNativeBytes)(object, ptr::null_mut(), 0, 0);
            let len = usize::try_from(size).map_err(|_| Refused::NO_MEMORY)?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(len).map_err(|_| Refused::NO_MEMORY)?;
            bytes.resize(len, 0u8);
            (api.PyLong_AsNativeBytes)(object, bytes.as_mut_ptr().cast(), size, 0);
            let text = hexadecimal(bytes, overflow < 0).map_err(|_| Refused::NO_MEMORY)?;
            let start = builder.append(text.as_bytes(), false).ok_or(Refused::NO_MEMORY)?;
            Ok(subpy_value::at_offset(value::BIGINT, start, text.len()))
        }
    }
}

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
