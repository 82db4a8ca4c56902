//! The consumer's subcommands, and every program's help.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::util::cluster::{Cluster, unique};
use crate::util::program::{Running, command, consumer, module, run};
use crate::util::store::Store;
use crate::util::{json, root, text, write};

#[test]
fn every_help_shows_examples() {
    for words in [
        &["isotherm-producer"][..],
        &["isotherm-consumer"],
        &["isotherm-consumer", "deploy"],
        &["isotherm-consumer", "topology"],
        &["isotherm-consumer", "check"],
        &["isotherm-consumer", "query"],
        &["isotherm-consumer", "query", "windows"],
        &["isotherm-consumer", "query", "latest"],
        &["isotherm-consumer", "query", "totals"],
        &["isotherm-consumer", "ledger"],
        &["isotherm-consumer", "why"],
        &["isotherm-node"],
    ] {
        let help = run(words[0], words[1..].iter().chain([&"--help"])).code(0).stdout;
        assert!(help.contains("Usage:") && help.contains("Example"), "{words:?}\n{help}");
    }
}

#[test]
fn deploying_twice_changes_nothing() {
    let (cluster, topic) = Cluster::start().with_topic("twice", 3);
    let again = consumer(["deploy", "--cluster", cluster.address(), "--topic", &topic]).code(0).stdout;
    assert!(again.contains("there, with 3 partitions") && !again.contains("created"), "{again}");
    assert_eq!(again.matches("there, the same as").count(), 2, "{again}");
}

#[test]
fn deploying_says_where_a_topic_that_is_there_differs_from_the_file() {
    let (cluster, topic) = Cluster::start().with_topic("differs", 2);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let deploy = |sections: &str| {
        let file = write(folder.path(), "my.yaml", format!("meta: {{name: {topic}}}\n{sections}"));
        consumer(["deploy", "--cluster", cluster.address(), "--config", &file]).code(0).stdout
    };
    let more = deploy("partition: {count: 5}\nretention: {time: 1h}\n");
    assert!(more.contains("there, with 2 partitions") && more.contains("my.yaml says 5 partitions"), "{more}");
    assert!(more.contains(&format!("`fluvio topic add-partition {topic} --count 3`")), "{more}");
    assert!(more.contains("`retention.time` 1h (the topic has none)"), "{more}");
    assert_eq!(more.matches("there, the same as").count(), 2, "the modules are looked at all the same: {more}");
    cluster.add_partitions(&topic, 3);
    let same = deploy("partition: {count: 5}\n");
    assert!(same.contains("there, with 5 partitions") && !same.contains("my.yaml"), "{same}");
    let fewer = deploy("partition: {count: 4}\n");
    assert!(fewer.contains("a topic never loses partitions: let the file say 5"), "{fewer}");
    let refused = consumer(["deploy", "--cluster", cluster.address(), "--topic", &topic, "--partitions", "6"]);
    let refused = refused.code(1).stderr;
    assert!(refused.contains(&format!("add-partition {topic} --count 1`")), "{refused}");
}

#[test]
fn deploying_does_all_its_work_though_nobody_listens() {
    let cluster = Cluster::own();
    let topic = unique("unheard");
    let args = ["deploy", "--cluster", cluster.address(), "--topic", &topic];
    let mut child = command("isotherm-consumer")
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Closed before the first line.
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), said.as_str()), (Some(0), ""));
    let again = consumer(args).code(0).stdout;
    assert!(again.contains(": there, with") && again.matches("there, the same as").count() == 2, "{again}");
}

