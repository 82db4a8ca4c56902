//! Group commit: closed windows wait for a commit, and are published after it.
//!
//! A commit costs one write to the disk, however much it holds. While a run catches up, hundreds of windows close each second
//! and share a commit. Once everything has been read, each close is committed at once.

use std::time::Duration;

use crate::results::{Totals, WindowResult};

/// How long a closed window may wait while there is more to read.
const MAX_DELAY: Duration = Duration::from_millis(100);
/// How long a change may wait when no window closes.
const MAX_DELAY_WITHOUT_CLOSE: Duration = Duration::from_secs(1);
/// With this many rows a commit is due at once, because they take memory.
pub(crate) const MAX_ROWS: usize = 1 << 16;

/// Windows that closed together, and the totals of that moment.
#[derive(Debug)]
pub struct Closed {
    /// The windows, ascending by start.
    pub windows: Vec<WindowResult>,
    /// The run at that moment; `None` if it is published later.
    pub totals: Option<Box<Totals>>,
}

/// Closed windows that wait for a commit.
#[derive(Debug)]
pub struct PendingCommit {
    closes: Vec<Closed>,
    rows: usize,
    since: Option<Duration>,
    committed: Duration,
}

impl PendingCommit {
    pub fn new(now: Duration) -> Self {
        Self { closes: Vec::new(), rows: 0, since: None, committed: now }
    }

    /// Adds windows that have closed.
    pub fn add(&mut self, windows: Vec<WindowResult>, totals: Option<Box<Totals>>, now: Duration) {
        let groups = totals.as_ref().map_or(0, |totals| totals.groups.len());
        self.rows += windows.iter().map(WindowResult::rows).sum::<usize>() + groups;
        self.since.get_or_insert(now);
        self.closes.push(Closed { windows, totals });
    }

    /// Whether anything has closed.
    pub fn has_closes(&self) -> bool {
        !self.closes.is_empty()
    }

    /// Whether a commit is due, with `others` other rows to commit.
    pub fn is_due(&self, caught_up: bool, others: usize, now: Duration) -> bool {
        if self.rows.saturating_add(others) >= MAX_ROWS {
            return true;
        }
        match self.since {
            Some(since) => caught_up || now.saturating_sub(since) >= MAX_DELAY,
            None => others > 0 && now.saturating_sub(self.committed) >= MAX_DELAY_WITHOUT_CLOSE,
        }
    }

    /// All windows, ascending by start.
    pub fn windows(&self) -> Vec<&WindowResult> {
        self.closes.iter().flat_map(|closed| &closed.windows).collect()
    }

    /// Returns what has been committed, to be published.
    pub fn take(&mut self, now: Duration) -> Vec<Closed> {
        self.rows = 0;
        self.since = None;
        self.committed = now;
        std::mem::take(&mut self.closes)
    }
}
