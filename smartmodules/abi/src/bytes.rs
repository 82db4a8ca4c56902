//! Reading big-endian integers and zigzag varints from the front of bytes.

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    #[inline(always)]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    #[inline(always)]
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A signed varint of at most ten bytes.
    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Option<i64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(unzigzag(u64::from(first)));
        }
        self.long_varint(first)
    }

    /// A varint whose first byte is not its last.
    #[inline(never)]
    fn long_varint(&mut self, first: u8) -> Option<i64> {
        let (mut number, mut shift) = (u64::from(first & 0x7f), 7);
        loop {
            let byte = self.byte()?;
            // Bits beyond 64 are lost, as they are to Fluvio. A byte beyond the tenth has no place at all.
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(unzigzag(number));
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    /// A varint that is a length, and so many bytes.
    #[inline(always)]
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }
}

/// 0, 1, 2, 3, 4 become 0, -1, 1, -2, 2. Shifts with the sign, as Fluvio does: that differs from a zigzag only for numbers of 64
/// bits.
#[inline(always)]
fn unzigzag(number: u64) -> i64 {
    (number.cast_signed() >> 1) ^ -(number & 1).cast_signed()
}
