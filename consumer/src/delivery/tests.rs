//! The worker against models: whatever happens at whatever point, each dead record is one letter in the end, or noted as
//! lost, and its batch is marked done once.

mod again;
mod model;
mod troubles;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::SourceRange;
use isotherm_model::settings::Settings;
use isotherm_store::{LostBatch, LostCause};
use proptest::prelude::*;

use self::model::{Handle, Item, Model, Point, TopicFault, copies, origin, padded};
use super::chunk::Bounds;
use super::letter::{Envelope, Letter, Origin};
use super::seam::Pending;
use super::worker::{DeadLetterWorker, Failure};
use super::writer::{OTHERS, TopicWriter};
use super::{Error, Outcome, letter, seam};
use crate::log::target::OutgoingRecord;
use crate::log::{BatchCombiner, LogError, OwnedBatch, OwnedRecord};

const SMALL: Bounds = Bounds { batches: 8, letters: 5, bytes: usize::MAX };

/// An outbox in memory, that outlives a worker.
#[derive(Default)]
struct State {
    dead: Vec<(u64, DeadBatch)>,
    lost: Vec<LostBatch>,
    done: Vec<u64>,
    /// How often it is still locked by another process.
    busy: u64,
}

#[derive(Clone)]
struct Outbox(Arc<Mutex<State>>, Handle);

impl Pending for Outbox {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error> {
        Ok(self.0.lock().unwrap().dead.iter().take(most as usize).cloned().collect())
    }

    fn mark_done(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error> {
        if self.1.fault(Point::MarkDone) != TopicFault::Nothing {
            return Err(isotherm_store::Error::from("it is not even begun"));
        }
        let mut outbox = self.0.lock().unwrap();
        if let Some(left) = outbox.busy.checked_sub(1) {
            outbox.busy = left;
            return Err(isotherm_store::Error::Busy {
                path: "run.db".into(),
                operation: isotherm_store::Operation::Outbox,
                holder: None,
            });
        }
        let done: Vec<u64> =
            outbox.dead.extract_if(.., |(number, _)| *number <= last).map(|(number, _)| number).collect();
        assert_eq!(done.last(), Some(&last), "marked done is what waits, and no more: {:?}", outbox.dead);
        outbox.done.extend(done);
        outbox.lost.extend(lost);
        drop(outbox);
        match self.1.fault(Point::MarkedDone) {
            TopicFault::Nothing => Ok(()),
            _ => Err(isotherm_store::Error::from("it is done, but nobody knows")),
        }
    }
}

fn reading(value: i32) -> Bytes {
    let start = r#"{"guid":"g","state":"AK","eventTime":"2026-11-22T10:00:00Z","payload":{"data":{"temperature":"#;
    format!("{start}{value}}}}}}}").into()
}

/// A log, a topic and an outbox.
struct World {
    model: Handle,
    outbox: Outbox,
    bounds: Bounds,
    outcome: Outcome,
}

impl World {
    /// Dead batches of so many records each, spread over two partitions; all of them are malformed, with one good one before.
    fn new(sizes: &[u64], bounds: Bounds) -> Self {
        let (mut model, mut outbox, mut next) = (Model::new(3), State::default(), [0, 100]);
        for (number, records) in (0..).zip(sizes) {
            let partition = (number % 2) as u32;
            let first = next[partition as usize];
            next[partition as usize] += *records as i64 + 1;
            let bad = (0..*records).map(|place| padded(format!("bad {number}/{place}"), 100));
            let record = |value: Bytes| OwnedRecord { timestamp: None, key: None, value };
            let records_of_batch: Vec<OwnedRecord> = [reading(1)].into_iter().chain(bad).map(record).collect();
            let range = SourceRange { first, next: next[partition as usize] };
            let batch = OwnedBatch { first, next: range.next, base_timestamp: None, records: records_of_batch };
            model.batches.insert((partition, first), batch);
            outbox
                .dead
                .push((number, DeadBatch { partition, range, digest: None, late: Vec::new(), records: *records }));
        }
        let model = Handle::new(model);
        let outbox = Outbox(Arc::new(Mutex::new(outbox)), model.clone());
        Self { model, outbox, bounds, outcome: Outcome::default() }
    }

