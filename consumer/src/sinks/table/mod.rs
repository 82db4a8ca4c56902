//! The table for people: live in place on a terminal, each window once where output is piped.

pub(crate) mod format;
mod layout;
mod paint;
pub(crate) mod render;
mod stored;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_model::fixed::Fixed;
use isotherm_terminal::screen::Screen;

use self::paint::Paint;
use self::render::{Space, Unit, View};
pub use self::stored::Stored;
use super::{Sink, SinkError};

/// The width of tables where there is no terminal.
const PLAIN_WIDTH: usize = 80;

pub struct Table<W> {
    group: String,
    out: W,
    screen: Option<Screen>,
    paint: Paint,
    before: BTreeMap<String, Fixed>,
    shown: Option<(WindowResult, BTreeMap<String, Fixed>, Option<Totals>)>,
    windows: u64,
    unit: Unit,
}

impl<W: Write + Send> Table<W> {
    /// A table on `out`; live, if that is a `screen`. `group` names what groups are, `unit` what the log's offsets count. Only
    /// screens have colours.
    pub(crate) fn new(group: &str, out: W, screen: Option<Screen>, colour: bool, unit: Unit) -> Self {
        let paint = Paint { on: colour && screen.is_some() };
        let (group, before) = (group.to_owned(), BTreeMap::new());
        Self { group, out, screen, paint, before, shown: None, windows: 0, unit }
    }

    /// The live picture: the newest window and the status below it.
    fn picture(&self, status: String, lines: usize, width: usize) -> Vec<String> {
        let mut picture = Vec::new();
        if let Some((window, before, totals)) = &self.shown {
            let view = View { window, before, totals: totals.as_ref(), group: &self.group };
            // A line for the status, one above it, and one for the cursor.
            let space = Space { width, height: Some(lines.saturating_sub(3)) };
            picture = render::window(&view, space, self.paint);
            picture.push(String::new());
        }
        picture.push(status);
        picture.truncate(lines.saturating_sub(1).max(1));
        picture.into_iter().map(|line| format::fit(&line, width)).collect()
    }

    fn print(&mut self, lines: &[String]) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "{line}")?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }
}

#[async_trait]
impl<W: Write + Send> Sink for Table<W> {
    async fn publish(&mut self, windows: &[WindowResult], totals: Option<&Totals>) -> Result<(), SinkError> {
        for window in windows {
            let before = std::mem::take(&mut self.before);
            self.before = window.groups.iter().map(|group| (group.group.clone(), group.avg)).collect();
            self.windows += 1;
            if self.screen.is_some() {
                self.shown = Some((window.clone(), before, totals.cloned()));
            } else {
                let view = View { window, before: &before, totals, group: &self.group };
                let lines = render::window(&view, Space { width: PLAIN_WIDTH, height: None }, self.paint);
                self.print(&lines)?;
            }
        }
        Ok(())
    }

    async fn finish(&mut self, totals: &Totals) -> Result<(), SinkError> {
        let mut space = Space { width: PLAIN_WIDTH, height: None };
        if let Some(screen) = &self.screen {
            let (lines, width) = screen.size();
            // The last window stays, its status goes.
            let mut picture = self.picture(String::new(), lines, width);
            picture.pop();
            screen.draw(picture)?;
            screen.release();
            space = Space { width, height: Some(lines) };
        }
        let lines = render::totals(totals, &self.group, space, self.paint);
        Ok(self.print(&lines)?)
    }

    async fn progress(&mut self, snapshot: &Snapshot) -> Result<(), SinkError> {
        let Some(screen) = &self.screen else {
            return Ok(());
        };
        let (lines, width) = screen.size();
        let status = render::status(snapshot, self.unit, self.windows, self.paint);
        Ok(screen.draw(self.picture(status, lines, width))?)
    }
}
