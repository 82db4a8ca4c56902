//! The end of an audit: the run's sensors one by one, and everything that can be compared only when all has been read.

use std::collections::HashSet;

use isotherm_model::stats::SensorHash;
use isotherm_model::time::{Millis, Utc};

use super::count::{Comparison, Statistics};
use super::findings::{Findings, ReadAgain, of, optional};
use super::ranges::Scope;
use super::{Audit, PartitionReplay, account};
use crate::results::Totals;
use crate::state::{LastBatch, SensorEntry, TopicState};

/// How far a clock may be wrong.
const CLOCK_ERROR: Millis = 24 * 60 * 60 * 1_000;

/// An audit that has read everything.
#[derive(Debug)]
pub struct Closing {
    audit: Audit,
    /// The run's sensors, as they were counted again.
    sensors: u64,
    /// By group's number, sensors that are stored, and how many of them were not seen again.
    groups: Vec<(u64, u64)>,
    /// All that are stored.
    all: HashSet<SensorHash>,
    /// Those that were not seen again, by group.
    more: HashSet<(SensorHash, u32)>,
    /// Entries that are there twice, or of no group.
    odd: u64,
}

impl Closing {
    fn new(audit: Audit) -> Self {
        let (sensors, groups) = (audit.run.sensors(), vec![(0, 0); audit.stored.groups.len()]);
        Self { audit, sensors, groups, all: HashSet::new(), more: HashSet::new(), odd: 0 }
    }

    /// Takes sensors of the store. Cost: constant for each.
    pub fn sensors(&mut self, entries: &[SensorEntry]) {
        for SensorEntry { sensor, group } in entries {
            let number = usize::try_from(*group).unwrap_or(usize::MAX);
            let (Some((stored, more)), Some(named)) =
                (self.groups.get_mut(number), self.audit.stored.groups.get(number))
            else {
                self.odd = self.odd.saturating_add(1);
                continue;
            };
            *stored = stored.saturating_add(1);
            self.all.insert(*sensor);
            if self.audit.run.take(&named.name, *sensor) {
                continue;
            }
            *more = more.saturating_add(1);
            if !self.more.insert((*sensor, *group)) {
                self.odd = self.odd.saturating_add(1);
            }
        }
    }

    /// The end: all sensors have been taken.
    pub fn finish(mut self) -> Findings {
        let whole = self.audit.partitions.values().all(PartitionReplay::is_whole);
        self.audit.check_open(whole);
        self.audit.check_clock(whole);
        self.audit.check_partitions();
        self.compare_totals(whole);
        self.compare_sensors();
        self.audit.name_unverifiable(whole);
        self.audit.findings
    }

    /// The totals against what was counted again.
    fn compare_totals(&mut self, whole: bool) {
        let audit = &mut self.audit;
        let Totals { sensors, groups, .. } = &audit.stored.totals;
        let messages = groups.iter().fold(0, |sum: u64, group| sum.saturating_add(group.messages));
        let totals = Statistics { messages, sensors: *sensors, groups };
        let told = whole && audit.unknown == 0;
        if totals.compare("totals", (&audit.run, self.sensors), told, &mut audit.findings) == Comparison::Part {
            audit.findings.skip("totals by group", "a part of their input can no longer be told");
        }
    }

    /// The set of sensors against the one that was counted again.
    fn compare_sensors(&mut self) {
        let (stored, findings) = (&self.audit.stored, &mut self.audit.findings);
        if self.odd > 0 {
            findings.differ("sensors: entries that are there twice, or of no group", self.odd, 0);
        }
        findings.compare("sensors: of the run", stored.topic.sensors, self.all.len() as u64);
        for (group, (in_set, more)) in stored.groups.iter().zip(&self.groups) {
            let what = format!("sensors: group {}", group.name);
            findings.compare(what.as_str(), group.sensors, *in_set);
            let most = group.sensors.saturating_sub(self.audit.run.sensors_of(&group.name));
            if *more > most {
                findings.differ(format!("{what}: not in the log"), more, format!("at most {most}"));
            }
        }
        for (group, missing) in self.audit.run.left().filter(|(_, missing)| *missing > 0) {
            findings.differ(format!("sensors: group {group}: missing"), missing, 0);
        }
    }
}

impl Audit {
    /// Everything has been read, every window compared. The sensors come next.
    pub fn close(self) -> Closing {
        Closing::new(self)
    }

