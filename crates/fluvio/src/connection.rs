//! One connection to the SPU that leads a partition: its offsets, a stream of responses, and acknowledgements.
//!
//! Each partition has a connection of its own, so that a partition that waits holds up no other: the SPU sends the next
//! response only when the last one has been acknowledged, and the reader acknowledges what it has delivered.

use std::time::Duration;

use fluvio::Isolation;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::record::{Batch, RawRecords, RecordData, RecordSet, ReplicaKey};
use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
use fluvio_socket::{
    AsyncResponse, MultiplexerSocket, SharedMultiplexerSocket, SocketError, StreamSocket, VersionedSerialSocket,
};
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use fluvio_spu_schema::server::smartmodule::{
    SmartModuleContextData, SmartModuleInvocation, SmartModuleInvocationWasm, SmartModuleKind,
};
use fluvio_spu_schema::server::stream_fetch::{
    CHAIN_SMARTMODULE_API, DefaultStreamFetchRequest, DefaultStreamFetchResponse,
};
use fluvio_spu_schema::server::update_offset::{OffsetUpdate, UpdateOffsetsRequest};
use futures_util::StreamExt;
use isotherm_model::partial::PartitionId;

use crate::cluster::{Cluster, ClusterError, Leader};

/// How long a connect or a question may take. It is long because a broker that works on a backlog with every core answers late.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that does not work.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection.
    #[error("{}", plain(.0))]
    Socket(#[from] SocketError),
    /// No answer.
    #[error("no answer from the SPU within {:.1} s", .0.as_secs_f64())]
    Silent(Duration),
    /// The SPU ended the stream.
    #[error("the SPU closed the connection")]
    Closed,
    /// The SPU answered with an error.
    #[error("{0}")]
    Code(ErrorCode),
    /// The SPU's protocol is too old; the SPU's address.
    #[error("the protocol of the SPU is too old")]
    TooOld(String),
    /// An answer that cannot be read.
    #[error("an answer cannot be read: {0}")]
    Garbled(String),
}

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is still there.
    pub start: i64,
    /// The offset after the last committed record.
    pub end: i64,
}

/// Why there is no connection to a partition's leader.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The controller did not answer.
    #[error("{0}")]
    NoController(ClusterError),
    /// The controller knows no leader.
    #[error("the controller knows no leader for it")]
    NoLeader,
    /// The leader is not reached.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The client's own settings cannot be used.
    #[error("{0}")]
    Settings(String),
}

/// A module, and what it is told.
#[derive(Debug, Clone)]
pub struct ModuleCall {
    /// Its name on the cluster.
    pub name: String,
    /// Its parameters.
    pub params: SmartModuleExtraParams,
}

impl From<ModuleCall> for SmartModuleInvocation {
    fn from(ModuleCall { name, params }: ModuleCall) -> Self {
        Self {
            wasm: SmartModuleInvocationWasm::Predefined(name.clone()),
            kind: SmartModuleKind::Generic(SmartModuleContextData::None),
            params,
            name: Some(name),
        }
    }
}

/// A connection to a partition's leader.
pub struct Connection {
    replica: ReplicaKey,
    leader: Leader,
    streams: StreamSocket,
    requests: VersionedSerialSocket,
}

