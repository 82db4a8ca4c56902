//! The reader of one partition: attaches, streams, mends, and hands on what comes, in the log's order.

use std::sync::Arc;
use std::time::Duration;

use fluvio::Isolation;
use fluvio::dataplane::link::ErrorCode;
use isotherm_model::codec;
use isotherm_model::partial::{ModuleVersion, Partial};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::Shared;
use super::error::SourceError;
use super::link::{Answer, Answers, Extent, Fetch, Link, LinkError, Module, PATIENCE};
use super::policy::{Next, Policy, Trouble, Verdict};
use crate::materializer::event::{Event, PartitionId};
use crate::source::From;

/// How long a loss that stays is not said again.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// What readers send.
pub(super) type Message = Result<Event, SourceError>;

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
enum End {
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

/// Reads one partition until nobody listens.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) partition: PartitionId,
    /// Where to begin if nothing has been read yet.
    pub(super) begin: Begin,
    pub(super) messages: mpsc::Sender<Message>,
    /// Whether to wait.
    pub(super) paused: watch::Receiver<bool>,
    /// Up to where partials have been handed on: a batch boundary. `None` before the first attach.
    pub(super) position: Option<i64>,
    pub(super) policy: Policy,
    pub(super) attached: bool,
    /// When it was last said that the connection is lost; `None` while it is not.
    pub(super) said_lost: Option<Instant>,
}

impl Reader {
    /// Runs until nobody listens or it cannot go on.
    pub(super) async fn run(mut self) {
        loop {
            let end = self.session().await;
            if self.attached {
                self.attached = false;
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
            let _ = self.messages.send(Err(error)).await;
            return;
        }
    }

    /// One connection, from the leader's look-up to its end.
    async fn session(&mut self) -> End {
        match self.attach().await {
            Ok((link, answers, extent)) => match self.stream(link, answers, extent).await {
                Ok(()) => End::Unheard,
                Err(end) => end,
            },
            Err(end) => end,
        }
    }

    /// Finds the leader, connects, and opens a stream at the position.
    async fn attach(&mut self) -> Result<(Link, Answers, Extent), End> {
        let (topic, partition) = (self.shared.topic.clone(), self.partition);
        let leader = self.shared.cluster.leader(&topic, partition).await;
        let leader = leader.map_err(|error| End::NoController(error.to_string()))?.ok_or(End::NoLeader)?;
        let config = self.shared.cluster.spu_config(&leader).map_err(End::Fatal)?;
        let mut link = match Link::connect(config, &topic, partition).await {
            Err(LinkError::TooOld) => {
                return Err(End::Fatal(SourceError::TooOld { address: leader.address }));
            }
            link => link?,
        };
        let extent = link.extent(PATIENCE).await?;
        let position = self.start(extent).map_err(End::Fatal)?;
        let fetch = Fetch {
            module: Some(Module { name: self.shared.module.clone(), params: self.shared.params.clone() }),
            offset: position,
            max_bytes: self.policy.max_bytes(),
            isolation: if leader.replicated { Isolation::ReadCommitted } else { Isolation::ReadUncommitted },
        };
        let answers = link.stream(fetch).await?;
        // With another module each attachment succeeds: that is no way back.
        let waiting = self.policy.waits_for_replacement();
        match self.said_lost.take_if(|_| !waiting) {
            Some(_) => info!("partition {partition} of `{topic}` is back; reading on from offset {position}"),
            None => debug!(partition, position, end = extent.end, spu = %leader.address, "attached"),
        }
        self.policy.attached();
        self.attached = true;
        self.position = Some(position);
        self.send(Event::Attached { partition, position, end: extent.end }).await?;
        Ok((link, answers, extent))
    }

    /// Where to read from: the position, if the log still has it.
    fn start(&self, extent: Extent) -> Result<i64, SourceError> {
        let (topic, partition) = (self.shared.topic.clone(), self.partition);
        let Extent { start, end } = extent;
        match (self.position, self.begin) {
            (None, Begin::Beginning) => Ok(start),
            (None, Begin::End) => Ok(end),
            (None, Begin::At { offset: resume, .. }) if resume > end => {
                Err(SourceError::Shorter { topic, partition, position: resume, end })
            }
            (None, Begin::At { offset: resume, accept_gap: false }) if resume < start => {
                Err(SourceError::Behind { topic, partition, resume, start })
            }
            (None, Begin::At { offset, .. }) => Ok(offset.max(start)),
            (Some(position), _) if position > end => Err(SourceError::Shorter { topic, partition, position, end }),
            (Some(position), _) if position < start => Err(SourceError::Evicted { topic, partition, position, start }),
            (Some(position), _) => Ok(position),
        }
    }

    /// Hands on what comes until something breaks.
    async fn stream(&mut self, link: Link, mut answers: Answers, extent: Extent) -> Result<(), End> {
        let mut end = extent.end;
        let mut poll = interval(self.shared.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                answer = answers.next(), if !paused => {
                    let answer = answer?;
                    let (session, error) = (answer.session, answer.error.clone());
                    if let Some(news) = answer.end.filter(|news| *news > end) {
                        end = news;
                        self.send(Event::End { partition: self.partition, end }).await?;
                    }
                    let moved = self.hand_on(answer).await?;
                    if let Some(code) = error {
                        return Err(End::Broken(LinkError::Code(code)));
                    }
                    if let Some(position) = moved {
                        link.acknowledge(session, position, PATIENCE).await?;
                        waiting_since = Instant::now();
                    }
                }
                _ = poll.tick() => {
                    end = end.max(link.extent(PATIENCE).await?.end);
                    self.send(Event::End { partition: self.partition, end }).await?;
                    let behind = self.position.is_some_and(|position| position < end);
                    if paused || !behind {
                        waiting_since = Instant::now();
                    } else if waiting_since.elapsed() > self.policy.patience() {
                        let patience = self.policy.patience();
                        if !self.policy.stalled() || self.shared.is_another_module().await {
                            return Err(End::Fatal(self.nothing_comes(end)));
                        }
                        return Err(End::Again(format!("nothing came within {} s", patience.as_secs())));
                    }
                }
            }
        }
    }

