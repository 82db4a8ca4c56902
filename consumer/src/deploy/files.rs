//! Where the modules' files are.

use std::io;
use std::path::{Path, PathBuf};

use crate::limited;

/// How a WASM file begins.
const MAGIC: &[u8; 4] = b"\0asm";

/// How large it can be: far beyond ours.
const MOST_BYTES: u64 = 64 << 20;

/// A module's file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
}

/// Why there is no module to upload.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(
        "the module {name} was not found; looked for {}.\n`cargo xtask wasm` builds it; --modules DIR says where it is.",
        list(.looked)
    )]
    Missing { name: String, looked: Vec<PathBuf> },
    #[error("cannot read the module {}: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: io::Error },
    #[error("{} is no WASM module: it does not begin as one; `cargo xtask wasm` builds them", .path.display())]
    NoWasm { path: PathBuf },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Finds and reads a module: `file` if it is named, else `name` in `folder` if that is, else in the usual places.
pub(super) fn find(name: &str, file: Option<&Path>, folder: Option<&Path>) -> Result<ModuleFile, FileError> {
    let places = match (file, folder) {
        (Some(file), _) => return read(file.to_owned()),
        (None, Some(folder)) => vec![folder.join(name)],
        (None, None) => usual(name),
    };
    match places.iter().find(|place| place.is_file()) {
        Some(path) => read(path.clone()),
        None => Err(FileError::Missing { name: name.to_owned(), looked: places }),
    }
}

/// Beside the program, in `modules` beside it and one folder above it, and where the project builds them.
fn usual(name: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.push(folder.join(name));
        places.push(folder.join("modules").join(name));
        places.extend(folder.parent().map(|above| above.join("modules").join(name)));
    }
    places.push(Path::new("target").join("modules").join(name));
    places
}

fn read(path: PathBuf) -> Result<ModuleFile, FileError> {
    match limited::read(&path, MOST_BYTES) {
        Ok(bytes) if bytes.starts_with(MAGIC) => Ok(ModuleFile { path, bytes }),
        Ok(_) => Err(FileError::NoWasm { path }),
        Err(reason) => Err(FileError::Unreadable { path, reason }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_or_a_file_can_be_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.wasm");
        fs::write(&path, b"\0asm\x01\0\0\0").expect("a file");
        let by_folder = find("a.wasm", None, Some(folder.path())).expect("found");
        let by_file = find("whatever", Some(&path), None).expect("found");
        assert_eq!(by_folder, by_file);
        assert_eq!(by_file.bytes.len(), 8);
    }

    #[test]
    fn what_is_missing_says_where_it_was_looked_for_and_how_to_build_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = find("b.wasm", None, Some(folder.path())).expect_err("there is none").to_string();
        assert!(error.contains("cargo xtask wasm") && error.contains(&folder.path().display().to_string()), "{error}");
        let error = find("b.wasm", None, None).expect_err("there is none").to_string();
        assert!(error.contains("target/modules/b.wasm"), "{error}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.wasm");
        fs::write(&path, b"#!/bin/sh").expect("a file");
        assert!(matches!(find("a.wasm", Some(&path), None), Err(FileError::NoWasm { .. })));
        let missing = folder.path().join("none.wasm");
        assert!(matches!(find("a.wasm", Some(&missing), None), Err(FileError::Unreadable { .. })));
    }
}
