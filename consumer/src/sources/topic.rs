//! All partitions of a topic as one source: a reader for each, and a task that looks for partitions that are added while the
//! topic is read, and for the topic's deletion.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use isotherm_engine::event::Event;
use isotherm_model::partial::PartitionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::Source;
use super::error::SourceError;
use super::plan::{ReadPlan, ReadStart};
use super::start::Progress;
use crate::log::kafka::KAFKA;
use crate::log::{Backoff, Log, LogError, LogIdentity};
use crate::reminder::Reminder;

/// How many messages may wait to be taken, over all partitions (and [`ROOM`] bounds their size). It is small because what waits
/// here takes memory, and because readers that cannot deliver do not acknowledge, so that the broker waits too.
const QUEUE: usize = 64;

/// What waits to be taken may have this many KiB of encoded partials, over all partitions. A larger partial passes alone.
pub(super) const ROOM: u32 = 64 << 10;

/// How often the controller is asked.
const PERIOD: Duration = Duration::from_secs(2);

/// In how many answers in a row the topic must be missing: a controller that has just started may not know it yet.
const MISSES: u32 = 3;

/// What all readers of a topic know.
pub(super) struct SourceContext {
    pub(super) topic: String,
    /// How often a partition's end is asked for.
    pub(super) poll: Duration,
    /// How long the leader of a partition that has been read to its end may take to answer that: well below `idle`, so that one
    /// that has fallen silent is known to be lost before it could be taken to be idle.
    pub(super) timeout: Duration,
    /// Whether the run was told to accept data loss.
    pub(super) accept_data_loss: bool,
    /// Room for partials that wait to be taken.
    room: Arc<Semaphore>,
}

impl SourceContext {
    /// For a topic whose partitions are idle after this time.
    pub(super) fn new(topic: &str, idle: Duration, accept_data_loss: bool) -> Self {
        Self {
            topic: topic.to_owned(),
            poll: (idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(1)),
            timeout: (idle / 4).clamp(Duration::from_secs(1), Duration::from_secs(10)),
            accept_data_loss,
            room: Arc::new(Semaphore::new(ROOM as usize)),
        }
    }

    /// Waits for room for a partial of this size.
    pub(super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let room = u32::try_from(bytes.div_ceil(1024)).unwrap_or(ROOM).clamp(1, ROOM);
        self.room.clone().acquire_many_owned(room).await.ok()
    }

    #[cfg(test)]
    pub(super) fn all_room(&self) -> Arc<Semaphore> {
        self.room.clone()
    }
}

/// What readers send.
pub(super) struct Message {
    /// What happened.
    pub(super) what: Result<Event, SourceError>,
    /// The room it takes until it is taken.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// A reader's ends of what connects it to its source.
pub(super) struct Outlet {
    pub(super) partition: PartitionId,
    pub(super) begin: ReadStart,
    pub(super) messages: mpsc::Sender<Message>,
    /// Whether to wait.
    pub(super) paused: watch::Receiver<bool>,
}

impl Outlet {
    /// Sends an event; false if nobody listens any longer.
    pub(super) async fn send(&self, event: Event, room: Option<OwnedSemaphorePermit>) -> bool {
        self.messages.send(Message { what: Ok(event), _room: room }).await.is_ok()
    }

    /// Ends the run with an error, if anybody listens.
    pub(super) async fn fail(&self, error: SourceError) {
        let _ = self.messages.send(Message { what: Err(error), _room: None }).await;
    }

    /// What has been read, for where to read from.
    pub(super) fn progress<'a>(
        &self,
        context: &'a SourceContext,
        position: Option<i64>,
        has_read: bool,
    ) -> Progress<'a> {
        let (topic, accept_data_loss) = (context.topic.as_str(), context.accept_data_loss);
        Progress { topic, partition: self.partition, begin: self.begin, position, has_read, accept_data_loss }
    }
}

/// Makes the reader of a partition.
pub(super) type NewReader = Box<dyn Fn(Outlet) -> BoxFuture<'static, ()> + Send + Sync>;

/// All partitions of one topic.
pub(super) struct TopicSource {
    new_reader: NewReader,
    /// Partitions found and not told yet, and then that these were all.
    news: VecDeque<Event>,
    gates: BTreeMap<PartitionId, watch::Sender<bool>>,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    added: mpsc::Receiver<Result<u32, SourceError>>,
    tasks: JoinSet<()>,
    /// What was committed last.
    committed: watch::Sender<Vec<(PartitionId, i64)>>,
}

