//! How the run stands at this moment: what a live display shows, and what explains why a window has not closed.

use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;

pub use super::clock::PartitionPhase;

/// How the run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// By partition, ascending.
    pub partitions: Vec<PartitionStatus>,
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// Windows that hold readings and have not closed.
    pub open_windows: usize,
    /// The oldest of them.
    pub oldest: Option<OldestWindow>,
    /// Whether every partition has been read to its end (as far as known), or to its target.
    pub caught_up: bool,
}

/// The oldest open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldestWindow {
    /// Its first instant.
    pub start: Millis,
    /// The watermark that closes it: its end plus grace.
    pub closes_at: Millis,
}

/// How a partition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which.
    pub partition: PartitionId,
    /// Whether, and why, it holds the watermark back.
    pub phase: PartitionPhase,
    /// The merged offset: the next one to come.
    pub position: Option<i64>,
    /// The offset that it is read to, as far as known: its end, or its target with `until_end`.
    pub end: Option<i64>,
    /// The newest event time of its accepted readings.
    pub watermark: Option<Millis>,
    /// Whether it has been told to wait for the slowest.
    pub paused: bool,
}

impl PartitionStatus {
    /// Offsets yet to be read, as far as known.
    pub fn lag(&self) -> Option<u64> {
        let (position, end) = self.position.zip(self.end)?;
        Some(u64::try_from(end.saturating_sub(position)).unwrap_or(0))
    }
}
