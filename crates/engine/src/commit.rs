//! The seam at which results become lasting: what is published has gone through a [`Store`] before.
//!
//! One commit is one transaction: offsets, watermarks, closed windows (each with the offsets that had been merged),
//! totals by group, ledger and sensors change together or not at all. A commit says what has changed since the one
//! before it; [`ResumeState`] is what all commits so far add up to, and where the next run goes on.

use std::collections::BTreeMap;
use std::error::Error;

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;

use crate::ledger::{Account, Ledger, RangeState};
use crate::results::WindowResult;
use crate::sensors::Sensors;
use crate::state::{DeadBatch, GroupState, LogPart, PartitionState, RunStart, SensorEntry, StartOffset, TopicState};

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

/// One commit: everything that has changed since the last one.
/// [`Materializer::commit`](crate::materializer::Materializer::commit) makes it and lends it, so that the materializer cannot move on
/// before the commit is written.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The topic.
    pub topic: TopicState,
    /// Every partition that has been attached, ascending.
    pub partitions: Vec<(PartitionId, PartitionState)>,
    /// The account of all records so far. All counts may have changed; of the ranges only those below have.
    pub ledger: &'a Ledger,
    /// Ranges of the ledger that are new or have grown.
    pub ranges: Vec<RangeState>,
    /// Groups whose statistics have changed, or that are new.
    pub groups: Vec<GroupState>,
    /// Sensors that are new to a group.
    pub sensors: &'a [SensorEntry],
    /// The windows that have closed, in the order in which they did.
    pub windows: &'a [&'a WindowResult],
    /// Batches with late or rejected records, in the order in which they came.
    pub dead: &'a [DeadBatch],
    /// Parts of partitions, with their places, that are new or better known, in the order in which they came.
    pub parts: &'a [(PartitionId, u32, LogPart)],
}

/// The sum of all commits of a store: what a run resumes from.
#[derive(Debug, Clone, Default)]
pub struct ResumeState {
    /// The topic.
    pub topic: TopicState,
    /// The starts of the closed windows that end after [`TopicState::closed_until`], ascending.
    pub closed_beyond: Vec<Millis>,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
    /// The parts of partitions that have parts, in their order.
    pub parts: BTreeMap<PartitionId, Vec<LogPart>>,
    /// The account of all records.
    pub accounts: BTreeMap<PartitionId, Account>,
    /// Groups, in the order of their numbers.
    pub groups: Vec<GroupState>,
    /// The sensors that reported, by group.
    pub sensors: Sensors,
}

impl ResumeState {
    /// The state of a run that has read nothing, and begins there.
    pub fn beginning(from: StartOffset) -> Self {
        let topic = TopicState { start: RunStart { from, partitions: None }, ..TopicState::default() };
        Self { topic, ..Self::default() }
    }
}

/// The seam to a store.
pub trait Store: Send {
    /// What was committed before; `None` for a store that has never been used.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be read, or if what is read cannot be trusted.
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError>;

    /// Stores all of `commit`, or nothing of it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it could not; the store is then unchanged.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError>;
}
