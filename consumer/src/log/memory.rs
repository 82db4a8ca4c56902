//! A log in memory, for tests: batches that can be changed, and faults that can be told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use isotherm_model::partial::PartitionId;
use tokio::sync::Notify;

use super::{Log, LogBatch, LogBounds, LogError, LogIdentity, LogReader, OwnedBatch, ReadOptions};

/// One partition's log, shared by the test and its readers.
#[derive(Clone)]
pub(crate) struct MemoryLog {
    identity: LogIdentity,
    state: Arc<Mutex<State>>,
    appended: Arc<Notify>,
}

/// What the log holds, and what goes wrong.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) batches: BTreeMap<i64, OwnedBatch>,
    pub(crate) start: i64,
    /// Where it ends, if that is not where its last batch does.
    pub(crate) end: Option<i64>,
    /// After this many more batches each connection breaks.
    pub(crate) breaks_after: VecDeque<usize>,
    /// How often nobody answers.
    pub(crate) away: usize,
}

impl State {
    fn bounds(&self) -> LogBounds {
        let end = self.batches.last_key_value().map_or(self.start, |(_, batch)| batch.next);
        LogBounds { start: self.start, end: self.end.unwrap_or(end) }
    }
}

impl MemoryLog {
    pub(crate) fn new(batches: impl IntoIterator<Item = OwnedBatch>) -> Self {
        let identity = LogIdentity { kind: "memory", address: "here".to_owned(), topic: "sensors".to_owned() };
        let batches = batches.into_iter().map(|batch| (batch.first, batch)).collect();
        let state = State { batches, ..State::default() };
        Self { identity, state: Arc::new(Mutex::new(state)), appended: Arc::default() }
    }

    pub(crate) fn get(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(&self, batch: OwnedBatch) {
        self.get().batches.insert(batch.first, batch);
        self.appended.notify_waiters();
    }

    fn retry(&self, partition: PartitionId, offset: i64) -> LogError {
        let topic = self.identity.topic.clone();
        LogError::Retry { topic, partition, offset, reason: "the connection broke".to_owned() }
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn partitions(&self) -> Result<Option<u32>, LogError> {
        Ok(Some(1))
    }

    async fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError> {
        let mut state = self.get();
        if let Some(left) = state.away.checked_sub(1) {
            state.away = left;
            return Err(self.retry(partition, 0));
        }
        Ok(state.bounds())
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: i64,
        _options: ReadOptions,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let bounds = self.bounds(partition).await?;
        let topic = self.identity.topic.clone();
        if from < bounds.start {
            return Err(LogError::Evicted { topic, partition, offset: from, start: bounds.start });
        }
        if from > bounds.end {
            return Err(LogError::Shorter { topic, partition, offset: from, end: bounds.end, lagging: false });
        }
        let left = self.get().breaks_after.pop_front();
        Ok(Box::new(MemoryReader { log: self.clone(), partition, position: from, until: bounds.end, left }))
    }
}

struct MemoryReader {
    log: MemoryLog,
    partition: PartitionId,
    position: i64,
    until: i64,
    /// How many more batches come before the connection breaks.
    left: Option<usize>,
}

#[async_trait]
impl LogReader for MemoryReader {
    fn bounds(&self) -> LogBounds {
        self.log.get().bounds()
    }

    async fn ask(&mut self) -> Result<LogBounds, LogError> {
        Ok(self.bounds())
    }

    fn position(&self) -> i64 {
        self.position
    }

    fn seek(&mut self, from: i64, until: i64) {
        (self.position, self.until) = (from, until);
    }

    fn follow(&mut self) {
        self.until = i64::MAX;
    }

    async fn next(&mut self) -> Result<Option<LogBatch>, LogError> {
        loop {
            if self.position >= self.until {
                return Ok(None);
            }
            let appended = self.log.appended.clone();
            let appended = appended.notified();
            if self.left == Some(0) {
                return Err(self.log.retry(self.partition, self.position));
            }
            let found = self.log.get().batches.values().find(|batch| batch.next > self.position).cloned();
            if let Some(found) = found {
                self.position = found.next;
                self.left = self.left.map(|left| left - 1);
                return Ok(Some(found.batch()));
            }
            appended.await;
        }
    }
}
