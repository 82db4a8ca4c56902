//! How catching up goes, as one line on standard error, around a sink that writes elsewhere.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};

use super::Sink;
use super::table::Screen;
use super::table::render::catching_up;

/// Nothing is drawn before: what is done at once needs no bar.
const AFTER: Duration = Duration::from_millis(500);

/// Draws progress, and hands the rest on.
pub struct Bar {
    inner: Box<dyn Sink>,
    screen: Screen,
    done: bool,
}

impl Bar {
    /// Draws on `screen` until everything that was there at the start has been read.
    pub fn new(inner: Box<dyn Sink>, screen: Screen) -> Self {
        Self { inner, screen, done: false }
    }
}

#[async_trait]
impl Sink for Bar {
    async fn publish(&mut self, windows: &[WindowResult], totals: &Totals) -> io::Result<()> {
        // Both may go to the same terminal.
        self.screen.clear()?;
        self.inner.publish(windows, totals).await
    }

    async fn finish(&mut self, totals: &Totals, said: bool) -> io::Result<()> {
        self.screen.clear()?;
        self.inner.finish(totals, said).await
    }

    async fn progress(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        if snapshot.caught_up && !self.done {
            self.done = true;
            self.screen.clear()?;
        } else if !self.done && snapshot.now >= AFTER && snapshot.of > 0 {
            let (_, width) = self.screen.size();
            let line = console::truncate_str(&catching_up(snapshot), width, "…").into_owned();
            self.screen.draw(vec![line])?;
        }
        self.inner.progress(snapshot).await
    }
}