    /// Each partition and its account.
    fn check_partitions(&mut self) {
        for (partition, replay) in &self.partitions {
            let PartitionReplay { state, from, position, account: recount, last, watermark, .. } = replay;
            let findings = &mut self.findings;
            if !replay.can_stand_at(state.position) {
                findings.differ(of(*partition, "position"), state.position, position);
            }
            let in_log = state.last.is_some_and(|last| last.first >= *from);
            if in_log || last.is_some() || replay.is_whole() {
                let said = |last: Option<LastBatch>| {
                    last.map_or("none".to_owned(), |LastBatch { first, digest }| format!("{digest:016x} at {first}"))
                };
                let what = of(*partition, "digest of the last batch");
                findings.compare(what, said(state.last), said(*last));
            }
            if (replay.is_whole() && state.watermark != *watermark) || state.watermark < *watermark {
                let (stored, recomputed) = (optional(state.watermark.map(Utc)), optional(watermark.map(Utc)));
                findings.differ(of(*partition, "newest event time"), stored, recomputed);
            }
            // A run that goes on reads from there. Earlier costs time, later loses readings.
            let first = self.pending.values().filter_map(|pending| pending.firsts.get(partition)).min();
            let most = first.map_or(state.position, |first| state.position.min(*first));
            if state.restore_from > most || state.restore_from < state.start {
                findings.differ(
                    of(*partition, "where open windows begin"),
                    state.restore_from,
                    format!("{} to {most}", state.start),
                );
            }
            let stored = self.stored.accounts.get(partition).cloned().unwrap_or_default();
            let name = |window| Utc(self.size.start(window)).to_string();
            let scope = Scope { start: state.start, position: state.position };
            account::compare(*partition, &stored, recount, (scope, replay.is_whole()), name, findings);
            let (partition, from, to, records) = (*partition, *from, *position, recount.read);
            findings.partitions.push(ReadAgain { partition, from, to, records });
        }
        for partition in self.stored.accounts.keys().filter(|partition| !self.partitions.contains_key(partition)) {
            self.findings.differ(format!("ledger of partition {partition}"), "there", "no such partition");
        }
    }

    /// What has not been compared must be what is open.
    fn check_open(&mut self, whole: bool) {
        let (open, oldest) = (self.pending.len() as u64, self.pending.first_key_value());
        self.findings.windows.open = open;
        let topic = self.stored.topic;
        // A run that was stopped while it read open windows again had not found all of them.
        if whole && topic.open_windows > open {
            self.findings.differ("open windows", topic.open_windows, open);
        }
        let oldest = oldest.map(|(window, _)| self.size.start(*window));
        let too_old = topic.oldest_open.is_some_and(|stored| oldest.is_none_or(|oldest| stored < oldest));
        if whole && too_old {
            self.findings.differ("oldest open window", optional(topic.oldest_open.map(Utc)), optional(oldest.map(Utc)));
        }
    }

    /// Event time: the newest, and how far it can have gone on from there.
    fn check_clock(&mut self, whole: bool) {
        let TopicState { watermark, closed_until, newest, .. } = self.stored.topic;
        let findings = &mut self.findings;
        let again = self.partitions.values().filter_map(|replay| replay.watermark).max();
        if (whole && newest != again) || newest < again {
            findings.differ("newest event time", optional(newest.map(Utc)), optional(again.map(Utc)));
        }
        let of_partitions = self.partitions.values().filter_map(|replay| replay.state.watermark).max();
        if !whole && newest != of_partitions {
            let by = format!("{}, by partition", optional(of_partitions.map(Utc)));
            findings.differ("newest event time", optional(newest.map(Utc)), by);
        }
        // It goes on by itself while all partitions are idle, but for no longer than the run lasts.
        let known = if whole { again } else { newest };
        let most = known
            .zip(self.stored.age)
            .map(|(newest, age)| newest.saturating_add(age.max(0)).saturating_add(CLOCK_ERROR));
        let too_far = watermark.zip(most).is_some_and(|(watermark, most)| watermark > most);
        if too_far || (watermark.is_some() && known.is_none()) {
            let by = format!("at most {}, by the newest event time and the store's age", optional(most.map(Utc)));
            findings.differ("watermark", optional(watermark.map(Utc)), by);
        }
        let most = watermark.max(self.compared_end);
        if closed_until > most {
            let by = format!("at most {}, by the watermark and the newest window", optional(most.map(Utc)));
            findings.differ("windows are closed until", optional(closed_until.map(Utc)), by);
        }
    }

    fn name_unverifiable(&mut self, whole: bool) {
        let windows = self.findings.windows;
        if let Some((first, last)) = windows.unverifiable_from_to {
            let what = format!("{} windows from {} to {}", windows.unverifiable, Utc(first), Utc(last));
            self.findings.skip(what, "the log no longer holds all of their input");
        }
        self.findings.windows.dropped = self.stored.dropped;
        let again = self.dropped.len();
        let told = whole && self.unknown == 0;
        if again > self.stored.dropped || (told && again != self.stored.dropped) {
            self.findings.differ("windows that were dropped", self.stored.dropped, again);
        }
        if let Some(first) = self.classifier.dropped_before {
            let what = format!("{} windows before {}", self.stored.dropped, Utc(self.size.start(first)));
            let why = "the store has dropped them (--keep); who was late for them is taken from its own ledger";
            self.findings.skip(what, why);
        }
    }
}
