//! The digest of a partial depends on the batch and the settings alone, whichever version made the partial.

mod generate;

use std::collections::{BTreeMap, BTreeSet};

use isotherm_model::codec::{self, encode};
use isotherm_model::partial::{Cell, CellKey, ModuleVersion, Partial};
use isotherm_model::rejection::Rejection;
use isotherm_model::schema::ValueRange;
use proptest::prelude::*;

/// The digest of a partial, by the document, from nothing but what depends on batch and settings.
fn reference_digest(partial: &Partial) -> u64 {
    let Partial { version: _, fingerprint, source, base_timestamp, rejected_hash, aggregate } = partial;
    let mut bytes = Vec::new();
    bytes.extend(fingerprint.0.to_le_bytes());
    bytes.extend(source.first.to_le_bytes());
    bytes.extend(base_timestamp.unwrap_or(0).to_le_bytes());
    bytes.extend(rejected_hash.0.to_le_bytes());
    let varint = |mut number: u128, bytes: &mut Vec<u8>| {
        while number > 0x7f {
            bytes.push((number % 0x80) as u8 + 0x80);
            number /= 0x80;
        }
        bytes.push(number as u8);
    };
    let zigzag = |number: i64| if number < 0 { -1 - 2 * i128::from(number) } else { 2 * i128::from(number) } as u128;
    varint((source.next - source.first) as u128, &mut bytes);
    varint(aggregate.records.into(), &mut bytes);
    varint(aggregate.rejected.iter().count() as u128, &mut bytes);
    let mut rejected: Vec<_> = aggregate.rejected.iter().collect();
    rejected.sort_by_key(|(reason, _)| reason.number());
    for (reason, count) in rejected {
        bytes.push(reason.number());
        varint(count.into(), &mut bytes);
    }
    bytes.push(u8::from(aggregate.newest.is_some()));
    bytes.extend(aggregate.newest.iter().flat_map(|newest| newest.to_le_bytes()));
    // The statistics of a cell, and the members of a group.
    bytes.extend([5, 0, 1, 2, 3, 4, 1]);
    let groups: BTreeSet<&str> = aggregate.cells.keys().map(|key| &*key.group).collect();
    varint(groups.len() as u128, &mut bytes);
    for group in &groups {
        varint(group.len() as u128, &mut bytes);
        bytes.extend(group.bytes());
    }
    let mut windows = BTreeMap::<i64, Vec<(&CellKey, &Cell)>>::new();
    aggregate.cells.iter().for_each(|cell| windows.entry(cell.0.window.0).or_default().push(cell));
    varint(windows.len() as u128, &mut bytes);
    let mut before = None;
    for (window, cells) in windows {
        match before.replace(window) {
            None => varint(zigzag(window), &mut bytes),
            Some(before) => varint((window - before - 1) as u128, &mut bytes),
        }
        varint(cells.len() as u128, &mut bytes);
        let mut passed = 0;
        for (key, Cell { stats, sensors }) in cells {
            let position = groups.iter().position(|group| *group == &*key.group).expect("a group");
            varint((position - passed) as u128, &mut bytes);
            passed = position + 1;
            varint(stats.count.into(), &mut bytes);
            varint(zigzag(stats.min.micros()), &mut bytes);
            varint((stats.max.micros() - stats.min.micros()) as u128, &mut bytes);
            varint((stats.sum - i128::from(stats.count) * i128::from(stats.min.micros())) as u128, &mut bytes);
            bytes.push(0);
            varint(sensors.len() as u128, &mut bytes);
            bytes.extend(sensors.iter().flat_map(|sensor| sensor.to_le_bytes()));
        }
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

type Change = fn(&mut Partial);

/// Changes of one thing each that leave a partial well-formed.
const CHANGES: [(&str, Change); 10] = [
    ("the fingerprint", |p| p.fingerprint.0 ^= 1),
    ("the first offset", |p| (p.source.first, p.source.next) = (p.source.first + 1, p.source.next + 1)),
    ("the next offset", |p| p.source.next += 1),
    ("the base timestamp", |p| p.base_timestamp = p.base_timestamp.map_or(Some(1), |base| Some(base ^ 2))),
    ("whether there is a base timestamp", |p| p.base_timestamp = p.base_timestamp.xor(Some(7))),
    ("a rejected record", |p| {
        (p.aggregate.records, p.source.next) = (p.aggregate.records + 1, p.source.next + 1);
        p.aggregate.rejected.count(Rejection::BadTime);
    }),
    ("what was rejected", |p| {
        if p.aggregate.rejected.total() > 0 {
            p.rejected_hash.add(b"another");
        }
    }),
    ("the newest time", |p| p.aggregate.newest = p.aggregate.newest.map(|newest| newest - 1)),
    ("a cell's values", |p| {
        p.aggregate.cells.values_mut().take(1).for_each(|cell| cell.stats.max = ValueRange::LIMIT);
    }),
    ("a sensor", |p| p.aggregate.cells.values_mut().take(1).for_each(|cell| cell.sensors = vec![5])),
];

proptest! {
    #[test]
    fn the_digest_is_of_the_batch_and_the_settings(partial in generate::partial(), major: u16, minor: u16, patch: u16) {
        let digest = |partial: &Partial| codec::digest(&encode(partial).expect("well-formed"));
        prop_assert_eq!(digest(&partial), reference_digest(&partial));
        let made_by_another = Partial { version: ModuleVersion { major, minor, patch }, ..partial.clone() };
        prop_assert_eq!(digest(&made_by_another), digest(&partial));
        let mut of_another_format = encode(&partial).expect("well-formed");
        of_another_format[4] ^= 1;
        prop_assert_eq!(codec::digest(&of_another_format), digest(&partial));
        for (what, change) in CHANGES {
            let mut changed = partial.clone();
            change(&mut changed);
            prop_assert_eq!(digest(&changed) == digest(&partial), changed == partial, "{} of {:?}", what, partial);
            prop_assert_eq!(digest(&changed), reference_digest(&changed));
        }
    }
}
