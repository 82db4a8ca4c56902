//! From flags to a store.

use std::path::PathBuf;

use tracing::info;

use super::RunFlags;
use crate::source::fluvio::cluster::Cluster;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{self, SqliteStore, Subject};
use crate::store::{Store, StoreFault};
use crate::topology::{StoreKind, Topology};

/// Opens the store of a run.
pub(super) fn open(topology: &Topology, cluster: Option<&str>, flags: &RunFlags) -> Result<Box<dyn Store>, StoreFault> {
    let Some(path) = path(topology, cluster)? else {
        return Ok(Box::new(MemoryStore));
    };
    let cluster = Cluster::at(cluster);
    let subject = Subject::new(topology.topic.clone(), cluster.address(), &topology.settings);
    let options = sqlite::Options {
        keep: flags.keep,
        take_over: flags.take_over,
        reset: flags.reset,
        ..sqlite::Options::default()
    };
    info!("the store is {}", path.display());
    Ok(Box::new(SqliteStore::open(&path, &subject, options)?))
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
