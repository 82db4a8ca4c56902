//! `cargo xtask crash`: kill -9 to node, producer and consumer in turn, under load.

use clap::Args;

use crate::Error;
use crate::{build, cargo, paths, process};

/// Kill node, producer and consumer in turn at random moments under load, then compare with the log.
///
/// Ends with a table of what was killed, read, stored, lost and doubled. With ISOTHERM_TEST_CLUSTER=HOST:PORT producer and
/// consumer run against the Fluvio cluster at that address, and only they are killed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cargo xtask crash --kills 1000\n  cargo xtask crash --kills 100 --seed 4711 --partitions 8"
)]
pub(crate) struct Crash {
    /// How many kills
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u64,
    /// Seed of the moments and the readings [default: another each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Partitions of the topic
    #[arg(long, value_name = "P", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=64))]
    partitions: u64,
}

impl Crash {
    pub(crate) fn run(self) -> Result<(), Error> {
        build::all()?;
        let mut test = cargo::cargo();
        test.args(["test", "--release", "--workspace", "--test", "isotherm", "crash::", "--", "--nocapture"])
            .env("ISOTHERM_MODULES", paths::modules())
            .env("ISOTHERM_BIN", paths::target().join("release"))
            .env("ISOTHERM_KILLS", self.kills.to_string())
            .env("ISOTHERM_KILL_PARTITIONS", self.partitions.to_string());
        match self.seed {
            Some(seed) => test.env("ISOTHERM_KILL_SEED", seed.to_string()),
            None => test.env_remove("ISOTHERM_KILL_SEED"),
        };
        process::run(&mut test)
    }
}