impl TopicSource {
    /// Starts a reader for each partition of a topic, which has `partitions` of them now.
    pub(super) fn start(log: Arc<dyn Log>, partitions: u32, plan: &ReadPlan, new_reader: NewReader) -> Self {
        let (sender, messages) = mpsc::channel(QUEUE);
        let (added, additions) = mpsc::channel(1);
        let mut source = Self {
            new_reader,
            news: VecDeque::new(),
            gates: BTreeMap::new(),
            messages,
            sender,
            added: additions,
            tasks: JoinSet::new(),
            committed: watch::Sender::default(),
        };
        source.tasks.spawn(tell(log.clone(), source.committed.subscribe()));
        source.take_up(partitions, |partition| plan.start(partition));
        source.tasks.spawn(Discovery { log, known: partitions, fixed: plan.fixed_partitions, added }.run());
        source
    }

    /// Starts readers for partitions up to `count` that have none.
    fn take_up(&mut self, count: u32, begin: impl Fn(PartitionId) -> ReadStart) {
        for partition in 0..count {
            if self.gates.contains_key(&partition) {
                continue;
            }
            let (gate, paused) = watch::channel(false);
            self.gates.insert(partition, gate);
            self.news.push_back(Event::Found { partition });
            let messages = self.sender.clone();
            self.tasks.spawn((self.new_reader)(Outlet { partition, begin: begin(partition), messages, paused }));
        }
        self.news.push_back(Event::Listed);
    }

    fn set_paused(&self, partition: PartitionId, paused: bool) {
        if let Some(gate) = self.gates.get(&partition) {
            gate.send_replace(paused);
        }
    }
}

#[async_trait]
impl Source for TopicSource {
    async fn next(&mut self) -> Result<Event, SourceError> {
        loop {
            if let Some(event) = self.news.pop_front() {
                return Ok(event);
            }
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => return message.what,
                    // This end holds a sender, so that the channel is never closed.
                    None => std::future::pending().await,
                },
                Some(count) = self.added.recv() => self.take_up(count?, |_| ReadStart::Beginning),
                Some(Err(error)) = self.tasks.join_next() => {
                    return Err(SourceError::ReaderFailed { reason: error.to_string() });
                }
            }
        }
    }

    fn pause(&mut self, partition: PartitionId) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: PartitionId) {
        self.set_paused(partition, false);
    }

    fn committed(&mut self, positions: Vec<(PartitionId, i64)>) {
        self.committed.send_replace(positions);
    }
}

/// Tells the log what was committed, once it has taken what was told before.
async fn tell(log: Arc<dyn Log>, mut committed: watch::Receiver<Vec<(PartitionId, i64)>>) {
    while committed.changed().await.is_ok() {
        let positions = committed.borrow_and_update().clone();
        log.committed(positions).await;
    }
}

/// Whether no later question can have a better answer, as when a topic of Kafka has become a compacted one.
fn is_final(log: &dyn Log, error: &LogError) -> bool {
    matches!(error, LogError::Fatal(_)) && log.identity().kind == KAFKA
}

/// Asks for the topic's partitions, forever.
struct Discovery {
    log: Arc<dyn Log>,
    /// How many partitions are known.
    known: u32,
    /// Whether more partitions are of no interest.
    fixed: bool,
    /// Where to send the new number of partitions, or that the topic is gone.
    added: mpsc::Sender<Result<u32, SourceError>>,
}

impl Discovery {
    async fn run(mut self) {
        let (mut misses, mut failures, mut reminder) = (0, 0, Reminder::default());
        loop {
            tokio::time::sleep(PERIOD.max(Backoff::BROKER.pause(failures, 0.0))).await;
            let LogIdentity { topic, address, .. } = self.log.identity();
            let news = match self.log.partitions().await {
                // Of a Fluvio cluster that refuses, what it says next may be another answer.
                Err(error)
                    if matches!(error, LogError::Replaced { .. } | LogError::Deleted { .. })
                        || is_final(&*self.log, &error) =>
                {
                    // If nobody listens any longer there is nobody to tell.
                    let _ = self.added.send(Err(error.into())).await;
                    return;
                }
                Err(error) => {
                    if reminder.is_due() {
                        let reason = match error {
                            LogError::NoAnswer { reason, .. } => reason,
                            error => error.to_string(),
                        };
                        warn!("{address} does not say which partitions `{topic}` has: {reason}; asking again");
                    }
                    failures = (failures + 1).min(16);
                    continue;
                }
                Ok(answer) => {
                    if reminder.clear() {
                        info!("{address} answers again");
                    }
                    failures = 0;
                    answer
                }
            };
            let Some(found) = news else {
                misses += 1;
                if misses >= MISSES {
                    let gone = SourceError::TopicDeleted { topic: topic.clone() };
                    // If nobody listens any longer there is nobody to tell.
                    let _ = self.added.send(Err(gone)).await;
                    return;
                }
                continue;
            };
            misses = 0;
            if self.fixed || found <= self.known {
                continue;
            }
            info!("`{topic}` has {} partitions now, {} before", found, self.known);
            self.known = found;
            if self.added.send(Ok(found)).await.is_err() {
                return;
            }
        }
    }
}
