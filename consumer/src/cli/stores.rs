//! From flags to a store.

use std::iter;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::Store;
use isotherm_store as sqlite;
use isotherm_store::memory::MemoryStore;
use isotherm_store::{Outbox, SqliteStore, StoreReader, Subject, Timing};
use tokio::runtime::Runtime;
use tracing::info;

use super::flags::RunFlags;
use super::process::Failure;
use crate::log::{FILES, LogIdentity};
use crate::sources::module;
use crate::topology::{Combine, StoreKind, Topology};
use crate::{delivery, log, run, scratch};

/// The store of a run.
pub(super) struct Opened {
    pub(super) store: Box<dyn Store>,
    /// Where the worker of dead letters takes them from, and where that lies.
    pub(super) outbox: Option<(Outbox, PathBuf)>,
    /// Where a scratch file may lie.
    pub(super) folder: PathBuf,
}

/// Opens the store of a run.
pub(super) fn open(topology: &Topology, flags: &RunFlags, runtime: &Runtime) -> Result<Opened, Failure> {
    let cluster = topology.address();
    let Some(path) = path(topology)? else {
        return memory(flags);
    };
    let log = log::open(cluster, &topology.topic)?;
    let subject = Subject::new(topology.topic.clone(), &log.identity().address, &topology.settings);
    let options = sqlite::Options {
        keep: flags.keep,
        take_over: flags.take_over,
        reset: flags.reset,
        timing: Some(Timing { grace: topology.grace, idle: topology.idle }),
        ..sqlite::Options::default()
    };
    if flags.take_over || flags.reset {
        runtime.block_on(look(cluster, topology, flags))?;
        if !flags.reset && flags.from.is_some() {
            unused(&path)?;
        }
    }
    info!("the store is {}", path.display());
    let store = SqliteStore::open(&path, &subject, options)?;
    let outbox = match flags.dead_letters {
        Some(_) => Some((store.outbox()?, path.clone())),
        None => None,
    };
    let folder = scratch::folder_of(&path);
    Ok(Opened { store: Box::new(store), outbox, folder })
}

/// No store that stays; then whatever is said of one is a slip.
fn memory(flags: &RunFlags) -> Result<Opened, Failure> {
    let why = [
        (flags.dead_letters.is_some(), "--dead-letters needs a store that stays, to know what has been copied"),
        (flags.keep.is_some(), "--keep needs a store that stays: no closed window is kept in memory"),
        (flags.reset, "--reset needs a store that stays: in memory every run starts over"),
        (flags.take_over, "--take-over needs a store that stays: nobody else has one in memory"),
    ];
    match why.into_iter().find(|(given, _)| *given) {
        Some((_, why)) => Err(format!("{why}; give --store PATH").into()),
        None => Ok(Opened { store: Box::new(MemoryStore), outbox: None, folder: std::env::temp_dir() }),
    }
}

/// Looks whether the run can begin at all: no store is thrown away, and no consumer stopped, for one that cannot.
async fn look(cluster: Option<&str>, topology: &Topology, flags: &RunFlags) -> Result<(), Failure> {
    for topic in iter::once(&topology.topic).chain(&flags.dead_letters) {
        let log = log::open(cluster, topic)?;
        let partitions = log.require().await?;
        if topology.files.is_some() {
            // Files are there if they can be opened.
            for partition in 0..partitions {
                log.bounds(partition).await?;
            }
        }
    }
    if flags.dead_letters.as_ref() == Some(&topology.topic) {
        return Err(delivery::Error::Itself { topic: topology.topic.clone() }.into());
    }
    if topology.combine == Combine::Broker {
        module::require(cluster, &topology.module).await?;
    }
    Ok(())
}

/// Refuses a store that has been used, as the run does when it has it.
fn unused(path: &Path) -> Result<(), Failure> {
    let mut reader = match StoreReader::open(path) {
        Ok(reader) => reader,
        Err(isotherm_store::Error::Missing { .. }) => return Ok(()),
        // It is of a run before this version.
        Err(isotherm_store::Error::OlderFormat { .. }) => return Err(run::Error::Used.into()),
        Err(fault) => return Err(fault.into()),
    };
    let used = reader.snapshot()?.overview().commits > 0;
    if used { Err(run::Error::Used.into()) } else { Ok(()) }
}

/// Where the store of a topology lies; `None` for memory.
pub(super) fn path(topology: &Topology) -> Result<Option<PathBuf>, Failure> {
    match &topology.store {
        StoreKind::Memory => Ok(None),
        StoreKind::File(path) => Ok(Some(path.clone())),
        StoreKind::Default => {
            let log = log::open(topology.address(), &topology.topic)?;
            let LogIdentity { kind, address, .. } = log.identity();
            // The files are all that a topic is to a cluster.
            let address = if *kind == FILES { FILES } else { address };
            let fingerprint = topology.settings.fingerprint();
            Ok(Some(sqlite::default_path(&sqlite::data_dir()?, address, &topology.topic, fingerprint)))
        }
    }
}
