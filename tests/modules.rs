//! Modules that are not the ones that this consumer belongs to.

use std::fs;
use std::path::Path;

use crate::util::cluster::Cluster;
use crate::util::golden;
use crate::util::program::{Ended, modules, run};

/// A topology whose combiner is called `module`; the file's path.
fn topology(folder: &Path, module: &str) -> String {
    let file = folder.join("fluvio.yaml");
    fs::write(&file, format!("transforms:\n  - uses: {module}\n")).expect("the file can be written");
    file.to_str().expect("the path is UTF-8").to_owned()
}

/// `deploy` of this topology, the combiner from a file.
fn deploy(cluster: &Cluster, topic: &str, config: &str, file: &Path, more: &[&str]) -> Ended {
    let file = file.to_str().expect("the path is UTF-8");
    let args = ["deploy", "--cluster", cluster.address(), "--topic", topic, "--config", config, "--module", file];
    run("isotherm-consumer", args.iter().chain(more))
}

#[test]
fn a_module_of_another_kind_under_the_name_is_named_with_the_command_that_mends_it() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (topic, module) = (cluster.deployed("other-kind", 1), cluster.module_name("other-kind"));
    let config = topology(folder.path(), &module);
    deploy(&cluster, &topic, &config, &modules().join("reading-gate.wasm"), &[]).code(0);
    // The gate answers with the rejected readings, as they stand.
    let readings = golden("faults.jsonl");
    cluster.produce(&topic, &["--input", readings.to_str().expect("the path is UTF-8"), "--quiet"]);
    let args = ["--cluster", cluster.address(), "--topic", &topic, "--config", &config, "--format", "jsonl"];
    for until_end in [&["--until-end"][..], &[]] {
        let ended = run("isotherm-consumer", args.iter().chain(until_end)).code(1);
        assert_eq!(ended.stdout, "", "nothing that could be taken for a result");
        for part in [module.as_str(), topic.as_str(), "partition 0", "isotherm-consumer deploy --replace"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
    }

    // The command that it named, with this topology's flags, mends it.
    deploy(&cluster, &topic, &config, &modules().join("window-stats.wasm"), &["--replace"]).code(0);
    let mended = run("isotherm-consumer", args.iter().chain(&["--until-end"])).code(0).stdout;
    assert!(mended.contains(r#"{"type":"totals","messages":1200,"counted":840,"#), "{mended}");
}

#[test]
fn deploy_replaces_a_module_only_when_it_is_told_to() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let (topic, module) = (cluster.deployed("replaced", 1), cluster.module_name("replaced"));
    let config = topology(folder.path(), &module);
    let ours = modules().join("window-stats.wasm");
    // Other bytes that do the same: a custom section more, `\0`, four bytes long, of the name `xyz`.
    let mut bytes = fs::read(&ours).expect("the module can be read");
    let length = bytes.len();
    bytes.extend(b"\0\x04\x03xyz");
    let other = folder.path().join("other.wasm");
    fs::write(&other, bytes).expect("the file can be written");

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
