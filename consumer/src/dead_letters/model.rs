//! Models of what the copier works between, for tests: a log, a topic of dead letters, and what befalls whoever uses them.
//! Nothing waits for time: a future is ready at once, or stops where the test says so. Dropped there, its process has died;
//! polled again, it goes on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;

use super::letter::Origin;
use super::seam::{Log, PostError, Put, Reach, Sealed, Topic};
use crate::source::fluvio::batches::RawBatch;
use crate::source::fluvio::raw::RawError;

/// Where something can befall a copier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The topic of dead letters is looked up.
    Look,
    /// The tail of one of its partitions is read.
    Tail,
    /// A batch is fetched from the log.
    Fetch,
    /// A batch of letters is sent, and nothing of it is stored yet.
    Put,
    /// It is stored, and not acknowledged.
    Stored,
    /// It is stored, nobody can read it yet, and it is waited until that is so.
    Reach,
    /// Batches are to be settled.
    Settle,
    /// They are settled, and nobody knows it yet.
    Settled,
}

/// What befalls it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Befalls {
    Nothing,
    /// It stops.
    Stops,
    /// What it does there fails.
    Fails,
    /// The replicas do not keep up.
    Lags,
    /// The connection to the leader breaks, and what its replicas have not
    Breaks {
        /// is lost with it, or they get it in the end.
        lost: bool,
    },
}

/// What stands in the topic of dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Letter {
        letter: Sealed,
        /// Whether it was sent by a copier whose store had been taken over.
        old: bool,
    },
    /// So many records of others, with this key.
    Others(u64, Vec<u8>),
}

/// See the module's text.
pub(crate) struct Model {
    /// The log's batches, by partition and first offset.
    pub(crate) batches: BTreeMap<(PartitionId, i64), RawBatch>,
    /// Where the log's partitions begin.
    pub(crate) starts: BTreeMap<PartitionId, i64>,
    /// The partitions of the topic of dead letters.
    pub(crate) lanes: Vec<Vec<Item>>,
    /// Of those whose replicas do not keep up, how many of these items all of them have. Nobody can read more.
    pub(crate) behind: BTreeMap<PartitionId, usize>,
    /// The bytes of keys and values that its broker takes at once.
    pub(crate) most: usize,
    /// Whether whoever uses this has lost its store to another one.
    pub(crate) old: bool,
    /// How often batches of the log were asked for.
    pub(crate) fetched: u64,
    /// How many records each reading of a tail asked for.
    pub(crate) tails: Vec<u64>,
    /// What befalls whom.
    pub(crate) fates: Box<dyn FnMut(Point) -> Befalls + Send>,
}

impl Model {
    /// A topic of so many partitions, an empty log, and no harm.
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            batches: BTreeMap::new(),
            starts: BTreeMap::new(),
            lanes: vec![Vec::new(); lanes],
            behind: BTreeMap::new(),
            most: usize::MAX,
            old: false,
            fetched: 0,
            tails: Vec::new(),
            fates: Box::new(|_| Befalls::Nothing),
        }
    }

    /// The connection to a partition's leader breaks. What its replicas have not is lost with the leader, or they get it at
    /// last: before the tail is read, which is all that is promised of it.
    fn part(&mut self, partition: PartitionId, lost: bool) {
        // Whoever has lost the store hears of another one's trouble no more.
        if let Some(all) = self.behind.remove(&partition)
            && lost
            && !self.old
        {
            self.lanes[partition as usize].truncate(all);
        }
    }

    /// Whoever had connections is gone.
    pub(crate) fn part_all(&mut self, lost: bool) {
        while let Some((partition, _)) = self.behind.first_key_value() {
            self.part(*partition, lost);
        }
    }

    /// The letters that stand in the topic.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (&Sealed, bool)> {
        self.lanes.iter().flatten().filter_map(|item| match item {
            Item::Letter { letter, old } => Some((letter, *old)),
            Item::Others(..) => None,
        })
    }
}

/// A handle on a model: the log, and the topic.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Mutex<Model>>);

impl Handle {
    pub(crate) fn new(model: Model) -> Self {
        Self(Arc::new(Mutex::new(model)))
    }

