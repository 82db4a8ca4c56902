//! What has come of dead letters at the end of a history: each late or rejected record of each committed batch is one letter,
//! or noted as lost, and nothing else was ever sent. Which ones these are is the simulation's word, not the store's.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use isotherm_model::time::Utc;
use isotherm_store::{LostCause, LostRange};
use serde_json::Value;

use super::book::Dead;
use super::letters::RUN;
use super::log::Batch;
use super::records::{self, Entry};
use super::world::World;

/// A letter as it must be.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    reason: &'static str,
    window: Option<String>,
    value: Bytes,
}

/// How often it stands in the topic.
#[derive(Debug, Default)]
struct Copies {
    /// Sent by whoever held the store.
    own: usize,
    /// Sent by a copier whose store had been taken over.
    old: usize,
}

impl World<'_> {
    /// Holds the topic of dead letters, and what is noted as lost, against these batches.
    pub(super) fn check_letters(&self, dead: &[Dead], lost: &[LostRange]) {
        for Dead { partition, first, .. } in dead {
            assert!(self.letters.is_settled(*partition, *first), "p{partition}, batch {first} is not settled");
        }
        let (mut wanted, mut forgotten) = (self.letters_of(dead), self.letters_of(&self.forgotten));
        self.letters.each(|key, value, old| {
            let key: Value = serde_json::from_slice(key).expect("a letter's key is JSON");
            let number = |name: &str| key[name].as_i64().unwrap_or_else(|| panic!("no `{name}` in {key}"));
            let (partition, offset) = (number("partition") as u32, number("offset"));
            assert_eq!(key["id"], format!("{RUN}/{partition}/{offset}"));
            assert_eq!((&key["run"], &key["topic"]), (&RUN.into(), &"sensors".into()), "{key}");
            let origin = (partition, offset);
            let Some((letter, copies)) = wanted.get_mut(&origin).or_else(|| forgotten.get_mut(&origin)) else {
                panic!("a letter of what is not dead: {key}");
            };
            let told = (key["reason"].as_str(), key["window"].as_str(), value);
            assert_eq!(told, (Some(letter.reason), letter.window.as_deref(), &letter.value[..]), "{key}");
            *(if old { &mut copies.old } else { &mut copies.own }) += 1;
        });
        for (origin, (_, Copies { own, old })) in &wanted {
            assert!(*own <= 1, "{own} letters of {origin:?} were sent by those who held the store, {old} by others");
            self.tally.letters.fetch_add(*own as u64, Ordering::Relaxed);
            self.tally.doubled.fetch_add((own + old).saturating_sub(1) as u64, Ordering::Relaxed);
        }
        for (origin, (_, Copies { own, old })) in forgotten {
            assert!(own <= 1, "{own} letters of {origin:?} were sent by those who held the store, {old} by others");
            self.tally.forgotten.fetch_add(own as u64, Ordering::Relaxed);
        }
        self.check_lost(dead, &wanted, lost);
    }

    /// By partition and offset, what letters these batches must become.
    fn letters_of(&self, dead: &[Dead]) -> BTreeMap<(u32, i64), (Wanted, Copies)> {
        let mut wanted = BTreeMap::new();
        for Dead { partition, first, late, .. } in dead {
            let batches = &self.log.partitions[*partition as usize].batches;
            let batch =
                batches.iter().find(|batch| batch.first == *first && batch.reach > *first).expect("a batch of the log");
            for (offset, letter) in self.wanted(batch, late) {
                wanted.insert((*partition, offset), (letter, Copies::default()));
            }
        }
        wanted
    }

    /// What a batch's dead records must become, by offset.
    fn wanted(&self, batch: &Batch, late: &[i64]) -> Vec<(i64, Wanted)> {
        let (size, mut wanted) = (self.log.window.millis(), Vec::new());
        for (entry, offset) in records::entries(batch).iter().zip(batch.first..) {
            let (reason, window) = match entry {
                Entry::Rejected(rejection) => (rejection.name(), None),
                Entry::Reading(reading) => match reading.time.div_euclid(size) {
                    number if late.contains(&number) => ("late", Some(Utc(number * size).to_string())),
                    _ => continue,
                },
            };
            wanted.push((offset, Wanted { reason, window, value: records::value(entry, offset) }));
        }
        wanted
    }

    /// What is not in the topic is noted as lost, once, and had to be lost.
    fn check_lost(&self, dead: &[Dead], wanted: &BTreeMap<(u32, i64), (Wanted, Copies)>, lost: &[LostRange]) {
        let within = |lost: &LostRange, (partition, offset): (u32, i64)| {
            lost.partition == partition && lost.range.first <= offset && offset < lost.range.next
        };
        for (origin, (letter, copies)) in wanted {
            if copies.own + copies.old > 0 {
                continue;
            }
            let times = lost.iter().filter(|lost| within(lost, *origin)).count();
            assert_eq!(times, 1, "{origin:?}, {letter:?} is not in the topic: how often it is noted as lost");
        }
        for lost in lost {
            let cut = self.log.partitions[lost.partition as usize].start();
            let of_these = wanted.iter().filter(|(origin, _)| within(lost, **origin));
            let had_to_be = match lost.cause {
                LostCause::Cut => lost.range.next <= cut,
                LostCause::TooLarge => {
                    let mut missing = of_these.clone().filter(|(_, (_, copies))| copies.own + copies.old == 0);
                    missing.all(|(_, (letter, _))| self.letters.is_too_large(&letter.value))
                }
            };
            assert!(had_to_be, "{lost:?} had not to be lost; the log begins at {cut}");
            let of = |fits: &dyn Fn(&Copies) -> bool| {
                of_these.clone().filter(|(_, (_, copies))| fits(copies)).count() as u64
            };
            // A letter of one that was taken over is there, and the one who noted it as lost may not have seen it.
            let (least, most) = (of(&|copies| copies.own + copies.old == 0), of(&|copies| copies.own == 0));
            let records = lost.records;
            assert!(least <= records && records <= most, "lost are {least} to {most} records: {lost:?}");
            let batches = dead.iter().filter(|dead| within(lost, (dead.partition, dead.first)));
            assert_eq!(lost.batches, batches.count() as u64, "how many batches are lost: {lost:?}");
            self.tally.lost.fetch_add(records, Ordering::Relaxed);
        }
    }
}
