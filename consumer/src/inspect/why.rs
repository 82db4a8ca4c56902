//! `why`: what keeps the oldest open window from closing, as far as a store and its cluster tell.
//!
//! A store knows what was committed: watermarks and positions. Whether a partition that has been read to its end is
//! idle now, only its consumer knows. One thing shows: the topic's watermark is the least of those who hold it back.
//! Where it has passed a partition's own, or that has none, the partition was idle then, and still is unless something came
//! of it since. A consumer that has just started counts from its start, and waits for such a partition, too.

mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_engine::state::{PartitionState, TopicState};
use isotherm_model::partial::PartitionId;
use isotherm_model::time::{Millis, Utc};
use isotherm_model::window::WindowSize;
use isotherm_store::Timing;
use isotherm_terminal::progress::thousands;

use self::words::{because, seconds};
use super::columns::{Column, lines};
use crate::log::LogBounds;
use crate::log::ends::PartitionBounds;
use crate::render::source_hints;
use crate::results::why::{Cluster, OpenWindow, PartitionWhy, ReadState, WhyReport};
use crate::sinks::table::format::{foreign, time_range};
use crate::sources::SourceError;

/// How much of a text from outside is shown.
const MOST_TEXT: usize = 400;

/// What is known.
#[derive(Debug, Clone, Copy)]
pub struct WhyInput<'a> {
    pub topic: &'a str,
    pub window: WindowSize,
    /// How long after its end a window stays open, and how long a partition must be idle not to block the watermark, as far as
    /// is known.
    pub timing: Timing,
    /// What the run itself says of these: the one with this store now, or else the last one.
    pub given: Option<Timing>,
    /// The topic at the last commit.
    pub state: TopicState,
    /// Its partitions then.
    pub partitions: &'a BTreeMap<PartitionId, PartitionState>,
    /// The consumer that holds the store's lock.
    pub consumer: Option<Consumer<'a>>,
    pub cluster: &'a str,
    /// What it answers; or why it answers nothing. Asked after the store was read.
    pub log: &'a Result<PartitionBounds, String>,
}

/// A consumer that runs.
#[derive(Debug, Clone, Copy)]
pub struct Consumer<'a> {
    /// Who, as the lock says.
    pub holder: &'a str,
    /// For how long, if the lock says so.
    pub age: Option<Duration>,
}

impl WhyInput<'_> {
    /// How long ago the consumer was started, if that is not yet so long that a partition can be idle.
    fn just_started(&self) -> Option<Duration> {
        self.consumer.and_then(|consumer| consumer.age).filter(|age| *age < self.timing.idle)
    }
}

/// What keeps the oldest open window from closing.
pub fn report(known: &WhyInput<'_>) -> WhyReport {
    let Timing { grace, idle } = known.timing;
    let [grace, idle] = [grace, idle].map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
    let window = known.state.oldest_open.map(|start| {
        let end = start.saturating_add(known.window.millis());
        let closes_at = end.saturating_add(grace);
        OpenWindow { start, end, closes_at, missing: missing(closes_at, known.state.watermark) }
    });
    let mut all: Vec<PartitionId> = known.partitions.keys().copied().collect();
    all.extend(known.log.iter().flat_map(BTreeMap::keys).copied());
    all.sort_unstable();
    all.dedup();
    let mut partitions: Vec<_> = all.into_iter().map(|partition| stand(known, partition, window)).collect();
    if let Some(window) = window {
        wait_for_passed(known, window, &mut partitions);
    }
    let mut report = WhyReport {
        topic: known.topic.to_owned(),
        open_windows: known.state.open_windows,
        window,
        grace,
        idle,
        watermark: known.state.watermark,
        newest: known.state.newest,
        consumer: known.consumer.map(|consumer| consumer.holder.to_owned()),
        cluster: Cluster { address: known.cluster.to_owned(), error: known.log.as_ref().err().cloned() },
        partitions,
        because: Vec::new(),
    };
    report.because = because(known, &report);
    report
}

/// How much event time is missing.
fn missing(closes_at: Millis, watermark: Option<Millis>) -> Option<Millis> {
    watermark.map(|watermark| closes_at.saturating_sub(watermark).max(0))
}

/// How a partition stands.
fn stand(known: &WhyInput<'_>, partition: PartitionId, window: Option<OpenWindow>) -> PartitionWhy {
    let stored = known.partitions.get(&partition);
    let (watermark, next) = (stored.and_then(|stored| stored.watermark), stored.map(|stored| stored.position));
    let (extent, mut error) = match known.log.as_ref().map(|log| log.get(&partition)) {
        Ok(Some(Ok(extent))) => (Some(*extent), None),
        Ok(Some(Err(error))) => (None, Some(error.clone())),
        Ok(None) => (None, Some("the topic has no such partition any longer".to_owned())),
        // Said once for all of them.
        Err(_) => (None, None),
    };
    let gone = known.log.as_ref().is_ok_and(|log| !log.contains_key(&partition));
    let (state, lag) = match (stored, extent) {
        _ if gone => (ReadState::Gone, None),
        (None, extent) => (ReadState::Discovered, extent.map(|LogBounds { start, end }| distance(start, end))),
        (Some(_), None) => (ReadState::Unknown, None),
        (Some(stored), Some(LogBounds { start, end })) => {
            if end < stored.position {
                error = Some(format!("it ends at offset {end}, but was read up to {}", stored.position));
                (ReadState::Shorter, None)
            } else {
                let lag = distance(stored.position.max(start), end);
                let state = match refusal(known, partition, stored, start) {
                    Some(refusal) => {
                        error = Some(source_hints::text(&refusal, None));
                        ReadState::Cut
                    }
                    None if lag > 0 => ReadState::CatchingUp,
                    None if was_passed(known, stored) => ReadState::Idle,
                    None => ReadState::CaughtUp,
                };
                (state, Some(lag))
            }
        }
    };
    let missing = window.and_then(|window| missing(window.closes_at, watermark));
    let blocks_watermark = window.is_some()
        && match state {
            ReadState::Idle => false,
            // Nothing closes there, whatever its watermark is.
            ReadState::Discovered | ReadState::Cut | ReadState::Shorter | ReadState::Gone => true,
            ReadState::CatchingUp | ReadState::CaughtUp | ReadState::Unknown => {
                missing.is_none_or(|missing| missing > 0)
            }
        };
    let (first, end) = (extent.map(|extent| extent.start), extent.map(|extent| extent.end));
    PartitionWhy { partition, state, blocks_watermark, watermark, missing, next, first, end, lag, error }
}

