//! The reader of one partition: attaches ([`attach`]), streams, and hands on what comes ([`hand_on`]), in the log's order. What it does
//! when that breaks off is in [`super::mend`].

mod attach;
mod hand_on;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::RecordData;
use futures_util::future::BoxFuture;
use isotherm_engine::event::Event;
use isotherm_engine::state::StartOffset;
use isotherm_model::partial::PartitionId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::warn;

use self::attach::Attached;
use super::Terms;
use super::error::SourceError;
use super::link::{Answer, Extent, LinkError, PATIENCE};
use super::policy::Policy;
use super::way::{Line, NoWay, Way};

/// How long nothing may come, although there is something to read, before it is looked up whether there is.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// So many streams may be opened at once, over all partitions. The broker makes a module ready for each; asked for hundreds
/// at once it would be through with none before each is given up and asked for again.
pub(super) const OPENING: usize = 4;

/// How long a stream counts as being opened whose first answer does not come. Shorter than it takes a busy broker, and more and
/// more would be asked for at once; much longer, and brokers with large backlogs would hold up the others. A partition that waits
/// for others does not count.
const MADE_READY: Duration = Duration::from_secs(15);

/// The same where there is nothing to read, so that no answer says when it is ready.
const MADE_READY_UNSEEN: Duration = Duration::from_millis(500);

/// How long the first answer of a stream may take before another stream is tried, although nothing else is to be asked for.
/// The broker does what it was asked for even when nobody waits for it any longer, and all of it again for the next stream.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

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
        accept_data_loss: bool,
    },
}

impl std::convert::From<StartOffset> for Begin {
    fn from(from: StartOffset) -> Self {
        match from {
            StartOffset::Beginning => Self::Beginning,
            StartOffset::End => Self::End,
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
    /// It cannot be known whether it is the log that was read: why.
    Unchecked(String),
    /// The controller did not answer.
    NoController(String),
    /// The log ends before the position, as far as its leader knows: the error, if that stays.
    Lagging(SourceError),
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
            Ok(attached) => match self.stream(attached).await {
                Ok(()) => End::Unheard,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Hands on what comes until something breaks.
    async fn stream(&mut self, attached: Attached) -> Result<(), End> {
        let Attached { line, mut answers, extent, opening } = attached;
        let (line, mut end) = (&*line, extent.end);
        let made_ready = sleep(if self.behind(end) > 0 { MADE_READY } else { MADE_READY_UNSEEN });
        tokio::pin!(made_ready);
        let mut opening = Some(opening);
        let mut poll = interval(self.terms.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<BoxFuture<'_, Result<Extent, LinkError>>> = None;
        let mut rest: Option<Rest> = None;
        let mut session = None;
        let opened = Instant::now();
        let mut waiting_since = opened;
        loop {
            let paused = *self.paused.borrow_and_update();
            if paused {
                opening = None;
            }
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
                    opening = None;
                    session = Some(number);
                    if let Some(news) = news.filter(|news| *news > end) {
                        end = news;
                        self.send(Event::End { partition: self.partition, end }).await?;
                    }
                    rest = Some(Rest { session: number, values: values.into(), error });
                }
                () = &mut made_ready, if opening.is_some() => opening = None,
                extent = answered(&mut asked) => {
                    asked = None;
                    end = end.max(extent?.end);
                    self.send(Event::End { partition: self.partition, end }).await?;
                    let behind = self.behind(end);
                    if paused || behind == 0 || rest.is_some() {
                        waiting_since = Instant::now();
                    } else if waiting_since.elapsed() >= self.policy.patience(behind) {
                        self.stalled(end, session.is_none() && opened.elapsed() < FIRST_ANSWER).await?;
                        waiting_since = Instant::now();
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

    /// Nothing came for too long: ends the session, unless it may go on and there is nothing else to ask for.
    async fn stalled(&mut self, end: i64, may_go_on: bool) -> Result<(), End> {
        if self.way.is_another_module().await {
            return Err(End::Fatal(self.nothing_comes(end)));
        }
        let asked = self.policy.max_bytes();
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
        if may_go_on && self.policy.max_bytes() == asked {
            return Ok(());
        }
        Err(End::Again(format!("nothing came within {patience} s")))
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
