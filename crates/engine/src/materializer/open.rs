//! Open windows: their numbers may still change. Which windows are closed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;

use isotherm_model::partial::{Cell, PartitionId};
use isotherm_model::time::Millis;
use isotherm_model::window::{Window, WindowSize};

use super::tally::Tally;
use crate::group::MAX_ROWS;
use crate::names::{GroupId, Names};
use crate::results::{ClosedBy, WindowResult};
use crate::scratch::{MemoryLimit, ScratchError, Stretch};
use crate::sensors::HashSeed;
use crate::view;

/// The windows that hold readings and have not closed.
#[derive(Debug)]
pub(super) struct OpenWindows {
    size: WindowSize,
    grace: Millis,
    seed: HashSeed,
    /// Windows that end here or before are closed. It never goes back.
    closed_until: Option<Millis>,
    /// The starts of the windows beyond that are closed as well, because a run ended with them.
    closed_beyond: BTreeSet<Millis>,
    windows: BTreeMap<Window, OpenWindow>,
    limit: Option<MemoryLimit>,
    /// About the memory that all of them take, in bytes.
    bytes: usize,
    /// How many cells have been added.
    added: u64,
    /// The most rows of a store that close together.
    rows_at_once: usize,
}

/// A window that holds readings.
#[derive(Debug)]
struct OpenWindow {
    tally: Tally,
    /// By partition, the first offset of the first batch that readings in it came in.
    firsts: BTreeMap<PartitionId, i64>,
    /// What of it is in the scratch file.
    spilled: Vec<Stretch>,
    /// Readings in the scratch file.
    spilled_messages: u64,
    /// When a cell was last added, counted in cells.
    used: u64,
}

impl OpenWindow {
    fn bytes(&self) -> usize {
        size_of::<(Window, Self)>() * 3 / 2
            + self.firsts.len() * size_of::<(PartitionId, i64)>() * 3 / 2
            + self.spilled.capacity() * size_of::<Stretch>()
            + self.tally.bytes()
    }
}

/// Windows that close together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) by: ClosedBy,
    /// What closes: the windows that end here or before, or every window that holds readings.
    pub(super) until: Option<Millis>,
    pub(super) all: bool,
}

/// Of a [`Closing`], what a commit may hold.
#[derive(Debug)]
pub(super) struct Closed {
    /// The windows, ascending.
    pub(super) windows: Vec<WindowResult>,
    /// Whether more are to close.
    pub(super) more: bool,
}

impl OpenWindows {
    /// No open window. Grace is in milliseconds.
    pub(super) fn new(size: WindowSize, grace: Millis, seed: HashSeed) -> Self {
        Self {
            size,
            grace,
            seed,
            closed_until: None,
            closed_beyond: BTreeSet::new(),
            windows: BTreeMap::new(),
            limit: None,
            bytes: 0,
            added: 0,
            rows_at_once: MAX_ROWS,
        }
    }

    /// Which windows have been closed before.
    pub(super) fn restore(&mut self, until: Option<Millis>, beyond: impl IntoIterator<Item = Millis>) {
        (self.closed_until, self.closed_beyond) = (until, beyond.into_iter().collect());
    }

    pub(super) fn set_limit(&mut self, limit: MemoryLimit) {
        self.limit = Some(limit);
    }

    pub(super) fn set_rows_at_once(&mut self, rows: usize) {
        self.rows_at_once = rows;
    }

    /// Whether the window is closed; it may never have held a reading.
    pub(super) fn is_closed(&self, window: Window) -> bool {
        self.ends_by(window, self.closed_until) || self.closed_beyond.contains(&self.size.start(window))
    }

    fn ends_by(&self, window: Window, until: Option<Millis>) -> bool {
        until.is_some_and(|until| self.size.end(window) <= until)
    }

    /// Windows that end here or before are closed.
    pub(super) fn closed_until(&self) -> Option<Millis> {
        self.closed_until
    }

    /// How many windows beyond are closed.
    pub(super) fn closed_beyond(&self) -> u64 {
        self.closed_beyond.len() as u64
    }

    /// Counts a cell of a batch that begins at `first` into a window that is not closed. Opens the window if need be. Answers which
    /// of the cell's sensors are new to the group in the window, as far as it is in memory.
    pub(super) fn add(
        &mut self,
        window: Window,
        (partition, first): (PartitionId, i64),
        group: GroupId,
        cell: Cell,
    ) -> Cell {
        self.added += 1;
        let seed = self.seed;
        let mut before = 0;
        let open = self.windows.entry(window).and_modify(|open| before = open.bytes()).or_insert_with(|| OpenWindow {
            tally: Tally::new(seed),
            firsts: BTreeMap::new(),
            spilled: Vec::new(),
            spilled_messages: 0,
            used: 0,
        });
        open.firsts.entry(partition).or_insert(first);
        open.used = self.added;
        let new = open.tally.add(group, cell);
        self.bytes = self.bytes.saturating_add(open.bytes()).saturating_sub(before);
        new
    }

