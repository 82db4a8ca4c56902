//! One connection to the SPU that leads a partition: its offsets, a stream of answers, and what has been taken of them.
//!
//! Each partition has a connection of its own: a partition that waits holds up nobody, because the SPU sends the next
//! answer only when the last one has been acknowledged, and we acknowledge what has been handed on.

use std::time::Duration;

use fluvio::Isolation;
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::{Batch, RawRecords, RecordData, ReplicaKey};
use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
use fluvio_socket::{
    AsyncResponse, ClientConfig, MultiplexerSocket, SharedMultiplexerSocket, SocketError, StreamSocket,
    VersionedSerialSocket,
};
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

/// How long a connect or a question may take. Generous: a broker that works on a backlog with every core answers late.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A link that does not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The connection.
    #[error("{0}")]
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
pub struct Extent {
    /// The first offset that is still there.
    pub start: i64,
    /// The offset after the last committed record.
    pub end: i64,
}

/// What to stream.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    /// Through which module; `None` for batches as they are stored.
    pub(super) module: Option<Module>,
    pub(super) offset: i64,
    pub(super) max_bytes: i32,
    pub(super) isolation: Isolation,
}

/// A module, and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Module {
    pub(super) name: String,
    pub(super) params: SmartModuleExtraParams,
}

impl From<Module> for SmartModuleInvocation {
    fn from(Module { name, params }: Module) -> Self {
        Self {
            wasm: SmartModuleInvocationWasm::Predefined(name.clone()),
            kind: SmartModuleKind::Generic(SmartModuleContextData::None),
            params,
            name: Some(name),
        }
    }
}

/// A connection to a partition's leader.
pub(super) struct Link {
    replica: ReplicaKey,
    streams: StreamSocket,
    requests: VersionedSerialSocket,
}

impl Link {
    /// Connects.
    pub(super) async fn connect(config: ClientConfig, topic: &str, partition: PartitionId) -> Result<Self, LinkError> {
        let (socket, config, versions) = in_time(PATIENCE, config.connect()).await?.split();
        let socket: SharedMultiplexerSocket = MultiplexerSocket::shared(socket);
        Ok(Self {
            replica: ReplicaKey::new(topic, partition),
            streams: StreamSocket::new(config.clone(), socket.clone(), versions.clone()),
            requests: VersionedSerialSocket::new(socket, config, versions),
        })
    }

    /// Asks where the partition begins and ends.
    pub(super) async fn extent(&self, patience: Duration) -> Result<Extent, LinkError> {
        let request = FetchOffsetsRequest::new(self.replica.topic.clone(), self.replica.partition);
        let response = in_time(patience, self.requests.send_receive(request)).await?;
        match response.find_partition(&self.replica) {
            Some(found) if found.error_code.is_ok() => {
                Ok(Extent { start: found.start_offset, end: found.last_stable_offset })
            }
            Some(found) => Err(LinkError::Code(found.error_code)),
            None => Err(LinkError::Garbled(format!("it does not speak of {}", self.replica))),
        }
    }

    /// Opens a stream of answers.
    pub(super) async fn stream(&mut self, fetch: Fetch) -> Result<Answers, LinkError> {
        let version = self.requests.versions().lookup_version::<DefaultStreamFetchRequest>();
        let version =
            version.filter(|version| *version >= CHAIN_SMARTMODULE_API).ok_or(LinkError::TooOld(String::new()))?;
        let request = DefaultStreamFetchRequest::builder()
            .topic(self.replica.topic.clone())
            .partition(self.replica.partition)
            .fetch_offset(fetch.offset)
            .max_bytes(fetch.max_bytes)
            .isolation(fetch.isolation)
            .smartmodules(fetch.module.into_iter().map(SmartModuleInvocation::from).collect::<Vec<_>>())
            .build()
            .map_err(|error| LinkError::Garbled(error.to_string()))?;
        let responses = in_time(PATIENCE, self.streams.create_stream_with_version(request, version)).await?;
        Ok(Answers { responses })
    }

    /// Tells the SPU that everything before `offset` has been taken; it goes on from there.
    pub(super) async fn acknowledge(&self, session: u32, offset: i64, patience: Duration) -> Result<(), LinkError> {
        let request = UpdateOffsetsRequest::new(vec![OffsetUpdate { offset, session_id: session }]);
        let response = in_time(patience, self.requests.send_receive(request)).await?;
        match response.status.into_iter().find(|status| status.error.is_error()) {
            Some(status) => Err(LinkError::Code(status.error)),
            None => Ok(()),
        }
    }
}

/// The answers of one stream.
pub(super) struct Answers {
    responses: AsyncResponse<DefaultStreamFetchRequest>,
}

/// One answer: the values of its records, in order, and then perhaps an error.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// The stream's number on this connection.
    pub(super) session: u32,
    /// The partition's end as the SPU knew it, if it said so.
    pub(super) end: Option<i64>,
    /// What the module gave.
    pub(super) values: Vec<RecordData>,
    /// What came after it.
    pub(super) error: Option<ErrorCode>,
}

impl Answers {
    /// The next answer of a module. Dropping the future loses nothing.
    pub(super) async fn answer(&mut self) -> Result<Answer, LinkError> {
        Answer::read(self.response().await?)
    }

    /// The next answer without a module. Dropping the future loses nothing.
    pub(super) async fn next_stored(&mut self) -> Result<StoredAnswer, LinkError> {
        let response = self.response().await?;
        let partition = response.partition;
        match partition.error_code {
            ErrorCode::None => Ok(StoredAnswer { session: response.stream_id, batches: partition.records.batches }),
            code => Err(LinkError::Code(code)),
        }
    }

    async fn response(&mut self) -> Result<DefaultStreamFetchResponse, LinkError> {
        match self.responses.next().await {
            None => Err(LinkError::Closed),
            Some(response) => Ok(response?),
        }
    }
}

/// An answer without a module: batches as they are stored, the last perhaps cut off.
pub(super) struct StoredAnswer {
    /// The stream's number on this connection.
    pub(super) session: u32,
    /// The batches, in order.
    pub(super) batches: Vec<Batch<RawRecords>>,
}

impl Answer {
    fn read(response: DefaultStreamFetchResponse) -> Result<Self, LinkError> {
        let partition = response.partition;
        let mut values = Vec::new();
        for batch in partition.records.batches {
            let batch: Batch = batch.try_into().map_err(|error| LinkError::Garbled(format!("{error}")))?;
            values.extend(batch.own_records().into_iter().map(|record| record.into_value()));
        }
        Ok(Self {
            session: response.stream_id,
            end: (partition.high_watermark > 0).then_some(partition.high_watermark),
            values,
            error: partition.error_code.is_error().then_some(partition.error_code),
        })
    }
}

async fn in_time<T>(patience: Duration, answer: impl Future<Output = Result<T, SocketError>>) -> Result<T, LinkError> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LinkError::Silent(patience)),
    }
}
