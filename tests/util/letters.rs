//! Dead letters, as they are in their topic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isotherm_consumer::log::{self, ReadOptions};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::cluster::{Cluster, block_on};
use super::program::{Ended, Running};
use super::store::Store;
use super::{TIMEOUT, last_totals, number, wait_until};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) reason: String,
    /// Partition and offset.
    pub(crate) origin: (u64, u64),
    /// The same for each copy.
    pub(crate) id: String,
    /// The start of a late reading's window.
    pub(crate) window: Option<String>,
    pub(crate) value: Vec<u8>,
}

/// All letters of a topic, as often as they are there.
#[track_caller]
pub(crate) fn letters(cluster: &Cluster, topic: &str, partitions: u32) -> Vec<Letter> {
    let log = log::open(Some(cluster.address()), topic).expect("an address");
    let mut letters = Vec::new();
    for partition in 0..partitions {
        let records = block_on(async {
            let mut reader = log.read(partition, 0, ReadOptions::default()).await.expect("the node answers");
            let mut records = Vec::new();
            while let Some(batch) = reader.next().await.expect("the log can be read") {
                let copied = batch.each(&mut Vec::new(), |record| {
                    records.push((record.key.map(<[u8]>::to_vec), record.value.unwrap_or_default().to_vec()));
                });
                copied.expect("a sound batch");
            }
            records
        });
        for (key, value) in records {
            let key = key.expect("a letter has a key");
            let key: Value = serde_json::from_slice(&key).expect("its key is JSON");
            let text = |name: &str| key[name].as_str().map(str::to_owned);
            let origin = (super::count(&key, "partition"), super::count(&key, "offset"));
            let (run, id) = (text("run").expect("a run"), text("id").expect("an id"));
            assert_eq!(id, format!("{run}/{}/{}", origin.0, origin.1));
            let reason = text("reason").expect("a reason");
            assert_eq!(key["window"].is_string(), reason == "late", "{key}");
            letters.push(Letter { reason, origin, id, window: text("window"), value });
        }
    }
    letters
}

/// Each letter once, by where it comes from.
#[track_caller]
pub(crate) fn each_once(letters: Vec<Letter>) -> BTreeMap<(u64, u64), Letter> {
    let mut by_origin = BTreeMap::new();
    for letter in letters {
        let double = by_origin.insert(letter.origin, letter);
        assert!(double.is_none(), "twice: {double:?}");
    }
    by_origin
}

/// Each letter has the value of the record that it comes from.
#[track_caller]
pub(crate) fn assert_untouched<'a>(
    cluster: &Cluster,
    topic: &str,
    partitions: u32,
    letters: impl IntoIterator<Item = &'a Letter>,
) {
    let values: Vec<_> = (0..partitions).map(|partition| cluster.values(topic, partition)).collect();
    for Letter { origin: (partition, offset), reason, value, .. } in letters {
        let wanted = values.get(*partition as usize).and_then(|values| values.get(*offset as usize));
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        assert!(
            wanted == Some(value),
            "{partition}/{offset}, {reason}: {} instead of {:?}",
            text(value),
            wanted.map(text)
        );
    }
}

/// A topic of dead letters.
pub(crate) fn grave(cluster: &Cluster, partitions: u32) -> String {
    cluster.deployed("dead", partitions)
}

/// A consumer that copies dead letters.
#[track_caller]
pub(crate) fn copying(store: &Store, cluster: &Cluster, topic: &str, dead: &str, more: &[&str]) -> Running {
    store.start(cluster, topic, &[&["--dead-letters", dead], more].concat())
}

