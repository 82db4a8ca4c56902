//! The key of a replayed line: a string in its JSON.
//!
//! Only the path to the key is read; the rest of the line is checked and skipped. So numbers of any size or precision may be beside
//! the key. Cost: the line is walked once, and the value at each part of the pointer once more.

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The string at `pointer`; `None` if the line is no JSON, or has no string or an empty one there. If an object has a member twice,
/// the last one counts.
pub(crate) fn key_of(line: &[u8], pointer: &str) -> Option<String> {
    let mut text = std::str::from_utf8(line).ok()?;
    for part in pointer.split('/').skip(1) {
        text = part_of(text, &part.replace("~1", "/").replace("~0", "~"))?;
    }
    serde_json::from_str(text).ok().filter(|key: &String| !key.is_empty())
}

/// The text of an object's member, or of an array's element.
fn part_of<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut json = serde_json::Deserializer::from_str(text);
    let found = json.deserialize_any(Part(name)).ok()?;
    json.end().ok()?;
    found.map(RawValue::get)
}

struct Part<'n>(&'n str);

impl<'t> Visitor<'t> for Part<'_> {
    type Value = Option<&'t RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<String>()? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let canonical = |index: &usize| index.to_string() == self.0;
        let wanted = self.0.parse().ok().filter(canonical);
        let (mut found, mut index) = (None, 0usize);
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if wanted == Some(index) {
                found = Some(element);
            }
            index += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_string_at_the_pointer() {
        for (line, pointer, key) in [
            (r#" {"state":"AK"} "#, "/state", Some("AK")),
            (r#"{"state":"AK","state":"AL"}"#, "/state", Some("AL")),
            (r#"{"st\u0061te":"\u0041K"}"#, "/state", Some("AK")),
            (r#"{"a":{"b/c":{"~":"x"}},"n":[1e999,{"a":-0.1E-999}]}"#, "/a/b~1c/~0", Some("x")),
            (r#"{"n":1e999,"state":"AK","m":123456789012345678901234567890.5}"#, "/state", Some("AK")),
            (r#"{"a":[0,"x"]}"#, "/a/1", Some("x")),
            (r#"{"a":[0,"x"]}"#, "/a/01", None),
            (r#"{"state":1e999}"#, "/state", None),
            (r#"{"state":"AK"} x"#, "/state", None),
            (r#"{"state":"AK","n":1e}"#, "/state", None),
            (r#"{"state":"AK""#, "/state", None),
            (r#"{"state":""}"#, "/state", None),
            (r#"{"state":["AK"]}"#, "/state", None),
            (r#"{"state":"AK"}"#, "/state/0", None),
            (r#""AK""#, "/state", None),
            ("1e999", "/state", None),
            ("", "/state", None),
        ] {
            assert_eq!(key_of(line.as_bytes(), pointer).as_deref(), key, "{line} {pointer}");
        }
        assert_eq!(key_of(b"{\"state\":\"AK\",\"x\":\"\xff\"}", "/state"), None);
        let deep = format!("{{\"n\":{}{},\"state\":\"AK\"}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(key_of(deep.as_bytes(), "/state").as_deref(), Some("AK"));
    }
}
