//! `why`: what keeps the oldest open window from closing, as far as a store and its cluster tell.
//!
//! A store knows what was committed: watermarks and merged offsets. Whether a partition that has been read to its end is
//! quiet by now, only its consumer knows; here it counts as one that is waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use isotherm_model::settings::DurationText;
use isotherm_model::time::Utc;
use isotherm_model::window::{Millis, WindowSize};

use super::columns::{Column, lines};
use crate::materializer::event::PartitionId;
use crate::results::why::{OpenWindow, PartitionWhy, ReadState, WhyReport};
use crate::sink::table::format::{foreign, thousands, time_range};
use crate::store::{PartitionState, TopicState};

/// How much of a text from outside is shown.
const MOST_TEXT: usize = 400;

/// What is known.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The length of windows.
    pub window: WindowSize,
    /// How long after its end a window stays open.
    pub grace: Duration,
    /// How long a partition must be quiet to hold nothing back.
    pub idle: Duration,
    /// The topic at the last commit.
    pub state: TopicState,
    /// Its partitions then.
    pub partitions: &'a BTreeMap<PartitionId, PartitionState>,
    /// Who holds the store's lock.
    pub consumer: Option<&'a str>,
    /// The cluster's address.
    pub cluster: &'a str,
    /// What it answers: by partition, the offset after its last record, or why that is not known; or why it answers nothing.
    /// Asked after the store was read.
    pub ends: &'a Result<BTreeMap<PartitionId, Result<i64, String>>, String>,
}

