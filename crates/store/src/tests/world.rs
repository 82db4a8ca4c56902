//! A plain model of what is committed, and random commits to it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};
use isotherm_engine::ledger::{Account, DataLoss, KeyedRange, Ledger, RangeKey, RangeState, Ranges};
use isotherm_engine::results::{ClosedBy, GroupResult, Totals, WindowResult};
use isotherm_engine::state::{
    DeadBatch, GroupState, LastBatch, LogPart, PartitionState, RunStart, SensorEntry, StartOffset, TopicState,
};
use isotherm_model::fixed::Fixed;
use isotherm_model::partial::{PartitionId, SourceRange};
use isotherm_model::rejection::Rejection;
use isotherm_model::stats::Stats;
use isotherm_model::time::Millis;
use isotherm_model::window::Window;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

pub(super) use super::place::{Place, open, options, subject};
use crate::{Error, LostRange, SqliteStore, StoreReader, Waiting, Windows};

/// What is stored, or is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) commits: u64,
    topic: TopicState,
    partitions: BTreeMap<PartitionId, PartitionState>,
    parts: BTreeMap<PartitionId, Vec<LogPart>>,
    accounts: BTreeMap<PartitionId, Account>,
    groups: Vec<GroupState>,
    members: BTreeSet<(u64, u32)>,
    pub(super) windows: Vec<WindowResult>,
    pub(super) dropped: u64,
    pub(super) dead: Vec<(u64, DeadBatch)>,
    pub(super) dead_next: u64,
    pub(super) lost: Vec<LostRange>,
    /// Whether windows now and then close after later ones.
    pub(super) out_of_order: bool,
}

/// What a commit says beyond the world as it is.
#[derive(Debug, Default)]
pub(super) struct Change {
    ranges: Vec<RangeState>,
    groups: BTreeSet<u32>,
    sensors: Vec<SensorEntry>,
    windows: Vec<WindowResult>,
    dead: Vec<DeadBatch>,
    parts: Vec<(PartitionId, u32, LogPart)>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} groups, {} sensors", self.groups.len(), self.sensors.len())
    }
}

/// How large a random commit is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) windows: usize,
    pub(super) sensors: usize,
}

pub(super) const SMALL: Size = Size { windows: 4, sensors: 40 };

impl World {
    /// Goes on at random, and says what is new.
    pub(super) fn step(&mut self, seed: u64, size: Size) -> Change {
        let mut random = StdRng::seed_from_u64(seed);
        let mut change = Change::default();
        self.commits += 1;
        for _ in 0..random.random_range(0..4) {
            self.batch(&mut random, &mut change);
        }
        for _ in 0..random.random_range(0..=size.sensors) {
            self.sighting(&mut random, &mut change);
        }
        for _ in 0..random.random_range(0..=size.windows) {
            let window = self.window(&mut random);
            change.windows.push(window.clone());
            self.windows.push(window);
            self.windows.sort_by_key(|window| window.start);
        }
        let from = *[StartOffset::Beginning, StartOffset::End].choose(&mut random).unwrap();
        let mut maybe = |range: std::ops::Range<i64>| random.random_bool(0.7).then(|| random.random_range(range));
        let partitions = maybe(0..200).and_then(|partitions| u32::try_from(partitions).ok());
        let closed_until = match maybe(0..3) {
            _ if !self.out_of_order => maybe(1_000_000..i64::MAX).or(Some(i64::MAX)),
            Some(0) => maybe(i64::MIN..i64::MAX),
            _ => maybe(-10_000..100_000),
        };
        let is_beyond = |window: &&WindowResult| Some(window.end) > closed_until;
        self.topic = TopicState {
            start: RunStart { from, partitions },
            watermark: maybe(-5..1_000_000),
            closed_until,
            closed_beyond: self.windows.iter().filter(is_beyond).count() as u64,
            newest: maybe(-5..1_000_000),
            oldest_open: maybe(-5..1_000_000),
            open_windows: maybe(0..100).unwrap_or(0).cast_unsigned(),
            sensors: self.members.iter().map(|(sensor, _)| sensor).collect::<BTreeSet<_>>().len() as u64,
            bounded: random.random(),
        };
        for (partition, state) in &self.partitions {
            if random.random_bool(0.1) {
                let (inode, head, tail) = (random.random(), random.random(), random.random());
                let length = random.random_bool(0.5).then(|| random.random());
                let base = random.random_bool(0.9).then_some(state.position);
                let part = LogPart { base, inode, head_length: random.random(), head, length, tail };
                let own = self.parts.entry(*partition).or_default();
                // A new one, or the last one better known.
                let place = own.len().saturating_sub(usize::from(random.random_bool(0.5)));
                own.truncate(place);
                own.push(part);
                change.parts.push((*partition, place as u32, part));
            }
        }
        change
    }

