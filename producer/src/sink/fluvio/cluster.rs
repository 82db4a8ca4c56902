//! What the controller says about a topic, and connections to the brokers that lead its partitions.

use std::fmt::Debug;
use std::time::Duration;

use fluvio::FluvioClusterConfig;
use fluvio::config::{ConfigFile, TlsPolicy};
use fluvio_compression::Compression;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{ListFilters, ListRequest, ListResponse, Metadata, ObjectApiListRequest};
use fluvio_sc_schema::partition::PartitionSpec;
use fluvio_sc_schema::spu::SpuSpec;
use fluvio_sc_schema::topic::{CompressionAlgorithm, TopicSpec};
use fluvio_sc_schema::{AdminSpec, TryEncodableFrom};
use fluvio_socket::{ClientConfig, MultiplexerSocket, SocketError, VersionedSerialSocket};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::error::ProduceError;

/// The controller's address where no profile says another.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9003";

/// How long the controller may take to describe the topic at first, or a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take when it is asked again; the broker may well be there without it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(3);

/// The cluster at `address` without TLS, or that of the current Fluvio profile, or the one at [`DEFAULT_ADDRESS`].
///
/// # Errors
/// [`ProduceError::Profile`] if there is a profile that cannot be used.
pub fn cluster_config(address: Option<&str>) -> Result<FluvioClusterConfig, ProduceError> {
    use fluvio::FluvioError;
    use fluvio::config::ConfigError;

    if let Some(address) = address {
        return Ok(FluvioClusterConfig::new(address));
    }
    let unusable = |error: FluvioError| ProduceError::Profile { reason: error.to_string() };
    match ConfigFile::load(None) {
        Ok(file) => match file.config().current_cluster() {
            Ok(cluster) => Ok(cluster.clone()),
            Err(FluvioError::ClientConfig(ConfigError::NoActiveProfile)) => {
                Ok(FluvioClusterConfig::new(DEFAULT_ADDRESS))
            }
            Err(error) => Err(unusable(error)),
        },
        Err(FluvioError::ClientConfig(ConfigError::ConfigFileError { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(FluvioClusterConfig::new(DEFAULT_ADDRESS))
        }
        Err(error) => Err(unusable(error)),
    }
}

/// A cluster, and what it last said about one topic.
#[derive(Debug)]
pub(super) struct Cluster {
    config: FluvioClusterConfig,
    topic: String,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    layout: Layout,
    asked: Instant,
    /// The controller did not know the topic when it was asked last.
    topic_is_gone: bool,
}

/// A topic, as the controller describes it.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// By partition: who leads it, if anyone does.
    leaders: Vec<Option<Leader>>,
    /// The partitions that are online.
    pub(super) online: Vec<usize>,
    /// Whether more than one broker keeps each record.
    pub(super) replicated: bool,
    compression: CompressionAlgorithm,
}

/// The broker that leads a partition.
#[derive(Debug, Clone)]
struct Leader {
    name: String,
    address: String,
}

impl Cluster {
    /// Asks the controller about the topic.
    pub(super) async fn connect(config: FluvioClusterConfig, topic: String) -> Result<Self, ProduceError> {
        let layout = describe_within(CONNECT_TIMEOUT, &config, &topic).await?;
        Ok(Self { config, topic, known: Mutex::new(Known { layout, asked: Instant::now(), topic_is_gone: false }) })
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) async fn layout(&self) -> Layout {
        self.known.lock().await.layout.clone()
    }

    /// Asks the controller again, unless someone did so after `since`. If it does not answer, what was known stays.
    pub(super) async fn refresh(&self, since: Instant) -> Result<(), ProduceError> {
        let mut known = self.known.lock().await;
        if known.asked >= since {
            return Ok(());
        }
        let described = describe_within(REFRESH_TIMEOUT, &self.config, &self.topic).await;
        known.asked = Instant::now();
        known.topic_is_gone = matches!(described, Err(ProduceError::NoTopic { .. }));
        known.layout = described?;
        Ok(())
    }

    /// Connects to the leader of a partition.
    pub(super) async fn connect_to_leader(&self, partition: u32) -> Result<VersionedSerialSocket, String> {
        let leader = {
            let known = self.known.lock().await;
            if known.topic_is_gone {
                return Err(format!("the topic has been deleted from the cluster at {}", self.config.endpoint));
            }
            usize::try_from(partition).ok().and_then(|index| known.layout.leaders.get(index).cloned().flatten())
        };
        let leader = leader.ok_or("no broker leads it")?;
        let mut client = client_config(&self.config)?.with_prefix_sni_domain(&leader.name);
        client.set_addr(leader.address.clone());
        open(client).await.map_err(|reason| format!("cannot reach its broker at {}: {reason}", leader.address))
    }
}

impl Layout {
    /// How many partitions the topic has.
    pub(super) fn partitions(&self) -> u32 {
        u32::try_from(self.leaders.len()).unwrap_or(u32::MAX)
    }

    /// How batches of this topic are to be compressed.
    pub(super) fn compression(&self, topic: &str, asked: Option<Compression>) -> Result<Compression, ProduceError> {
        let wanted = match self.compression {
            CompressionAlgorithm::Any => return Ok(asked.unwrap_or_default()),
            CompressionAlgorithm::None => Compression::None,
            CompressionAlgorithm::Gzip => Compression::Gzip,
            CompressionAlgorithm::Snappy => Compression::Snappy,
            CompressionAlgorithm::Lz4 => Compression::Lz4,
            CompressionAlgorithm::Zstd => Compression::Zstd,
        };
        match asked {
            Some(asked) if asked != wanted => {
                Err(ProduceError::Compression { topic: topic.to_owned(), wanted: wanted.to_string() })
            }
            _ => Ok(wanted),
        }
    }
}

async fn describe_within(
    patience: Duration,
    config: &FluvioClusterConfig,
    topic: &str,
) -> Result<Layout, ProduceError> {
    timeout(patience, describe(config, topic)).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {}", humantime::format_duration(patience));
        Err(ProduceError::Unreachable { address: config.endpoint.clone(), reason })
    })
}

