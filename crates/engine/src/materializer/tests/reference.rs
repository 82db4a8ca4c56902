//! The plain reference: the same semantics, computed from the whole history by definition at each step, with none of
//! the materializer's code. Slow, and easy to believe.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::results::GroupResult;

const SIZE: i64 = 3_000;
const GRACE: i64 = 1_000;
const IDLE: Duration = Duration::from_secs(10);

/// A batch as the reference sees it.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) readings: Vec<Reading>,
    pub(super) rejected: Vec<Rejection>,
}

/// An event, with batches in place of partials.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Batch { partition: u32, first: i64, batch: Batch },
    Other(Event),
}

impl Happening {
    /// The event that the materializer is told.
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Batch { partition, first, batch } => Event::Partial {
                partition: *partition,
                partial: Box::new(partial(*first, &batch.readings, &batch.rejected)),
                digest: 0,
            },
            Self::Other(event) => event.clone(),
        }
    }
}

/// One moment of history: what happened, and when.
type Moment = (Duration, Happening);

/// History, and what it has led to so far.
#[derive(Default)]
pub(super) struct Reference {
    history: Vec<Moment>,
    watermark: Option<i64>,
    counted: Vec<Reading>,
    late: u64,
    /// Which batches, by partition and window, and how many readings of each.
    late_batches: BTreeMap<(u32, i64), Vec<(SourceRange, u64)>>,
    closed: BTreeSet<i64>,
    waiting: BTreeSet<u32>,
}

impl Reference {
    /// What the materializer must answer.
    pub(super) fn step(&mut self, happening: &Happening) -> Vec<Effect> {
        let before = self.history.last().map_or(Duration::ZERO, |(now, _)| *now);
        let now = if let Happening::Other(Event::Tick { now }) = happening { *now } else { before };
        if let Happening::Batch { partition, first, batch } = happening {
            let closed = |reading: &Reading| self.watermark.is_some_and(|w| w >= window_end(reading.time) + GRACE);
            let (late, counted): (Vec<Reading>, Vec<Reading>) = batch.readings.iter().partition(|r| closed(r));
            self.late += late.len() as u64;
            for end in late.iter().map(|reading| window_end(reading.time)).collect::<BTreeSet<_>>() {
                let readings = late.iter().filter(|reading| window_end(reading.time) == end).count() as u64;
                let source = SourceRange { first: *first, next: first + batch.len() };
                self.late_batches.entry((*partition, end / SIZE - 1)).or_default().push((source, readings));
            }
            self.counted.extend(counted);
        }
        self.history.push((now, happening.clone()));
        let mut effects = self.close(now);
        effects.extend(self.flow(now));
        effects
    }

    fn close(&mut self, now: Duration) -> Vec<Effect> {
        if !self.history.iter().any(|(_, h)| matches!(h, Happening::Other(Event::Listed))) {
            return vec![];
        }
        let holders: Vec<u32> = self.partitions().into_iter().filter(|p| self.holds(*p, now)).collect();
        let by = if holders.is_empty() { ClosedBy::Idle } else { ClosedBy::Watermark };
        let ends: BTreeSet<i64> = self.counted.iter().map(|r| window_end(r.time)).collect();
        let last_close = ends.difference(&self.closed).max().map(|end| end + GRACE);
        let goes_on = || self.newest_of_all().map(|(newest, came)| newest + (now - came).as_millis() as i64);
        let reached = match holders.iter().map(|p| self.newest(*p)).min() {
            Some(least) => least,
            // As long as readings come, no further than something is open.
            None if self.readings_come(now) => goes_on().min(last_close),
            None => goes_on(),
        };
        self.watermark = self.watermark.max(reached);
        let due = |end: &i64| !self.closed.contains(end) && self.watermark.is_some_and(|w| w >= end + GRACE);
        let due: Vec<i64> = ends.into_iter().filter(due).collect();
        self.closed.extend(&due);
        if due.is_empty() {
            return vec![];
        }
        let windows = due.into_iter().map(|end| self.window(end, by)).collect();
        vec![Effect::Close { windows, totals: Box::new(self.totals()) }]
    }

