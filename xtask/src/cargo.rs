//! Calls of cargo, with the toolchain that `rust-toolchain.toml` pins.

use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::paths;
use crate::process;

/// The target that the modules are compiled for.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// `cargo`, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command
}

/// Makes sure that the wasm target of the pinned toolchain is installed. rustup usually installs it by itself; otherwise
/// this asks rustup to.
pub(crate) fn ensure_wasm_target() -> Result<(), Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc)
        .current_dir(paths::root())
        .args(["--print", "target-libdir", "--target", WASM_TARGET])
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    let libraries = String::from_utf8_lossy(&printed.stdout);
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("Adding the Rust target {WASM_TARGET}, for the SmartModules");
    process::run(Command::new("rustup").current_dir(paths::root()).args(["target", "add", WASM_TARGET])).map_err(
        |error| format!("{error}; the modules need it: install it as your Rust was installed, then run this again"),
    )
}
