//! The reader of one partition: attaches ([`attach`]), streams, and delivers what comes ([`deliver`]), in the log's order. What it
//! does when that breaks off is in [`super::recover`].

mod attach;
mod deliver;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isotherm_engine::event::Event;
use isotherm_fluvio::{ConnectError, ConnectionError, ErrorCode, FetchResponse, RecordData, TIMEOUT};
use isotherm_model::partial::PartitionId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::warn;

use self::attach::Attached;
use super::super::error::SourceError;
use super::super::lost::LostLog;
use super::super::start::Progress;
use super::super::topic::Outlet;
use super::ModuleContext;
use super::api::{BrokerApi, PartitionConnection};
use super::policy::Policy;
use crate::log::{LogBounds, LogError};

/// How long nothing may come, although there is something to read, before the reader looks up whether there is.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How many streams may be opened at once, over all partitions. The broker makes a module ready for each. Asked for hundreds at
/// once, it would finish none before each is given up and asked for again.
pub(super) const OPENING: usize = 4;

/// How long a stream counts as being opened whose first answer does not come. Shorter than it takes a busy broker, and more and
/// more would be asked for at once; much longer, and brokers with large backlogs would hold up the others. A partition that waits
/// for others does not count.
const MADE_READY: Duration = Duration::from_secs(15);

/// The same where there is nothing to read, so that no answer says when it is ready.
const MADE_READY_UNSEEN: Duration = Duration::from_millis(500);

/// How long the first answer of a stream may take before another stream is tried, although the reader has nothing else to ask for.
/// The broker does what it was asked for even when nobody waits for it any longer, and all of it again for the next stream.
const FIRST_ANSWER: Duration = Duration::from_secs(60);

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    NoListener,
    /// Fetch again from the last good boundary, at once: why.
    Again(String),
    /// Another module than ours answers, perhaps one that has just been replaced: what it is.
    OtherModule(String),
    /// The connection broke.
    Broken(ConnectionError),
    NoLeader,
    /// It cannot be known whether it is the log that was read: why.
    Unchecked(String),
    NoController(String),
    /// The log ends before the position, as far as its leader knows: the error, if that stays.
    Lagging(SourceError),
    /// The run is over.
    Fatal(SourceError),
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        Self::Broken(error)
    }
}

impl From<ConnectError> for End {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoController(error) => Self::NoController(error.to_string()),
            ConnectError::NoLeader => Self::NoLeader,
            ConnectError::Connection(error) => Self::Broken(error),
            ConnectError::Settings(reason) => {
                let reason = format!("the settings for the cluster cannot be used: {reason}");
                Self::Fatal(LogError::Fatal(reason).into())
            }
        }
    }
}

/// The batch that was delivered last.
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
    pub(super) context: Arc<ModuleContext>,
    pub(super) api: Box<dyn BrokerApi>,
    outlet: Outlet,
    pub(super) partition: PartitionId,
    /// Up to where the log has been delivered: a batch boundary. `None` before the first attach.
    pub(super) position: Option<i64>,
    pub(super) last: Option<Last>,
    /// The position for which the end of the last batch has been looked up, in this session.
    looked_up: Option<i64>,
    pub(super) policy: Policy,
    /// Since when it has been attached; `None` while it is not.
    attached: Option<Instant>,
    pub(super) lost: LostLog,
}

impl Reader {
    pub(super) fn new(context: Arc<ModuleContext>, api: Box<dyn BrokerApi>, outlet: Outlet) -> Self {
        Self {
            lost: LostLog::new(&context.source.topic, outlet.partition),
            context,
            api,
            partition: outlet.partition,
            outlet,
            position: None,
            last: None,
            looked_up: None,
            policy: Policy::new(),
            attached: None,
        }
    }

