//! Batches into the log. Each is checked in full before it is stored; what is acknowledged has been written.

use std::sync::Arc;

use bytes::Bytes;
use fluvio_controlplane_metadata::topic::CompressionAlgorithm;
use fluvio_protocol::ByteBuf;
use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::produce::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use fluvio_spu_schema::server::smartmodule::SmartModuleInvocation;
use tracing::{error, warn};

use crate::engine;
use crate::log::batch::{BatchFault, Header, split_checked};
use crate::log::{LogError, PartitionLog};
use crate::state::Shared;

/// Stores what a request carries. The answer has the request's order, since a request may name a partition more than once.
pub(super) async fn handle(shared: &Arc<Shared>, request: ProduceRequest<ByteBuf>, version: i16) -> ProduceResponse {
    let mut responses = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for data in topic.partitions {
            let number = data.partition_index;
            let stored = match shared.catalog.log(&topic.name, number) {
                None => Err(ErrorCode::NotLeaderForPartition),
                Some(log) => {
                    let (shared_too, modules) = (shared.clone(), request.smartmodules.clone());
                    let work = move || store(&shared_too, &log, &data.records, modules, version);
                    let panicked = || Err(ErrorCode::Other("the SmartModule's answer cannot be read".into()));
                    shared.blocking(work).await.unwrap_or_else(panicked)
                }
            };
            let mut response = PartitionProduceResponse { partition_index: number, ..Default::default() };
            match stored {
                Ok(base_offset) => response.base_offset = base_offset,
                Err(error_code) => response.error_code = error_code,
            }
            partitions.push(response);
        }
        responses.push(TopicProduceResponse { name: topic.name, partitions });
    }
    ProduceResponse { responses, ..Default::default() }
}

/// Checks, transforms, appends. Gives the offset of the first record; 0 if there is none to store, as the SPU does.
fn store(
    shared: &Shared,
    log: &PartitionLog,
    set: &Bytes,
    modules: Vec<SmartModuleInvocation>,
    version: i16,
) -> Result<i64, ErrorCode> {
    let mut batches = split_checked(set).map_err(|fault| {
        warn!(partition = %log.id(), %fault, "refused a produce request");
        match fault {
            BatchFault::TooLarge { .. } => ErrorCode::MessageTooLarge,
            BatchFault::Compression { .. } => ErrorCode::CompressionError,
            fault => ErrorCode::Other(fault.to_string()),
        }
    })?;
    if let Some(mut chain) = shared.engine.chain(&shared.catalog, modules, version, log)? {
        batches = engine::transform(&mut chain, &batches)?.into_iter().collect();
    }
    let Some(spec) = shared.catalog.topic_spec(&log.id().topic) else {
        return Err(ErrorCode::TopicNotFound);
    };
    let wanted = spec.get_compression_type();
    let allowed = |batch: &Bytes| {
        let compression = Header::read(batch).and_then(|header| header.compression());
        compression.is_some_and(|it| *wanted == CompressionAlgorithm::Any || wanted.to_string() == it.to_string())
    };
    if !batches.iter().all(allowed) {
        warn!(partition = %log.id(), %wanted, "refused another compression than the topic's");
        return Err(ErrorCode::CompressionError);
    }
    if batches.is_empty() {
        return Ok(0);
    }
    if let Err(fault) = shared.catalog.check_folder() {
        error!(%fault, "cannot store");
        return Err(ErrorCode::Other(fault.to_string()));
    }
    match log.append(&batches) {
        Ok(appended) => Ok(appended.start),
        Err(fault) => {
            error!(%fault, "cannot store");
            Err(error_code(&fault))
        }
    }
}

fn error_code(fault: &LogError) -> ErrorCode {
    match fault {
        LogError::Deleted { .. } => ErrorCode::NotLeaderForPartition,
        // A client shows what went wrong, and tries again.
        fault => ErrorCode::Other(fault.to_string()),
    }
}
