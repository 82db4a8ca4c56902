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
use fluvio_protocol::link::versions::ApiVersionsResponse;
use fluvio_spu_schema::produce::DefaultProduceRequest;
use fluvio_spu_schema::server::SpuServerApiKey as Key;
use fluvio_spu_schema::server::consumer_offset::{
    DeleteConsumerOffsetResponse, FetchConsumerOffsetsResponse, UpdateConsumerOffsetResponse,
};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use fluvio_spu_schema::server::stream_fetch::DefaultStreamFetchRequest;
use fluvio_spu_schema::server::update_offset::UpdateOffsetsRequest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::connection::{self, Handler, not_offered, offer};
use crate::state::Shared;
use crate::wire::{Incoming, Reply, Sender};

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
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream) -> io::Result<()> {
    let make = |sender, stop| Connection {
        shared: shared.clone(),
        sender,
        acknowledged: HashMap::new(),
        last_stream: 0,
        stop,
    };
    connection::serve(&shared, stream, make).await
}

impl Handler for Connection {
    fn offers() -> ApiVersionsResponse {
        let of = |key: Key, max| offer(key as i16, MIN_STREAM_VERSION, max);
        let api_keys = vec![
            of(Key::Produce, DefaultProduceRequest::MAX_API_VERSION),
            of(Key::FetchOffsets, FetchOffsetsRequest::MAX_API_VERSION),
            of(Key::StreamFetch, DefaultStreamFetchRequest::MAX_API_VERSION),
            offer(Key::UpdateOffsets as i16, 0, UpdateOffsetsRequest::MAX_API_VERSION),
        ];
        ApiVersionsResponse { api_keys, ..Default::default() }
    }

    async fn handle(&mut self, incoming: Incoming) -> io::Result<Option<Reply>> {
        let version = incoming.header.api_version();
        let error_code = ErrorCode::Other(NO_CONSUMER_OFFSETS.to_owned());
        match Key::try_from(incoming.header.api_key())? {
            Key::Produce => incoming.answer(&produce::handle(&self.shared, incoming.decode()?, version).await),
            Key::FetchOffsets => incoming.answer(&offsets::fetch(&self.shared.catalog, incoming.decode()?)),
            Key::UpdateOffsets => incoming.answer(&offsets::acknowledge(&mut self.acknowledged, incoming.decode()?)),
            Key::StreamFetch => stream::start(self, incoming.decode()?, incoming.header),
            Key::UpdateConsumerOffset => {
                incoming.answer(&UpdateConsumerOffsetResponse { error_code, ..Default::default() })
            }
            Key::DeleteConsumerOffset => incoming.answer(&DeleteConsumerOffsetResponse { error_code }),
            Key::FetchConsumerOffsets => {
                incoming.answer(&FetchConsumerOffsetsResponse { error_code, ..Default::default() })
            }
            key @ (Key::ApiVersion | Key::Fetch | Key::StartMirror) => Err(not_offered(key)),
        }
    }
}
