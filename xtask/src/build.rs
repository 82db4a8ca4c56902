//! `cargo xtask build`: the modules and the binaries.

use clap::Args;

use crate::Error;
use crate::{cargo, paths, process, wasm};

/// The binaries that users run, by the names of their packages.
const BINARIES: [&str; 3] = ["isotherm-producer", "isotherm-consumer", "isotherm-node"];

/// Build the modules and the binaries for release, and print their paths.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask build")]
pub(crate) struct Build {}

impl Build {
    pub(crate) fn run(self) -> Result<(), Error> {
        wasm::Wasm {}.run()?;
        binaries(&[])?;
        for name in BINARIES {
            println!("{}", paths::binary(name).display());
        }
        Ok(())
    }
}

/// Builds the modules, then the binaries.
pub(crate) fn all() -> Result<(), Error> {
    wasm::build()?;
    binaries(&[])
}

/// Builds the binaries, and those of `more` packages.
///
/// Cargo picks the same features for every dependency here as in `cargo xtask test`, and so compiles each of them once;
/// `crates/node/Cargo.toml` says how.
pub(crate) fn binaries(more: &[&str]) -> Result<(), Error> {
    let mut command = cargo::cargo();
    command.args(["build", "--release", "--bins"]);
    for name in BINARIES.iter().chain(more) {
        command.args(["--package", name]);
    }
    process::run(&mut command)
}
