//! Which commits the store may be at, and what was published: what outlives a run, and goes back with a backup.

use std::collections::BTreeSet;
use std::rc::Rc;

use isotherm_engine::commit::ResumeState;
use isotherm_engine::results::Totals;
use isotherm_engine::state::PartitionState;
use isotherm_model::partial::PartitionId;
use isotherm_model::time::Millis;

use super::disk::Files;
use super::letters::Delivered;
use super::reference::expected::{Expected, ExpectedPartition};
use super::store::RunState;

/// A commit: what the store must hold, and what it was handed of topic and partitions.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) expected: Rc<Expected>,
    pub(crate) state: RunState,
}

#[derive(Clone)]
pub(crate) struct Stored {
    /// The commits that the store may be at. There are two only after the machine has died within one.
    pub(crate) possible: Vec<Committed>,
    /// The starts of the windows that were published.
    pub(crate) published: BTreeSet<Millis>,
    /// Windows that may be closed although they were never published.
    pub(crate) unpublished: BTreeSet<Millis>,
    /// The totals that the last run ended with.
    pub(crate) totals: Option<Totals>,
}

impl Stored {
    /// A store that has never been written.
    pub(crate) fn new(expected: Expected) -> Self {
        let possible = vec![Committed { expected: Rc::new(expected), state: RunState::default() }];
        Self { possible, published: BTreeSet::new(), unpublished: BTreeSet::new(), totals: None }
    }

    /// Which commit the store is at; it has made this many.
    pub(crate) fn identify(&mut self, commits: u64) -> &Committed {
        self.possible.retain(|committed| committed.expected.commits == commits);
        let [committed] = &self.possible[..] else {
            panic!("the store is at commit {commits}, and cannot be");
        };
        committed
    }

    /// What the next run must begin with, after the store said what it loaded.
    pub(crate) fn resume(&mut self, commits: u64, saved: Option<&ResumeState>) -> Rc<Expected> {
        let Committed { expected, state } = self.identify(commits);
        let loaded = saved.map(|saved| (saved.topic, saved.partitions.iter().map(|(p, s)| (*p, *s)).collect()));
        assert_eq!(loaded.as_ref(), (expected.commits > 0).then_some(state), "a run resumes at the last commit");
        Rc::clone(expected)
    }
}

/// A backup of the store, with what was true when it was made.
pub(crate) struct Backup {
    pub(crate) files: Files,
    pub(crate) stored: Stored,
    pub(crate) delivered: Delivered,
}

/// What a run says of itself at a commit, against what it must say.
pub(crate) fn check_state((topic, partitions): &RunState, expected: &Expected, is_restoring: bool) {
    let bounded = expected.bounded;
    let state = |(partition, expected): (&PartitionId, &ExpectedPartition)| {
        let ExpectedPartition { start, position, restore_from, watermark, bounded_from, last, .. } = *expected;
        let bounded_from = bounded_from.filter(|_| bounded);
        (*partition, PartitionState { start, position, restore_from, watermark, bounded_from, last })
    };
    let states: Vec<_> = expected.partitions.iter().map(state).collect();
    assert_eq!(partitions, &states, "partitions at a commit, handed over and expected");
    let times = (topic.watermark, topic.closed_until, topic.newest, topic.bounded);
    let wanted = (expected.watermark, expected.closed.until, expected.newest(), expected.bounded);
    assert_eq!(times, wanted, "watermark, closed until, newest, bounded");
    assert_eq!(topic.closed_beyond, expected.closed.beyond.len() as u64, "windows that closed beyond");
    assert_eq!(topic.start.partitions, expected.partitions_at_start, "partitions when the first run began");
    assert_eq!(topic.sensors, expected.totals().sensors, "sensors");
    let (oldest, open) = (expected.oldest_open(), expected.open.len() as u64);
    if !is_restoring {
        assert_eq!((topic.oldest_open, topic.open_windows), (oldest, open), "open windows at a commit");
    } else if !expected.open_is_uncertain {
        // Of windows that are being restored, a run knows as many as the last commit said.
        let (oldest_open, open_windows) = (topic.oldest_open, topic.open_windows);
        assert!(
            oldest_open == oldest && open_windows <= open,
            "{open_windows} windows are open from {oldest_open:?}: {:?}",
            expected.open
        );
    }
}
