//! A topic that records are appended to, with delivery that is made sure of by reading back.

use async_trait::async_trait;
use bytes::Bytes;
use isotherm_model::partial::PartitionId;

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRecord {
    pub key: Vec<u8>,
    pub value: Bytes,
}

/// What became of a batch of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// All of it is acknowledged.
    Acknowledged,
    /// It is larger than the broker takes, and nothing of it is there.
    TooLarge,
}

/// Why nothing is known of a batch of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It may be there or not; another attempt may go better.
    #[error("{0}")]
    Unsure(String),
    /// Waiting changes nothing.
    #[error("{0}")]
    Refused(String),
}

/// What is shown each key.
pub type ShowKey<'a> = dyn FnMut(&[u8]) + Send + 'a;

/// A topic to append to.
#[async_trait]
pub trait Target: Send {
    /// Looks the topic up again, whatever was known of it: how many partitions it has.
    async fn partitions(&mut self) -> Result<u32, TargetError>;

    /// Shows the keys of a partition's last records, at least `records` of them.
    async fn read_back(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut ShowKey<'_>,
    ) -> Result<(), TargetError>;

    /// Appends a batch, and waits until it is acknowledged.
    async fn append(&mut self, partition: PartitionId, records: &[OutgoingRecord]) -> Result<Appended, TargetError>;
}
