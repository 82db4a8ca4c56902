//! A store and its log, as the audit takes them: whole, cut, without its oldest windows, and with numbers that are too high.

use super::super::reference::scratch::memory_limit;
use super::*;

/// A store, and the log that it was read from.
#[derive(Clone)]
pub(super) struct AuditCase {
    pub(super) stored: Stored,
    pub(super) windows: Vec<WindowResult>,
    pub(super) sensors: Vec<SensorEntry>,
    pub(super) log: Batches,
    /// How much memory the windows may take that wait to be compared.
    pub(super) memory: Option<usize>,
}

/// By partition, the batches of its log.
pub(super) type Batches = BTreeMap<PartitionId, Vec<LogBatch>>;

/// A batch of the log.
#[derive(Clone)]
pub(super) struct LogBatch {
    pub(super) partial: Partial,
    digest: u64,
    /// Where it ends by its header.
    next: i64,
}

impl LogBatch {
    pub(super) fn new(partial: Partial, digest: u64) -> Self {
        let next = partial.source.next;
        Self { partial, digest, next }
    }
}

impl AuditCase {
    pub(super) fn new(saved: &ResumeState, totals: Totals, windows: &[WindowResult], log: Batches) -> Self {
        let stored = Stored {
            topic: saved.topic,
            partitions: saved.partitions.clone(),
            accounts: saved.accounts.clone(),
            totals,
            groups: saved.groups.clone(),
            age: Some(0),
            ..Stored::default()
        };
        Self { stored, windows: windows.to_vec(), sensors: sensor_entries(saved), log, memory: None }
    }

    /// Without the oldest windows, as retention of the store leaves it.
    pub(super) fn keep_from(mut self, first: usize) -> Self {
        // What is known to be closed by its row alone stays.
        let is_closed = |window: &&WindowResult| Some(window.end) <= self.stored.topic.closed_until;
        let most = self.windows.iter().take_while(is_closed).count().min(self.windows.len().saturating_sub(1));
        let first = first.min(most);
        self.windows.drain(..first);
        self.stored.dropped = first as u64;
        self
    }

    /// Verifies it against what is left of the log from `cut` on.
    pub(super) fn audit_from(&self, cut: &BTreeMap<PartitionId, i64>) -> Findings {
        let size = WindowSize::default();
        let mut stored = self.stored.clone();
        stored.windows = WindowSet::default();
        self.windows.iter().for_each(|window| stored.windows.push(size.window_of(window.start)));
        let from = stored.partitions.iter().map(|(partition, state)| {
            let begin = stored.begin(*partition, state);
            (*partition, cut.get(partition).map_or(begin, |cut| begin.max(*cut)))
        });
        let from = from.collect();
        let mut audit = Audit::new(size, stored, &from, Findings::default());
        if let Some(memory) = self.memory {
            audit = audit.with_memory_limit(memory_limit(memory, usize::MAX));
        }
        let ends = audit.ends();
        let reach = |audit: &mut Audit, partition, offset| {
            for LogBatch { partial, digest, next } in self.log.get(&partition).into_iter().flatten() {
                let (source, position) = (partial.source, audit.position(partition).expect("it is stored"));
                // Nothing comes of an empty batch.
                if (position..offset).contains(&source.first) && *next > source.first {
                    audit
                        .batch(partition, source, *next, &partial.aggregate, *digest)
                        .expect("the scratch file has room");
                }
            }
        };
        for window in &self.windows {
            for (partition, offset) in &window.positions {
                let end = ends.iter().find(|(of, _)| of == partition).map_or(0, |(_, end)| *end);
                reach(&mut audit, *partition, end.min(*offset));
            }
            audit.window(window).expect("the scratch file can be read");
        }
        for (partition, end) in ends {
            reach(&mut audit, partition, end);
        }
        let mut closing = audit.close();
        self.sensors.chunks(3).for_each(|sensors| closing.sensors(sensors));
        closing.finish()
    }