async fn describe(config: &FluvioClusterConfig, topic: &str) -> Result<Layout, ProduceError> {
    let unreachable = |reason| ProduceError::Unreachable { address: config.endpoint.clone(), reason };
    let socket = open(client_config(config).map_err(unreachable)?).await.map_err(unreachable)?;
    let topics = list::<TopicSpec>(&socket, topic).await.map_err(unreachable)?;
    let Some(described) = topics.into_iter().find(|found| found.name == topic) else {
        return Err(ProduceError::NoTopic { topic: topic.to_owned(), address: config.endpoint.clone() });
    };
    let partitions = list::<PartitionSpec>(&socket, topic).await.map_err(unreachable)?;
    let spus = list::<SpuSpec>(&socket, "").await.map_err(unreachable)?;

    let count = usize::try_from(described.spec.partitions()).unwrap_or(0).max(1);
    let mut leaders = vec![None; count];
    let mut online = Vec::new();
    for partition in partitions {
        let Some(index) = index_in(&partition.name, topic).filter(|index| *index < count) else {
            continue;
        };
        if partition.status.is_online() {
            online.push(index);
        }
        let leader = spus.iter().find(|spu| spu.spec.id == partition.spec.leader);
        leaders[index] = leader.map(|spu| Leader {
            name: spu.name.clone(),
            address: match &spu.spec.public_endpoint_local {
                Some(local) if config.use_spu_local_address => format!("{}:{}", local.host, local.port),
                _ => spu.spec.public_endpoint.addr(),
            },
        });
    }
    online.sort_unstable();
    Ok(Layout {
        leaders,
        online,
        replicated: described.spec.replication_factor().is_some_and(|copies| copies > 1),
        compression: described.spec.get_compression_type().clone(),
    })
}

/// The number at the end of a partition's name, which is `TOPIC-N`.
fn index_in(name: &str, topic: &str) -> Option<usize> {
    name.strip_prefix(topic)?.strip_prefix('-')?.parse().ok()
}

fn client_config(config: &FluvioClusterConfig) -> Result<ClientConfig, String> {
    let mut client = ClientConfig::try_from(config.clone()).map_err(|error| match config.tls {
        TlsPolicy::Disabled => error.to_string(),
        _ => format!("its TLS settings cannot be used: {error}"),
    })?;
    client.set_client_id("isotherm-producer");
    Ok(client)
}

/// A connection over which requests are answered one by one.
async fn open(client: ClientConfig) -> Result<VersionedSerialSocket, String> {
    let connected = timeout(CONNECT_TIMEOUT, client.connect()).await;
    let (socket, config, versions) = connected
        .map_err(|_| format!("no answer within {}", humantime::format_duration(CONNECT_TIMEOUT)))?
        .map_err(|error| plain(&error))?
        .split();
    Ok(VersionedSerialSocket::new(MultiplexerSocket::shared(socket), config, versions))
}

/// What happened to a connection, in the system's words where it has some.
pub(super) fn plain(error: &SocketError) -> String {
    match error {
        SocketError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// The controller's objects of one kind whose names contain `name`, where the controller cares for names.
async fn list<S>(socket: &VersionedSerialSocket, name: &str) -> Result<Vec<Metadata<S>>, String>
where
    S: AdminSpec,
    S::Status: Encoder + Decoder + Debug,
    ListRequest<S>: Encoder + Decoder + Debug,
{
    let version = socket
        .lookup_version::<ObjectApiListRequest>()
        .ok_or("what answers there is no Fluvio controller of a version that this client knows")?;
    let filters = if name.is_empty() { ListFilters::default() } else { ListFilters::from(name) };
    let request = ObjectApiListRequest::try_encode_from(ListRequest::<S>::new(filters, false), version)
        .map_err(|error| error.to_string())?;
    let message = socket.new_request(request, Some(version));
    let response = socket.send_and_receive(message).await.map_err(|error| error.to_string())?;
    let listed: Option<ListResponse<S>> = response.downcast().map_err(|error| error.to_string())?;
    Ok(listed.ok_or("the controller answered with objects of another kind")?.inner())
}