    /// Hands an answer's partials on; the new position, if it moved.
    async fn hand_on(&mut self, answer: Answer) -> Result<Option<i64>, End> {
        let partition = self.partition;
        let mut moved = None;
        for value in answer.values {
            let expected = self.position.unwrap_or_default();
            let partial = match codec::decode(value.as_ref()) {
                Ok(partial) => partial,
                Err(error) if self.policy.may_be_replaced() => return Err(End::OtherModule(error.to_string())),
                Err(error) => return Err(End::Fatal(self.not_a_partial(&error))),
            };
            let source = partial.source;
            if !self.shared.is_ours(&partial) {
                let Partial { version, fingerprint, .. } = partial;
                if self.policy.may_be_replaced() {
                    let what = format!("it is version {version}, with settings of fingerprint {fingerprint}");
                    return Err(End::OtherModule(what));
                }
                debug!(partition, %version, %fingerprint, "another module that stays: for the materializer to refuse");
            }
            match self.policy.judge(expected, source) {
                Verdict::Accept => {
                    if self.said_lost.take().is_some() {
                        info!("partition {partition} of `{}`: this consumer's module answers now", self.shared.topic);
                    }
                }
                Verdict::Refetch => {
                    return Err(End::Again(format!(
                        "expected offset {expected}, got {} to {}",
                        source.first, source.next
                    )));
                }
                Verdict::HandOn => debug!(partition, expected, first = source.first, "a misfit that stays"),
            }
            let digest = codec::digest(value.as_ref());
            self.send(Event::Partial { partition, partial: Box::<Partial>::new(partial), digest }).await?;
            self.position = Some(source.next);
            moved = self.position;
        }
        Ok(moved)
    }

    fn not_a_partial(&self, error: &codec::DecodeError) -> SourceError {
        SourceError::NotAPartial {
            topic: self.shared.topic.clone(),
            module: self.shared.module.clone(),
            partition: self.partition,
            offset: self.position.unwrap_or_default(),
            reason: error.to_string(),
        }
    }

    fn nothing_comes(&self, end: i64) -> SourceError {
        SourceError::NothingComes {
            topic: self.shared.topic.clone(),
            module: self.shared.module.clone(),
            partition: self.partition,
            position: self.position.unwrap_or_default(),
            end,
        }
    }

    async fn send(&self, event: Event) -> Result<(), End> {
        self.messages.send(Ok(event)).await.map_err(|_| End::Unheard)
    }

