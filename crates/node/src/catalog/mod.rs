//! What the node knows of: topics with their partitions' logs, and SmartModules. Kept in the data folder:
//!
//! ```text
//! LOCK                             who uses the folder
//! topics/NAME/topic.json           the topic's settings
//! topics/NAME/0/…0.log             partition 0's segments
//! modules/NAME.json                a SmartModule: metadata and gzipped wasm
//! ```
//!
//! A topic appears and goes with one rename of its folder, a file changes with one rename: after a crash each is there
//! whole or not at all. Changes are made one at a time, block on the disk, and raise a version that watchers follow.

mod files;
mod modules;
mod topics;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use fluvio_controlplane_metadata::smartmodule::SmartModuleSpec;
use fluvio_controlplane_metadata::topic::TopicSpec;
use fluvio_protocol::link::ErrorCode;
use tokio::sync::watch;
use tracing::warn;

use crate::lock::FolderLock;
use crate::log::PartitionLog;
use crate::reason::plain;
use crate::{Config, NodeError};

pub(crate) use modules::unpack;

/// The id of the node's one SPU: that of a local cluster's first.
pub(crate) const SPU_ID: i32 = 5001;

/// A topic and its logs.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub(crate) spec: TopicSpec,
    /// By number. None for a system topic, which has no log here.
    pub(crate) logs: Vec<Arc<PartitionLog>>,
}

/// A refused change: the protocol's error code, and the reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[derive(Debug, Default)]
struct Contents {
    topics: BTreeMap<String, Topic>,
    modules: BTreeMap<String, SmartModuleSpec>,
}

/// Topics and SmartModules, on disk and in memory.
#[derive(Debug)]
pub(crate) struct Catalog {
    data: PathBuf,
    fsync: bool,
    segment_bytes: u64,
    contents: RwLock<Contents>,
    change: Mutex<()>,
    version: watch::Sender<u64>,
    lock: FolderLock,
}

impl Catalog {
    /// Opens the data folder, making it if there is none, and everything in it. Blocks on the disk.
    pub(crate) fn open(config: &Config) -> Result<Self, NodeError> {
        files::make_folder(&config.data)?;
        let lock = FolderLock::take(&config.data)?;
        let mut catalog = Self {
            data: config.data.clone(),
            fsync: config.fsync,
            segment_bytes: config.segment_bytes,
            contents: RwLock::default(),
            change: Mutex::default(),
            version: watch::Sender::new(1),
            lock,
        };
        let contents = Contents { topics: catalog.load_topics()?, modules: catalog.load_modules()? };
        catalog.contents = RwLock::new(contents);
        Ok(catalog)
    }

    /// Follows the version, which goes up with every change.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The version now.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// All topics by name, the system's included.
    pub(crate) fn topics(&self) -> Vec<(String, Topic)> {
        self.contents().topics.iter().map(|(name, topic)| (name.clone(), topic.clone())).collect()
    }

    /// All SmartModules by the id that they are stored under.
    pub(crate) fn modules(&self) -> Vec<(String, SmartModuleSpec)> {
        self.contents().modules.iter().map(|(name, spec)| (name.clone(), spec.clone())).collect()
    }

    /// The log of a partition.
    pub(crate) fn log(&self, topic: &str, partition: u32) -> Option<Arc<PartitionLog>> {
        self.contents().topics.get(topic)?.logs.get(partition as usize).cloned()
    }

    /// The logs of all partitions.
    pub(crate) fn all_logs(&self) -> Vec<Arc<PartitionLog>> {
        self.contents().topics.values().flat_map(|topic| topic.logs.iter().cloned()).collect()
    }

    /// A topic's settings.
    pub(crate) fn topic_spec(&self, topic: &str) -> Option<TopicSpec> {
        self.contents().topics.get(topic).map(|topic| topic.spec.clone())
    }

    /// Fails once the data folder is no longer where it was. What is written then may be lost, or belong to another node.
    pub(crate) fn check_folder(&self) -> Result<(), NodeError> {
        self.lock.check()
    }

    /// Held while a change is made, so that changes come one after the other.
    fn one_change(&self) -> Result<MutexGuard<'_, ()>, Refusal> {
        let held = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_folder().map_err(failed)?;
        Ok(held)
    }

    fn contents(&self) -> RwLockReadGuard<'_, Contents> {
        // What is inside is replaced entry by entry; a panic elsewhere leaves it sound.
        self.contents.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Contents)) {
        change(&mut self.contents.write().unwrap_or_else(PoisonError::into_inner));
        self.version.send_modify(|version| *version += 1);
    }
}

fn storage(error: impl Into<io::Error>) -> Refusal {
    failed(plain(&error.into()))
}

fn failed(error: impl fmt::Display) -> Refusal {
    warn!(%error, "a change of topics or SmartModules failed");
    Refusal::new(ErrorCode::StorageError, error.to_string())
}