    fn worker(&self) -> DeadLetterWorker<Handle, Outbox> {
        let writer = TopicWriter::new(Box::new(self.model.clone()), Envelope::new("sensors", "run"));
        let settings = Settings::default();
        DeadLetterWorker::new(
            self.outbox.clone(),
            self.model.clone(),
            writer,
            "sensors".to_owned(),
            &settings,
            self.bounds,
        )
    }

    /// This fault the worker at the `nth` of all points.
    fn harm(&self, nth: usize, harm: TopicFault) -> Arc<Mutex<Option<Point>>> {
        let (mut passed, hit) = (0, Arc::new(Mutex::new(None)));
        let told = hit.clone();
        self.model.get().faults = Box::new(move |point| {
            passed += 1;
            if passed != nth {
                return TopicFault::Nothing;
            }
            *told.lock().unwrap() = Some(point);
            harm
        });
        hit
    }

    /// This fault when the `nth` batch of letters is stored.
    fn harm_stored(&self, nth: usize, harm: TopicFault) {
        let mut stored = 0;
        self.model.get().faults = Box::new(move |point| {
            stored += usize::from(point == Point::Stored);
            if point == Point::Stored && stored == nth { harm } else { TopicFault::Nothing }
        });
    }

    /// Copies until the outbox is empty; a worker that dies, or ends with an error, is followed by another one. How many
    /// there were.
    fn copy(&mut self) -> usize {
        for workers in 1..100 {
            let mut worker = self.worker();
            loop {
                match once(worker.step()) {
                    Some(Ok(true) | Err(Failure::Passes(_))) => {}
                    Some(Ok(false)) => {
                        self.outcome = worker.outcome();
                        return workers;
                    }
                    None | Some(Err(Failure::Stays(Error::Store(_)))) => break,
                    Some(Err(failure)) => panic!("{failure:?}"),
                }
            }
        }
        panic!("it does not end");
    }

