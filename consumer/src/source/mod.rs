//! Where partials come from: the smallest seam between the consumer and a log.
//!
//! A source finds the partitions of a topic, reads each from a batch boundary on, mends its own connections, and
//! tells all of it as [`Event`]s. It decides nothing about time, windows or lateness.

pub mod fluvio;

use async_trait::async_trait;
use isotherm_engine::event::Event;
use isotherm_model::partial::PartitionId;

pub use self::fluvio::error::{ClusterFlag, SourceError};

/// A log that is read. Implementations reconnect by themselves; an error ends the run.
#[async_trait]
pub trait Source: Send {
    /// The next thing that happened: `Found`, `Attached`, `End` or `Partial`. Waits as long as nothing happens.
    /// Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Event, SourceError>;

    /// Takes nothing more from this partition until [`Source::resume`]. What is under way may still come.
    fn pause(&mut self, partition: PartitionId);

    /// Goes on with this partition.
    fn resume(&mut self, partition: PartitionId);
}