#[test]
fn a_store_that_is_named_needs_no_topology() {
    let (cluster, topic) = Cluster::start().with_topic("named", 1);
    cluster.produce(&topic, &["100", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let store = Store::new();
    store.to_end(&cluster, &topic, &[]).code(0);
    write(store.folder(), "fluvio.yaml", "windows: [\n");
    let path = store.path();
    let there = |words: &[&str]| {
        let mut command = command("isotherm-consumer");
        Running::start(command.args(words).env_remove("ISOTHERM_STORE").current_dir(store.folder())).wait()
    };
    for words in [&["ledger"][..], &["query", "totals"], &["query", "latest"], &["why"]] {
        let said = there(&[words, &["--store", &path]].concat()).code(0);
        assert!(!said.stdout.is_empty() && said.stderr.is_empty(), "{words:?}: {}{}", said.stdout, said.stderr);
        // Without --store, and with --config, the topology is needed.
        for more in [&[][..], &["--store", &path, "--config", "fluvio.yaml"]] {
            let refused = there(&[words, more].concat()).code(1).stderr;
            assert!(refused.contains("fluvio.yaml:"), "{words:?} {more:?}: {refused}");
        }
        there(&[words, &["--store", &path, "--window", "0s"]].concat()).code(2);
    }
}

#[test]
fn logs_in_json_are_an_object_a_line() {
    let (cluster, topic) = Cluster::start().with_topic("json-log", 1);
    cluster.produce(&topic, &["1000", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let mut consume = command("isotherm-consumer");
    consume.args(["--cluster", cluster.address(), "--topic", &topic, "--until-end", "--format", "none"]);
    let said = Running::start(consume.args(["-v", "--log-format", "json"])).wait().code(0).stderr;
    let mut levels = BTreeSet::new();
    for line in said.lines() {
        let line = json(line);
        let message = &line["fields"]["message"];
        assert!(line.is_object() && message.as_str().is_some_and(|message| !message.is_empty()), "{line}");
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
        levels.insert(line["level"].as_str().unwrap_or_else(|| panic!("no level in {line}")).to_owned());
    }
    assert!(levels.contains("INFO") && levels.contains("DEBUG"), "{levels:?} of\n{said}");
}

#[test]
fn the_shipped_topology_is_sound_and_can_be_drawn() {
    let file = text(&root().join("fluvio.yaml"));
    consumer(["check", "--config", &file]).code(0);
    let text = consumer(["topology", "--config", &file]).code(0).stdout;
    for word in ["sensors", "window-stats", "3s"] {
        assert!(text.contains(word), "{text}");
    }
    let mermaid = consumer(["topology", "--config", &file, "--format", "mermaid"]).code(0).stdout;
    assert!(mermaid.starts_with("flowchart"), "{mermaid}");
}

#[test]
fn an_unsound_topology_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (text, line) in [
        ("meta:\n  name: sensors\nwindow:\n  size: 3s\n", ":3"),
        ("windows:\n  size: 0s\n", ":2"),
        ("reading:\n  group: /where/avg\n", ":2"),
        ("windows:\n  size: 3s\ntransforms:\n  - uses: window-stats\n    with:\n      window: 5s\n", ":6"),
    ] {
        let said = consumer(["check", "--config", &write(folder.path(), "fluvio.yaml", text)]).code(1).stderr;
        assert!(said.contains(&format!("fluvio.yaml{line}")), "{text}\n{said}");
    }
}

#[test]
fn a_module_that_answers_nothing_is_found_out_soon_and_named_with_the_command_that_repairs_it() {
    let cluster = Cluster::own();
    let topic = unique("other-module");
    let gate = text(&module("reading-gate"));
    consumer(["deploy", "--cluster", cluster.address(), "--topic", &topic, "--module", &gate]).code(0);
    cluster.produce(&topic, &["100", "--quiet"]);
    let said = consumer(["--cluster", cluster.address(), "--topic", &topic, "--until-end"]).code(1);
    assert!(said.stderr.contains("window-stats") && said.stderr.contains("deploy --replace"), "{}", said.stderr);
}

#[test]
fn a_missing_topic_is_named_with_the_command_that_repairs_it() {
    let cluster = Cluster::start();
    let topic = unique("missing");
    let said = consumer(["--cluster", cluster.address(), "--topic", &topic, "--until-end"]).code(1);
    assert!(said.stderr.contains(&topic) && said.stderr.contains("deploy"), "{}", said.stderr);
}
