//! The reader of one partition: attaches, streams, and hands on what comes ([`hand_on`]), in the log's order. What it does
//! when that breaks off is in [`super::mend`].

mod hand_on;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::RecordData;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::Terms;
use super::error::SourceError;
use super::link::{Answer, Extent, LinkError, PATIENCE};
use super::policy::Policy;
use super::way::{Line, NoWay, Stream, Way};
use crate::materializer::event::{Event, PartitionId};
use crate::source::From;

/// How long nothing may come, although there is something to read, before it is looked up whether there is.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// What waits to be taken may have so many KiB of encoded partials, over all partitions. A larger partial passes alone.
pub(super) const ROOM: u32 = 64 << 10;

/// What readers send.
pub(super) struct Message {
    /// What happened.
    pub(super) what: Result<Event, SourceError>,
    /// The room it takes until it is taken.
    _room: Option<OwnedSemaphorePermit>,
}

/// Where a partition of which nothing has been read in this run is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Its first record that is still there.
    Beginning,
    /// Its end at the first look.
    End,
    /// Where a run before this one said.
    At {
        /// A batch boundary.
        offset: i64,
        /// From where on it must be there: what lies before is read only to know the log by.
        needed: i64,
        /// Whether to begin where the log begins, if that is later.
        accept_gap: bool,
    },
}

impl std::convert::From<From> for Begin {
    fn from(from: From) -> Self {
        match from {
            From::Beginning => Self::Beginning,
            From::End => Self::End,
        }
    }
}

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// Nobody listens any longer.
    Unheard,
    /// Fetch again from the last good boundary, at once: why.
    Again(String),
    /// Another module than ours answers, perhaps one that has just been replaced: what it is.
    OtherModule(String),
    /// The link broke.
    Broken(LinkError),
    /// The leader is not known.
    NoLeader,
    /// The controller did not answer.
    NoController(String),
    /// The run is over.
    Fatal(SourceError),
}

impl std::convert::From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Broken(error)
    }
}

impl std::convert::From<NoWay> for End {
    fn from(error: NoWay) -> Self {
        match error {
            NoWay::NoController(reason) => Self::NoController(reason),
            NoWay::NoLeader => Self::NoLeader,
            NoWay::Link(error) => Self::Broken(error),
            NoWay::Fatal(error) => Self::Fatal(error),
        }
    }
}

/// The batch that was handed on last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Last {
    first: i64,
    /// Where its partial ends.
    next: i64,
    digest: u64,
}

/// What is left of an answer.
struct Rest {
    session: u32,
    values: VecDeque<RecordData>,
    error: Option<ErrorCode>,
}

/// Reads one partition until nobody listens.
pub(super) struct Reader {
    pub(super) terms: Arc<Terms>,
    pub(super) way: Box<dyn Way>,
    pub(super) partition: PartitionId,
    /// Where to begin if nothing has been read yet.
    pub(super) begin: Begin,
    messages: mpsc::Sender<Message>,
    /// Whether to wait.
    paused: watch::Receiver<bool>,
    /// Up to where the log has been handed on: a batch boundary. `None` before the first attach.
    pub(super) position: Option<i64>,
    pub(super) last: Option<Last>,
    /// The position for which the end of the last batch has been looked up, in this session.
    looked_up: Option<i64>,
    pub(super) policy: Policy,
    /// Since when it has been attached; `None` while it is not.
    attached: Option<Instant>,
    /// When it was last said that the connection is lost; `None` while it is not.
    pub(super) said_lost: Option<Instant>,
}

impl Reader {
    pub(super) fn new(
        terms: Arc<Terms>,
        way: Box<dyn Way>,
        (partition, begin): (PartitionId, Begin),
        messages: mpsc::Sender<Message>,
        paused: watch::Receiver<bool>,
    ) -> Self {
        Self {
            terms,
            way,
            partition,
            begin,
            messages,
            paused,
            position: None,
            last: None,
            looked_up: None,
            policy: Policy::new(),
            attached: None,
            said_lost: None,
        }
    }

