//! The cells of a batch while its records are read.

use std::collections::BTreeMap;
use std::ops::Range;

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
    /// The cells in their final order, and in this order the sensors of each.
    order: Vec<u32>,
    sensors: Vec<SensorHash>,
}

/// 64 bytes: a batch in which every reading has a cell of its own needs most of its memory for cells.
#[derive(Debug, Clone)]
struct BuiltCell {
    window: Window,
    group: u32,
    /// Once sorted: where its sensors end. They begin where those of the previous cell end.
    sensors_end: u32,
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
            None => self.cells.push(BuiltCell { window, group, sensors_end: 0, stats: Stats::of(value) }),
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
        order.clear();
        order.extend(0..cells.len() as u32);
        order.sort_unstable_by_key(|place| {
            let cell = cells.get(*place as usize)?;
            Some((cell.window, group_index.get(cell.group as usize)))
        });
        // Each cell has as many sensors as readings at first: after them those of the next cell begin.
        let mut begin = 0;
        for place in order.iter() {
            if let Some(cell) = cells.get_mut(*place as usize) {
                cell.sensors_end = begin;
                begin += cell.stats.count as u32;
            }
        }
        sensors.clear();
        sensors.resize(sensor_of.len(), 0);
        for (place, sensor) in cell_of.iter().zip(sensor_of.iter()) {
            if let Some(cell) = cells.get_mut(*place as usize)
                && let Some(slot) = sensors.get_mut(cell.sensors_end as usize)
            {
                *slot = *sensor;
                cell.sensors_end += 1;
            }
        }
        // Then the distinct ones move to the front.
        let (mut begin, mut kept) = (0, 0);
        for place in order.iter() {
            if let Some(cell) = cells.get_mut(*place as usize) {
                let end = cell.sensors_end as usize;
                kept = keep_distinct(sensors, begin..end, kept);
                (begin, cell.sensors_end) = (end, kept as u32);
            }
        }
    }

    /// Collects the groups that have cells, ascending by name. Cost: linear in the groups and cells, and for any groups also
    /// sorting their names.
    fn sort_groups(&mut self, known: &KnownGroups) {
        const USED: u32 = 1;
        let Self { cells, names, groups, group_index, .. } = self;
        group_index.clear();
        group_index.resize(cells.iter().map(|cell| cell.group as usize + 1).max().unwrap_or_default(), 0);
        for cell in cells.iter() {
            if let Some(index) = group_index.get_mut(cell.group as usize) {
                *index = USED;
            }
        }
        groups.clear();
        groups.reserve_exact(group_index.iter().filter(|used| **used == USED).count());
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
        let cells = self.order.iter().filter_map(|place| self.cells.get(*place as usize));
        cells.scan(0, |begin, cell| {
            let end = cell.sensors_end as usize;
            let sensors = self.sensors.get(std::mem::replace(begin, end)..end).unwrap_or_default();
            let group_index = self.group_index.get(cell.group as usize).copied().unwrap_or_default() as usize;
            let group = self.name(cell.group, known);
            Some(CellView { window: cell.window, group, group_index, stats: &cell.stats, sensors })
        })
    }
}

/// Sorts a range, and moves its distinct values to `kept`, at or before the range's start. Returns where they end.
fn keep_distinct(sensors: &mut [SensorHash], range: Range<usize>, mut kept: usize) -> usize {
    if let Some(range) = sensors.get_mut(range.clone()) {
        range.sort_unstable();
    }
    let mut last = None;
    for i in range {
        let sensor = sensors.get(i).copied();
        if sensor != last
            && let (Some(slot), Some(sensor)) = (sensors.get_mut(kept), sensor)
        {
            *slot = sensor;
            kept += 1;
        }
        last = sensor;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_move_to_the_front() {
        for list in [vec![], vec![1], vec![1, 1, 1], vec![4, 1, 3, 1, 2, 3]] {
            let mut expected = list.clone();
            expected.sort_unstable();
            expected.dedup();
            for kept in 0..3 {
                let mut sensors = [vec![1, 4, 9], list.clone()].concat();
                let end = keep_distinct(&mut sensors, 3..3 + list.len(), kept);
                assert_eq!(sensors[kept..end], expected);
                assert_eq!(sensors[..kept], [1, 4, 9][..kept]);
            }
        }
    }

    #[test]
    fn a_cell_is_small() {
        assert_eq!(size_of::<BuiltCell>(), 64);
    }
}
