//! `cargo xtask build`: the modules and the binaries.

use clap::Args;

use crate::Error;
use crate::{cargo, paths, process, wasm};

/// The binaries that users run.
const BINARIES: [&str; 3] = ["isotherm-producer", "isotherm-consumer", "isotherm-node"];

/// Build the modules and the binaries for release, and say where they lie.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask build")]
pub(crate) struct Build {}

impl Build {
    pub(crate) fn run(self) -> Result<(), Error> {
        wasm::Wasm {}.run()?;
        binaries()?;
        for name in BINARIES {
            println!("{}", paths::binary(name).display());
        }
        Ok(())
    }
}

/// Builds the binaries.
///
/// All packages of the workspace are named, as in `cargo xtask test`: cargo then picks the same features for every
/// dependency, and compiles each of them once.
pub(crate) fn binaries() -> Result<(), Error> {
    process::run(cargo::cargo().args(["build", "--release", "--workspace", "--bins"]))
}
