//! The controller of a cluster: which topics, partitions, leaders and modules there are.
//!
//! The client's own admin connection goes on waiting on a socket whose other end is gone. This one, on the client's
//! socket crate, looks first, and connects again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use fluvio::config::{ConfigError, ConfigFile, TlsPolicy};
use fluvio::{FluvioClusterConfig, FluvioError};
use fluvio_compression::Compression;
use fluvio_protocol::api::Request;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{
    CommonCreateRequest, CreateRequest, ListFilter, ListRequest, ListResponse, Metadata, ObjectApiCreateRequest,
    ObjectApiListRequest,
};
use fluvio_sc_schema::partition::PartitionSpec;
use fluvio_sc_schema::smartmodule::SmartModuleSpec;
use fluvio_sc_schema::spu::SpuSpec;
use fluvio_sc_schema::topic::TopicSpec;
use fluvio_sc_schema::{AdminSpec, CreatableAdminSpec, TryEncodableFrom};
use fluvio_socket::{ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use isotherm_model::partial::PartitionId;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Where a cluster is looked for if neither a flag nor a Fluvio profile says so.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9003";

/// How long a connect or a question may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How long the creation of a topic may take: the controller answers when its partitions are there.
const CREATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A cluster's controller. Connects when first asked, and again when the connection is lost. Clones share the connection.
#[derive(Clone)]
pub struct Cluster {
    config: FluvioClusterConfig,
    client_id: &'static str,
    socket: Arc<Mutex<Option<Arc<VersionedSerialSocket>>>>,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicInfo {
    /// How many partitions it has.
    pub partitions: u32,
    /// How what is written to it must be compressed; `None` where it takes anything.
    pub compression: Option<Compression>,
    /// Whether more than one broker keeps each record.
    pub replicated: bool,
}

/// What is known of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Who leads it, if the controller knows a leader.
    pub leader: Option<Leader>,
    /// Whether it is online.
    pub online: bool,
}

/// The broker that leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The SPU's key: the prefix of its name for TLS.
    pub(crate) key: String,
    /// Its address for clients.
    pub(crate) address: String,
    /// Whether the partition has followers.
    pub(crate) replicated: bool,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The controller cannot be reached, or does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// It answered, with a refusal.
    #[error("{0}")]
    Refused(String),
}

/// The cluster at `address` without TLS, or that of the current Fluvio profile, or the one at [`DEFAULT_ADDRESS`].
///
/// # Errors
/// There is a profile, and it cannot be used: why.
pub fn cluster_config(address: Option<&str>) -> Result<FluvioClusterConfig, String> {
    if let Some(address) = address {
        return Ok(FluvioClusterConfig::new(address));
    }
    match ConfigFile::load(None) {
        Ok(file) => match file.config().current_cluster() {
            Ok(cluster) => Ok(cluster.clone()),
            Err(FluvioError::ClientConfig(ConfigError::NoActiveProfile)) => {
                Ok(FluvioClusterConfig::new(DEFAULT_ADDRESS))
            }
            Err(error) => Err(error.to_string()),
        },
        Err(FluvioError::ClientConfig(ConfigError::ConfigFileError { source, .. }))
            if source.kind() == ErrorKind::NotFound =>
        {
            Ok(FluvioClusterConfig::new(DEFAULT_ADDRESS))
        }
        Err(error) => Err(error.to_string()),
    }
}

impl Cluster {
    /// A cluster with this configuration, to which this client gives this name.
    pub fn new(config: FluvioClusterConfig, client_id: &'static str) -> Self {
        Self { config, client_id, socket: Arc::default() }
    }

    /// The cluster of [`cluster_config`]; the one at [`DEFAULT_ADDRESS`] if the profile cannot be used.
    pub fn at(address: Option<&str>, client_id: &'static str) -> Self {
        let config = cluster_config(address).unwrap_or_else(|_| FluvioClusterConfig::new(DEFAULT_ADDRESS));
        Self::new(config, client_id)
    }

    /// The controller's address.
    pub fn address(&self) -> &str {
        &self.config.endpoint
    }

    /// Connects, if that has not been done.
    ///
    /// # Errors
    /// No controller answers there.
    pub async fn connect(&self) -> Result<(), ClusterError> {
        self.socket().await.map(drop)
    }

    /// The next question takes a new connection.
    pub async fn disconnect(&self) {
        *self.socket.lock().await = None;
    }

