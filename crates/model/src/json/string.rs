//! JSON strings: where one ends, whether it is valid, and its content with the escapes decoded.

use super::chunk::{self, WIDTH};

/// The content of a JSON string within a record, between the quotation marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: usize,
    /// The position of the closing quotation mark.
    pub(crate) end: usize,
    /// Whether there are escapes to decode.
    pub(crate) escaped: bool,
}

impl Text {
    /// The content, escapes not decoded.
    #[inline(always)]
    pub(crate) fn raw<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// Walks a string whose content begins at `start`; `None` if it is not a valid JSON string (no end, a control
/// character, a bad escape, half a surrogate pair, invalid UTF-8).
#[inline(always)]
pub(crate) fn walk(bytes: &[u8], start: usize) -> Option<Text> {
    let mut at = start;
    let mut high = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
        let masks = chunk::masks(chunk);
        if masks.stop != 0 {
            let ahead = masks.stop.trailing_zeros();
            high |= masks.high & !(u32::MAX << ahead);
            at += ahead as usize;
            return if bytes.get(at) == Some(&b'"') && high == 0 {
                Some(Text { start, end: at, escaped: false })
            } else {
                walk_carefully(bytes, start, at, high != 0)
            };
        }
        high |= masks.high;
        at += WIDTH;
    }
    walk_carefully(bytes, start, at, high != 0)
}

/// The rest of a string from `at` on, byte by byte: the end of the record, escapes, characters beyond ASCII.
#[inline(never)]
fn walk_carefully(bytes: &[u8], start: usize, mut at: usize, mut high: bool) -> Option<Text> {
    let mut escaped = false;
    loop {
        match *bytes.get(at)? {
            b'"' => break,
            b'\\' => {
                escaped = true;
                at = escape(bytes, at + 1)?.1;
            }
            0..=0x1f => return None,
            byte => {
                high |= byte >= 0x80;
                at += 1;
                // Long runs after an escape or a character beyond ASCII are again walked in chunks.
                while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
                    let masks = chunk::masks(chunk);
                    if masks.stop != 0 {
                        break;
                    }
                    high |= masks.high != 0;
                    at += WIDTH;
                }
            }
        }
    }
    let text = Text { start, end: at, escaped };
    // Escapes are ASCII, so the content is valid UTF-8 as a whole or not at all.
    if high && std::str::from_utf8(text.raw(bytes)).is_err() {
        return None;
    }
    Some(text)
}

/// The character of the escape whose letter is at `at`, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let simple = match *bytes.get(at)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes, at + 1),
        _ => return None,
    };
    Some((simple, at + 1))
}

/// The character of the four hexadecimal digits at `at`, or of a surrogate pair that begins there.
fn unicode(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = hex(bytes, at)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(first)?, at + 4));
    }
    if first >= 0xdc00 || !chunk::matches_at(bytes, at + 4, b"\\u") {
        return None;
    }
    let second = hex(bytes, at + 6)?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, at + 10))
}

/// Four hexadecimal digits.
fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..)?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

/// Appends the decoded content of a string that [`walk`] accepts.
pub(crate) fn decode(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(rest) = raw.get(at..) {
        let run = rest.iter().position(|byte| *byte == b'\\').unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..run).unwrap_or_default());
        let Some((character, end)) = escape(raw, at + run + 1) else {
            return;
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decoded string at the start of `text`, and its length with the quotation marks.
    fn read(text: &[u8]) -> Option<(String, usize)> {
        let found = walk(text, 1)?;
        let mut decoded = Vec::new();
        decode(found.raw(text), &mut decoded);
        assert!(found.escaped || decoded == found.raw(text));
        Some((String::from_utf8(decoded).expect("UTF-8"), found.end + 1))
    }

    #[test]
    fn strings_are_decoded() {
        for (text, content) in [
            (r#""""#, ""),
            (r#""abc""#, "abc"),
            (r#""0123456789abcdef""#, "0123456789abcdef"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""a\u0041\u00e9\u20AC\uD83D\uDE00z""#, "aA\u{e9}\u{20ac}\u{1f600}z"),
            (r#""\u0000""#, "\0"),
            ("\"é€😀\u{7f}\"", "é€😀\u{7f}"),
            (
                r#""long enough for a stride \n and another stride after it é!""#,
                "long enough for a stride \n and another stride after it é!",
            ),
        ] {
            assert_eq!(read(text.as_bytes()), Some((content.to_owned(), text.len())), "{text}");
            let longer = format!("{text}, and what follows is not part of the string");
            assert_eq!(read(longer.as_bytes()), Some((content.to_owned(), text.len())), "{text}");
        }
    }

    #[test]
    fn invalid_strings_are_refused() {
        let bad: &[&[u8]] = &[
            b"\"",
            b"\"abc",
            b"\"abc\\",
            b"\"abc\\\"",
            b"\"\\x\"",
            b"\"\\u12\"",
            b"\"\\u123g\"",
            b"\"\\ud800\"",
            b"\"\\ud800x\"",
            b"\"\\ud800\\n\"",
            b"\"\\ud800\\u0041\"",
            b"\"\\udc00\"",
            b"\"\\udc00\\ud800\"",
            b"\"\x1f\"",
            b"\"\n\"",
            b"\"\xff\"",
            b"\"\xc0\xaf\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf4\x90\x80\x80\"",
            b"\"\xe9\"",
            b"\"0123456789abcdef\xe9\"",
        ];
        for text in bad {
            assert_eq!(read(text), None, "{}", String::from_utf8_lossy(text));
            let longer = [text, b" 0123456789abcdef0123456789abcdef" as &[u8]].concat();
            assert_eq!(read(&longer), None, "{}", String::from_utf8_lossy(&longer));
        }
    }
}