    pub(crate) fn get(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What befalls here is drawn.
    pub(crate) fn befalls(&self, point: Point) -> Befalls {
        (self.get().fates)(point)
    }

    /// False if what is done here fails.
    async fn pass(&self, point: Point) -> bool {
        self.meet(point).await != Befalls::Fails
    }

    /// What befalls here; it has stopped, if that was it.
    async fn meet(&self, point: Point) -> Befalls {
        let befalls = self.befalls(point);
        if befalls == Befalls::Stops {
            let mut stopped = false;
            poll_fn(|_| match std::mem::replace(&mut stopped, true) {
                false => Poll::Pending,
                true => Poll::Ready(()),
            })
            .await;
        }
        befalls
    }
}

impl Log for Handle {
    async fn fetch(&mut self, batch: &DeadBatch) -> Result<RawBatch, RawError> {
        let (topic, partition, offset) = ("sensors".to_owned(), batch.partition, batch.range.first);
        self.get().fetched += 1;
        if !self.pass(Point::Fetch).await {
            return Err(RawError::Unavailable { topic, partition, offset, reason: "it is away".to_owned() });
        }
        let model = self.get();
        let start = model.starts.get(&partition).copied().unwrap_or(0);
        if start > offset {
            return Err(RawError::Evicted { topic, partition, offset, start });
        }
        let found = model.batches.get(&(partition, offset)).cloned();
        found.ok_or(RawError::Misfit { topic, partition, expected: offset, found: start })
    }
}

impl Topic for Handle {
    async fn look(&mut self) -> Result<u32, PostError> {
        match self.pass(Point::Look).await {
            true => Ok(self.get().lanes.len() as u32),
            false => Err(PostError::Unsure("the topic is away".to_owned())),
        }
    }

    async fn tail(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), PostError> {
        if !self.pass(Point::Tail).await {
            return Err(PostError::Unsure("the tail cannot be read".to_owned()));
        }
        self.get().tails.push(records);
        let model = self.get();
        let mut left = records;
        let lane = &model.lanes[partition as usize];
        let readable = model.behind.get(&partition).copied().unwrap_or(lane.len());
        for item in lane[..readable].iter().rev() {
            if left == 0 {
                break;
            }
            let (key, records) = match item {
                Item::Letter { letter, .. } => (&letter.key, 1),
                Item::Others(records, key) => (key, *records),
            };
            show(key);
            left = left.saturating_sub(records);
        }
        Ok(())
    }

    async fn put(&mut self, partition: PartitionId, letters: &[Sealed]) -> Result<Put, PostError> {
        if !self.pass(Point::Put).await {
            return Err(PostError::Unsure("the connection breaks".to_owned()));
        }
        let (before, end) = {
            let mut model = self.get();
            if letters.iter().map(|letter| letter.key.len() + letter.value.len()).sum::<usize>() > model.most {
                return Ok(Put::TooLarge);
            }
            let old = model.old;
            let items = letters.iter().map(|letter| Item::Letter { letter: letter.clone(), old });
            let lane = &mut model.lanes[partition as usize];
            let before = lane.len();
            lane.extend(items);
            (before, lane.len())
        };
        match self.meet(Point::Stored).await {
            Befalls::Lags => {
                self.get().behind.entry(partition).or_insert(before);
                Ok(Put::Stored(end as i64))
            }
            befalls => {
                self.get().part(partition, false);
                match befalls {
                    Befalls::Nothing | Befalls::Stops => Ok(Put::Acknowledged),
                    _ => Err(PostError::Unsure("the connection breaks before the answer".to_owned())),
                }
            }
        }
    }

    async fn reach(&mut self, partition: PartitionId, end: i64) -> Result<Reach, PostError> {
        let befalls = self.meet(Point::Reach).await;
        let mut model = self.get();
        match befalls {
            Befalls::Fails | Befalls::Lags => Err(PostError::Unsure("replicas do not keep up".to_owned())),
            Befalls::Breaks { lost } => {
                model.part(partition, lost);
                Ok(Reach::Unknown)
            }
            Befalls::Nothing | Befalls::Stops => {
                model.part(partition, false);
                let there = model.lanes[partition as usize].len() as i64;
                Ok(if end <= there { Reach::Readable } else { Reach::Unknown })
            }
        }
    }
}

/// How often each record's letter stands in the topic.
pub(crate) fn copies(model: &Model) -> BTreeMap<Origin, usize> {
    let mut copies = BTreeMap::new();
    model.letters().for_each(|(letter, _)| *copies.entry(letter.origin).or_default() += 1);
    copies
}

/// A letter's value of this many bytes.
pub(crate) fn padded(text: String, bytes: usize) -> Bytes {
    let room = bytes.saturating_sub(text.len());
    (text + &" ".repeat(room)).into()
}
