//! Sizes in bytes as people write them: `300000`, `512KB`, `1.5` is none.

/// Reads a whole number of bytes, with the units `B`, `KB`, `MB` and `GB` (also `K`, `KiB` and so on, in any case) of 1,024.
pub fn parse_size(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, size) in [
            ("0", Some(0)),
            ("300000", Some(300_000)),
            ("512KB", Some(512 << 10)),
            ("1m", Some(1 << 20)),
            ("2GiB", Some(2 << 30)),
            ("", None),
            ("KB", None),
            ("1.5MB", None),
            ("-1", None),
            ("1 MB", None),
            ("1TB", None),
            ("99999999999GB", None),
        ] {
            assert_eq!(parse_size(text), size, "{text}");
        }
    }
}
