//! The parameters of `init`: `count` (u16), then names and values alternating, each a length (i16) and that many bytes of
//! UTF-8, all big-endian. What follows (a lookback, which these modules do not have) is ignored.

use crate::bytes::Bytes;

/// Names and values in their order; `None` if the input is cut off or not UTF-8.
pub fn read(input: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut input = Bytes(input);
    (0..input.u16()?).map(|_| Some((text(&mut input)?, text(&mut input)?))).collect()
}

fn text<'a>(input: &mut Bytes<'a>) -> Option<&'a str> {
    // As Fluvio reads it, a negative length means an empty text.
    let len = usize::try_from(input.u16()?.cast_signed()).unwrap_or(0);
    std::str::from_utf8(input.take(len)?).ok()
}