/// Copies to the end, after which each late and each rejected record is there once, untouched.
#[track_caller]
pub(crate) fn copied_to_end(
    store: &Store,
    cluster: &Cluster,
    (topic, partitions): (&str, u32),
    (dead, dead_partitions): (&str, u32),
) -> (BTreeMap<(u64, u64), Letter>, Ended) {
    let ended = copying(store, cluster, topic, dead, &["--until-end"]).wait().code(0);
    let letters = each_once(letters(cluster, dead, dead_partitions));
    assert_eq!(by_reason(letters.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    assert_untouched(cluster, topic, partitions, letters.values());
    (letters, ended)
}

/// Late and rejected records by the last line of totals.
#[track_caller]
pub(crate) fn lost_to(jsonl: &str) -> BTreeMap<String, u64> {
    let last = last_totals(jsonl);
    let rejected = last["rejected"].as_object().expect("`rejected` holds reasons");
    let mut all: BTreeMap<_, _> = rejected.iter().map(|(reason, records)| (reason.clone(), number(records))).collect();
    if number(&last["late"]) > 0 {
        all.insert("late".to_owned(), number(&last["late"]));
    }
    all
}

pub(crate) fn by_reason<'a>(letters: impl IntoIterator<Item = &'a Letter>) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    for letter in letters {
        *reasons.entry(letter.reason.clone()).or_default() += 1;
    }
    reasons
}

/// How many records [`produce_much`] makes, half of them malformed: the letters of many chunks.
pub(crate) const MUCH: u64 = 200_000;

pub(crate) fn produce_much(cluster: &Cluster, topic: &str) {
    let (much, start) = (MUCH.to_string(), "2026-03-14T09:00:00Z");
    let args = [&much, "--start", start, "--malformed", "0.5", "--batch-size", "50000", "--seed", "1", "--quiet"];
    cluster.produce(topic, &args);
}

/// The lock of a store that a consumer works on, with letters that wait.
pub(crate) struct Held {
    /// How many letters are marked as done.
    settled: u64,
    /// How many letters the oldest batch holds, the oldest two, and so on: what is sent together is one of these.
    chunks: BTreeSet<u64>,
    /// Releases the lock when it is dropped.
    _lock: Connection,
}

impl Held {
    /// Takes the lock as soon as letters wait.
    #[track_caller]
    pub(crate) fn take(store: &Store) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let (path, reason) = (store.path(), |error: rusqlite::Error| error.to_string());
        // A store appears when it is whole.
        let lock =
            wait_until("a store is there", || Connection::open_with_flags(Path::new(&path), flags).map_err(reason));
        lock.busy_timeout(TIMEOUT).expect("the store is open");
        let (dead, waiting) = wait_until("letters wait", || {
            lock.execute_batch("BEGIN IMMEDIATE").expect("the consumer lets go of the lock at times");
            let dead = lock.query_row("SELECT coalesce(sum(read - counted), 0) FROM accounts", (), |row| row.get(0));
            let dead: i64 = dead.expect("partitions can be asked");
            let mut oldest = lock.prepare("SELECT records FROM dead ORDER BY id").expect("the outbox can be asked");
            let rows = oldest.query_map((), |row| row.get(0)).expect("the outbox can be read");
            let waiting: Vec<i64> = rows.map(|records| records.expect("a number of records")).collect();
            if waiting.is_empty() {
                lock.execute_batch("ROLLBACK").expect("the lock is held");
                return Err(format!("{dead} late and rejected records, of which none waits"));
            }
            Ok((dead, waiting))
        });
        let chunks = waiting.iter().scan(0, |sum, records| {
            *sum += records.cast_unsigned();
            Some(*sum)
        });
        let chunks = chunks.collect();
        let settled = (dead - waiting.iter().sum::<i64>()).cast_unsigned();
        Self { settled, chunks, _lock: lock }
    }

    /// Waits until a whole chunk has been sent, which cannot be marked as done as long as this is held; its number of letters.
    #[track_caller]
    pub(crate) fn wait_for_chunk(&self, cluster: &Cluster, dead: &str, partitions: u32) -> u64 {
        wait_until("a chunk has been sent whole", || {
            let sent = cluster.records(dead, partitions).saturating_sub(self.settled);
            if self.chunks.contains(&sent) { Ok(sent) } else { Err(format!("{sent} letters of {:?}", self.chunks)) }
        })
    }
}
