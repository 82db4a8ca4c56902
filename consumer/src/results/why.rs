//! What keeps the oldest open window from closing, as one JSON object. `docs/store-queries.md` lists its members.

use std::fmt::{self, Display, Formatter};

use isotherm_model::json::Quoted;
use isotherm_model::partial::PartitionId;
use isotherm_model::window::Millis;

use super::{Instant, Maybe, list};

/// What a store and its cluster say of the oldest open window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyReport {
    /// The topic.
    pub topic: String,
    /// Windows that hold readings and are open.
    pub open_windows: u64,
    /// The oldest of them.
    pub window: Option<OpenWindow>,
    /// How long after its end a window stays open.
    pub grace: Millis,
    /// How long a partition must be quiet to hold nothing back.
    pub idle: Millis,
    /// The topic's watermark.
    pub watermark: Option<Millis>,
    /// The newest event time of any accepted reading.
    pub newest: Option<Millis>,
    /// Who holds the store's lock: the consumer that runs.
    pub consumer: Option<String>,
    /// The address of the cluster that was asked.
    pub cluster: String,
    /// Why it did not answer.
    pub cluster_error: Option<String>,
    /// By partition, ascending.
    pub partitions: Vec<PartitionWhy>,
    /// The answer in words.
    pub because: Vec<String>,
}

/// An open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenWindow {
    /// First instant.
    pub start: Millis,
    /// First instant after it.
    pub end: Millis,
    /// The watermark that closes it: its end plus grace.
    pub closes_at: Millis,
    /// How much event time the topic's watermark lacks; `None` if there is no watermark.
    pub missing: Option<Millis>,
}

/// How a partition stands to the oldest open window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionWhy {
    /// Which.
    pub partition: PartitionId,
    /// How far it has been read.
    pub state: ReadState,
    /// Whether the window waits for it.
    pub blocks_watermark: bool,
    /// Its watermark.
    pub watermark: Option<Millis>,
    /// How much event time it lacks.
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
    /// Its log begins beyond what is to be read next.
    Cut,
    /// Its log ends before what has been read of it.
    Shorter,
    /// The topic does not have it any longer.
    Gone,
}

impl ReadState {
    /// Its word.
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

impl Display for WhyReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (topic, open) = (Quoted(&self.topic), self.open_windows);
        write!(f, r#"{{"type":"why","topic":{topic},"open_windows":{open},"window":{},"#, Maybe(self.window))?;
        let (watermark, newest) = (Maybe(self.watermark.map(Instant)), Maybe(self.newest.map(Instant)));
        write!(f, r#""grace_ms":{},"idle_ms":{},"#, self.grace, self.idle)?;
        write!(f, r#""watermark":{watermark},"newest":{newest},"consumer":{},"#, text(&self.consumer))?;
        let cluster = Quoted(&self.cluster);
        write!(f, r#""cluster":{{"address":{cluster},"error":{}}},"#, text(&self.cluster_error))?;
        write!(f, r#""partitions":{},"#, list(&self.partitions, |partition, f| partition.fmt(f)))?;
        write!(f, r#""because":{}}}"#, list(&self.because, |words: &String, f| Quoted(words).fmt(f)))
    }
}

impl Display for OpenWindow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { start, end, closes_at, missing } = *self;
        let (start, end, closes_at) = (Instant(start), Instant(end), Instant(closes_at));
        write!(f, r#"{{"start":{start},"end":{end},"closes_at":{closes_at},"missing_ms":{}}}"#, Maybe(missing))
    }
}

impl Display for PartitionWhy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { partition, state, blocks_watermark, watermark, missing, next, first, end, lag, error } = self;
        let (state, watermark) = (state.name(), Maybe(watermark.map(Instant)));
        write!(
            f,
            r#"{{"partition":{partition},"state":"{state}","blocks_watermark":{blocks_watermark},"watermark":{watermark},"#
        )?;
        let (missing, lag) = (Maybe(*missing), Maybe(*lag));
        let (next, first, end) = (Maybe(*next), Maybe(*first), Maybe(*end));
        write!(
            f,
            r#""missing_ms":{missing},"next":{next},"first":{first},"end":{end},"lag":{lag},"error":{}}}"#,
            text(error)
        )
    }
}

/// A text, or `null`.
fn text(text: &Option<String>) -> Maybe<Quoted<'_>> {
    Maybe(text.as_deref().map(Quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            cluster: "127.0.0.1:9003".to_owned(),
            cluster_error: None,
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
        assert_eq!(format!("{report}\n"), golden);
        assert!(include_str!("../../../docs/store-queries.md").contains(golden.trim_end()), "not in the documents");
    }
}
