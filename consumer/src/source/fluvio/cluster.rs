//! The controller of a cluster: which topics, partitions, leaders and modules there are.
//!
//! The client's own admin connection goes on waiting on a socket whose other end is gone. This one, on the client's
//! socket crate, looks first, and connects anew.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fluvio::config::ConfigFile;
use fluvio::metadata::partition::PartitionSpec;
use fluvio::metadata::smartmodule::SmartModuleSpec;
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::{CompressionAlgorithm, TopicSpec};
use fluvio::{Compression, FluvioClusterConfig};
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{
    CommonCreateRequest, CreateRequest, ListFilter, ListRequest, ListResponse, Metadata, ObjectApiCreateRequest,
    ObjectApiListRequest,
};
use fluvio_sc_schema::{AdminSpec, CreatableAdminSpec, TryEncodableFrom};
use fluvio_socket::{ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use isotherm_model::partial::PartitionId;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::{ClusterFlag, SourceError};

/// Where a cluster is looked for if neither a flag nor a Fluvio profile says so.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9003";

/// How long a connect or a question may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the creation of a topic may take: the controller answers when its partitions are there.
const CREATE_PATIENCE: Duration = Duration::from_secs(60);

/// The way to a cluster's controller. Connects when first asked, and anew when the connection is lost. Clones share the
/// connection.
#[derive(Clone)]
pub struct Cluster {
    config: FluvioClusterConfig,
    /// How commands find it.
    flag: ClusterFlag,
    socket: Arc<Mutex<Option<Arc<VersionedSerialSocket>>>>,
}

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicInfo {
    /// How many partitions it has.
    pub partitions: u32,
    /// How what is written to it must be compressed; not at all where it takes anything.
    pub compression: Compression,
}

/// Who leads a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The SPU's key: the prefix of its name for TLS.
    pub(super) key: String,
    /// Its address for clients.
    pub(super) address: String,
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

impl Cluster {
    /// The cluster at `address`; without one that of the current Fluvio profile, else [`DEFAULT_ADDRESS`].
    pub fn at(address: Option<&str>) -> Self {
        let config = match address {
            Some(address) => FluvioClusterConfig::new(address),
            None => profile().unwrap_or_else(|| FluvioClusterConfig::new(DEFAULT_ADDRESS)),
        };
        Self { config, flag: ClusterFlag(address.map(str::to_owned)), socket: Arc::default() }
    }

    /// The controller's address.
    pub fn address(&self) -> &str {
        &self.config.endpoint
    }

    /// How commands find it.
    pub(crate) fn flag(&self) -> ClusterFlag {
        self.flag.clone()
    }

    /// Connects, if that has not been done.
    ///
    /// # Errors
    /// No controller answers there; the error says what to do.
    pub async fn connect(&self) -> Result<(), SourceError> {
        match self.socket().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.no_cluster(&error)),
        }
    }

    /// The error of a first question that failed.
    pub(crate) fn no_cluster(&self, error: &ClusterError) -> SourceError {
        SourceError::NoCluster { address: self.address().to_owned(), reason: error.to_string() }
    }

    /// What is known of a topic; `None` if there is none of that name.
    ///
    /// # Errors
    /// The controller did not answer.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicInfo>, ClusterError> {
        let spec = self.topic_spec(name).await?;
        Ok(spec.map(|spec| {
            let compression = match spec.get_compression_type() {
                CompressionAlgorithm::Any | CompressionAlgorithm::None => Compression::None,
                CompressionAlgorithm::Gzip => Compression::Gzip,
                CompressionAlgorithm::Snappy => Compression::Snappy,
                CompressionAlgorithm::Lz4 => Compression::Lz4,
                CompressionAlgorithm::Zstd => Compression::Zstd,
            };
            TopicInfo { partitions: spec.replicas().partitions(), compression }
        }))
    }

    /// What is known of a topic that must be there.
    ///
    /// # Errors
    /// The controller did not answer, or knows no such topic: then the error says how to create it.
    pub(crate) async fn require_topic(&self, name: &str) -> Result<TopicInfo, SourceError> {
        let known = self.topic(name).await.map_err(|error| self.no_cluster(&error))?;
        let (address, topic) = (self.address().to_owned(), name.to_owned());
        known.ok_or_else(|| SourceError::NoTopic { address, topic, cluster: self.flag() })
    }

    /// Makes sure that there is a module of that name.
    ///
    /// # Errors
    /// The controller did not answer, or has no such module: then the error says how to upload it.
    pub(crate) async fn require_module(&self, name: &str) -> Result<(), SourceError> {
        let modules = self.list::<SmartModuleSpec>(Vec::new(), true).await.map_err(|error| self.no_cluster(&error))?;
        if modules.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let (address, module) = (self.address().to_owned(), name.to_owned());
        Err(SourceError::NoModule { address, module, cluster: self.flag() })
    }

    /// A topic as it was created; `None` if there is none of that name.
    pub(crate) async fn topic_spec(&self, name: &str) -> Result<Option<TopicSpec>, ClusterError> {
        let topics = self.list::<TopicSpec>(Vec::new(), false).await?;
        Ok(topics.into_iter().find(|topic| topic.name == name).map(|topic| topic.spec))
    }

    /// Creates a topic.
    pub(crate) async fn create_topic(&self, name: &str, spec: TopicSpec) -> Result<(), ClusterError> {
        self.create(name, spec).await
    }

    /// A module as it was uploaded (compressed); `None` if there is none of that name.
    pub(crate) async fn module(&self, name: &str) -> Result<Option<Vec<u8>>, ClusterError> {
        let modules = self.list::<SmartModuleSpec>(vec![name.to_owned()], false).await?;
        let found = modules.into_iter().find(|module| module.name == name);
        Ok(found.map(|module| module.spec.wasm.payload.to_vec()))
    }

    /// Uploads a module, in place of one that is there.
    pub(crate) async fn create_module(&self, name: &str, spec: SmartModuleSpec) -> Result<(), ClusterError> {
        self.create(name, spec).await
    }

    /// Who leads a partition; `None` while it has no leader that the controller knows.
    pub(crate) async fn leader(&self, topic: &str, partition: PartitionId) -> Result<Option<Leader>, ClusterError> {
        let name = format!("{topic}-{partition}");
        let partitions = self.list::<PartitionSpec>(Vec::new(), false).await?;
        let Some(found) = partitions.into_iter().find(|partition| partition.name == name) else {
            return Ok(None);
        };
        let spus = self.list::<SpuSpec>(Vec::new(), false).await?;
        let spu = spus.into_iter().find(|spu| spu.spec.id == found.spec.leader);
        Ok(spu.map(|spu| Leader {
            key: spu.name,
            address: match spu.spec.public_endpoint_local {
                Some(local) if self.config.use_spu_local_address => format!("{}:{}", local.host, local.port),
                _ => spu.spec.public_endpoint.addr(),
            },
            replicated: found.spec.replicas.len() > 1,
        }))
    }

    /// How to connect to an SPU of this cluster.
    pub(crate) fn spu_config(&self, leader: &Leader) -> Result<ClientConfig, SourceError> {
        let config = self
            .client_config()
            .map_err(|error| SourceError::Settings { address: self.address().to_owned(), reason: error.to_string() })?;
        let mut config = config.with_prefix_sni_domain(&leader.key);
        config.set_addr(leader.address.clone());
        Ok(config)
    }

    fn client_config(&self) -> Result<ClientConfig, ClusterError> {
        let mut config = ClientConfig::try_from(self.config.clone()).map_err(unreachable)?;
        config.set_client_id("isotherm-consumer");
        Ok(config)
    }

    /// The connection, if it is whole, else a new one.
    async fn socket(&self) -> Result<Arc<VersionedSerialSocket>, ClusterError> {
        let mut slot = self.socket.lock().await;
        if let Some(socket) = slot.as_ref().filter(|socket| !socket.is_stale()) {
            return Ok(socket.clone());
        }
        *slot = None;
        let connect = timeout(PATIENCE, self.client_config()?.connect()).await;
        let connected = connect.map_err(|_| silent(PATIENCE))?.map_err(unreachable)?;
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
        let socket = self.socket().await?;
        let version = socket.lookup_version::<ObjectApiListRequest>().ok_or_else(too_old)?;
        let names: Vec<ListFilter> = names.into_iter().map(ListFilter::from).collect();
        let request = ListRequest::<S>::new(names, summary);
        let request = ObjectApiListRequest::try_encode_from(request, version).map_err(unreachable)?;
        let message = socket.new_request(request, Some(version));
        let answer = match timeout(PATIENCE, socket.send_and_receive(message)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(silent(PATIENCE)),
        };
        if answer.is_err() {
            self.forget(&socket).await;
        }
        let list: Option<ListResponse<S>> = answer?.downcast().map_err(unreachable)?;
        list.map(ListResponse::inner).ok_or_else(|| ClusterError::Unreachable("a list of something else".to_owned()))
    }

    async fn create<S>(&self, name: &str, spec: S) -> Result<(), ClusterError>
    where
        S: CreatableAdminSpec + Sync + Send,
    {
        let socket = self.socket().await?;
        let version = socket.lookup_version::<ObjectApiCreateRequest>().ok_or_else(too_old)?;
        let common = CommonCreateRequest { name: name.to_owned(), dry_run: false, ..Default::default() };
        let request = CreateRequest::new(common, spec);
        let request = ObjectApiCreateRequest::try_encode_from(request, version).map_err(unreachable)?;
        let message = socket.new_request(request, Some(version));
        let answer = match timeout(CREATE_PATIENCE, socket.send_and_receive(message)).await {
            Ok(answer) => answer.map_err(unreachable),
            Err(_) => Err(silent(CREATE_PATIENCE)),
        };
        if answer.is_err() {
            self.forget(&socket).await;
        }
        answer?.as_result().map_err(|error| ClusterError::Refused(error.to_string()))
    }

    /// Lets go of a connection that failed, unless it has been replaced meanwhile.
    async fn forget(&self, failed: &Arc<VersionedSerialSocket>) {
        let mut slot = self.socket.lock().await;
        if slot.as_ref().is_some_and(|socket| Arc::ptr_eq(socket, failed)) {
            *slot = None;
        }
    }
}

/// The cluster of the current Fluvio profile, if there is one.
fn profile() -> Option<FluvioClusterConfig> {
    let file = ConfigFile::load(None).ok()?;
    file.config().current_cluster().ok().cloned()
}

fn unreachable(error: impl std::fmt::Display) -> ClusterError {
    ClusterError::Unreachable(error.to_string())
}

fn silent(patience: Duration) -> ClusterError {
    ClusterError::Unreachable(format!("no answer within {} s", patience.as_secs()))
}

fn too_old() -> ClusterError {
    ClusterError::Unreachable("what answers there is no controller of Fluvio 0.50 or newer".to_owned())
}
