//! What is left of the log, and whether it is the one that was read.

use std::collections::BTreeMap;
use std::sync::Arc;

use isotherm_engine::audit::Stored;
use isotherm_engine::audit::findings::{Findings, of};
use isotherm_engine::ledger::Account;
use isotherm_engine::state::PartitionState;
use isotherm_model::partial::PartitionId;

use super::Error;
use crate::log::{Log, LogError, LogReader, ReadOptions};

/// How many bytes all partitions together may read ahead, as long as no single batch is larger than its share.
const AHEAD_BYTES: usize = 64 << 20;

/// The most and the least that one partition asks for at once.
const ANSWER_BYTES: (usize, usize) = (2 << 20, 32 << 10);

/// The partitions of the log.
pub(super) struct Logs {
    /// Each that still holds something that was read; `None` if it is another log than the one that was read.
    pub(super) readers: Option<BTreeMap<PartitionId, Box<dyn LogReader>>>,
    /// Where each begins.
    pub(super) from: BTreeMap<PartitionId, i64>,
    /// What the log's extent says against the store.
    pub(super) findings: Findings,
}

/// One partition.
enum Left {
    /// It is read again from here on.
    From(i64, Box<dyn LogReader>),
    /// Nothing is left of what was read.
    Nothing,
    /// It ends here, before what was read.
    Ends(i64),
}

impl Logs {
    /// Opens every partition that was read.
    pub(super) async fn open(log: &Arc<dyn Log>, stored: &Stored) -> Result<Self, Error> {
        for (partition, state) in &stored.partitions {
            let from = stored.begin(*partition, state);
            log.resume(*partition, from, state.position, stored.parts.get(partition).map_or(&[], Vec::as_slice));
        }
        let known = log.require().await?;
        let mut readers = BTreeMap::new();
        let (mut from, mut findings, mut another) = (BTreeMap::new(), Findings::default(), false);
        let (most, least) = ANSWER_BYTES;
        let share = (AHEAD_BYTES / stored.partitions.len().max(1)).clamp(least, most);
        for (partition, state) in &stored.partitions {
            if *partition >= known {
                let has = format!("the topic has {} partitions", known);
                findings.differ(format!("partition {partition}"), "there", has);
                another = true;
                continue;
            }
            let begin = stored.begin(*partition, state);
            let open = |offset| log.read(*partition, offset, ReadOptions { bytes: share, ..ReadOptions::default() });
            match left(begin, state, open).await? {
                Left::Ends(end) => {
                    let ends = format!("the log ends at {end}");
                    findings.differ(format!("position of partition {partition}"), state.position, ends);
                    another = true;
                }
                Left::Nothing => drop(from.insert(*partition, state.position)),
                Left::From(first, mut reader) => {
                    let start = reader.bounds().start;
                    // What the log had lost does not come back.
                    let first = match stored.data_loss_end(*partition).filter(|end| start < *end) {
                        Some(end) => {
                            let said = format!("nothing is left before offset {end}");
                            findings.differ(of(*partition, "data losses"), said, format!("the log begins at {start}"));
                            start.max(state.start)
                        }
                        None => first,
                    };
                    reader.cut_at(&cuts(state, stored.accounts.get(partition)));
                    reader.seek(first, state.position);
                    from.insert(*partition, first);
                    readers.insert(*partition, reader);
                }
            }
        }
        Ok(Self { readers: (!another).then_some(readers), from, findings })
    }
}

/// Where batches of the run ended, as far as the store says it: the ranges of its ledger are of whole batches.
fn cuts(state: &PartitionState, account: Option<&Account>) -> Vec<i64> {
    let late = account.into_iter().flat_map(|account| account.late_ranges.listed()).map(|range| range.range);
    let rejected = account.into_iter().flat_map(|account| account.rejected_ranges.listed()).map(|range| range.range);
    let ends = late.chain(rejected).flat_map(|range| [range.first, range.next]);
    ends.chain([state.restore_from]).chain(state.last.map(|last| last.first)).collect()
}

/// Opens a partition at `begin`, or at its first record if retention has deleted what lies between.
async fn left<F: Future<Output = Result<Box<dyn LogReader>, LogError>>>(
    begin: i64,
    state: &PartitionState,
    open: impl Fn(i64) -> F,
) -> Result<Left, LogError> {
    let mut begin = begin;
    loop {
        return match open(begin).await {
            Ok(reader) if reader.bounds().end < state.position => Ok(Left::Ends(reader.bounds().end)),
            Ok(reader) => Ok(Left::From(begin, reader)),
            Err(LogError::Shorter { end, .. }) => Ok(Left::Ends(end)),
            Err(LogError::Evicted { start, .. }) if start < state.position => {
                begin = start;
                continue;
            }
            Err(LogError::Evicted { .. }) => Ok(Left::Nothing),
            Err(error) => Err(error),
        };
    }
}
