//! Puts a topology on a cluster: the topic, and the SmartModules. What is there already is checked, and left alone.

mod compare;
mod files;
mod modules;

use std::io;
use std::path::PathBuf;

use fluvio::metadata::topic::TopicSpec;
use isotherm_fluvio::{Cluster, ClusterError};
use tracing::debug;

use self::files::FileError;
use crate::log::LogError;
use crate::log::fluvio::{cluster, no_answer};
use crate::topology::render::partitions;
use crate::topology::{Combine, Topology};

/// The combiner's file.
const COMBINER_FILE: &str = "window-stats.wasm";
/// The filter that reads good or bad readings, as it is called on clusters.
const GATE: &str = "reading-gate";
/// Its file.
const GATE_FILE: &str = "reading-gate.wasm";

/// What must be on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The topic, its number of partitions and whatever else a new one gets, and the combiner's name.
    pub topology: Topology,
    /// The file that declares the topic, if one does.
    pub file_name: Option<String>,
    /// How many partitions a topic that is there must have, if that was said.
    pub partitions: Option<u32>,
    /// The combiner's file, if it was named.
    pub file: Option<PathBuf>,
    /// The folder of the modules' files, if it was named.
    pub folder: Option<PathBuf>,
    /// Whether modules of another version are replaced.
    pub replace: bool,
}

/// Why something is not on the cluster as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cluster(#[from] LogError),
    #[error("the cluster at {address} cannot be asked: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("the cluster refuses {what}: {reason}")]
    Refused { what: String, reason: String },
    #[error(
        "the topic `{topic}` has {found} partitions, not {wanted}: the number of a topic that is there is not changed \
         here. {}; without --partitions, deploy takes it as it is.",
        match .wanted.checked_sub(*.found) {
            Some(missing) => format!("`fluvio topic add-partition {topic} --count {missing}` adds what is missing"),
            None => "A topic never loses partitions".to_owned(),
        }
    )]
    Partitions { topic: String, found: u32, wanted: u32 },
    #[error(
        "another `{module}` is on the cluster ({found} bytes; {file} has {ours}): other consumers may use it. \
         `isotherm-consumer deploy --replace` puts this one in its place."
    )]
    OtherModule {
        module: String,
        /// Its size on the cluster.
        found: usize,
        file: String,
        /// Its size.
        ours: usize,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Say(#[from] io::Error),
}

/// Creates or checks the topic of the cluster at `address`, and uploads or checks the modules, which a topology that combines
/// in the consumer needs none of; `say` is told each thing that was found or done.
/// Nothing is done before every file has been found.
///
/// # Errors
/// What is not as it should be, with what to do. What was done before stays: deploy again when that is repaired.
pub async fn deploy(
    address: Option<&str>,
    wanted: &Wanted,
    say: &mut (dyn FnMut(&str) -> io::Result<()> + Send),
) -> Result<(), Error> {
    let cluster = &cluster(address)?;
    let modules = match wanted.topology.combine {
        Combine::Consumer => None,
        Combine::Broker => {
            let combiner = files::find(COMBINER_FILE, wanted.file.as_deref(), wanted.folder.as_deref())?;
            // A user who names another file for the combiner need not have the other module.
            let gate = match files::find(GATE_FILE, None, wanted.folder.as_deref()) {
                Err(FileError::Missing { .. }) if wanted.file.is_some() => None,
                gate => Some(gate?),
            };
            Some((combiner, gate))
        }
    };
    cluster.connect().await.map_err(|error| no_answer(cluster, &error))?;
    for line in topic(cluster, wanted).await? {
        say(&line)?;
    }
    let Some((combiner, gate)) = modules else {
        return Ok(say("modules: none, the consumer combines")?);
    };
    say(&modules::put(cluster, &wanted.topology.module, &combiner, wanted.replace).await?)?;
    match gate {
        Some(gate) => say(&modules::put(cluster, GATE, &gate, wanted.replace).await?)?,
        None => say(&format!("module `{GATE}`: left out, there is no {GATE_FILE}"))?,
    }
    Ok(())
}

/// Creates or checks the topic; what to say of it.
async fn topic(cluster: &Cluster, wanted: &Wanted) -> Result<Vec<String>, Error> {
    let name = &wanted.topology.topic;
    let there = cluster.topic_spec(name).await.map_err(|error| failed(cluster, "a list of topics", error))?;
    if let Some(found) = there {
        let count = found.replicas().partitions();
        if let Some(wanted) = wanted.partitions.filter(|wanted| *wanted != count) {
            return Err(Error::Partitions { topic: name.clone(), found: count, wanted });
        }
        let mut said = vec![format!("topic `{name}`: there, with {}", partitions(count))];
        if let Some(file) = &wanted.file_name {
            let differences = compare::differences(file, &wanted.topology.topic_config, &found);
            said.extend(differences.into_iter().map(|difference| format!("topic `{name}`: {difference}")));
        }
        return Ok(said);
    }
    let count = wanted.topology.partitions;
    debug!("creating `{name}` with {count} partitions");
    let spec = TopicSpec::from(wanted.topology.topic_config.clone());
    cluster.create(name, spec).await.map_err(|error| failed(cluster, &format!("the topic `{name}`"), error))?;
    Ok(vec![format!("topic `{name}`: created, with {}", partitions(count))])
}

fn failed(cluster: &Cluster, what: &str, error: ClusterError) -> Error {
    match error {
        ClusterError::Unreachable(reason) => Error::Unreachable { address: cluster.address().to_owned(), reason },
        ClusterError::Refused(reason) => Error::Refused { what: what.to_owned(), reason },
    }
}
