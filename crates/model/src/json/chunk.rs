//! Sixteen bytes at a time: which of them end a JSON string or need care, and equality of short runs.
//!
//! Three implementations of one small function, chosen at compile time: SSE2 (every x86-64), SIMD128 (the WASM target
//! of this workspace) and plain 64-bit words everywhere else. The tests compare them with one byte at a time.

pub(crate) const WIDTH: usize = 16;

/// One bit for each byte of a chunk, the first byte in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Masks {
    /// A quotation mark, a reverse solidus or a control character.
    pub(crate) stop: u32,
    /// A byte of a character beyond ASCII.
    pub(crate) high: u32,
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn masks(chunk: &[u8; WIDTH]) -> Masks {
    // SAFETY: the function needs SSE2, and is compiled only where the whole program is compiled for it.
    unsafe { sse2(chunk) }
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[target_feature(enable = "sse2")]
#[inline]
fn sse2(chunk: &[u8; WIDTH]) -> Masks {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };
    let (low, high) = halves(chunk);
    let bytes = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
    let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
    let escape = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    Masks {
        stop: _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, escape), control)).cast_unsigned(),
        high: _mm_movemask_epi8(bytes).cast_unsigned(),
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
pub(crate) fn masks(chunk: &[u8; WIDTH]) -> Masks {
    use std::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_or};
    let (low, high) = halves(chunk);
    let bytes = u64x2(low, high);
    let quote = u8x16_eq(bytes, u8x16_splat(b'"'));
    let escape = u8x16_eq(bytes, u8x16_splat(b'\\'));
    let control = u8x16_lt(bytes, u8x16_splat(0x20));
    Masks {
        stop: u32::from(u8x16_bitmask(v128_or(v128_or(quote, escape), control))),
        high: u32::from(u8x16_bitmask(bytes)),
    }
}

#[cfg(not(any(
    all(target_arch = "x86_64", target_feature = "sse2"),
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
#[inline(always)]
pub(crate) fn masks(chunk: &[u8; WIDTH]) -> Masks {
    words(chunk)
}

#[cfg(any(
    test,
    not(any(
        all(target_arch = "x86_64", target_feature = "sse2"),
        all(target_arch = "wasm32", target_feature = "simd128")
    ))
))]
fn words(chunk: &[u8; WIDTH]) -> Masks {
    let (low, high) = halves(chunk);
    let (low, high) = (word(low), word(high));
    Masks { stop: low.stop | high.stop << 8, high: low.high | high.high << 8 }
}

#[cfg(any(
    test,
    not(any(
        all(target_arch = "x86_64", target_feature = "sse2"),
        all(target_arch = "wasm32", target_feature = "simd128")
    ))
))]
fn word(word: u64) -> Masks {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // No borrow crosses a byte: the top bit is set exactly where the byte's own top bit is clear and its low seven bits are
    // below `n`.
    let below = |word: u64, n: u8| !((word | TOPS).wrapping_sub(ONES.wrapping_mul(u64::from(n)))) & !word & TOPS;
    let equal = |byte: u8| below(word ^ ONES.wrapping_mul(u64::from(byte)), 1);
    // Moves the top bits of the eight bytes into the lowest eight.
    let gather = |tops: u64| ((tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32;
    Masks { stop: gather(equal(b'"') | equal(b'\\') | below(word, 0x20)), high: gather(word & TOPS) }
}

#[inline(always)]
fn halves(chunk: &[u8; WIDTH]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*chunk);
    (whole as u64, (whole >> 64) as u64)
}

/// Whether `bytes` holds exactly `expected` from `at` on. Cost: a load a word, no call.
#[inline(always)]
pub(crate) fn matches_at(bytes: &[u8], at: usize, expected: &[u8]) -> bool {
    let Some(found) = bytes.get(at..).and_then(|rest| rest.get(..expected.len())) else {
        return false;
    };
    same(found, expected)
}

/// Whether two runs of bytes are equal. Cost: a load for each sixteen bytes, no call, for runs of ordinary names.
#[inline(always)]
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    if let (Some(end_left), Some(end_right)) = (left.last_chunk::<WIDTH>(), right.last_chunk::<WIDTH>()) {
        // Whole chunks from the front, then the last sixteen bytes, which may overlap them.
        let chunks = left.as_chunks::<WIDTH>().0.iter().zip(right.as_chunks::<WIDTH>().0);
        for (left, right) in chunks {
            if u128::from_le_bytes(*left) != u128::from_le_bytes(*right) {
                return false;
            }
        }
        return u128::from_le_bytes(*end_left) == u128::from_le_bytes(*end_right);
    }
    if let (Some(start_left), Some(start_right)) = (left.first_chunk::<8>(), right.first_chunk::<8>()) {
        let (end_left, end_right) = (left.last_chunk::<8>(), right.last_chunk::<8>());
        let ends = end_left.map(|end| u64::from_le_bytes(*end)) == end_right.map(|end| u64::from_le_bytes(*end));
        return ends && u64::from_le_bytes(*start_left) == u64::from_le_bytes(*start_right);
    }
    short(left) == short(right)
}

/// Fewer than eight bytes as one number, which differs for different bytes of one length.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time.
    fn plain(chunk: &[u8; WIDTH]) -> Masks {
        let mut masks = Masks { stop: 0, high: 0 };
        for (i, byte) in chunk.iter().enumerate() {
            masks.stop |= u32::from(*byte < 0x20 || *byte == b'"' || *byte == b'\\') << i;
            masks.high |= u32::from(*byte >= 0x80) << i;
        }
        masks
    }

    #[test]
    fn every_byte_is_classified_at_every_place() {
        for place in 0..WIDTH {
            for byte in 0..=255 {
                for filler in [b'a', 0x00, 0xff, b'"', 0x21, 0x5d] {
                    let mut chunk = [filler; WIDTH];
                    chunk[place] = byte;
                    assert_eq!(masks(&chunk), plain(&chunk), "{chunk:?}");
                    assert_eq!(words(&chunk), plain(&chunk), "{chunk:?}");
                }
            }
        }
    }

    #[test]
    fn equality_is_that_of_slices() {
        let bytes: Vec<u8> = (0..40).collect();
        for len in 0..40 {
            assert!(matches_at(&bytes, 0, &bytes[..len]));
            assert!(!matches_at(&bytes, 40 - len + 1, &bytes[..len]));
            for flipped in 0..len {
                let mut other = bytes[..len].to_vec();
                other[flipped] ^= 0x40;
                assert!(!matches_at(&bytes, 0, &other), "{len} {flipped}");
            }
        }
    }
}
