//! One partition's account, counted again: records by what became of them, and the ranges of the late and the rejected.

use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::{RejectedCounts, Rejection};
use isotherm_model::window::Window;

use super::findings::Findings;
use super::ranges::{Both, List};
use crate::ledger::Account;
use crate::state::PartitionState;

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

/// What of an account can be recomputed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    /// Where the run began to read.
    pub(super) start: i64,
    /// From where on the log was read again; `start` if nothing of it has been cut.
    pub(super) from: i64,
    /// Where the run stopped reading.
    pub(super) position: i64,
}

impl Scope {
    /// Of a partition that the log still holds from `from` on.
    pub(super) fn new(state: &PartitionState, from: i64) -> Self {
        Self { start: state.start, from: from.max(state.start), position: state.position }
    }

    pub(super) fn is_whole(self) -> bool {
        self.from == self.start
    }
}

/// Offsets that a run went on without, and that it had never read.
fn unread(account: &Account) -> u64 {
    account.data_losses.iter().fold(0, |sum: u64, gap| sum.saturating_add(gap.lost))
}

/// How many records can have been read where the log no longer holds them: no more than there were offsets.
pub(super) fn cut(account: &Account, scope: Scope) -> u64 {
    if scope.is_whole() {
        return 0;
    }
    u64::try_from(scope.from.saturating_sub(scope.start)).unwrap_or(0).saturating_sub(unread(account))
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
    let (cut, either) = (cut(stored, scope), recount.either);
    findings.within(what("read"), stored.read, recount.read, cut);
    findings.within(what("counted"), stored.counted, recount.counted, cut.saturating_add(either));
    findings.within(what("late"), stored.late, recount.late, cut.saturating_add(either));
    let (both, recounted) = (stored.counted.saturating_add(stored.late), recount.counted.saturating_add(recount.late));
    findings.within(what("counted and late"), both, recounted.saturating_add(either), cut);
    for reason in Rejection::ALL {
        findings.within(what(reason.name()), stored.rejected.get(reason), recount.rejected.get(reason), cut);
    }
    let parts = both.saturating_add(stored.rejected.total());
    findings.compare(what("read = counted + late + rejected"), stored.read, parts);
    gaps(&what("gaps"), stored, scope, findings);
    if either > 0 {
        let why = format!(
            "{either} readings are of windows that the store has dropped (--keep), and may be either: the list of late \
             ranges is full"
        );
        findings.skip(what("counted and late"), why);
    }
    let late = Both { what: what("late ranges"), stored: &stored.late_ranges, again: &recount.late_ranges };
    late.check(stored.late, scope, findings);
    late.compare(scope, either == 0, name, findings);
    let (listed, again) = (&stored.rejected_ranges, &recount.rejected_ranges);
    let rejected = Both { what: what("rejected ranges"), stored: listed, again };
    rejected.check(stored.rejected.total(), scope, findings);
    rejected.compare(scope, true, |reason| reason.to_string(), findings);
    by_reason(&what("rejected ranges"), stored, findings);
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

/// What was never read cannot have been counted, and a gap ends where the run went on.
fn gaps(what: &str, stored: &Account, scope: Scope, findings: &mut Findings) {
    for gap in &stored.data_losses {
        let offsets = u64::try_from(gap.range.next.saturating_sub(gap.range.first)).unwrap_or(0);
        if gap.range.first < scope.start || gap.range.next > scope.position || gap.lost > offsets || offsets == 0 {
            let said = format!("{} to {}, {} unread", gap.range.first, gap.range.next, gap.lost);
            findings.differ(what, said, format!("within {} to {}", scope.start, scope.position));
        }
    }
    let offsets = u64::try_from(scope.position.saturating_sub(scope.start)).unwrap_or(0);
    let most = offsets.saturating_sub(unread(stored));
    if stored.read > most {
        findings.differ(format!("{what}: read"), stored.read, format!("at most {most}: there are no more offsets"));
    }
}
