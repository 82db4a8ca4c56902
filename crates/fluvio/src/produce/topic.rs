//! A topic to produce to, as the controller described it last, and connections to the brokers that lead its partitions.

use std::collections::BTreeMap;
use std::time::Duration;

use fluvio_compression::Compression;
use isotherm_model::partial::PartitionId;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::cluster::{Cluster, PartitionInfo, TopicInfo};
use crate::connection::{ConnectError, Connection, ConnectionError};

/// How long the controller may take to describe the topic at first, or a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take when it is asked again; the broker may well be there without it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a topic cannot be described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The controller does not answer.
    #[error("no Fluvio cluster answers at {address}: {reason}")]
    Unreachable { address: String, reason: String },
    /// There is no such topic.
    #[error("there is no topic `{topic}` at {address}")]
    Missing { topic: String, address: String },
}

/// A topic of a cluster.
pub struct Topic {
    cluster: Cluster,
    name: String,
    known: Mutex<Known>,
}

struct Known {
    layout: Layout,
    asked: Instant,
    /// The controller did not know the topic when it was asked last.
    is_gone: bool,
}

/// A topic, as the controller describes it.
#[derive(Debug, Clone)]
pub struct Layout {
    info: TopicInfo,
    partitions: BTreeMap<PartitionId, PartitionInfo>,
}

impl Layout {
    /// How many partitions the topic has.
    pub fn partitions(&self) -> u32 {
        self.info.partitions.max(1)
    }

    /// The partitions that are online.
    pub fn online(&self) -> Vec<usize> {
        let online = self.partitions.iter().filter(|(number, info)| info.online && **number < self.partitions());
        online.filter_map(|(number, _)| usize::try_from(*number).ok()).collect()
    }

    /// Whether more than one broker keeps each record.
    pub fn is_replicated(&self) -> bool {
        self.info.replicated
    }

    /// How batches must be compressed; `None` where the topic takes any.
    pub fn compression(&self) -> Option<Compression> {
        self.info.compression
    }
}

impl Topic {
    /// Asks the controller about the topic.
    ///
    /// # Errors
    /// The controller does not answer, or knows no such topic.
    pub async fn open(cluster: Cluster, name: String) -> Result<Self, TopicError> {
        let layout = describe(&cluster, &name, CONNECT_TIMEOUT).await?;
        Ok(Self { cluster, name, known: Mutex::new(Known { layout, asked: Instant::now(), is_gone: false }) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the controller said last.
    pub async fn layout(&self) -> Layout {
        self.known.lock().await.layout.clone()
    }

    /// Asks the controller again, unless someone did so after `since`. If it does not answer, what was known stays.
    ///
    /// # Errors
    /// As [`Topic::open`].
    pub async fn refresh(&self, since: Instant) -> Result<(), TopicError> {
        let mut known = self.known.lock().await;
        if known.asked >= since {
            return Ok(());
        }
        let described = describe(&self.cluster, &self.name, REFRESH_TIMEOUT).await;
        known.asked = Instant::now();
        known.is_gone = matches!(described, Err(TopicError::Missing { .. }));
        known.layout = described?;
        Ok(())
    }

    /// Connects to the leader of a partition; an error says why that fails.
    pub(crate) async fn connect(&self, partition: PartitionId) -> Result<Connection, String> {
        let leader = {
            let known = self.known.lock().await;
            if known.is_gone {
                return Err(format!("the topic has been deleted from the cluster at {}", self.cluster.address()));
            }
            known.layout.partitions.get(&partition).and_then(|partition| partition.leader.clone())
        };
        let leader = leader.ok_or("no broker leads it")?;
        let address = leader.address.clone();
        let connected = Connection::to(&self.cluster, leader, &self.name, partition, CONNECT_TIMEOUT).await;
        connected.map_err(|error| match error {
            ConnectError::Connection(ConnectionError::Silent(_)) => {
                format!("cannot reach its broker at {address}: {}", silent(CONNECT_TIMEOUT))
            }
            ConnectError::Connection(error) => format!("cannot reach its broker at {address}: {error}"),
            error => error.to_string(),
        })
    }
}

async fn describe(cluster: &Cluster, name: &str, within: Duration) -> Result<Layout, TopicError> {
    let address = cluster.address().to_owned();
    let answers = async {
        let info = cluster.topic(name).await?;
        Ok((info, cluster.partitions(name).await?))
    };
    let reason = match timeout(within, answers).await {
        Ok(Ok((Some(info), partitions))) => return Ok(Layout { info, partitions }),
        Ok(Ok((None, _))) => return Err(TopicError::Missing { topic: name.to_owned(), address }),
        Ok(Err::<_, crate::ClusterError>(error)) => error.to_string(),
        Err(_) => silent(within),
    };
    // What did not answer in time is not asked again over the same connection.
    cluster.disconnect().await;
    Err(TopicError::Unreachable { address, reason })
}

fn silent(within: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(within))
}