    /// Decides what to do after a session; `Err` when the reader is to end, with what to tell.
    async fn mend(&mut self, end: End) -> Result<(), Option<SourceError>> {
        let (partition, topic) = (self.partition, self.shared.topic.clone());
        let (trouble, reason) = match end {
            End::Unheard => return Err(None),
            End::Fatal(error) => return Err(Some(error)),
            End::Again(reason) => {
                warn!(
                    "partition {partition} of `{topic}`: {reason}; reading again from offset {} with answers of up to {} bytes",
                    self.position.unwrap_or_default(),
                    self.policy.max_bytes()
                );
                return Ok(());
            }
            End::OtherModule(reason) => (Trouble::OtherModule, reason),
            End::NoController(reason) => (Trouble::Connection, reason),
            End::NoLeader => (Trouble::Connection, "the controller knows no leader for it".to_owned()),
            End::Broken(LinkError::Code(code)) => (self.judge_code(&code).await?, code.to_string()),
            End::Broken(error) => (Trouble::Connection, error.to_string()),
        };
        let Next::After(pause) = self.policy.after(trouble, jitter()) else {
            return Err(Some(self.given_up(trouble, reason)));
        };
        self.say(trouble, &reason, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// What an error code means; `Err` if it ends the run.
    async fn judge_code(&self, code: &ErrorCode) -> Result<Trouble, Option<SourceError>> {
        let topic = self.shared.topic.clone();
        match code {
            ErrorCode::TopicDeleted | ErrorCode::TopicNotFound => {
                if self.shared.topic_is_gone().await {
                    return Err(Some(SourceError::TopicDeleted { topic }));
                }
                Ok(Trouble::Connection)
            }
            // A leader that moved, or an SPU that has not heard yet that it leads.
            ErrorCode::NotLeaderForPartition
            | ErrorCode::PartitionNotLeader
            | ErrorCode::PartitionPendingInitialization
            | ErrorCode::SpuOffline => Ok(Trouble::Connection),
            ErrorCode::SmartModuleNotFound { .. } => Ok(Trouble::ModuleUnknown),
            ErrorCode::OffsetEvicted { next_available, .. } if self.position.is_some() => {
                Err(Some(SourceError::Evicted {
                    topic,
                    partition: self.partition,
                    position: self.position.unwrap_or_default(),
                    start: *next_available,
                }))
            }
            ErrorCode::SmartModuleInvalid { .. }
            | ErrorCode::SmartModuleInvalidExports { .. }
            | ErrorCode::SmartModuleRuntimeError(_)
            | ErrorCode::SmartModuleChainInitError(_)
            | ErrorCode::SmartModuleInitError(_)
            | ErrorCode::SmartModuleLookBackError(_)
            | ErrorCode::SmartModuleMemoryLimitExceeded { .. } => {
                if self.policy.may_be_replaced() {
                    return Ok(Trouble::OtherModule);
                }
                Err(Some(SourceError::ModuleFails { module: self.shared.module.clone(), reason: code.to_string() }))
            }
            _ => Ok(Trouble::Refusal),
        }
    }

    fn given_up(&self, trouble: Trouble, reason: String) -> SourceError {
        match trouble {
            Trouble::ModuleUnknown => SourceError::NoModule {
                address: self.shared.cluster.address().to_owned(),
                module: self.shared.module.clone(),
            },
            Trouble::OtherModule => SourceError::ModuleFails { module: self.shared.module.clone(), reason },
            Trouble::Connection | Trouble::Refusal => SourceError::Refused {
                topic: self.shared.topic.clone(),
                partition: self.partition,
                position: self.position.unwrap_or_default(),
                reason,
            },
        }
    }

    /// Says what went wrong; while it stays so, not at each attempt.
    fn say(&mut self, trouble: Trouble, reason: &str, pause: Duration) {
        let (partition, topic) = (self.partition, &self.shared.topic);
        let seconds = pause.as_secs_f64();
        if self.said_lost.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
            debug!("partition {partition} of `{topic}`: {reason}; trying again in {seconds:.1} s");
            return;
        }
        self.said_lost = Some(Instant::now());
        match (trouble, self.position) {
            (Trouble::ModuleUnknown, _) => info!(
                "the SPU does not know the SmartModule `{}` yet; trying again in {seconds:.1} s and on",
                self.shared.module
            ),
            (Trouble::OtherModule, _) => warn!(
                "the SPU runs another module as `{}`: {reason}; this consumer wants version {}. It may have been replaced \
                 a moment ago: trying for some seconds",
                self.shared.module,
                ModuleVersion::CURRENT
            ),
            (_, Some(position)) => warn!(
                "lost partition {partition} of `{topic}`: {reason}; reading on from offset {position} as soon as it is \
                 back, trying in {seconds:.1} s and on"
            ),
            (_, None) => {
                warn!("cannot read partition {partition} of `{topic}` yet: {reason}; trying in {seconds:.1} s and on")
            }
        }
    }
}

/// A fraction that differs between readers: spread, not secrecy, is what it is for.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(Instant::now().elapsed());
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
