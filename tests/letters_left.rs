//! `--dead-letters TOPIC` where a run is over before its letters are copied: what is left is said, and copied later.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::dead_letters::{Held, by_reason, consumer, each_once, grave, letters, lost_to, produce_much, wait_until};
use crate::letters::waiting;
use crate::util::cluster::Cluster;
use crate::util::program::{Ended, Running};

/// A consumer that has copied all there is, and whose topic of dead letters is deleted then.
fn without_its_topic(cluster: &Cluster, topic: &str, store: &Path, dead: &str, more: &[&str]) -> Running {
    cluster.produce(topic, &["10", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let mut run = consumer(cluster, topic, store, dead, more);
    run.wait_for_log("caught up");
    cluster.delete(dead);
    let readings =
        ["1000", "--malformed", "0.2", "--start", "2026-03-14T09:00:10Z", "--rate", "100", "--seed", "5", "--quiet"];
    cluster.produce(topic, &readings);
    run
}

/// It said what is left; the next run copies all of it, none twice.
#[track_caller]
fn left_for_the_next_run(cluster: &Cluster, topic: &str, store: &Path, dead: &str, said: &Ended) {
    let said = &said.stderr;
    let batches = said.split_once(" batches are left in the store; the next run with --dead-letters ");
    let batches = batches.and_then(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(batches.is_some_and(|batches| batches > 0), "{said}");
    let left = waiting(store);
    assert!(left > 10, "{left} letters wait: {said}");
    cluster.deploy(&["--topic", dead, "--partitions", "2"]);
    let ended = consumer(cluster, topic, store, dead, &["--until-end"]).wait().code(0);
    let there = each_once(letters(cluster, dead, 2));
    assert_eq!(by_reason(there.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    assert!(there.len() as u64 >= left && waiting(store) == 0, "{} of {left}: {}", there.len(), ended.stderr);
}

#[test]
fn an_interrupted_run_waits_for_a_stalled_broker_no_longer_than_its_bound() {
    let cluster = Cluster::own();
    let (topic, dead) = (cluster.deployed("end-stalled", 1), grave(&cluster, 2));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let mut run = without_its_topic(&cluster, &topic, &store, &dead, &["--drain", "1s", "--idle", "1m"]);
    // The last of these windows is committed after every letter of the ones before.
    run.wait_for(r#""start":"2026-03-14T09:00:12Z""#);
    cluster.signal(Signal::SIGSTOP);
    run.signal(Signal::SIGINT);
    let said = run.wait().code(130);
    assert!(said.stderr.contains("waiting up to 1 s for the dead letters of "), "{}", said.stderr);
    assert!(said.stderr.contains("; Ctrl-C once more to stop at once"), "{}", said.stderr);
    assert!(said.stderr.contains(NOT_ALL), "{}", said.stderr);
    cluster.signal(Signal::SIGCONT);
    left_for_the_next_run(&cluster, &topic, &store, &dead, &said);
}

#[test]
fn a_run_that_ends_by_itself_waits_no_longer_either() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("end-itself", 1), grave(&cluster, 2));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let more = ["--drain", "1s", "--stop-after", "1010"];
    let said = without_its_topic(&cluster, &topic, &store, &dead, &more).wait().code(0);
    assert!(said.stderr.contains(NOT_ALL), "{}", said.stderr);
    left_for_the_next_run(&cluster, &topic, &store, &dead, &said);
}

#[test]
fn a_signal_ends_the_waiting_of_a_run_that_ended_by_itself() {
    let cluster = Cluster::start();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (topic, dead) = (cluster.deployed("end-signal", 1), grave(&cluster, 2));
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let store = folder.path().join("run.db");
        let more = ["--drain", "1h", "--stop-after", "1010"];
        let mut run = without_its_topic(&cluster, &topic, &store, &dead, &more);
        let said = run.wait_for_log("waiting up to 3600 s for the dead letters of ");
        assert!(said.contains(" batches; Ctrl-C to stop at once"), "{said}");
        run.signal(signal);
        let said = run.wait().code(130);
        assert!(!said.stderr.contains("dead letters are not all copied after"), "{}", said.stderr);
        left_for_the_next_run(&cluster, &topic, &store, &dead, &said);
    }
}

/// What is said of a wait that took as long as it may.
const NOT_ALL: &str = "dead letters are not all copied after 1 s";

#[test]
fn a_take_over_while_letters_are_sent_loses_none() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("taken-over-dead", 2), grave(&cluster, 3));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    produce_much(&cluster, &topic);
    let old = consumer(&cluster, &topic, &store, &dead, &["--idle", "1m"]);
    let held = Held::take(&store);
    // A chunk that has been sent, and waits for the lock to be settled.
    wait_until("letters are sent, and not settled", || {
        let sent = cluster.records(&dead, 3).checked_sub(held.settled)?;
        held.chunks.contains(&sent).then_some(())
    });
    let mut new = consumer(&cluster, &topic, &store, &dead, &["--until-end", "--take-over"]);
    new.wait_for_log("the store is");
    drop(held);
    let holder = format!("by process {} on ", new.id());
    let ended = new.wait().code(0);
    // Whoever has nothing to commit does not notice that he was taken over.
    cluster.produce(&topic, &["10", "--start", "2026-03-14T10:00:00Z", "--quiet"]);
    let said = old.wait().code(1).stderr;
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("another consumer took the store") && last.contains(&holder), "{holder}: {said}");
    let (mut by_origin, mut doubles) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    for letter in letters(&cluster, &dead, 3) {
        let origin = letter.origin;
        if let Some(first) = by_origin.insert(origin, letter) {
            assert_eq!(by_origin.get(&origin), Some(&first), "the same letter, under the same id");
            *doubles.entry(origin).or_default() += 1;
        }
    }
    assert_eq!(by_reason(by_origin.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    assert_eq!(waiting(&store), 0, "{}", ended.stderr);
    // What the old one was sending at that moment, and no more.
    assert!(doubles.values().all(|more| *more == 1) && doubles.len() <= ONE_CHUNK, "{doubles:?}");
}

/// A consumer sends at most so many letters together: ten thousand, and what else is in the last batch.
const ONE_CHUNK: usize = 11_000;

#[test]
fn a_controller_that_never_answers_holds_up_no_stop() {
    let controller = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = controller.local_addr().expect("it has an address").to_string();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = folder.path().join("run.db");
    let store = store.to_str().expect("the path is UTF-8");
    for more in [&[][..], &["--dead-letters", "dead"]] {
        let mut consume = crate::util::program::command("isotherm-consumer");
        consume.args(["--cluster", &address, "--store", store, "--format", "jsonl"]).args(more);
        let run = Running::start(&mut consume);
        let _connection = controller.accept().expect("it connects");
        run.signal(Signal::SIGINT);
        let said = run.wait().code(130);
        assert!(said.stdout.contains(r#""type":"totals","messages":0,"#), "{}\n{}", said.stdout, said.stderr);
    }
}
