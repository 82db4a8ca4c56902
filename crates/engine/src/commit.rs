//! The seam at which results become lasting: what is published has gone through a [`Store`] before.
//!
//! One commit is one transaction: offsets, watermarks, closed windows (each with the offsets that had been merged),
//! totals by group, ledger and sensors change together or not at all. A commit says what has changed since the one
//! before it; [`ResumeState`] is what all commits so far add up to, and where the next run goes on.

use std::collections::BTreeMap;
use std::error::Error;

use isotherm_model::partial::PartitionId;

use crate::ledger::{Account, Ledger, RangeState};
use crate::results::WindowResult;
use crate::sensors::Sensors;
use crate::state::{DeadBatch, GroupState, PartitionState, RunStart, SensorEntry, StartOffset, TopicState};

/// Why a commit did not happen (then nothing of it did, and nothing of it may be published), or what was committed could not be
/// read. What it wraps is the store's own error; [`StoreError::downcast_ref`] finds it again.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// Wraps a store's own error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The store's own error, taken out, if it is of this type.
    ///
    /// # Errors
    ///
    /// This error, if it wraps another type.
    pub fn downcast<E: Error + 'static>(self) -> Result<E, Self> {
        self.0.downcast().map(|error| *error).map_err(Self)
    }

    /// The store's own error, if it is of this type.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What is committed at once: everything that has changed since the last commit. Made by
/// [`Materializer::commit`](crate::materializer::Materializer::commit), borrowed from it: the materializer cannot move
/// on between the windows and what belongs to them.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The topic.
    pub topic: TopicState,
    /// Every partition that has been attached, ascending.
    pub partitions: Vec<(PartitionId, PartitionState)>,
    /// The account of all records so far. Its counts may all have changed, of its ranges and gaps only those below.
    pub ledger: &'a Ledger,
    /// Ranges of the ledger that are new or have grown.
    pub ranges: Vec<RangeState>,
    /// Groups whose statistics have changed, or that are new.
    pub groups: Vec<GroupState>,
    /// Sensors that are new to a group.
    pub sensors: &'a [SensorEntry],
    /// The windows that have closed, ascending by start.
    pub windows: &'a [&'a WindowResult],
    /// Batches with late or rejected records, in the order in which they came.
    pub dead: &'a [DeadBatch],
}

/// What all commits of a store add up to.
#[derive(Debug, Clone, Default)]
pub struct ResumeState {
    /// The topic.
    pub topic: TopicState,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// Groups, in the order of their numbers.
    pub groups: Vec<GroupState>,
    /// Who reported from where.
    pub sensors: Sensors,
}

impl ResumeState {
    /// Nothing: what a run goes on from that begins there.
    pub fn beginning(from: StartOffset) -> Self {
        let topic = TopicState { start: RunStart { from, partitions: None }, ..TopicState::default() };
        Self { topic, ..Self::default() }
    }
}

/// Where commits go.
pub trait Store: Send {
    /// What was committed before; `None` for a store that has never been used.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be read, or if what is read cannot be trusted.
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError>;

    /// Makes all of `commit` lasting, or nothing of it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it could not; the store then stands as before.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError>;
}