    /// What is known of a topic; `None` if there is none of that name.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        let spec = self.topic_spec(name).await?;
        Ok(spec.map(|spec| {
            // The same names; "any" is the name of none.
            let compression = spec.get_compression_type().to_string().parse().ok();
            let replicated = spec.replication_factor().is_some_and(|copies| copies > 1);
            TopicInfo { partitions: spec.partitions(), compression, replicated }
        }))
    }

    /// Whether there is a module of that name.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn has_module(&self, name: &str) -> Result<bool, ClusterError> {
        let modules = self.list::<SmartModuleSpec>(Vec::new(), true).await?;
        Ok(modules.iter().any(|module| module.name == name))
    }

    /// A topic as it was created; `None` if there is none of that name.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn topic_spec(&self, name: &str) -> Result<Option<TopicSpec>, ClusterError> {
        let topics = self.list::<TopicSpec>(Vec::new(), false).await?;
        Ok(topics.into_iter().find(|topic| topic.name == name).map(|topic| topic.spec))
    }

    /// A module as it was uploaded (compressed); `None` if there is none of that name.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn module(&self, name: &str) -> Result<Option<Vec<u8>>, ClusterError> {
        let modules = self.list::<SmartModuleSpec>(vec![name.to_owned()], false).await?;
        let found = modules.into_iter().find(|module| module.name == name);
        Ok(found.map(|module| module.spec.wasm.payload.to_vec()))
    }

    /// The partitions of a topic that the controller knows.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn partitions(&self, topic: &str) -> Result<BTreeMap<PartitionId, PartitionInfo>, ClusterError> {
        let partitions = self.list::<PartitionSpec>(Vec::new(), false).await?;
        let spus = self.list::<SpuSpec>(Vec::new(), false).await?;
        let known = partitions.into_iter().filter_map(|partition| {
            let number = partition.name.strip_prefix(topic)?.strip_prefix('-')?.parse().ok()?;
            let spu = spus.iter().find(|spu| spu.spec.id == partition.spec.leader);
            let leader = spu.map(|spu| Leader {
                key: spu.name.clone(),
                address: match &spu.spec.public_endpoint_local {
                    Some(local) if self.config.use_spu_local_address => format!("{}:{}", local.host, local.port),
                    _ => spu.spec.public_endpoint.addr(),
                },
                replicated: partition.spec.replicas.len() > 1,
            });
            Some((number, PartitionInfo { leader, online: partition.status.is_online() }))
        });
        Ok(known.collect())
    }

    /// Who leads a partition; `None` while it has no leader that the controller knows.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn leader(&self, topic: &str, partition: PartitionId) -> Result<Option<Leader>, ClusterError> {
        Ok(self.partitions(topic).await?.remove(&partition).and_then(|partition| partition.leader))
    }

    /// How to connect to a broker of this cluster; an error says what is wrong with the settings.
    pub(crate) fn broker_config(&self, leader: &Leader) -> Result<ClientConfig, String> {
        let mut config = self.client_config()?.with_prefix_sni_domain(&leader.key);
        config.set_addr(leader.address.clone());
        Ok(config)
    }

    fn client_config(&self) -> Result<ClientConfig, String> {
        let config = ClientConfig::try_from(self.config.clone());
        let mut config = config.map_err(|error| match self.config.tls {
            TlsPolicy::Disabled => error.to_string(),
            _ => format!("its TLS settings cannot be used: {error}"),
        })?;
        config.set_client_id(self.client_id);
        Ok(config)
    }

    /// The connection, if it is whole, else a new one.
    async fn socket(&self) -> Result<Arc<VersionedSerialSocket>, ClusterError> {
        let mut slot = self.socket.lock().await;
        if let Some(socket) = slot.as_ref().filter(|socket| !socket.is_stale()) {
            return Ok(socket.clone());
        }
        *slot = None;
        let connect = timeout(TIMEOUT, self.client_config().map_err(unreachable)?.connect()).await;
        let connected = connect.map_err(|_| silent(TIMEOUT))?.map_err(unreachable)?;
        let (socket, config, versions) = connected.split();
        let socket = Arc::new(VersionedSerialSocket::new(MultiplexerSocket::shared(socket), config, versions));
        *slot = Some(socket.clone());
        Ok(socket)
    }

    async fn list<S>(&self, names: Vec<String>, summary: bool) -> Result<Vec<Metadata<S>>, ClusterError>
    where
        S: AdminSpec,
        S::Status: Encoder + Decoder + Debug,
    {
        let names: Vec<ListFilter> = names.into_iter().map(ListFilter::from).collect();
        let answer = self.ask::<ObjectApiListRequest, _>(ListRequest::<S>::new(names, summary), TIMEOUT).await?;
        let list: Option<ListResponse<S>> = answer.downcast().map_err(unreachable)?;
        list.map(ListResponse::inner).ok_or_else(|| ClusterError::Unreachable("a list of something else".to_owned()))
    }

    /// Creates a topic, or uploads a module in place of one that is there.
    ///
    /// # Errors
    /// The controller did not answer, or refuses.
    pub async fn create<S>(&self, name: &str, spec: S) -> Result<(), ClusterError>
    where
        S: CreatableAdminSpec + Sync + Send,
    {
        let common = CommonCreateRequest { name: name.to_owned(), dry_run: false, ..Default::default() };
        let request = CreateRequest::new(common, spec);
        let status = self.ask::<ObjectApiCreateRequest, _>(request, CREATE_TIMEOUT).await?;
        status.as_result().map_err(|error| ClusterError::Refused(error.to_string()))
    }

    /// Sends one request, of any object's kind. A connection that fails or stays silent is not used again.
    async fn ask<R, T>(&self, request: T, patience: Duration) -> Result<R::Response, ClusterError>
    where
        R: Request + TryEncodableFrom<T> + Send + Sync,
    {
        let socket = self.socket().await?;
        let version = socket.lookup_version::<R>().ok_or_else(too_old)?;
        let request = R::try_encode_from(request, version).map_err(unreachable)?;
        let message = socket.new_request(request, Some(version));
        let answer = match timeout(patience, socket.send_and_receive(message)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(silent(patience)),
        };
        if answer.is_err() {
            self.forget(&socket).await;
        }
        answer
    }

    /// Drops a connection that failed, unless it has been replaced meanwhile.
    async fn forget(&self, failed: &Arc<VersionedSerialSocket>) {
        let mut slot = self.socket.lock().await;
        if slot.as_ref().is_some_and(|socket| Arc::ptr_eq(socket, failed)) {
            *slot = None;
        }
    }
}

fn unreachable(error: impl std::fmt::Display) -> ClusterError {
    ClusterError::Unreachable(error.to_string())
}

fn silent(timeout: Duration) -> ClusterError {
    ClusterError::Unreachable(format!("no answer within {} s", timeout.as_secs()))
}

fn too_old() -> ClusterError {
    ClusterError::Unreachable("what answers there is no controller of Fluvio 0.50 or newer".to_owned())
}
