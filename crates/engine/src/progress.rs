//! How far the reading of a topic has come: a pure tally of events, for displays and logs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use isotherm_model::partial::PartitionId;

use crate::event::Event;

/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(5);

/// A tally of what was read.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    partitions: BTreeMap<PartitionId, Place>,
    listed: bool,
    caught_up: bool,
    /// When it was and how many records had been read by then, oldest first.
    samples: VecDeque<(Duration, u64)>,
    now: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    attached: bool,
    start: Option<i64>,
    position: i64,
    end: i64,
    /// The end when first attached: what is to be caught up with. `None` where nobody knows it yet.
    target: Option<i64>,
}

impl Place {
    /// What is to be caught up with, as far as known.
    fn until(&self) -> i64 {
        self.target.unwrap_or(self.end)
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Snapshot {
    /// Partitions of the topic.
    pub partitions: usize,
    /// Those that are being read at this moment.
    pub attached: usize,
    /// Those of which it is not known yet how much there is to read.
    pub unknown: usize,
    /// Whether everything that was there at the start has been read.
    pub caught_up: bool,
    /// Records read of those that were there at the start.
    pub read: u64,
    /// Records that were there at the start.
    pub of: u64,
    /// Records that are known and not read yet, new ones included.
    pub behind: u64,
    /// While open windows are restored: records read again, and how many must be.
    pub restoring: Option<(u64, u64)>,
    /// Records read each second, lately.
    pub rate: f64,
    /// Since the run began.
    pub now: Duration,
}

impl Snapshot {
    /// How long it takes to catch up at the present rate, if that can be said.
    pub fn left(&self) -> Option<Duration> {
        let missing = self.of.saturating_sub(self.read) as f64;
        (self.rate >= 1.0).then(|| Duration::from_secs_f64((missing / self.rate).min(1e9)))
    }

    /// The part that has been read, `0.0` to `1.0`.
    pub fn part(&self) -> f64 {
        if self.of == 0 { 1.0 } else { self.read as f64 / self.of as f64 }
    }
}

impl Progress {
    /// Takes note of an event. Cost: logarithmic in the partitions.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::Found { partition } => drop(self.partitions.entry(*partition).or_default()),
            Event::Listed => self.listed = true,
            Event::Attached { partition, position, end } => {
                let place = self.partitions.entry(*partition).or_default();
                place.attached = true;
                place.position = *position;
                place.end = end.unwrap_or(*position);
                if place.start.is_none() {
                    place.start = Some(*position);
                    place.target = *end;
                }
            }
            Event::Detached { partition } => self.place(*partition, |place| place.attached = false),
            Event::End { partition, end } => self.place(*partition, |place| {
                place.end = *end;
                place.target.get_or_insert(*end);
            }),
            Event::Partial { partition, partial, .. } => self.reached(*partition, partial.source.next),
            Event::OffsetGap { partition, next } => self.reached(*partition, *next),
            Event::Tick { now } => self.tick(*now),
            Event::Part { .. } | Event::Stop | Event::Finish | Event::Proceed => {}
        }
        if !self.caught_up {
            self.caught_up = self.listed
                && self.partitions.values().all(|place| place.target.is_some_and(|target| place.position >= target));
        }
    }

    /// Records that are known and not read yet. Cost: linear in the partitions.
    pub fn behind(&self) -> u64 {
        self.partitions.values().map(|place| span(Some(place.position), place.end)).sum()
    }

    /// How far it has come; `restoring` is what [`Materializer::restoring`](crate::materializer::Materializer::restoring) says. Cost:
    /// linear in the partitions.
    pub fn snapshot(&self, restoring: Option<(u64, u64)>) -> Snapshot {
        let places = self.partitions.values();
        Snapshot {
            partitions: self.partitions.len(),
            attached: places.clone().filter(|place| place.attached).count(),
            unknown: places.clone().filter(|place| place.target.is_none()).count(),
            caught_up: self.caught_up,
            read: places.clone().map(|place| span(place.start, place.position.min(place.until()))).sum(),
            of: places.clone().map(|place| span(place.start, place.until())).sum(),
            behind: self.behind(),
            restoring,
            rate: self.rate(),
            now: self.now,
        }
    }