    fn flow(&mut self, now: Duration) -> Vec<Effect> {
        let first = self.partitions().into_iter().filter_map(|p| self.batches(p).iter().find_map(newest_in)).min();
        let place = |p: u32| self.newest(p).or(self.watermark).or(first);
        let slowest = self.partitions().into_iter().filter(|p| self.holds(*p, now)).filter_map(place).min();
        let far = |p: u32| self.newest(p).zip(slowest).is_some_and(|(own, least)| own - least > 10 * SIZE + GRACE);
        let backlog = |p: u32| self.position(p) < self.end(p);
        let stuck = self.partitions().into_iter().any(|p| !self.attached(p));
        let mut effects = vec![];
        for partition in self.partitions() {
            let (wait, waits) = (
                self.attached(partition) && far(partition) && (stuck || backlog(partition)),
                self.waiting.contains(&partition),
            );
            if wait && !waits {
                effects.push(Effect::Pause { partition });
            } else if waits && !wait {
                effects.push(Effect::Resume { partition });
            }
        }
        for effect in &effects {
            match effect {
                Effect::Pause { partition } => drop(self.waiting.insert(*partition)),
                Effect::Resume { partition } => drop(self.waiting.remove(partition)),
                _ => {}
            }
        }
        effects
    }

    fn partitions(&self) -> BTreeSet<u32> {
        let found = |(_, h): &Moment| match h {
            Happening::Other(Event::Found { partition }) => Some(*partition),
            _ => None,
        };
        self.history.iter().filter_map(found).collect()
    }

    fn batches(&self, partition: u32) -> Vec<(Duration, i64, Batch)> {
        let of = |(now, h): &Moment| match h {
            Happening::Batch { partition: p, first, batch } if *p == partition => Some((*now, *first, batch.clone())),
            _ => None,
        };
        self.history.iter().filter_map(of).collect()
    }

    fn newest(&self, partition: u32) -> Option<i64> {
        self.batches(partition).iter().filter_map(newest_in).max()
    }

    /// Whether an accepted reading of any partition came within `idle`.
    fn readings_come(&self, now: Duration) -> bool {
        let mut batches = self.partitions().into_iter().flat_map(|p| self.batches(p));
        batches.any(|batch| newest_in(&batch).is_some() && now - batch.0 < IDLE)
    }

    /// The greatest event time, and when it first came.
    fn newest_of_all(&self) -> Option<(i64, Duration)> {
        let batches = self.partitions().into_iter().flat_map(|p| self.batches(p));
        let times = batches.filter_map(|batch| Some((newest_in(&batch)?, batch.0)));
        times.max_by_key(|(time, came)| (*time, std::cmp::Reverse(*came)))
    }

    fn attached(&self, partition: u32) -> bool {
        let last = self.history.iter().rev().find_map(|(_, h)| match h {
            Happening::Other(Event::Attached { partition: p, .. }) if *p == partition => Some(true),
            Happening::Other(Event::Detached { partition: p }) if *p == partition => Some(false),
            _ => None,
        });
        last == Some(true)
    }

    fn position(&self, partition: u32) -> i64 {
        self.position_by(partition, self.history.len())
    }

    /// After the first `moments` moments. Partitions are read from 0 on in these tests.
    fn position_by(&self, partition: u32, moments: usize) -> i64 {
        let of = |(_, h): &Moment| match h {
            Happening::Batch { partition: p, batch, .. } if *p == partition => batch.len(),
            _ => 0,
        };
        self.history[..moments].iter().map(of).sum()
    }

    fn end(&self, partition: u32) -> i64 {
        self.end_by(partition, self.history.len())
    }

    fn end_by(&self, partition: u32, moments: usize) -> i64 {
        let said = self.history[..moments].iter().filter_map(|(_, h)| match h {
            Happening::Other(Event::Attached { partition: p, end, .. } | Event::End { partition: p, end })
                if *p == partition =>
            {
                Some(*end)
            }
            _ => None,
        });
        said.max().unwrap_or(0).max(self.position_by(partition, moments))
    }

    fn holds(&self, partition: u32, now: Duration) -> bool {
        if !self.attached(partition) || self.position(partition) < self.end(partition) {
            return true;
        }
        let of_its_end = |(_, h): &&Moment| match h {
            Happening::Other(Event::Attached { partition: p, .. } | Event::End { partition: p, .. }) => *p == partition,
            _ => false,
        };
        if self.history.iter().rev().find(of_its_end).is_some_and(|(heard, _)| now - *heard > IDLE / 2) {
            return true;
        }
        let heard: Vec<&Moment> = self.history.iter().filter(of_its_end).collect();
        let anew = |at: &usize| {
            matches!(heard[*at].1, Happening::Other(Event::Attached { .. }))
                || heard[*at].0 - heard[at - 1].0 > IDLE / 2
        };
        let known_since = (0..heard.len()).rev().find(anew).map(|at| heard[at].0);
        let attached = self
            .history
            .iter()
            .position(|(_, h)| matches!(h, Happening::Other(Event::Attached { partition: p, .. }) if *p == partition));
        let read = |moments: &usize| self.position_by(partition, *moments) >= self.end_by(partition, *moments);
        let caught_up = (attached.unwrap_or(0) + 1..=self.history.len()).find(read).map(|n| self.history[n - 1].0);
        let batches = self.batches(partition);
        let before = |at: usize| batches[..at].iter().filter_map(newest_in).max();
        let last = (0..batches.len()).rev().find(|at| newest_in(&batches[*at]) > before(*at)).map(|at| batches[at].0);
        now - caught_up.max(last).max(known_since).unwrap_or(now) < IDLE
    }

