//! The parameters that `init` is called with: `count` (u16), then names and values by turns, each a length (i16) and so
//! many bytes of UTF-8, all big-endian. What stands behind them (a lookback, of which these modules know nothing) is no matter.

use crate::bytes::Bytes;

/// Names and values in their order; `None` if the input is cut off or no UTF-8.
pub fn read(input: &[u8]) -> Option<Vec<(&str, &str)>> {
    let mut input = Bytes(input);
    (0..input.u16()?).map(|_| Some((text(&mut input)?, text(&mut input)?))).collect()
}

fn text<'a>(input: &mut Bytes<'a>) -> Option<&'a str> {
    // As Fluvio reads it: a negative length is that of an empty text.
    let len = usize::try_from(input.u16()?.cast_signed()).unwrap_or(0);
    std::str::from_utf8(input.take(len)?).ok()
}