    fn reached(&mut self, partition: PartitionId, next: i64) {
        self.place(partition, |place| {
            place.position = next;
            place.end = place.end.max(next);
        });
    }

    fn place(&mut self, partition: PartitionId, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.partitions.get_mut(&partition) {
            change(place);
        }
    }

    fn tick(&mut self, now: Duration) {
        self.now = now;
        let read = self.partitions.values().map(|place| span(place.start, place.position)).sum();
        self.samples.push_back((now, read));
        while self.samples.front().is_some_and(|(time, _)| now.saturating_sub(*time) > RATE_OVER) {
            self.samples.pop_front();
        }
    }

    fn rate(&self) -> f64 {
        match (self.samples.front(), self.samples.back()) {
            (Some((from, first)), Some((to, last))) if to > from => {
                last.saturating_sub(*first) as f64 / to.saturating_sub(*from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

fn span(from: Option<i64>, to: i64) -> u64 {
    from.and_then(|from| u64::try_from(to.saturating_sub(from)).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use isotherm_model::partial::{Aggregate, ModuleVersion, Partial, SourceRange};
    use isotherm_model::rejection::RejectedHash;
    use isotherm_model::settings::Fingerprint;

    use super::*;

    fn partial(partition: PartitionId, first: i64, next: i64) -> Event {
        let partial = Partial {
            version: ModuleVersion::CURRENT,
            fingerprint: Fingerprint(0),
            source: SourceRange { first, next },
            base_timestamp: None,
            rejected_hash: RejectedHash::NONE,
            aggregate: Aggregate::default(),
        };
        Event::Partial { partition, partial: Box::new(partial), digest: 0 }
    }

    #[test]
    fn catching_up_ends_when_what_was_there_at_the_start_is_read() {
        let mut progress = Progress::default();
        let mut tell = |events: &[Event]| {
            events.iter().for_each(|event| progress.observe(event));
            progress.snapshot(None)
        };
        let start = tell(&[
            Event::Found { partition: 0 },
            Event::Found { partition: 1 },
            Event::Listed,
            Event::Attached { partition: 0, position: 10, end: Some(110) },
        ]);
        assert!(!start.caught_up, "partition 1 is not known yet");
        assert_eq!((start.partitions, start.unknown), (2, 1));
        let start = tell(&[Event::Attached { partition: 1, position: 0, end: Some(0) }]);
        assert_eq!((start.read, start.of, start.attached, start.unknown), (0, 100, 2, 0));
        let half = tell(&[partial(0, 10, 60), Event::End { partition: 0, end: 200 }]);
        assert_eq!((half.read, half.of, half.behind, half.caught_up), (50, 100, 140, false));
        let done = tell(&[partial(0, 60, 150)]);
        assert_eq!((done.read, done.of, done.behind, done.caught_up), (100, 100, 50, true));
        let lost = tell(&[Event::Detached { partition: 0 }]);
        assert!(lost.caught_up && lost.attached == 1, "once is enough");
    }

    #[test]
    fn a_topic_without_partitions_has_been_read() {
        let mut progress = Progress::default();
        assert!(!progress.snapshot(None).caught_up, "it is not known yet which there are");
        progress.observe(&Event::Listed);
        let snapshot = progress.snapshot(None);
        assert_eq!((snapshot.caught_up, snapshot.partitions, snapshot.of, snapshot.unknown), (true, 0, 0, 0));
    }

    #[test]
    fn the_rate_is_taken_over_the_last_seconds() {
        let mut progress = Progress::default();
        progress.observe(&Event::Attached { partition: 0, position: 0, end: Some(10_000) });
        for second in 0..20 {
            progress.observe(&Event::Tick { now: Duration::from_secs(second) });
            let at = second as i64 * 100;
            progress.observe(&partial(0, at, at + 100));
        }
        let snapshot = progress.snapshot(None);
        assert!((snapshot.rate - 100.0).abs() < 1e-9, "{}", snapshot.rate);
        assert_eq!(snapshot.left(), Some(Duration::from_secs(80)));
    }
}
