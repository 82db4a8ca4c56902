//! A topic of any log whose batches are combined here: no module is needed where the log is.
//!
//! Each partition has a reader of its own ([`partition`]). Workers ([`workers`]) combine several of its batches at once, and the
//! reader delivers them in the log's order. A stored batch gives the bytes that the module gives, so that a store goes on with
//! either.

mod partition;
#[cfg(test)]
mod tests;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use isotherm_engine::state::PartitionState;
use isotherm_model::partial::PartitionId;
use tracing::warn;

use self::partition::Reader;
use self::workers::Workers;
use super::Source;
use super::error::SourceError;
use super::plan::ReadPlan;
use super::topic::{Outlet, SourceContext, TopicSource};
use crate::log::kafka::KAFKA;
use crate::log::{Log, LogError, ReadOptions};
use crate::reminder::Reminder;
use crate::topology::Topology;

/// What all partitions together may have asked for and not been given yet, unless a single batch is larger than its share.
const AHEAD_BYTES: usize = 64 << 20;

/// The most and the least that one partition asks for at once.
const RESPONSE_BYTES: (usize, usize) = (4 << 20, 128 << 10);

/// How often is looked for a topic that is not there yet.
const LOOK: Duration = Duration::from_secs(1);

/// What all readers of a topic know.
struct NativeContext {
    source: SourceContext,
    log: Arc<dyn Log>,
    workers: Workers,
    /// A failure is tried again by the reader, which emits that the partition is lost.
    options: ReadOptions,
    /// By partition, where batches of an earlier run ended that must come again as they were.
    cuts: BTreeMap<PartitionId, Vec<i64>>,
    /// Whether the run ends by itself when all partitions have been read to their ends.
    is_bounded: bool,
}

/// Where batches ended that a run needs again: those that open windows need begin behind one, and the last one is known by its digest.
fn cuts(state: &PartitionState) -> Vec<i64> {
    state.last.map(|last| last.first).into_iter().chain([state.restore_from, state.position]).collect()
}

/// How many partitions the topic has. One that is not there yet is waited for where topics are made by others, unless the run is bounded.
async fn partitions(log: &dyn Log, is_bounded: bool) -> Result<u32, LogError> {
    let mut reminder = Reminder::default();
    while log.identity().kind == KAFKA && !is_bounded {
        if let Some(partitions) = log.partitions().await? {
            return Ok(partitions);
        }
        if reminder.is_due() {
            warn!("there is no {} yet; waiting for it", log.identity());
        }
        tokio::time::sleep(LOOK).await;
    }
    log.require().await
}

/// Finds the topic of a log.
pub async fn open(log: Arc<dyn Log>, topology: &Topology, plan: ReadPlan) -> Result<Box<dyn Source>, SourceError> {
    for (partition, state) in &plan.resume {
        log.resume(*partition, state.resume(), state.position, plan.parts.get(partition).map_or(&[], Vec::as_slice));
    }
    let partitions = partitions(&*log, plan.fixed_partitions).await?;
    let (most, least) = RESPONSE_BYTES;
    let share = AHEAD_BYTES / usize::try_from(partitions).unwrap_or(usize::MAX).max(1);
    let context = Arc::new(NativeContext {
        source: SourceContext::new(&topology.topic, topology.idle, plan.accept_data_loss),
        log: log.clone(),
        workers: Workers::new(&topology.settings),
        options: ReadOptions { bytes: share.clamp(least, most), tries: 1 },
        cuts: plan.resume.iter().map(|(partition, state)| (*partition, cuts(state))).collect(),
        is_bounded: plan.fixed_partitions,
    });
    let new_reader =
        Box::new(move |outlet: Outlet| Box::pin(Reader::new(context.clone(), outlet).run()) as BoxFuture<'static, ()>);
    Ok(Box::new(TopicSource::start(log, partitions, &plan, new_reader)))
}
