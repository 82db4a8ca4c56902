//! Malformed messages for `--malformed`, as real sensors, proxies and half-written files make them.
//!
//! The mix covers every reason for a rejection except `future`, which depends on the clock of the broker's log. No
//! fault contains a line end, so a message stays one line.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

/// One way in which a message can be malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Why a reader with the sensor message's schema rejects the message.
    pub reason: &'static str,
    change: Change,
}

/// What a fault does to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The text ends somewhere in the middle.
    Cut,
    /// Another text.
    Other(&'static str),
    /// Everything from the first text through the next that is the second becomes the third.
    Replace(&'static str, &'static str, &'static [u8]),
    /// A known state in lower case.
    LowerCaseState,
}

impl Fault {
    /// Every fault; a draw takes each with the same probability.
    pub const ALL: [Self; 19] = [
        Self::new("not-json", Change::Cut),
        Self::new("not-json", Change::Replace(r#"{"guid":""#, "", b"{\"guid\":\"\xff")),
        Self::new("not-json", Change::Other("sensor offline, retrying")),
        Self::new("missing-field", Change::Other("{}")),
        Self::new("missing-field", Change::Replace(r#""guid":"#, ",", b"")),
        Self::new("missing-field", Change::Replace(r#""guid":""#, "\"", br#""guid":"""#)),
        Self::new("missing-field", Change::Replace(r#""state":"#, ",", b"")),
        Self::new("missing-field", Change::Replace(r#""eventTime":"#, ",", b"")),
        Self::new("missing-field", Change::Replace(r#""temperature":"#, "}", b"}")),
        Self::new("wrong-type", Change::Replace(r#""state":"#, ",", br#""state":17,"#)),
        Self::new("wrong-type", Change::Replace(r#""eventTime":"#, ",", br#""eventTime":1795341600123,"#)),
        Self::new("wrong-type", Change::Replace(r#""temperature":"#, "}", br#""temperature":"48.3"}"#)),
        Self::new("wrong-type", Change::Replace(r#""payload":"#, "}}}", br#""payload":null}"#)),
        Self::new("unknown-group", Change::Replace(r#""state":"#, ",", br#""state":"ZZ","#)),
        Self::new("unknown-group", Change::LowerCaseState),
        Self::new("bad-time", Change::Replace(r#""eventTime":"#, ",", br#""eventTime":"2026-13-22T25:00:00.000Z","#)),
        Self::new("bad-time", Change::Replace(r#""eventTime":"#, ",", br#""eventTime":"2026-11-22T10:00:00.123","#)),
        Self::new("out-of-range", Change::Replace(r#""temperature":"#, "}", br#""temperature":1000000.5}"#)),
        Self::new("out-of-range", Change::Replace(r#""temperature":"#, "}", br#""temperature":-1e7}"#)),
    ];

    const fn new(reason: &'static str, change: Change) -> Self {
        Self { reason, change }
    }

    pub fn draw(random: &mut impl Rng) -> Self {
        Self::ALL.choose(random).copied().unwrap_or(Self::ALL[0])
    }

    /// Turns a good message, as [`crate::reading::Reading::write`] writes it, into one with this fault.
    pub fn apply(self, message: &mut Vec<u8>, random: &mut impl Rng) {
        match self.change {
            Change::Cut => message.truncate(random.random_range(1..message.len().max(2))),
            Change::Other(text) => {
                message.clear();
                message.extend_from_slice(text.as_bytes());
            }
            Change::Replace(from, through, with) => replace(message, from.as_bytes(), through.as_bytes(), with),
            Change::LowerCaseState => lower_case_state(message),
        }
    }
}

/// Replaces everything from the first `from` through the first `through` after it.
fn replace(message: &mut Vec<u8>, from: &[u8], through: &[u8], with: &[u8]) {
    let Some(start) = find(message, from, 0) else { return };
    let Some(last) = find(message, through, start + from.len()) else {
        return;
    };
    message.splice(start..last + through.len(), with.iter().copied());
}

fn lower_case_state(message: &mut [u8]) {
    let Some(at) = find(message, br#""state":""#, 0) else {
        return;
    };
    if let Some(code) = message.get_mut(at + 9..at + 11) {
        code.make_ascii_lowercase();
    }
}

fn find(message: &[u8], text: &[u8], from: usize) -> Option<usize> {
    if text.is_empty() {
        return Some(from);
    }
    message.get(from..)?.windows(text.len()).position(|window| window == text).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::clock::TimeWriter;
    use crate::config::Key;
    use crate::random::Purpose;
    use crate::reading::{Identity, Reading};
    use crate::states;

    /// Why a message is rejected, found with serde_json and the schema's words; `None` for a good one.
    fn reason_of(message: &[u8]) -> Option<&'static str> {
        let Ok(document) = serde_json::from_slice::<Value>(message) else {
            return Some("not-json");
        };
        let leaf = |names: &[&str]| {
            names.iter().try_fold(&document, |value, name| {
                value.as_object().ok_or("wrong-type")?.get(*name).ok_or("missing-field")
            })
        };
        let text = |names: &[&str]| leaf(names)?.as_str().ok_or("wrong-type");
        let check = || {
            if text(&["guid"])?.is_empty() {
                return Err("missing-field");
            }
            let (state, time) = (text(&["state"])?, text(&["eventTime"])?);
            let value = leaf(&["payload", "data", "temperature"])?.as_f64().ok_or("wrong-type")?;
            if !states::table().unwrap().iter().any(|known| known.code == state.as_bytes()) {
                return Err("unknown-group");
            }
            chrono::DateTime::parse_from_rfc3339(time).map_err(|_| "bad-time")?;
            if value.abs() > 1e6 { Err("out-of-range") } else { Ok(()) }
        };
        check().err()
    }

    #[test]
    fn every_fault_is_rejected_for_its_reason() {
        let mut random = Purpose::Malformed.random(5);
        for _ in 0..200 {
            let reading = Reading {
                sensor: Identity::draw(&mut random),
                state: states::table().unwrap()[12].code,
                event_ms: 1_795_341_600_123,
                tenths: random.random_range(-900..=900),
            };
            let mut good = Vec::new();
            reading.write(Key::None, &mut TimeWriter::default(), &mut good);
            assert_eq!(reason_of(&good), None);
            for fault in Fault::ALL {
                let mut message = good.clone();
                fault.apply(&mut message, &mut random);
                let shown = String::from_utf8_lossy(&message).into_owned();
                assert_eq!(reason_of(&message), Some(fault.reason), "{fault:?}: {shown}");
                assert!(!message.is_empty() && !message.contains(&b'\n'), "{fault:?}: {shown}");
            }
        }
    }

    #[test]
    fn every_fault_is_drawn() {
        let mut random = Purpose::Malformed.random(5);
        let drawn: Vec<_> = (0..1000).map(|_| Fault::draw(&mut random)).collect();
        assert!(Fault::ALL.iter().all(|fault| drawn.contains(fault)));
    }
}
