//! Run totals: the ledger's accounts added up, and the run's statistics by group.
//!
//! They move with the merged offsets, so that they include what stands in open windows.

use super::tally::Tally;
use crate::ledger::Ledger;
use crate::names::Names;
use crate::results::{GroupResult, Totals};

/// The run so far. Cost: linear in partitions and groups.
pub(super) fn totals(ledger: &Ledger, run: &Tally, names: &Names) -> Totals {
    with_groups(ledger, run, run.results(names), 0)
}

/// The run so far, without its groups where there are more than [`Totals::MOST_GROUPS`]. Cost: linear in partitions, and in the
/// groups that it names.
pub(super) fn brief(ledger: &Ledger, run: &Tally, names: &Names) -> Totals {
    match run.groups() {
        omitted if omitted > Totals::MOST_GROUPS => with_groups(ledger, run, Vec::new(), omitted as u64),
        _ => totals(ledger, run, names),
    }
}

fn with_groups(ledger: &Ledger, run: &Tally, groups: Vec<GroupResult>, groups_omitted: u64) -> Totals {
    let mut totals = Totals { sensors: run.sensors(), groups, groups_omitted, ..Totals::default() };
    for account in ledger.accounts.values() {
        totals.messages = totals.messages.saturating_add(account.read);
        totals.counted = totals.counted.saturating_add(account.counted);
        totals.late = totals.late.saturating_add(account.late);
        totals.rejected.merge(&account.rejected);
    }
    totals
}
