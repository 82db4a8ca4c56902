//! Retention that has deleted needed records: resuming, verifying, and letters that were not yet copied.

use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::letters::letters;
use crate::util::store::Store;
use crate::util::{count, last_totals, list, named, number};

/// A store, of a topic that keeps about 300 kB.
struct Short {
    cluster: Cluster,
    topic: String,
    store: Store,
}

impl Short {
    #[track_caller]
    fn new(cluster: Cluster, name: &str) -> Self {
        let topic = cluster.kept_short(name, 300_000);
        Self { cluster, topic, store: Store::new() }
    }

    /// Produces readings from a minute on, a hundred a second, in batches that are small against a segment. A thousand
    /// are about 220 kB.
    #[track_caller]
    fn produce(&self, count: u32, minute: u32, more: &[&str]) {
        let (count, start) = (count.to_string(), format!("2026-03-14T09:{minute:02}:00Z"));
        let args = [&count, "--seed", "7", "--start", &start, "--rate", "100", "--quiet", "--batch-size", "4000"];
        self.cluster.produce(&self.topic, &[&args[..], more].concat());
    }

    /// A run to the end that the topic has now, which ends with this code; its standard error.
    #[track_caller]
    fn run(&self, more: &[&str], code: i32) -> String {
        self.store.to_end(&self.cluster, &self.topic, more).code(code).stderr
    }

    #[track_caller]
    fn verify(&self) -> Value {
        self.store.verify(&self.cluster, 0)
    }
}

#[test]
fn a_log_that_no_longer_reaches_back_is_refused_unless_data_loss_is_accepted() {
    let short = Short::new(Cluster::start(), "data-loss");
    short.produce(1_000, 0, &[]);
    short.run(&["--leave-open"], 0);
    let before = short.store.windows();
    assert_eq!(short.verify()["unverifiable"], Value::Array(Vec::new()));
    assert_eq!(count(&short.store.ledger()["partitions"][0], "next"), 1_000);
    short.produce(5_000, 10, &[]);
    short.cluster.wait_for_start(&short.topic, 1_001);

    let refused = short.run(&[], 1);
    for said in ["partition 0", "--accept-data-loss", "--reset", "retention"] {
        assert!(refused.contains(said), "`{said}` is missing: {refused}");
    }
    assert_eq!(short.store.windows(), before, "a refused run changes nothing");

    let totals = last_totals(&short.store.to_end_over_losses(&short.cluster, &short.topic, &[]).stdout);
    let ledger = short.store.ledger();
    let partition = &ledger["partitions"][0];
    let losses = list(partition, "data_losses");
    let lost: u64 = losses.iter().map(|loss| count(loss, "lost")).sum();
    assert!(count(&losses[0], "first") <= 1_000 && count(&losses[0], "next") > 1_000, "{ledger}");
    assert_eq!(count(&losses[0], "lost"), count(&losses[0], "next") - 1_000, "{ledger}");
    assert_eq!(count(&totals, "messages"), 6_000 - lost, "{totals}");
    assert_eq!((count(partition, "read"), count(partition, "next")), (6_000 - lost, 6_000), "{ledger}");

    let report = short.verify();
    assert_eq!(report["result"], "incomplete", "{report}");
    let said = report["unverifiable"][0]["what"].as_str().expect("a text");
    assert!(said.starts_with("partition 0: offsets 0 to "), "{report}");
    let windows = ["verified", "unverifiable", "different"].map(|word| count(&report["windows"], word));
    // Two closed before the data loss, and the one that was open then is lost with it.
    assert!(windows[0] > 3 && windows[1] >= 2 && windows[2] == 0, "{report}");
    // It has to be accepted only once.
    short.run(&[], 0);
}

#[test]
fn what_is_cut_is_named_and_the_rest_is_verified() {
    let short = Short::new(Cluster::start(), "verify-cut");
    for minute in [0, 2, 4] {
        short.produce(800, minute, &["--late", "0.05", "--malformed", "0.05"]);
        short.run(&["--leave-open"], 0);
    }
    let start = short.cluster.wait_for_start(&short.topic, 800);
    let report = short.verify();
    let windows = |word| count(&report["windows"], word);
    assert_eq!((&report["result"], windows("different")), (&Value::from("incomplete"), 0), "{report}");
    assert!(count(&report["partitions"][0], "from") >= start.unsigned_abs(), "{report}");
    let named = |what| named(&report, "unverifiable", what) > 0;
    assert!(windows("verified") > 0 && windows("unverifiable") > 0 && named("window") && named("totals"), "{report}");
}

#[test]
fn letters_that_were_not_copied_in_time_are_entered_as_lost() {
    let short = Short::new(Cluster::own(), "lost");
    let (closed, dead) = (short.cluster.deployed("closed", 1), short.cluster.deployed("dead", 1));
    // The consumer cannot copy to a deleted topic.
    let run = short.store.start(&short.cluster, &short.topic, &["--dead-letters", &closed]);
    short.produce(10, 0, &[]);
    short.store.wait_for_messages(10);
    short.cluster.delete(&closed);
    short.produce(1_000, 2, &["--malformed", "0.1"]);
    short.store.wait_for_messages(1_010);
    run.kill();
    let waiting = short.store.waiting();
    assert!(waiting > 50, "{waiting} letters wait");
    // A run without a topic for them leaves them where they are.
    short.produce(4_000, 10, &[]);
    short.store.to_end_over_losses(&short.cluster, &short.topic, &[]);
    short.cluster.wait_for_start(&short.topic, 1_000);
    short.produce(100, 20, &["--malformed", "0.5"]);
    let copying = ["--dead-letters", &dead, "--leave-open"];
    let ended = short.store.to_end_over_losses(&short.cluster, &short.topic, &copying).stderr;
    assert!(ended.contains("lost"), "{ended}");
    let ledger = short.store.ledger();
    let letters_of = |what: &str| number(&ledger["dead_letters"][what]["records"]);
    assert_eq!((letters_of("lost"), letters_of("waiting")), (waiting, 0), "{ledger}");
    let there = letters(&short.cluster, &dead, 1).len();
    assert!(there > 20 && there < 100, "{there} letters of the last hundred readings");
}
