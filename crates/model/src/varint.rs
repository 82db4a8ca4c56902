//! Variable-length integers: unsigned LEB128, seven bits a byte, the lowest first, the top bit set on every byte but the
//! last. [`zigzag`] folds signed numbers first, so that small magnitudes stay short.

/// Why bytes do not begin with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end within it.
    #[error("a number is cut off")]
    Truncated,
    /// Its last byte is a superfluous 0.
    #[error("a number has more bytes than it needs")]
    NotMinimal,
    /// It has more bits than asked for, or more bytes than any number.
    #[error("a number is too large")]
    TooLarge,
}

/// Appends a number in its one minimal encoding.
#[inline]
pub fn put(out: &mut Vec<u8>, mut number: u128) {
    while number > u128::from(u64::MAX) {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    let mut number = number as u64;
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`put`] appends.
#[inline]
pub const fn len(number: u128) -> usize {
    (128 - (number | 1).leading_zeros()).div_ceil(7) as usize
}

/// Takes a number of at most `bits` bits (at most 128) off the front of `bytes`. Accepts nothing but what [`put`] writes;
/// after an error `bytes` is as before.
#[inline]
pub fn take(bytes: &mut &[u8], bits: u32) -> Result<u128, VarintError> {
    let mut number = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let (shift, part) = (7 * i as u32, u128::from(byte & 0x7f));
        // A part that would not survive being shifted back has bits beyond the highest.
        if shift >= bits || part >> (bits - shift).min(7) != 0 {
            return Err(VarintError::TooLarge);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            if part == 0 && i > 0 {
                return Err(VarintError::NotMinimal);
            }
            *bytes = bytes.get(i + 1..).unwrap_or_default();
            return Ok(number);
        }
    }
    Err(VarintError::Truncated)
}

/// Takes a number off the front of `bytes` as Fluvio's decoder does: superfluous bytes are allowed, bits beyond 64 are lost,
/// and a number has at most ten bytes.
#[inline(always)]
pub fn take_lenient(bytes: &mut &[u8]) -> Result<u64, VarintError> {
    let (first, rest) = bytes.split_first().ok_or(VarintError::Truncated)?;
    if *first < 0x80 {
        *bytes = rest;
        return Ok(u64::from(*first));
    }
    take_long(bytes)
}

#[inline(never)]
fn take_long(bytes: &mut &[u8]) -> Result<u64, VarintError> {
    let mut number = 0;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *bytes = bytes.get(i + 1..).unwrap_or_default();
            return Ok(number);
        }
    }
    Err(if bytes.len() < 10 { VarintError::Truncated } else { VarintError::TooLarge })
}

/// A signed number as an unsigned one: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
#[inline]
pub const fn zigzag(number: i128) -> u128 {
    (number << 1 ^ number >> 127).cast_unsigned()
}

/// The reverse of [`zigzag`].
#[inline]
pub const fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive(number: u128, shift in 0_u32..128, tail: Vec<u8>) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            prop_assert_eq!(bytes.len(), len(number));
            for cut in 0..bytes.len() {
                prop_assert_eq!(take(&mut &bytes[..cut], 128), Err(VarintError::Truncated));
            }
            let bits = (128 - number.leading_zeros()).max(1);
            if bits > 1 {
                prop_assert_eq!(take(&mut bytes.as_slice(), bits - 1), Err(VarintError::TooLarge));
            }
            bytes.extend(&tail);
            for bits in [bits, 128] {
                let mut rest = bytes.as_slice();
                prop_assert_eq!(take(&mut rest, bits), Ok(number));
                prop_assert_eq!(rest, &tail);
            }
            if let Ok(number) = u64::try_from(number) {
                let mut rest = bytes.as_slice();
                prop_assert_eq!(take_lenient(&mut rest), Ok(number));
                prop_assert_eq!(rest, &tail);
            }
        }

        #[test]
        fn signs_survive(number: i128, shift in 0_u32..128) {
            let number = number >> shift;
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn superfluous_bytes_are_refused_unless_fluvio_takes_them() {
        for (bytes, strict, lenient) in [
            (&[0x80_u8, 0x00] as &[u8], Err(VarintError::NotMinimal), Ok(0)),
            (&[0xff, 0x80, 0x00], Err(VarintError::NotMinimal), Ok(0x7f)),
            (&[0x00, 0x55], Ok(0), Ok(0)),
            (&[0xff; 40], Err(VarintError::TooLarge), Err(VarintError::TooLarge)),
            (&[0xff; 9], Err(VarintError::Truncated), Err(VarintError::Truncated)),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Err(VarintError::TooLarge), Ok(u64::MAX)),
        ] {
            assert_eq!(take(&mut &*bytes, 64), strict, "{bytes:x?}");
            assert_eq!(take_lenient(&mut &*bytes), lenient, "{bytes:x?}");
        }
        for (signed, unsigned) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (2, 4), (i128::MIN, u128::MAX)] {
            assert_eq!(zigzag(signed), unsigned);
        }
    }
}
