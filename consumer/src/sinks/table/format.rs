//! Makes numbers, times and foreign text readable.

use isotherm_model::time::{Millis, Utc};
use isotherm_terminal::text::printable;

/// Millionths with exactly this many decimals (at most 6), rounded half away from zero.
pub(super) fn decimal(micros: i128, decimals: u32) -> String {
    let decimals = decimals.min(6);
    let step = 10_u128.pow(6 - decimals);
    let rounded = (micros.unsigned_abs() + step / 2) / step;
    let unit = 10_u128.pow(decimals);
    let sign = if micros < 0 && rounded > 0 { "-" } else { "" };
    if decimals == 0 {
        return format!("{sign}{rounded}");
    }
    format!("{sign}{}.{:0width$}", rounded / unit, rounded % unit, width = decimals as usize)
}

/// Bytes with a unit that leaves few digits.
pub(super) fn bytes(number: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{}.{} {unit}", number / size, number % size / (size / 10)),
        None => format!("{number} B"),
    }
}

/// How a value moved: `▲ 0.42`, `▼ 0.10`, `=`, or nothing if there is nothing to compare with.
pub(super) fn change(from: Option<i64>, to: i64, decimals: u32) -> String {
    let Some(from) = from else {
        return String::new();
    };
    let difference = i128::from(to) - i128::from(from);
    let size = decimal(difference.abs(), decimals);
    if size.bytes().all(|byte| byte == b'0' || byte == b'.') {
        return "=".to_owned();
    }
    format!("{} {size}", if difference > 0 { '▲' } else { '▼' })
}

/// A window's time range in UTC. The day is repeated only if the range ends on another one.
pub(crate) fn time_range(start: Millis, end: Millis) -> String {
    let [start, end] = [start, end].map(|time| Utc(time).to_string().trim_end_matches('Z').replacen('T', " ", 1));
    let end = match (start.split_once(' '), end.split_once(' ')) {
        (Some((day, _)), Some((same, clock))) if day == same => clock,
        _ => &end,
    };
    format!("{start} – {end} UTC")
}

/// How wide each column of these rows is.
pub(crate) fn widths<'a>(rows: impl IntoIterator<Item = &'a [String]>) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(row.len().max(widths.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = console::measure_text_width(cell).max(*width);
        }
    }
    widths
}

/// Text from outside, safe for a terminal, on one line of at most `max` columns.
pub(crate) fn foreign(text: &str, max: usize) -> String {
    fit(&printable(text), max)
}

/// At most `max` columns of plain text, the last one `…` if something was cut.
pub(super) fn fit(text: &str, max: usize) -> String {
    console::truncate_str(text, max, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded() {
        for (micros, decimals, text) in [
            (0, 2, "0.00"),
            (25_827_273, 2, "25.83"),
            (-25_827_273, 1, "-25.8"),
            (-4_000, 2, "0.00"),
            (-5_000, 2, "-0.01"),
            (99_950_000, 1, "100.0"),
            (1_500_000, 0, "2"),
            (1, 9, "0.000001"),
        ] {
            assert_eq!(decimal(micros, decimals), text, "{micros}");
        }
    }

    #[test]
    fn changes_show_which_way() {
        assert_eq!(change(None, 1, 2), "");
        assert_eq!(change(Some(1_000_000), 1_420_000, 2), "▲ 0.42");
        assert_eq!(change(Some(1_000_000), 900_000, 2), "▼ 0.10");
        assert_eq!(change(Some(1_000_000), 1_001_000, 2), "=");
        assert_eq!(change(Some(i64::MIN), i64::MAX, 0), "▲ 18446744073710");
    }

    #[test]
    fn times_are_short() {
        let start = 1_795_341_600_000;
        assert_eq!(time_range(start, start + 3_000), "2026-11-22 10:00:00 – 10:00:03 UTC");
        assert_eq!(time_range(start, start + 500), "2026-11-22 10:00:00 – 10:00:00.500 UTC");
        assert_eq!(time_range(start, start + 86_400_000), "2026-11-22 10:00:00 – 2026-11-23 10:00:00 UTC");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(foreign("a\u{1b}[2Jb\n\u{202e}", 40), "a\\u{1b}[2Jb\\u{a}\\u{202e}");
        assert_eq!(foreign("CA\u{200b}", 16), "CA\\u{200b}");
        assert_eq!(foreign("abcdefgh", 4), "abc…");
    }
}
