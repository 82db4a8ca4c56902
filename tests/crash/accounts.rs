//! Letters compared with the ledger: each late or rejected record that it counts is a letter with the same partition, range,
//! reason and window.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::util::letters::Letter;
use crate::util::{count, list, number};

/// Fails unless every account of the ledger, and each range in it, has as many letters as records.
#[track_caller]
pub(super) fn assert_same(ledger: &Value, letters: &[Letter]) {
    let account = |partition| (count(partition, "partition"), Account::of(partition));
    let mut accounts: BTreeMap<u64, Account> = list(ledger, "partitions").iter().map(account).collect();
    // A letter that was sent twice counts once.
    let letters: BTreeMap<_, _> = letters.iter().map(|letter| (letter.origin, letter)).collect();
    for ((partition, offset), letter) in letters {
        let account = accounts.get_mut(&partition).unwrap_or_else(|| panic!("no partition {partition}: {ledger}"));
        account.add(offset, letter);
    }
    for (partition, account) in &accounts {
        let differences = account.differences();
        assert!(differences.is_empty(), "partition {partition}: {differences:#?}");
    }
    for left in ["waiting", "lost"] {
        assert_eq!(count(&ledger["dead_letters"][left], "records"), 0, "{left}: {ledger}");
    }
}

/// Why a record became a letter: the reason, and the window of a late reading.
type Cause = (String, Option<String>);

/// Letters, and the records that the ledger has for them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    letters: u64,
    records: u64,
}

/// A partition's late and rejected records in the ledger, and the letters that belong to them.
#[derive(Default)]
struct Account {
    by_reason: BTreeMap<String, Share>,
    /// Ranges by their first offsets, with the offsets that come after them.
    listed: BTreeMap<Cause, BTreeMap<u64, (u64, Share)>>,
    late_unlisted: Share,
    rejected_unlisted: Share,
}

impl Account {
    fn of(partition: &Value) -> Self {
        let share = |records| Share { letters: 0, records };
        let mut account = Self {
            late_unlisted: share(count(partition, "late_unlisted")),
            rejected_unlisted: share(count(partition, "rejected_unlisted")),
            ..Self::default()
        };
        for (reason, records) in partition["rejected"].as_object().expect("`rejected` holds reasons") {
            account.by_reason.insert(reason.clone(), share(number(records)));
        }
        if count(partition, "late") > 0 {
            account.by_reason.insert("late".to_owned(), share(count(partition, "late")));
        }
        for ranges in ["late_ranges", "rejected_ranges"] {
            for range in list(partition, ranges) {
                let cause = (
                    range["reason"].as_str().unwrap_or("late").to_owned(),
                    range["window"].as_str().map(str::to_owned),
                );
                let (first, next) = (count(range, "first"), count(range, "next"));
                account.listed.entry(cause).or_default().insert(first, (next, share(count(range, "records"))));
            }
        }
        account
    }

    fn add(&mut self, offset: u64, letter: &Letter) {
        self.by_reason.entry(letter.reason.clone()).or_default().letters += 1;
        let ranges = self.listed.get_mut(&(letter.reason.clone(), letter.window.clone()));
        let range = ranges.and_then(|ranges| ranges.range_mut(..=offset).next_back());
        let share = match range {
            Some((_, (next, share))) if offset < *next => share,
            _ if letter.window.is_some() => &mut self.late_unlisted,
            _ => &mut self.rejected_unlisted,
        };
        share.letters += 1;
    }

    /// Where letters and records differ.
    fn differences(&self) -> Vec<String> {
        let by_reason = self.by_reason.iter().map(|(reason, share)| (reason.clone(), share));
        let listed = self.listed.iter().flat_map(|(cause, ranges)| {
            ranges.iter().map(move |(first, (next, share))| (format!("{cause:?}, offsets {first} to {next}"), share))
        });
        let unlisted = [("late, unlisted", &self.late_unlisted), ("rejected, unlisted", &self.rejected_unlisted)];
        let unlisted = unlisted.map(|(what, share)| (what.to_owned(), share));
        let all = by_reason.chain(listed).chain(unlisted);
        all.filter(|(_, share)| share.letters != share.records)
            .map(|(what, share)| format!("{what}: {share:?}"))
            .collect()
    }
}
