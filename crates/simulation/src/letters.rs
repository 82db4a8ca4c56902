//! The worker of dead letters in a simulated history: the real one, between a model of the log, a model of the topic of dead
//! letters and the real outbox.
//!
//! When it is its turn, it goes on to the point where it is stopped: before it fetches, between fetching and sending, when some of its
//! letters are stored, or when all are and nothing is marked done. There its process dies, or the consumer commits, retention
//! cuts, others write to the topic, another worker takes over; and then it goes on. Connections break before and after letters are
//! stored, the topic is away for a while, gets more partitions, and takes no large batches.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use isotherm_consumer::delivery::Error;
use isotherm_consumer::delivery::chunk::Bounds;
use isotherm_consumer::delivery::letter::Envelope;
use isotherm_consumer::delivery::seam::Pending;
use isotherm_consumer::delivery::worker::{DeadLetterWorker, Failure};
use isotherm_consumer::delivery::writer::{OTHERS, TopicWriter};
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;
use isotherm_store::{LostBatch, Outbox};

use super::model::{Handle, Item, Model, Point, TopicFault, origin};
use super::random::Random;
use super::records;
use super::reference::expected::{Expected, ExpectedDeadBatch};
use super::seed::Seed;
use super::store::FaultyStore;
use super::topic::SimLog;

/// The run's name in the envelopes, in place of the store's own, which is random.
pub(crate) const RUN: &str = "simulation";

/// By partition and first offset, where batches end that are done.
pub(crate) type Delivered = BTreeMap<(PartitionId, i64), i64>;

/// The faults that are drawn, and what is done.
struct Faults {
    random: Random,
    /// Nothing goes wrong any more.
    calm: bool,
    /// For how many more calls the topic is away.
    away: u32,
    /// Batches that were taken from the outbox and are not done.
    taken: BTreeMap<u64, DeadBatch>,
    delivered: Delivered,
}

impl Faults {
    fn draw(&mut self, point: Point) -> TopicFault {
        if self.calm {
            return TopicFault::Nothing;
        }
        if self.away > 0 && matches!(point, Point::Partitions | Point::ReadBack | Point::Append) {
            self.away -= 1;
            return TopicFault::Fails;
        }
        let (stops, fails) = match point {
            Point::Partitions => (20, 20),
            Point::ReadBack | Point::Fetch => (50, 20),
            Point::Append => (100, 40),
            Point::Stored => (200, 60),
            Point::MarkDone | Point::MarkedDone => (0, 15),
        };
        match self.random.below(1_000) {
            draw if draw < stops => TopicFault::Stops,
            draw if draw < stops + fails => TopicFault::Fails,
            _ => TopicFault::Nothing,
        }
    }

    /// Whether a record's batch is done.
    fn is_delivered(&self, partition: PartitionId, offset: i64) -> bool {
        let before = self.delivered.range(..=(partition, offset)).next_back();
        before.is_some_and(|((of, _), next)| *of == partition && offset < *next)
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Faults>>);

impl Shared {
    fn get(&self) -> MutexGuard<'_, Faults> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The real outbox. It notes what is taken and marked done, and now and then it fails.
pub(crate) struct FaultyOutbox {
    outbox: Outbox,
    model: Handle,
    faults: Shared,
}

impl Pending for FaultyOutbox {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, isotherm_store::Error> {
        let dead = self.outbox.oldest(most)?;
        self.faults.get().taken.extend(dead.iter().cloned());
        Ok(dead)
    }

    fn mark_done(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), isotherm_store::Error> {
        if self.model.fault(Point::MarkDone) != TopicFault::Nothing {
            let busy = isotherm_store::Error::Busy {
                path: "run.db".into(),
                operation: isotherm_store::Operation::Outbox,
                holder: None,
            };
            let draw = self.faults.get().random.in_thousand(500);
            return Err(if draw { busy } else { isotherm_store::Error::from("the disk reported an error") });
        }
        self.outbox.mark_done(last, lost)?;
        let mut faults = self.faults.get();
        assert!(faults.taken.contains_key(&last), "batch {last} is marked done, and was not taken");
        let left = faults.taken.split_off(&(last + 1));
        for batch in std::mem::replace(&mut faults.taken, left).into_values() {
            let before = faults.delivered.insert((batch.partition, batch.range.first), batch.range.next);
            assert!(before.is_none(), "marked done twice: {batch:?}");
        }
        drop(faults);
        match self.model.fault(Point::MarkedDone) {
            TopicFault::Nothing => Ok(()),
            _ => Err(isotherm_store::Error::from("the disk reported an error after everything was written")),
        }
    }
}

type RealWorker = DeadLetterWorker<Handle, FaultyOutbox>;
type Step = (Box<RealWorker>, Result<bool, Failure>);

/// The worker of a run.
pub(crate) enum Worker {
    /// The run has no dead letters.
    Off,
    /// It has not begun.
    Ready,
    Idle(Box<RealWorker>),
    /// It was stopped within a step.
    Stopped(Pin<Box<dyn Future<Output = Step>>>),
    /// It ended with an error.
    Ended,
}

impl Worker {
    pub(crate) fn new(on: bool) -> Self {
        if on { Self::Ready } else { Self::Off }
    }

