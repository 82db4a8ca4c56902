//! What the consumer says: closed windows and totals, and what can be asked of a store. `jsonl` gives results the bytes that
//! documents promise, `ledger` and `why` the answers of these subcommands.

pub mod jsonl;
pub mod ledger;
pub mod why;

use std::fmt::{self, Display, Formatter};

use isotherm_model::fixed::Fixed;
use isotherm_model::rejection::RejectedCounts;
use isotherm_model::time::Utc;
use isotherm_model::window::Millis;

use crate::materializer::event::PartitionId;

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
    /// By partition, ascending, the offset up to which it had been merged when the window closed. From these and the
    /// log the window can be computed again.
    pub merged: Vec<(PartitionId, i64)>,
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

/// `{"not-json":1,"future":2}`: the reasons that occurred.
struct Reasons<'a>(&'a RejectedCounts);

impl Display for Reasons<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (reason, count)) in self.0.iter().enumerate() {
            write!(f, r#"{}"{reason}":{count}"#, if i == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

/// See [`list`].
struct List<'a, T, P>(&'a [T], P);

/// A list, each item printed by `print`.
fn list<T, P: Fn(&T, &mut Formatter<'_>) -> fmt::Result>(items: &[T], print: P) -> List<'_, T, P> {
    List(items, print)
}

impl<T, P: Fn(&T, &mut Formatter<'_>) -> fmt::Result> Display for List<'_, T, P> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, item) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            (self.1)(item, f)?;
        }
        f.write_str("]")
    }
}

/// A value, or `null`.
struct Maybe<T>(Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// An instant, as a JSON string.
struct Instant(Millis);

impl Display for Instant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, r#""{}""#, Utc(self.0))
    }
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
}
