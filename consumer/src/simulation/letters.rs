//! The worker of dead letters in a simulated history: the real one, between a model of the log, a model of the topic of dead
//! letters and the real outbox. It goes on whenever it is its turn, up to the point where it is stopped: before it fetches,
//! between fetching and sending, when some of its letters are stored and others are not, when all are and nothing is settled.
//! There its process dies, or the consumer commits, retention cuts, others write to the topic, another one takes over; and
//! then it goes on. Connections break before and after letters are stored, the topic is away for a while, gets more
//! partitions, and takes no large batches.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;
use isotherm_store::error::{Doing, StoreFault};
use isotherm_store::{LostBatch, Outbox};

use super::book::{Book, Dead};
use super::life::{End, Life};
use super::log::Log;
use super::random::Random;
use super::records;
use super::world::World;
use crate::delivery::Error;
use crate::delivery::chunk::Bounds;
use crate::delivery::worker::{DeadLetterWorker, Failure};
use crate::delivery::letter::Envelope;
use crate::delivery::model::{Befalls, Handle, Item, Model, Point, origin};
use crate::delivery::seam::Pending;
use crate::delivery::writer::{OTHERS, TopicWriter};

/// The run's name in the envelopes: the store's own is another one each time.
pub(super) const RUN: &str = "simulation";

/// By partition and first offset, where batches end that are settled.
pub(super) type Settled = BTreeMap<(PartitionId, i64), i64>;

/// What is drawn, and what was settled.
struct Fates {
    random: Random,
    /// Nothing goes wrong any more.
    calm: bool,
    /// How often the topic is still not to be had.
    away: u32,
    /// Batches that were taken from the outbox and are not settled.
    waiting: BTreeMap<u64, DeadBatch>,
    settled: Settled,
}

impl Fates {
    fn befalls(&mut self, point: Point) -> Befalls {
        if self.calm {
            return Befalls::Nothing;
        }
        if self.away > 0 && matches!(point, Point::Look | Point::Tail | Point::Put) {
            self.away -= 1;
            return Befalls::Fails;
        }
        let (stops, fails) = match point {
            Point::Look => (20, 20),
            Point::Tail | Point::Fetch => (50, 20),
            Point::Put => (100, 40),
            Point::Stored => (200, 60),
            Point::Settle | Point::Settled => (0, 15),
        };
        match self.random.below(1_000) {
            draw if draw < stops => Befalls::Stops,
            draw if draw < stops + fails => Befalls::Fails,
            _ => Befalls::Nothing,
        }
    }

    /// Whether a record's batch is settled.
    fn is_settled(&self, partition: PartitionId, offset: i64) -> bool {
        let before = self.settled.range(..=(partition, offset)).next_back();
        before.is_some_and(|((of, _), next)| *of == partition && offset < *next)
    }
}

/// What outlives a worker: the topic of dead letters, and what is known of it.
pub(super) struct Letters {
    model: Handle,
    fates: Shared,
    bounds: Bounds,
    settings: Settings,
    /// Whether the store may go back to an earlier state.
    pub(super) goes_back: bool,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Fates>>);

impl Shared {
    fn get(&self) -> MutexGuard<'_, Fates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letters {
    /// An empty topic.
    pub(super) fn new(seed: u64, log: &Log, settings: &Settings) -> Self {
        let mut random = Random::new(seed ^ 0x1e77_e125);
        let mut model = Model::new(random.pick(&[1, 2, 3, 5]));
        model.most = random.pick(&[usize::MAX, usize::MAX, 2_500, 700]);
        for (partition, place) in (0..).zip(&log.partitions) {
            let batches = place.batches.iter().map(|batch| ((partition, batch.first), records::raw(batch)));
            model.batches.extend(batches);
        }
        let bounds = Bounds {
            batches: random.pick(&[3, 8, 256]),
            letters: random.pick(&[1, 3, 8, 10_000]),
            bytes: random.pick(&[400, 8 << 20]),
        };
        let (waiting, settled, goes_back) = (BTreeMap::new(), BTreeMap::new(), random.in_thousand(300));
        let fates = Fates { random, calm: false, away: 0, waiting, settled };
        let fates = Shared(Arc::new(Mutex::new(fates)));
        let told = fates.clone();
        model.fates = Box::new(move |point| told.get().befalls(point));
        Self { model: Handle::new(model), fates, bounds, settings: settings.clone(), goes_back }
    }

    /// What is settled.
    pub(super) fn settled(&self) -> Settled {
        self.fates.get().settled.clone()
    }

    /// The store is one in which this is settled.
    pub(super) fn go_back(&self, settled: Settled) {
        self.fates.get().settled = settled;
    }

