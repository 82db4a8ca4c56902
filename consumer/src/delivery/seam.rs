//! What the worker works between besides the topic of dead letters ([`crate::log::target`]): the log that was read, and the
//! outbox. Whatever is decided is decided above these seams, so that tests can try it against models.

use std::future::Future;

use isotherm_engine::state::DeadBatch;
use isotherm_store::{LostBatch, Outbox};

pub use crate::log::target::{Appended, OutgoingRecord, ShowKey, Target, TargetError};
pub use crate::log::{LogBatch, LogError, OwnedBatch};

/// The log that was read.
pub trait BatchFetcher: Send {
    /// The batch that holds this one's first offset. If retention has deleted it, [`LogError::Evicted`] says where the partition
    /// begins now.
    fn fetch(&mut self, batch: &DeadBatch) -> impl Future<Output = Result<LogBatch, LogError>> + Send;
}

/// The outbox: see [`Outbox`].
pub trait Pending: Send {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error>;

    fn mark_done(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error>;
}

impl Pending for Outbox {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error> {
        Outbox::oldest(self, most)
    }

    fn mark_done(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error> {
        Outbox::mark_done(self, last, lost)
    }
}
