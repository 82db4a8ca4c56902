//! Where results go: the smallest seam between the run and the readers of its results.
//!
//! A sink gets only what has been committed, and gets it once. A new one implements [`Sink::publish`].

pub mod discard;
pub mod jsonl;
pub mod progress;
pub mod table;
pub mod threaded;

use std::error::Error;
use std::io;

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};

/// A place for results.
#[async_trait]
pub trait Sink: Send {
    /// Takes windows that closed together, ascending by start, and the totals of that moment. There are none when the run ends and only
    /// totals are left.
    async fn publish(&mut self, windows: &[WindowResult], totals: &Totals) -> Result<(), SinkError>;

    /// The run is over. `published` says whether [`Sink::publish`] has just been called with these totals, but for their groups if
    /// they are too many ([`Totals::MOST_GROUPS`]).
    async fn finish(&mut self, totals: &Totals, published: bool) -> Result<(), SinkError> {
        if published && totals.groups.len() <= Totals::MOST_GROUPS { Ok(()) } else { self.publish(&[], totals).await }
    }

    /// How far reading has come; several times a second.
    async fn progress(&mut self, _snapshot: &Snapshot) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a sink takes no more results.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Its reader has gone. This ends a run quietly.
    #[error("nobody reads the results any longer")]
    Closed,
    #[error("the results cannot be written: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl From<io::Error> for SinkError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failed(error.into()) }
    }
}
