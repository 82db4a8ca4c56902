//! What a verification found.

use std::fmt::{self, Display, Formatter};

use isotherm_model::fixed::Micros;
use isotherm_model::partial::PartitionId;
use isotherm_model::time::{Millis, Utc};
use serde::Serialize;

/// How many differences are named. What comes later is counted.
pub const MOST_DIFFERENCES: usize = 1_000;

/// Something that is stored otherwise than it is recomputed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// What the store says.
    pub stored: String,
    /// What the log says.
    pub recomputed: String,
}

/// Something that can no longer be recomputed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unverifiable {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Closed windows, by how they fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Windows {
    /// Recomputed, and the same.
    pub verified: u64,
    /// Recomputed, and another.
    pub different: u64,
    /// Retention has deleted a part of their input.
    pub unverifiable: u64,
    /// The start of the first and of the last one that is unverifiable.
    #[serde(skip)]
    pub unverifiable_from_to: Option<(Millis, Millis)>,
    /// No longer in the store.
    pub dropped: u64,
    /// Not closed: they count in totals and ledger only.
    pub open: u64,
}

/// What was read again of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReadAgain {
    /// Which.
    pub partition: PartitionId,
    /// From this offset on.
    pub from: i64,
    /// Up to this one.
    pub to: i64,
    /// How many records there were.
    pub records: u64,
}

/// A verification in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything has been recomputed, and is the same.
    Same,
    /// Nothing differs, and something could not be recomputed, or not wholly.
    Incomplete,
    /// Something differs.
    Different,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Incomplete => "incomplete",
            Self::Different => "different",
        })
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The differences, at most [`MOST_DIFFERENCES`].
    pub differences: Vec<Difference>,
    /// How many more there are.
    pub unlisted: u64,
    /// What cannot be verified.
    pub unverifiable: Vec<Unverifiable>,
    /// The closed windows.
    pub windows: Windows,
    /// The partitions, ascending.
    pub partitions: Vec<ReadAgain>,
}

impl Findings {
    /// Whether all that could be recomputed is as it is stored.
    pub fn is_clean(&self) -> bool {
        self.different() == 0
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match (self.is_clean(), self.unverifiable.is_empty()) {
            (false, _) => Verdict::Different,
            (true, false) => Verdict::Incomplete,
            (true, true) => Verdict::Same,
        }
    }

    /// How many differences there are.
    pub fn different(&self) -> u64 {
        self.unlisted.saturating_add(self.differences.len() as u64)
    }

    /// Notes a difference.
    pub fn differ(&mut self, what: impl Into<String>, stored: impl Display, recomputed: impl Display) {
        if self.differences.len() == MOST_DIFFERENCES {
            self.unlisted = self.unlisted.saturating_add(1);
            return;
        }
        let (stored, recomputed) = (stored.to_string(), recomputed.to_string());
        self.differences.push(Difference { what: what.into(), stored, recomputed });
    }

    /// Notes a difference where there is one.
    pub(super) fn compare<T: PartialEq + Display>(&mut self, what: impl Into<String>, stored: T, recomputed: T) {
        if stored != recomputed {
            self.differ(what, stored, recomputed);
        }
    }

    /// Notes a difference of something of which perhaps only a part was recomputed: the whole can only be more.
    pub(super) fn compare_part(&mut self, what: impl Into<String>, stored: u64, recomputed: u64, whole: bool) {
        if whole || stored < recomputed {
            self.compare(what, stored, recomputed);
        }
    }

    /// Notes that something cannot be verified.
    pub fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unverifiable.push(Unverifiable { what: what.into(), why: why.into() });
    }
}

/// A number that may be missing.
pub(super) fn optional(number: Option<impl Display>) -> String {
    number.map_or("none".to_owned(), |number| number.to_string())
}

/// A sum of values.
pub(super) fn micros(sum: i128) -> String {
    Micros(sum).to_string()
}

/// A window's name.
pub(super) fn window_name(start: Millis) -> String {
    format!("window {}", Utc(start))
}

/// For a difference that needs a word more.
pub fn of(partition: PartitionId, what: impl Display) -> String {
    format!("partition {partition}: {what}")
}
