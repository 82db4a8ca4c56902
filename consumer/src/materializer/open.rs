//! Open windows: what has been counted and may still change.

use std::collections::BTreeMap;

use isotherm_model::window::{Millis, Window, WindowSize};

use super::event::PartitionId;
use super::names::Names;
use super::sensors::Spread;
use super::tally::Tally;
use crate::results::{ClosedBy, WindowResult};

/// The windows that hold readings and have not closed.
#[derive(Debug, Clone)]
pub(super) struct OpenWindows {
    size: WindowSize,
    grace: Millis,
    windows: BTreeMap<Window, Tally>,
}

impl OpenWindows {
    /// None. Grace in milliseconds.
    pub(super) fn new(size: WindowSize, grace: Millis) -> Self {
        Self { size, grace, windows: BTreeMap::new() }
    }

    /// Whether the window is closed at this watermark, whether or not it ever held a reading.
    pub(super) fn is_closed(&self, window: Window, watermark: Option<Millis>) -> bool {
        watermark.is_some_and(|watermark| watermark >= self.size.end(window).saturating_add(self.grace))
    }

    /// The window's tally; it opens if it holds nothing yet.
    pub(super) fn tally(&mut self, window: Window, spread: Spread) -> &mut Tally {
        self.windows.entry(window).or_insert_with(|| Tally::new(spread))
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The first instant of the oldest open window, and of the moment in event time at which it closes.
    pub(super) fn oldest(&self) -> Option<(Millis, Millis)> {
        let (window, _) = self.windows.first_key_value()?;
        Some((self.size.start(*window), self.size.end(*window).saturating_add(self.grace)))
    }

    /// Closes every window that is over at this watermark, ascending.
    pub(super) fn close(
        &mut self,
        watermark: Option<Millis>,
        by: ClosedBy,
        names: &Names,
        merged: &[(PartitionId, i64)],
    ) -> Vec<WindowResult> {
        let mut closed = Vec::new();
        while let Some((window, _)) = self.windows.first_key_value()
            && self.is_closed(*window, watermark)
            && let Some((window, tally)) = self.windows.pop_first()
        {
            closed.push(self.result(window, &tally, by, names, merged));
        }
        closed
    }

    /// Closes every window, ascending.
    pub(super) fn close_all(&mut self, names: &Names, merged: &[(PartitionId, i64)]) -> Vec<WindowResult> {
        let windows = std::mem::take(&mut self.windows);
        windows.into_iter().map(|(window, tally)| self.result(window, &tally, ClosedBy::End, names, merged)).collect()
    }

    fn result(
        &self,
        window: Window,
        tally: &Tally,
        closed_by: ClosedBy,
        names: &Names,
        merged: &[(PartitionId, i64)],
    ) -> WindowResult {
        WindowResult {
            start: self.size.start(window),
            end: self.size.end(window),
            closed_by,
            messages: tally.messages(),
            sensors: tally.sensors(),
            groups: tally.results(names),
            merged: merged.to_vec(),
        }
    }
}
