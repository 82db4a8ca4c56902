//! One run of the consumer, from the opening of its store to its end, and what its source knows of each partition.

use std::rc::Rc;
use std::time::Duration;

use isotherm_engine::materializer::Materializer;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_engine::state::{LastBatch, PartitionState};
use isotherm_engine::step::Stepper;

use super::flags::{Flags, RunKind};
use super::letters::Worker;
use super::reference::model::Model;
use super::store::FaultyStore;
use super::topic::SimPartition;

/// What a run's source knows of a partition.
#[derive(Debug, Default)]
pub(crate) struct SourcePartition {
    pub(crate) attached: bool,
    /// Which batch comes next; `None` before the first attachment.
    pub(crate) next: Option<usize>,
    pub(crate) paused: bool,
    /// What the store said of it.
    pub(crate) saved: Option<PartitionState>,
    /// Everything below has been processed.
    pub(crate) processed: i64,
    /// The batch that must come again unchanged.
    pub(crate) known: Option<LastBatch>,
    /// Where the run ends for it.
    pub(crate) target: Option<i64>,
    /// Whether the run knows that the topic has it.
    pub(crate) found: bool,
    /// Whether it came too late for this run.
    pub(crate) left_alone: bool,
    /// Whether anything of it has come in this run.
    pub(crate) touched: bool,
}

impl SourcePartition {
    pub(crate) fn new(saved: Option<PartitionState>) -> Self {
        let processed = saved.map_or(0, |saved| saved.position);
        Self { saved, processed, known: saved.and_then(|saved| saved.last), ..Self::default() }
    }

    /// The offset that comes next.
    pub(crate) fn position(&self, log: &SimPartition) -> i64 {
        self.next.map_or(self.saved.map_or(0, |saved| saved.resume()), |next| log.end_of(next))
    }

    /// Whether no run has read anything of it, so that it begins where the log begins.
    pub(crate) fn is_untouched(&self) -> bool {
        self.saved.is_none() && !self.touched
    }

    /// Whether the run wants what begins at this offset.
    pub(crate) fn wants(&self, first: i64) -> bool {
        self.target.is_none_or(|target| first < target)
    }
}

/// Windows that close together, and the totals that are published with them, as they must be.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) windows: Vec<Rc<WindowResult>>,
    pub(crate) totals: Option<Totals>,
}

/// A running consumer.
pub(crate) struct SimRun {
    pub(crate) kind: RunKind,
    pub(crate) flags: Flags,
    pub(crate) materializer: Materializer,
    pub(crate) stepper: Stepper,
    pub(crate) store: FaultyStore,
    pub(crate) sources: Vec<SourcePartition>,
    /// What must come of the events that it has seen.
    pub(crate) model: Model,
    /// What has closed and is not committed.
    pub(crate) closings: Vec<Closing>,
    /// When the first of it closed.
    pub(crate) closed_since: Option<Duration>,
    /// Whether it has been told all partitions.
    pub(crate) listed: bool,
    /// Delivers its dead letters.
    pub(crate) worker: Worker,
    /// The last tick.
    pub(crate) now: Duration,
    /// What a clock would say at this moment: ticks come late.
    pub(crate) elapsed: Duration,
}

/// What ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// The process dies.
    Crash,
    /// The machine has died within a commit.
    Torn,
    /// It ended with an error, in good order.
    Failed,
    /// It is over.
    Finished,
    /// It hangs, and another consumer takes its place.
    Zombie,
}