    fn window(&self, end: i64, closed_by: ClosedBy) -> WindowResult {
        let inside: Vec<Reading> = self.counted.iter().filter(|r| window_end(r.time) == end).copied().collect();
        let read = |p: &u32| {
            self.history
                .iter()
                .any(|(_, h)| matches!(h, Happening::Other(Event::Attached { partition, .. }) if partition == p))
        };
        WindowResult {
            start: end - SIZE,
            end,
            closed_by,
            messages: inside.len() as u64,
            sensors: sensors(&inside),
            groups: groups(&inside),
            positions: self.partitions().into_iter().filter(read).map(|p| (p, self.position(p))).collect(),
        }
    }

    /// Where late readings stand: by partition and window, the ranges of their batches, joined where adjacent.
    pub(super) fn late_ranges(&self) -> BTreeMap<(u32, i64), Vec<(SourceRange, u64)>> {
        self.late_batches.iter().map(|(key, batches)| (*key, joined(batches))).collect()
    }

    pub(super) fn totals(&self) -> Totals {
        let (mut messages, mut rejected) = (0, RejectedCounts::default());
        for (_, _, batch) in self.partitions().into_iter().flat_map(|p| self.batches(p)) {
            messages += batch.len() as u64;
            batch.rejected.iter().for_each(|reason| rejected.count(*reason));
        }
        Totals {
            messages,
            counted: self.counted.len() as u64,
            late: self.late,
            rejected,
            sensors: sensors(&self.counted),
            groups: groups(&self.counted),
        }
    }
}

/// Joins adjacent ranges.
fn joined(batches: &[(SourceRange, u64)]) -> Vec<(SourceRange, u64)> {
    let apart = |at: &usize| batches[at - 1].0.next != batches[*at].0.first;
    let cuts = (1..batches.len()).filter(apart);
    let bounds: Vec<usize> = std::iter::once(0).chain(cuts).chain([batches.len()]).collect();
    let join = |run: &[(SourceRange, u64)]| {
        let source = SourceRange { first: run[0].0.first, next: run[run.len() - 1].0.next };
        (source, run.iter().map(|(_, readings)| readings).sum())
    };
    bounds.windows(2).map(|cut| join(&batches[cut[0]..cut[1]])).collect()
}

impl Batch {
    pub(super) fn len(&self) -> i64 {
        (self.readings.len() + self.rejected.len()) as i64
    }
}

fn newest_in(batch: &(Duration, i64, Batch)) -> Option<i64> {
    batch.2.readings.iter().map(|r| r.time).max()
}

fn window_end(time: i64) -> i64 {
    (time as f64 / SIZE as f64).floor() as i64 * SIZE + SIZE
}

fn sensors(readings: &[Reading]) -> u64 {
    readings.iter().map(|r| r.sensor).collect::<BTreeSet<_>>().len() as u64
}

pub(super) fn groups(readings: &[Reading]) -> Vec<GroupResult> {
    let mut by_name = BTreeMap::<&str, Vec<Reading>>::new();
    readings.iter().for_each(|r| by_name.entry(r.group).or_default().push(*r));
    let result = |(group, readings): (&str, Vec<Reading>)| {
        let values: Vec<i64> = readings.iter().map(|r| r.micros).collect();
        let (sum, count) = (values.iter().map(|v| i128::from(*v)).sum::<i128>(), values.len() as i128);
        GroupResult {
            group: group.to_owned(),
            messages: values.len() as u64,
            sensors: sensors(&readings),
            sum,
            avg: Fixed::from_micros(half_even(sum, count)),
            min: Fixed::from_micros(*values.iter().min().expect("a reading")),
            max: Fixed::from_micros(*values.iter().max().expect("a reading")),
        }
    };
    by_name.into_iter().map(result).collect()
}

/// Of the integers around `sum / count` the nearer, of two as near the even one.
fn half_even(sum: i128, count: i128) -> i64 {
    let below = (0..=1).map(|step| sum / count - step).find(|q| q * count <= sum).expect("one is below");
    let off = |q: &i128| (q * count - sum).abs();
    let nearest = [below, below + 1].into_iter().min_by_key(|q| (off(q), q.rem_euclid(2)));
    nearest.expect("two candidates") as i64
}
