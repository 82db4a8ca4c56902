//! Reads a partition batch by stored batch, without a SmartModule.
//!
//! A response of the SPU may end within a batch. The reader drops such a batch and acknowledges only whole ones, so that the
//! SPU sends it again from its beginning; if it is the first one, the reader asks for more bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::{Batch, RawRecords};
use futures_util::future::BoxFuture;
use isotherm_model::partial::PartitionId;
use tokio::time::timeout;
use tracing::debug;

use crate::backoff::Backoff;
use crate::batch::{self, StoredBatch, Whole};
use crate::cluster::Cluster;
use crate::connection::{ConnectError, Connection, ConnectionError, FetchStream, LogBounds, TIMEOUT};

/// How a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// How many bytes a response may have, unless a batch is larger.
    pub response_bytes: usize,
    /// How often in a row, with pauses from 0.2 s to 3.2 s, something is tried before the reader gives it up.
    pub tries: u32,
}

/// Why a partition cannot be read without a module. Each caller says it in words of its own.
#[derive(Debug)]
pub enum ReadError {
    /// The way to the leader is broken, and stays so.
    Unavailable { topic: String, partition: PartitionId, offset: i64, reason: String },
    /// The log does not reach back so far any longer.
    Evicted { topic: String, partition: PartitionId, offset: i64, start: i64 },
    /// The log ends before the offset that must be read.
    Shorter {
        topic: String,
        partition: PartitionId,
        /// Up to where it was to be read.
        offset: i64,
        end: i64,
        /// Whether a leader that is new may not know the whole of what was committed yet.
        lagging: bool,
    },
    /// A batch that cannot be read, or does not begin where the one before ends.
    Unreadable { topic: String, partition: PartitionId, offset: i64, what: String },
    /// The topic is gone.
    Deleted { topic: String },
    /// The client's own settings cannot be used.
    Settings { address: String, reason: String },
}

/// The end of a reader that waits for more.
const FOLLOW: i64 = i64::MAX;

/// Why one attempt failed.
struct Failure {
    error: ReadError,
    /// Whether another attempt may go better.
    passes: bool,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self { error, passes: false }
    }
}

/// A connection with a stream.
struct Session {
    connection: Arc<Connection>,
    stream: FetchStream,
    /// What has been taken and is not acknowledged yet: the stream's number, and the offset that comes next.
    taken: Option<(u32, i64)>,
    /// An acknowledgement on its way. It is kept here so that a caller that drops [`BatchReader::next`] does not repeat it.
    acknowledging: Option<BoxFuture<'static, Result<(), ConnectionError>>>,
}

/// Reads stored batches in order.
pub struct BatchReader {
    cluster: Cluster,
    topic: String,
    partition: PartitionId,
    /// The offset that comes next.
    position: i64,
    /// Whether the position may lie inside a batch.
    inside: bool,
    /// Where reading ends.
    until: i64,
    bounds: LogBounds,
    /// The offset after the last batch that waits in `ready`.
    fetched: i64,
    ready: VecDeque<Batch<RawRecords>>,
    max_bytes: i32,
    session: Option<Session>,
    failures: u32,
    tries: u32,
}

impl BatchReader {
    /// Connects to the partition's leader. Reading begins with the batch that holds the offset `from`, and ends where the
    /// log ends now ([`BatchReader::seek`] and [`BatchReader::follow`] say otherwise).
    ///
    /// # Errors
    /// A [`ReadError`]: nobody leads the partition, its leader does not answer, or its log does not hold `from`.
    pub async fn open(
        cluster: &Cluster,
        topic: &str,
        partition: PartitionId,
        from: i64,
        options: ReadOptions,
    ) -> Result<Self, ReadError> {
        let reader = Self {
            cluster: cluster.clone(),
            topic: topic.to_owned(),
            partition,
            position: from,
            inside: true,
            until: from,
            bounds: LogBounds { start: from, end: from },
            fetched: from,
            ready: VecDeque::new(),
            max_bytes: i32::try_from(options.response_bytes).unwrap_or(i32::MAX),
            session: None,
            failures: 0,
            tries: options.tries,
        };
        reader.opened().await
    }

