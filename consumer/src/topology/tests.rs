//! What a file or a flag may say, what is said of a wrong one, and that Fluvio's own parsers read the shipped file.

use fluvio_controlplane_metadata::topic::config::TopicConfig;
use isotherm_model::schema::{Groups, Pointer};

use super::*;

/// The file in the repository's root.
const SHIPPED: &str = include_str!("../../../fluvio.yaml");

fn read(text: &str) -> Result<Topology, TopologyError> {
    Topology::from_yaml(text, "f.yaml")
}

/// Everything that is said of a wrong file, a line each.
fn said(text: &str) -> String {
    read(text).expect_err("a wrong file").to_string()
}

/// The one thing that is wrong: its place, and parts of what is said.
#[track_caller]
fn wrong(text: &str, place: &str, parts: &[&str]) {
    let said = said(text);
    assert!(said.starts_with(&format!("f.yaml:{place}: ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in parts {
        assert!(said.contains(part), "nothing of `{part}` in: {said}");
    }
}

#[test]
fn the_shipped_file_is_the_default_topology() {
    let topology = read(SHIPPED).expect("the shipped file");
    let mut default = Topology::default();
    assert_eq!((topology.topic.as_str(), topology.partitions), ("sensors", 1));
    default.topic_config = topology.topic_config.clone();
    assert_eq!(topology, default);
}

#[test]
fn fluvio_reads_the_shipped_file_for_a_topic() {
    let config: TopicConfig = SHIPPED.parse().expect("what `fluvio topic create -c` reads");
    assert_eq!((config.meta.name.as_str(), config.partition.count), ("sensors", Some(1)));
}

#[test]
fn every_setting_is_taken() {
    let text = "
version: 0.2.0
meta: {name: pumps}
partition: {count: 4, replication: 2, max-size: 1 GB, ignore-rack-assignment: true}
retention: {time: 7d, segment-size: 10 MB}
compression: {type: Gzip}
transforms:
  - uses: my/stats@0.1.0
    with: {sensor: /a, group: /b~1c, time: /d, value: /e/f, groups: [\"10\", N/A], min: '-5.5', max: '5', window: 1m, max-ahead: 2h}
reading: {sensor: /a, group: /b~1c, time: /d, value: /e/f, groups: [10, N/A], range: {min: -5.5, max: 5}}
windows: {size: 60s, grace: 0s, idle: 500ms, max-ahead: 120m}
store: memory
combine: consumer
";
    let topology = read(text).expect("a sound file");
    let schema = &topology.settings.schema;
    assert_eq!(
        (topology.topic.as_str(), topology.partitions, topology.module.as_str()),
        ("pumps", 4, "my/stats@0.1.0")
    );
    assert_eq!(topology.topic_config.partition.replication, Some(2));
    assert_eq!(topology.combine, Combine::Consumer);
    assert_eq!(topology.topic_config.retention.time, Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(schema.group, Pointer::parse("/b~1c").expect("a pointer"));
    assert_eq!(schema.groups, Groups::List(["10", "N/A"].map(str::to_owned).into()), "a list is taken literally");
    assert_eq!((schema.range.min.micros(), schema.range.max.micros()), (-5_500_000, 5_000_000));
    assert_eq!(topology.settings.window.millis(), 60_000);
    assert_eq!((topology.grace, topology.idle), (Duration::ZERO, Duration::from_millis(500)));
    assert_eq!(topology.settings.max_ahead, Duration::from_secs(7_200));
    assert_eq!(
        Settings::from_params(topology.module_params().iter().map(|(n, v)| (n.as_str(), v.as_str()))).ok(),
        Some(topology.settings)
    );
}

/// The file within the documents, and what the documents say that wrong ones get.
#[test]
fn the_documents_say_what_is_true() {
    let document = include_str!("../../../docs/fluvio-yaml.md");
    let example = document.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let topology = read(example.expect("an example")).expect("a sound file");
    assert_eq!((topology.topic.as_str(), topology.settings.window.millis()), ("pumps", 10_000));
    let wrong = "\n".repeat(11) + "windows:\n  sise: 3s\nreading:\n group: state";
    for line in said(&wrong).lines().map(|line| line.split_once(": ").expect("a place").1.to_owned()) {
        assert!(document.contains(&line), "the document lacks: {line}");
    }
}

#[test]
fn what_is_left_out_is_as_in_the_default() {
    let topology = read("windows: {grace: 2s}").expect("a sound file");
    assert_eq!(topology, Topology { grace: Duration::from_secs(2), ..Topology::default() });
    assert_eq!(read("meta: {name: sensors}").expect("a sound file"), Topology::default());
}

#[test]
fn unknown_settings_are_named_with_what_could_stand_there() {
    wrong("meta: {name: a}\nwindow:\n  size: 3s", "2:1", &["`window`", "windows"]);
    wrong("windows:\n  grace: 1s\n  lenght: 3s", "3:3", &["`windows.lenght`", "size, grace, idle, max-ahead"]);
    wrong("reading:\n  range: {least: 3}", "2:11", &["`reading.range.least`", "min, max"]);
    wrong("meta: {name: a}\npartition:\n  counts: 3", "3:3", &["`partition.counts`", "count"]);
    wrong("transforms:\n  - uses: window-stats\n    wiht: {}", "3:5", &["`transforms.wiht`", "uses, lookback, with"]);
    wrong("transforms:\n  - uses: window-stats\n    with: {windows: 3s}", "3:12", &["`windows`", "window"]);
}

#[test]
fn empty_settings_are_named() {
    for (text, place) in [
        ("windows:", "1:1"),
        ("windows: {}", "1:10"),
        ("windows:\n  size:\n  grace: 1s", "2:3"),
        ("windows:\n  size: ''", "2:9"),
        ("store: \"\"", "1:8"),
        ("reading:\n  groups: ['  ']", "2:12"),
        ("meta: {name: a}\npartition:\n  count:\n  replication: 1", "3:3"),
        ("transforms: []", "1:13"),
        ("transforms:\n  - uses: window-stats\n    with: {window: ''}", "3:20"),
    ] {
        wrong(text, place, &["is empty"]);
    }
    wrong("", "1:1", &["the file is empty"]);
    wrong("# nothing\n", "1:1", &["the file is empty"]);
    wrong("reading:\n  groups: []", "2:11", &["list of groups is empty", "`any`"]);
}

#[test]
fn repeated_settings_are_named_with_the_first_place() {
    wrong("windows:\n  size: 3s\n  grace: 1s\n  size: 4s", "4:3", &["`size` stands twice", "line 2"]);
    wrong("store: memory\nstore: memory", "2:1", &["`store` stands twice", "line 1"]);
    wrong("reading:\n  groups: [a, b, a]", "2:11", &["`a` is in the list twice"]);
}

#[test]
fn wrong_types_are_named() {
    wrong("windows: 3s", "1:10", &["must be a section", "a text"]);
    wrong("windows:\n  size: [3s]", "2:9", &["`windows.size` must be one value", "a list"]);
    wrong("windows:\n  size: 3", "2:9", &["`windows.size`", "3s"]);
    wrong("reading:\n  sensor: {a: b}", "2:11", &["must be one value", "a section"]);
    wrong("reading:\n  range: {min: low}", "2:16", &["`low` is not a bound"]);
    wrong("- a", "1:1", &["the file must be a section", "a list"]);
    wrong("transforms: {uses: window-stats}", "1:13", &["must be a list", "- uses: window-stats"]);
    let said = said("meta: {name: a}\npartition:\n  count: many");
    assert!(said.starts_with("f.yaml: Fluvio cannot read") && said.contains("line 3 column 10"), "{said}");
}

#[test]
fn values_that_cannot_be_are_named() {
    wrong("windows:\n  size: 400days", "2:9", &["`windows.size`", "366days"]);
    wrong("windows:\n  grace: 1us", "2:10", &["`windows.grace`", "whole milliseconds"]);
    wrong("windows:\n  idle: 0s", "2:9", &["`windows.idle`", "1ms"]);
    wrong("windows:\n  max-ahead: 40000days", "2:14", &["`windows.max-ahead`", "36525days"]);
    wrong("reading:\n  sensor: guid", "2:11", &["`reading.sensor`", "begin with `/`"]);
    wrong("reading:\n  group: /a/max", "2:10", &["`/a/max`", "results use"]);
    wrong("reading:\n  time: /guid/x", "2:9", &["`/guid`", "`/guid/x`"]);
    wrong("reading:\n  groups: states", "2:11", &["`states`", "us-states", "any"]);
    wrong("reading:\n  range:\n    max: 1\n    min: 2", "4:10", &["swap"]);
    wrong("store: sqlite", "1:8", &["`sqlite`", "default", "memory", "./sqlite.db"]);
    let both = said("meta: {name: My Topic}");
    assert!(both.contains("f.yaml:1:14: `meta.name`: a topic cannot be called `My Topic`"), "{both}");
    wrong("meta: {name: a}\npartition: {count: 0}", "2:20", &["0 partitions"]);
    wrong("partition: {count: 2}", "1:1", &["no `meta`", "add `meta"]);
}

#[test]
fn what_with_says_must_be_what_our_sections_say() {
    let transform = "transforms:\n  - uses: window-stats\n    with: ";
    wrong(
        &format!("{transform}{{window: 5s}}"),
        "3:20",
        &["`window` is `5s`", "`windows.size` is `3s`", "`window: 3s`"],
    );
    wrong(
        &format!("{transform}{{output: json}}\nreading: {{group: /b}}"),
        "3:5",
        &["leaves out `group`", "add `group: /b`"],
    );
    wrong(
        "transforms:\n  - uses: window-stats\nwindows: {size: 5s}",
        "2:5",
        &["leaves out `window`", "add `window: 5s`"],
    );
    let range = "\nreading: {range: {max: 150}}";
    wrong(&format!("{transform}{{output: json}}{range}"), "3:5", &["add `max: \"150\"`"]);
    wrong(&format!("{transform}{{max: 150}}{range}"), "3:17", &["in quotes", "\"150\""]);
    wrong(&format!("{transform}{{output: xml}}"), "3:20", &["`xml`", "json"]);
    wrong(&format!("{transform}{{group: b}}"), "3:19", &["begin with `/`"]);
    assert!(
        read(&format!("{transform}{{max: \"150.0\", window: 3000ms}}{range}")).is_ok(),
        "equal, if not to the letter"
    );
}

#[test]
fn other_transforms_are_refused() {
    wrong("transforms:\n  - uses: a\n  - uses: b", "3:5", &["only transform"]);
    wrong("transforms:\n  - uses: a\n    lookback: {last: 1}", "3:5", &["`lookback`", "remove it"]);
    wrong("transforms:\n  - with: {window: 3s}", "2:5", &["`uses: window-stats`"]);
}

#[test]
fn what_is_no_plain_yaml_is_refused_with_its_place() {
    wrong("meta: {name: a", "2:1", &["no YAML"]);
    wrong("windows: &w {size: 3s}", "1:10", &["anchors"]);
    wrong("windows: {size: !!str 3s}", "1:17", &["tags"]);
    wrong("meta: {name: a}\n---\nmeta: {name: b}", "2:1", &["second document"]);
    wrong("meta: {? [a] : b}", "1:10", &["a name must be a text"]);
    assert!(said(&"[".repeat(40)).contains("nested deeper"));
    assert!(said(&"[".repeat(100_000)).starts_with("f.yaml:1:"));
    assert!(said(&"- ".repeat(100_000)).starts_with("f.yaml:1:"));
}

#[test]
fn line_ends_of_other_systems_are_fine_a_byte_order_mark_is_not() {
    let text = "meta:\r\n  name: a\r\nwindows:\r\n  size: 5s\r\n";
    let topology = read(text).expect("a sound file");
    assert_eq!((topology.topic.as_str(), topology.settings.window.millis()), ("a", 5_000));
    wrong("\u{feff}windows: {size: 5s}", "1:1", &["byte order mark", "save it without"]);
    wrong("windows:\r\n  size: 5s\r\n  x: 1\r\n", "3:3", &["`windows.x`"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once_in_the_files_order() {
    let said = said("windows:\n  size: 0s\n  sise: 3s\nreading:\n  sensor: x\nfoo: bar\n");
    let places: Vec<_> = said.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(places, ["f.yaml:2:9", "f.yaml:3:3", "f.yaml:5:11", "f.yaml:6:1"], "{said}");
}

#[test]
fn flags_override_the_file_and_are_checked_alike() {
    let overrides = Overrides {
        topic: Some("other".to_owned()),
        partitions: Some(5),
        window: Some(Duration::from_secs(10)),
        grace: Some(Duration::ZERO),
        idle: Some(Duration::from_secs(1)),
        max_ahead: Some(Duration::from_secs(5)),
        store: Some(StoreKind::File("my.db".into())),
        combine: Some(Combine::Consumer),
    };
    let topology = read(SHIPPED).expect("the shipped file").with(&overrides).expect("sound flags");
    assert_eq!((topology.topic.as_str(), topology.partitions), ("other", 5));
    assert_eq!((topology.topic_config.meta.name.as_str(), topology.topic_config.partition.count), ("other", Some(5)));
    assert_eq!(topology.module_params()["window"], "10s");
    assert_eq!(topology.module_params()["max-ahead"], "5s");
    assert_eq!((topology.grace, topology.idle), (Duration::ZERO, Duration::from_secs(1)));
    assert_eq!((topology.store, topology.combine), (StoreKind::File("my.db".into()), Combine::Consumer));
    let overrides = Overrides {
        topic: Some("No Topic".to_owned()),
        partitions: Some(0),
        window: Some(Duration::ZERO),
        grace: Some(Duration::from_nanos(1)),
        idle: Some(Duration::ZERO),
        max_ahead: Some(Duration::MAX),
        store: None,
        combine: None,
    };
    let error = Topology::default().with(&overrides).expect_err("wrong flags");
    let flags: Vec<_> = error.problems.iter().map(|problem| problem.origin.to_string()).collect();
    assert_eq!(flags, ["--topic", "--partitions", "--window", "--max-ahead", "--grace", "--idle"]);
}

#[test]
fn text_and_flow_chart() {
    let mut topology = Topology::default();
    topology.settings.schema.group = Pointer::parse("/a\"<b>").expect("a pointer");
    topology.partitions = 2;
    let text = render::text(&topology);
    for part in [
        "topic `sensors`, 2 partitions",
        "group at /a\"<b>",
        "window-stats",
        "3s each",
        "close 1s after",
        "idle for 10s",
        "a file in the user's data folder",
    ] {
        assert!(text.contains(part), "nothing of `{part}` in\n{text}");
    }
    let chart = "flowchart LR
    source[(\"topic sensors<br/>2 partitions\")] -- batches --> module[\"window-stats<br/>by /a#34;#60;b#62; of /payload/data/temperature<br/>sensor /guid, time /eventTime\"]
    module -- partials --> windows[\"windows of 3s<br/>grace 1s, idle 10s\"]
    windows -- commits --> store[(\"store: a file in the user's data folder\")]
    store -- closed windows, totals --> sinks[\"standard output\"]
";
    assert_eq!(render::mermaid(&topology), chart);
}

#[test]
fn a_file_of_many_settings_is_read_in_one_pass() {
    let names: String = (0..100_000).map(|number| format!("name-{number}: 1\n")).collect();
    let twice = said(&format!("{names}name-7: 2\n"));
    assert!(
        twice.contains("f.yaml:100001:1: `name-7` stands twice in its section, first in line 8"),
        "{}",
        twice.len()
    );
    let with: String = (0..100_000).map(|number| format!("      name-{number}: x\n")).collect();
    let unknown = said(&format!("transforms:\n  - uses: window-stats\n    with:\n{with}"));
    assert!(unknown.contains("is unknown; the parameters are"), "{}", unknown.len());
}

#[test]
fn names_that_fluvio_refuses_are_refused() {
    let long = "a".repeat(64);
    for name in ["", "A", "a_b", "-a", "a.", "a\u{1b}[2J", "a\u{200b}", &long] {
        let flags = Overrides { topic: Some(name.to_owned()), ..Overrides::default() };
        let said = Topology::default().with(&flags).expect_err(name).to_string();
        assert!(said.starts_with("--topic: a topic cannot be called `") && said.contains("63 lowercase"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{200b}']), "{said:?}");
    }
}
