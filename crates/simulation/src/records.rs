//! The records of a simulated log: values that the model's scanner reads as the readings and rejected records that the simulation
//! has drawn.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use isotherm_model::duration::DurationText;
use isotherm_model::fixed::Fixed;
use isotherm_model::rejection::{RejectedHash, Rejection};
use isotherm_model::settings::Settings;
use isotherm_model::stats::hash_sensor;
use isotherm_model::time::Utc;

use super::reference::log::{BASE_TIMESTAMP, Batch, Reading};
use isotherm_consumer::log::{OwnedBatch, OwnedRecord};

/// How many sensors there are.
pub(crate) const SENSORS: i64 = 12;

/// Their ids, by their hashes.
static IDS: LazyLock<BTreeMap<u64, String>> =
    LazyLock::new(|| (1..=SENSORS).map(|number| (sensor(number), id(number))).collect());

fn id(number: i64) -> String {
    format!("sensor {number}")
}

/// The hash of a sensor's id.
pub(crate) fn sensor(number: i64) -> u64 {
    hash_sensor(id(number).as_bytes())
}

/// Settings that accept all groups and values that are drawn.
pub(crate) fn settings(window: Duration) -> Settings {
    let window = DurationText(window).to_string();
    let params = [
        ("groups", r#"["AK","AL","WY","Ω"]"#),
        ("min", "-1000000000000"),
        ("max", "1000000000000"),
        ("window", &window),
    ];
    Settings::from_params(params).expect("sound settings")
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry<'a> {
    Reading(&'a Reading),
    Rejected(Rejection),
}

/// Why records here are rejected. Each has a value.
pub(crate) const REJECTED: [Rejection; 7] = [
    Rejection::NotJson,
    Rejection::MissingField,
    Rejection::WrongType,
    Rejection::UnknownGroup,
    Rejection::BadTime,
    Rejection::OutOfRange,
    Rejection::Future,
];

/// A batch's records in their order: the rejected ones among the readings.
pub(crate) fn entries(batch: &Batch) -> Vec<Entry<'_>> {
    let mut entries: Vec<_> = batch.readings.iter().map(Entry::Reading).collect();
    for (rejected, place) in batch.rejected.iter().zip(batch.first.unsigned_abs() as usize..) {
        entries.insert(place % (entries.len() + 1), Entry::Rejected(*rejected));
    }
    entries
}

/// A record's value. No two are equal, and some are far larger than others.
pub(crate) fn value(entry: &Entry<'_>, offset: i64) -> Bytes {
    let text = |sensor: &str, group: &str, time: &str, value: &str| {
        format!(
            r#"{{"guid":{sensor},"state":"{group}","eventTime":"{time}","payload":{{"data":{{"temperature":{value}}}}},"offset":{offset}}}"#
        )
    };
    let time = Utc(1_700_000_000_000).to_string();
    let text = match entry {
        Entry::Reading(Reading { sensor, group, time, micros, .. }) => {
            let id = format!("\"{}\"", IDS.get(sensor).map_or("", String::as_str));
            text(&id, group, &Utc(*time).to_string(), &Fixed::from_micros(*micros).to_string())
        }
        // No log here has null values.
        Entry::Rejected(Rejection::NoValue) => return Bytes::new(),
        Entry::Rejected(Rejection::NotJson) if offset % 4 == 0 => return Bytes::new(),
        Entry::Rejected(Rejection::NotJson) => format!("record {offset}"),
        Entry::Rejected(Rejection::MissingField) => format!(r#"{{"guid":"g","state":"AK","offset":{offset}}}"#),
        Entry::Rejected(Rejection::WrongType) => text("7", "AK", &time, "1"),
        Entry::Rejected(Rejection::UnknownGroup) => text("\"g\"", "XX", &time, "1"),
        Entry::Rejected(Rejection::BadTime) => text("\"g\"", "AK", "yesterday", "1"),
        Entry::Rejected(Rejection::OutOfRange) => text("\"g\"", "AK", &time, "1e300"),
        Entry::Rejected(Rejection::Future) => text("\"g\"", "AK", &Utc(FUTURE).to_string(), "1"),
    };
    let room = if offset % 7 == 0 { 500 } else { 0 };
    (text + &" ".repeat(room)).into()
}

/// Far ahead of every log timestamp here.
const FUTURE: i64 = 1_800_000_000_000;

/// The hash of a batch's rejected records.
pub(crate) fn rejected_hash(batch: &Batch) -> RejectedHash {
    let mut hash = RejectedHash::NONE;
    if !batch.rejected.is_empty() {
        let entries = entries(batch);
        let rejected = entries.iter().zip(batch.first..).filter(|(entry, _)| matches!(entry, Entry::Rejected(_)));
        rejected.for_each(|(entry, offset)| hash.add(&value(entry, offset)));
    }
    hash
}

/// A batch as the log stores it.
pub(crate) fn raw(batch: &Batch) -> OwnedBatch {
    let entries = entries(batch);
    let record = |(entry, offset): (&Entry<'_>, i64)| {
        // It limits what a reading counts for in its partition's watermark.
        let timestamp = if let Entry::Reading(reading) = entry { reading.watermark_time } else { 1_700_000_000_000 };
        OwnedRecord { timestamp: Some(timestamp), key: None, value: value(entry, offset) }
    };
    let records: Vec<OwnedRecord> = entries.iter().zip(batch.first..).map(record).collect();
    OwnedBatch { first: batch.first, next: batch.next, base_timestamp: Some(BASE_TIMESTAMP), records }
}
