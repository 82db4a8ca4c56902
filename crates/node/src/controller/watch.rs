//! Changes of topics, partitions and the SPU, pushed to the clients that watch.
//!
//! A client keeps its own copy of these and looks nothing up elsewhere. It is given all first, then what changed. Its
//! copy counts as set from the first update that is not empty, so there is always something: the system's topic.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fluvio_controlplane_metadata::message::Message;
use fluvio_controlplane_metadata::partition::PartitionSpec;
use fluvio_controlplane_metadata::smartmodule::SmartModuleSpec;
use fluvio_controlplane_metadata::spu::SpuSpec;
use fluvio_controlplane_metadata::topic::TopicSpec;
use fluvio_protocol::api::RequestHeader;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{
    Metadata, MetadataUpdate, ObjectApiWatchRequest, ObjectApiWatchResponse, WatchRequest, WatchResponse,
};
use fluvio_sc_schema::{AdminSpec, TryEncodableFrom};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Connection, objects};
use crate::state::Shared;
use crate::wire::{Gone, Reply, Sender};

/// How long a change waits for a watcher that does not take its updates.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many watches a connection may have; a client needs one for each kind of objects.
const MAX_WATCHES: usize = 64;
/// What a client that has an update is given to take it in, before it hears that the change it asked for is done. The
/// protocol has no acknowledgement for it, and the client handles the two apart from one another.
const SETTLE: Duration = Duration::from_millis(20);

/// Who watches and takes its updates, and up to which version each has been told.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    told: Mutex<HashMap<u64, u64>>,
    changed: watch::Sender<u64>,
}

impl Watchers {
    /// Waits until all who watch have been told of `version`, for a bounded time.
    pub(super) async fn told(&self, version: u64) {
        let mut changed = self.changed.subscribe();
        let all_told = |_: &u64| self.lock().values().all(|&told| told >= version);
        if tokio::time::timeout(PATIENCE, changed.wait_for(all_told)).await.is_err() {
            // Whoever does not take its updates gets them late; the change is made in any case. The next one does not
            // wait for those either, until they have caught up.
            self.lock().retain(|_, &mut told| told >= version);
        }
        if !self.lock().is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
    }

    fn new_id(&self) -> u64 {
        let mut id = 0;
        self.changed.send_modify(|next| {
            *next = next.wrapping_add(1);
            id = *next;
        });
        id
    }

