//! `--dead-letters TOPIC`: every late reading and every rejected record arrives there, its value untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use isotherm_consumer::source::fluvio::cluster::Cluster as Controller;
use isotherm_consumer::source::fluvio::raw::RawReader;
use nix::sys::signal::Signal;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::util::cluster::{Cluster, block_on};
use crate::util::program::{self, Running, STUCK, command};
use crate::util::{golden, golden_text};

/// A letter as it stands in the topic.
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

/// All letters of a topic, by id and as often as they are there.
#[track_caller]
pub(crate) fn letters(cluster: &Cluster, topic: &str, partitions: u32) -> Vec<Letter> {
    let controller = Controller::at(Some(cluster.address()));
    let mut letters = Vec::new();
    for partition in 0..partitions {
        let records = block_on(async {
            let mut reader = RawReader::open(&controller, topic, partition, 0).await.expect("the node answers");
            let mut records = Vec::new();
            while let Some(batch) = reader.next().await.expect("the log can be read") {
                records.extend(batch.records);
            }
            records
        });
        for record in records {
            let key = record.key.expect("a letter has a key");
            let key: Value = serde_json::from_slice(&key).expect("its key is JSON");
            let text = |name: &str| key[name].as_str().map(str::to_owned);
            let number = |name: &str| key[name].as_u64().unwrap_or_else(|| panic!("no `{name}` in {key}"));
            let (partition, offset) = (number("partition"), number("offset"));
            let (run, id) = (text("run").expect("a run"), text("id").expect("an id"));
            assert_eq!(id, format!("{run}/{partition}/{offset}"));
            let reason = text("reason").expect("a reason");
            assert_eq!(key["window"].is_string(), reason == "late", "{key}");
            let (origin, window) = ((partition, offset), text("window"));
            letters.push(Letter { reason, origin, id, window, value: record.value.to_vec() });
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
pub(crate) fn consumer(cluster: &Cluster, topic: &str, store: &Path, dead: &str, more: &[&str]) -> Running {
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", topic, "--dead-letters", dead, "--format", "jsonl"]);
    consume.arg("--store").arg(store).args(more);
    Running::start(&mut consume)
}

/// Late and rejected records by the last line of totals.
#[track_caller]
pub(crate) fn lost_to(jsonl: &str) -> BTreeMap<String, u64> {
    let last: Value = serde_json::from_str(jsonl.lines().last().expect("totals")).expect("totals are JSON");
    let rejected = last["rejected"].as_object().expect("`rejected` holds reasons");
    let count = |count: &Value| count.as_u64().expect("a count");
    let mut all: BTreeMap<_, _> = rejected.iter().map(|(reason, records)| (reason.clone(), count(records))).collect();
    if count(&last["late"]) > 0 {
        all.insert("late".to_owned(), count(&last["late"]));
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

#[test]
fn rejected_records_arrive_with_their_reasons_and_untouched() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("faults", 1), grave(&cluster, 3));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let readings = golden("faults.jsonl");
    let input = readings.to_str().expect("the path is UTF-8");
    cluster.produce(&topic, &["--input", input, "--quiet", "--batch-size", "20000"]);
    let ended = consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    let letters = each_once(letters(&cluster, &dead, 3));
    let values = cluster.values(&topic, 0);
    let reasons = golden_text("faults.reasons");
    let mut rejected = 0;
    for (offset, (reason, value)) in (0..).zip(reasons.lines().zip(&values)) {
        let letter = letters.get(&(0, offset)).filter(|letter| letter.reason != "late");
        let told = letter.map_or("accepted", |letter| &letter.reason);
        assert_eq!(told, reason, "offset {offset}: {}", String::from_utf8_lossy(value));
        if let Some(letter) = letter {
            assert!(letter.value == *value, "offset {offset} is another value");
            rejected += 1;
        }
    }
    assert!(rejected > 300, "{rejected} rejected records");
    assert_eq!(by_reason(letters.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    // Nothing comes a second time.
    consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    assert_eq!(each_once(self::letters(&cluster, &dead, 3)), letters);
}

#[test]
fn a_consumer_that_is_killed_again_and_again_loses_none() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("killed-dead", 2), grave(&cluster, 2));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let mut windows = 0;
    for round in 0..4_u64 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:{:02}:00Z", 5 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.05", "--seed", &seed, "--start", &start];
        cluster.produce(&topic, &[&["20000", "--quiet", "--batch-size", "6000"][..], &faulty].concat());
        let mut killed = consumer(&cluster, &topic, &store, &dead, &["--idle", "1s"]);
        // In the middle of reading, and of copying.
        for _line in 0..=round {
            killed.wait_for(r#""type":"window""#);
            windows += 1;
        }
        killed.signal(Signal::SIGKILL);
        drop(killed);
    }
    let ended = consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    let letters = each_once(letters(&cluster, &dead, 2));
    assert_eq!(by_reason(letters.values()), lost_to(&ended.stdout), "after {windows} windows: {}", ended.stderr);
    assert!(letters.values().any(|letter| letter.reason == "late"), "some are late");
    assert_untouched(&cluster, &topic, 2, letters.values());
}

#[test]
fn a_copier_that_dies_before_it_settles_finds_again_what_it_sent() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("unsettled-dead", 2), grave(&cluster, 3));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    produce_much(&cluster, &topic);
    let killed = consumer(&cluster, &topic, &store, &dead, &["--idle", "1s"]);
    // Now nothing can be settled: the copier sends what it has taken, and waits.
    let held = Held::take(&store);
    let sent = wait_until("a chunk has been sent whole", || {
        let sent = cluster.records(&dead, 3).checked_sub(held.settled)?;
        held.chunks.contains(&sent).then_some(sent)
    });
    killed.signal(Signal::SIGKILL);
    drop(killed);
    drop(held);
    let ended = consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    let letters = each_once(letters(&cluster, &dead, 3));
    assert_eq!(by_reason(letters.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    let found = ended.stderr.lines().filter(|line| line.contains("had been copied before"));
    let found = found.flat_map(|line| line.split(' ').filter_map(|word| word.parse::<u64>().ok()));
    assert_eq!(found.sum::<u64>(), sent, "sent, and not settled: {}", ended.stderr);
    assert_untouched(&cluster, &topic, 2, letters.values());
}

#[test]
fn a_node_that_is_killed_while_letters_are_sent_has_each_once() {
    let mut cluster = Cluster::own();
    let (topic, dead) = (cluster.deployed("node-killed-dead", 2), grave(&cluster, 3));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    produce_much(&cluster, &topic);
    let living = consumer(&cluster, &topic, &store, &dead, &["--idle", "1s"]);
    let (mut kills, mut there) = (0, 0);
    while kills < MOST_KILLS && there < MUCH / 3 {
        there = wait_until("more letters have come", || {
            let now = cluster.records(&dead, 3);
            (now > there).then_some(now)
        });
        cluster.kill_and_restart();
        kills += 1;
    }
    living.signal(Signal::SIGINT);
    let interrupted = living.wait().code(130);
    let ended = consumer(&cluster, &topic, &store, &dead, &["--until-end"]).wait().code(0);
    let letters = each_once(letters(&cluster, &dead, 3));
    assert_eq!(by_reason(letters.values()), lost_to(&ended.stdout), "{kills} kills: {}", interrupted.stderr);
    assert_untouched(&cluster, &topic, 2, letters.values());
}

/// How often the node is killed at most.
const MOST_KILLS: u64 = 12;

/// So many records, half of them malformed: the letters of many chunks.
const MUCH: u64 = 200_000;

pub(crate) fn produce_much(cluster: &Cluster, topic: &str) {
    let (much, start) = (MUCH.to_string(), "2026-03-14T09:00:00Z");
    let args = [&much, "--start", start, "--malformed", "0.5", "--batch-size", "50000", "--seed", "1", "--quiet"];
    cluster.produce(topic, &args);
}

/// The lock of a store that a consumer works on, with letters that wait.
pub(crate) struct Held {
    /// How many letters are settled.
    pub(crate) settled: u64,
    /// How many letters the oldest batch holds, the oldest two, and so on: what is sent together is one of these.
    pub(crate) chunks: BTreeSet<u64>,
    /// Lets go of the lock when it is dropped.
    _lock: Connection,
}

impl Held {
    /// Takes the lock as soon as letters wait.
    #[track_caller]
    pub(crate) fn take(store: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // A store appears when it is whole.
        let lock = wait_until("a store is there", || Connection::open_with_flags(store, flags).ok());
        lock.busy_timeout(STUCK).expect("the store is open");
        let (dead, waiting) = wait_until("letters wait", || {
            lock.execute_batch("BEGIN IMMEDIATE").expect("the consumer lets go of the lock at times");
            let dead = lock.query_row("SELECT coalesce(sum(read - counted), 0) FROM partitions", (), |row| row.get(0));
            let dead: i64 = dead.expect("partitions can be asked");
            let mut oldest = lock.prepare("SELECT records FROM dead ORDER BY id").expect("the outbox can be asked");
            let rows = oldest.query_map((), |row| row.get(0)).expect("the outbox can be read");
            let waiting: Vec<i64> = rows.map(|records| records.expect("a number of records")).collect();
            if waiting.is_empty() {
                lock.execute_batch("ROLLBACK").expect("the lock is held");
                return None;
            }
            Some((dead, waiting))
        });
        let chunks = waiting.iter().scan(0, |sum, records| {
            *sum += records.cast_unsigned();
            Some(*sum)
        });
        let chunks = chunks.collect();
        let settled = (dead - waiting.iter().sum::<i64>()).cast_unsigned();
        Self { settled, chunks, _lock: lock }
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + STUCK;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "stuck before {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let cluster = Cluster::start();
    let topic = cluster.deployed("dead-refused", 1);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let store = store.to_str().expect("the path is UTF-8");
    let missing = cluster.topic_name("no-such");
    for (dead, store, wanted) in [
        (topic.as_str(), store, "it is the topic that is read"),
        (missing.as_str(), store, "isotherm-consumer deploy --topic"),
        (missing.as_str(), "memory", "needs a store that stays"),
    ] {
        let args = ["--cluster", cluster.address(), "--topic", &topic, "--store", store, "--dead-letters", dead];
        let said = program::run("isotherm-consumer", args.iter().chain(&["--until-end"])).code(1).stderr;
        assert!(said.contains(wanted), "{said}");
    }
}
