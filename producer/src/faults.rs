//! Malformed messages for `--malformed`, as real sensors, proxies and half-written files make them.
//!
//! The mix covers every reason for a rejection except `future`, which depends on the clock of the broker's log. No
//! fault contains a line end, so a message stays one line.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

/// One way in which a message can be malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The text ends somewhere in the middle.
    Truncated,
    /// A byte that UTF-8 does not have.
    InvalidUtf8,
    /// A line of plain text.
    PlainText,
    /// `{}`.
    EmptyObject,
    /// No `guid`.
    NoSensor,
    /// An empty `guid`.
    EmptySensor,
    /// No `state`.
    NoState,
    /// No `eventTime`.
    NoTime,
    /// No `temperature`.
    NoTemperature,
    /// A number for a state.
    StateIsNumber,
    /// Unix milliseconds for a time.
    TimeIsNumber,
    /// The temperature in quotes.
    TemperatureIsText,
    /// `null` for the payload.
    PayloadIsNull,
    /// An unknown state.
    UnknownState,
    /// A known state in lower case.
    LowerCaseState,
    /// Month 13, hour 25.
    ImpossibleTime,
    /// A time without a zone.
    TimeWithoutZone,
    /// A temperature above a million.
    TooHot,
    /// A temperature below minus a million.
    TooCold,
}

impl Fault {
    /// Every fault; a draw takes each with the same probability.
    pub const ALL: [Self; 19] = [
        Self::Truncated,
        Self::InvalidUtf8,
        Self::PlainText,
        Self::EmptyObject,
        Self::NoSensor,
        Self::EmptySensor,
        Self::NoState,
        Self::NoTime,
        Self::NoTemperature,
        Self::StateIsNumber,
        Self::TimeIsNumber,
        Self::TemperatureIsText,
        Self::PayloadIsNull,
        Self::UnknownState,
        Self::LowerCaseState,
        Self::ImpossibleTime,
        Self::TimeWithoutZone,
        Self::TooHot,
        Self::TooCold,
    ];

    pub fn draw(random: &mut impl Rng) -> Self {
        Self::ALL.choose(random).copied().unwrap_or(Self::Truncated)
    }

    /// Why a reader with the sensor message's schema rejects the message.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Truncated | Self::InvalidUtf8 | Self::PlainText => "not-json",
            Self::EmptyObject
            | Self::NoSensor
            | Self::EmptySensor
            | Self::NoState
            | Self::NoTime
            | Self::NoTemperature => "missing-field",
            Self::StateIsNumber | Self::TimeIsNumber | Self::TemperatureIsText | Self::PayloadIsNull => "wrong-type",
            Self::UnknownState | Self::LowerCaseState => "unknown-group",
            Self::ImpossibleTime | Self::TimeWithoutZone => "bad-time",
            Self::TooHot | Self::TooCold => "out-of-range",
        }
    }

    /// Turns a good message, as [`crate::reading::Reading::write`] writes it, into one with this fault.
    pub fn apply(self, message: &mut Vec<u8>, random: &mut impl Rng) {
        match self {
            Self::Truncated => message.truncate(random.random_range(1..message.len().max(2))),
            Self::InvalidUtf8 => replace(message, br#"{"guid":""#, b"", b"{\"guid\":\"\xff"),
            Self::PlainText => {
                message.clear();
                message.extend_from_slice(b"sensor offline, retrying");
            }
            Self::EmptyObject => {
                message.clear();
                message.extend_from_slice(b"{}");
            }
            Self::NoSensor => replace(message, br#""guid":"#, b",", b""),
            Self::EmptySensor => replace(message, br#""guid":""#, b"\"", br#""guid":"""#),
            Self::NoState => replace(message, br#""state":"#, b",", b""),
            Self::NoTime => replace(message, br#""eventTime":"#, b",", b""),
            Self::NoTemperature => replace(message, br#""temperature":"#, b"}", b"}"),
            Self::StateIsNumber => replace(message, br#""state":"#, b",", br#""state":17,"#),
            Self::TimeIsNumber => replace(message, br#""eventTime":"#, b",", br#""eventTime":1795341600123,"#),
            Self::TemperatureIsText => replace(message, br#""temperature":"#, b"}", br#""temperature":"48.3"}"#),
            Self::PayloadIsNull => replace(message, br#""payload":"#, b"}}}", br#""payload":null}"#),
            Self::UnknownState => replace(message, br#""state":"#, b",", br#""state":"ZZ","#),
            Self::LowerCaseState => lower_case_state(message),
            Self::ImpossibleTime => {
                replace(message, br#""eventTime":"#, b",", br#""eventTime":"2026-13-22T25:00:00.000Z","#);
            }
            Self::TimeWithoutZone => {
                replace(message, br#""eventTime":"#, b",", br#""eventTime":"2026-11-22T10:00:00.123","#);
            }
            Self::TooHot => replace(message, br#""temperature":"#, b"}", br#""temperature":1000000.5}"#),
            Self::TooCold => replace(message, br#""temperature":"#, b"}", br#""temperature":-1e7}"#),
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
                assert_eq!(reason_of(&message), Some(fault.reason()), "{fault:?}: {shown}");
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