    async fn opened(mut self) -> Result<Self, ReadError> {
        self.connected().await?;
        self.until = self.bounds.end;
        Ok(self)
    }

    /// Where the log began and ended when that was last asked: when reading began, after [`BatchReader::ask`], or when the
    /// connection was made again.
    pub fn bounds(&self) -> LogBounds {
        self.bounds
    }

    /// Asks where the log begins and ends now.
    ///
    /// # Errors
    /// A [`ReadError`] if the leader does not answer.
    pub async fn ask(&mut self) -> Result<LogBounds, ReadError> {
        loop {
            self.connected().await?;
            let Some(session) = &self.session else { continue };
            match session.connection.bounds(TIMEOUT).await {
                Ok(bounds) => {
                    self.bounds = bounds;
                    return Ok(bounds);
                }
                Err(error) => self.retry(self.broken(error)).await?,
            }
        }
    }

    /// Reads on without end: [`BatchReader::next`] waits at the log's end for what is appended.
    pub fn follow(&mut self) {
        self.until = FOLLOW;
    }

    /// The offset that comes next: after the last batch that was given, by its header.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Goes on with the batch that holds `from`, and ends with the one that holds the last offset before `until`. What
    /// lies ahead is read as it comes if `from` is the position; otherwise another stream is opened.
    pub fn seek(&mut self, from: i64, until: i64) {
        self.until = until;
        if from != self.position {
            (self.position, self.fetched, self.inside) = (from, from, true);
            self.ready.clear();
            self.session = None;
        }
    }

    /// The next batch; `None` when all up to the end has been given. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A [`ReadError`] if it cannot be had. What was given before is right.
    pub async fn next(&mut self) -> Result<Option<StoredBatch>, ReadError> {
        loop {
            if self.position >= self.until {
                return Ok(None);
            }
            if let Some(batch) = self.ready.pop_front() {
                return self.give(batch).map(Some);
            }
            self.connected().await?;
            if let Err(failure) = self.fetch().await {
                self.retry(failure).await?;
            }
        }
    }

    /// The next batch, if it has been fetched already and can be given; [`BatchReader::next`] says why it cannot.
    pub fn ready(&mut self) -> Option<StoredBatch> {
        let batch = self.ready.front().filter(|_| self.position < self.until)?.clone();
        let batch = self.give(batch).ok()?;
        self.ready.pop_front();
        Some(batch)
    }

    fn give(&mut self, batch: Batch<RawRecords>) -> Result<StoredBatch, ReadError> {
        let expected = self.position;
        let (found, next) = (batch.base_offset, batch::next_offset(&batch));
        let fits = found == expected || (self.inside && found < expected && expected < next);
        if !fits {
            let what = format!(
                "a batch was to begin at offset {expected}, but begins at {found}: the broker's log is damaged"
            );
            return Err(self.unreadable(found, what));
        }
        let batch = StoredBatch::new(batch).map_err(|damaged| self.unreadable(found, damaged.to_string()))?;
        (self.position, self.inside) = (next, false);
        Ok(batch)
    }

    /// Takes a response.
    async fn fetch(&mut self) -> Result<(), Failure> {
        let follows = self.until == FOLLOW;
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let response = async {
            if let Some((stream, offset)) = session.taken.take() {
                let connection = Arc::clone(&session.connection);
                session.acknowledging =
                    Some(Box::pin(async move { connection.acknowledge(stream, offset, TIMEOUT).await }));
            }
            if let Some(acknowledging) = &mut session.acknowledging {
                acknowledging.await?;
                session.acknowledging = None;
            }
            if follows {
                return session.stream.next_stored().await;
            }
            let response = timeout(TIMEOUT, session.stream.next_stored()).await;
            response.map_err(|_| ConnectionError::Silent(TIMEOUT))?
        };
        let response = match response.await {
            Ok(response) => response,
            Err(error) => return Err(self.broken(error)),
        };
        let stream = response.session;
        self.bounds.end = self.bounds.end.max(response.end);
        let Whole { batches, cut } = batch::whole(response.batches)
            .map_err(|damaged| self.unreadable(damaged.base_offset, damaged.to_string()))?;
        if follows && batches.is_empty() && cut.is_none() {
            return Ok(());
        }
        let before = self.fetched;
        for batch in batches {
            let next = batch::next_offset(&batch);
            if next > self.fetched {
                self.fetched = next;
                self.ready.push_back(batch);
            }
        }
        if self.fetched > before {
            self.failures = 0;
            if let Some(session) = &mut self.session {
                session.taken = Some((stream, self.fetched));
            }
            return Ok(());
        }
        let needed = cut.unwrap_or(batch::LEAST_RESPONSE);
        let needed = i32::try_from(needed).unwrap_or(i32::MAX);
        if needed > self.max_bytes {
            debug!(self.partition, offset = self.fetched, needed, "a batch that is larger than a response");
            self.max_bytes = needed;
            self.session = None;
            return Ok(());
        }
        Err(self.unavailable("a response holds no whole batch".to_owned()))
    }