    fn batch(&mut self, random: &mut StdRng, change: &mut Change) {
        let partition = *[0, 1, 7, 4_000_000_000].choose(random).unwrap();
        let first = self.partitions.get(&partition).map_or(random.random_range(0..50), |state| state.position);
        let range = SourceRange { first, next: first + random.random_range(0..30) };
        let state = self.partitions.entry(partition).or_insert(PartitionState { start: first, ..Default::default() });
        state.position = range.next;
        state.restore_from = random.random_range(state.start..=range.next);
        state.watermark = state.watermark.max(random.random_bool(0.8).then(|| random.random_range(0..1_000_000)));
        state.last = random.random_bool(0.9).then(|| LastBatch { first, digest: random.random() });
        if random.random_bool(0.1) {
            return;
        }
        let account = self.accounts.entry(partition).or_default();
        account.read = account.read.wrapping_add(random.random_range(0..1_000_000));
        account.counted = random.random();
        account.restored += random.random_range(0..3);
        let digest = random.random_bool(0.9).then(|| random.random());
        let mut dead = DeadBatch { partition, range, digest, late: Vec::new(), records: 0 };
        for _ in 0..random.random_range(0..3) {
            let (window, records) = (Window(random.random_range(-3..3)), random.random_range(1..9));
            dead.records += records;
            account.late += records;
            if dead.late.last().is_none_or(|last| *last < window) {
                dead.late.push(window);
            }
            let place = grow(random, &mut account.late_ranges, KeyedRange { key: window, range, records });
            note(change, partition, &account.late_ranges, place, RangeKey::Late);
        }
        for _ in 0..random.random_range(0..3) {
            let (reason, records) = (*Rejection::ALL.choose(random).unwrap(), random.random_range(1..9));
            dead.records += records;
            account.rejected.add(reason, records);
            let place = grow(random, &mut account.rejected_ranges, KeyedRange { key: reason, range, records });
            note(change, partition, &account.rejected_ranges, place, RangeKey::Rejected);
        }
        if random.random_bool(0.1) {
            account.data_losses.push(DataLoss { range, lost: random.random() });
        }
        if dead.records > 0 {
            change.dead.push(dead.clone());
            self.dead.push((self.dead_next, dead));
            self.dead_next += 1;
        }
    }

    fn sighting(&mut self, random: &mut StdRng, change: &mut Change) {
        let group = random.random_range(0..=self.groups.len().min(60)) as u32;
        // Sensors that report from several groups, and many that do not.
        let sensor = if random.random_bool(0.2) { random.random_range(0..30) } else { random.random() };
        let value = Fixed::from_micros(random.random());
        change.groups.insert(group);
        if group as usize == self.groups.len() {
            let name = format!("{}{group}é", ["", "G", "Group "].choose(random).unwrap());
            self.groups.push(GroupState { id: group, name, stats: Stats::of(value), sensors: 0 });
        }
        let state = &mut self.groups[group as usize];
        state.stats.push(value);
        if self.members.insert((sensor, group)) {
            state.sensors += 1;
            change.sensors.push(SensorEntry { sensor, group });
        }
    }

    fn window(&self, random: &mut StdRng) -> WindowResult {
        let last = self.windows.last().map_or(-9_000, |last| last.end);
        let gap = (-9_000..last).step_by(3_000).find(|start| self.windows.iter().all(|window| window.start != *start));
        let gap = gap.filter(|_| self.out_of_order && random.random_bool(0.1));
        let start = gap.unwrap_or_else(|| last + 3_000 * random.random_range(0..3));
        let mut names: Vec<_> = self.groups.iter().map(|group| group.name.clone()).collect();
        names.retain(|_| random.random_bool(0.8));
        names.sort();
        let group = |group: String| {
            let mut stats = Stats::of(Fixed::from_micros(random.random()));
            (0..random.random_range(0..5)).for_each(|_| stats.push(Fixed::from_micros(random.random_range(-99..99))));
            GroupResult {
                group,
                messages: stats.count,
                sensors: random.random_range(1..9),
                sum: stats.sum,
                avg: stats.average(),
                min: stats.min,
                max: stats.max,
            }
        };
        let groups: Vec<_> = names.into_iter().map(group).collect();
        WindowResult {
            start,
            end: start + 3_000,
            closed_by: *[ClosedBy::Watermark, ClosedBy::Idle, ClosedBy::End].choose(random).unwrap(),
            messages: groups.iter().map(|group| group.messages).sum(),
            sensors: random.random(),
            groups,
            positions: self.partitions.iter().map(|(partition, state)| (*partition, state.position)).collect(),
        }
    }