    /// What has been read, for where to read from.
    pub(super) fn progress(&self) -> Progress<'_> {
        self.outlet.progress(&self.context.source, self.position, self.last.is_some())
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
            let error = match self.recover(end).await {
                Ok(()) => continue,
                Err(Some(error)) => error,
                Err(None) => return,
            };
            return self.outlet.fail(error).await;
        }
    }

    /// One connection, from the leader's look-up to its end.
    async fn session(&mut self) -> End {
        match self.attach().await {
            Ok(attached) => match self.stream(attached).await {
                Ok(()) => End::NoListener,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Hands on what comes until something breaks.
    async fn stream(&mut self, attached: Attached) -> Result<(), End> {
        let Attached { connection, mut responses, bounds, opening } = attached;
        let (connection, mut end) = (&*connection, bounds.end);
        let made_ready = sleep(if self.behind(end) > 0 { MADE_READY } else { MADE_READY_UNSEEN });
        tokio::pin!(made_ready);
        let mut opening = Some(opening);
        let mut poll = interval(self.context.source.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<BoxFuture<'_, Result<LogBounds, ConnectionError>>> = None;
        let mut rest: Option<Rest> = None;
        let mut session = None;
        let opened = Instant::now();
        let mut waiting_since = opened;
        loop {
            let paused = *self.outlet.paused.borrow_and_update();
            if paused {
                opening = None;
            }
            tokio::select! {
                changed = self.outlet.paused.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    waiting_since = Instant::now();
                }
                () = std::future::ready(()), if !paused && rest.is_some() => {
                    let before = self.position;
                    let Some(current) = &mut rest else { continue };
                    if let Some(value) = current.values.pop_front() {
                        self.deliver(&value).await?;
                    }
                    if self.position > before {
                        waiting_since = Instant::now();
                    }
                    end = end.max(self.position.unwrap_or_default());
                    if let Some(done) = rest.take_if(|rest| rest.values.is_empty()) {
                        if let Some(code) = done.error {
                            return Err(End::Broken(ConnectionError::Code(code)));
                        }
                        self.acknowledge(connection, done.session, end).await?;
                    }
                }
                response = responses.next(), if !paused && rest.is_none() => {
                    let FetchResponse { session: number, end: news, values, error } = response?;
                    opening = None;
                    session = Some(number);
                    if let Some(news) = news.filter(|news| *news > end) {
                        end = news;
                        self.send(Event::End { partition: self.partition, end }).await?;
                    }
                    rest = Some(Rest { session: number, values: values.into(), error });
                }
                () = &mut made_ready, if opening.is_some() => opening = None,
                bounds = answered(&mut asked) => {
                    asked = None;
                    end = end.max(bounds?.end);
                    self.send(Event::End { partition: self.partition, end }).await?;
                    let behind = self.behind(end);
                    if paused || behind == 0 || rest.is_some() {
                        waiting_since = Instant::now();
                    } else if waiting_since.elapsed() >= self.policy.timeout(behind) {
                        self.stalled(end, session.is_none() && opened.elapsed() < FIRST_ANSWER).await?;
                        waiting_since = Instant::now();
                    } else if waiting_since.elapsed() >= LOOK_AFTER && self.pass_offset_gap().await? {
                        end = end.max(self.position.unwrap_or_default());
                        waiting_since = Instant::now();
                        if let Some(session) = session {
                            self.acknowledge(connection, session, end).await?;
                        }
                    }
                }
                _ = poll.tick(), if asked.is_none() => asked = Some(connection.bounds(self.deadline(end))),
            }
        }
    }

    /// How many offsets are still to be read.
    fn behind(&self, end: i64) -> u64 {
        u64::try_from(end.saturating_sub(self.position.unwrap_or(end))).unwrap_or(0)
    }

    /// How long the leader may take to answer. One that works on a backlog may take longer: while there is one, the
    /// partition blocks the watermark anyway. One whose log has been read must answer, or nobody would know that it is
    /// idle.
    fn deadline(&self, end: i64) -> Duration {
        if self.behind(end) > 0 { TIMEOUT } else { self.context.source.timeout }
    }

    /// Tells the SPU how far it has been read.
    async fn acknowledge(&self, connection: &dyn PartitionConnection, session: u32, end: i64) -> Result<(), End> {
        match self.position {
            Some(position) if self.last.is_some() => {
                Ok(connection.acknowledge(session, position, self.deadline(end)).await?)
            }
            _ => Ok(()),
        }
    }

    /// Nothing came for too long: ends the session, unless it may go on and there is nothing else to ask for.
    async fn stalled(&mut self, end: i64, may_go_on: bool) -> Result<(), End> {
        if self.api.is_another_module().await {
            return Err(End::Fatal(self.nothing_comes(end)));
        }
        let asked = self.policy.max_bytes();
        let position = self.position.unwrap_or_default();
        let timeout = self.policy.timeout(self.behind(end)).as_secs();
        let next = self.api.stored(position).await;
        if self.policy.stalled(next.map(|next| next.bytes)) {
            warn!(
                "partition {} of `{}` is read up to offset {position} and ends at {end}, but nothing comes, again and again: \
                 the broker is very slow, or its own log says why; still trying",
                self.partition, self.context.source.topic
            );
        }
        if may_go_on && self.policy.max_bytes() == asked {
            return Ok(());
        }
        Err(End::Again(format!("nothing came within {timeout} s")))
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        self.emit(event, None).await
    }

    async fn emit(&self, event: Event, room: Option<OwnedSemaphorePermit>) -> Result<(), End> {
        if self.outlet.send(event, room).await { Ok(()) } else { Err(End::NoListener) }
    }
}

/// The answer to a question, if one has been asked.
async fn answered<T>(asked: &mut Option<BoxFuture<'_, T>>) -> T {
    match asked {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}
