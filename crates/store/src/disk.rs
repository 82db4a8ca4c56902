//! What a disk refuses. SQLite often says no more than that it failed, or that it cannot open a file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// What a file is called that is made beside a store for a short time: a name that nobody else gives to a file, and 16 digits.
pub(super) const MAKING: &str = ".isotherm-new-";

/// What SQLite needs at once to look into a write-ahead log, and as much again.
const ROOM: usize = 64 << 10;

/// Whether the error says that there is no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Why a file cannot be written beside this one now; `None` if it can.
pub(super) fn refusal(path: &Path) -> Option<io::Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("{MAKING}{:016x}", std::process::id()));
    let write = |mut file: fs::File| file.write_all(&[0xa5; ROOM]).and_then(|()| file.sync_data());
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&name).map(write);
    match written {
        Ok(written) => {
            // Best effort: the next start removes it.
            let _ = fs::remove_file(&name);
            written.err()
        }
        Err(error) => Some(error),
    }
}