    pub(super) fn audit(&self) -> Findings {
        self.audit_from(&BTreeMap::new())
    }
}

/// The sensors of a store: those of these tests have small numbers.
fn sensor_entries(saved: &ResumeState) -> Vec<SensorEntry> {
    let mut all = saved.sensors.clone();
    let any = saved.groups.iter().flat_map(|group| (0..20).map(|sensor| SensorEntry { sensor, group: group.id }));
    any.filter(|one| !all.insert(one.sensor, one.group)).collect()
}

/// The batches of a log.
pub(super) fn batches(log: &Log) -> Batches {
    let kept = |batch: &Batch| {
        let partial = log.partial(batch);
        let digest = super::reference::log::digest(&partial);
        LogBatch { partial, digest, next: batch.next }
    };
    (0..).zip(&log.partitions).map(|(partition, batches)| (partition, batches.iter().map(kept).collect())).collect()
}

/// Numbers that are higher than they can be, each alone or as they would be if a batch had been merged twice.
pub(super) fn raised(case: &AuditCase, more: u64) -> Vec<(&'static str, AuditCase)> {
    type Raise = (&'static str, fn(&mut AuditCase, u64));
    let raises: [Raise; 12] = [
        ("a window", |case, more| case.windows.iter_mut().for_each(|window| window.messages += more)),
        ("a window and its group", |case, more| {
            if let Some(window) = case.windows.last_mut() {
                window.messages += more;
                window.groups[0].messages += more;
                window.groups[0].sum += i128::from(more) * i128::from(window.groups[0].max.micros());
                let average = isotherm_model::fixed::average(window.groups[0].sum, window.groups[0].messages);
                window.groups[0].avg = average.expect("there are readings");
            }
        }),
        ("a sum of a window", |case, more| {
            case.windows.iter_mut().for_each(|window| window.groups[0].sum += i128::from(more) << 64);
        }),
        ("sensors of a window", |case, more| case.windows.iter_mut().for_each(|window| window.sensors += 100 * more)),
        ("a group of the totals", |case, more| {
            case.stored.totals.groups.iter_mut().take(1).for_each(|group| group.messages += more);
        }),
        ("totals and counted", |case, more| {
            case.stored.totals.groups.iter_mut().take(1).for_each(|group| group.messages += more);
            case.stored.accounts.values_mut().take(1).for_each(|account| account.counted += more);
        }),
        ("totals, counted and read", |case, more| {
            case.stored.totals.groups.iter_mut().take(1).for_each(|group| group.messages += more);
            case.stored.accounts.values_mut().take(1).for_each(|account| {
                account.counted += more;
                account.read += more;
            });
        }),
        ("a sum of the totals", |case, more| {
            case.stored.totals.groups.iter_mut().take(1).for_each(|group| group.sum += i128::from(more) << 64);
        }),
        ("sensors", |case, more| case.stored.topic.sensors += more),
        ("sensors of a group", |case, more| {
            case.stored.groups.iter_mut().take(1).for_each(|group| group.sensors += more);
        }),
        ("late", |case, more| {
            case.stored.accounts.values_mut().take(1).for_each(|account| {
                account.late += more;
                account.read += more;
            });
        }),
        ("counted in place of late", |case, _| {
            case.stored.accounts.values_mut().filter(|account| account.late > 0).take(1).for_each(|account| {
                account.late -= 1;
                account.counted += 1;
            });
        }),
    ];
    let change = |(what, raise): Raise| {
        let mut changed = case.clone();
        raise(&mut changed, more);
        let same = changed.windows == case.windows
            && changed.stored.totals == case.stored.totals
            && changed.stored.accounts == case.stored.accounts
            && changed.stored.topic == case.stored.topic
            && changed.stored.groups == case.stored.groups;
        (!same).then_some((what, changed))
    };
    raises.into_iter().filter_map(change).collect()
}