    /// Each dead record is one letter, or lost; each batch was marked done once.
    fn expect(&self, sizes: &[u64], what: &str) {
        let (model, outbox) = (self.model.get(), self.outbox.0.lock().unwrap());
        assert_eq!(outbox.done, (0..sizes.len() as u64).collect::<Vec<_>>(), "{what}");
        let copies = copies(&model);
        assert!(copies.values().all(|copies| *copies == 1), "{what}: {copies:?}");
        let mut lost = outbox.lost.iter().map(|lost| lost.records).sum::<u64>();
        for ((partition, first), batch) in &model.batches {
            for (record, offset) in batch.records.iter().zip(*first..).skip(1) {
                let from = Origin { partition: *partition, offset };
                if !copies.contains_key(&from) {
                    let covers = |lost: &&LostBatch| lost.partition == *partition && lost.range.first <= offset;
                    let covered = outbox.lost.iter().filter(covers).any(|lost| offset < lost.range.next);
                    assert!(covered, "{what}: {from:?} is neither copied nor lost, {:?}", outbox.lost);
                    lost -= 1;
                    continue;
                }
                let letter = model.letters().find(|(letter, _)| origin(letter) == from).unwrap().0;
                assert_eq!(letter.value, record.value, "{what}");
            }
        }
        assert_eq!(lost, 0, "{what}: lost is what is not copied, {:?}", outbox.lost);
        let all: u64 = sizes.iter().sum();
        assert_eq!(copies.len() as u64 + outbox.lost.iter().map(|lost| lost.records).sum::<u64>(), all, "{what}");
    }
}

/// What a future comes to; `None` if it stops, and is dropped there.
fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[test]
fn deaths_and_errors_at_each_point_double_and_lose_nothing() {
    let sizes = [2, 1, 4, 3, 1, 7, 2];
    let mut hit = BTreeMap::<String, usize>::new();
    for harm in [TopicFault::Stops, TopicFault::Fails] {
        for nth in 1.. {
            let mut world = World::new(&sizes, SMALL);
            let told = world.harm(nth, harm);
            let workers = world.copy();
            let Some(point) = *told.lock().unwrap() else { break };
            world.expect(&sizes, &format!("{harm:?} at {point:?}, number {nth} of all points"));
            let ends = harm == TopicFault::Stops || matches!(point, Point::MarkDone | Point::MarkedDone);
            assert_eq!(workers, 1 + usize::from(ends), "{harm:?} at {point:?}");
            *hit.entry(format!("{point:?}")).or_default() += 1;
        }
    }
    assert_eq!(hit.len(), 7, "each kind of point: {hit:?}");
}

#[test]
fn others_may_write_as_much_as_the_documents_say() {
    let sizes = [3, 2, 4];
    for harm in [TopicFault::Stops, TopicFault::Fails] {
        let mut world = World::new(&sizes, Bounds::default());
        // The last of three partitions: all letters have been sent.
        world.harm_stored(3, harm);
        let mut worker = world.worker();
        assert!(!matches!(once(worker.step()), Some(Ok(_))));
        drop(worker);
        let other = Envelope::new("sensors", "other").key(&Letter {
            origin: Origin { partition: 0, offset: 1 },
            reason: "late",
            window: None,
            value: Bytes::new(),
        });
        world
            .model
            .get()
            .partitions
            .iter_mut()
            .for_each(|partition| partition.push(Item::Others(OTHERS, other.clone().into_bytes())));
        world.copy();
        world.expect(&sizes, &format!("{harm:?}"));
    }
}

#[test]
fn no_more_of_the_tail_is_read_than_what_may_have_been_sent() {
    // As many batches as are taken at once: all of them together would be far more.
    let mut world = World::new(&[3; 256], Bounds { letters: 10, ..Bounds::default() });
    assert_eq!(world.copy(), 1);
    // Once, when it began: four batches make ten letters full.
    assert_eq!(world.model.get().tails, [12 + OTHERS; 3]);
    world.expect(&[3; 256], "copied");
}

#[test]
fn what_was_cut_is_marked_done_without_asking_for_each_batch() {
    let sizes = [3_u64; 400];
    let mut world = World::new(&sizes, Bounds { letters: 10, ..Bounds::default() });
    {
        let mut model = world.model.get();
        // Of partition 0 all but the last batch, of partition 1 the first hundred.
        model.starts = BTreeMap::from([(0, 199 * 4), (1, 100 + 100 * 4)]);
    }
    world.copy();
    world.expect(&sizes, "cut");
    assert_eq!(world.outcome, Outcome { copied: 3 + 300, lost: 3 * (199 + 100) });
    let fetched = world.model.get().fetched;
    // Each that is there once, each partition that was cut once.
    assert_eq!(fetched, 1 + 100 + 2);
}

#[test]
fn what_is_lost_in_its_middle_does_not_stretch_a_chunk_beyond_what_is_looked_for() {
    let sizes = [3, 3, 3];
    let mut world = World::new(&sizes, Bounds { letters: 6, ..Bounds::default() });
    // The second batch has been cut; the first step dies when all that it sends is stored.
    world.model.get().starts = BTreeMap::from([(1, 1_000)]);
    let probe = World::new(&sizes, world.bounds);
    probe.model.get().starts = BTreeMap::from([(1, 1_000)]);
    assert!(matches!(once(probe.worker().step()), Some(Ok(true))));
    let all = probe.model.get().partitions.iter().filter(|partition| !partition.is_empty()).count();
    world.harm_stored(all, TopicFault::Stops);
    assert!(once(world.worker().step()).is_none());
    assert_eq!(copies(&world.model.get()).len(), 3, "the lost one counts as if it were there: no third batch is sent");
    world.copy();
    world.expect(&sizes, "after a death");
}

#[test]
fn letters_that_were_sent_before_their_batch_was_cut_are_not_lost() {
    let sizes = [3, 2];
    let mut world = World::new(&sizes, SMALL);
    world.harm_stored(1, TopicFault::Stops);
    assert!(once(world.worker().step()).is_none());
    let before = world.model.get().letters().count() as u64;
    assert!(before > 0 && before < 5, "{before} of 5 letters");
    world.model.get().starts = BTreeMap::from([(0, 1_000), (1, 1_000)]);
    world.copy();
    world.expect(&sizes, "cut after it was sent");
    assert_eq!(world.outcome, Outcome { copied: 0, lost: 5 - before });
}

#[test]
fn a_broker_that_takes_little_gets_it_in_parts() {
    let sizes = [9, 4, 20];
    let mut world = World::new(&sizes, Bounds::default());
    world.model.get().most = 700;
    world.copy();
    world.expect(&sizes, "in parts");
    assert_eq!(world.outcome, Outcome { copied: 33, lost: 0 });

    // Nothing at all.
    let mut world = World::new(&sizes, Bounds::default());
    world.model.get().most = 10;
    world.copy();
    world.expect(&sizes, "too large");
    assert_eq!(world.outcome, Outcome { copied: 0, lost: 33 });
}

#[test]
fn another_log_is_not_copied_but_what_came_before_it_is() {
    // Told by the number of its dead records, and by what was counted of it.
    for counted in [false, true] {
        let world = World::new(&[2, 3, 1], Bounds::default());
        {
            let (mut model, mut outbox) = (world.model.get(), world.outbox.0.lock().unwrap());
            let mut combiner = BatchCombiner::new(&Settings::default());
            for (_, batch) in outbox.dead.iter_mut().filter(|_| counted) {
                let raw = &model.batches[&(batch.partition, batch.range.first)];
                batch.digest = combiner.digest(&raw.batch()).ok();
            }
            let records = &mut model.batches.get_mut(&(1, 100)).unwrap().records;
            if counted {
                records[0].value = reading(2);
            } else {
                records.pop();
            }
        }
        let mut worker = world.worker();
        assert!(matches!(once(worker.step()), Some(Ok(true))));
        let done = once(worker.step());
        assert!(
            matches!(done, Some(Err(Failure::Stays(Error::OtherLog { partition: 1, offset: 100, .. })))),
            "{done:?}"
        );
        assert_eq!(copies(&world.model.get()).len(), 2);
        assert_eq!(world.outbox.0.lock().unwrap().done, [0]);
    }
    // No batch begins there at all.
    let world = World::new(&[2], Bounds::default());
    world.model.get().batches.clear();
    let done = once(world.worker().step());
    assert!(matches!(done, Some(Err(Failure::Stays(Error::OtherLog { .. })))), "{done:?}");
}

proptest! {
    /// Whatever fails, dies or is cut, and in whatever order: no letter stands twice. In particular, whatever was sent and
    /// not marked done is looked for.
    #[test]
    fn what_was_sent_and_not_marked_done_is_looked_for(
        sizes in prop::collection::vec(1_u64..6, 1..30),
        letters in 1_u64..12,
        batches in 1_u64..12,
        bytes in prop::sample::select(vec![300, 1_000, usize::MAX]),
        harms in prop::collection::vec((0_usize..12, any::<bool>(), 0_i64..12, 0_usize..2), 0..12),
    ) {
        let mut world = World::new(&sizes, Bounds { batches, letters, bytes });
        for (nth, harm, cut, partition) in harms {
            drop(world.harm(nth, if harm { TopicFault::Stops } else { TopicFault::Fails }));
            let mut worker = world.worker();
            for _ in 0..1 + nth / 4 {
                if once(worker.step()).is_none() {
                    break;
                }
            }
            *world.model.get().starts.entry(partition as u32).or_insert(100 * partition as i64) += cut;
        }
        world.harm(0, TopicFault::Nothing);
        world.copy();
        world.expect(&sizes, "at the end");
    }
}
