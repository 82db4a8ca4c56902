//! The plain reference: what a batch's partial must be, written for clarity alone, sharing no code with the scanner.
//!
//! JSON is read by serde_json, times by chrono, numbers by arithmetic on strings of decimal digits.

#![allow(dead_code, reason = "each test that includes this file uses a part of it")]

pub(crate) mod digits;
pub(crate) mod json;

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use isotherm_model::combine::Record;
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{Aggregate, Cell, CellKey};
use isotherm_model::rejection::Rejection;
use isotherm_model::schema::{Groups, Pointer};
use isotherm_model::settings::Settings;
use isotherm_model::stats::Stats;
use isotherm_model::window::Window;
use json::Json;

/// The known states, written down once more.
const STATES: &str = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY \
                      NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR VI";

/// A reading as the reference sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) sensor: String,
    pub(crate) group: String,
    pub(crate) time: i64,
    pub(crate) value: i64,
}

/// What a record is.
pub(crate) fn classify(settings: &Settings, record: &Record<'_>) -> Result<Reading, Rejection> {
    let schema = &settings.schema;
    let document = json::read(record.value).ok_or(Rejection::NotJson)?;
    let text = |pointer| match leaf(&document, pointer)? {
        Json::Text(text) => Ok(text.clone()),
        _ => Err(Rejection::WrongType),
    };
    let sensor = text(&schema.sensor)?;
    if sensor.is_empty() {
        return Err(Rejection::MissingField);
    }
    let group = text(&schema.group)?;
    let time = text(&schema.time)?;
    let Json::Number(value) = leaf(&document, &schema.value)? else {
        return Err(Rejection::WrongType);
    };
    let known = match &schema.groups {
        Groups::Any => true,
        Groups::UsStates => group.len() == 2 && STATES.split(' ').any(|state| state == group),
        Groups::List(names) => names.contains(&group),
    };
    if !known {
        return Err(Rejection::UnknownGroup);
    }
    let time = millis(&time).ok_or(Rejection::BadTime)?;
    let value = digits::micros(value, schema.range.min.micros(), schema.range.max.micros());
    let value = value.ok_or(Rejection::OutOfRange)?;
    let ahead = settings.max_ahead.as_millis() as i128;
    if record.timestamp.is_some_and(|timestamp| i128::from(time) > i128::from(timestamp) + ahead) {
        return Err(Rejection::Future);
    }
    Ok(Reading { sensor, group, time, value })
}

/// The value at a pointer.
fn leaf<'a>(document: &'a Json, pointer: &Pointer) -> Result<&'a Json, Rejection> {
    let mut value = document;
    for name in pointer.names() {
        let Json::Object(members) = value else {
            return Err(Rejection::WrongType);
        };
        value = &members.iter().rfind(|(known, _)| known == name).ok_or(Rejection::MissingField)?.1;
    }
    Ok(value)
}

/// What chrono reads, without what it accepts and we do not.
fn millis(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.get(10) != Some(&b'T') || text.contains('z') || bytes.get(17..19) == Some(b"60") {
        return None;
    }
    if bytes.get(19) == Some(&b'.') && text[20..].bytes().take_while(u8::is_ascii_digit).count() > 9 {
        return None;
    }
    let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
    (-30_610_224_000_000..253_370_764_800_000).contains(&millis).then_some(millis)
}

/// The hash of a batch's rejected records.
pub(crate) fn rejected_hash(settings: &Settings, records: &[Record<'_>]) -> u64 {
    let rejected = records.iter().filter(|record| classify(settings, record).is_err());
    rejected.fold(0, |hash, record| xxhash_rust::xxh3::xxh3_64_with_seed(record.value, hash))
}

/// What a batch adds up to.
pub(crate) fn combine(settings: &Settings, records: &[Record<'_>]) -> Aggregate {
    let mut aggregate = Aggregate::default();
    let mut values: BTreeMap<(i64, String), Vec<i64>> = BTreeMap::new();
    let mut sensors: BTreeMap<(i64, String), BTreeSet<String>> = BTreeMap::new();
    for record in records {
        aggregate.records += 1;
        match classify(settings, record) {
            Err(reason) => aggregate.rejected.add(reason, 1),
            Ok(reading) => {
                let watermark_time = record.timestamp.map_or(reading.time, |timestamp| timestamp.min(reading.time));
                aggregate.newest = Some(aggregate.newest.unwrap_or(i64::MIN).max(watermark_time));
                let key = (reading.time.div_euclid(settings.window.millis()), reading.group);
                values.entry(key.clone()).or_default().push(reading.value);
                sensors.entry(key).or_default().insert(reading.sensor);
            }
        }
    }
    for ((window, group), values) in values {
        let stats = Stats {
            count: values.len() as u64,
            sum: values.iter().map(|value| i128::from(*value)).sum(),
            min: Fixed::from_micros(values.iter().copied().min().expect("a value")),
            max: Fixed::from_micros(values.iter().copied().max().expect("a value")),
        };
        let names = &sensors[&(window, group.clone())];
        let hashes: BTreeSet<u64> = names.iter().map(|name| xxhash_rust::xxh3::xxh3_64(name.as_bytes())).collect();
        let key = CellKey { window: Window(window), group: group.into() };
        aggregate.cells.insert(key, Cell { stats, sensors: hashes.into_iter().collect() });
    }
    aggregate
}
