//! JSON lines on a writer, flushed after each close.
//!
//! Totals follow the windows that closed together. A run that ends with such a close does not repeat them, unless their groups
//! were left out there.

use std::io::Write;

use async_trait::async_trait;
use isotherm_engine::results::{Totals, WindowResult};

use super::{Sink, SinkError};
use crate::results::jsonl::JsonLines;

/// Writes the documented lines.
pub struct JsonlSink<W> {
    lines: JsonLines,
    out: W,
}

impl<W: Write + Send> JsonlSink<W> {
    pub fn new(lines: JsonLines, out: W) -> Self {
        Self { lines, out }
    }
}

#[async_trait]
impl<W: Write + Send> Sink for JsonlSink<W> {
    async fn publish(&mut self, windows: &[WindowResult], totals: &Totals) -> Result<(), SinkError> {
        for window in windows {
            writeln!(self.out, "{}", self.lines.window(window))?;
        }
        self.lines.write_totals(totals, &mut self.out)?;
        writeln!(self.out)?;
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use isotherm_model::schema::Schema;

    use super::*;

    #[tokio::test]
    async fn totals_stand_last_and_once() {
        for (windows, published, lines) in [(true, true, 1), (true, false, 2), (false, false, 1)] {
            let mut out = Vec::new();
            let mut sink = JsonlSink::new(JsonLines::new(&Schema::default().group), &mut out);
            let totals = Totals::default();
            if windows {
                sink.publish(&[], &totals).await.expect("written");
            }
            sink.finish(&totals, published).await.expect("written");
            let text = String::from_utf8(out).expect("text");
            assert_eq!(text.matches("\"totals\"").count(), lines, "{text}");
            assert!(text.ends_with("}\n"));
        }
    }
}
