//! The reader of one partition: attaches, follows the log, has its batches combined, and delivers the partials in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_model::partial::PartitionId;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, warn};

use super::super::error::SourceError;
use super::super::lost::LostLog;
use super::super::start::Progress;
use super::super::topic::Outlet;
use super::NativeContext;
use super::workers::{Chunk, CombinedBatch, Unreadable};
use crate::log::kafka::KAFKA;
use crate::log::{Backoff, END_UNKNOWN, FILES, LogBatch, LogBounds, LogError, LogReader, jitter};

/// About how many stored bytes are combined in one task.
const CHUNK_BYTES: usize = 512 << 10;

/// How many tasks may be under way for one partition.
const AT_ONCE: usize = 4;

/// How long a broker that has something to give may take. It is long because a busy broker answers late.
const SLOW: Duration = Duration::from_secs(30);

/// How long a new leader may not know how far its log is committed: it has to hear from its followers.
const LAG_GRACE: Duration = Duration::from_secs(30);

/// How long a connection must have held for the next pause to be a short one again, although nothing came.
const STEADY: Duration = Duration::from_secs(20);

/// Why a session ended.
enum End {
    NoListener,
    /// Another attempt may go better: why this one failed.
    Retry(String),
    /// The log ends before the position, as far as its leader knows.
    Lagging(SourceError),
    /// The run is over.
    Fatal(SourceError),
}

/// The batch that was delivered last.
#[derive(Debug, Clone, Copy)]
struct Last {
    first: i64,
    /// Where its records end.
    next: i64,
    digest: u64,
}

/// Reads one partition until nobody listens.
pub(super) struct Reader {
    context: Arc<NativeContext>,
    outlet: Outlet,
    partition: PartitionId,
    /// Up to where the log has been delivered: a batch boundary. `None` before the first attach.
    position: Option<i64>,
    last: Option<Last>,
    /// Since when it has been attached; `None` while it is not.
    attached: Option<Instant>,
    attempts: u32,
    /// Since when the log has ended before the position.
    lagging: Option<Instant>,
    lost: LostLog,
}

impl Reader {
    pub(super) fn new(context: Arc<NativeContext>, outlet: Outlet) -> Self {
        let partition = outlet.partition;
        let lost = LostLog::new(&context.source.topic, partition);
        let (position, last, attached, lagging) = (None, None, None, None);
        Self { context, outlet, partition, position, last, attached, attempts: 0, lagging, lost }
    }

    /// Runs until nobody listens or it cannot go on.
    pub(super) async fn run(mut self) {
        loop {
            let end = match self.session().await {
                Err(end) => end,
                Ok(()) => End::NoListener,
            };
            if let Some(since) = self.attached.take() {
                if since.elapsed() >= STEADY {
                    self.attempts = 0;
                }
                if !self.outlet.send(Event::Detached { partition: self.partition }, None).await {
                    return;
                }
            }
            let reason = match end {
                End::NoListener => return,
                End::Fatal(error) => return self.outlet.fail(self.explained(error)).await,
                End::Lagging(error) => {
                    if self.lagging.get_or_insert_with(Instant::now).elapsed() >= LAG_GRACE {
                        return self.outlet.fail(error).await;
                    }
                    "it ends before what has been read of it, as far as is known yet".to_owned()
                }
                End::Retry(reason) => reason,
            };
            let mut pause = Backoff::BROKER.pause(self.attempts, jitter());
            if self.lagging.is_some() {
                pause = pause.min(Duration::from_secs(2));
            }
            self.attempts = self.attempts.saturating_add(1);
            self.lost.lost(&reason, self.position, pause);
            sleep(pause).await;
        }
    }

    /// One connection, to its end.
    async fn session(&mut self) -> Result<(), End> {
        let reader = self.attach().await?;
        self.follow(reader).await
    }

    /// Opens a stream at the position, and makes sure that it is the log that was read.
    async fn attach(&mut self) -> Result<Box<dyn LogReader>, End> {
        let (log, options) = (self.context.log.clone(), self.context.options);
        let mut bounds = log.bounds(self.partition).await.map_err(|error| self.end(error))?;
        loop {
            let position = self.start(bounds)?;
            // A batch without records says nothing of a log, and may be gone.
            let known = self.last.filter(|last| last.first < last.next && bounds.start <= last.first);
            let from = known.map_or(position, |last| last.first);
            let mut reader = match log.read(self.partition, from, options).await {
                Ok(reader) => reader,
                // The log's beginning moved between the question and the fetch.
                Err(LogError::Evicted { start, .. }) if start > bounds.start => {
                    bounds.start = start;
                    continue;
                }
                Err(error) => return Err(self.end(error)),
            };
            let mut cuts = self.context.cuts.get(&self.partition).cloned().unwrap_or_default();
            // The last batch of this run must come again as well.
            cuts.extend(self.last.iter().flat_map(|last| [last.first, last.next]));
            reader.cut_at(&cuts);
            bounds = reader.bounds();
            let position = self.start(bounds)?;
            if let Some(last) = known {
                match reader.next().await {
                    Ok(Some(batch)) if self.is_same(&batch, last).await => {}
                    Err(LogError::Evicted { start, .. }) if start > bounds.start => {
                        bounds.start = start;
                        continue;
                    }
                    Ok(_) | Err(LogError::Unreadable { .. }) => return Err(End::Fatal(self.other_log(last.first))),
                    Err(error) => return Err(self.end(error)),
                }
                reader.seek(position, bounds.end);
                // What is emitted as the end must be so now: from then on the partition may be taken for idle.
                reader.ask().await.map_err(|error| self.end(error))?;
            }
            self.attached_at(&mut *reader, position).await?;
            return Ok(reader);
        }
    }

