//! The windows that lie ahead of what has been compared. Beyond a memory limit they go to a scratch file.

use std::collections::BTreeMap;

use isotherm_model::partial::{Cell, PartitionId};
use isotherm_model::window::Window;

use super::count::Counted;
use crate::scratch::{MemoryLimit, ScratchError, Stretch};

/// A window that has not been compared.
#[derive(Debug, Default)]
struct PendingWindow {
    counted: Counted,
    /// By partition, where the first batch that it counts begins.
    firsts: BTreeMap<PartitionId, i64>,
    spilled: Vec<Stretch>,
    /// When a cell was last added, counted in cells.
    used: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    windows: BTreeMap<Window, PendingWindow>,
    limit: Option<MemoryLimit>,
    /// About the memory that they take, in bytes.
    bytes: usize,
    added: u64,
}

impl Pending {
    pub(super) fn set_limit(&mut self, limit: MemoryLimit) {
        self.limit = Some(limit);
    }

    /// Adds a cell of a batch that begins at `first`.
    pub(super) fn add(&mut self, window: Window, (partition, first): (PartitionId, i64), group: &str, cell: &Cell) {
        self.added += 1;
        let pending = self.windows.entry(window).or_default();
        pending.used = self.added;
        pending.firsts.entry(partition).or_insert(first);
        let before = pending.counted.bytes();
        pending.counted.add(group, cell);
        self.bytes = self.bytes.saturating_add(pending.counted.bytes()).saturating_sub(before);
    }

    /// Moves what has not been used for longest to the scratch file, if the memory limit is exceeded.
    pub(super) fn spill(&mut self) -> Result<(), ScratchError> {
        let Some(limit) = self.limit.as_mut().filter(|limit| self.bytes > limit.bytes) else {
            return Ok(());
        };
        let mut oldest: Vec<_> = self.windows.values_mut().filter(|window| window.counted.bytes() > 0).collect();
        oldest.sort_unstable_by_key(|window| window.used);
        for window in oldest {
            if self.bytes <= limit.bytes / 4 * 3 {
                break;
            }
            window.spilled.push(limit.scratch.append(&window.counted.spilled())?);
            self.bytes = self.bytes.saturating_sub(window.counted.bytes());
            window.counted = Counted::default();
        }
        Ok(())
    }

    /// Takes a window out, whole. Nothing if no reading counts into it.
    pub(super) fn take(&mut self, window: Window) -> Result<Counted, ScratchError> {
        let Some(PendingWindow { mut counted, spilled, .. }) = self.windows.remove(&window) else {
            return Ok(Counted::default());
        };
        self.bytes = self.bytes.saturating_sub(counted.bytes());
        for stretch in spilled {
            if let Some(limit) = &mut self.limit {
                counted.restore(&limit.scratch.read(stretch)?)?;
            }
        }
        Ok(counted)
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<Window> {
        self.windows.first_key_value().map(|(window, _)| *window)
    }

    /// Where the first batch of a partition begins that any of them counts.
    pub(super) fn first_batch(&self, partition: PartitionId) -> Option<i64> {
        self.windows.values().filter_map(|window| window.firsts.get(&partition)).min().copied()
    }
}
