//! What the log's retention cuts: batches at the beginning of a partition go, a run that needs them is refused or goes on
//! over the gap, and the reference knows what no window can hold any more.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use isotherm_model::partial::SourceRange;
use isotherm_model::window::Millis;

use super::life::{End, Life};
use super::reference::{Closed, in_time};
use super::world::World;
use crate::materializer::event::Event;
use crate::materializer::fault::Fault;
use crate::materializer::ledger::{Account, Gap};
use crate::store::PartitionState;
use crate::store::sqlite::{StoreReader, Windows};

/// What became of a batch that was cut, or merged before something was.
#[derive(Debug, Clone, Default)]
pub(super) struct Fate {
    /// It was never read.
    pub(super) unread: bool,
    /// Which of its readings were in time when it was merged: with what was lost the store no longer tells.
    pub(super) in_time: Option<Vec<bool>>,
    /// Windows that ended later than this were open when it was lost; those of all times if it is `None`.
    pub(super) lost: Option<Option<Millis>>,
}

impl Fate {
    /// Whether a window that ends then holds what the batch had for it.
    pub(super) fn is_kept(&self, end: Millis) -> bool {
        self.lost.is_none_or(|until| until.is_some_and(|until| end <= until))
    }
}

/// A gap that a run has accepted, and may not have committed.
#[derive(Debug)]
pub(super) struct Accepted {
    partition: usize,
    gap: Gap,
    /// What becomes of the partition's batches, from the first on.
    fates: Vec<Fate>,
}

impl World<'_> {
    /// Retention removes the oldest batches of a partition.
    pub(super) fn cut(&mut self) {
        let partition = self.random.below(self.log.partitions.len());
        let more = 1 + self.random.below(3);
        let place = &mut self.log.partitions[partition];
        place.cut = place.shown.min(place.cut + more);
        let start = place.start();
        self.note(format!("p{partition} is cut, and begins at {start}"));
    }

    /// A reader finds that what comes next has been cut: its run ends, in good order.
    pub(super) fn evicted(&mut self, life: &mut Life, partition: usize) -> Result<(), End> {
        self.note(format!("p{partition} has been cut before it was read"));
        self.tally.cut.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.random.in_thousand(500) {
            self.commit(life)?;
        }
        Err(End::Failed)
    }

    /// The log begins behind the place where the run is to go on: it is refused, or goes on over the gap. Where, then.
    pub(super) fn behind(&mut self, life: &mut Life, partition: usize) -> Result<i64, End> {
        let (start, end) = (self.log.partitions[partition].start(), self.log.partitions[partition].end());
        if life.lines[partition].saved.is_some_and(|saved| start <= saved.refill) {
            self.note(format!("p{partition} lacks nothing but what it was to be known by"));
            self.tally.unneeded.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            return Ok(start);
        }
        if life.accepts_gaps {
            self.accept(life, partition);
            return Ok(start);
        }
        // The source says so; and if it does not, the materializer.
        if self.random.in_thousand(500) {
            let before = format!("{:?}", life.materializer.commit(&[]));
            let attached = Event::Attached { partition: partition as u32, position: start, end };
            let fault = self.take(life, attached)?.expect_err("a gap is refused");
            assert!(matches!(fault, Fault::Behind { .. }), "a gap is refused with {fault:?}");
            assert_eq!(before, format!("{:?}", life.materializer.commit(&[])), "a refused gap changes nothing");
        }
        self.evicted(life, partition).map(|()| start)
    }

    /// Takes note of what a gap does, before anything else happens.
    fn accept(&mut self, life: &Life, partition: usize) {
        let saved = life.lines[partition].saved.expect("a place to go on from");
        let log = &self.log.partitions[partition];
        let start = log.start();
        let unread = u64::try_from(start - saved.merged).unwrap_or(0);
        let gap = Gap { range: SourceRange { first: saved.resume(), next: start }, unread };
        let before = log.gaps.last().map_or(i64::MIN, |gap| gap.range.next);
        assert!(start > before, "p{partition} begins at {start}, and the gap up to {before} was accepted before");
        let (closed, until) = self.closed();
        let fate = |(index, batch): (usize, &super::log::Batch)| {
            let mut fate = batch.fate.clone();
            if batch.first >= saved.merged {
                fate.unread |= index < log.cut;
                return fate;
            }
            if fate.in_time.is_none() && !fate.unread {
                let in_time = |reading| in_time(&self.log, &closed, until, partition as u32, batch, reading);
                fate.in_time = Some(batch.readings.iter().map(in_time).collect());
            }
            if index < log.cut && fate.lost.is_none() {
                fate.lost = Some(until);
            }
            fate
        };
        let fates = log.batches.iter().enumerate().map(fate).collect();
        self.note(format!("p{partition} goes on over a gap: {gap:?}"));
        self.accepted.push(Accepted { partition, gap, fates });
    }

    /// The windows that the store has now, and until when all are closed.
    fn closed(&self) -> (Closed, Option<Millis>) {
        let mut reader = StoreReader::open(&self.folder.path()).expect("the store opens to be read");
        let snapshot = reader.snapshot().expect("the store can be read");
        let mut closed = Closed::new();
        let each = |window: crate::results::WindowResult| {
            closed.insert(window.start, window.merged.into_iter().collect());
            ControlFlow::Continue(())
        };
        snapshot.windows(Windows::All, each).expect("windows can be read");
        (closed, snapshot.topic().closed_until)
    }

    /// A gap that was committed is behind every later run: it is neither refused nor entered again.
    pub(super) fn assert_behind_gaps(&self, states: &BTreeMap<u32, PartitionState>) {
        for (partition, state) in states {
            let gap = self.log.partitions[*partition as usize].gaps.last();
            let passed = gap.is_none_or(|gap| state.resume() >= gap.range.next);
            assert!(passed, "partition {partition} is to go on at {}, before the end of {gap:?}", state.resume());
        }
    }

    /// Which of the gaps that were accepted have been committed: the others never were.
    pub(super) fn settle(&mut self, accounts: &BTreeMap<u32, Account>) {
        for Accepted { partition, gap, fates } in std::mem::take(&mut self.accepted) {
            let known = &mut self.log.partitions[partition];
            let stored = accounts.get(&(partition as u32)).map_or(0, |account| account.gaps.len());
            if stored > known.gaps.len() {
                known.gaps.push(gap);
                known.batches.iter_mut().zip(fates).for_each(|(batch, fate)| batch.fate = fate);
                self.tally.gaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        for (partition, log) in (0..).zip(&self.log.partitions) {
            let stored = accounts.get(&partition).map_or(&[][..], |account| &account.gaps);
            assert_eq!(stored, log.gaps, "gaps of partition {partition}, stored and accepted");
        }
    }
}
