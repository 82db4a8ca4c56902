//! The answer in words: who is waited for and until when; or that nothing is open.

use std::time::Duration;

use isotherm_model::duration::DurationText;
use isotherm_model::time::{Millis, Utc};
use isotherm_store::Timing;
use isotherm_terminal::progress::thousands;

use super::{MOST_TEXT, WhyInput, distance};
use crate::results::why::{OpenWindow, PartitionWhy, ReadState, WhyReport};
use crate::sinks::table::format::foreign;

/// Everything that is to be said, in the order of its weight.
pub(super) fn because(known: &WhyInput<'_>, report: &WhyReport) -> Vec<String> {
    let mut because = Vec::new();
    let Some(window) = report.window else {
        because.extend(nothing_open(known, report));
        because.extend(next_start(known, report));
        return because;
    };
    because.extend(given(known));
    if report.consumer.is_none() {
        because.push(not_running(known, report));
    }
    if window.missing == Some(0) {
        because.extend(stops(report).map(|partition| words(known, partition, window)));
        because.push(passed(known, window));
        because.extend(next_start(known, report));
        return because;
    }
    let holders: Vec<_> = report.partitions.iter().filter(|partition| partition.blocks_watermark).collect();
    because.extend(holders.iter().map(|holder| words(known, holder, window)));
    if holders.iter().all(|holder| holder.state == ReadState::CaughtUp) {
        let idle = when_idle(known, report, window, holders.is_empty());
        let goes_on = "no partition blocks it any longer: it closes as soon as the consumer goes on";
        because.extend(idle.or((holders.is_empty() && known.consumer.is_some()).then(|| goes_on.to_owned())));
    }
    because.extend(next_start(known, report));
    because
}

/// Partitions at which a consumer stops.
fn stops(report: &WhyReport) -> impl Iterator<Item = &PartitionWhy> {
    let stops = |state| matches!(state, ReadState::Cut | ReadState::Shorter | ReadState::Gone);
    report.partitions.iter().filter(move |partition| stops(partition.state))
}

fn nothing_open(known: &WhyInput<'_>, report: &WhyReport) -> Vec<String> {
    let mut because = vec!["nothing is open: every window that holds readings has closed".to_owned()];
    let to_read = report.partitions.iter().filter(|partition| partition.lag.is_some_and(|lag| lag > 0));
    because.extend(to_read.map(|partition| {
        let lag = partition.lag.unwrap_or(0);
        format!("partition {} has {} to read", partition.partition, records(lag))
    }));
    if known.consumer.is_none() && because.len() > 1 {
        because.push("no consumer is running with this store".to_owned());
    }
    because.extend(stops(report).map(stopped));
    because
}

/// What the consumer was given, if it is not what was asked with.
fn given(known: &WhyInput<'_>) -> Vec<String> {
    let (Some(_), Some(given)) = (known.consumer, known.given) else {
        return Vec::new();
    };
    let one = |what: &str, given: Duration, asked: Duration| {
        let (given, asked) = (DurationText(given), DurationText(asked));
        format!(
            "the consumer runs with --{what} {given}, not {asked}: what is said here is not of it; leave --{what} away"
        )
    };
    let Timing { grace, idle } = known.timing;
    let differ = [("grace", given.grace, grace), ("idle", given.idle, idle)].into_iter();
    differ.filter(|(_, given, asked)| given != asked).map(|(what, given, asked)| one(what, given, asked)).collect()
}

fn not_running(known: &WhyInput<'_>, report: &WhyReport) -> String {
    // Of a log that is not the one, or no longer the whole, nothing is read.
    let read = |state| matches!(state, ReadState::CatchingUp | ReadState::CaughtUp | ReadState::Unknown);
    let again = report.partitions.iter().filter(|partition| read(partition.state)).fold(0_u64, |sum, partition| {
        let stored = known.partitions.get(&partition.partition);
        sum.saturating_add(stored.map_or(0, |stored| distance(stored.resume(), stored.position)))
    });
    let restoring = match again {
        0 => String::new(),
        again => format!("; it first reads {} again, to restore what is open", records(again)),
    };
    format!("no consumer is running with this store, and nothing closes until one is{restoring}")
}

/// The watermark has passed what closes the window.
fn passed(known: &WhyInput<'_>, window: OpenWindow) -> String {
    let grace = known.timing.grace;
    // The run itself says so: it has started with a shorter grace, and first restores what is open.
    if known.given.is_some_and(|given| given.grace == grace) {
        let goes_on = if known.consumer.is_some() { "the consumer goes on" } else { "a consumer goes on" };
        return format!("the watermark has passed what closes it: it closes as soon as {goes_on}");
    }
    let longer = known.state.watermark.map_or(0, |watermark| watermark.saturating_sub(window.end));
    format!(
        "with a grace of {} it would have closed: the run has a longer one than {}; give the run's with --grace",
        DurationText(grace),
        seconds(longer)
    )
}

