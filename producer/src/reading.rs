//! The bytes of a simulated reading.
//!
//! ```json
//! {"guid":"…","destination":"0-AAA12345678","state":"AK","eventTime":"2026-11-22T10:00:00.123Z",
//!  "payload":{"format":"urn:example:sensor:temp","data":{"temperature":48.3}}}
//! ```
//! on one line and without white space: always these members in this order, the time with three decimals, the
//! temperature with one.

use std::ops::Range;

use rand::{Rng, RngExt};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::clock::TimeWriter;
use crate::config::Key;

/// The part of a sensor that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// A version 4 UUID.
    pub guid: Uuid,
    /// Three letters and eight digits, as one number below [`DESTINATIONS`].
    pub destination: u64,
}

pub const DESTINATIONS: u64 = 26 * 26 * 26 * DIGITS;
const DIGITS: u64 = 100_000_000;

impl Identity {
    pub fn draw(random: &mut impl Rng) -> Self {
        let guid = uuid::Builder::from_random_bytes(random.random()).into_uuid();
        Self { guid, destination: random.random_range(0..DESTINATIONS) }
    }

    /// Appends the UUID in its usual form: 36 lower-case characters.
    pub fn write_guid(&self, out: &mut Vec<u8>) {
        let mut text = [0; Hyphenated::LENGTH];
        out.extend_from_slice(self.guid.hyphenated().encode_lower(&mut text).as_bytes());
    }

    fn write_destination(&self, out: &mut Vec<u8>) {
        let mut text = *b"0-AAA00000000";
        let (mut letters, mut digits) = (self.destination / DIGITS, self.destination % DIGITS);
        for letter in text[2..5].iter_mut().rev() {
            *letter += (letters % 26) as u8;
            letters /= 26;
        }
        for digit in text[5..].iter_mut().rev() {
            *digit += (digits % 10) as u8;
            digits /= 10;
        }
        out.extend_from_slice(&text);
    }
}

/// One reading, before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub sensor: Identity,
    /// The state's postal code.
    pub state: [u8; 2],
    /// In milliseconds since the epoch.
    pub event_ms: i64,
    /// The temperature in tenths of a degree Fahrenheit.
    pub tenths: i32,
}

impl Reading {
    /// Appends the reading and returns the key's place in its bytes.
    pub fn write(&self, key: Key, times: &mut TimeWriter, out: &mut Vec<u8>) -> Option<Range<usize>> {
        let start = out.len();
        out.extend_from_slice(br#"{"guid":""#);
        let guid = out.len() - start;
        self.sensor.write_guid(out);
        out.extend_from_slice(br#"","destination":""#);
        self.sensor.write_destination(out);
        out.extend_from_slice(br#"","state":""#);
        let state = out.len() - start;
        out.extend_from_slice(&self.state);
        out.extend_from_slice(br#"","eventTime":""#);
        times.write(self.event_ms, out);
        out.extend_from_slice(br#"","payload":{"format":"urn:example:sensor:temp","data":{"temperature":"#);
        write_tenths(self.tenths, out);
        out.extend_from_slice(b"}}}");
        match key {
            Key::None => None,
            Key::Sensor => Some(guid..guid + Hyphenated::LENGTH),
            Key::Group => Some(state..state + 2),
        }
    }
}

fn write_tenths(tenths: i32, out: &mut Vec<u8>) {
    if tenths < 0 {
        out.push(b'-');
    }
    let magnitude = tenths.unsigned_abs();
    let mut digits = [0; 12];
    let mut at = digits.len();
    let mut put = |byte: u8| {
        at -= 1;
        digits[at] = byte;
        at
    };
    put(b'0' + (magnitude % 10) as u8);
    put(b'.');
    let mut whole = magnitude / 10;
    let first = loop {
        let first = put(b'0' + (whole % 10) as u8);
        whole /= 10;
        if whole == 0 {
            break first;
        }
    };
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading() -> Reading {
        Reading {
            sensor: Identity {
                guid: Uuid::from_u128(0x00010203_0405_4607_8809_0a0b0c0d0eff),
                destination: 27 * DIGITS + 42,
            },
            state: *b"AK",
            event_ms: 1_795_341_600_123,
            tenths: 480,
        }
    }

    #[test]
    fn has_exactly_these_bytes() {
        let mut out = Vec::new();
        assert_eq!(reading().write(Key::None, &mut TimeWriter::default(), &mut out), None);
        let expected = concat!(
            r#"{"guid":"00010203-0405-4607-8809-0a0b0c0d0eff","destination":"0-ABB00000042","state":"AK","#,
            r#""eventTime":"2026-11-22T10:00:00.123Z","payload":{"format":"urn:example:sensor:temp","#,
            r#""data":{"temperature":48.0}}}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn keys_stand_where_they_are_said_to_stand() {
        for (key, expected) in [(Key::Sensor, "00010203-0405-4607-8809-0a0b0c0d0eff"), (Key::Group, "AK")] {
            let mut out = b"before".to_vec();
            let at = reading().write(key, &mut TimeWriter::default(), &mut out).unwrap();
            assert_eq!(&out[6 + at.start..6 + at.end], expected.as_bytes());
        }
    }

    #[test]
    fn drawn_guids_are_version_four() {
        let mut random = crate::random::Purpose::Sensors.random(3);
        for _ in 0..1000 {
            let identity = Identity::draw(&mut random);
            assert_eq!((identity.guid.get_version_num(), identity.guid.get_variant()), (4, uuid::Variant::RFC4122));
            assert!(identity.destination < DESTINATIONS);
        }
    }

    proptest! {
        #[test]
        fn temperatures_have_one_decimal(tenths: i32) {
            let mut out = Vec::new();
            write_tenths(tenths, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{:.1}", f64::from(tenths) / 10.0));
        }
    }
}