impl Connection {
    /// Asks the controller who leads the partition, and connects to that broker.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn to_leader(cluster: &Cluster, topic: &str, partition: PartitionId) -> Result<Self, ConnectError> {
        let leader = cluster.leader(topic, partition).await.map_err(ConnectError::NoController)?;
        let leader = leader.ok_or(ConnectError::NoLeader)?;
        Self::to(cluster, leader, topic, partition, TIMEOUT).await
    }

    /// Connects to this broker.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub async fn to(
        cluster: &Cluster,
        leader: Leader,
        topic: &str,
        partition: PartitionId,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let config = cluster.broker_config(&leader).map_err(ConnectError::Settings)?;
        let (socket, config, versions) = within(timeout, config.connect()).await?.split();
        let socket: SharedMultiplexerSocket = MultiplexerSocket::shared(socket);
        Ok(Self {
            replica: ReplicaKey::new(topic, partition),
            leader,
            streams: StreamSocket::new(config.clone(), socket.clone(), versions.clone()),
            requests: VersionedSerialSocket::new(socket, config, versions),
        })
    }

    /// Whether the partition has followers, any of which may lead it one day.
    pub fn is_replicated(&self) -> bool {
        self.leader.replicated
    }

    /// Whether the other end is gone.
    pub fn is_stale(&self) -> bool {
        self.requests.is_stale()
    }

    /// Where the partition is replicated, only what all replicas have is read, and acknowledged when written.
    fn isolation(&self) -> Isolation {
        if self.is_replicated() { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }

    /// Asks where the partition begins and ends.
    ///
    /// # Errors
    /// A [`ConnectionError`].
    pub async fn bounds(&self, timeout: Duration) -> Result<LogBounds, ConnectionError> {
        let request = FetchOffsetsRequest::new(self.replica.topic.clone(), self.replica.partition);
        let response = within(timeout, self.requests.send_receive(request)).await?;
        match response.find_partition(&self.replica) {
            Some(found) if found.error_code.is_ok() => {
                Ok(LogBounds { start: found.start_offset, end: found.last_stable_offset })
            }
            Some(found) => Err(ConnectionError::Code(found.error_code)),
            None => Err(ConnectionError::Garbled(format!("it does not speak of {}", self.replica))),
        }
    }

    /// Opens a stream from `offset` on, in responses of up to `max_bytes`: of what the module gives, or of stored batches.
    ///
    /// # Errors
    /// A [`ConnectionError`].
    pub async fn stream(
        &mut self,
        module: Option<ModuleCall>,
        offset: i64,
        max_bytes: i32,
    ) -> Result<FetchStream, ConnectionError> {
        let version = self.requests.versions().lookup_version::<DefaultStreamFetchRequest>();
        let version = version
            .filter(|version| *version >= CHAIN_SMARTMODULE_API)
            .ok_or_else(|| ConnectionError::TooOld(self.leader.address.clone()))?;
        let request = DefaultStreamFetchRequest::builder()
            .topic(self.replica.topic.clone())
            .partition(self.replica.partition)
            .fetch_offset(offset)
            .max_bytes(max_bytes)
            .isolation(self.isolation())
            .smartmodules(module.into_iter().map(SmartModuleInvocation::from).collect::<Vec<_>>())
            .build()
            .map_err(|error| ConnectionError::Garbled(error.to_string()))?;
        let responses = within(TIMEOUT, self.streams.create_stream_with_version(request, version)).await?;
        Ok(FetchStream { responses })
    }

    /// Tells the SPU that everything before `offset` has been taken; it goes on from there.
    ///
    /// # Errors
    /// A [`ConnectionError`].
    pub async fn acknowledge(&self, session: u32, offset: i64, timeout: Duration) -> Result<(), ConnectionError> {
        let request = UpdateOffsetsRequest::new(vec![OffsetUpdate { offset, session_id: session }]);
        let response = within(timeout, self.requests.send_receive(request)).await?;
        match response.status.into_iter().find(|status| status.error.is_error()) {
            Some(status) => Err(ConnectionError::Code(status.error)),
            None => Ok(()),
        }
    }

    /// Appends a batch, and waits until it is acknowledged: by the leader, or where the partition is replicated by all replicas
    /// within `timeout`. What the broker answers.
    ///
    /// # Errors
    /// A [`ConnectionError`]; the batch may be stored all the same.
    pub(crate) async fn produce(
        &self,
        batch: Batch<RawRecords>,
        timeout: Duration,
    ) -> Result<ErrorCode, ConnectionError> {
        let partition = DefaultPartitionRequest {
            partition_index: self.replica.partition,
            records: RecordSet { batches: vec![batch] },
        };
        let topic =
            DefaultTopicRequest { name: self.replica.topic.clone(), partitions: vec![partition], ..Default::default() };
        let request =
            DefaultProduceRequest { isolation: self.isolation(), timeout, topics: vec![topic], ..Default::default() };
        // Not `send_receive`: where the answer and the end of the connection come together, as from a broker that ends,
        // it loses the answer, and the batch would be stored twice.
        let response = self.requests.send_async(request).await?.await?;
        let answer = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let answer = answer.ok_or_else(|| ConnectionError::Garbled("it leaves the partition out".to_owned()))?;
        Ok(answer.error_code)
    }
}

/// The responses of one stream.
pub struct FetchStream {
    responses: AsyncResponse<DefaultStreamFetchRequest>,
}

/// A response of a stream with a module: the values of its records, in order, and then perhaps an error.
#[derive(Debug, Clone, Default)]
pub struct FetchResponse {
    /// The stream's number on this connection.
    pub session: u32,
    /// The partition's end as the SPU knew it, if it said so.
    pub end: Option<i64>,
    /// What the module gave.
    pub values: Vec<RecordData>,
    /// What came after it.
    pub error: Option<ErrorCode>,
}

/// A response of a stream without a module: batches as they are stored, the last perhaps cut off.
pub(crate) struct StoredResponse {
    /// The stream's number on this connection.
    pub(crate) session: u32,
    /// The partition's end as the SPU knew it.
    pub(crate) end: i64,
    /// The batches, in order.
    pub(crate) batches: Vec<Batch<RawRecords>>,
}

impl FetchStream {
    /// The next response of a module. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A [`ConnectionError`].
    pub async fn next(&mut self) -> Result<FetchResponse, ConnectionError> {
        let response = self.response().await?;
        let partition = response.partition;
        let mut values = Vec::new();
        for batch in partition.records.batches {
            let batch: Batch = batch.try_into().map_err(|error| ConnectionError::Garbled(format!("{error}")))?;
            values.extend(batch.own_records().into_iter().map(|record| record.into_value()));
        }
        Ok(FetchResponse {
            session: response.stream_id,
            end: (partition.high_watermark > 0).then_some(partition.high_watermark),
            values,
            error: partition.error_code.is_error().then_some(partition.error_code),
        })
    }

    /// The next response without a module. Dropping the future loses nothing.
    pub(crate) async fn next_stored(&mut self) -> Result<StoredResponse, ConnectionError> {
        let response = self.response().await?;
        let partition = response.partition;
        match partition.error_code {
            ErrorCode::None => Ok(StoredResponse {
                session: response.stream_id,
                end: partition.high_watermark,
                batches: partition.records.batches,
            }),
            code => Err(ConnectionError::Code(code)),
        }
    }

    async fn response(&mut self) -> Result<DefaultStreamFetchResponse, ConnectionError> {
        match self.responses.next().await {
            None => Err(ConnectionError::Closed),
            Some(response) => Ok(response?),
        }
    }
}

async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, SocketError>>,
) -> Result<T, ConnectionError> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ConnectionError::Silent(timeout)),
    }
}

/// What happened to a connection, in the system's words where it has some.
fn plain(error: &SocketError) -> String {
    match error {
        SocketError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
