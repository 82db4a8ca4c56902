//! Closed windows and totals: what a run publishes.

use std::fmt::{self, Display, Formatter};

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::PartitionId;
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::time::Millis;

/// What closed a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// The watermark reached the window's end plus grace.
    Watermark,
    /// Every partition was quiet, and event time went on by itself.
    Idle,
    /// The run ended at the end that it was told to read to.
    End,
}

impl Display for ClosedBy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Watermark => "watermark",
            Self::Idle => "idle",
            Self::End => "end",
        })
    }
}

/// A closed window. It never changes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowResult {
    /// First instant.
    pub start: Millis,
    /// First instant after it.
    pub end: Millis,
    /// What closed it.
    pub closed_by: ClosedBy,
    /// Readings in it.
    pub messages: u64,
    /// Distinct sensors in it, over all groups.
    pub sensors: u64,
    /// By group, ascending by name.
    pub groups: Vec<GroupResult>,
    /// By partition, ascending, the offset up to which it had been read when the window closed. From these and the
    /// log the window can be computed again.
    pub positions: Vec<(PartitionId, i64)>,
}

/// The statistics of one group, of a window or of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupResult {
    /// The group's name.
    pub group: String,
    /// Readings.
    pub messages: u64,
    /// Distinct sensors.
    pub sensors: u64,
    /// Sum of the values, in millionths.
    pub sum: i128,
    /// `sum / messages`, rounded half to even at the sixth decimal.
    pub avg: Fixed,
    /// Least value.
    pub min: Fixed,
    /// Greatest value.
    pub max: Fixed,
}

/// The whole run so far. `messages = counted + late + rejected`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// Records read.
    pub messages: u64,
    /// Readings that count into a window, open ones included.
    pub counted: u64,
    /// Readings for windows that were closed.
    pub late: u64,
    /// Records that are no reading that counts, by reason.
    pub rejected: RejectedCounts,
    /// Distinct sensors of the counted readings, over all groups.
    pub sensors: u64,
    /// By group, ascending by name.
    pub groups: Vec<GroupResult>,
    /// How many groups were left out: then `groups` is empty.
    pub groups_omitted: u64,
}

impl Totals {
    /// With more groups than this, only the last totals of a run name them: otherwise what is published would grow with the
    /// product of groups and windows.
    pub const MOST_GROUPS: usize = 1_000;
}
