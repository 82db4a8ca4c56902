//! A JSON array of strings, as in the parameter `groups`.

use super::{string, walk};

/// The strings of a JSON text that is an array of strings; `None` for any other text.
pub(crate) fn strings(bytes: &[u8]) -> Option<Vec<String>> {
    let mut at = walk::space(bytes, 0);
    let mut found = Vec::new();
    if bytes.get(at) != Some(&b'[') {
        return None;
    }
    at = walk::space(bytes, at + 1);
    if bytes.get(at) == Some(&b']') {
        return ended(bytes, at + 1).then_some(found);
    }
    loop {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let text = string::walk(bytes, at + 1)?;
        let mut decoded = Vec::new();
        string::decode(text.raw(bytes), &mut decoded);
        found.push(String::from_utf8(decoded).ok()?);
        at = walk::space(bytes, text.end + 1);
        match bytes.get(at)? {
            b',' => at = walk::space(bytes, at + 1),
            b']' => return ended(bytes, at + 1).then_some(found),
            _ => return None,
        }
    }
}

/// Whether only white space follows.
fn ended(bytes: &[u8], at: usize) -> bool {
    walk::space(bytes, at) == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arrays_of_strings_are_read() {
        let owned = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(strings(b"[]"), owned(&[]));
        assert_eq!(strings(br#" [ "a" , "b\n\u00e9" ] "#), owned(&["a", "b\né"]));
        for other in
            ["", "[", "[\"a\"", "[\"a\",]", "[1]", "\"a\"", "[\"a\"]x", "[\"a\" \"b\"]", "[[\"a\"]]", "[\"\\ud800\"]"]
        {
            assert_eq!(strings(other.as_bytes()), None, "{other}");
        }
    }
}
