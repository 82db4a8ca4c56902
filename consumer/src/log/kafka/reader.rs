//! Reads the records of one partition in batches.
//!
//! A batch begins where the one before it ended. It ends behind [`RECORDS`] records or [`BYTES`], at a place where a batch of an earlier run
//! ended, or where nothing more has come yet; so it does not depend on how records were fetched, and a batch that an earlier run counted
//! comes again. Offsets that hold no record belong to the batch that they lie in.
//!
//! A client goes on reading a topic that was deleted and made again as if nothing had happened. So a record is given only after the topic's
//! id was asked for since it came.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isotherm_engine::state::LogPart;
use isotherm_kafka::{Message, Polled, Reader};
use isotherm_model::partial::PartitionId;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::{END_UNKNOWN, KafkaRecords, LogBatch, LogBounds, LogError, LogReader, Shared, ask};

/// The most records and about the most bytes of a batch.
const RECORDS: usize = 4096;
const BYTES: usize = 512 << 10;

/// How long the client waits for records, so that a reader that is dropped does not leave it waiting.
const WAIT: Duration = Duration::from_millis(100);

/// The least time between two questions for the topic's id.
const CHECK: Duration = Duration::from_millis(10);

/// See the module's text.
pub(super) struct KafkaReader {
    shared: Arc<Shared>,
    /// Another client for another place: a call that is still under way may take records from the old one.
    reader: Option<Reader>,
    /// How much the client may fetch ahead, in KiB.
    ahead: usize,
    partition: PartitionId,
    bounds: LogBounds,
    position: i64,
    until: i64,
    cuts: BTreeSet<i64>,
    /// Records of the topic that was read, and where it ended when they came.
    ready: VecDeque<Message>,
    end: Option<i64>,
    /// What came since the question for the id that is under way was asked, or what none was asked for yet.
    held: Polled,
    held_bytes: usize,
    polling: Option<JoinHandle<Result<(Reader, Polled), LogError>>>,
    checking: Option<(JoinHandle<Result<LogBounds, LogError>>, Polled)>,
    checked: Instant,
    is_told: bool,
}

impl KafkaReader {
    pub(super) fn new(
        shared: Arc<Shared>,
        ahead: usize,
        partition: PartitionId,
        position: i64,
        bounds: LogBounds,
    ) -> Self {
        Self {
            shared,
            reader: None,
            ahead,
            partition,
            bounds,
            position,
            until: bounds.end,
            cuts: BTreeSet::new(),
            ready: VecDeque::new(),
            end: None,
            held: Polled::default(),
            held_bytes: 0,
            polling: None,
            checking: None,
            checked: Instant::now(),
            is_told: false,
        }
    }

    /// The next batch, if what is there makes one.
    fn gather(&mut self) -> Option<LogBatch> {
        while self.ready.front().is_some_and(|message| message.offset() < self.position) {
            self.ready.pop_front();
        }
        let cut = self.cuts.range(self.position + 1..).next().copied();
        let goal = cut.unwrap_or(END_UNKNOWN).min(self.until);
        let (mut taken, mut bytes) = (0, 0_usize);
        for message in self.ready.iter().take_while(|message| message.offset() < goal) {
            (taken, bytes) = (taken + 1, bytes.saturating_add(message.byte_len()));
            if taken == RECORDS || bytes >= BYTES {
                break;
            }
        }
        let is_full = taken == RECORDS || bytes >= BYTES;
        let last = taken.checked_sub(1).and_then(|last| self.ready.get(last)).map(|message| message.offset() + 1);
        let next = match last {
            Some(last) if is_full || last == goal => last,
            // The next record is behind the goal.
            _ if taken < self.ready.len() => goal,
            // Nothing comes before the end.
            last => match self.end.filter(|end| *end >= self.position) {
                Some(end) if cut.is_none() || end >= goal => end.min(goal).max(last.unwrap_or(self.position)),
                // A new leader may not know yet how far its log is committed.
                _ if cut.is_some() => return None,
                _ => last?,
            },
        };
        if next <= self.position {
            return None;
        }
        let first = std::mem::replace(&mut self.position, next);
        self.bounds.end = self.bounds.end.max(next);
        Some(LogBatch::dense(first, next, KafkaRecords(self.ready.drain(..taken).collect())))
    }

    /// Asks for more, unless much is there.
    fn begin(&mut self) {
        if self.polling.is_none() && self.held_bytes < BYTES.max(self.ahead << 10) {
            let (reader, shared, partition) = (self.reader.clone(), self.shared.clone(), self.partition);
            let (position, ahead) = (self.position, self.ahead);
            self.polling = Some(tokio::task::spawn_blocking(move || {
                let reader = reader.map_or_else(|| shared.reader(partition, position, ahead), Ok)?;
                let polled = reader.poll(WAIT).map_err(|error| shared.error(partition, position, error))?;
                Ok((reader, polled))
            }));
        }
        let is_held = !self.held.messages.is_empty() || self.held.end.is_some();
        if self.checking.is_none() && is_held && self.checked.elapsed() >= CHECK {
            let (shared, partition) = (self.shared.clone(), self.partition);
            let asked = tokio::task::spawn_blocking(move || {
                shared.check(partition)?;
                shared.bounds(partition)
            });
            self.checking = Some((asked, std::mem::take(&mut self.held)));
            self.held_bytes = 0;
            self.checked = Instant::now();
        }
    }

