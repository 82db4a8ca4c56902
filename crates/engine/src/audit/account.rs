//! One partition's account, counted again: records by what became of them, and the ranges of the late and the rejected.

use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Window;

use super::findings::Findings;
use super::ranges::{Compared, List, Scope};
use crate::ledger::{Account, DataLoss};

/// An account, as it is recomputed.
#[derive(Debug, Clone, Default)]
pub(super) struct Recount {
    pub(super) read: u64,
    pub(super) counted: u64,
    pub(super) late: u64,
    /// Readings of dropped windows that may be counted or late.
    pub(super) either: u64,
    pub(super) rejected: RejectedCounts,
    pub(super) late_ranges: List<Window>,
    pub(super) rejected_ranges: List<Rejection>,
}

/// Compares an account. `whole` says whether the log still holds all of the partition that the run has read.
pub(super) fn compare(
    partition: PartitionId,
    stored: &Account,
    recount: &Recount,
    (scope, whole): (Scope, bool),
    name: impl Fn(Window) -> String,
    findings: &mut Findings,
) {
    let what = |what: &str| format!("ledger of partition {partition}: {what}");
    // Where no record is missing, the run had read none of what is gone.
    let whole = whole || stored.read == recount.read;
    let told = whole && recount.either == 0;
    findings.compare_part(what("read"), stored.read, recount.read, whole);
    findings.compare_part(what("counted"), stored.counted, recount.counted, told);
    findings.compare_part(what("late"), stored.late, recount.late, told);
    let (both, recounted) = (stored.counted.saturating_add(stored.late), recount.counted.saturating_add(recount.late));
    findings.compare_part(what("counted and late"), both, recounted.saturating_add(recount.either), whole);
    for reason in Rejection::ALL {
        findings.compare_part(what(reason.name()), stored.rejected.get(reason), recount.rejected.get(reason), whole);
    }
    let parts = both.saturating_add(stored.rejected.total());
    findings.compare(what("read = counted + late + rejected"), stored.read, parts);
    data_losses(&what("data losses"), stored, scope, findings);
    let late = Compared { what: what("late ranges"), stored: &stored.late_ranges, again: &recount.late_ranges };
    late.check(stored.late, scope, findings);
    let (listed, again) = (&stored.rejected_ranges, &recount.rejected_ranges);
    let rejected = Compared { what: what("rejected ranges"), stored: listed, again };
    rejected.check(stored.rejected.total(), scope, findings);
    by_reason(&what("rejected ranges"), stored, findings);
    if told {
        late.compare(name, findings);
    } else if whole {
        let why = format!(
            "{} readings are of windows that the store has dropped (--keep), and the list of late ranges is full",
            recount.either
        );
        findings.skip(what("counted, late and late ranges"), why);
    }
    if whole {
        rejected.compare(|reason| reason.to_string(), findings);
    } else {
        findings.skip(what("counts and ranges"), "the log no longer holds all records that were read");
    }
}

/// By reason, no more records stand in ranges than were rejected.
fn by_reason(what: &str, stored: &Account, findings: &mut Findings) {
    for reason in Rejection::ALL {
        let of = stored.rejected_ranges.listed().iter().filter(|range| range.key == reason);
        let listed = of.fold(0, |sum: u64, range| sum.saturating_add(range.records));
        let all = stored.rejected.get(reason);
        if listed > all || (listed < all && stored.rejected_ranges.unlisted() == 0) {
            findings.differ(format!("{what}: {reason}"), listed, format!("{all}, as counted"));
        }
    }
}

/// Lost records cannot have been counted, and a data loss ends where the run went on.
fn data_losses(what: &str, stored: &Account, Scope { start, position }: Scope, findings: &mut Findings) {
    let offsets = |first: i64, next: i64| u64::try_from(next.saturating_sub(first)).unwrap_or(0);
    let mut all_lost = 0_u64;
    for DataLoss { range: SourceRange { first, next }, lost } in &stored.data_losses {
        all_lost = all_lost.saturating_add(*lost);
        if *first < start || *next > position || *lost > offsets(*first, *next) || first >= next {
            findings.differ(what, format!("{first} to {next}, {lost} lost"), format!("within {start} to {position}"));
        }
    }
    let most = offsets(start, position).saturating_sub(all_lost);
    if stored.read > most {
        findings.differ(format!("{what}: read"), stored.read, format!("at most {most}: there are no more offsets"));
    }
}
