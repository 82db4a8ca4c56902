//! Run totals: the ledger's accounts added up, and the run's statistics by group.
//!
//! They move with the merged offsets, so that they include what stands in open windows.

use super::tally::Tally;
use crate::ledger::Ledger;
use crate::names::Names;
use crate::results::Totals;

/// The run so far. Cost: linear in partitions and groups.
pub(super) fn totals(ledger: &Ledger, run: &Tally, names: &Names) -> Totals {
    let mut totals = Totals { sensors: run.sensors(), groups: run.results(names), ..Totals::default() };
    for account in ledger.accounts.values() {
        totals.messages = totals.messages.saturating_add(account.read);
        totals.counted = totals.counted.saturating_add(account.counted);
        totals.late = totals.late.saturating_add(account.late);
        totals.rejected.merge(&account.rejected);
    }
    totals
}
