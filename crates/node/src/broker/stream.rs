//! The log to one consumer. After each answer the stream waits until the client acknowledges how far it has read, and goes
//! on from there. At the end of the log it waits for more.
//!
//! Without SmartModules an answer is whole stored batches, from the one that holds the offset asked for: at least one,
//! then as many as fit in the client's `max_bytes`. (The SPU cuts the last batch off at that size, and the client silently
//! drops what is cut off.)

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use fluvio_protocol::ByteBuf;
use fluvio_protocol::api::RequestHeader;
use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::fetch::FetchablePartitionResponse;
use fluvio_spu_schema::server::stream_fetch::{StreamFetchRequest, StreamFetchResponse};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Connection, NO_CONSUMER_OFFSETS};
use crate::engine::{ChainOutput, RunningChain};
use crate::log::{PartitionLog, Tip};
use crate::state::Shared;
use crate::wire::{Reply, Sender};

/// The size limit of an answer of several stored batches, also if the client allows more.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
const NOTHING_ACKNOWLEDGED: i64 = -1;

type Request = StreamFetchRequest<ByteBuf>;
/// With the length of the record set in place of the set, whose bytes are sent right behind it without being copied.
type Response = StreamFetchResponse<i32>;

struct Stream {
    shared: Arc<Shared>,
    sender: Sender,
    header: RequestHeader,
    id: u32,
    log: Arc<PartitionLog>,
    max_bytes: usize,
    acknowledged: watch::Receiver<i64>,
    tip: watch::Receiver<Tip>,
    stop: CancellationToken,
}

/// Why a stream ends.
enum StreamEnd {
    /// With this error, which is sent to the client.
    Error(ErrorCode),
    /// The client or the node has gone.
    Gone,
}

impl From<ErrorCode> for StreamEnd {
    fn from(code: ErrorCode) -> Self {
        Self::Error(code)
    }
}

/// How many streams a connection may have. A stream lasts as long as its connection, since the protocol has no request that
/// ends one. A client that follows every partition of a large topic needs fewer.
const MAX_STREAMS: usize = 4096;

/// Starts the stream that a client asks for.
pub(super) fn start(connection: &mut Connection, request: Request, header: RequestHeader) -> io::Result<Option<Reply>> {
    connection.acknowledged.retain(|_, stream| !stream.is_closed());
    let log = if connection.acknowledged.len() < MAX_STREAMS {
        let log = connection.shared.catalog.log(&request.topic, request.partition);
        log.ok_or(ErrorCode::NotLeaderForPartition)
    } else {
        let reason = format!("this connection has {MAX_STREAMS} streams, which is the most; open another connection");
        Err(ErrorCode::Other(reason))
    };
    let log = match log {
        Ok(log) => log,
        Err(code) => return Reply::new(&header, &error_response(request.topic, request.partition, 0, code)).map(Some),
    };
    connection.last_stream = connection.last_stream.wrapping_add(1);
    let id = connection.last_stream;
    let (acknowledge, acknowledged) = watch::channel(NOTHING_ACKNOWLEDGED);
    connection.acknowledged.insert(id, acknowledge);
    let stream = Stream {
        shared: connection.shared.clone(),
        sender: connection.sender.clone(),
        header,
        id,
        tip: log.follow(),
        log,
        max_bytes: usize::try_from(request.max_bytes).unwrap_or(0).max(1),
        acknowledged,
        stop: connection.stop.clone(),
    };
    connection.shared.tasks.spawn(stream.run(request));
    Ok(None)
}

impl Stream {
    async fn run(mut self, request: Request) {
        if let Err(StreamEnd::Error(code)) = self.work(request).await {
            debug!(partition = %self.log.id(), error = %code, "a stream ends");
            let partition = self.log.id();
            let response = error_response(partition.topic.clone(), partition.number, self.id, code);
            if let Ok(reply) = Reply::new(&self.header, &response) {
                // The stream ends in any case.
                let _ = self.sender.send(reply).await;
            }
        }
    }

    async fn work(&mut self, request: Request) -> Result<(), StreamEnd> {
        if request.consumer_id.is_some() {
            return Err(ErrorCode::Other(NO_CONSUMER_OFFSETS.to_owned()).into());
        }
        let mut chain = self.chain(&request).await?;
        let Tip { start, end, .. } = self.log.tip();
        let mut next = request.fetch_offset;
        if next < start {
            return Err(ErrorCode::OffsetEvicted { offset: next, next_available: start }.into());
        }
        if next > end {
            let message = format!("start offset: {next} is greater than leo: {end}");
            return Err(ErrorCode::Other(message).into());
        }
        loop {
            let (read_to, sent);
            (chain, read_to, sent) = self.send_next(chain, next).await?;
            // After an answer the client says how far it has read. Without one the log goes on, or the client goes back.
            let (acknowledged, read) = if sent { (0..i64::MAX, i64::MAX) } else { (0..read_to, read_to) };
            next = self.next(acknowledged, read).await?;
        }
    }

