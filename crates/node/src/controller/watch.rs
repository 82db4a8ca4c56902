//! Changes of topics, partitions and the SPU, pushed to the clients that watch.
//!
//! A client keeps its own copy of these and looks nothing up elsewhere. It gets all of them first, then what changed. It
//! takes its copy for complete after the first update that is not empty; the system's topic makes sure that there is one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

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
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Connection, objects};
use crate::state::Shared;
use crate::wire::{Gone, Reply, Sender};

/// How many watches a connection may have; a client needs one for each kind of objects.
const MAX_WATCHES: usize = 64;
/// A watcher, until it is dropped.
struct Watcher {
    shared: Arc<Shared>,
    id: u64,
    /// Counts the connection's watches.
    _counted: Arc<()>,
}

impl Watcher {
    fn new(shared: Arc<Shared>, counted: Arc<()>) -> Self {
        let id = shared.watchers.add();
        Self { shared, id, _counted: counted }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.watchers.remove(self.id);
    }
}

/// Starts the watch that a client asks for.
pub(super) fn start(connection: &Connection, request: &ObjectApiWatchRequest, header: RequestHeader) -> io::Result<()> {
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
