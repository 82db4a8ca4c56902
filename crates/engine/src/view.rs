//! A read-only view of a run at one moment: open windows, watermark, partitions and totals.
//!
//! [`Materializer::view`](crate::materializer::Materializer::view) makes one, as a value that a display or a server keeps while
//! the run goes on.

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;

use crate::results::{GroupResult, Totals};

/// A run at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// The newest event time of any accepted reading.
    pub newest: Option<Millis>,
    /// Whether every partition has been read to its end (as far as known), or to its target.
    pub caught_up: bool,
    /// By partition, ascending.
    pub partitions: Vec<PartitionView>,
    /// The windows that hold readings and have not closed, ascending. While the run restores, they lack what has not been
    /// read again.
    pub open_windows: Vec<OpenWindow>,
    /// The run so far, open windows included.
    pub totals: Totals,
}

/// A window that has not closed: its numbers may still change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWindow {
    /// First instant.
    pub start: Millis,
    /// First instant after it.
    pub end: Millis,
    /// The watermark that closes it: its end plus grace.
    pub closes_at: Millis,
    /// Readings so far.
    pub messages: u64,
    /// Distinct sensors so far, over all groups.
    pub sensors: u64,
    /// By group, ascending by name.
    pub groups: Vec<GroupResult>,
    /// Whether sensors and groups are all there. Otherwise a part of them is in the scratch file.
    pub is_whole: bool,
}

/// Where a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionView {
    /// Which.
    pub partition: PartitionId,
    /// Whether, and why, it blocks the watermark.
    pub phase: PartitionPhase,
    /// The next offset to process.
    pub position: Option<i64>,
    /// The offset that it is read to, as far as known: its end, or its target in a bounded run.
    pub end: Option<i64>,
    /// The newest event time of its accepted readings.
    pub watermark: Option<Millis>,
    /// Whether watermark alignment has paused it.
    pub paused: bool,
}

impl PartitionView {
    /// Offsets yet to be read, as far as known.
    pub fn lag(&self) -> Option<u64> {
        let (position, end) = self.position.zip(self.end)?;
        Some(u64::try_from(end.saturating_sub(position)).unwrap_or(0))
    }
}

/// The phase of a partition: whether, and why, it blocks the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionPhase {
    /// The topic has it, but its end is not known yet. No window closes.
    Discovered,
    /// Its connection is lost. It blocks with its own watermark.
    Detached,
    /// After a restart it is read again, to restore open windows. No window closes until that is done.
    Restoring,
    /// There is more to read. It blocks with its own watermark.
    CatchingUp,
    /// It is read to its end, but not idle. It blocks with its own watermark.
    CaughtUp,
    /// It is read to its end, and its watermark has not risen for the idle time. It blocks nothing.
    Idle,
    /// It is read to the end of a bounded run.
    AtTarget,
}

impl PartitionPhase {
    /// Whether windows wait for a partition in this phase.
    pub const fn blocks_watermark(self) -> bool {
        !matches!(self, Self::Idle | Self::AtTarget)
    }

    /// As displays and servers name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Detached => "detached",
            Self::Restoring => "restoring",
            Self::CatchingUp => "catching-up",
            Self::CaughtUp => "caught-up",
            Self::Idle => "idle",
            Self::AtTarget => "at-target",
        }
    }
}