/// What keeps the oldest open window from closing.
pub fn report(known: &Known<'_>) -> WhyReport {
    let grace = i64::try_from(known.grace.as_millis()).unwrap_or(i64::MAX);
    let window = known.state.oldest_open.map(|start| {
        let end = start.saturating_add(known.window.millis());
        let closes_at = end.saturating_add(grace);
        OpenWindow { start, end, closes_at, missing: missing(closes_at, known.state.watermark) }
    });
    let mut all: Vec<PartitionId> = known.partitions.keys().copied().collect();
    all.extend(known.ends.iter().flat_map(BTreeMap::keys).copied());
    all.sort_unstable();
    all.dedup();
    let partitions: Vec<_> = all.into_iter().map(|partition| stand(known, partition, window)).collect();
    let mut report = WhyReport {
        topic: known.topic.to_owned(),
        open_windows: known.state.open_windows,
        window,
        watermark: known.state.watermark,
        newest: known.state.newest,
        consumer: known.consumer.map(str::to_owned),
        cluster: known.cluster.to_owned(),
        cluster_error: known.ends.as_ref().err().cloned(),
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
fn stand(known: &Known<'_>, partition: PartitionId, window: Option<OpenWindow>) -> PartitionWhy {
    let state = known.partitions.get(&partition);
    let (watermark, next) = (state.and_then(|state| state.watermark), state.map(|state| state.merged));
    let (end, mut error) = match known.ends.as_ref().map(|ends| ends.get(&partition)) {
        Ok(Some(Ok(end))) => (Some(*end), None),
        Ok(Some(Err(error))) => (None, Some(error.clone())),
        Ok(None) => (None, Some("the topic has no such partition any longer".to_owned())),
        // Said once for all of them.
        Err(_) => (None, None),
    };
    let gone = known.ends.as_ref().is_ok_and(|ends| !ends.contains_key(&partition));
    let (reading, lag) = match (next, end) {
        _ if gone => (ReadState::Gone, None),
        (None, end) => (ReadState::Unread, end.map(i64::unsigned_abs)),
        (Some(_), None) => (ReadState::Unknown, None),
        (Some(next), Some(end)) if end < next => {
            error = Some(format!("it ends at offset {end}, but was read up to {next}"));
            (ReadState::Shorter, None)
        }
        (Some(next), Some(end)) if end == next => (ReadState::CaughtUp, Some(0)),
        (Some(next), Some(end)) => (ReadState::Backlog, Some(end.abs_diff(next))),
    };
    let missing = window.and_then(|window| missing(window.closes_at, watermark));
    let holds_back = window.is_some() && missing.is_none_or(|missing| missing > 0);
    PartitionWhy { partition, state: reading, holds_back, watermark, missing, next, end, lag, error }
}

/// The answer in words.
fn because(known: &Known<'_>, report: &WhyReport) -> Vec<String> {
    let Some(window) = report.window else {
        return nothing_open(report);
    };
    let mut because = Vec::new();
    if report.consumer.is_none() {
        because.push(not_running(known));
    }
    let holders: Vec<_> = report.partitions.iter().filter(|partition| partition.holds_back).collect();
    because.extend(holders.iter().map(|holder| words(known, holder, window)));
    let waits_for_quiet = !holders.is_empty() && holders.iter().all(|holder| holder.state == ReadState::CaughtUp);
    if waits_for_quiet {
        because.extend(when_quiet(report, window));
    } else if holders.is_empty() && report.consumer.is_some() {
        because.push("no partition holds it back any longer: it closes as soon as the consumer goes on".to_owned());
    }
    because
}

fn nothing_open(report: &WhyReport) -> Vec<String> {
    let mut because = vec!["nothing is open: every window that holds readings has closed".to_owned()];
    let to_read = report.partitions.iter().filter(|partition| partition.lag.is_some_and(|lag| lag > 0));
    because.extend(to_read.map(|partition| {
        let lag = partition.lag.unwrap_or(0);
        format!("partition {} has {} to read", partition.partition, records(lag))
    }));
    if report.consumer.is_none() && because.len() > 1 {
        because.push("no consumer is running with this store".to_owned());
    }
    because
}

fn not_running(known: &Known<'_>) -> String {
    let again = known.partitions.values().fold(0_u64, |sum, state| {
        let refill = u64::try_from(state.merged.saturating_sub(state.resume())).unwrap_or(0);
        sum.saturating_add(refill)
    });
    let refill = match again {
        0 => String::new(),
        again => format!("; it first reads {} again, to refill what is open", records(again)),
    };
    format!("no consumer is running with this store, and nothing closes until one is{refill}")
}

/// What a partition that holds the window back is waited for.
fn words(known: &Known<'_>, partition: &PartitionWhy, window: OpenWindow) -> String {
    let PartitionWhy { partition, state, watermark, lag, error, .. } = partition;
    let none = if watermark.is_none() { " (none of its readings has been accepted so far)" } else { "" };
    let error = foreign(error.as_deref().unwrap_or_default(), MOST_TEXT);
    match state {
        ReadState::Unread => {
            let to_read = match lag {
                Some(lag) if *lag > 0 => format!("; it has {} to read", records(*lag)),
                _ if error.is_empty() => String::new(),
                _ => format!(" ({error})"),
            };
            format!(
                "partition {partition} is not known to the store yet: nothing closes until its end is known{to_read}"
            )
        }
        ReadState::Backlog => format!("partition {partition} has {} to read{none}", records(lag.unwrap_or(0))),
        ReadState::CaughtUp => format!(
            "partition {partition} has read all of its log and is waited for until it is quiet for {}, or has a reading of {} \
             or later{none}",
            DurationText(known.idle),
            Utc(window.closes_at)
        ),
        ReadState::Unknown => {
            let reason = if error.is_empty() { String::new() } else { format!(" ({error})") };
            format!(
                "partition {partition} holds it back; whether there is more to read of it is not known{reason}{none}"
            )
        }
        ReadState::Shorter => format!(
            "partition {partition} is not the log that was read: {error}. A consumer stops there; start again with --reset"
        ),
        ReadState::Gone => format!(
            "partition {partition} is gone: {error}. The topic is not the one that was read; start again with --reset"
        ),
    }
}

/// What happens once all partitions are quiet.
fn when_quiet(report: &WhyReport, window: OpenWindow) -> Option<String> {
    if report.partitions.iter().any(|partition| partition.state != ReadState::CaughtUp) {
        return None;
    }
    let newest = report.newest?;
    Some(match missing(window.closes_at, report.newest) {
        Some(more) if more > 0 => format!(
            "when all partitions are quiet, event time goes on by itself from the newest reading, of {}: the window closes {} \
             after that reading came",
            Utc(newest),
            seconds(more)
        ),
        _ => format!("the newest reading is of {}: the window closes when all who hold it back are quiet", Utc(newest)),
    })
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{} records", thousands(count)) }
}

/// A length of event time: `1.5s`, `2m 0.25s`, `1h 0m 3s`.
fn seconds(millis: Millis) -> String {
    let millis = u64::try_from(millis).unwrap_or(0);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let decimals = format!("{:03}", rest % 1_000);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    let seconds = format!("{}{point}{decimals}s", rest / 1_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m {seconds}"),
        (hours, minutes) => format!("{}h {minutes}m {seconds}", thousands(hours)),
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
        text.push(match (missing, report.watermark) {
            (Some(missing), Some(watermark)) => format!(
                "It closes when the topic's watermark is {}; that is {}, and lacks {}.",
                Utc(closes_at),
                Utc(watermark),
                seconds(missing)
            ),
            _ => format!("It closes when the topic's watermark is {}; there is none yet.", Utc(closes_at)),
        });
    }
    text.push(match &report.consumer {
        Some(holder) => format!("A consumer runs with this store; it is held {}.", foreign(holder, MOST_TEXT)),
        None => "No consumer runs with this store.".to_owned(),
    });
    if let Some(error) = &report.cluster_error {
        let (address, error) = (foreign(&report.cluster, MOST_TEXT), foreign(error, MOST_TEXT));
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
            let PartitionWhy { partition, state, holds_back, watermark, missing, next, end, lag, .. } = partition;
            let offset = |offset: &Option<i64>| offset.map_or("?".to_owned(), |offset| offset.to_string());
            [
                partition.to_string(),
                if *holds_back { "yes" } else { "no" }.to_owned(),
                watermark.map_or("none".to_owned(), |watermark| Utc(watermark).to_string()),
                missing.map_or(String::new(), seconds),
                next.map_or("-".to_owned(), |next| next.to_string()),
                offset(end),
                lag.map_or("?".to_owned(), thousands),
                state.name().to_owned(),
            ]
        })
        .collect();
    let [lacks, next, end, lag] = ["lacks", "read to", "end", "lag"].map(Column::Right);
    let [holds, watermark, state] = ["holds it back", "watermark", "state"].map(Column::Left);
    lines([Column::Left("partition"), holds, watermark, lacks, next, end, lag, state], &rows)
}

#[cfg(test)]
mod tests;
