//! Commits in groups: what has closed waits for a commit, and is published after it.
//!
//! A commit costs a write to the disk, however much it holds. In catch-up hundreds of windows close each second; they are
//! committed together. Once everything has been read, each close is committed at once.

use std::time::Duration;

use crate::results::{Totals, WindowResult};

/// How long what has closed may wait while there is more to read.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long what changes without any close may wait.
const QUIET_PATIENCE: Duration = Duration::from_secs(1);
/// With so many rows a commit is due at once: they are memory.
const MOST_ROWS: usize = 1 << 16;

/// Windows that closed together, and the totals of that moment.
#[derive(Debug)]
pub struct Closed {
    /// The windows, ascending by start.
    pub windows: Vec<WindowResult>,
    /// The run at that moment.
    pub totals: Box<Totals>,
}

/// What waits for a commit.
#[derive(Debug)]
pub struct PendingCommit {
    closes: Vec<Closed>,
    rows: usize,
    since: Option<Duration>,
    committed: Duration,
}

impl PendingCommit {
    /// Nothing.
    pub fn new(now: Duration) -> Self {
        Self { closes: Vec::new(), rows: 0, since: None, committed: now }
    }

    /// Takes what has closed.
    pub fn add(&mut self, windows: Vec<WindowResult>, totals: Box<Totals>, now: Duration) {
        self.rows += windows.iter().map(|window| 1 + window.groups.len()).sum::<usize>() + totals.groups.len();
        self.since.get_or_insert(now);
        self.closes.push(Closed { windows, totals });
    }

    /// Whether anything has closed.
    pub fn has_closes(&self) -> bool {
        !self.closes.is_empty()
    }

    /// Whether a commit is due, with so many other rows to commit.
    pub fn is_due(&self, caught_up: bool, others: usize, now: Duration) -> bool {
        if self.rows.saturating_add(others) >= MOST_ROWS {
            return true;
        }
        match self.since {
            Some(since) => caught_up || now.saturating_sub(since) >= PATIENCE,
            None => others > 0 && now.saturating_sub(self.committed) >= QUIET_PATIENCE,
        }
    }

    /// All windows, ascending by start.
    pub fn windows(&self) -> Vec<&WindowResult> {
        self.closes.iter().flat_map(|closed| &closed.windows).collect()
    }

    /// What is to be published, now that it has been committed.
    pub fn take(&mut self, now: Duration) -> Vec<Closed> {
        self.rows = 0;
        self.since = None;
        self.committed = now;
        std::mem::take(&mut self.closes)
    }
}
