//! What has become of dead letters at the end of a history: each late or rejected record of each committed batch is one letter,
//! or noted as lost, and nothing else was ever sent. The simulation says which records these are, not the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use isotherm_model::partial::PartitionId;
use isotherm_model::time::Utc;
use isotherm_store::{LostCause, LostRange};
use serde_json::Value;

use super::letters::{Letters, RUN};
use super::records::{self, Entry};
use super::reference::expected::ExpectedDeadBatch;
use super::reference::log::{Batch, Log};
use super::world::World;

/// A letter as it must be, and how often it is in the topic.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    reason: &'static str,
    window: Option<String>,
    value: Bytes,
    /// Sent by a worker that held the store.
    own: u64,
    /// Sent by a worker whose store had been taken over.
    old: u64,
}

/// By partition and offset.
type AllWanted = BTreeMap<(PartitionId, i64), Wanted>;

/// Holds the topic of dead letters, and what is noted as lost, against these batches.
pub(crate) fn check_letters(world: &mut World, dead: &[ExpectedDeadBatch], lost: &[LostRange]) {
    let World { seed, log, letters, forgotten, .. } = world;
    for ExpectedDeadBatch { partition, range, .. } in dead {
        assert!(letters.is_delivered(*partition, range.first), "p{partition}, the batch at {range:?} is not done");
    }
    let (mut wanted, mut forgotten) = (all_wanted(&log.whole, dead), all_wanted(&log.whole, forgotten));
    letters.each(|key, value, old| {
        let key: Value = serde_json::from_slice(key).expect("a letter's key is JSON");
        let number = |name: &str| key[name].as_i64().unwrap_or_else(|| panic!("no `{name}` in {key}"));
        let (partition, offset) = (number("partition") as u32, number("offset"));
        assert_eq!(key["id"], format!("{RUN}/{partition}/{offset}"));
        assert_eq!((&key["run"], &key["topic"]), (&RUN.into(), &"sensors".into()), "{key}");
        let origin = (partition, offset);
        let Some(letter) = wanted.get_mut(&origin).or_else(|| forgotten.get_mut(&origin)) else {
            panic!("a letter of what is not dead: {key}");
        };
        let sent = (key["reason"].as_str(), key["window"].as_str(), value);
        assert_eq!(sent, (Some(letter.reason), letter.window.as_deref(), &letter.value[..]), "{key}");
        *(if old { &mut letter.old } else { &mut letter.own }) += 1;
    });
    for (origin, Wanted { own, old, .. }) in wanted.iter().chain(&forgotten) {
        assert!(*own <= 1, "{own} letters of {origin:?} were sent by workers that held the store, {old} by others");
    }
    let twice = wanted.values().map(|letter| (letter.own + letter.old).saturating_sub(1)).sum();
    seed.count("dead letters", wanted.values().map(|letter| letter.own).sum());
    seed.count("dead letters sent twice", twice);
    seed.count("dead letters of forgotten states", forgotten.values().map(|letter| letter.own).sum());
    for (origin, letter) in wanted.iter().filter(|(_, letter)| letter.own + letter.old == 0) {
        let times = lost.iter().filter(|lost| within(lost, *origin)).count();
        assert_eq!(times, 1, "{origin:?}, {letter:?} is not in the topic: how often it is noted as lost");
    }
    for lost in lost {
        let start = log.partitions[lost.partition as usize].start();
        check_lost(letters, lost, dead, &wanted, start);
        seed.count("lost dead letters", lost.records);
    }
}

/// What these batches must become.
fn all_wanted(log: &Log, dead: &[ExpectedDeadBatch]) -> AllWanted {
    let mut wanted = BTreeMap::new();
    for ExpectedDeadBatch { partition, range, late, .. } in dead {
        let place = log.place(*partition, *range).expect("a batch of the log");
        let batch = &log.partitions[*partition as usize][place];
        wanted.extend(of_batch(log, batch, late).map(|(offset, letter)| ((*partition, offset), letter)));
    }
    wanted
}

/// What a batch's dead records must become, by offset.
fn of_batch(log: &Log, batch: &Batch, late: &[i64]) -> impl Iterator<Item = (i64, Wanted)> {
    let dead = records::entries(batch).into_iter().zip(batch.first..).filter_map(|(entry, offset)| {
        let (reason, window) = match entry {
            Entry::Rejected(rejection) => (rejection.name(), None),
            Entry::Reading(reading) if late.contains(&log.number_of(reading)) => {
                ("late", Some(Utc(log.end_of(reading) - log.window.millis()).to_string()))
            }
            Entry::Reading(_) => return None,
        };
        Some((offset, Wanted { reason, window, value: records::value(&entry, offset), own: 0, old: 0 }))
    });
    dead.collect::<Vec<_>>().into_iter()
}

fn within(lost: &LostRange, (partition, offset): (PartitionId, i64)) -> bool {
    lost.partition == partition && lost.range.first <= offset && offset < lost.range.next
}

/// What is noted as lost had to be lost, and is not in the topic; the log begins at `start`.
fn check_lost(letters: &Letters, lost: &LostRange, dead: &[ExpectedDeadBatch], wanted: &AllWanted, start: i64) {
    let of_these = || wanted.iter().filter(|(origin, _)| within(lost, **origin)).map(|(_, letter)| letter);
    let missing = || of_these().filter(|letter| letter.own + letter.old == 0);
    let had_to_be = match lost.cause {
        LostCause::Cut => lost.range.next <= start,
        LostCause::TooLarge => missing().all(|letter| letters.is_too_large(&letter.value)),
    };
    assert!(had_to_be, "{lost:?} need not have been lost; the log begins at {start}");
    // A letter of a worker that was taken over is in the topic, and who noted it as lost may not have seen it.
    let (min, max) = (missing().count() as u64, of_these().filter(|letter| letter.own == 0).count() as u64);
    assert!((min..=max).contains(&lost.records), "{min} to {max} records are lost: {lost:?}");
    let batches = dead.iter().filter(|dead| within(lost, (dead.partition, dead.range.first)));
    assert_eq!(lost.batches, batches.count() as u64, "how many batches are lost: {lost:?}");
}
