//! What a seed draws, and what it notes: its schedule, to examine a failure, and a tally of what happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::random::Random;

/// What has happened so far, one line for each event.
#[derive(Clone, Default)]
pub(crate) struct Script(Rc<RefCell<Vec<String>>>);

impl Script {
    pub(crate) fn print(&self, seed: u64) {
        eprintln!("seed {seed}: its schedule");
        self.0.borrow().iter().for_each(|line| eprintln!("  {line}"));
    }
}

/// Everything that many seeds must have met.
const KINDS: [&str; 22] = [
    "runs",
    "commits",
    "windows",
    "crashes",
    "torn writes",
    "full disks",
    "other failed writes",
    "runs that ended",
    "refused events",
    "fenced zombies",
    "late readings",
    "runs that needed what was evicted",
    "data losses",
    "dropped windows",
    "evictions that took nothing needed",
    "dead letters",
    "dead letters found again",
    "backups put back",
    "dead letters of forgotten states",
    "dead letters sent twice",
    "lost dead letters",
    "fenced workers",
];

/// How often each of these happened.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(kind, count)| *self.0.entry(kind).or_default() += count);
    }

    /// What never happened.
    pub(crate) fn never(&self) -> Vec<&'static str> {
        KINDS.into_iter().filter(|kind| self.0.get(kind).is_none_or(|count| *count == 0)).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = KINDS.map(|kind| format!("{} {kind}", self.0.get(kind).copied().unwrap_or(0)));
        f.write_str(&counts.join(", "))
    }
}

pub(crate) struct Seed {
    pub(crate) random: Random,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
    pub(crate) tally: Tally,
    script: Script,
}

impl Seed {
    pub(crate) fn new(seed: u64, script: Script) -> Self {
        Self { random: Random::new(seed), calm: false, tally: Tally::default(), script }
    }

    pub(crate) fn note(&self, line: String) {
        self.script.0.borrow_mut().push(line);
    }

    pub(crate) fn count(&mut self, kind: &'static str, times: u64) {
        assert!(KINDS.contains(&kind), "`{kind}` is not in the tally");
        *self.tally.0.entry(kind).or_default() += times;
    }
}