    /// Runs until nobody listens or it cannot go on.
    pub(super) async fn run(mut self) {
        loop {
            let end = self.session().await;
            if let Some(since) = self.attached.take() {
                self.policy.detached(since.elapsed());
                if self.send(Event::Detached { partition: self.partition }).await.is_err() {
                    return;
                }
            }
            let error = match self.mend(end).await {
                Ok(()) => continue,
                Err(Some(error)) => error,
                Err(None) => return,
            };
            // If nobody listens any longer there is nobody to tell.
            let _ = self.messages.send(Message { what: Err(error), _room: None }).await;
            return;
        }
    }

    /// One connection, from the leader's look-up to its end.
    async fn session(&mut self) -> End {
        match self.attach().await {
            Ok((line, answers, extent)) => match self.stream(&*line, answers, extent).await {
                Ok(()) => End::Unheard,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Finds the leader, connects, and opens a stream at the position.
    async fn attach(&mut self) -> Result<(Box<dyn Line>, Box<dyn Stream>, Extent), End> {
        let mut line = self.way.connect().await?;
        let extent = line.extent(PATIENCE).await?;
        let position = self.start(extent).map_err(End::Fatal)?;
        let answers = line.stream(position, self.policy.max_bytes()).await?;
        let (topic, partition) = (&self.terms.topic, self.partition);
        // With another module each attachment succeeds: that is no way back.
        let waiting = self.policy.waits_for_replacement();
        match self.said_lost.take_if(|_| !waiting) {
            Some(_) => info!("partition {partition} of `{topic}` is back; reading on from offset {position}"),
            None => debug!(partition, position, end = extent.end, "attached"),
        }
        self.attached = Some(Instant::now());
        self.looked_up = None;
        self.position = Some(position);
        self.send(Event::Attached { partition, position, end: extent.end }).await?;
        Ok((line, answers, extent))
    }

    /// Where to read from: the position, if the log still has it.
    fn start(&self, extent: Extent) -> Result<i64, SourceError> {
        let (topic, partition) = (self.terms.topic.clone(), self.partition);
        let Extent { start, end } = extent;
        match (self.position, self.begin) {
            (None, Begin::Beginning) => Ok(start),
            (None, Begin::End) => Ok(end),
            (None, Begin::At { offset: resume, .. }) if resume > end => {
                Err(SourceError::Shorter { topic, partition, position: resume, end })
            }
            (None, Begin::At { offset: resume, needed, .. }) if resume < start && start <= needed => {
                warn!(
                    "partition {partition} of `{topic}` begins at offset {start} by now: nothing is missing, but the batch at \
                     {resume}, which was read last, can no longer tell whether this is the log that was read"
                );
                Ok(start)
            }
            (None, Begin::At { offset: resume, accept_gap, .. }) if resume < start => {
                if !accept_gap {
                    return Err(SourceError::Behind { topic, partition, resume, start });
                }
                warn!(
                    "partition {partition} of `{topic}` begins at offset {start} by now: going on without {resume} to it"
                );
                Ok(start)
            }
            (None, Begin::At { offset, .. }) => Ok(offset),
            (Some(position), _) if position > end => Err(SourceError::Shorter { topic, partition, position, end }),
            (Some(position), _) if position < start => {
                if self.is_untouched() {
                    Ok(start)
                } else {
                    Err(self.evicted(position, start))
                }
            }
            (Some(position), _) => Ok(position),
        }
    }

    /// Whether it stands at the beginning of the log, wherever that is by now: nothing has come yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.last.is_none() && self.begin == Begin::Beginning
    }

    /// Hands on what comes until something breaks.
    async fn stream(&mut self, line: &dyn Line, mut answers: Box<dyn Stream>, extent: Extent) -> Result<(), End> {
        let mut end = extent.end;
        let mut poll = interval(self.terms.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<BoxFuture<'_, Result<Extent, LinkError>>> = None;
        let mut rest: Option<Rest> = None;
        let mut session = None;
        let mut waiting_since = Instant::now();
        loop {
            let paused = *self.paused.borrow_and_update();
            tokio::select! {
                changed = self.paused.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    waiting_since = Instant::now();
                }
                () = std::future::ready(()), if !paused && rest.is_some() => {
                    let before = self.position;
                    let Some(current) = &mut rest else { continue };
                    if let Some(value) = current.values.pop_front() {
                        self.hand_on(&value).await?;
                    }
                    if self.position > before {
                        waiting_since = Instant::now();
                    }
                    end = end.max(self.position.unwrap_or_default());
                    if let Some(done) = rest.take_if(|rest| rest.values.is_empty()) {
                        if let Some(code) = done.error {
                            return Err(End::Broken(LinkError::Code(code)));
                        }
                        self.acknowledge(line, done.session, end).await?;
                    }
                }
                answer = answers.next(), if !paused && rest.is_none() => {
                    let Answer { session: number, end: news, values, error } = answer?;
                    session = Some(number);
                    if let Some(news) = news.filter(|news| *news > end) {
                        end = news;
                        self.send(Event::End { partition: self.partition, end }).await?;
                    }
                    rest = Some(Rest { session: number, values: values.into(), error });
                }
                extent = answered(&mut asked) => {
                    asked = None;
                    end = end.max(extent?.end);
                    self.send(Event::End { partition: self.partition, end }).await?;
                    let behind = self.behind(end);
                    if paused || behind == 0 || rest.is_some() {
                        waiting_since = Instant::now();
                    } else if waiting_since.elapsed() >= self.policy.patience(behind) {
                        return Err(self.stalled(end).await);
                    } else if waiting_since.elapsed() >= LOOK_AFTER && self.pass_hole().await? {
                        end = end.max(self.position.unwrap_or_default());
                        waiting_since = Instant::now();
                        if let Some(session) = session {
                            self.acknowledge(line, session, end).await?;
                        }
                    }
                }
                _ = poll.tick(), if asked.is_none() => asked = Some(line.extent(self.heed(end))),
            }
        }
    }

    /// How many offsets are still to be read.
    fn behind(&self, end: i64) -> u64 {
        u64::try_from(end.saturating_sub(self.position.unwrap_or(end))).unwrap_or(0)
    }

    /// How long the leader may take to answer. One that works on a backlog may take longer: while there is one, the
    /// partition holds windows back anyway. One whose log has been read must answer, or it would not be known that it is
    /// quiet.
    fn heed(&self, end: i64) -> Duration {
        if self.behind(end) > 0 { PATIENCE } else { self.terms.patience }
    }

    /// Tells the SPU how far it has been read.
    async fn acknowledge(&self, line: &dyn Line, session: u32, end: i64) -> Result<(), End> {
        match self.position {
            Some(position) if self.last.is_some() => Ok(line.acknowledge(session, position, self.heed(end)).await?),
            _ => Ok(()),
        }
    }

    /// Nothing came for too long.
    async fn stalled(&mut self, end: i64) -> End {
        if self.way.is_another_module().await {
            return End::Fatal(self.nothing_comes(end));
        }
        let position = self.position.unwrap_or_default();
        let patience = self.policy.patience(self.behind(end)).as_secs();
        let next = self.way.stored(position).await;
        if self.policy.stalled(next.map(|next| next.bytes)) {
            warn!(
                "partition {} of `{}` is read up to offset {position} and ends at {end}, but nothing comes, again and again: \
                 the broker is very slow, or its own log says why; still trying",
                self.partition, self.terms.topic
            );
        }
        End::Again(format!("nothing came within {patience} s"))
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        self.tell(event, None).await
    }

    async fn tell(&self, event: Event, room: Option<OwnedSemaphorePermit>) -> Result<(), End> {
        self.messages.send(Message { what: Ok(event), _room: room }).await.map_err(|_| End::Unheard)
    }
}

/// The answer to a question, if one has been asked.
async fn answered<T>(asked: &mut Option<BoxFuture<'_, T>>) -> T {
    match asked {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}
