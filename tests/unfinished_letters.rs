//! `--dead-letters TOPIC` where a run is over before its letters are copied: it reports what is left, and the next run copies it.

use std::collections::BTreeMap;
use std::net::TcpListener;

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::letters::{Held, by_reason, copied_to_end, copying, grave, letters, lost_to, produce_much};
use crate::util::number_before;
use crate::util::program::{Ended, Running, command};
use crate::util::store::Store;

/// A consumer that has copied all there is, and whose topic of dead letters is deleted then.
struct Left {
    cluster: Cluster,
    topic: String,
    dead: String,
    store: Store,
}

impl Left {
    /// What it needs, and the consumer, started with these options.
    fn start(name: &str, more: &[&str]) -> (Self, Running) {
        let cluster = Cluster::own();
        let (topic, dead, store) = (cluster.deployed(name, 1), grave(&cluster, 2), Store::new());
        cluster.produce(&topic, &["10", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
        let run = copying(&store, &cluster, &topic, &dead, more);
        store.wait_for_messages(10);
        cluster.delete(&dead);
        let faulty = ["--malformed", "0.2", "--start", "2026-03-14T09:00:10Z", "--rate", "100", "--seed", "5"];
        cluster.produce(&topic, &[&["1000", "--quiet"], &faulty[..]].concat());
        (Self { cluster, topic, dead, store }, run)
    }

    /// Fails unless the run reported what is left, and the next run copies all of it, each letter once.
    #[track_caller]
    fn for_the_next_run(self, said: &Ended) {
        let Self { cluster, topic, dead, store } = self;
        let said = &said.stderr;
        let left = " batches are left in the store; the next run with --dead-letters ";
        assert!(number_before(said, left) > 0, "{said}");
        let left = store.waiting();
        assert!(left > 10, "{left} letters wait: {said}");
        cluster.deploy(&["--topic", &dead, "--partitions", "2"]);
        let (there, ended) = copied_to_end(&store, &cluster, (&topic, 1), (&dead, 2));
        assert!(there.len() as u64 >= left && store.waiting() == 0, "{} of {left}: {}", there.len(), ended.stderr);
    }
}

#[test]
fn an_interrupted_run_waits_for_a_stalled_broker_no_longer_than_its_bound() {
    let (left, mut run) = Left::start("end-stalled", &["--drain", "1s", "--idle", "1m"]);
    // When the last of these windows is committed, so are the letters of the earlier ones.
    run.wait_for(r#""start":"2026-03-14T09:00:12Z""#);
    left.cluster.signal(Signal::SIGSTOP);
    let said = run.interrupt();
    for part in ["waiting up to 1 s for the dead letters of ", "; Ctrl-C once more to stop at once", NOT_ALL] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    left.cluster.signal(Signal::SIGCONT);
    left.for_the_next_run(&said);
}

#[test]
fn a_run_that_ends_by_itself_waits_no_longer_either() {
    let (left, run) = Left::start("end-itself", &["--drain", "1s", "--stop-after", "1010"]);
    let said = run.wait().code(0);
    assert!(said.stderr.contains(NOT_ALL), "{}", said.stderr);
    left.for_the_next_run(&said);
}

#[test]
fn a_signal_ends_the_waiting_of_a_run_that_ended_by_itself() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (left, mut run) = Left::start("end-signal", &["--drain", "1h", "--stop-after", "1010"]);
        // The run is over, and prints how the waiting can be ended.
        let said = run.wait_for_error("waiting up to 3600 s for the dead letters of ");
        assert!(said.contains(" batches; Ctrl-C to stop at once"), "{said}");
        run.signal(signal);
        let said = run.wait().code(130);
        assert!(!said.stderr.contains("dead letters are not all copied after"), "{}", said.stderr);
        left.for_the_next_run(&said);
    }
}

/// The warning after a wait that reached its bound.
const NOT_ALL: &str = "dead letters are not all copied after 1 s";

#[test]
fn a_take_over_while_letters_are_sent_loses_none() {
    let cluster = Cluster::start();
    let (topic, dead, store) = (cluster.deployed("taken-over-dead", 2), grave(&cluster, 3), Store::new());
    produce_much(&cluster, &topic);
    let old = copying(&store, &cluster, &topic, &dead, &["--idle", "1m"]);
    let held = Held::take(&store);
    // It waits for the lock, to mark as done what it has sent.
    held.wait_for_chunk(&cluster, &dead, 3);
    let mut new = copying(&store, &cluster, &topic, &dead, &["--until-end", "--take-over"]);
    // Its first log line: it is about to open the store.
    new.wait_for_error("");
    drop(held);
    let holder = format!("by process {} on ", new.id());
    let ended = new.wait().code(0);
    // A consumer that has nothing to commit does not notice that it was taken over.
    cluster.produce(&topic, &["10", "--start", "2026-03-14T10:00:00Z", "--quiet"]);
    let said = old.wait().code(1);
    let last = said.last_error();
    assert!(last.contains("another consumer took the store") && last.contains(&holder), "{holder}: {}", said.stderr);
    let (mut by_origin, mut doubles) = (BTreeMap::new(), BTreeMap::<_, u64>::new());
    for letter in letters(&cluster, &dead, 3) {
        let origin = letter.origin;
        if let Some(first) = by_origin.insert(origin, letter) {
            assert_eq!(by_origin.get(&origin), Some(&first), "the same letter, under the same id");
            *doubles.entry(origin).or_default() += 1;
        }
    }
    assert_eq!(by_reason(by_origin.values()), lost_to(&ended.stdout), "{}", ended.stderr);
    assert_eq!(store.waiting(), 0, "{}", ended.stderr);
    // What the old one was sending at that moment, and no more.
    assert!(doubles.values().all(|more| *more == 1) && doubles.len() <= ONE_CHUNK, "{doubles:?}");
}

/// How many letters a consumer sends together at most: ten thousand, and what else is in the last batch.
const ONE_CHUNK: usize = 11_000;

#[test]
fn a_controller_that_never_answers_holds_up_no_stop() {
    let controller = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = controller.local_addr().expect("it has an address").to_string();
    let store = Store::new();
    for more in [&[][..], &["--dead-letters", "dead"]] {
        let mut consume = command("isotherm-consumer");
        consume.args(["--cluster", &address, "--store", &store.path(), "--format", "jsonl"]).args(more);
        let run = Running::start(&mut consume);
        let _connection = controller.accept().expect("it connects");
        let said = run.interrupt();
        assert!(said.stdout.contains(r#""type":"totals","messages":0,"#), "{}\n{}", said.stdout, said.stderr);
    }
}