    /// Moves what has not been used for longest to the scratch file, if the memory limit is exceeded. A quarter of the limit becomes
    /// free, so that this is rare.
    pub(super) fn spill(&mut self) -> Result<(), ScratchError> {
        let Some(limit) = self.limit.as_mut().filter(|limit| self.bytes > limit.bytes) else {
            return Ok(());
        };
        let mut oldest: Vec<(u64, &mut OpenWindow)> = self
            .windows
            .values_mut()
            .map(|open| (open.used, open))
            .filter(|(_, open)| !open.tally.is_empty())
            .collect();
        oldest.sort_unstable_by_key(|(used, _)| *used);
        for (_, open) in oldest {
            if self.bytes <= limit.bytes / 4 * 3 {
                break;
            }
            let before = open.bytes();
            let stretch = limit.scratch.append(&open.tally.spilled())?;
            open.spilled_messages = open.spilled_messages.saturating_add(open.tally.messages());
            open.spilled.push(stretch);
            open.tally = Tally::new(self.seed);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(open.bytes());
        }
        Ok(())
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
            messages: open.tally.messages().saturating_add(open.spilled_messages),
            sensors: open.tally.sensors(),
            groups: open.tally.results(names),
            is_whole: open.spilled.is_empty(),
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

    /// Whether any window is to close.
    pub(super) fn is_due(&self, closing: &Closing) -> bool {
        self.windows.first_key_value().is_some_and(|(window, _)| closing.all || self.ends_by(*window, closing.until))
    }

    /// Up to where windows are closed at this watermark.
    pub(super) fn until(&self, watermark: Option<Millis>) -> Option<Millis> {
        watermark.map(|watermark| watermark.saturating_sub(self.grace))
    }

    /// Closes windows, ascending, as many as a commit may hold. What closes is closed from now on, and if no more is to close, so is
    /// everything up to `until`.
    ///
    /// # Errors
    ///
    /// An error if the first of them cannot be read from the scratch file. It is still open then.
    pub(super) fn close(
        &mut self,
        closing: Closing,
        names: &Names,
        positions: &[(PartitionId, i64)],
    ) -> Result<Closed, ScratchError> {
        let (mut windows, mut rows) = (Vec::new(), 0);
        let mut more = false;
        while let Some(entry) = self.windows.first_entry() {
            let window = *entry.key();
            if !closing.all && closing.until.is_none_or(|until| self.size.end(window) > until) {
                break;
            }
            more = rows >= self.rows_at_once;
            if more {
                break;
            }
            if let Err(error) = whole(&mut self.limit, entry.into_mut(), &mut self.bytes) {
                if windows.is_empty() {
                    return Err(error);
                }
                // These close now; the next attempt meets the error again.
                more = true;
                break;
            }
            let Some((window, open)) = self.windows.pop_first() else { break };
            self.bytes = self.bytes.saturating_sub(open.bytes());
            let result = WindowResult {
                start: self.size.start(window),
                end: self.size.end(window),
                closed_by: closing.by,
                messages: open.tally.messages(),
                sensors: open.tally.sensors(),
                groups: open.tally.results(names),
                positions: positions.to_vec(),
            };
            rows += result.rows();
            windows.push(result);
            self.closed_beyond.insert(self.size.start(window));
        }
        // What is still open must not count as closed.
        let open = self.windows.first_key_value().map(|(window, _)| self.size.end(*window).saturating_sub(1));
        let until = closing.until.map(|until| open.map_or(until, |open| until.min(open)));
        self.closed_until = self.closed_until.max(until);
        if let Some(until) = self.closed_until.filter(|_| !self.closed_beyond.is_empty()) {
            let first = until.saturating_sub(self.size.millis()).saturating_add(1);
            self.closed_beyond = self.closed_beyond.split_off(&first);
        }
        Ok(Closed { windows, more })
    }
}

/// Brings all of a window into memory.
fn whole(limit: &mut Option<MemoryLimit>, open: &mut OpenWindow, bytes: &mut usize) -> Result<(), ScratchError> {
    let Some(limit) = limit.as_mut().filter(|_| !open.spilled.is_empty()) else {
        return Ok(());
    };
    let before = open.bytes();
    while let Some(stretch) = open.spilled.last() {
        let piece = limit.scratch.read(*stretch)?;
        open.tally.restore(&piece)?;
        open.spilled.pop();
    }
    open.spilled_messages = 0;
    *bytes = bytes.saturating_sub(before).saturating_add(open.bytes());
    Ok(())
}
