//! `cargo xtask wasm`: the SmartModules.

use std::fs;

use clap::Args;

use crate::Error;
use crate::cargo::{self, WASM_TARGET};
use crate::{paths, process};

/// The modules, by the names that they are deployed under.
const MODULES: [&str; 2] = ["window-stats", "reading-gate"];

/// Build the SmartModules alone, and print their sizes.
///
/// They are compiled for wasm32-unknown-unknown and put into target/modules.
#[derive(Args)]
#[command(after_help = "Example:\n  cargo xtask wasm")]
pub(crate) struct Wasm {}

impl Wasm {
    pub(crate) fn run(self) -> Result<(), Error> {
        build()?;
        for name in MODULES {
            let path = paths::modules().join(format!("{name}.wasm"));
            let size = fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
            println!("{size:>9} bytes  {}", path.display());
        }
        Ok(())
    }
}

/// Builds the modules into [`paths::modules`].
pub(crate) fn build() -> Result<(), Error> {
    cargo::ensure_wasm_target()?;
    let mut command = cargo::cargo();
    command.args(["build", "--profile", "wasm", "--target", WASM_TARGET, "--lib"]);
    for name in MODULES {
        command.args(["--package", name]);
    }
    process::run(&mut command)?;

    let folder = paths::modules();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for name in MODULES {
        let built = paths::target().join(WASM_TARGET).join("wasm").join(format!("{}.wasm", name.replace('-', "_")));
        let place = folder.join(format!("{name}.wasm"));
        fs::copy(&built, &place)
            .map_err(|error| format!("cannot copy {} to {}: {error}", built.display(), place.display()))?;
    }
    Ok(())
}
