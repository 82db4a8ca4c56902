//! The cells of a batch while it is read.

use std::collections::BTreeMap;

use super::names::Names;
use crate::codec::CellView;
use crate::fixed::Fixed;
use crate::scan::KnownGroups;
use crate::stats::{SensorHash, Stats};
use crate::window::Window;

/// Places for recently used cells (a power of two): sixteen windows of sixty-four groups without a clash.
const RECENT: usize = 1_024;

/// The cells of one batch. Finding a cell is most often one look into a table; behind it stands a sorted map, so that no
/// choice of windows and groups, however hostile, costs more than its logarithm.
#[derive(Debug, Clone)]
pub(super) struct Drafts {
    cells: Vec<Draft>,
    places: BTreeMap<(Window, u32), u32>,
    recent: Box<[Recent; RECENT]>,
    /// For each reading in its order, its cell and its sensor.
    cell_of: Vec<u32>,
    sensor_of: Vec<SensorHash>,
    names: Names,
    /// The cells in their final order, and the sensors of each side by side in this order.
    order: Vec<u32>,
    sensors: Vec<SensorHash>,
}

#[derive(Debug, Clone)]
struct Draft {
    window: Window,
    group: u32,
    stats: Stats,
    /// Where its sensors begin among all, how many there are, and (while they are sorted) where the next one goes.
    begin: u32,
    len: u32,
}

/// A cell that was used not long ago; `cell` is its place + 1, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    window: Window,
    group: u32,
    cell: u32,
}

impl Default for Drafts {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            places: BTreeMap::new(),
            recent: Box::new([Recent::default(); RECENT]),
            cell_of: Vec::new(),
            sensor_of: Vec::new(),
            names: Names::default(),
            order: Vec::new(),
            sensors: Vec::new(),
        }
    }
}

impl Drafts {
    /// Forgets the batch, not the memory.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.places.clear();
        self.recent.fill(Recent::default());
        self.cell_of.clear();
        self.sensor_of.clear();
        self.names.trim();
    }

    /// Counts a reading: its window, its group (by its place where groups are known), its value and its sensor.
    #[inline]
    pub(super) fn count(
        &mut self,
        window: Window,
        place: Option<usize>,
        group: &[u8],
        value: Fixed,
        sensor: SensorHash,
    ) {
        let group = match place {
            Some(place) => place as u32,
            None => self.names.number(group),
        };
        let cell = self.cell(window, group, value);
        self.cell_of.push(cell);
        self.sensor_of.push(sensor);
    }

    /// The place of a cell, with the value counted.
    #[inline]
    fn cell(&mut self, window: Window, group: u32, value: Fixed) -> u32 {
        let slot = (window.0 as usize).wrapping_mul(64).wrapping_add(group as usize) % RECENT;
        if let Some(recent) = self.recent.get(slot)
            && (recent.window, recent.group) == (window, group)
            && let Some(place) = recent.cell.checked_sub(1)
            && let Some(cell) = self.cells.get_mut(place as usize)
        {
            cell.stats.push(value);
            return place;
        }
        self.cell_elsewhere(slot, window, group, value)
    }

    /// The same for a cell that was not used lately, or not at all.
    #[inline(never)]
    fn cell_elsewhere(&mut self, slot: usize, window: Window, group: u32, value: Fixed) -> u32 {
        let next = self.cells.len() as u32;
        let place = *self.places.entry((window, group)).or_insert(next);
        match self.cells.get_mut(place as usize) {
            Some(cell) => cell.stats.push(value),
            None => self.cells.push(Draft { window, group, stats: Stats::of(value), begin: 0, len: 0 }),
        }
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = Recent { window, group, cell: place + 1 };
        }
        place
    }

    /// Puts the cells in order, and the sensors of each, each once.
    pub(super) fn sort(&mut self, groups: &KnownGroups) {
        let Self { cells, cell_of, sensor_of, names, order, sensors, .. } = self;
        order.clear();
        order.extend(0..cells.len() as u32);
        let key = |place: &u32| cells.get(*place as usize).map(|cell| (cell.window, cell.group));
        match groups {
            // Places of known groups ascend as their names do.
            KnownGroups::UsStates | KnownGroups::List(_) => order.sort_unstable_by_key(key),
            KnownGroups::Any => {
                order.sort_unstable_by_key(|place| key(place).map(|(window, group)| (window, names.name(group))));
            }
        }
        // Each cell has as many readings as it counted: that is where the next one's sensors begin.
        let mut begin = 0;
        for place in order.iter() {
            if let Some(cell) = cells.get_mut(*place as usize) {
                (cell.begin, cell.len) = (begin, 0);
                begin += cell.stats.count as u32;
            }
        }
        sensors.clear();
        sensors.resize(sensor_of.len(), 0);
        for (place, sensor) in cell_of.iter().zip(sensor_of.iter()) {
            if let Some(cell) = cells.get_mut(*place as usize)
                && let Some(slot) = sensors.get_mut((cell.begin + cell.len) as usize)
            {
                *slot = *sensor;
                cell.len += 1;
            }
        }
        for cell in cells {
            if let Some(sensors) = sensors.get_mut(cell.begin as usize..(cell.begin + cell.len) as usize) {
                sensors.sort_unstable();
                cell.len = distinct(sensors) as u32;
            }
        }
    }

    /// The cells, ascending by window and group, after [`Drafts::sort`].
    pub(super) fn cells<'a>(&'a self, groups: &'a KnownGroups) -> impl Iterator<Item = CellView<'a>> + Clone + use<'a> {
        self.order.iter().filter_map(|place| self.cells.get(*place as usize)).map(|cell| CellView {
            window: cell.window,
            group: groups.name(cell.group as usize).unwrap_or_else(|| self.names.name(cell.group)),
            stats: &cell.stats,
            sensors: self.sensors.get(cell.begin as usize..(cell.begin + cell.len) as usize).unwrap_or_default(),
        })
    }
}

/// Moves the distinct values of an ascending list to its front; how many there are.
fn distinct(sorted: &mut [SensorHash]) -> usize {
    let mut kept = 0;
    for i in 0..sorted.len() {
        if i == 0 || sorted[i] != sorted[kept - 1] {
            sorted[kept] = sorted[i];
            kept += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_come_first() {
        for (mut list, kept) in [(vec![], 0), (vec![1], 1), (vec![1, 1, 1], 1), (vec![1, 1, 2, 3, 3, 4], 4)] {
            let mut expected = list.clone();
            expected.dedup();
            assert_eq!(distinct(&mut list), kept);
            assert_eq!(list[..kept], expected);
        }
    }
}
