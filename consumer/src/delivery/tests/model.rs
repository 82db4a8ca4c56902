//! Models for tests of the worker: a log, a topic of dead letters, and the faults that happen there.
//! Nothing waits for time: a future is ready at once, or stops where the test says so. Dropped there, its process has died;
//! polled again, it goes on.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use isotherm_engine::state::DeadBatch;
use isotherm_model::partial::PartitionId;

use super::letter::Origin;
use super::seam::{
    Appended, BatchFetcher, LogBatch, LogError, OutgoingRecord, OwnedBatch, ShowKey, Target, TargetError,
};

/// Where something can befall a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The topic of dead letters is looked up.
    Partitions,
    /// The tail of one of its partitions is read.
    ReadBack,
    /// A batch is fetched from the log.
    Fetch,
    /// A batch of letters is sent, and nothing of it is stored yet.
    Append,
    /// It is stored, and not acknowledged.
    Stored,
    /// Batches are to be marked done.
    MarkDone,
    /// They are marked done, and nobody knows it yet.
    MarkedDone,
}

/// The fault that happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicFault {
    Nothing,
    /// It stops.
    Stops,
    /// What it does there fails.
    Fails,
}

/// What is in the topic of dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Letter {
        letter: OutgoingRecord,
        /// Whether it was sent by a worker whose store had been taken over.
        old: bool,
    },
    /// So many records of others, with this key.
    Others(u64, Vec<u8>),
}

pub(crate) struct Model {
    /// The log's batches, by partition and first offset.
    pub(crate) batches: BTreeMap<(PartitionId, i64), OwnedBatch>,
    /// Where the log's partitions begin.
    pub(crate) starts: BTreeMap<PartitionId, i64>,
    /// The partitions of the topic of dead letters.
    pub(crate) partitions: Vec<Vec<Item>>,
    /// The bytes of keys and values that its broker takes at once.
    pub(crate) most: usize,
    /// Whether the worker that uses this has lost its store to another one.
    pub(crate) old: bool,
    /// How often batches of the log were asked for.
    pub(crate) fetched: u64,
    /// How many records each reading of a tail asked for.
    pub(crate) tails: Vec<u64>,
    /// Who meets which fault.
    pub(crate) faults: Box<dyn FnMut(Point) -> TopicFault + Send>,
}

impl Model {
    /// A topic of `partitions` partitions, an empty log, and no harm.
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            batches: BTreeMap::new(),
            starts: BTreeMap::new(),
            partitions: vec![Vec::new(); partitions],
            most: usize::MAX,
            old: false,
            fetched: 0,
            tails: Vec::new(),
            faults: Box::new(|_| TopicFault::Nothing),
        }
    }

    /// The letters that stand in the topic.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (&OutgoingRecord, bool)> {
        self.partitions.iter().flatten().filter_map(|item| match item {
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

    /// Draws a fault.
    pub(crate) fn fault(&self, point: Point) -> TopicFault {
        (self.get().faults)(point)
    }

    /// False if what is done here fails.
    async fn pass(&self, point: Point) -> bool {
        self.meet(point).await != TopicFault::Fails
    }

    /// Draws a fault; the worker has stopped, if that is it.
    async fn meet(&self, point: Point) -> TopicFault {
        let fault = self.fault(point);
        if fault == TopicFault::Stops {
            let mut stopped = false;
            poll_fn(|_| match std::mem::replace(&mut stopped, true) {
                false => Poll::Pending,
                true => Poll::Ready(()),
            })
            .await;
        }
        fault
    }
}

impl BatchFetcher for Handle {
    async fn fetch(&mut self, batch: &DeadBatch) -> Result<LogBatch, LogError> {
        let (topic, partition, offset) = ("sensors".to_owned(), batch.partition, batch.range.first);
        self.get().fetched += 1;
        if !self.pass(Point::Fetch).await {
            return Err(LogError::Retry { topic, partition, offset, reason: "it is away".to_owned() });
        }
        let model = self.get();
        let start = model.starts.get(&partition).copied().unwrap_or(0);
        if start > offset {
            return Err(LogError::Evicted { topic, partition, offset, start });
        }
        // Where no batch begins, another one holds the offset.
        let other = OwnedBatch { first: offset - 1, next: offset + 1, base_timestamp: None, records: Vec::new() };
        Ok(model.batches.get(&(partition, offset)).unwrap_or(&other).batch())
    }
}

#[async_trait]
impl Target for Handle {
    async fn partitions(&mut self) -> Result<u32, TargetError> {
        match self.pass(Point::Partitions).await {
            true => Ok(self.get().partitions.len() as u32),
            false => Err(TargetError::Unsure("the topic is away".to_owned())),
        }
    }

    async fn read_back(
        &mut self,
        partition: PartitionId,
        records: u64,
        show: &mut ShowKey<'_>,
    ) -> Result<(), TargetError> {
        if !self.pass(Point::ReadBack).await {
            return Err(TargetError::Unsure("the tail cannot be read".to_owned()));
        }
        let mut model = self.get();
        model.tails.push(records);
        let mut left = records;
        for item in model.partitions[partition as usize].iter().rev() {
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

    async fn append(&mut self, partition: PartitionId, letters: &[OutgoingRecord]) -> Result<Appended, TargetError> {
        if !self.pass(Point::Append).await {
            return Err(TargetError::Unsure("the connection breaks".to_owned()));
        }
        {
            let mut model = self.get();
            if letters.iter().map(|letter| letter.key.len() + letter.value.len()).sum::<usize>() > model.most {
                return Ok(Appended::TooLarge);
            }
            let old = model.old;
            let items = letters.iter().map(|letter| Item::Letter { letter: letter.clone(), old });
            model.partitions[partition as usize].extend(items);
        }
        match self.pass(Point::Stored).await {
            true => Ok(Appended::Acknowledged),
            false => Err(TargetError::Unsure("the connection breaks before the answer".to_owned())),
        }
    }
}

/// Where a letter comes from, by its key.
pub(crate) fn origin(letter: &OutgoingRecord) -> Origin {
    let key: serde_json::Value = serde_json::from_slice(&letter.key).expect("a letter's key");
    let number = |name: &str| key[name].as_i64().expect("a number");
    Origin { partition: number("partition") as PartitionId, offset: number("offset") }
}

/// How often each record's letter is in the topic.
pub(crate) fn copies(model: &Model) -> BTreeMap<Origin, usize> {
    let mut copies = BTreeMap::new();
    model.letters().for_each(|(letter, _)| *copies.entry(origin(letter)).or_default() += 1);
    copies
}

/// A letter's value of this many bytes.
pub(crate) fn padded(text: String, bytes: usize) -> Bytes {
    let room = bytes.saturating_sub(text.len());
    (text + &" ".repeat(room)).into()
}