/// How many offsets lie between.
fn distance(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// What ends a run because the log begins at `start`: one that goes on needs more of it than one that runs.
fn refusal(known: &WhyInput<'_>, partition: PartitionId, stored: &PartitionState, start: i64) -> Option<SourceError> {
    let topic = foreign(known.topic, MOST_TEXT);
    let (resume, position) = (stored.resume(), stored.position);
    match known.consumer {
        None if stored.lacks(start) => Some(SourceError::Behind { topic, partition, resume, start }),
        // As long as nothing has come of it, it is read from wherever its log begins.
        Some(_) if position < start && stored.last.is_some() => {
            Some(SourceError::Evicted { accept_data_loss: false, topic, partition, position, start })
        }
        _ => None,
    }
}

/// Whether the topic's watermark has passed a partition's own, in this run or so long ago that it is idle in this one, too.
fn was_passed(known: &WhyInput<'_>, stored: &PartitionState) -> bool {
    known.consumer.is_some() && known.just_started().is_none() && stored.watermark < known.state.watermark
}

/// If nobody else is left to hold the window back, and it has not closed, then it is those whom the watermark had passed:
/// something has come of them since, or they are new.
fn wait_for_passed(known: &WhyInput<'_>, window: OpenWindow, partitions: &mut [PartitionWhy]) {
    let goes_on_by_itself = known.state.newest.is_none_or(|newest| newest < window.closes_at);
    if goes_on_by_itself || window.missing == Some(0) || partitions.iter().any(|partition| partition.blocks_watermark) {
        return;
    }
    let behind = |partition: &&mut PartitionWhy| partition.missing != Some(0);
    for partition in partitions.iter_mut().filter(behind).filter(|partition| partition.state == ReadState::Idle) {
        (partition.state, partition.blocks_watermark) = (ReadState::CaughtUp, true);
    }
}

/// The report for people.
pub fn text(report: &WhyReport) -> Vec<String> {
    let mut text = Vec::new();
    if let Some(OpenWindow { start, end, closes_at, missing }) = report.window {
        let open = if report.open_windows == 1 {
            "1 is".to_owned()
        } else {
            format!("{} are", thousands(report.open_windows))
        };
        text.push(format!("{}  the oldest open window ({open} open)", time_range(start, end)));
        let closes = format!(
            "It closes when the topic's watermark is {} (its end and a grace of {})",
            Utc(closes_at),
            seconds(report.grace)
        );
        text.push(match (missing, report.watermark) {
            (Some(missing), Some(watermark)) => {
                format!("{closes}; that is {}, and lacks {}.", Utc(watermark), seconds(missing))
            }
            _ => format!("{closes}; there is none yet."),
        });
    }
    text.push(match &report.consumer {
        Some(holder) => format!("A consumer runs with this store; it is held {}.", foreign(holder, MOST_TEXT)),
        None => "No consumer runs with this store.".to_owned(),
    });
    if let Some(error) = &report.cluster.error {
        let (address, error) = (foreign(&report.cluster.address, MOST_TEXT), foreign(error, MOST_TEXT));
        text.push(format!("The cluster at {address} does not say how much there is to read: {error}"));
    }
    if !report.partitions.is_empty() {
        text.push(String::new());
        text.extend(partitions(report));
    }
    text.push(String::new());
    text.extend(report.because.iter().map(|words| format!("- {words}")));
    text
}

fn partitions(report: &WhyReport) -> Vec<String> {
    let rows: Vec<_> = (report.partitions.iter())
        .map(|partition| {
            let PartitionWhy { partition, state, blocks_watermark, watermark, missing, next, first, end, lag, .. } =
                partition;
            let offset = |offset: &Option<i64>| offset.map_or("?".to_owned(), |offset| offset.to_string());
            [
                partition.to_string(),
                if *blocks_watermark { "yes" } else { "no" }.to_owned(),
                watermark.map_or("none".to_owned(), |watermark| Utc(watermark).to_string()),
                missing.map_or(String::new(), seconds),
                offset(first),
                next.map_or("-".to_owned(), |next| next.to_string()),
                offset(end),
                lag.map_or("?".to_owned(), thousands),
                state.name().to_owned(),
            ]
        })
        .collect();
    let [lacks, begin, next, end, lag] = ["lacks", "log from", "position", "end", "lag"].map(Column::Right);
    let [holds, watermark, state] = ["blocks it", "watermark", "state"].map(Column::Left);
    lines([Column::Left("partition"), holds, watermark, lacks, begin, next, end, lag, state], &rows)
}

#[cfg(test)]
mod tests;
