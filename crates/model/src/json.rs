//! JSON primitives, below any schema: where strings, numbers and values end, what they contain, and how a string is written.

pub(crate) mod chunk;
pub(crate) mod list;
pub(crate) mod number;
pub(crate) mod string;
pub(crate) mod walk;

use std::fmt::{self, Write};

/// Whether these bytes are one JSON text, as a record must be.
pub fn is_text(bytes: &[u8]) -> bool {
    let end = walk::value(bytes, walk::space(bytes, 0), 0);
    end.is_some_and(|end| walk::space(bytes, end) == bytes.len()) && std::str::from_utf8(bytes).is_ok()
}

/// Prints a text as a JSON string: quotation marks, reverse solidus and control characters escaped, all else as it is.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\0'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quoted_texts_read_back(text: String) {
            let quoted = Quoted(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("JSON"), text);
        }
    }

    #[test]
    fn a_text_is_one_value_and_white_space() {
        for text in [" [1, {\"a\": \"\\u00e9\"}]\r\n", "1", "null", "\"é\""] {
            assert!(is_text(text.as_bytes()), "{text}");
        }
        for text in [&b""[..], b" ", b"[1", b"1 2", b"[1,]", b"\"\xff\"", b"\xef\xbb\xbf1"] {
            assert!(!is_text(text), "{text:?}");
        }
    }

    #[test]
    fn every_control_character_reads_back() {
        let text: String = (0..=0x80_u8).map(char::from).collect();
        assert_eq!(serde_json::from_str::<String>(&Quoted(&text).to_string()).expect("JSON"), text);
    }
}
