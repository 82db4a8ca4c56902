//! Modules that are not the ones that this consumer belongs to.

use std::fs;
use std::path::Path;

use crate::util::cluster::{Cluster, unique};
use crate::util::program::{self, Ended, consumer};
use crate::util::{golden, text, write};

/// A topology whose combiner is called `module`; the file's path.
fn topology(folder: &Path, module: &str) -> String {
    write(folder, "fluvio.yaml", format!("transforms:\n  - uses: {module}\n"))
}

/// `deploy` of this topology, the combiner from a file.
fn deploy(cluster: &Cluster, topic: &str, config: &str, file: &str, more: &[&str]) -> Ended {
    let args = ["deploy", "--cluster", cluster.address(), "--topic", topic, "--config", config, "--module", file];
    consumer(args.iter().chain(more))
}

#[test]
fn a_module_of_another_kind_under_the_name_is_named_with_the_command_that_repairs_it() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (topic, module) = (cluster.deployed("other-kind", 1), unique("other-kind"));
    let config = topology(folder.path(), &module);
    deploy(&cluster, &topic, &config, &text(&program::module("reading-gate")), &[]).code(0);
    // The gate answers with the rejected readings, unchanged.
    cluster.produce(&topic, &["--input", &golden("faults.jsonl"), "--quiet"]);
    let args = ["--cluster", cluster.address(), "--topic", &topic, "--config", &config, "--format", "jsonl"];
    for until_end in [&["--until-end"][..], &[]] {
        let ended = consumer(args.iter().chain(until_end)).code(1);
        assert_eq!(ended.stdout, "", "nothing that could be taken for a result");
        for part in [module.as_str(), topic.as_str(), "partition 0", "isotherm-consumer deploy --replace"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }

    // The command that the error names, with this topology's flags, repairs it.
    deploy(&cluster, &topic, &config, &text(&program::module("window-stats")), &["--replace"]).code(0);
    let mended = consumer(args.iter().chain(&["--until-end"])).code(0).stdout;
    assert!(mended.contains(r#"{"type":"totals","messages":1200,"counted":840,"#), "{mended}");
}

#[test]
fn deploy_replaces_a_module_only_when_it_is_told_to() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (topic, module) = (cluster.deployed("replaced", 1), unique("replaced"));
    let config = topology(folder.path(), &module);
    let ours = text(&program::module("window-stats"));
    // Other bytes that do the same: a custom section more, `\0`, four bytes long, of the name `xyz`.
    let mut bytes = fs::read(&ours).expect("the module can be read");
    let length = bytes.len();
    bytes.extend(b"\0\x04\x03xyz");
    let other = write(folder.path(), "other.wasm", bytes);

    deploy(&cluster, &topic, &config, &other, &[]).code(0);
    let refused = deploy(&cluster, &topic, &config, &ours, &[]).code(1).stderr;
    let (found, ours_length) = (format!("{} bytes", length + 6), format!("has {length}"));
    for part in [module.as_str(), "other consumers", "deploy --replace", &found, &ours_length] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    let same = deploy(&cluster, &topic, &config, &other, &[]).code(0).stdout;
    assert!(same.contains(&format!("module `{module}`: there, the same as")), "it was left alone: {same}");
    let replaced = deploy(&cluster, &topic, &config, &ours, &["--replace"]).code(0).stdout;
    assert!(replaced.contains(&format!("module `{module}`: replaced, {length} bytes")), "{replaced}");
}
