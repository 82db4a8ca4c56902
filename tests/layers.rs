//! Imports run one way: each crate depends on crates of lower levels only, and `model` and `engine` on no runtime, client, database,
//! clock, file or socket. ARCHITECTURE.md shows the levels.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::util::{list, root, text};

/// The crates by level. A crate may depend on crates of lower levels.
const LEVELS: [&[&str]; 6] = [
    &["isotherm-model", "isotherm-terminal"],
    &["isotherm-engine", "isotherm-files", "isotherm-kafka", "isotherm-smartmodule-abi", "isotherm-node"],
    &["isotherm-store", "isotherm-fluvio", "window-stats", "reading-gate"],
    &["isotherm-producer", "isotherm-consumer"],
    &["isotherm-simulation"],
    &["isotherm-tests", "isotherm-bench", "xtask"],
];

/// All that the pure crates may depend on, directly or not: numbers, hashes, tables and derive macros.
const PURE: [&str; 14] = [
    "foldhash",
    "hashbrown",
    "humantime",
    "isotherm-model",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "xxhash-rust",
];

/// By package, the packages that it depends on to be built (and not only to be tested).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8(rustc.stdout).expect("rustc prints text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo prints JSON");
    let names: BTreeMap<String, String> = list(&metadata, "packages")
        .iter()
        .map(|package| (package["id"].to_string(), package["name"].as_str().expect("a name").to_owned()))
        .collect();
    let built = |dependency: &Value| list(dependency, "dep_kinds").iter().any(|kind| kind["kind"] != "dev");
    let of = |node: &Value| {
        let built = list(node, "deps").iter().filter(|dependency| built(dependency));
        built.map(|dependency| names[&dependency["pkg"].to_string()].clone()).collect()
    };
    list(&metadata["resolve"], "nodes").iter().map(|node| (names[&node["id"].to_string()].clone(), of(node))).collect()
}

#[test]
fn no_crate_depends_upward() {
    let dependencies = dependencies();
    let level = |package: &str| LEVELS.iter().position(|crates| crates.contains(&package));
    for (package, of) in &dependencies {
        let Some(own) = level(package) else {
            assert!(
                !package.starts_with("isotherm"),
                "{package} has no level: enter it in LEVELS and in ARCHITECTURE.md"
            );
            continue;
        };
        for dependency in of {
            let below = level(dependency).is_none_or(|level| level < own);
            assert!(below, "{package} (level {own}) depends on {dependency}, which is not below it");
        }
    }
}

#[test]
fn model_and_engine_are_pure() {
    let dependencies = dependencies();
    for package in ["isotherm-model", "isotherm-engine"] {
        let (mut all, mut open) = (BTreeSet::new(), vec![package.to_owned()]);
        while let Some(next) = open.pop() {
            for dependency in &dependencies[&next] {
                if all.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        let impure: Vec<_> = all.iter().filter(|dependency| !PURE.contains(&dependency.as_str())).collect();
        assert!(impure.is_empty(), "{package} depends on {impure:?}: are they pure? Then enter them in PURE");
    }
}

/// Only the backend of `Log`, the module's source, `deploy`, and the sections of `fluvio.yaml` that are Fluvio's own name Fluvio's types.
#[test]
fn most_of_the_consumer_knows_no_fluvio() {
    only_these_name(
        &["log/fluvio", "sources/module", "deploy/", "topology/"],
        &["use fluvio", "fluvio_", "isotherm_fluvio"],
    );
}

/// Only the backend of `Log`, the settings in `fluvio.yaml` and the flags name what the Kafka client has.
#[test]
fn most_of_the_consumer_knows_no_kafka() {
    only_these_name(&["log/kafka", "topology/", "cli/"], &["rdkafka", "isotherm_kafka"]);
}

/// Only files of the consumer whose paths begin so name something of these crates.
fn only_these_name(may: &[&str], crates: &[&str]) {
    let source = root().join("consumer/src");
    let (mut folders, mut seen) = (vec![source.clone()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let name = entry.strip_prefix(&source).expect("it is below").to_string_lossy().into_owned();
            if may.iter().any(|may| name.starts_with(may)) {
                continue;
            }
            seen += 1;
            for line in text(&entry).lines() {
                let names = crates.iter().any(|crates| {
                    line.contains(crates)
                        && line.contains("::")
                        && !line.contains("self::")
                        && !line.trim_start().starts_with("//")
                });
                assert!(!names, "{name}: {line}");
            }
        }
    }
    assert!(seen > 50, "{seen} files looked at");
}
