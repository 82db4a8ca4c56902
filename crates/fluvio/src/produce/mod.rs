//! Producing to one topic: batches as the log stores them, one at a time to each partition.
//!
//! This speaks the produce request of the published protocol crates rather than going through the `fluvio` crate's
//! `TopicProducer`. That one, when a connection drops, fails the batch on its way and later sends the batches behind it from a
//! task that cannot be stopped and that retries without bound: sending the failed one again then changes the order of records,
//! and dropping the producer stores batches twice.

mod batch;
mod leader;
mod partitioner;
mod sender;
mod topic;

pub use self::batch::{OpenBatch, SealedBatch};
pub use self::leader::LeaderWriter;
pub use self::partitioner::Partitioner;
pub use self::sender::{Attempt, Broker, Refusal, SendError, Sender};
pub use self::topic::{Layout, Topic, TopicError};
