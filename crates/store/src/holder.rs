//! Who holds a store's lock, as far as the lock's file says.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use isotherm_model::time::{self, Millis};

use super::files::{beside, now_text};

/// Who holds a lock, as far as its text says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder(Option<String>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("by whom is not known"))
    }
}

impl Holder {
    /// Since when, as far as the text says.
    pub fn since(&self) -> Option<Millis> {
        let (_, since) = self.0.as_deref()?.rsplit_once(" since ")?;
        time::parse(since.as_bytes())
    }

    /// This process.
    pub(super) fn this() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
        let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty()).unwrap_or("this host");
        let now = now_text();
        Self(Some(format!("by process {} on {host} since {now}", std::process::id())))
    }

    /// Who holds the lock of the store at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let text = lock_text(path);
        let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
        Self(line.map(|line| line.chars().filter(|c| !c.is_control()).collect()))
    }
}

/// The text of a lock's file; empty if it cannot be read.
pub(super) fn lock_text(path: &Path) -> String {
    const MOST: u64 = 400;
    let mut text = String::new();
    let read = File::open(beside(path, ".lock")).and_then(|file| file.take(MOST).read_to_string(&mut text));
    if read.is_ok() { text } else { String::new() }
}