    fn set(&self, id: u64, version: u64) {
        self.lock().insert(id, version);
        self.changed.send_modify(|it| *it = it.wrapping_add(1));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, u64>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches, until dropped.
struct Watcher {
    shared: Arc<Shared>,
    id: u64,
    /// Counts the connection's watches.
    _counted: Arc<()>,
}

impl Watcher {
    fn new(shared: Arc<Shared>, counted: Arc<()>) -> Self {
        let id = shared.watchers.new_id();
        shared.watchers.set(id, 0);
        Self { shared, id, _counted: counted }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watchers.lock().remove(&self.id);
        self.shared.watchers.changed.send_modify(|it| *it = it.wrapping_add(1));
    }
}

/// Starts the watch that a client asks for.
pub(super) fn start(connection: &Connection, header: RequestHeader, request: &ObjectApiWatchRequest) -> io::Result<()> {
    if Arc::strong_count(&connection.watches) > MAX_WATCHES {
        return Err(io::Error::other(format!("a connection has at most {MAX_WATCHES} watches")));
    }
    let shared = connection.shared.clone();
    let (host, port) = (connection.host, shared.spu_port);
    if is::<SpuSpec>(request)? {
        follow(connection, header, move |_| objects::spus(host, port));
    } else if is::<TopicSpec>(request)? {
        follow(connection, header, |shared| objects::topics(&shared.catalog));
    } else if is::<PartitionSpec>(request)? {
        follow(connection, header, |shared| objects::partitions(&shared.catalog));
    } else if is::<SmartModuleSpec>(request)? {
        follow(connection, header, |shared| {
            objects::modules(&shared.catalog).into_iter().map(Metadata::summary).collect()
        });
    } else {
        // The protocol has no place for an error here; a cluster closes the connection too.
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a request to watch objects of an unknown kind"));
    }
    Ok(())
}

fn is<S: AdminSpec>(request: &ObjectApiWatchRequest) -> io::Result<bool> {
    let found: Option<WatchRequest<S>> = super::downcast(request)?;
    Ok(found.is_some())
}

fn follow<S>(
    connection: &Connection,
    header: RequestHeader,
    list: impl Fn(&Shared) -> Vec<Metadata<S>> + Send + 'static,
) where
    S: AdminSpec + PartialEq + Clone + Send + 'static,
    S::Status: Encoder + Decoder + Clone + std::fmt::Debug + Send,
{
    let watcher = Watcher::new(connection.shared.clone(), connection.watches.clone());
    let sender = connection.sender.clone();
    let stop = connection.stop.clone();
    connection.shared.tasks.spawn(async move {
        if let Err(Gone) = push(&watcher, &sender, &header, list, &stop).await {
            debug!(kind = S::LABEL, "a watch ends");
        }
    });
}

async fn push<S>(
    watcher: &Watcher,
    sender: &Sender,
    header: &RequestHeader,
    list: impl Fn(&Shared) -> Vec<Metadata<S>> + Send,
    stop: &CancellationToken,
) -> Result<(), Gone>
where
    S: AdminSpec + PartialEq + Clone + Send,
    S::Status: Encoder + Decoder + Clone + std::fmt::Debug + Send,
{
    let shared = &watcher.shared;
    let mut versions = shared.catalog.follow();
    let mut sent: Option<BTreeMap<String, Metadata<S>>> = None;
    loop {
        let version = *versions.borrow_and_update();
        let all = list(shared);
        let now: BTreeMap<String, Metadata<S>> = all.iter().map(|it| (it.name.clone(), it.clone())).collect();
        let epoch = i64::try_from(version).unwrap_or(i64::MAX);
        let update = match &sent {
            None => Some(MetadataUpdate::with_all(epoch, all)),
            Some(before) => {
                let changes = changes(before, &now);
                (!changes.is_empty()).then(|| MetadataUpdate::with_changes(epoch, changes))
            }
        };
        if let Some(update) = update {
            let response = ObjectApiWatchResponse::try_encode_from(WatchResponse::new(update), header.api_version());
            let reply = response.ok().and_then(|response| Reply::new(header, &response).ok()).ok_or(Gone)?;
            tokio::select! {
                sent = sender.send_and_wait(reply) => sent?,
                () = stop.cancelled() => return Err(Gone),
            }
        }
        sent = Some(now);
        shared.watchers.set(watcher.id, version);
        tokio::select! {
            changed = versions.changed() => changed.map_err(|_| Gone)?,
            () = stop.cancelled() => return Err(Gone),
        }
    }
}

/// What is new or other, and what is gone.
fn changes<S>(before: &BTreeMap<String, Metadata<S>>, now: &BTreeMap<String, Metadata<S>>) -> Vec<Message<Metadata<S>>>
where
    S: AdminSpec + PartialEq + Clone,
    S::Status: Encoder + Decoder + Clone,
{
    let is_new = |it: &&Metadata<S>| before.get(&it.name).is_none_or(|old| old.spec != it.spec);
    let updates = now.values().filter(is_new).cloned().map(Message::update);
    let gone = before.values().filter(|it| !now.contains_key(&it.name)).cloned().map(Message::delete);
    updates.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watcher_that_does_not_take_its_updates_is_waited_for_once() {
        let watchers = Watchers::default();
        let (quick, slow) = (watchers.new_id(), watchers.new_id());
        watchers.set(quick, 2);
        watchers.set(slow, 1);
        let took = async |version| {
            let started = tokio::time::Instant::now();
            watchers.told(version).await;
            started.elapsed()
        };
        assert!(took(2).await >= PATIENCE);
        watchers.set(quick, 3);
        assert!(took(3).await < PATIENCE, "not again");
        watchers.set(slow, 3);
        watchers.set(quick, 4);
        assert!(took(4).await >= PATIENCE, "it had caught up");
    }
}
