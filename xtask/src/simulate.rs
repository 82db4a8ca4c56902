//! `cargo xtask simulate`: any number of seeds of the simulation.

use clap::Args;

use crate::Error;
use crate::{cargo, process};

/// How many seeds run by default. (`cargo xtask test` runs fewer.)
const SEEDS: u64 = 10_000;

/// Simulate whole histories of runs, one a seed: everything that can go wrong between a log and a store.
///
/// A seed that fails is printed with its schedule; --seed replays it alone, and prints its schedule.
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask simulate --seeds 1000000\n  cargo xtask simulate --seed 4711")]
pub(crate) struct Simulate {
    /// How many seeds [default: 10000, with --seed 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first of them [default: 0]
    #[arg(long, value_name = "K")]
    seed: Option<u64>,
}

impl Simulate {
    pub(crate) fn run(self) -> Result<(), Error> {
        let mut test = cargo::cargo();
        test.args(["test", "--release", "-p", "isotherm-simulation", "--lib", "seeds", "--", "--exact", "--nocapture"]);
        let seeds = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { SEEDS });
        for (name, value) in [("ISOTHERM_SEEDS", Some(seeds)), ("ISOTHERM_SEED", self.seed)] {
            match value {
                Some(value) => test.env(name, value.to_string()),
                None => test.env_remove(name),
            };
        }
        process::run(&mut test)
    }
}