    /// Commits what has just been changed.
    pub(super) fn commit(&self, change: &Change, store: &mut dyn Store) -> Result<(), StoreError> {
        let ledger = Ledger::from(self.accounts.clone());
        let windows: Vec<_> = change.windows.iter().collect();
        let mut ranges = change.ranges.clone();
        ranges.sort_by_key(|range| (range.partition, matches!(range.range.key, RangeKey::Rejected(_)), range.place));
        // What changed twice is said once, as it is in the end.
        for range in &mut ranges {
            let account = &self.accounts[&range.partition];
            range.range = match range.range.key {
                RangeKey::Late(_) => account.late_ranges.listed()[range.place as usize].keyed(RangeKey::Late),
                RangeKey::Rejected(_) => {
                    account.rejected_ranges.listed()[range.place as usize].keyed(RangeKey::Rejected)
                }
            };
        }
        ranges.dedup();
        store.commit(&Commit {
            topic: self.topic,
            partitions: self.partitions.iter().map(|(partition, state)| (*partition, *state)).collect(),
            ledger: &ledger,
            ranges,
            groups: change.groups.iter().map(|id| self.groups[*id as usize].clone()).collect(),
            sensors: &change.sensors,
            windows: &windows,
            dead: &change.dead,
            parts: &change.parts,
        })
    }

    /// A random step, committed.
    pub(super) fn go_on(&mut self, seed: u64, size: Size, store: &mut dyn Store) -> Result<(), StoreError> {
        let change = self.step(seed, size);
        self.commit(&change, store)
    }

    /// What a store drops that keeps windows for so long.
    pub(super) fn drop_older(&mut self, keep: Millis, most: usize) {
        let Some(newest) = self.windows.last().map(|window| window.end) else { return };
        let is_old = |window: &WindowResult| window.end < newest - keep && Some(window.end) <= self.topic.closed_until;
        let old = self.windows.iter().take_while(|window| is_old(window)).count().min(most);
        self.windows.drain(..old);
        self.dropped += old as u64;
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals { sensors: self.topic.sensors, ..Totals::default() };
        for account in self.accounts.values() {
            totals.messages = totals.messages.saturating_add(account.read);
            totals.counted = totals.counted.saturating_add(account.counted);
            totals.late = totals.late.saturating_add(account.late);
            totals.rejected.merge(&account.rejected);
        }
        totals.groups = (self.groups.iter())
            .map(|GroupState { name, stats, sensors, .. }| GroupResult {
                group: name.clone(),
                messages: stats.count,
                sensors: *sensors,
                sum: stats.sum,
                avg: stats.average(),
                min: stats.min,
                max: stats.max,
            })
            .collect();
        totals.groups.sort_by(|a, b| a.group.cmp(&b.group));
        totals
    }

    fn closed_beyond(&self) -> Vec<Millis> {
        let beyond = self.windows.iter().filter(|window| Some(window.end) > self.topic.closed_until);
        beyond.map(|window| window.start).collect()
    }

    /// In what a store's answers differ from this.
    pub(super) fn difference(&self, answers: &Answers) -> Option<String> {
        fn differ<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, theirs: &T) -> Option<String> {
            (ours != theirs).then(|| format!("{what}: {ours:?} is to be, {theirs:?} is"))
        }
        let Answers { commits, dropped, topic, partitions, parts, accounts, groups, totals, windows, dead, lost } =
            answers;
        differ("commits", &self.commits, commits)
            .or_else(|| differ("topic", &self.topic, topic))
            .or_else(|| differ("partitions", &self.partitions, partitions))
            .or_else(|| differ("parts", &self.parts, parts))
            .or_else(|| differ("accounts", &self.accounts, accounts))
            .or_else(|| differ("groups", &self.groups, groups))
            .or_else(|| differ("totals", &self.totals(), totals))
            .or_else(|| differ("windows", &self.windows, windows))
            .or_else(|| differ("dropped", &self.dropped, dropped))
            .or_else(|| differ("dead", &self.dead, dead))
            .or_else(|| differ("lost", &self.lost, lost))
    }

    /// In what a store's saved state differs from this.
    pub(super) fn difference_saved(&self, saved: Option<&ResumeState>) -> Option<String> {
        let Some(saved) = saved else {
            return (self.commits > 0).then(|| "nothing is saved".to_owned());
        };
        let mut sensors = saved.sensors.clone();
        let distinct = self.members.iter().map(|(sensor, _)| sensor).collect::<BTreeSet<_>>().len() as u64;
        let same = self.commits > 0
            && saved.topic == self.topic
            && saved.closed_beyond == self.closed_beyond()
            && saved.partitions == self.partitions
            && saved.parts == self.parts
            && saved.accounts == self.accounts
            && saved.groups == self.groups
            && saved.sensors.count() == distinct
            && self.members.iter().all(|(sensor, group)| !sensors.insert(*sensor, *group));
        (!same).then(|| format!("{self:?} is to be, {saved:?} is"))
    }
}

