//! A consumer that runs while readings come.

use nix::sys::signal::Signal;

use crate::util::cluster::Cluster;
use crate::util::program::{ATTACHED, Running, command};
use crate::util::{as_reference, assert_same_lines};

#[test]
fn the_last_window_of_a_stream_that_stops_closes_without_a_newer_reading() {
    let (cluster, topic) = Cluster::start().with_topic("idle", 2);
    let mut consumer = cluster.consume(&topic, &["--idle", "1s"]);
    cluster.produce(&topic, &["500", "--start", "2026-03-14T09:26:53Z", "--rate", "1000", "--quiet"]);
    let window = consumer.wait_for(r#""type":"window""#);
    assert!(window.contains(r#""closed_by":"idle","messages":500,"#), "{window}");
    let totals = consumer.wait_for(r#""type":"totals""#);
    assert!(totals.starts_with(r#"{"type":"totals","messages":500,"counted":500,"late":0,"rejected":{},"#), "{totals}");
    let ended = consumer.interrupt();
    assert_eq!(ended.stdout.lines().last(), Some(totals.as_str()), "totals are its last words");
}

#[test]
fn windows_close_by_watermark_while_readings_come_and_equal_those_of_a_later_run() {
    let (cluster, topic) = Cluster::start().with_topic("watermark", 1);
    let mut consumer = cluster.consume(&topic, &["--idle", "2s"]);
    cluster.produce(&topic, &["20000", "--start", "2026-03-14T09:26:54Z", "--rate", "1000", "--seed", "7", "--quiet"]);
    consumer.wait_for(r#""closed_by":"watermark""#);
    consumer.wait_for(r#""closed_by":"idle""#);
    consumer.wait_for(r#""type":"totals","messages":20000,"#);
    consumer.signal(Signal::SIGTERM);
    let live = consumer.wait().code(130).stdout;
    let later = cluster.read_to_end(&topic, &[]);
    assert_same_lines(&as_reference(&live), &as_reference(&later), "live against later");
}

#[test]
fn from_end_reads_only_what_comes() {
    let (cluster, topic) = Cluster::start().with_topic("from-end", 2);
    cluster.produce(&topic, &["1000", "--start", "2026-03-14T09:26:54Z", "--quiet"]);
    let mut consumer = cluster.consume(&topic, &["--from", "end", "--idle", "1s", "-v", "--log-format", "json"]);
    for _partition in 0..2 {
        consumer.wait_for_event(ATTACHED);
    }
    cluster.produce(&topic, &["700", "--start", "2026-03-14T10:00:00Z", "--quiet"]);
    consumer.wait_for(r#"{"type":"totals","messages":700,"counted":700,"#);
    consumer.interrupt();
}

#[test]
fn what_came_while_the_consumer_was_stopped_is_not_late() {
    let (cluster, topic) = Cluster::start().with_topic("stopped", 1);
    let mut consumer = cluster.consume(&topic, &["--window", "1s", "--idle", "5s"]);
    let mut produce = command("isotherm-producer");
    produce.args(["--cluster", cluster.address(), "--topic", &topic, "--rate", "200", "--quiet"]);
    let producer = Running::start(&mut produce);
    consumer.wait_for(r#""type":"window""#);
    consumer.signal(Signal::SIGSTOP);
    // Longer than idle: the passage of this time is what is tested.
    std::thread::sleep(std::time::Duration::from_secs(8));
    consumer.signal(Signal::SIGCONT);
    for _window in 0..8 {
        consumer.wait_for(r#""closed_by":"watermark""#);
    }
    producer.interrupt();
    let totals = consumer.wait_for(r#""type":"totals""#);
    assert!(totals.contains(r#","late":0,"#), "{totals}");
    consumer.interrupt();
}

#[test]
fn a_topic_deleted_meanwhile_is_an_error_that_says_so() {
    let (cluster, topic) = Cluster::own().with_topic("deleted", 1);
    let mut consumer = cluster.consume(&topic, &["--idle", "1s"]);
    cluster.produce(&topic, &["100", "--quiet"]);
    consumer.wait_for(r#""type":"totals""#);
    cluster.delete(&topic);
    let ended = consumer.wait().code(1);
    assert!(ended.stderr.contains(&format!("topic `{topic}` was deleted")), "{}", ended.stderr);
}

#[test]
fn late_readings_are_counted_as_late_and_into_no_window() {
    let (cluster, topic) = Cluster::start().with_topic("late", 1);
    let mut consumer = cluster.consume(&topic, &["--idle", "1s"]);
    cluster.produce(&topic, &["1000", "--start", "2026-03-14T10:00:00Z", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":1000,"#);
    cluster.produce(&topic, &["30", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    cluster.produce(&topic, &["10", "--start", "2026-03-14T11:00:00Z", "--quiet"]);
    consumer.wait_for(r#""type":"totals","messages":1040,"counted":1010,"late":30,"#);
    let ended = consumer.interrupt();
    assert!(!ended.stdout.contains("T09:00"), "{}", ended.stdout);
}
