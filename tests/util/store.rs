//! A store of a test's own: runs with it, and queries of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::program::{Ended, Running, command, consumer};
use super::{json, lines, text, wait_until};

/// A folder with room for a store.
pub(crate) struct Store(TempDir);

impl Store {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Where other files of the test can lie.
    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self) -> String {
        text(&self.0.path().join("a.db"))
    }

    /// A run with it, and with results in this format.
    pub(crate) fn consume(&self, cluster: &Cluster, topic: &str, format: &str, args: &[&str]) -> Command {
        let mut consume = command("isotherm-consumer");
        consume.args(["--cluster", cluster.address(), "--topic", topic, "--format", format, "--store", &self.path()]);
        consume.args(args);
        consume
    }

    /// A run with it in JSON lines, started.
    #[track_caller]
    pub(crate) fn start(&self, cluster: &Cluster, topic: &str, args: &[&str]) -> Running {
        Running::start(&mut self.consume(cluster, topic, "jsonl", args))
    }

    /// Such a run to the end that the topic has now.
    #[track_caller]
    pub(crate) fn to_end(&self, cluster: &Cluster, topic: &str, args: &[&str]) -> Ended {
        self.start(cluster, topic, &[&["--until-end"], args].concat()).wait()
    }

    /// Such a run that goes on over data that retention deleted: again, if more is deleted while it reads.
    #[track_caller]
    pub(crate) fn to_end_over_losses(&self, cluster: &Cluster, topic: &str, args: &[&str]) -> Ended {
        wait_until("a run reads to the end over what is missing", || {
            let ended = self.to_end(cluster, topic, &[&["--accept-data-loss"], args].concat());
            if ended.status.code() == Some(1) { Err(ended.stderr) } else { Ok(ended.code(0)) }
        })
    }

    /// A subcommand that looks into it.
    #[track_caller]
    pub(crate) fn ask(&self, words: &[&str]) -> Ended {
        consumer(words.iter().copied().chain(["--store", &self.path()]))
    }

    /// The JSON that a subcommand prints.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        json(&self.ask(&[words, &["--format", "json"]].concat()).code(0).stdout)
    }

    #[track_caller]
    pub(crate) fn ledger(&self) -> Value {
        self.json(&["ledger"])
    }

    /// How many dead letters wait in it.
    #[track_caller]
    pub(crate) fn waiting(&self) -> u64 {
        super::number(&self.ledger()["dead_letters"]["waiting"]["records"])
    }

    #[track_caller]
    pub(crate) fn why(&self) -> Value {
        self.json(&["why"])
    }

    /// Its closed windows, as result lines.
    #[track_caller]
    pub(crate) fn windows(&self) -> String {
        self.ask(&["query", "windows", "--format", "jsonl"]).code(0).stdout
    }

    #[track_caller]
    pub(crate) fn totals(&self) -> String {
        self.ask(&["query", "totals", "--format", "jsonl"]).code(0).stdout
    }

    /// What `verify` reports, ending with this code.
    #[track_caller]
    pub(crate) fn verify(&self, cluster: &Cluster, code: i32) -> Value {
        json(&self.ask(&["verify", "--cluster", cluster.address(), "--format", "json"]).code(code).stdout)
    }

    /// Waits until its totals are of this many messages.
    #[track_caller]
    pub(crate) fn wait_for_messages(&self, messages: u64) {
        wait_until(&format!("{messages} messages are in the store"), || {
            // The store may not exist yet.
            let said = self.ask(&["query", "totals", "--format", "jsonl"]);
            let wanted = format!(r#"{{"type":"totals","messages":{messages},"#);
            if said.stdout.starts_with(&wanted) { Ok(()) } else { Err(said.stdout + &said.stderr) }
        });
    }

    /// Waits until it holds a window.
    #[track_caller]
    pub(crate) fn wait_for_window(&self) {
        wait_until("a window is in the store", || {
            let said = self.ask(&["query", "windows", "--format", "jsonl"]);
            if lines(&said.stdout, "window").is_empty() { Err(said.stderr) } else { Ok(()) }
        });
    }
}
