//! `cargo xtask test`: everything that must hold.

use std::ffi::OsString;

use clap::Args;

use crate::Error;
use crate::{build, cargo, groups, paths, process};

/// Format, lint, and run the unit, property, doc and integration tests.
///
/// With ISOTHERM_TEST_CLUSTER=HOST:PORT the integration tests run against the Fluvio cluster at that address instead of
/// against nodes of their own. Their topics and modules stay there: their names begin with `test-`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask test\n  cargo xtask test reconnect\n  ISOTHERM_TEST_CLUSTER=127.0.0.1:9103 cargo xtask test"
)]
pub(crate) struct Test {
    /// Run the tests whose names contain this; format and lint are skipped
    filter: Option<String>,
    /// Passed to the test binaries unchanged
    #[arg(last = true)]
    args: Vec<OsString>,
}

impl Test {
    pub(crate) fn run(self) -> Result<(), Error> {
        let skipped = groups::prepare(self.filter.as_deref())?;
        if self.filter.is_none() {
            process::run(cargo::cargo().args(["fmt", "--all", "--check"]))
                .map_err(|error| format!("{error}; mend it with: cargo fmt --all"))?;
            process::run(cargo::cargo().args([
                "clippy",
                "--release",
                "--workspace",
                "--all-targets",
                "--",
                "--deny",
                "warnings",
            ]))?;
        }
        build::all()?;
        let tested = process::run(
            cargo::cargo()
                .args(["test", "--release", "--workspace"])
                .args(self.filter)
                .arg("--")
                .args(self.args)
                .args(&skipped.args)
                .env(groups::KAFKA, groups::kafka_jars())
                .env("ISOTHERM_MODULES", paths::modules())
                .env("ISOTHERM_BIN", paths::target().join("release")),
        );
        // A controller may leave a partition offline that is created right after another topic was deleted.
        if let Ok(cluster) = std::env::var("ISOTHERM_TEST_CLUSTER") {
            eprintln!(
                "The tests' topics and modules stay at {cluster}: all whose names begin with `test-` can be deleted"
            );
        }
        for group in &skipped.said {
            process::say(&format!("xtask: {group}\n"));
        }
        tested
    }
}
