//! The reader's whole contact with the world, as the smallest traits, so that tests can script it; and the real thing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isotherm_fluvio::{Cluster, ConnectError, Connection, ConnectionError, FetchResponse, FetchStream, ModuleCall};
use isotherm_model::partial::PartitionId;
use isotherm_model::settings::Settings;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::debug;

use super::super::lookup::{Lookup, Lookups, StoredInfo};
use super::mark;
use crate::log::{Log, LogBounds, LogReader};

/// How long a stored batch may be looked for.
const LOOK_UP: Duration = Duration::from_secs(10);

/// How long, where nothing can go on before it is known.
const LOOK: Duration = Duration::from_secs(60);

/// A partition of a cluster, by way of the controller and the leader.
#[async_trait]
pub(super) trait BrokerApi: Send + Sync {
    /// Connects to the partition's leader.
    async fn connect(&self) -> Result<Box<dyn PartitionConnection>, ConnectError>;

    /// Whether the controller has something else than a module that makes partials under the module's name. If it cannot
    /// be asked, nothing is known.
    async fn is_another_module(&self) -> bool;

    /// The stored batch that holds an offset; `None` if it cannot be had.
    async fn stored(&self, offset: i64) -> Option<StoredInfo>;

    /// What the partition's leader has at an offset now; an error says why that cannot be known.
    async fn look(&self, offset: i64) -> Result<Lookup, String>;
}

/// A connection to the partition's leader.
#[async_trait]
pub(super) trait PartitionConnection: Send + Sync {
    /// Whether the partition has followers, any of which may lead it one day.
    fn is_replicated(&self) -> bool;

    /// Where the partition begins and ends; an error if no answer comes in that time.
    async fn bounds(&self, within: Duration) -> Result<LogBounds, ConnectionError>;

    /// Opens a stream of partials, in responses of up to `max_bytes`.
    async fn stream(&mut self, offset: i64, max_bytes: i32) -> Result<Box<dyn ResponseStream>, ConnectionError>;

    /// Everything before `offset` has been taken.
    async fn acknowledge(&self, session: u32, offset: i64, within: Duration) -> Result<(), ConnectionError>;
}

/// A stream of responses.
#[async_trait]
pub(super) trait ResponseStream: Send {
    /// The next response. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<FetchResponse, ConnectionError>;
}

/// A partition of a Fluvio cluster.
pub(super) struct ClusterApi {
    pub(super) cluster: Cluster,
    pub(super) log: Arc<dyn Log>,
    pub(super) partition: PartitionId,
    pub(super) module: ModuleCall,
    pub(super) settings: Settings,
    /// Where the last look-up stopped, if another one is likely to go on there.
    pub(super) lookups: Mutex<Option<Box<dyn LogReader>>>,
}

impl ClusterApi {
    fn lookups(&self) -> Lookups<'_> {
        Lookups { log: &*self.log, partition: self.partition, settings: &self.settings }
    }
}

#[async_trait]
impl BrokerApi for ClusterApi {
    async fn connect(&self) -> Result<Box<dyn PartitionConnection>, ConnectError> {
        let topic = &self.log.identity().topic;
        let connection = Connection::to_leader(&self.cluster, topic, self.partition).await?;
        Ok(Box::new(ModuleConnection { connection, module: self.module.clone() }))
    }

    async fn is_another_module(&self) -> bool {
        matches!(self.cluster.module(&self.module.name).await, Ok(Some(packed)) if !mark::makes_partials(&packed))
    }

    async fn stored(&self, offset: i64) -> Option<StoredInfo> {
        let mut slot = self.lookups.lock().await;
        let partition = self.partition;
        match timeout(LOOK_UP, self.lookups().batch(&mut slot, offset)).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => {
                debug!(partition, offset, %error, "no look at the stored batch");
                None
            }
            Err(_) => {
                debug!(partition, offset, "no look at the stored batch in time");
                None
            }
        }
    }

    async fn look(&self, offset: i64) -> Result<Lookup, String> {
        let mut slot = self.lookups.lock().await;
        match timeout(LOOK, self.lookups().look(&mut slot, offset)).await {
            Ok(looked) => looked,
            Err(_) => Err(format!("it does not come within {} s", LOOK.as_secs())),
        }
    }
}

/// A connection to an SPU that runs the module.
struct ModuleConnection {
    connection: Connection,
    module: ModuleCall,
}

#[async_trait]
impl PartitionConnection for ModuleConnection {
    fn is_replicated(&self) -> bool {
        self.connection.is_replicated()
    }

    async fn bounds(&self, within: Duration) -> Result<LogBounds, ConnectionError> {
        let bounds = self.connection.bounds(within).await?;
        Ok(LogBounds { start: bounds.start, end: bounds.end })
    }

    async fn stream(&mut self, offset: i64, max_bytes: i32) -> Result<Box<dyn ResponseStream>, ConnectionError> {
        Ok(Box::new(self.connection.stream(Some(self.module.clone()), offset, max_bytes).await?))
    }

    async fn acknowledge(&self, session: u32, offset: i64, within: Duration) -> Result<(), ConnectionError> {
        self.connection.acknowledge(session, offset, within).await
    }
}

#[async_trait]
impl ResponseStream for FetchStream {
    async fn next(&mut self) -> Result<FetchResponse, ConnectionError> {
        FetchStream::next(self).await
    }
}
