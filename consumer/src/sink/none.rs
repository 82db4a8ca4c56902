//! No output: for measurements, and for runs whose results are read elsewhere.

use std::io;

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};

use super::Sink;

/// Drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

#[async_trait]
impl Sink for NoSink {
    async fn publish(&mut self, _windows: &[WindowResult], _totals: &Totals) -> io::Result<()> {
        Ok(())
    }

    async fn finish(&mut self, _totals: &Totals, _said: bool) -> io::Result<()> {
        Ok(())
    }

    async fn progress(&mut self, _snapshot: &Snapshot) -> io::Result<()> {
        Ok(())
    }
}
