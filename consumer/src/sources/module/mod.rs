//! A topic of a Fluvio cluster, each batch combined into a partial by the SmartModule at the broker.
//!
//! Each partition has a reader of its own ([`partition`]) with a connection of its own to its leader, behind the seam [`api`]. What
//! it does when something breaks is in [`recover`], and decided in [`policy`]. The offsets that brokers and clients give to a
//! module's output are ignored: every partial says itself which part of the log it is of.

pub(super) mod error;
pub(crate) mod mark;

mod api;
mod partition;
mod policy;
mod recover;

use std::collections::BTreeMap;
use std::sync::Arc;

use isotherm_fluvio::{ModuleCall, SmartModuleExtraParams};
use isotherm_model::settings::Fingerprint;
use tokio::sync::{Mutex, Semaphore};

use self::api::ClusterApi;
use self::error::ModuleError;
use self::partition::{OPENING, Reader};
use super::Source;
use super::error::SourceError;
use super::plan::ReadPlan;
use super::topic::{SourceContext, TopicSource};
use crate::log::Log;
use crate::log::fluvio::{FluvioLog, cluster, no_answer};
use crate::topology::Topology;

/// What all readers of a topic know.
struct ModuleContext {
    source: SourceContext,
    module: String,
    /// The settings that partials must be made with.
    fingerprint: Fingerprint,
    address: String,
    /// Room for streams that the broker makes ready.
    opening: Arc<Semaphore>,
}

/// Makes sure that the cluster at `address` has a module of that name.
pub async fn require(address: Option<&str>, module: &str) -> Result<(), SourceError> {
    let cluster = cluster(address)?;
    if cluster.has_module(module).await.map_err(|error| no_answer(&cluster, &error))? {
        return Ok(());
    }
    Err(ModuleError::Missing { address: cluster.address().to_owned(), module: module.to_owned() }.into())
}

/// Connects to the cluster at `address` and finds the topic and the module there.
pub async fn open(address: Option<&str>, topology: &Topology, plan: ReadPlan) -> Result<Box<dyn Source>, SourceError> {
    let cluster = cluster(address)?;
    let log: Arc<dyn Log> = Arc::new(FluvioLog::of(cluster.clone(), &topology.topic));
    let partitions = log.require().await?;
    require(address, &topology.module).await?;
    let settings = topology.settings.clone();
    let params: BTreeMap<String, String> = settings.to_params().into_iter().collect();
    let call = ModuleCall { name: topology.module.clone(), params: SmartModuleExtraParams::from(params) };
    let context = Arc::new(ModuleContext {
        source: SourceContext::new(&topology.topic, topology.idle, plan.accept_data_loss),
        module: topology.module.clone(),
        fingerprint: settings.fingerprint(),
        address: cluster.address().to_owned(),
        opening: Arc::new(Semaphore::new(OPENING)),
    });
    let of_readers = log.clone();
    let new_reader = Box::new(move |outlet: super::topic::Outlet| {
        let api = ClusterApi {
            cluster: cluster.clone(),
            log: of_readers.clone(),
            partition: outlet.partition,
            module: call.clone(),
            settings: settings.clone(),
            lookups: Mutex::default(),
        };
        let reader = Reader::new(context.clone(), Box::new(api), outlet);
        Box::pin(reader.run()) as futures_util::future::BoxFuture<'static, ()>
    });
    Ok(Box::new(TopicSource::start(log, partitions, &plan, new_reader)))
}
