//! Open windows: their numbers may still change.

use std::collections::BTreeMap;

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use isotherm_model::window::{Window, WindowSize};

use super::tally::Tally;
use crate::names::Names;
use crate::results::{ClosedBy, WindowResult};
use crate::sensors::HashSeed;
use crate::view;

/// The windows that hold readings and have not closed.
#[derive(Debug, Clone)]
pub(super) struct OpenWindows {
    size: WindowSize,
    grace: Millis,
    /// Windows that end here or before are closed. It never goes back.
    closed_until: Option<Millis>,
    windows: BTreeMap<Window, OpenWindow>,
}

/// A window that holds readings.
#[derive(Debug, Clone)]
struct OpenWindow {
    tally: Tally,
    /// By partition, the first offset of the first batch that readings in it came in.
    firsts: BTreeMap<PartitionId, i64>,
}

impl OpenWindows {
    /// No open window. Grace is in milliseconds.
    pub(super) fn new(size: WindowSize, grace: Millis, closed_until: Option<Millis>) -> Self {
        Self { size, grace, closed_until, windows: BTreeMap::new() }
    }

    /// Whether the window is closed; it may never have held a reading.
    pub(super) fn is_closed(&self, window: Window) -> bool {
        self.closed_until.is_some_and(|until| self.size.end(window) <= until)
    }

    /// Windows that end here or before are closed.
    pub(super) fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// The tally of a window that is not closed, to count readings of a batch. Opens the window if need be.
    pub(super) fn tally(&mut self, window: Window, partition: PartitionId, first: i64, seed: HashSeed) -> &mut Tally {
        let open = self
            .windows
            .entry(window)
            .or_insert_with(|| OpenWindow { tally: Tally::new(seed), firsts: BTreeMap::new() });
        open.firsts.entry(partition).or_insert(first);
        &mut open.tally
    }

    /// By partition, the lowest offset of a batch that an open window holds readings of. Cost: linear in the open windows
    /// and their partitions.
    pub(super) fn firsts(&self) -> BTreeMap<PartitionId, i64> {
        let mut firsts = BTreeMap::new();
        for (partition, first) in self.windows.values().flat_map(|open| &open.firsts) {
            let place = firsts.entry(*partition).or_insert(*first);
            *place = (*place).min(*first);
        }
        firsts
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The first instant of the oldest open window.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.windows.first_key_value().map(|(window, _)| self.size.start(*window))
    }

    /// The open windows as they are now. Cost: linear in their groups.
    pub(super) fn view(&self, names: &Names) -> Vec<view::OpenWindow> {
        let view = |(window, open): (&Window, &OpenWindow)| view::OpenWindow {
            start: self.size.start(*window),
            end: self.size.end(*window),
            closes_at: self.closes_at(*window),
            messages: open.tally.messages(),
            sensors: open.tally.sensors(),
            groups: open.tally.results(names),
        };
        self.windows.iter().map(view).collect()
    }

    /// The moment in event time at which the last open window closes.
    pub(super) fn last_close(&self) -> Option<Millis> {
        self.windows.last_key_value().map(|(window, _)| self.closes_at(*window))
    }

    fn closes_at(&self, window: Window) -> Millis {
        self.size.end(window).saturating_add(self.grace)
    }

    /// Sets the watermark. Returns whether it closes a window.
    pub(super) fn advance(&mut self, watermark: Option<Millis>) -> bool {
        self.closed_until = self.closed_until.max(watermark.map(|watermark| watermark.saturating_sub(self.grace)));
        self.windows.first_key_value().is_some_and(|(window, _)| self.is_closed(*window))
    }

    /// Closes every window that is over, ascending.
    pub(super) fn close(&mut self, by: ClosedBy, names: &Names, positions: &[(PartitionId, i64)]) -> Vec<WindowResult> {
        let mut closed = Vec::new();
        while let Some((window, _)) = self.windows.first_key_value()
            && self.is_closed(*window)
            && let Some((window, open)) = self.windows.pop_first()
        {
            closed.push(self.result(window, &open.tally, by, names, positions));
        }
        closed
    }

    /// Closes every window that holds readings, and with the last of them all before it.
    pub(super) fn close_all(&mut self, names: &Names, positions: &[(PartitionId, i64)]) -> Vec<WindowResult> {
        let last = self.windows.last_key_value().map(|(window, _)| self.size.end(*window));
        self.closed_until = self.closed_until.max(last);
        self.close(ClosedBy::End, names, positions)
    }

    fn result(
        &self,
        window: Window,
        tally: &Tally,
        closed_by: ClosedBy,
        names: &Names,
        positions: &[(PartitionId, i64)],
    ) -> WindowResult {
        WindowResult {
            start: self.size.start(window),
            end: self.size.end(window),
            closed_by,
            messages: tally.messages(),
            sensors: tally.sensors(),
            groups: tally.results(names),
            positions: positions.to_vec(),
        }
    }
}
