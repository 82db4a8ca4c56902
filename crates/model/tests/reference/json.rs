//! JSON by serde_json, with what its own value type loses: repeated members, and the text of numbers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Debug, Clone)]
pub(crate) enum Json {
    /// Members in their order, repeated ones too.
    Object(Vec<(String, Json)>),
    /// Any elements.
    Array,
    /// A string.
    Text(String),
    /// A number's text.
    Number(String),
    /// `true`, `false` or `null`.
    Word,
}

/// The value of a JSON text; `None` if it is not accepted.
pub(crate) fn read(bytes: &[u8]) -> Option<Json> {
    let text = std::str::from_utf8(bytes).ok()?;
    if deepest(text) > 127 {
        return None;
    }
    let raw: Box<RawValue> = serde_json::from_str(text).ok()?;
    value(&raw)
}

/// How many containers are within each other at most.
fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest, mut inside, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        if inside {
            (escaped, inside) = (!escaped && byte == b'\\', escaped || byte != b'"');
        } else {
            match byte {
                b'"' => inside = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
    }
    deepest
}

fn value(raw: &RawValue) -> Option<Json> {
    let text = raw.get();
    Some(match text.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let members = members.iter().map(|(name, raw)| Some((name.clone(), value(raw)?)));
            Json::Object(members.collect::<Option<_>>()?)
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            elements.iter().try_for_each(|raw| value(raw).map(drop))?;
            Json::Array
        }
        b'"' => Json::Text(serde_json::from_str(text).ok()?),
        b't' | b'f' | b'n' => Json::Word,
        _ => Json::Number(text.to_owned()),
    })
}

/// The members of an object in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Members, A::Error> {
                Err(serde::de::Error::custom("an array"))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
