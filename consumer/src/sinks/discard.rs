//! No output: for measurements, and for runs whose results are read elsewhere.

use async_trait::async_trait;
use isotherm_engine::results::{Totals, WindowResult};

use super::{Sink, SinkError};

/// Drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardSink;

#[async_trait]
impl Sink for DiscardSink {
    async fn publish(&mut self, _windows: &[WindowResult], _totals: Option<&Totals>) -> Result<(), SinkError> {
        Ok(())
    }
}
