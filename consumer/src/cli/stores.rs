//! From flags to a store.

use std::path::PathBuf;

use tracing::info;

use super::RunFlags;
use super::execute::Failure;
use crate::source::fluvio::cluster::Cluster;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{self, Outbox, SqliteStore, Subject, Timing};
use crate::store::{Store, StoreFault};
use crate::topology::{StoreKind, Topology};

/// The store of a run.
pub(super) struct Opened {
    pub(super) store: Box<dyn Store>,
    /// Where the copier of dead letters takes them from, and where that lies.
    pub(super) outbox: Option<(Outbox, PathBuf)>,
}

/// Opens the store of a run.
pub(super) fn open(topology: &Topology, cluster: Option<&str>, flags: &RunFlags) -> Result<Opened, Failure> {
    let Some(path) = path(topology, cluster)? else {
        if flags.dead_letters.is_some() {
            return Err(
                "--dead-letters needs a store that stays, to know what has been copied: give --store PATH".into()
            );
        }
        return Ok(Opened { store: Box::new(MemoryStore), outbox: None });
    };
    let cluster = Cluster::at(cluster);
    let subject = Subject::new(topology.topic.clone(), cluster.address(), &topology.settings);
    let options = sqlite::Options {
        keep: flags.keep,
        take_over: flags.take_over,
        reset: flags.reset,
        timing: Some(Timing { grace: topology.grace, idle: topology.idle }),
        ..sqlite::Options::default()
    };
    info!("the store is {}", path.display());
    let store = SqliteStore::open(&path, &subject, options)?;
    let outbox = match flags.dead_letters {
        Some(_) => Some((store.outbox()?, path)),
        None => None,
    };
    Ok(Opened { store: Box::new(store), outbox })
}

/// Where the store of a topology lies; `None` for memory.
pub(super) fn path(topology: &Topology, cluster: Option<&str>) -> Result<Option<PathBuf>, StoreFault> {
    match &topology.store {
        StoreKind::Memory => Ok(None),
        StoreKind::File(path) => Ok(Some(path.clone())),
        StoreKind::Default => {
            let cluster = Cluster::at(cluster);
            let fingerprint = topology.settings.fingerprint();
            Ok(Some(sqlite::default_path(&sqlite::data_dir()?, cluster.address(), &topology.topic, fingerprint)))
        }
    }
}
