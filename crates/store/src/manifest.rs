//! The manifest: the one row that every transaction reads first and writes last. It says what all other rows must add up to.

use isotherm_engine::state::{RunStart, StartOffset, TopicState};
use isotherm_model::time::Millis;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::row::{Digest, Table};
use crate::error::DbError;

const MANIFEST: Table<2> = Table { name: "manifest", columns: ["id", "value"] };

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// Raised by every consumer that opens the store to write.
    pub(super) epoch: u64,
    pub(super) commits: u64,
    #[serde(with = "TopicValue")]
    pub(super) topic: TopicState,
    /// The start of the oldest window that is kept.
    pub(super) first: Option<Millis>,
    /// The start of the newest window.
    pub(super) last: Option<Millis>,
    /// Whether a window closed after a later one: at the end of a bounded run, windows close that later runs may fill the gaps
    /// between.
    pub(super) out_of_order: bool,
    /// How many windows retention has dropped. Windows are numbered from 0: so it is the number of the oldest one that is kept, unless
    /// they are out of order.
    pub(super) dropped: u64,
    /// Windows that are kept, each with its groups.
    pub(super) windows: Digest,
    pub(super) partitions: Digest,
    pub(super) groups: Digest,
    pub(super) ranges: Digest,
    pub(super) data_losses: Digest,
    /// Parts of followed files.
    pub(super) parts: Digest,
    /// Chunks of sensors.
    pub(super) sensors: Digest,
    /// Sensors in all chunks, each once for every group that it reported from.
    pub(super) members: u64,
    /// Dead batches in the outbox.
    pub(super) dead: Digest,
    /// The number of the oldest of them, if there is one: their numbers have no gaps.
    pub(super) dead_first: u64,
    /// The number of the next one.
    pub(super) dead_next: u64,
    /// Ranges that could not be copied to the dead letters.
    pub(super) lost: Digest,
    /// The number of the next one.
    pub(super) lost_next: u64,
    /// Whether a consumer has the store open, or did not close it.
    #[serde(default)]
    pub(super) open: bool,
}

impl Manifest {
    pub(super) fn read(connection: &Connection) -> Result<Self, DbError> {
        MANIFEST.only(connection)
    }

    pub(super) fn write(&self, connection: &Connection) -> Result<(), DbError> {
        MANIFEST.write_only(connection, self)
    }

    /// The number of the next window to close.
    pub(super) fn next_window(&self) -> u64 {
        self.dropped.saturating_add(self.windows.rows)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TopicState", deny_unknown_fields)]
struct TopicValue {
    #[serde(with = "RunStartValue")]
    start: RunStart,
    watermark: Option<Millis>,
    closed_until: Option<Millis>,
    newest: Option<Millis>,
    oldest_open: Option<Millis>,
    closed_beyond: u64,
    open_windows: u64,
    sensors: u64,
    bounded: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RunStart", deny_unknown_fields)]
struct RunStartValue {
    #[serde(with = "StartOffsetValue")]
    from: StartOffset,
    partitions: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StartOffset", rename_all = "kebab-case")]
enum StartOffsetValue {
    Beginning,
    End,
}
