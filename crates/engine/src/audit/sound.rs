//! What numbers of a store must say whatever is left of the log: against each other, and against a part that can still be
//! counted. So too much is found as too little is. (What the log gives wholly is compared with it, and needs none of this.)

use std::collections::BTreeMap;

use isotherm_model::fixed;
use isotherm_model::stats::Stats;

use super::count::{Counted, readings, side_by_side};
use super::findings::{Findings, micros};
use crate::results::{GroupResult, WindowResult};

/// The numbers of a window, or of the run: each group by itself, and all of them together.
pub(super) fn groups(what: &str, messages: u64, sensors: u64, groups: &[GroupResult], findings: &mut Findings) {
    let (mut sum, mut all, mut most) = (0_u64, 0_u64, 0);
    for group in groups {
        sum = sum.saturating_add(group.messages);
        all = all.saturating_add(group.sensors);
        most = group.sensors.max(most);
        one(what, group, findings);
    }
    if messages != sum {
        findings.differ(format!("{what}: messages"), messages, format!("{sum}, which its groups add up to"));
    }
    if sensors < most || sensors > all {
        findings.differ(format!("{what}: sensors"), sensors, format!("{most} to {all}, by its groups"));
    }
    if !groups.is_sorted_by(|a, b| a.group < b.group) {
        findings.differ(format!("{what}: groups"), "out of order, or one twice", "ascending by name");
    }
}

fn one(what: &str, group: &GroupResult, findings: &mut Findings) {
    let GroupResult { group: name, messages, sensors, sum, avg, min, max } = group;
    let name = |number: &str| format!("{what}: group {name}: {number}");
    if *messages == 0 {
        findings.differ(name("messages"), messages, "at least 1");
    }
    if sensors > messages || *sensors == 0 {
        findings.differ(name("sensors"), sensors, format!("1 to {messages}, as many as readings"));
    }
    let (low, high) = (times(*messages, min.micros()), times(*messages, max.micros()));
    if *sum < low || *sum > high {
        let by = format!("{} to {}, by least and greatest value", micros(low), micros(high));
        findings.differ(name("sum"), micros(*sum), by);
    }
    if fixed::average(*sum, *messages).is_some_and(|by_sum| by_sum != *avg) {
        findings.differ(
            name("avg"),
            avg,
            format!("{}, by sum and messages", fixed::average(*sum, *messages).unwrap_or_default()),
        );
    }
}

fn times(count: u64, micros: i64) -> i128 {
    i128::from(count).saturating_mul(i128::from(micros))
}

/// A group of which a part can still be counted (or nothing): the rest must be readings of its values.
pub(super) fn part(what: &str, stored: &GroupResult, counted: Option<&GroupResult>, findings: &mut Findings) {
    let name = |number: &str| format!("{what}: group {}: {number}", stored.group);
    let (messages, sensors, sum) = counted.map_or((0, 0, 0), |c| (c.messages, c.sensors, c.sum));
    let rest = stored.messages.saturating_sub(messages);
    findings.within(name("messages"), stored.messages, messages, rest);
    findings.within(name("sensors"), stored.sensors, sensors, rest);
    let (new_min, new_max) = match counted {
        Some(counted) => {
            if stored.min > counted.min {
                findings.differ(name("min"), stored.min, format!("at most {}", counted.min));
            }
            if stored.max < counted.max {
                findings.differ(name("max"), stored.max, format!("at least {}", counted.max));
            }
            (stored.min < counted.min, stored.max > counted.max)
        }
        None => (true, true),
    };
    // A least or greatest value that was not counted again is that of a reading among the rest.
    let (min, max) = (stored.min.micros(), stored.max.micros());
    let (fixed, known) = match (new_min, new_max) {
        (true, true) if min == max => (i128::from(min), 1),
        (true, true) => (i128::from(min).saturating_add(i128::from(max)), 2),
        (true, false) => (i128::from(min), 1),
        (false, true) => (i128::from(max), 1),
        (false, false) => (0, 0),
    };
    let Some(free) = rest.checked_sub(known) else {
        let most = messages.saturating_add(known);
        findings.differ(name("messages"), stored.messages, format!("at least {most}, by least and greatest value"));
        return;
    };
    let base = sum.saturating_add(fixed);
    let (low, high) = (base.saturating_add(times(free, min)), base.saturating_add(times(free, max)));
    if stored.sum < low || stored.sum > high {
        findings.differ(name("sum"), micros(stored.sum), format!("{} to {}", micros(low), micros(high)));
    }
}

/// Statistics by group, without sensors.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums(BTreeMap<Box<str>, Stats>);

impl Sums {
    pub(super) fn add(&mut self, group: &str, stats: &Stats) {
        match self.0.get_mut(group) {
            Some(own) => own.merge(stats),
            None => drop(self.0.insert(group.into(), *stats)),
        }
    }

    /// Adds the groups of a closed window.
    pub(super) fn add_window(&mut self, window: &WindowResult) {
        for GroupResult { group, messages: count, sum, min, max, .. } in &window.groups {
            self.add(group, &Stats { count: *count, sum: *sum, min: *min, max: *max });
        }
    }

    /// Adds what was counted of a window.
    pub(super) fn add_counted(&mut self, counted: &Counted) {
        counted.stats().for_each(|(group, stats)| self.add(group, stats));
    }

    /// Adds what others add up to.
    pub(super) fn add_sums(&mut self, other: &Self) {
        other.0.iter().for_each(|(group, stats)| self.add(group, stats));
    }

    fn results(&self) -> Vec<GroupResult> {
        let result = |group: &str, stats: &Stats| GroupResult {
            group: group.to_owned(),
            messages: stats.count,
            sensors: 0,
            sum: stats.sum,
            avg: stats.average(),
            min: stats.min,
            max: stats.max,
        };
        self.0.iter().map(|(group, stats)| result(group, stats)).collect()
    }

    /// Compares the run's groups with what windows add up to. So many readings may stand in none of them.
    pub(super) fn compare(&self, totals: &[GroupResult], in_none: u64, findings: &mut Findings) {
        let what = "totals against windows";
        let (parts, mut rest) = (self.results(), 0_u64);
        for (stored, parts) in side_by_side(totals, &parts) {
            match (stored, parts) {
                (None, Some(parts)) => {
                    findings.differ(format!("{what}: group {}", parts.group), "none", readings(parts));
                }
                (Some(stored), parts) => {
                    let counted = parts.map_or(0, |parts| parts.messages);
                    rest = rest.saturating_add(stored.messages.saturating_sub(counted));
                    let plain = GroupResult { sensors: 0, ..stored.clone() };
                    if parts != Some(&plain) {
                        part(what, &plain, parts, findings);
                    }
                }
                (None, None) => {}
            }
        }
        if rest > in_none {
            findings.differ(format!("{what}: readings in no window"), rest, at_most(in_none));
        }
    }
}

pub(super) fn at_most(number: u64) -> String {
    if number == 0 { "0".to_owned() } else { format!("at most {number}") }
}
