//! Where results go: the smallest seam between the run and whoever reads its results.
//!
//! A sink is told only what has been committed, and told it once.

pub mod apart;
pub mod bar;
pub mod jsonl;
pub mod none;
pub mod table;

use std::io;

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};

/// A place for results. An error of kind [`io::ErrorKind::BrokenPipe`] says that nobody reads any longer.
#[async_trait]
pub trait Sink: Send {
    /// Windows that closed together, ascending by start, and the run so far.
    async fn publish(&mut self, windows: &[WindowResult], totals: &Totals) -> io::Result<()>;

    /// The run is over; these are its totals. `said` if they have just been published, with the windows that closed at
    /// the run's end.
    async fn finish(&mut self, totals: &Totals, said: bool) -> io::Result<()>;

    /// How far reading has come; several times a second.
    async fn progress(&mut self, snapshot: &Snapshot) -> io::Result<()>;
}
