//! Letters: which records of a batch are dead, and the envelope that each is sent in.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::Rejection;
use isotherm_model::scan::Scanner;
use isotherm_model::time::{self, Millis, Utc};
use isotherm_model::window::WindowSize;
use serde::Serialize;
use serde_json::Value;
use siphasher::sip::SipHasher;

use crate::log::LogBatch;
use crate::results;

/// The reason of a late reading.
const LATE: &str = "late";

/// Where a letter comes from: its record's place in the topic that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub partition: PartitionId,
    pub offset: i64,
}

/// A letter that is in the topic of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub origin: Origin,
    /// The start of the window that a late reading is for.
    pub window: Option<Millis>,
}

/// A reading that is late, or a record that is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub origin: Origin,
    pub reason: &'static str,
    /// The start of the window that a late reading is for.
    pub window: Option<Millis>,
    /// The record's value, as it is in the log.
    pub value: Bytes,
}

/// The dead records of a batch, in order. Their values are copied: a batch can be far larger than what is dead in it.
///
/// An error is what of the batch cannot be read.
pub fn pick(
    batch: &LogBatch,
    dead: &DeadBatch,
    scanner: &mut Scanner,
    size: WindowSize,
    buffer: &mut Vec<u8>,
) -> Result<Vec<Letter>, String> {
    let (mut letters, mut offset) = (Vec::new(), batch.first);
    batch.each(buffer, |record| {
        let origin = Origin { partition: dead.partition, offset: record.offset.unwrap_or(offset) };
        offset = offset.saturating_add(1);
        let scanned = match record.value {
            Some(value) => scanner.scan(value, record.timestamp),
            None => Err(Rejection::NoValue),
        };
        let (reason, window) = match scanned {
            Err(rejection) => (rejection.name(), None),
            Ok(reading) => {
                let window = size.window_of(reading.time);
                // They ascend.
                if dead.late.binary_search(&window).is_err() {
                    return;
                }
                (LATE, Some(size.start(window)))
            }
        };
        letters.push(Letter {
            origin,
            reason,
            window,
            value: Bytes::copy_from_slice(record.value.unwrap_or_default()),
        });
    })?;
    Ok(letters)
}

#[derive(Serialize)]
struct Key<'a> {
    reason: &'a str,
    topic: &'a str,
    partition: PartitionId,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    run: &'a str,
    id: String,
}

/// Makes keys of letters, and reads them back.
#[derive(Debug, Clone)]
pub struct Envelope {
    topic: String,
    run: String,
}

impl Envelope {
    /// For letters of this run, of this topic.
    pub fn new(topic: &str, run: &str) -> Self {
        Self { topic: topic.to_owned(), run: run.to_owned() }
    }

    /// A letter's key: see `docs/dead-letters.md`.
    pub fn key(&self, letter: &Letter) -> String {
        let Self { topic, run } = self;
        let Letter { origin: Origin { partition, offset }, reason, window, .. } = *letter;
        let id = format!("{run}/{partition}/{offset}");
        results::json(&Key {
            reason,
            topic,
            partition,
            offset,
            window: window.map(|start| Utc(start).to_string()),
            run,
            id,
        })
    }

    /// What the letter with this key is of, if it is one of this run.
    pub fn known(&self, key: &[u8]) -> Option<Known> {
        let key: Value = serde_json::from_slice(key).ok()?;
        let (partition, offset) =
            key.get("id")?.as_str()?.strip_prefix(&self.run)?.strip_prefix('/')?.split_once('/')?;
        let origin = Origin { partition: partition.parse().ok()?, offset: offset.parse().ok()? };
        // One that begins before the first time that is read says nothing of itself; the letter is ours all the same.
        let window = key.get("window").and_then(|start| time::parse(start.as_str()?.as_bytes()));
        Some(Known { origin, window })
    }
}

/// The partition of a record with this key, as Fluvio's own clients choose it.
pub fn partition_of(key: &[u8], partitions: u32) -> PartitionId {
    let mut hasher = SipHasher::new();
    key.hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use isotherm_model::partial::SourceRange;
    use isotherm_model::settings::Settings;
    use isotherm_model::window::Window;

    use super::*;
    use crate::log::{OwnedBatch, OwnedRecord};

    const RUN: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    fn reading(time: &str) -> Bytes {
        let text = format!(
            r#"{{"guid":"g","destination":"d","state":"AK","eventTime":"{time}","payload":{{"format":"f","data":{{"temperature":1}}}}}}"#
        );
        text.into()
    }

    #[test]
    fn envelopes_are_byte_for_byte_those_of_the_documents() {
        let envelope = Envelope::new("sensors", RUN);
        let origin = Origin { partition: 2, offset: 4_711 };
        let late = Letter { origin, reason: LATE, window: Some(1_795_341_600_000), value: Bytes::new() };
        let rejected = Letter { reason: "not-json", window: None, ..late.clone() };
        let lines = format!("{}\n{}\n", envelope.key(&late), envelope.key(&rejected));
        assert_eq!(lines, include_str!("golden.jsonl"));
        for letter in [&late, &rejected] {
            let key = envelope.key(letter);
            assert_eq!(envelope.known(key.as_bytes()), Some(Known { origin, window: letter.window }));
            assert_eq!(Envelope::new("sensors", "other").known(key.as_bytes()), None);
        }
        for foreign in ["", "x", "{}", r#"{"id":7}"#, r#"{"id":"a/b"}"#] {
            assert_eq!(envelope.known(foreign.as_bytes()), None, "{foreign}");
        }
        let odd = Envelope::new("a\"b", RUN).key(&late);
        assert!(serde_json::from_str::<Value>(&odd).is_ok_and(|key| key["topic"] == "a\"b"), "{odd}");
    }

    #[test]
    fn the_rejected_and_those_of_late_windows_are_picked() {
        let values = [
            reading("2026-11-22T10:00:00Z"),
            Bytes::from_static(b"{"),
            reading("2026-11-22T10:00:04Z"),
            Bytes::new(),
            reading("2026-11-22T10:00:02.999Z"),
            reading("yesterday"),
        ];
        let record = |value: &Bytes| OwnedRecord { timestamp: None, key: None, value: value.clone() };
        let records = values.iter().map(record).collect();
        let batch = OwnedBatch { first: 100, next: 106, base_timestamp: None, records };
        let size = WindowSize::default();
        let late = size.window_of(1_795_341_600_000);
        let range = SourceRange { first: 100, next: 106 };
        let dead = DeadBatch { partition: 3, range, digest: None, late: vec![Window(0), late], records: 5 };
        let mut scanner = Scanner::new(&Settings::default());
        let letters = pick(&batch.batch(), &dead, &mut scanner, size, &mut Vec::new()).expect("sound");
        let told: Vec<_> = letters.iter().map(|letter| (letter.origin.offset, letter.reason)).collect();
        assert_eq!(told, [(100, "late"), (101, "not-json"), (103, "not-json"), (104, "late"), (105, "bad-time")]);
        assert_eq!(letters[0].window, Some(1_795_341_600_000));
        assert!(letters.iter().all(|letter| values[(letter.origin.offset - 100) as usize] == letter.value));
    }

    #[test]
    fn keys_go_where_the_clients_send_them() {
        let taken: Vec<_> =
            ["AK", "AL", "AR", "AZ", "CA", "CO", "AK"].iter().map(|key| partition_of(key.as_bytes(), 5)).collect();
        // As in the producer: SipHash-2-4 with a zero key.
        assert_eq!(taken, [0, 3, 1, 4, 0, 1, 0]);
        assert_eq!(partition_of(b"x", 0), 0);
    }
}
