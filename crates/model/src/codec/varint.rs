//! Variable-length integers, in the only encoding that each has.

use super::sink::Sink;

/// Appends a number as an unsigned LEB128.
#[inline]
pub(super) fn write(mut number: u128, out: &mut impl Sink) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Why a varint cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadVarint {
    /// The bytes end within it.
    Truncated,
    /// Its last byte is a superfluous 0.
    NotMinimal,
    /// It has more than so many bits.
    TooLarge,
}

/// Reads a number of at most `bits` bits (128 at most) from the front of `bytes`, and says how long it was.
#[inline]
pub(super) fn read(bytes: &[u8], bits: u32) -> Result<(u128, usize), BadVarint> {
    let mut number = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let (shift, part) = (7 * i as u32, u128::from(byte & 0x7f));
        // A part that would not survive being shifted back has bits beyond the most.
        if shift >= bits || part >> (bits - shift).min(7) != 0 {
            return Err(BadVarint::TooLarge);
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return if part == 0 && i > 0 { Err(BadVarint::NotMinimal) } else { Ok((number, i + 1)) };
        }
    }
    Err(BadVarint::Truncated)
}

/// A signed number as an unsigned one: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
pub(super) const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// The reverse of [`zigzag`].
pub(super) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_survive(number: u128, shift in 0_u32..128) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            prop_assert_eq!(read(&bytes, 128), Ok((number, bytes.len())));
            let fits = 128 - number.leading_zeros();
            prop_assert_eq!(read(&bytes, fits.max(1)), Ok((number, bytes.len())));
            if fits > 1 {
                prop_assert_eq!(read(&bytes, fits - 1), Err(BadVarint::TooLarge));
            }
            for cut in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..cut], 128), Err(BadVarint::Truncated));
            }
        }

        #[test]
        fn signs_survive(number: i64, shift in 0_u32..64) {
            let number = number >> shift;
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }
    }

    #[test]
    fn superfluous_bytes_are_refused() {
        assert_eq!(read(&[0x80, 0x00], 64), Err(BadVarint::NotMinimal));
        assert_eq!(read(&[0xff, 0x80, 0x00], 64), Err(BadVarint::NotMinimal));
        assert_eq!(read(&[0x00, 0x55], 64), Ok((0, 1)));
        assert_eq!(read(&[0xff; 40], 128), Err(BadVarint::TooLarge));
    }
}