    /// Whether this batch is settled.
    pub(super) fn is_settled(&self, partition: PartitionId, first: i64) -> bool {
        self.fates.get().settled.contains_key(&(partition, first))
    }

    /// What of the dead batches of this book is still in the outbox.
    pub(super) fn waiting<'b>(&self, book: &'b Book) -> impl Iterator<Item = &'b Dead> {
        book.dead.iter().filter(|batch| !self.is_settled(batch.partition, batch.first))
    }

    /// Shows each letter that was ever sent: its key, its value, and whether it was sent by one that had lost its store.
    pub(super) fn each(&self, mut show: impl FnMut(&[u8], &[u8], bool)) {
        self.model.get().letters().for_each(|(letter, old)| show(&letter.key, &letter.value, old));
    }

    /// Whether the topic's broker may find a letter with this value too large even alone.
    pub(super) fn is_too_large(&self, value: &[u8]) -> bool {
        // A key has no more.
        value.len() + 200 > self.model.get().most
    }

    /// True in so many of a thousand cases.
    pub(super) fn draw(&self, cases: usize) -> bool {
        self.fates.get().random.in_thousand(cases)
    }

    /// What has happened in the meantime, in the log and in the topic.
    fn pass(&self, log: &Log) {
        let (mut fates, mut model) = (self.fates.get(), self.model.get());
        for (partition, place) in (0..).zip(&log.partitions) {
            if place.cut > 0 {
                model.starts.insert(partition, place.start());
            }
        }
        if fates.calm {
            return;
        }
        if fates.random.in_thousand(20) {
            fates.away = 1 + fates.random.below(6) as u32;
        }
        if fates.random.in_thousand(10) && model.lanes.len() < 6 {
            model.lanes.push(Vec::new());
        }
        if fates.random.in_thousand(200) {
            let key =
                fates.random.pick(&["", "x", r#"{"id":7}"#, r#"{"id":"another/0/1"}"#, r#"{"id":"simulation/0"}"#]);
            let lane = fates.random.below(model.lanes.len());
            let before =
                model.lanes[lane].iter().map(|item| if let Item::Others(records, _) = item { *records } else { 0 });
            // With more than these a letter may be sent twice. Where the store goes back, letters that were sent since then
            // count as well.
            let most = if self.goes_back { OTHERS - 10_000 } else { OTHERS };
            let records = fates.random.pick(&[1, 30, 1_000, 50_000, 100_000]).min(most - before.sum::<u64>());
            model.lanes[lane].push(Item::Others(records, key.into()));
        }
    }
}

/// The real outbox. What is taken from it and settled is noted, and now and then it fails.
pub(super) struct Watched {
    outbox: Outbox,
    model: Handle,
    fates: Shared,
}

impl Pending for Watched {
    fn oldest(&mut self, most: u64) -> Result<Vec<(u64, DeadBatch)>, StoreFault> {
        let dead = self.outbox.oldest(most)?;
        self.fates.get().waiting.extend(dead.iter().cloned());
        Ok(dead)
    }

    fn settle(&mut self, last: u64, lost: &[LostBatch]) -> Result<(), StoreFault> {
        if self.model.befalls(Point::Settle) != Befalls::Nothing {
            let busy = StoreFault::Busy { path: "run.db".into(), doing: Doing::Outbox, holder: None };
            let draw = self.fates.get().random.in_thousand(500);
            return Err(if draw { busy } else { StoreFault::from("the disk reported an error") });
        }
        self.outbox.settle(last, lost)?;
        let mut fates = self.fates.get();
        assert!(fates.waiting.contains_key(&last), "batch {last} is settled, and did not wait");
        let left = fates.waiting.split_off(&(last + 1));
        for batch in std::mem::replace(&mut fates.waiting, left).into_values() {
            let before = fates.settled.insert((batch.partition, batch.range.first), batch.range.next);
            assert!(before.is_none(), "settled twice: {batch:?}");
        }
        drop(fates);
        match self.model.befalls(Point::Settled) {
            Befalls::Nothing => Ok(()),
            _ => Err(StoreFault::from("the disk reported an error, after all was written")),
        }
    }
}

type Between = DeadLetterWorker<Handle, Watched>;

/// The worker of a life.
pub(super) enum Copying {
    /// It is a run without dead letters.
    Off,
    /// It has not begun.
    Ready,
    Idle(Box<Between>),
    /// It was stopped in the middle of something.
    Stopped(Pin<Box<dyn Future<Output = Step>>>),
    /// It ended with an error.
    Ended,
}

type Step = (Box<Between>, Result<bool, Failure>);

impl Copying {
    pub(super) fn new(on: bool) -> Self {
        if on { Self::Ready } else { Self::Off }
    }
}

impl World<'_> {
    /// The worker goes on, if it is its turn.
    pub(super) fn copy(&mut self, life: &mut Life) -> Result<(), End> {
        if matches!(life.copying, Copying::Off | Copying::Ended) || !self.letters.draw(250) {
            return Ok(());
        }
        self.letters.pass(&self.log);
        let (dies, hangs) = match self.go_on(life) {
            None => (300, 250),
            Some(Ok(copied)) => (40 * usize::from(copied), 0),
            Some(Err(_)) => (30, 0),
        };
        if self.letters.draw(dies) {
            return Err(End::Crash);
        }
        if self.letters.draw(hangs) {
            return Err(End::Zombie);
        }
        Ok(())
    }

    /// What a step of the worker comes to; `None` if it is stopped.
    fn go_on(&mut self, life: &mut Life) -> Option<Result<bool, Failure>> {
        let mut step: Pin<Box<dyn Future<Output = Step>>> = match std::mem::replace(&mut life.copying, Copying::Ended) {
            Copying::Off | Copying::Ended => return Some(Ok(false)),
            Copying::Ready => begin(self.worker(life)),
            Copying::Idle(worker) => begin(worker),
            Copying::Stopped(step) => step,
        };
        let Poll::Ready((worker, done)) = step.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            life.copying = Copying::Stopped(step);
            self.note("the worker is stopped".to_owned());
            return None;
        };
        // Without an error's path, which is another one each time.
        self.note(match &done {
            Ok(copied) => format!("the worker has copied: {copied}"),
            Err(Failure::Passes(reason)) => format!("the worker tries again: {reason}"),
            Err(Failure::Stays(_)) => "the worker ends".to_owned(),
        });
        match &done {
            Ok(_) | Err(Failure::Passes(_)) => life.copying = Copying::Idle(worker),
            Err(Failure::Stays(Error::Store(_))) => {}
            Err(Failure::Stays(error)) => panic!("the worker ends: {error}"),
        }
        Some(done)
    }

    fn worker(&self, life: &Life) -> Box<Between> {
        let Letters { model, fates, bounds, settings, .. } = &self.letters;
        let outbox = life.store.outbox();
        // Those before it have been stopped for ever.
        fates.get().waiting.clear();
        let sent_before = {
            let (model, fates) = (model.get(), fates.get());
            let origins = model.letters().map(|(letter, _)| origin(letter));
            origins.filter(|origin| !fates.is_settled(origin.partition, origin.offset)).count() as u64
        };
        self.tally.again.fetch_add(sent_before, Ordering::Relaxed);
        let outbox = Watched { outbox, model: model.clone(), fates: fates.clone() };
        let writer = TopicWriter::new(Box::new(model.clone()), Envelope::new("sensors", RUN));
        Box::new(DeadLetterWorker::new(outbox, model.clone(), writer, "sensors".to_owned(), settings, *bounds))
    }

    /// The worker of a consumer that was taken for dead wakes: it may send what it had fetched, and settles nothing.
    pub(super) fn wake_copier(&mut self, zombie: &mut Life) {
        self.letters.model.get().old = true;
        for _ in 0..100 {
            if matches!(zombie.copying, Copying::Off | Copying::Ready | Copying::Ended) {
                break;
            }
            let done = self.go_on(zombie);
            assert!(!matches!(done, Some(Ok(_))), "another one has taken over, and yet: {done:?}");
            if matches!(done, Some(Err(Failure::Stays(Error::Store(StoreFault::Fenced { .. }))))) {
                self.tally.fenced_copiers.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.letters.model.get().old = false;
    }

    /// Copies all that is left, in a run in which nothing goes wrong.
    pub(super) fn copy_all(&mut self, life: &mut Life) {
        self.letters.fates.get().calm = true;
        self.letters.pass(&self.log);
        if matches!(life.copying, Copying::Off | Copying::Ended) {
            life.copying = Copying::Ready;
        }
        for _ in 0..1_000 {
            match self.go_on(life) {
                Some(Ok(false)) => return,
                None | Some(Ok(true) | Err(Failure::Passes(_))) => {}
                Some(Err(Failure::Stays(error))) => panic!("the worker ends: {error}"),
            }
        }
        panic!("the worker does not end");
    }
}

fn begin(mut worker: Box<Between>) -> Pin<Box<dyn Future<Output = Step>>> {
    Box::pin(async move {
        let done = worker.step().await;
        (worker, done)
    })
}
