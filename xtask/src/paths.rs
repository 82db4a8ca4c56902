//! The paths of the workspace and of its outputs.

use std::path::{Path, PathBuf};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's output folder: `CARGO_TARGET_DIR` where it is set, as cargo itself does.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The folder of the built SmartModules.
pub(crate) fn modules() -> PathBuf {
    target().join("modules")
}

/// A release binary.
pub(crate) fn binary(name: &str) -> PathBuf {
    target().join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