/// Why a consumer stops at a partition.
fn stopped(partition: &PartitionWhy) -> String {
    let PartitionWhy { partition, state, error, .. } = partition;
    let error = foreign(error.as_deref().unwrap_or_default(), MOST_TEXT * 2);
    match state {
        ReadState::Shorter => format!(
            "partition {partition} is not the log that was read: {error}. A consumer stops there; start again with --reset"
        ),
        ReadState::Gone => format!(
            "partition {partition} is gone: {error}. The topic is not the one that was read; start again with --reset"
        ),
        _ => format!("a consumer stops there: {error}"),
    }
}

/// What a partition that holds the window back is waited for.
fn words(known: &WhyInput<'_>, holder: &PartitionWhy, window: OpenWindow) -> String {
    let PartitionWhy { partition, state, watermark, lag, error, .. } = holder;
    let none = if watermark.is_none() { " (none of its readings has been accepted so far)" } else { "" };
    let error = foreign(error.as_deref().unwrap_or_default(), MOST_TEXT);
    match state {
        ReadState::Discovered => {
            let to_read = match lag {
                Some(lag) if *lag > 0 => format!("; it has {} to read", records(*lag)),
                _ if error.is_empty() => String::new(),
                _ => format!(" ({error})"),
            };
            format!(
                "partition {partition} is not known to the store yet: nothing closes until its end is known{to_read}"
            )
        }
        ReadState::CatchingUp => format!("partition {partition} has {} to read{none}", records(lag.unwrap_or(0))),
        ReadState::CaughtUp | ReadState::Idle => {
            let since = known.just_started().map_or(String::new(), |age| {
                format!("; the consumer was started {}s ago, and counts from there", age.as_secs())
            });
            format!(
                "partition {partition} has read all of its log and is waited for until it is idle for {}, or has a reading of \
                 {} or later{none}{since}",
                DurationText(known.timing.idle),
                Utc(window.closes_at)
            )
        }
        ReadState::Unknown => {
            let reason = if error.is_empty() { String::new() } else { format!(" ({error})") };
            format!("partition {partition} blocks it; whether there is more to read of it is not known{reason}{none}")
        }
        ReadState::Cut | ReadState::Shorter | ReadState::Gone => stopped(holder),
    }
}

/// What happens once all partitions are idle.
fn when_idle(known: &WhyInput<'_>, report: &WhyReport, window: OpenWindow, idle: bool) -> Option<String> {
    let settled = |partition: &PartitionWhy| matches!(partition.state, ReadState::CaughtUp | ReadState::Idle);
    if !report.partitions.iter().all(settled) {
        return None;
    }
    let newest = report.newest?;
    let more = window.closes_at.saturating_sub(newest);
    if more <= 0 {
        let words = "the window closes when all partitions that block it are idle";
        return (!idle).then(|| format!("the newest reading is of {}: {words}", Utc(newest)));
    }
    let when = if idle { "all partitions are idle, and" } else { "when all partitions are idle," };
    // Nobody is idle sooner, and event time does not go faster.
    let after = seconds(more.max(report.idle));
    let since = match (known.consumer, known.just_started()) {
        (None, _) => "the next start",
        (Some(_), Some(_)) => "the consumer's start",
        (Some(_), None) => "that reading came",
    };
    Some(format!(
        "{when} event time goes on by itself from the newest reading, of {}: if nothing more comes, the window closes {after} \
         after {since}, at the earliest",
        Utc(newest)
    ))
}

/// What the next start is refused for, though this run goes on.
fn next_start(known: &WhyInput<'_>, report: &WhyReport) -> Vec<String> {
    if known.consumer.is_none() {
        return Vec::new();
    }
    let one = |partition: &PartitionWhy| {
        let (stored, first) = (known.partitions.get(&partition.partition)?, partition.first?);
        (partition.state != ReadState::Cut && stored.last.is_some() && stored.lacks(first)).then(|| {
            format!(
                "partition {} begins at offset {first} now: a consumer that is started again with this store is to go on at {}, \
                 and is refused without --accept-data-loss",
                partition.partition,
                stored.resume()
            )
        })
    };
    report.partitions.iter().filter_map(one).collect()
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{} records", thousands(count)) }
}

/// A length of event time: `1.5s`, `2m 0.25s`, `1h 0m 3s`.
pub(super) fn seconds(millis: Millis) -> String {
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
