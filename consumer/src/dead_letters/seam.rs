//! What the copier works between, each as small as it can be: the log that was read, the topic of dead letters, and the
//! outbox. Whatever is decided is decided above them, so that it can be tried against models of all three.

use std::future::Future;

use bytes::Bytes;
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;
use isotherm_store::{LostBatch, Outbox};

use super::letter::Origin;
use crate::source::fluvio::batches::RawBatch;
use crate::source::fluvio::raw::RawError;

/// The log that was read.
pub trait Log: Send {
    /// A batch of it. If it has been cut, [`RawError::Evicted`] says where the partition begins by now.
    fn fetch(&mut self, batch: &DeadBatch) -> impl Future<Output = Result<RawBatch, RawError>> + Send;
}

/// The topic of dead letters.
pub trait Topic: Send {
    /// Looks the topic up anew, whatever was known of it: how many partitions it has.
    fn look(&mut self) -> impl Future<Output = Result<u32, PostError>> + Send;

    /// Shows the keys of a partition's last records, at least so many of them.
    fn tail(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut (dyn FnMut(&[u8]) + Send),
    ) -> impl Future<Output = Result<(), PostError>> + Send;

    /// Sends a batch, and waits until it is acknowledged.
    fn put(
        &mut self,
        partition: PartitionId,
        letters: &[Sealed],
    ) -> impl Future<Output = Result<Put, PostError>> + Send;

    /// Waits for a while until everything before this offset is readable, which [`Topic::put`] said to be stored. An error if it
    /// is not so yet.
    fn reach(&mut self, partition: PartitionId, end: i64) -> impl Future<Output = Result<Reach, PostError>> + Send;
}

/// A letter in its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub origin: Origin,
    pub key: Vec<u8>,
    pub value: Bytes,
}

/// What became of a batch of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// All replicas have all of it.
    Acknowledged,
    /// The leader has all of it, and its replicas have not: it ends before this offset, and nobody can read it yet.
    Stored(i64),
    /// It is larger than the broker takes, and nothing of it is there.
    TooLarge,
}

/// What became of letters that were stored, and that nobody could read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All replicas have them.
    Readable,
    /// The way to the leader that had them is broken, or it is another log: the tail tells whether they are there.
    Unknown,
}

/// Why letters cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// They may have been sent, or not; another attempt may go better.
    #[error("{0}")]
    Unsure(String),
    /// Nothing will change that by itself.
    #[error("{0}")]
    Refused(String),
}

/// The outbox: see [`Outbox`].
pub trait PendingCommit: Send {
    /// See [`Outbox::oldest`].
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error>;

    /// See [`Outbox::settle`].
    fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error>;
}

impl PendingCommit for Outbox {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error> {
        Outbox::oldest(self, most)
    }

    fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error> {
        Outbox::mark_done(self, last, lost)
    }
}
