//! One line on standard error shows how catching up goes, around a sink that writes elsewhere.

use std::time::Duration;

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_terminal::screen::Screen;
use isotherm_terminal::stderr;

use super::table::render::{Unit, catching_up};
use super::{Sink, SinkError};

/// Nothing is drawn before: what is done at once needs no bar.
const AFTER: Duration = Duration::from_millis(500);

/// Draws progress, and passes the rest on.
pub struct ProgressSink {
    inner: Box<dyn Sink>,
    screen: Screen,
    done: bool,
    unit: Unit,
}

impl ProgressSink {
    /// Draws on `screen` until everything that was there at the start has been read, of a log whose offsets count this.
    pub(crate) fn new(inner: Box<dyn Sink>, screen: Screen, unit: Unit) -> Self {
        Self { inner, screen, done: false, unit }
    }

    /// Takes the line away before results come: both may go to the same terminal.
    fn make_room(&self) -> Result<(), SinkError> {
        self.screen.clear()?;
        stderr::flush();
        Ok(())
    }
}

#[async_trait]
impl Sink for ProgressSink {
    async fn publish(&mut self, windows: &[WindowResult], totals: Option<&Totals>) -> Result<(), SinkError> {
        self.make_room()?;
        self.inner.publish(windows, totals).await
    }

    async fn finish(&mut self, totals: &Totals) -> Result<(), SinkError> {
        self.make_room()?;
        self.inner.finish(totals).await
    }

    async fn progress(&mut self, snapshot: &Snapshot) -> Result<(), SinkError> {
        if snapshot.caught_up && !self.done {
            self.done = true;
            self.screen.clear()?;
        } else if !self.done
            && snapshot.now >= AFTER
            && (snapshot.of > 0 || snapshot.unknown > 0 || snapshot.restoring.is_some())
        {
            self.screen.draw_line(&catching_up(snapshot, self.unit))?;
        }
        self.inner.progress(snapshot).await
    }
}