    pub(crate) fn works(&self) -> bool {
        !matches!(self, Self::Off | Self::Ended)
    }
}

/// What outlives a worker: the topic of dead letters, and what is known of it.
pub(crate) struct Letters {
    model: Handle,
    faults: Shared,
    bounds: Bounds,
    settings: Settings,
    /// Whether the store may go back to a backup.
    pub(crate) goes_back: bool,
}

impl Letters {
    /// An empty topic.
    pub(crate) fn new(seed: u64, log: &SimLog, settings: &Settings) -> Self {
        let mut random = Random::new(seed ^ 0x1e77_e125);
        let mut model = Model::new(random.pick(&[1, 2, 3, 5]));
        model.most = random.pick(&[usize::MAX, usize::MAX, 2_500, 700]);
        for (partition, place) in (0..).zip(&log.partitions) {
            let batches = place.batches().iter().map(|batch| ((partition, batch.first), records::raw(batch)));
            model.batches.extend(batches);
        }
        let bounds = Bounds {
            batches: random.pick(&[3, 8, 256]),
            letters: random.pick(&[1, 3, 8, 10_000]),
            bytes: random.pick(&[400, 8 << 20]),
        };
        let goes_back = random.in_thousand(300);
        let (taken, delivered) = (BTreeMap::new(), BTreeMap::new());
        let faults = Shared(Arc::new(Mutex::new(Faults { random, calm: false, away: 0, taken, delivered })));
        let drawn = faults.clone();
        model.faults = Box::new(move |point| drawn.get().draw(point));
        Self { model: Handle::new(model), faults, bounds, settings: settings.clone(), goes_back }
    }

    pub(crate) fn delivered(&self) -> Delivered {
        self.faults.get().delivered.clone()
    }

    /// The store is one in which this is done.
    pub(crate) fn go_back(&self, delivered: Delivered) {
        self.faults.get().delivered = delivered;
    }

    pub(crate) fn is_delivered(&self, partition: PartitionId, first: i64) -> bool {
        self.faults.get().delivered.contains_key(&(partition, first))
    }

    /// The dead batches that must be in the outbox.
    pub(crate) fn outbox<'b>(&self, expected: &'b Expected) -> impl Iterator<Item = &'b ExpectedDeadBatch> {
        expected.dead.iter().filter(|batch| !self.is_delivered(batch.partition, batch.range.first))
    }

    /// Shows each letter that was ever sent: its key, its value, and whether it was sent by a worker that had lost its store.
    pub(crate) fn each(&self, mut show: impl FnMut(&[u8], &[u8], bool)) {
        self.model.get().letters().for_each(|(letter, old)| show(&letter.key, &letter.value, old));
    }

    /// Whether the topic's broker may refuse a letter with this value even alone.
    pub(crate) fn is_too_large(&self, value: &[u8]) -> bool {
        // A key has at most 200 bytes.
        value.len() + 200 > self.model.get().most
    }

    /// True in `cases` of a thousand cases.
    pub(crate) fn draw(&self, cases: usize) -> bool {
        self.faults.get().random.in_thousand(cases)
    }

    /// The worker goes on; `None` if it is stopped within its step.
    pub(crate) fn step(
        &self,
        log: &SimLog,
        worker: &mut Worker,
        store: &FaultyStore,
        seed: &mut Seed,
    ) -> Option<Result<bool, Failure>> {
        self.pass(log);
        self.go_on(worker, store, seed)
    }

