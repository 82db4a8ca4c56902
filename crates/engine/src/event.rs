//! Events go into the materializer, effects come out: all of its contact with the world.

use std::time::Duration;

use isotherm_model::partial::{Partial, PartitionId};

use crate::results::{Totals, WindowResult};
use crate::state::LogPart;

/// Something that happened. The materializer sees time only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The topic has this partition. Until its end is known, it blocks every window.
    Found {
        /// Which.
        partition: PartitionId,
    },
    /// Every partition that the topic has now has been [`Found`](Event::Found). Before the first `Listed` no window closes and the run
    /// cannot end. A bounded run ignores partitions found later.
    Listed,
    /// The partition is read from `position` on (again, after a reconnect); at this moment it ends at `end`.
    Attached {
        /// Which.
        partition: PartitionId,
        /// The first offset that will come. At first it is any offset, or with a store the one at which that resumes, or a later one if
        /// the log begins later. After a reconnect it is exactly the next offset. (Before the first batch of a partition that no store
        /// knows it may be a later one, if the log begins later now.)
        position: i64,
        /// The offset after its last record, just asked; not below `position`. `None` where nobody knows it before it has been read,
        /// as of a pipe: the first [`End`](Event::End) says it then.
        end: Option<i64>,
    },
    /// The connection to the partition is lost, so nobody sees what is written to it. It blocks the watermark until it is attached
    /// again, even if it was idle.
    Detached {
        /// Which.
        partition: PartitionId,
    },
    /// The partition's end, asked again. A source sends this at least twice per idle time for each attached partition: only a recent
    /// end proves that a partition is idle.
    End {
        /// Which.
        partition: PartitionId,
        /// The offset after its last record.
        end: i64,
    },
    /// The partial of the next batch.
    Partial {
        /// Of which partition.
        partition: PartitionId,
        /// What it says.
        partial: Box<Partial>,
        /// The digest of its bytes ([`isotherm_model::codec::digest`]).
        digest: u64,
    },
    /// An offset gap: the last batch ends at `next`, beyond its last record. A broker dropped the batch's last records before it
    /// stored the others (a producer's SmartModule, a topic's deduplication). The next batch begins at `next`.
    OffsetGap {
        /// Of which partition.
        partition: PartitionId,
        /// Where the next batch begins: a batch boundary.
        next: i64,
    },
    /// The partition goes on in another part of its log, or more is known of one. It comes before the first batch of a part.
    Part {
        /// Of which partition.
        partition: PartitionId,
        /// Its place among the partition's parts: the next one, or that of one that is now better known.
        place: u32,
        /// What the store keeps of it.
        part: LogPart,
    },
    /// Monotonic time since the run began. Never goes back; a tick that does is ignored.
    Tick {
        /// Since the run began.
        now: Duration,
    },
    /// The run must end here (Ctrl-C, SIGTERM): it gives totals and closes no window.
    Stop,
    /// The run ends here because it has read enough: every window closes, by `end`.
    Finish,
    /// What [`Effect::Proceed`] asks for.
    Proceed,
}

/// What the caller must do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Commit, then publish: windows that closed together, ascending by start, and the totals after them.
    Close {
        /// The windows.
        windows: Vec<WindowResult>,
        /// The run so far; `None` if more windows close with these, or if the run ends with them.
        totals: Option<Box<Totals>>,
    },
    /// More windows are to close than one commit should hold. Commit, then give [`Event::Proceed`] (or `Stop`), and nothing else
    /// before it: what is to close is still open.
    Proceed,
    /// Pause this partition: it is far ahead of the slowest one. Batches under way may still come. The pause lasts until `Resume`, also over
    /// a reconnect.
    Pause {
        /// Which.
        partition: PartitionId,
    },
    /// Resume this partition.
    Resume {
        /// Which.
        partition: PartitionId,
    },
    /// The run is over: publish these totals last. Its windows came before, in `Close` effects.
    Finished {
        /// The run.
        totals: Box<Totals>,
    },
}
