//! Numbers and texts as few bytes: what the blobs of windows and dead batches are made of.
//!
//! A number is little-endian in groups of seven bits, the highest bit saying that more follow; a signed one is first
//! folded so that small magnitudes stay small. Reading never panics: a blob may hold anything.

/// A blob that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends an unsigned number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i128) {
    put(out, ((number << 1) ^ (number >> 127)) as u128);
}

/// Reads what was appended.
#[derive(Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// An unsigned number of any size.
    fn wide(&mut self) -> Result<u128, Malformed> {
        let (mut number, mut shift) = (0_u128, 0_u32);
        loop {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            let part = u128::from(byte & 0x7f);
            let shifted = part.checked_shl(shift).ok_or(Malformed)?;
            if shifted >> shift != part {
                return Err(Malformed);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// An unsigned number that fits `T`.
    pub(super) fn unsigned<T: TryFrom<u128>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.wide()?).map_err(|_| Malformed)
    }

    /// A signed number that fits `T`.
    pub(super) fn signed<T: TryFrom<i128>>(&mut self) -> Result<T, Malformed> {
        let folded = self.wide()?;
        let number = (folded >> 1) as i128 ^ -((folded & 1) as i128);
        T::try_from(number).map_err(|_| Malformed)
    }

    /// So many bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Nothing must be left.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(signed in any::<i128>(), unsigned in any::<u128>(), bits in 0_u32..128) {
            let mut out = Vec::new();
            put(&mut out, unsigned >> bits);
            put_signed(&mut out, signed >> bits);
            let mut bytes = Bytes(&out);
            prop_assert_eq!(bytes.unsigned::<u128>(), Ok(unsigned >> bits));
            prop_assert_eq!(bytes.signed::<i128>(), Ok(signed >> bits));
            prop_assert_eq!(bytes.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(blob in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = Bytes(&blob);
            while bytes.signed::<i64>().is_ok() && bytes.unsigned::<u128>().is_ok() {}
        }
    }
}
