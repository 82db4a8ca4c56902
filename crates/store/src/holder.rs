//! Who holds a store's lock, as far as the lock's file says.

use isotherm_model::time::{self, Millis};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder(Option<String>);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("by whom is not known"))
    }
}

impl Holder {
    /// This process, since now.
    pub(super) fn this_process(now: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
        let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty()).unwrap_or("this host");
        Self(Some(format!("by process {} on {host} since {now}", std::process::id())))
    }

    /// What the first line of a lock's file says.
    pub(super) fn parse(text: &str) -> Self {
        let line = text.lines().next().map(str::trim).filter(|line| !line.is_empty());
        Self(line.map(|line| line.chars().filter(|c| !c.is_control()).collect()))
    }

    /// Since when, as far as the text says.
    pub fn since(&self) -> Option<Millis> {
        let (_, since) = self.0.as_deref()?.rsplit_once(" since ")?;
        time::parse(since.as_bytes())
    }
}