fn grow<K: Copy + Ord>(random: &mut StdRng, ranges: &mut Ranges<K>, new: KeyedRange<K>) -> usize {
    let (mut listed, mut unlisted) = (ranges.listed().to_vec(), ranges.unlisted());
    let place = match listed.iter().rposition(|range| range.key == new.key) {
        Some(place) if random.random_bool(0.5) => {
            listed[place].range.next = new.range.next;
            listed[place].records += new.records;
            place
        }
        _ => {
            listed.push(new);
            listed.len() - 1
        }
    };
    unlisted += random.random_range(0..2);
    *ranges = Ranges::restored(listed, unlisted);
    place
}

fn note<K: Copy + Ord>(
    change: &mut Change,
    partition: PartitionId,
    ranges: &Ranges<K>,
    place: usize,
    key: impl FnOnce(K) -> RangeKey,
) {
    change.ranges.push(RangeState { partition, place: place as u32, range: ranges.listed()[place].keyed(key) });
}

/// A store, its consumer, and what it has committed.
pub(super) fn begun(seeds: std::ops::Range<u64>) -> (Place, World, SqliteStore) {
    let (place, mut world) = (Place::new(), World::default());
    let mut store = open(&place.path).unwrap();
    seeds.for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    (place, world, store)
}

/// All that a reader can be asked.
#[derive(Debug)]
pub(super) struct Answers {
    commits: u64,
    dropped: u64,
    topic: TopicState,
    partitions: BTreeMap<PartitionId, PartitionState>,
    parts: BTreeMap<PartitionId, Vec<LogPart>>,
    accounts: BTreeMap<PartitionId, Account>,
    groups: Vec<GroupState>,
    totals: Totals,
    windows: Vec<WindowResult>,
    dead: Vec<(u64, DeadBatch)>,
    lost: Vec<LostRange>,
}

/// Asks all of it at once.
pub(super) fn ask(path: &Path) -> Result<Answers, Error> {
    ask_reader(&mut StoreReader::open(path)?)
}

pub(super) fn ask_reader(reader: &mut StoreReader) -> Result<Answers, Error> {
    let snapshot = reader.snapshot()?;
    let overview = snapshot.overview();
    let mut windows = Vec::new();
    snapshot.windows(Windows::All, |window| {
        windows.push(window);
        ControlFlow::Continue(())
    })?;
    assert_eq!(overview.windows, windows.len() as u64);
    assert_eq!(snapshot.latest()?.as_ref(), windows.last());
    assert_eq!(overview.first, windows.first().map(|window| window.start));
    assert_eq!(overview.last, windows.last().map(|window| window.start));
    let (dead, lost) = (snapshot.dead(u64::MAX)?, snapshot.lost()?);
    assert_eq!((overview.dead, overview.lost), (dead.len() as u64, lost.len() as u64));
    let mut waiting: BTreeMap<PartitionId, Waiting> = BTreeMap::new();
    for (_, batch) in &dead {
        let of = waiting.entry(batch.partition).or_default();
        (of.batches, of.records) = (of.batches + 1, of.records + batch.records);
    }
    assert_eq!(snapshot.waiting()?, waiting);
    Ok(Answers {
        commits: overview.commits,
        dropped: overview.dropped,
        topic: snapshot.topic(),
        partitions: snapshot.partitions()?,
        parts: snapshot.parts()?,
        accounts: snapshot.accounts()?,
        groups: snapshot.groups()?,
        totals: snapshot.totals()?,
        windows,
        dead,
        lost,
    })
}

/// A store in its place is what the model says.
#[track_caller]
pub(super) fn expect(world: &World, path: &Path) {
    let answers = ask(path).unwrap();
    assert_eq!(world.difference(&answers), None);
}
