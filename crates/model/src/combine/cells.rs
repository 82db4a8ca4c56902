//! The cells of a batch while its records are read.

use std::collections::BTreeMap;

use super::names::GroupNames;
use crate::fixed::Fixed;
use crate::partial::CellView;
use crate::scan::KnownGroups;
use crate::stats::{SensorHash, Stats};
use crate::window::Window;

/// Slots for recently used cells (a power of two): sixteen windows of sixty-four groups without a collision.
const RECENT: usize = 1_024;

/// The cells of one batch. A small table finds most cells; a sorted map behind it bounds the cost for any choice of windows
/// and groups, however hostile, by its logarithm.
#[derive(Debug, Clone)]
pub(super) struct CellBuilder {
    cells: Vec<BuiltCell>,
    places: BTreeMap<(Window, u32), u32>,
    recent: Box<[Recent; RECENT]>,
    /// For each reading in its order, its cell and its sensor.
    cell_of: Vec<u32>,
    sensor_of: Vec<SensorHash>,
    names: GroupNames,
    /// The groups that have cells, ascending by name, and for each group its position among them.
    groups: Vec<u32>,
    group_index: Vec<u32>,
    /// The cells in their final order; their sensors are contiguous in this order.
    order: Vec<u32>,
    sensors: Vec<SensorHash>,
}

#[derive(Debug, Clone)]
struct BuiltCell {
    window: Window,
    group: u32,
    /// Once sorted: the position of its group, and the range of its sensors.
    group_index: u32,
    begin: u32,
    len: u32,
    stats: Stats,
}

/// A recently used cell; `cell` is its place + 1, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Recent {
    window: Window,
    group: u32,
    cell: u32,
}

impl Default for CellBuilder {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            places: BTreeMap::new(),
            recent: Box::new([Recent::default(); RECENT]),
            cell_of: Vec::new(),
            sensor_of: Vec::new(),
            names: GroupNames::default(),
            groups: Vec::new(),
            group_index: Vec::new(),
            order: Vec::new(),
            sensors: Vec::new(),
        }
    }
}

impl CellBuilder {
    /// Forgets the batch and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.places.clear();
        self.recent.fill(Recent::default());
        self.cell_of.clear();
        self.sensor_of.clear();
        self.names.trim();
    }

    /// Counts a reading. `place` is its group's position among known groups; `None` where any group is known.
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

    /// Counts the value in its cell, and returns the cell's place.
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

    /// The same for a cell that is not in the table of recent ones.
    #[inline(never)]
    fn cell_elsewhere(&mut self, slot: usize, window: Window, group: u32, value: Fixed) -> u32 {
        let next = self.cells.len() as u32;
        let place = *self.places.entry((window, group)).or_insert(next);
        match self.cells.get_mut(place as usize) {
            Some(cell) => cell.stats.push(value),
            None => {
                self.cells.push(BuiltCell { window, group, group_index: 0, begin: 0, len: 0, stats: Stats::of(value) })
            }
        }
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = Recent { window, group, cell: place + 1 };
        }
        place
    }

    /// Sorts the groups, the cells, and the sensors of each cell.
    pub(super) fn sort(&mut self, known: &KnownGroups) {
        self.sort_groups(known);
        let Self { cells, cell_of, sensor_of, group_index, order, sensors, .. } = self;
        for cell in cells.iter_mut() {
            cell.group_index = group_index.get(cell.group as usize).copied().unwrap_or_default();
        }
        order.clear();
        order.extend(0..cells.len() as u32);
        order.sort_unstable_by_key(|place| cells.get(*place as usize).map(|cell| (cell.window, cell.group_index)));
        // Each cell has as many readings as it counted: after them the sensors of the next cell begin.
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

    /// Collects the groups that have cells, ascending by name. Cost: linear in the groups and cells, and for any groups also
    /// sorting their names.
    fn sort_groups(&mut self, known: &KnownGroups) {
        const USED: u32 = 1;
        let Self { cells, names, groups, group_index, .. } = self;
        group_index.clear();
        for cell in cells.iter() {
            let group = cell.group as usize;
            if group >= group_index.len() {
                group_index.resize(group + 1, 0);
            }
            if let Some(index) = group_index.get_mut(group) {
                *index = USED;
            }
        }
        groups.clear();
        groups.extend((0_u32..).zip(group_index.iter()).filter(|(_, used)| **used == USED).map(|(group, _)| group));
        // Places of known groups already ascend as their names do.
        if matches!(known, KnownGroups::Any) {
            groups.sort_unstable_by_key(|group| names.name(*group));
        }
        for (index, group) in (0..).zip(groups.iter()) {
            if let Some(slot) = group_index.get_mut(*group as usize) {
                *slot = index;
            }
        }
    }

    /// The name of a group.
    fn name<'a>(&'a self, group: u32, known: &'a KnownGroups) -> &'a str {
        known.name(group as usize).unwrap_or_else(|| self.names.name(group))
    }

    /// The names of the groups that have cells, ascending, after [`CellBuilder::sort`].
    pub(super) fn groups<'a>(&'a self, known: &'a KnownGroups) -> impl ExactSizeIterator<Item = &'a str> {
        self.groups.iter().map(|group| self.name(*group, known))
    }

    /// The cells, ascending by window and group, after [`CellBuilder::sort`].
    pub(super) fn cells<'a>(&'a self, known: &'a KnownGroups) -> impl Iterator<Item = CellView<'a>> + Clone + use<'a> {
        self.order.iter().filter_map(|place| self.cells.get(*place as usize)).map(|cell| CellView {
            window: cell.window,
            group: self.name(cell.group, known),
            group_index: cell.group_index as usize,
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
