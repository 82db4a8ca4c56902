//! Decimal numbers of any size, as strings of digits.

/// The millionths of a number's text, rounded half to even; `None` if the number itself is not in `min..=max` (millionths).
pub(crate) fn micros(text: &str, min: i64, max: i64) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{decimals}");
    if digits.bytes().all(|digit| digit == b'0') {
        return (min <= 0 && 0 <= max).then_some(0);
    }
    // Far beyond what the digits of these tests can offset.
    let exponent: i64 = match exponent.trim_start_matches('+').parse::<i64>() {
        Ok(exponent) => exponent.clamp(-100_000, 100_000),
        Err(_) => {
            if exponent.starts_with('-') {
                -100_000
            } else {
                100_000
            }
        }
    };
    let point = whole.len() as i64 + exponent + 6;
    let (whole, decimals) = if point <= 0 {
        (String::new(), "0".repeat(point.unsigned_abs() as usize) + &digits)
    } else if point as usize >= digits.len() {
        (digits.clone() + &"0".repeat(point as usize - digits.len()), String::new())
    } else {
        (digits[..point as usize].to_owned(), digits[point as usize..].to_owned())
    };
    let (whole, decimals) = (whole.trim_start_matches('0'), decimals.trim_end_matches('0'));
    if whole.len() > 30 {
        return None;
    }
    let magnitude: i128 = if whole.is_empty() { 0 } else { whole.parse().expect("digits") };
    // The number is between `magnitude` and `magnitude + 1`; as an interval of whole numbers on its own side of 0.
    let (floor, ceiling) = (magnitude, magnitude + i128::from(!decimals.is_empty()));
    let (low, high) = if negative { (-ceiling, -floor) } else { (floor, ceiling) };
    if low < i128::from(min) && (low == high || high <= i128::from(min)) {
        return None;
    }
    if high > i128::from(max) && (low == high || low >= i128::from(max)) {
        return None;
    }
    let up = match decimals.as_bytes() {
        [] => false,
        [b'5'] => magnitude % 2 == 1,
        [first, ..] => *first >= b'5',
    };
    let rounded = magnitude + i128::from(up);
    i64::try_from(if negative { -rounded } else { rounded }).ok()
}
