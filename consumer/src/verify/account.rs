//! One partition's account, counted again: records by what became of them, and the ranges of the late and the rejected.

use std::collections::BTreeMap;
use std::fmt::Display;

use isotherm_model::partial::SourceRange;
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Window;

use super::report::Findings;
use crate::materializer::event::PartitionId;
use crate::materializer::ledger::{Account, KeyedRange, MAX_RANGES};

/// An account, as it is recomputed.
#[derive(Debug, Clone, Default)]
pub(super) struct Recount {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) late: u64,
    /// Readings of windows of which nobody can tell any longer whether they had closed.
    pub(super) either: u64,
    pub(super) rejected: RejectedCounts,
    pub(super) late_ranges: List<Window>,
    pub(super) rejected_ranges: List<Rejection>,
}

/// Ranges, joined as the ledger joins them: each with the next batch, or another cell of the same one.
#[derive(Debug, Clone)]
pub(super) struct List<K> {
    listed: Vec<KeyedRange<K>>,
    last: BTreeMap<K, usize>,
    unlisted: u64,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { listed: Vec::new(), last: BTreeMap::new(), unlisted: 0 }
    }
}

impl<K: Copy + Ord> List<K> {
    /// `records` records of this key stand in a batch.
    pub(super) fn add(&mut self, key: K, batch: SourceRange, records: u64) {
        if let Some(place) = self.last.get(&key)
            && let Some(last) = self.listed.get_mut(*place)
            && [batch.first, batch.next].contains(&last.range.next)
        {
            last.range.next = batch.next;
            last.records = last.records.saturating_add(records);
        } else if self.listed.len() < MAX_RANGES {
            self.last.insert(key, self.listed.len());
            self.listed.push(KeyedRange { key, range: batch, records });
        } else {
            self.unlisted = self.unlisted.saturating_add(records);
        }
    }
}

/// What of an account can be recomputed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// Where the run began to read.
    pub(super) start: i64,
    /// From where on the log was read again; `start` if nothing of it has been cut.
    pub(super) from: i64,
    /// Windows before this one are no longer in the store.
    pub(super) dropped_before: Option<Window>,
}

impl Scope {
    fn is_whole(self) -> bool {
        self.from == self.start
    }
}

/// Compares an account.
pub(super) fn compare(
    partition: PartitionId,
    stored: &Account,
    recount: &Recount,
    scope: Scope,
    name: impl Fn(Window) -> String,
    findings: &mut Findings,
) {
    let what = |what: &str| format!("ledger of partition {partition}: {what}");
    let whole = scope.is_whole();
    let mut number = |name: &str, stored: u64, recomputed: u64, whole: bool| {
        if (whole && stored != recomputed) || stored < recomputed {
            findings.differ(what(name), stored, recomputed);
        }
    };
    number("read", stored.read, recount.read, whole);
    let told = recount.either == 0 && scope.dropped_before.is_none();
    number("counted", stored.counted, recount.counted, whole && told);
    number("late", stored.late, recount.late, whole && told);
    let (both, recounted) = (stored.counted.saturating_add(stored.late), recount.counted.saturating_add(recount.late));
    number("counted and late", both, recounted.saturating_add(recount.either), whole);
    for reason in Rejection::ALL {
        number(reason.name(), stored.rejected.get(reason), recount.rejected.get(reason), whole);
    }
    let parts = both.saturating_add(stored.rejected.total());
    findings.compare(what("read = counted + late + rejected"), stored.read, parts);
    // No more records can have been cut than there were offsets.
    let cut = u64::try_from(scope.from.saturating_sub(scope.start)).unwrap_or(0);
    if stored.read > recount.read.saturating_add(cut) {
        findings.differ(what("read"), stored.read, format!("at most {}", recount.read.saturating_add(cut)));
    }
    let (late, rejected) = (&stored.late_ranges, &stored.rejected_ranges);
    let unlisted = (late.unlisted(), rejected.unlisted());
    let dropped = |window: &Window| scope.dropped_before.is_some_and(|before| *window < before);
    ranges(&what("late ranges"), late.listed(), unlisted.0, &recount.late_ranges, scope, dropped, name, findings);
    let (listed, recounted) = (rejected.listed(), &recount.rejected_ranges);
    let scope = Scope { dropped_before: None, ..scope };
    ranges(
        &what("rejected ranges"),
        listed,
        unlisted.1,
        recounted,
        scope,
        |_| false,
        |reason| reason.to_string(),
        findings,
    );
}

/// A range as it is compared: where nothing has been cut, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line<K> {
    range: (i64, i64),
    key: K,
    records: u64,
    clipped: bool,
}

#[expect(clippy::too_many_arguments, reason = "two lists and all that they are compared by")]
fn ranges<K: Copy + Ord>(
    what: &str,
    stored: &[KeyedRange<K>],
    unlisted: u64,
    recount: &List<K>,
    scope: Scope,
    dropped: impl Fn(&K) -> bool,
    name: impl Fn(K) -> String,
    findings: &mut Findings,
) {
    let whole = scope.is_whole() && scope.dropped_before.is_none();
    if !whole && (unlisted > 0 || recount.unlisted > 0) {
        findings.skip(what, "the list is full, and which ranges came first can no longer be told");
        return;
    }
    findings.compare(format!("{what}: records that are not listed"), unlisted, recount.unlisted);
    let line = |range: &KeyedRange<K>| Line {
        range: (range.range.first.max(scope.from), range.range.next),
        key: range.key,
        records: range.records,
        clipped: range.range.first < scope.from,
    };
    let left = |line: &Line<K>| line.range.1 > scope.from && !dropped(&line.key);
    let mut stored: Vec<_> = stored.iter().map(line).filter(left).collect();
    let mut counted: Vec<_> = recount.listed.iter().map(line).filter(left).collect();
    if !whole {
        stored.sort_unstable();
        counted.sort_unstable();
    }
    let say = |line: Option<&Line<K>>| match line {
        Some(Line { range: (first, next), key, records, .. }) => {
            format!("{}: {records} in {first} to {next}", name(*key))
        }
        None => "none".to_owned(),
    };
    for place in 0..stored.len().max(counted.len()) {
        let (stored, counted) = (stored.get(place), counted.get(place));
        let same = match (stored, counted) {
            (Some(s), Some(c)) => {
                let records = if s.clipped { s.records >= c.records } else { s.records == c.records };
                (s.range, s.key) == (c.range, c.key) && records
            }
            _ => false,
        };
        if !same {
            findings.differ(format!("{what}: range {place}"), say(stored), say(counted));
        }
    }
}

/// For a difference that needs a word more.
pub(super) fn of(partition: PartitionId, what: impl Display) -> String {
    format!("partition {partition}: {what}")
}