    /// What has happened in the meantime, in the log and in the topic.
    fn pass(&self, log: &SimLog) {
        let (mut faults, mut model) = (self.faults.get(), self.model.get());
        for (partition, place) in (0..).zip(&log.partitions) {
            if place.cut > 0 {
                model.starts.insert(partition, place.start());
            }
        }
        if faults.calm {
            return;
        }
        if faults.random.in_thousand(20) {
            faults.away = 1 + faults.random.below(6) as u32;
        }
        if faults.random.in_thousand(10) && model.partitions.len() < 6 {
            model.partitions.push(Vec::new());
        }
        if faults.random.in_thousand(200) {
            let keys = ["", "x", r#"{"id":7}"#, r#"{"id":"another/0/1"}"#, r#"{"id":"simulation/0"}"#];
            let (key, partition) = (faults.random.pick(&keys), faults.random.below(model.partitions.len()));
            let before = model.partitions[partition]
                .iter()
                .map(|item| if let Item::Others(records, _) = item { *records } else { 0 });
            // Behind more records of others, a letter may be sent twice. After a backup, letters since then count as well.
            let most = if self.goes_back { OTHERS - 10_000 } else { OTHERS };
            let records = faults.random.pick(&[1, 30, 1_000, 50_000, 100_000]).min(most - before.sum::<u64>());
            model.partitions[partition].push(Item::Others(records, key.into()));
        }
    }

    fn go_on(&self, worker: &mut Worker, store: &FaultyStore, seed: &mut Seed) -> Option<Result<bool, Failure>> {
        let mut step: Pin<Box<dyn Future<Output = Step>>> = match std::mem::replace(worker, Worker::Ended) {
            Worker::Off | Worker::Ended => return Some(Ok(false)),
            Worker::Ready => begin(self.worker(store, seed)),
            Worker::Idle(idle) => begin(idle),
            Worker::Stopped(step) => step,
        };
        let Poll::Ready((idle, done)) = step.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            *worker = Worker::Stopped(step);
            seed.note("the worker of dead letters is stopped".to_owned());
            return None;
        };
        seed.note(match &done {
            Ok(delivered) => format!("the worker has delivered: {delivered}"),
            Err(Failure::Passes(reason)) => format!("the worker tries again: {reason}"),
            // Its error names a path, which is another one each time.
            Err(Failure::Stays(_)) => "the worker ends".to_owned(),
        });
        match &done {
            Ok(_) | Err(Failure::Passes(_)) => *worker = Worker::Idle(idle),
            Err(Failure::Stays(Error::Store(_))) => {}
            Err(Failure::Stays(error)) => panic!("the worker ends: {error}"),
        }
        Some(done)
    }

    /// A worker that begins.
    fn worker(&self, store: &FaultyStore, seed: &mut Seed) -> Box<RealWorker> {
        let Self { model, faults, bounds, settings, .. } = self;
        faults.get().taken.clear();
        let sent_before = {
            let (model, faults) = (model.get(), faults.get());
            let origins = model.letters().map(|(letter, _)| origin(letter));
            origins.filter(|origin| !faults.is_delivered(origin.partition, origin.offset)).count() as u64
        };
        seed.count("dead letters found again", sent_before);
        let outbox = FaultyOutbox { outbox: store.outbox(), model: model.clone(), faults: faults.clone() };
        let writer = TopicWriter::new(Box::new(model.clone()), Envelope::new("sensors", RUN));
        Box::new(DeadLetterWorker::new(outbox, model.clone(), writer, "sensors".to_owned(), settings, *bounds))
    }

    /// The worker of a consumer whose store was taken over wakes: it may send what it had fetched, and marks nothing done.
    pub(crate) fn wake(&self, worker: &mut Worker, store: &FaultyStore, seed: &mut Seed) {
        self.model.get().old = true;
        for _ in 0..100 {
            if !worker.works() || matches!(worker, Worker::Ready) {
                break;
            }
            let done = self.go_on(worker, store, seed);
            assert!(!matches!(done, Some(Ok(_))), "its store was taken over, and yet: {done:?}");
            if matches!(done, Some(Err(Failure::Stays(Error::Store(isotherm_store::Error::Fenced { .. }))))) {
                seed.count("fenced workers", 1);
            }
        }
        self.model.get().old = false;
    }

    /// Delivers everything that is left, while nothing goes wrong.
    pub(crate) fn deliver_all(&self, log: &SimLog, worker: &mut Worker, store: &FaultyStore, seed: &mut Seed) {
        self.faults.get().calm = true;
        self.pass(log);
        if !worker.works() {
            *worker = Worker::Ready;
        }
        for _ in 0..1_000 {
            match self.go_on(worker, store, seed) {
                Some(Ok(false)) => return,
                None | Some(Ok(true) | Err(Failure::Passes(_))) => {}
                Some(Err(Failure::Stays(error))) => panic!("the worker ends: {error}"),
            }
        }
        panic!("the worker does not end");
    }
}

fn begin(mut worker: Box<RealWorker>) -> Pin<Box<dyn Future<Output = Step>>> {
    Box::pin(async move {
        let done = worker.step().await;
        (worker, done)
    })
}
