//! What keeps the oldest open window from closing, as one JSON object. `docs/store-queries.md` lists its members.

use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;
use serde::{Serialize, Serializer};

use super::{maybe_time, time};

/// What a store and its cluster say of the oldest open window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "why")]
pub struct WhyReport {
    pub topic: String,
    /// Windows that hold readings and are open.
    pub open_windows: u64,
    /// The oldest of them.
    pub window: Option<OpenWindow>,
    /// How long after its end a window stays open.
    #[serde(rename = "grace_ms")]
    pub grace: Millis,
    /// How long a partition must be quiet to hold nothing back.
    #[serde(rename = "idle_ms")]
    pub idle: Millis,
    /// The topic's watermark.
    #[serde(serialize_with = "maybe_time")]
    pub watermark: Option<Millis>,
    /// The newest event time of any accepted reading.
    #[serde(serialize_with = "maybe_time")]
    pub newest: Option<Millis>,
    /// Who holds the store's lock: the consumer that runs.
    pub consumer: Option<String>,
    pub cluster: Cluster,
    pub partitions: Vec<PartitionWhy>,
    /// The answer in words.
    pub because: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    pub address: String,
    /// Why it did not answer.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OpenWindow {
    #[serde(serialize_with = "time")]
    pub start: Millis,
    #[serde(serialize_with = "time")]
    pub end: Millis,
    /// The watermark that closes it: its end plus grace.
    #[serde(serialize_with = "time")]
    pub closes_at: Millis,
    /// How much event time the topic's watermark lacks; `None` if there is no watermark.
    #[serde(rename = "missing_ms")]
    pub missing: Option<Millis>,
}

/// How a partition stands to the oldest open window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionWhy {
    pub partition: PartitionId,
    #[serde(serialize_with = "state")]
    pub state: ReadState,
    /// Whether the window waits for it.
    pub blocks_watermark: bool,
    #[serde(serialize_with = "maybe_time")]
    pub watermark: Option<Millis>,
    /// How much event time it lacks.
    #[serde(rename = "missing_ms")]
    pub missing: Option<Millis>,
    /// The offset that comes next.
    pub next: Option<i64>,
    /// The first offset that its log still has.
    pub first: Option<i64>,
    /// The offset after its last record.
    pub end: Option<i64>,
    /// Offsets yet to be read.
    pub lag: Option<u64>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// How far a partition has been read, by the store and the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadState {
    /// The topic has it, the store does not know it.
    Discovered,
    /// There is more to read.
    CatchingUp,
    /// Everything has been read.
    CaughtUp,
    /// Everything has been read, and the watermark has passed its own: it was quiet.
    Idle,
    /// Its end is not known.
    Unknown,
    /// Its log begins beyond the next offset to read.
    Cut,
    /// Its log ends before what has been read of it.
    Shorter,
    /// The topic does not have it any longer.
    Gone,
}

impl ReadState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::CatchingUp => "catching-up",
            Self::CaughtUp => "caught-up",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
            Self::Cut => "cut",
            Self::Shorter => "shorter",
            Self::Gone => "gone",
        }
    }
}

fn state<S: Serializer>(state: &ReadState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::json;

    #[test]
    fn the_object_is_byte_for_byte_that_of_the_documents() {
        let start = 1_795_341_600_000;
        let partition = PartitionWhy {
            partition: 0,
            state: ReadState::CaughtUp,
            blocks_watermark: false,
            watermark: Some(start + 9_250),
            missing: Some(0),
            next: Some(620),
            first: Some(0),
            end: Some(620),
            lag: Some(0),
            error: None,
        };
        let report = WhyReport {
            topic: "sensors".to_owned(),
            open_windows: 4,
            window: Some(OpenWindow { start, end: start + 3_000, closes_at: start + 4_000, missing: Some(1_500) }),
            grace: 1_000,
            idle: 10_000,
            watermark: Some(start + 2_500),
            newest: Some(start + 9_250),
            consumer: Some("by process 4711 on tower since 2026-11-22T09:58:00Z".to_owned()),
            cluster: Cluster { address: "127.0.0.1:9003".to_owned(), error: None },
            partitions: vec![
                partition.clone(),
                PartitionWhy {
                    partition: 1,
                    state: ReadState::CatchingUp,
                    blocks_watermark: true,
                    watermark: Some(start + 2_500),
                    missing: Some(1_500),
                    next: Some(400),
                    end: Some(12_745),
                    lag: Some(12_345),
                    ..partition
                },
            ],
            because: vec!["partition 1 has 12,345 records to read".to_owned()],
        };
        let golden = include_str!("golden/why.json");
        assert_eq!(json(&report) + "\n", golden);
        assert!(include_str!("../../../docs/store-queries.md").contains(golden.trim_end()), "not in the documents");
    }
}