    /// Goes on from the position. What has been fetched is dropped, with the client: a call that is still under way may take records from
    /// its queue that came after it was sent elsewhere, and those would be lost.
    fn restart(&mut self) {
        (self.reader, self.polling, self.checking) = (None, None, None);
        (self.ready, self.end, self.held, self.held_bytes) = (VecDeque::new(), None, Polled::default(), 0);
    }

    /// What came belongs to the topic that was read.
    fn release(&mut self, polled: Polled, bounds: LogBounds) {
        self.bounds.end = self.bounds.end.max(bounds.end);
        self.ready.extend(polled.messages);
        // What lies behind the last stable offset is not committed, though the client's position can be there.
        self.end = polled.end.map(|end| end.min(bounds.end)).or(self.end);
    }

    /// What the client says is not there: where the log begins, or ends, now.
    async fn explained(&self, error: LogError) -> LogError {
        let LogError::Retry { .. } = error else {
            return error;
        };
        let (partition, position, topic) = (self.partition, self.position, self.shared.topic.clone());
        let bounds = ask(&self.shared, move |shared| {
            shared.check(partition)?;
            shared.bounds(partition)
        });
        match bounds.await {
            Ok(LogBounds { start, .. }) if position < start => {
                LogError::Evicted { topic, partition, offset: position, start }
            }
            Ok(LogBounds { end, .. }) if position > end => {
                LogError::Shorter { topic, partition, offset: position, end, lagging: false }
            }
            Ok(_) => error,
            Err(worse) => worse,
        }
    }
}

#[async_trait]
impl LogReader for KafkaReader {
    fn bounds(&self) -> LogBounds {
        self.bounds
    }

    async fn ask(&mut self) -> Result<LogBounds, LogError> {
        let partition = self.partition;
        let now = ask(&self.shared, move |shared| {
            shared.check(partition)?;
            shared.bounds(partition)
        })
        .await?;
        self.bounds = LogBounds { start: now.start, end: now.end.max(self.position) };
        Ok(self.bounds)
    }

    fn position(&self) -> i64 {
        self.position
    }

    fn seek(&mut self, from: i64, until: i64) {
        if from != self.position {
            self.restart();
        }
        (self.position, self.until) = (from, until);
    }

    fn cut_at(&mut self, offsets: &[i64]) {
        self.cuts = offsets.iter().copied().collect();
    }

    fn follow(&mut self) {
        self.until = END_UNKNOWN;
    }

    fn parts(&mut self) -> Vec<(u32, LogPart)> {
        if std::mem::replace(&mut self.is_told, true) {
            return Vec::new();
        }
        self.shared.part(self.partition).map(|part| (0, part)).into_iter().collect()
    }

    async fn next(&mut self) -> Result<Option<LogBatch>, LogError> {
        loop {
            if self.position >= self.until {
                return Ok(None);
            }
            let batch = self.gather();
            // More is fetched while this one is combined.
            self.begin();
            if batch.is_some() {
                return Ok(batch);
            }
            let is_held = !self.held.messages.is_empty() || self.held.end.is_some();
            let may_check = self.checked + CHECK;
            tokio::select! {
                polled = async { match &mut self.polling { Some(polling) => polling.await, None => std::future::pending().await } } => {
                    self.polling = None;
                    match polled.map_err(|error| LogError::Fatal(error.to_string()))? {
                        Ok((reader, polled)) => {
                            self.reader = Some(reader);
                            let bytes = polled.messages.iter().map(Message::byte_len);
                            self.held_bytes = bytes.fold(self.held_bytes, usize::saturating_add);
                            self.held.messages.extend(polled.messages);
                            self.held.end = polled.end.or(self.held.end);
                        }
                        Err(error) => {
                            self.restart();
                            return Err(self.explained(error).await);
                        }
                    }
                }
                bounds = async { match &mut self.checking { Some((checking, _)) => checking.await, None => std::future::pending().await } } => {
                    let polled = self.checking.take().map(|(_, polled)| polled).unwrap_or_default();
                    match bounds.map_err(|error| LogError::Fatal(error.to_string()))? {
                        Ok(bounds) => self.release(polled, bounds),
                        Err(error) => {
                            self.restart();
                            return Err(error);
                        }
                    }
                }
                () = sleep_until(may_check), if is_held && self.checking.is_none() => {}
            }
        }
    }

    fn ready(&mut self) -> Option<LogBatch> {
        if self.position < self.until { self.gather() } else { None }
    }
}