    /// Makes sure that there is a connection.
    async fn connected(&mut self) -> Result<(), ReadError> {
        while self.session.is_none() {
            match self.connect().await {
                Ok(session) => self.session = Some(session),
                Err(failure) => self.retry(failure).await?,
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<Session, Failure> {
        let (topic, partition) = (self.topic.clone(), self.partition);
        let connection = Connection::to_leader(&self.cluster, &topic, partition).await;
        let mut connection = connection.map_err(|error| match error {
            ConnectError::Settings(reason) => {
                ReadError::Settings { address: self.cluster.address().to_owned(), reason }.into()
            }
            error => self.unavailable(error.to_string()),
        })?;
        let bounds = connection.bounds(TIMEOUT).await.map_err(|error| self.broken(error))?;
        // Beyond the log's ends it would only say that it cannot.
        let stream = if (bounds.start..=bounds.end).contains(&self.fetched) {
            let stream = connection.stream(None, self.fetched, self.max_bytes).await;
            Some(stream.map_err(|error| self.broken(error))?)
        } else {
            None
        };
        self.bounds = bounds;
        let lagging = connection.is_replicated();
        let (offset, LogBounds { start, end }) = (self.fetched, bounds);
        if start > offset {
            return Err(ReadError::Evicted { topic, partition, offset, start }.into());
        }
        let enough = self.until == FOLLOW || end >= self.until;
        match stream {
            Some(stream) if enough => {
                Ok(Session { connection: Arc::new(connection), stream, taken: None, acknowledging: None })
            }
            // A new leader may not know the whole of what was committed yet.
            _ => {
                let offset = if self.until == FOLLOW { offset } else { offset.max(self.until) };
                Err(Failure { error: ReadError::Shorter { topic, partition, offset, end, lagging }, passes: true })
            }
        }
    }

    /// Waits a little before the next attempt, unless this was the last one.
    async fn retry(&mut self, failure: Failure) -> Result<(), ReadError> {
        self.session = None;
        self.failures += 1;
        if !failure.passes || self.failures >= self.tries {
            self.failures = 0;
            return Err(failure.error);
        }
        debug!(self.partition, offset = self.fetched, error = ?failure.error, "trying again");
        tokio::time::sleep(Backoff::BROKER.pause(self.failures - 1, 0.5)).await;
        Ok(())
    }

    fn broken(&self, error: ConnectionError) -> Failure {
        let (topic, partition, offset) = (self.topic.clone(), self.partition, self.fetched);
        match error {
            ConnectionError::Code(ErrorCode::OffsetEvicted { next_available, .. }) => {
                // Some brokers do not say.
                let start = next_available.max(offset.saturating_add(1));
                ReadError::Evicted { topic, partition, offset, start }.into()
            }
            ConnectionError::Code(ErrorCode::TopicDeleted) => ReadError::Deleted { topic }.into(),
            error => self.unavailable(error.to_string()),
        }
    }

    fn unavailable(&self, reason: String) -> Failure {
        let (topic, partition, offset) = (self.topic.clone(), self.partition, self.fetched);
        Failure { error: ReadError::Unavailable { topic, partition, offset, reason }, passes: true }
    }

    fn unreadable(&self, offset: i64, what: String) -> ReadError {
        ReadError::Unreadable { topic: self.topic.clone(), partition: self.partition, offset, what }
    }
}