    async fn chain(&self, request: &Request) -> Result<Option<RunningChain>, StreamEnd> {
        if request.smartmodules.is_empty() {
            return Ok(None);
        }
        // A client that has gone in the meantime needs none.
        let _permit = tokio::select! {
            () = self.stop.cancelled() => return Err(StreamEnd::Gone),
            permit = self.shared.compiling.acquire() => permit,
        };
        let (shared, log, version) = (self.shared.clone(), self.log.clone(), self.header.api_version());
        let invocations = request.smartmodules.clone();
        let build = move || shared.engine.chain(&shared.catalog, invocations, version, &log);
        let chain =
            self.shared.blocking(build).await.unwrap_or_else(|| {
                Err(ErrorCode::SmartModuleChainInitError("the SmartModule broke the engine".into()))
            });
        let chain = chain.inspect_err(|error| warn!(partition = %self.log.id(), %error, "no SmartModule chain"))?;
        Ok(chain.map(|chain| RunningChain::new(chain, self.max_bytes)))
    }

    /// Sends what comes from `from` on: stored batches, or what the SmartModules make of them. Gives the chain back, says how far
    /// it read and whether it sent anything.
    async fn send_next(
        &self,
        mut chain: Option<RunningChain>,
        from: i64,
    ) -> Result<(Option<RunningChain>, i64, bool), StreamEnd> {
        if from >= self.log.tip().end {
            return Ok((chain, from, false));
        }
        let (log, stop, max_bytes) = (self.log.clone(), self.stop.clone(), self.max_bytes.min(MAX_ANSWER_BYTES));
        let work = move || {
            let answer = match &mut chain {
                Some(chain) => chain.next_output(&log, from, &stop),
                None => log.read(from, max_bytes).map(ChainOutput::from).map_err(|error| {
                    warn!(%error, "a stream cannot be read on");
                    error.code()
                }),
            };
            (chain, answer)
        };
        let broken = || ErrorCode::Other("SmartModule err: its answer cannot be read".into());
        let (chain, answer) = self.shared.blocking(work).await.ok_or_else(broken)?;
        let ChainOutput { batch, error, next } = answer?;
        if self.stop.is_cancelled() {
            return Err(StreamEnd::Gone);
        }
        if batch.is_empty() && error.is_none() {
            return Ok((chain, next, false));
        }
        let code = error.map_or(ErrorCode::None, |error| ErrorCode::SmartModuleRuntimeError(Box::new(error)));
        // Stored batches say themselves where they end.
        let next_filter_offset = if chain.is_some() { next } else { 0 };
        self.send(code, next_filter_offset, batch).await?;
        Ok((chain, next, true))
    }

    async fn send(&self, error_code: ErrorCode, next_filter_offset: i64, batches: Bytes) -> Result<(), StreamEnd> {
        let records = i32::try_from(batches.len()).map_err(|error| ErrorCode::Other(error.to_string()))?;
        let tip = self.log.tip();
        let response = Response {
            topic: self.log.id().topic.clone(),
            stream_id: self.id,
            partition: FetchablePartitionResponse {
                partition_index: self.log.id().number,
                error_code,
                high_watermark: tip.end,
                next_filter_offset,
                log_start_offset: tip.start,
                records,
                ..Default::default()
            },
        };
        let reply =
            Reply::with_tail(&self.header, &response, batches).map_err(|error| ErrorCode::Other(error.to_string()))?;
        self.sender.send(reply).await.map_err(|_| StreamEnd::Gone)
    }

    /// Waits until the client acknowledges an offset in `acknowledged`, or the log goes on behind `read`, which is then next.
    async fn next(&mut self, acknowledged: Range<i64>, read: i64) -> Result<i64, StreamEnd> {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Err(StreamEnd::Gone),
                tip = self.tip.wait_for(|tip| tip.deleted || tip.end > read) => {
                    let tip = *tip.map_err(|_| StreamEnd::Gone)?;
                    return if tip.deleted { Err(ErrorCode::TopicDeleted.into()) } else { Ok(read) };
                }
                changed = self.acknowledged.changed() => {
                    changed.map_err(|_| StreamEnd::Gone)?;
                    let offset = *self.acknowledged.borrow_and_update();
                    if acknowledged.contains(&offset) {
                        return Ok(offset);
                    }
                }
            }
        }
    }
}

fn error_response(topic: String, partition_index: u32, stream_id: u32, error_code: ErrorCode) -> Response {
    let partition = FetchablePartitionResponse { partition_index, error_code, ..Default::default() };
    Response { topic, stream_id, partition }
}
