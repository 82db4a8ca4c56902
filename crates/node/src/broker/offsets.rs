//! Where partitions begin and end, and what clients have read of their streams.

use std::collections::HashMap;

use fluvio_protocol::link::ErrorCode;
use fluvio_spu_schema::server::fetch_offset::{
    FetchOffsetPartitionResponse, FetchOffsetTopicResponse, FetchOffsetsRequest, FetchOffsetsResponse,
};
use fluvio_spu_schema::server::update_offset::{OffsetUpdateStatus, UpdateOffsetsRequest, UpdateOffsetsResponse};
use tokio::sync::watch;

use crate::catalog::Catalog;

/// First and end offset of each partition asked for. With one replica all that is written is committed, so that the end
/// is the committed end too.
pub(super) fn fetch(catalog: &Catalog, request: FetchOffsetsRequest) -> FetchOffsetsResponse {
    let partition = |topic: &str, partition_index| {
        let tip = catalog.log(topic, partition_index).map(|log| log.tip());
        FetchOffsetPartitionResponse {
            partition_index,
            error_code: if tip.is_some() { ErrorCode::None } else { ErrorCode::PartitionNotLeader },
            start_offset: tip.map_or(0, |tip| tip.start),
            last_stable_offset: tip.map_or(0, |tip| tip.end),
        }
    };
    let topics = request.topics.into_iter().map(|topic| FetchOffsetTopicResponse {
        partitions: topic.partitions.iter().map(|it| partition(&topic.name, it.partition_index)).collect(),
        name: topic.name,
    });
    FetchOffsetsResponse { topics: topics.collect() }
}

/// Passes what a client has read on to its streams.
pub(super) fn acknowledge(
    streams: &mut HashMap<u32, watch::Sender<i64>>,
    request: UpdateOffsetsRequest,
) -> UpdateOffsetsResponse {
    streams.retain(|_, stream| !stream.is_closed());
    let status = request.offsets.into_iter().map(|update| {
        let stream = streams.get(&update.session_id);
        if let Some(stream) = stream {
            stream.send_replace(update.offset);
        }
        let error = if stream.is_some() { ErrorCode::None } else { ErrorCode::FetchSessionNotFoud };
        OffsetUpdateStatus { session_id: update.session_id, error }
    });
    UpdateOffsetsResponse { status: status.collect() }
}
