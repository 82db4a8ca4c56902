//! What the worker works between besides the topic of dead letters ([`crate::log::target`]): the log that was read, and the
//! outbox. Whatever is decided is decided above these seams, so that tests can try it against models.

use std::future::Future;

use isotherm_engine::state::DeadBatch;
use isotherm_store::error::StoreFault;
use isotherm_store::{LostBatch, Outbox};

use crate::log::{LogBatch, LogError};

/// The log that was read.
pub(crate) trait BatchFetcher: Send {
    /// The batch that holds this one's first offset. If retention has deleted it, [`LogError::Evicted`] says where the partition
    /// begins now.
    fn fetch(&mut self, batch: &DeadBatch) -> impl Future<Output = Result<LogBatch, LogError>> + Send;
}

/// The outbox: see [`Outbox`].
pub(crate) trait Pending: Send {
    /// See [`Outbox::oldest`].
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, StoreFault>;

    /// See [`Outbox::settle`].
    fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), StoreFault>;
}

impl Pending for Outbox {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, StoreFault> {
        Outbox::oldest(self, most)
    }

    fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), StoreFault> {
        Outbox::settle(self, last, lost)
    }
}
