//! `--dead-letters TOPIC`: every late reading and every rejected record arrives there, its value untouched.

use crate::util::cluster::{Cluster, unique};
use crate::util::letters::{Held, MUCH, copied_to_end, copying, grave, letters, produce_much};
use crate::util::program::consumer;
use crate::util::store::Store;
use crate::util::{golden_text, wait_until};

#[test]
fn rejected_records_arrive_with_their_reasons_and_untouched() {
    let cluster = Cluster::start();
    let (topic, dead, store) = (cluster.with_golden("faults", 1, "20000"), grave(&cluster, 3), Store::new());
    let (letters, _) = copied_to_end(&store, &cluster, (&topic, 1), (&dead, 3));
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
    // Nothing comes a second time.
    assert_eq!(copied_to_end(&store, &cluster, (&topic, 1), (&dead, 3)).0, letters);
}

#[test]
fn a_consumer_that_is_killed_again_and_again_loses_none() {
    let cluster = Cluster::start();
    let (topic, dead, store) = (cluster.deployed("killed-dead", 2), grave(&cluster, 2), Store::new());
    let mut windows = 0;
    for round in 0..4_u64 {
        let (seed, start) = (round.to_string(), format!("2026-03-14T09:{:02}:00Z", 5 * round));
        let faulty = ["--late", "0.05", "--malformed", "0.05", "--seed", &seed, "--start", &start];
        cluster.produce(&topic, &[&["20000", "--quiet", "--batch-size", "6000"][..], &faulty].concat());
        let mut killed = copying(&store, &cluster, &topic, &dead, &["--idle", "1s"]);
        // In the middle of reading, and of copying.
        for _line in 0..=round {
            killed.wait_for(r#""type":"window""#);
            windows += 1;
        }
        killed.kill();
    }
    let (letters, ended) = copied_to_end(&store, &cluster, (&topic, 2), (&dead, 2));
    let late = letters.values().any(|letter| letter.reason == "late");
    assert!(late, "some are late, after {windows} windows: {}", ended.stderr);
}

#[test]
fn a_copier_that_dies_before_it_marks_letters_as_done_finds_them_again() {
    let cluster = Cluster::start();
    let (topic, dead, store) = (cluster.deployed("unsettled-dead", 2), grave(&cluster, 3), Store::new());
    produce_much(&cluster, &topic);
    let killed = copying(&store, &cluster, &topic, &dead, &["--idle", "1s"]);
    // Now the copier cannot mark letters as done: it sends the chunk that it has taken, and waits.
    let held = Held::take(&store);
    let sent = held.wait_for_chunk(&cluster, &dead, 3);
    killed.kill();
    drop(held);
    let before = letters(&cluster, &dead, 3);
    assert!(sent > 0 && before.len() as u64 >= sent, "{sent} sent, and not marked as done, of {}", before.len());
    // Each is there once: so the copier found what had been sent and not marked as done.
    let (letters, ended) = copied_to_end(&store, &cluster, (&topic, 2), (&dead, 3));
    for letter in &before {
        assert_eq!(letters.get(&letter.origin), Some(letter), "{}", ended.stderr);
    }
}

#[test]
fn a_node_that_is_killed_while_letters_are_sent_has_each_once() {
    let mut cluster = Cluster::own();
    let (topic, dead, store) = (cluster.deployed("node-killed-dead", 2), grave(&cluster, 3), Store::new());
    produce_much(&cluster, &topic);
    let living = copying(&store, &cluster, &topic, &dead, &["--idle", "1s"]);
    let (mut kills, mut there) = (0, 0);
    while kills < MOST_KILLS && there < MUCH / 3 {
        there = wait_until("more letters have come", || {
            let now = cluster.records(&dead, 3);
            if now > there { Ok(now) } else { Err(format!("{now} after {kills} kills")) }
        });
        cluster.kill_and_restart();
        kills += 1;
    }
    println!("{kills} kills: {}", living.interrupt().stderr);
    copied_to_end(&store, &cluster, (&topic, 2), (&dead, 3));
}

/// How often the node is killed at most.
const MOST_KILLS: u64 = 12;

#[test]
fn what_cannot_work_is_refused() {
    let (cluster, topic) = Cluster::start().with_topic("dead-refused", 1);
    let (store, missing) = (Store::new().path(), unique("no-such"));
    for (dead, store, wanted) in [
        (topic.as_str(), store.as_str(), "it is the topic that is read"),
        (&missing, &store, "isotherm-consumer deploy --topic"),
        (&missing, "memory", "needs a store that stays"),
    ] {
        let args = ["--cluster", cluster.address(), "--topic", &topic, "--store", store, "--dead-letters", dead];
        let said = consumer(args.iter().chain(&["--until-end"])).code(1).stderr;
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn a_topic_that_takes_only_compressed_batches_gets_its_letters() {
    let cluster = Cluster::start();
    let (topic, dead, store) = (cluster.deployed("rejecting", 1), unique("compressed"), Store::new());
    cluster.deploy_file(&format!("meta: {{name: {dead}}}\npartition: {{count: 2}}\ncompression: {{type: Gzip}}\n"));
    cluster.produce(&topic, &["2000", "--malformed", "0.1", "--seed", "5", "--quiet"]);
    copying(&store, &cluster, &topic, &dead, &["--until-end"]).wait().code(0);
    let there = letters(&cluster, &dead, 2).len();
    assert!(there > 100 && store.waiting() == 0, "{there} letters");
}

#[test]
fn nothing_is_copied_from_another_log() {
    let cluster = Cluster::own();
    let (topic, away) = (cluster.deployed("other", 1), cluster.deployed("away", 1));
    let (dead, store) = (cluster.deployed("dead-other", 1), Store::new());
    cluster.produce(&topic, &["10", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let mut run = copying(&store, &cluster, &topic, &away, &[]);
    store.wait_for_messages(10);
    // While their topic is gone, letters wait in the store.
    cluster.delete(&away);
    cluster.produce(
        &topic,
        &["1000", "--malformed", "0.2", "--start", "2026-03-14T09:00:10Z", "--rate", "100", "--quiet"],
    );
    // When the last of these windows is committed, so are the letters of the earlier ones.
    run.wait_for(r#""start":"2026-03-14T09:00:12Z""#);
    run.kill();
    let left = store.waiting();
    assert!(left > 10, "{left} letters wait");
    cluster.replace(&topic);
    cluster
        .produce(&topic, &["2000", "--malformed", "0.2", "--seed", "9", "--start", "2026-03-15T09:00:00Z", "--quiet"]);
    let said = copying(&store, &cluster, &topic, &dead, &["--until-end"]).wait().code(1).stderr;
    assert!(said.contains("another batch than the one that was counted"), "{said}");
    assert_eq!(letters(&cluster, &dead, 1).len(), 0, "{said}");
    assert_eq!(store.waiting(), left);
}
