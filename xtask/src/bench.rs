//! `cargo xtask bench`: the table of speeds.

use std::ffi::OsString;

use clap::Args;

use crate::Error;
use crate::{build, paths, process, wasm};

/// Measure the scanner, the module and the engine in one table from one run.
///
/// Native combine, serde_json's typed parse of the same readings, the module in the stock engine, and a module that
/// answers at once without reading its input (the engine's floor).
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench -- --help")]
pub(crate) struct Bench {
    /// Passed to the benchmark unchanged (try `cargo xtask bench -- --help`)
    #[arg(last = true)]
    args: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Error> {
        wasm::build()?;
        build::binaries(&["isotherm-bench"])?;
        process::run(
            std::process::Command::new(paths::binary("isotherm-bench"))
                .env("ISOTHERM_MODULES", paths::modules())
                .args(self.args),
        )
    }
}
