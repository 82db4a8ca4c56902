//! Where partials come from: the seam between the materializer and a log.
//!
//! A source finds the partitions of a topic, reads each from a batch boundary on, restores its own connections, and tells all
//! of it as [`Event`]s. It decides nothing about time, windows or lateness. [`module`] has each batch combined at the broker,
//! [`native`] combines it here; a stored batch gives the same bytes either way.

mod error;
mod lookup;
mod lost;
pub mod module;
pub mod native;
mod plan;
mod start;
mod topic;

use async_trait::async_trait;
use isotherm_engine::event::Event;
use isotherm_model::partial::PartitionId;

pub use self::error::SourceError;
pub use self::module::error::ModuleError;
pub use self::plan::{ReadPlan, ReadStart};

/// A log that is read. Implementations reconnect by themselves; an error ends the run.
#[async_trait]
pub trait Source: Send {
    /// The next event. Waits as long as nothing happens. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Event, SourceError>;

    /// Takes nothing more from this partition until [`Source::resume`]. What is under way may still come.
    fn pause(&mut self, partition: PartitionId);

    /// Goes on with this partition.
    fn resume(&mut self, partition: PartitionId);

    /// The run has committed these positions.
    fn committed(&mut self, _positions: Vec<(PartitionId, i64)>) {}
}