    async fn attached_at(&mut self, reader: &mut dyn LogReader, position: i64) -> Result<(), End> {
        let (partition, end) = (self.partition, reader.bounds().end);
        if let Some(later) = self.progress().later_start(position) {
            warn!("{later}");
        }
        self.lost.attached(position, end);
        self.attached = Some(Instant::now());
        self.lagging = None;
        self.position = Some(position);
        let end = (end != END_UNKNOWN).then_some(end.max(position));
        self.emit(Event::Attached { partition, position, end }).await?;
        self.emit_parts(reader).await
    }

    /// What has been read, for where to read from.
    fn progress(&self) -> Progress<'_> {
        self.outlet.progress(&self.context.source, self.position, self.last.is_some())
    }

    /// Where to read from.
    fn start(&self, bounds: LogBounds) -> Result<i64, End> {
        self.progress().start(bounds).map_err(End::Fatal)
    }

    /// Whether this is the batch that was delivered last.
    async fn is_same(&self, batch: &LogBatch, last: Last) -> bool {
        let (workers, batch) = (self.context.workers.clone(), batch.clone());
        let first = batch.first;
        let combined = tokio::task::spawn_blocking(move || workers.combine(std::slice::from_ref(&batch)).0).await;
        let digest = combined.ok().and_then(|combined| combined.first().map(|combined| combined.digest));
        (first, digest) == (last.first, Some(last.digest))
    }

    /// The error in the words of this kind of log.
    fn explained(&self, error: SourceError) -> SourceError {
        let log = &self.context.log;
        if log.identity().kind == FILES { error.of_file(log.name(self.partition)) } else { error }
    }

    fn other_log(&self, offset: i64) -> SourceError {
        SourceError::OtherLog { topic: self.context.source.topic.clone(), partition: self.partition, offset }
    }

    /// What an error of the log means.
    fn end(&self, error: LogError) -> End {
        let progress = self.progress();
        let position = self.position.unwrap_or_default();
        match error {
            LogError::Retry { reason, .. } => End::Retry(reason),
            LogError::NoAnswer { reason, .. } => End::Retry(reason),
            LogError::Evicted { .. } if progress.is_untouched() => End::Retry(error.to_string()),
            LogError::Evicted { start, .. } => End::Fatal(progress.evicted(position, start)),
            LogError::Shorter { topic, partition, end, lagging, .. } => {
                let error = SourceError::Shorter { topic, partition, position, end };
                if lagging { End::Lagging(error) } else { End::Fatal(error) }
            }
            LogError::Unreadable { what, .. } => End::Fatal(self.damaged(what)),
            // Kafka's topics are not made with our commands, which a hint would name.
            error @ LogError::Deleted { .. } if self.context.log.identity().kind == KAFKA => End::Fatal(error.into()),
            LogError::Deleted { topic } => End::Fatal(SourceError::TopicDeleted { topic }),
            error @ (LogError::NoTopic { .. } | LogError::Replaced { .. } | LogError::Fatal(_)) => {
                End::Fatal(error.into())
            }
        }
    }

    fn damaged(&self, reason: String) -> SourceError {
        let (topic, partition) = (self.context.source.topic.clone(), self.partition);
        SourceError::DamagedBatch { topic, partition, position: self.position.unwrap_or_default(), reason }
    }

    /// Delivers what comes until something breaks.
    async fn follow(&mut self, mut reader: Box<dyn LogReader>) -> Result<(), End> {
        reader.follow();
        let mut end = reader.bounds().end;
        let mut poll = interval(self.context.source.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll.reset();
        let mut under_way: VecDeque<JoinHandle<Chunk>> = VecDeque::new();
        let mut last_read = Instant::now();
        let mut ended = false;
        loop {
            if ended && under_way.is_empty() {
                return self.ended(reader.position()).await;
            }
            let paused = *self.outlet.paused.borrow_and_update();
            let room = under_way.len() < AT_ONCE;
            tokio::select! {
                changed = self.outlet.paused.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    last_read = Instant::now();
                }
                chunk = finished(&mut under_way), if !paused => {
                    self.deliver(chunk).await?;
                }
                batch = reader.next(), if !paused && room && !ended => {
                    let batches = match batch {
                        Ok(Some(batch)) => at_hand(batch, &mut *reader),
                        Ok(None) => {
                            ended = true;
                            continue;
                        }
                        Err(error) => {
                            // What was read before it is right.
                            while let Some(task) = under_way.pop_front() {
                                self.deliver(joined(task.await)).await?;
                            }
                            return Err(self.end(error));
                        }
                    };
                    last_read = Instant::now();
                    self.emit_parts(&mut *reader).await?;
                    under_way.push_back(self.context.workers.start(batches));
                    end = self.emit_end(end, reader.bounds().end).await?;
                }
                _ = poll.tick() => {
                    // While batches come, each says where the log ends.
                    let idle = last_read.elapsed() >= self.context.source.poll;
                    if idle || paused {
                        let caught_up = reader.position() >= end;
                        let within = if caught_up { self.context.source.timeout } else { SLOW };
                        let asked = timeout(within, reader.ask()).await;
                        let silent = || End::Retry(format!("no answer within {} s", within.as_secs()));
                        let now = asked.map_err(|_| silent())?.map_err(|error| self.end(error))?.end;
                        end = end.max(now);
                        self.emit_known(end).await?;
                        let may_wait = reader.position() >= end || end == END_UNKNOWN;
                        if paused || may_wait || !under_way.is_empty() {
                            last_read = Instant::now();
                        } else if last_read.elapsed() >= SLOW {
                            return Err(End::Retry(format!("nothing came within {} s", SLOW.as_secs())));
                        }
                    } else {
                        self.emit_known(end).await?;
                    }
                }
            }
        }
    }

    /// The partition ends here for good. Its end is emitted again and again: one whose end is not known is no idle one.
    async fn ended(&mut self, end: i64) -> Result<(), End> {
        let partition = self.partition;
        debug!(partition, end, "read to its end");
        self.emit(Event::End { partition, end }).await?;
        if !self.context.is_bounded {
            self.emit(Event::Finish).await?;
        }
        loop {
            sleep(self.context.source.poll).await;
            self.emit(Event::End { partition, end }).await?;
        }
    }

    async fn emit_parts(&self, reader: &mut dyn LogReader) -> Result<(), End> {
        for (place, part) in reader.parts() {
            self.emit(Event::Part { partition: self.partition, place, part }).await?;
        }
        Ok(())
    }

    /// Emits the end, if it is known.
    async fn emit_known(&self, end: i64) -> Result<(), End> {
        if end == END_UNKNOWN { Ok(()) } else { self.emit(Event::End { partition: self.partition, end }).await }
    }

    async fn emit_end(&self, known: i64, end: i64) -> Result<i64, End> {
        if end > known {
            self.emit(Event::End { partition: self.partition, end }).await?;
        }
        Ok(known.max(end))
    }

    async fn deliver(&mut self, (batches, unreadable): Chunk) -> Result<(), End> {
        let partition = self.partition;
        for CombinedBatch { partial, digest, bytes, next } in batches {
            let room = self.context.source.room(bytes).await.ok_or(End::NoListener)?;
            let source = partial.source;
            let event = Event::Partial { partition, partial: Box::new(partial), digest };
            if !self.outlet.send(event, Some(room)).await {
                return Err(End::NoListener);
            }
            self.position = Some(source.next);
            self.last = Some(Last { first: source.first, next: source.next, digest });
            self.attempts = 0;
            if next > source.next {
                debug!(partition, source.next, next, "a batch that lacks its last records");
                self.emit(Event::OffsetGap { partition, next }).await?;
                self.position = Some(next);
            }
        }
        match unreadable {
            Some(Unreadable(what)) => Err(End::Fatal(self.damaged(what))),
            None => Ok(()),
        }
    }

    async fn emit(&self, event: Event) -> Result<(), End> {
        if self.outlet.send(event, None).await { Ok(()) } else { Err(End::NoListener) }
    }
}

/// This batch, and those behind it that have been fetched already, for one task.
fn at_hand(batch: LogBatch, reader: &mut dyn LogReader) -> Vec<LogBatch> {
    let mut bytes = batch.byte_len();
    let mut batches = vec![batch];
    while bytes < CHUNK_BYTES
        && let Some(batch) = reader.ready()
    {
        bytes = bytes.saturating_add(batch.byte_len());
        batches.push(batch);
    }
    batches
}

/// What the oldest task gives; waits for ever if none is under way.
async fn finished(under_way: &mut VecDeque<JoinHandle<Chunk>>) -> Chunk {
    let Some(task) = under_way.front_mut() else {
        return std::future::pending().await;
    };
    let done = task.await;
    under_way.pop_front();
    joined(done)
}

fn joined(done: Result<Chunk, tokio::task::JoinError>) -> Chunk {
    done.unwrap_or_else(|error| (Vec::new(), Some(Unreadable(error.to_string()))))
}
