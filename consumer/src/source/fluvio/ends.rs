//! Where the partitions of a topic begin and end, asked once: for those who look at a run from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use isotherm_model::partial::PartitionId;
use tokio::time::timeout;

use super::cluster::Cluster;
pub use super::link::Extent;
use super::link::Link;

/// How many leaders are asked at once.
const AT_ONCE: usize = 16;

/// Why a cluster does not say what there is of a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It cannot be reached.
    #[error("it does not answer ({reason}); see whether it runs, or name another with --cluster HOST:PORT")]
    NoAnswer {
        /// What the attempt said.
        reason: String,
    },
    /// It took too long.
    #[error("it did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// It has no such topic.
    #[error("it has no topic `{topic}`; is it another cluster? Name one with --cluster HOST:PORT")]
    NoTopic {
        /// The topic.
        topic: String,
    },
}

/// By partition, where its log begins and ends, or why that is not known.
pub type Extents = BTreeMap<PartitionId, Result<Extent, String>>;

/// Asks the leader of each partition of a topic where it begins and ends.
///
/// # Errors
///
/// An [`AskError`] if the cluster cannot be asked at all, or not within `patience`.
pub async fn extents(cluster: &Cluster, topic: &str, patience: Duration) -> Result<Extents, AskError> {
    let ask = async {
        let known = cluster.topic(topic).await.map_err(|error| AskError::NoAnswer { reason: error.to_string() })?;
        let known = known.ok_or_else(|| AskError::NoTopic { topic: topic.to_owned() })?;
        let asked = (0..known.partitions).map(|partition| async move {
            // One that is slow does not keep the others' answers back.
            let extent = timeout(patience / 2, extent(cluster, topic, partition)).await;
            (partition, extent.unwrap_or_else(|_| Err("its leader does not answer".to_owned())))
        });
        Ok(futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await)
    };
    timeout(patience, ask).await.unwrap_or(Err(AskError::TooSlow(patience)))
}

async fn extent(cluster: &Cluster, topic: &str, partition: PartitionId) -> Result<Extent, String> {
    let leader = cluster.leader(topic, partition).await.map_err(|error| error.to_string())?;
    let leader = leader.ok_or_else(|| "nobody leads it".to_owned())?;
    let config = cluster.spu_config(&leader).map_err(|error| error.to_string())?;
    let link = Link::connect(config, topic, partition).await.map_err(|error| error.to_string())?;
    link.extent(super::link::PATIENCE).await.map_err(|error| error.to_string())
}
