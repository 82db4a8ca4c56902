//! The SPU's side of the protocol: produce, offsets, streams.
//!
//! - `produce` batches into the log
//! - `offsets` where partitions begin and end, and what clients have read of their streams
//! - `stream` the log to one consumer, as it is or through SmartModules
//!
//! Requests of one connection are answered in order; streams run beside them.

mod offsets;
mod produce;
mod stream;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use fluvio_protocol::api::Request;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsRequest, ApiVersionsResponse};
use fluvio_spu_schema::produce::DefaultProduceRequest;
use fluvio_spu_schema::server::SpuServerApiKey as Key;
use fluvio_spu_schema::server::consumer_offset::{
    DeleteConsumerOffsetResponse, FetchConsumerOffsetsResponse, UpdateConsumerOffsetResponse,
};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use fluvio_spu_schema::server::stream_fetch::DefaultStreamFetchRequest;
use fluvio_spu_schema::server::update_offset::UpdateOffsetsRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, Handler};
use crate::state::Shared;
use crate::wire::{Incoming, Sender};

/// The first version that carries chains of SmartModules in their present form.
const MIN_STREAM_VERSION: i16 = 20;

const NO_CONSUMER_OFFSETS: &str =
    "isotherm-node keeps no consumer offsets: give the consumer a start offset, or use a Fluvio cluster";

/// One connection to the SPU.
struct Connection {
    shared: Arc<Shared>,
    sender: Sender,
    /// What clients have acknowledged of their streams, by the stream's id.
    acknowledged: HashMap<u32, watch::Sender<i64>>,
    last_stream: u32,
    /// Cancelled when the connection ends.
    stop: CancellationToken,
}

/// Serves one client until it goes, the node ends, or it sends what cannot be understood.
pub(crate) async fn serve<R, W>(shared: Arc<Shared>, read: R, write: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let make = |sender, stop| Connection {
        shared: shared.clone(),
        sender,
        acknowledged: HashMap::new(),
        last_stream: 0,
        stop,
    };
    connection::serve(&shared, read, write, make).await
}

impl Handler for Connection {
    async fn handle(&mut self, mut incoming: Incoming) -> io::Result<()> {
        let key = Key::try_from(incoming.header.api_key())?;
        let version = incoming.header.api_version();
        let versions = match key {
            Key::ApiVersion => 0..=ApiVersionsRequest::MAX_API_VERSION,
            Key::UpdateOffsets => 0..=UpdateOffsetsRequest::MAX_API_VERSION,
            _ => MIN_STREAM_VERSION..=DefaultStreamFetchRequest::MAX_API_VERSION,
        };
        incoming.check_version(key, &versions)?;
        match key {
            Key::ApiVersion => {
                let _: ApiVersionsRequest = incoming.decode()?;
                self.sender.reply(&incoming, &api_versions()).await
            }
            Key::Produce => {
                let request = incoming.decode()?;
                let response = produce::handle(&self.shared, request, version).await;
                self.sender.reply(&incoming, &response).await
            }
            Key::FetchOffsets => {
                let request = incoming.decode()?;
                let response = offsets::fetch(&self.shared.catalog, request);
                self.sender.reply(&incoming, &response).await
            }
            Key::UpdateOffsets => {
                let request = incoming.decode()?;
                let response = offsets::acknowledge(&mut self.acknowledged, request);
                self.sender.reply(&incoming, &response).await
            }
            Key::StreamFetch => {
                let request = incoming.decode()?;
                stream::start(self, incoming.header, request).await
            }
            Key::UpdateConsumerOffset => {
                let response = UpdateConsumerOffsetResponse { error_code: no_consumer_offsets(), ..Default::default() };
                self.sender.reply(&incoming, &response).await
            }
            Key::DeleteConsumerOffset => {
                self.sender.reply(&incoming, &DeleteConsumerOffsetResponse { error_code: no_consumer_offsets() }).await
            }
            Key::FetchConsumerOffsets => {
                let response = FetchConsumerOffsetsResponse { error_code: no_consumer_offsets(), ..Default::default() };
                self.sender.reply(&incoming, &response).await
            }
            Key::Fetch | Key::StartMirror => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("a request {key:?}, which this node does not serve and does not offer"),
            )),
        }
    }
}

fn no_consumer_offsets() -> ErrorCode {
    ErrorCode::Other(NO_CONSUMER_OFFSETS.to_owned())
}

fn api_versions() -> ApiVersionsResponse {
    let range = |key: Key, min_version, max_version| ApiVersionKey { api_key: key as i16, min_version, max_version };
    let api_keys = vec![
        range(Key::Produce, MIN_STREAM_VERSION, DefaultProduceRequest::MAX_API_VERSION),
        range(Key::FetchOffsets, MIN_STREAM_VERSION, FetchOffsetsRequest::MAX_API_VERSION),
        range(Key::StreamFetch, MIN_STREAM_VERSION, DefaultStreamFetchRequest::MAX_API_VERSION),
        range(Key::UpdateOffsets, 0, UpdateOffsetsRequest::MAX_API_VERSION),
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}
