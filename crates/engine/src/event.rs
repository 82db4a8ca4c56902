//! What the materializer is told, and what it answers: the whole of its contact with the world.

use std::time::Duration;

use isotherm_model::partial::Partial;

use crate::results::{Totals, WindowResult};

/// A partition's number.
pub type PartitionId = u32;

/// Something that happened. The materializer sees time only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The topic has this partition. Until its end is known it holds every window back.
    Found {
        /// Which.
        partition: PartitionId,
    },
    /// Every partition that the topic has by now has been [`Found`](Event::Found). Until this has come once, nothing
    /// closes and the run cannot end. With `until_end`, partitions found later are left alone.
    Listed,
    /// The partition is read from `position` on (again, after a reconnect); at this moment it ends at `end`.
    Attached {
        /// Which.
        partition: PartitionId,
        /// The first offset that will come: any at first; in a run that goes on with a store, where that says to
        /// resume, or beyond if the log begins there only; afterwards exactly the offset that comes next. (As long as
        /// nothing has come of a partition that no store knows: or beyond, if its log begins there by now.)
        position: i64,
        /// The offset after its last record, just asked; not below `position`.
        end: i64,
    },
    /// The connection to the partition is lost: what is written to it meanwhile is not seen. It holds the watermark
    /// back, however quiet it was, until it is attached again.
    Detached {
        /// Which.
        partition: PartitionId,
    },
    /// The partition's end was asked anew. An attached partition wants this at least twice per `idle`: a partition is
    /// only as quiet as its last known end says.
    End {
        /// Which.
        partition: PartitionId,
        /// The offset after its last record.
        end: i64,
    },
    /// One batch's partial came.
    Partial {
        /// Of which partition.
        partition: PartitionId,
        /// What it says.
        partial: Box<Partial>,
        /// The digest of its bytes ([`isotherm_model::codec::digest`]).
        digest: u64,
    },
    /// The batch whose partial came last ends at `next`, further on than its records reach: a broker dropped its last
    /// records before it stored the others (a producer's SmartModule, a topic's deduplication). No record stands between,
    /// and the next batch begins at `next`.
    OffsetGap {
        /// Of which partition.
        partition: PartitionId,
        /// Where the next batch begins: a batch boundary.
        next: i64,
    },
    /// Monotonic time since the run began. Never goes back; a tick that does is ignored.
    Tick {
        /// Since the run began.
        now: Duration,
    },
    /// The run is to end here (Ctrl-C, SIGTERM): totals are due, no window closes.
    Stop,
    /// The run is to end here because it has read what it was to read: every window closes with `end`.
    Finish,
}

/// Something to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Commit, then publish: windows that closed together, ascending by start, and the totals after them.
    Close {
        /// The windows.
        windows: Vec<WindowResult>,
        /// The run so far.
        totals: Box<Totals>,
    },
    /// Take nothing more from this partition for now: it is far ahead of the slowest one. What is under way may still
    /// come. It holds until `Resume`, whatever happens to the connection.
    Pause {
        /// Which.
        partition: PartitionId,
    },
    /// Go on with this partition.
    Resume {
        /// Which.
        partition: PartitionId,
    },
    /// The run is over: publish these totals as its last words (any windows came before, in `Close` effects).
    Finished {
        /// The run.
        totals: Box<Totals>,
    },
}
