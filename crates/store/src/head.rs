//! The head: the one row that every transaction reads first and writes last. It says what all other rows must add up to.

use isotherm_engine::state::{RunStart, StartOffset, TopicState};
use isotherm_model::window::Millis;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::bytes::Malformed;
use super::row::{Digest, Table, Typed, count, int, of_count, of_optional, optional};
use crate::error::Wrong;

/// Where it stands.
pub(super) const HEAD: Table<34> = Table {
    name: "head",
    columns: [
        "id",
        "epoch",
        "commits",
        "from_end",
        "began_with",
        "watermark",
        "closed_until",
        "newest",
        "oldest_open",
        "open_windows",
        "distinct_sensors",
        "first_window",
        "last_window",
        "dropped_windows",
        "windows",
        "windows_sum",
        "partitions",
        "partitions_sum",
        "groups",
        "groups_sum",
        "ranges",
        "ranges_sum",
        "gaps",
        "gaps_sum",
        "sensors",
        "sensors_sum",
        "members",
        "dead",
        "dead_sum",
        "dead_first",
        "dead_next",
        "lost",
        "lost_sum",
        "lost_next",
    ],
};

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Head {
    /// Raised by every consumer that opens the store to write.
    pub(super) epoch: u64,
    /// How many commits there were.
    pub(super) commits: u64,
    /// The topic.
    pub(super) topic: TopicState,
    /// The start of the oldest window that is kept.
    pub(super) first: Option<Millis>,
    /// The start of the newest window.
    pub(super) last: Option<Millis>,
    /// How many windows retention has dropped.
    pub(super) dropped: u64,
    /// Windows that are kept.
    pub(super) windows: Digest,
    /// Partitions.
    pub(super) partitions: Digest,
    /// Groups.
    pub(super) groups: Digest,
    /// Ranges of the ledger.
    pub(super) ranges: Digest,
    /// Gaps of the ledger.
    pub(super) data_losses: Digest,
    /// Chunks of sensors.
    pub(super) sensors: Digest,
    /// Sensors in all chunks, each once for every group that it reported from.
    pub(super) members: u64,
    /// Dead batches in the outbox.
    pub(super) dead: Digest,
    /// The number of the oldest of them, if there is one: they are numbered without holes.
    pub(super) dead_first: u64,
    /// The number of the next one.
    pub(super) dead_next: u64,
    /// Dead batches that are lost.
    pub(super) lost: Digest,
    /// The number of the next lost one.
    pub(super) lost_next: u64,
}

impl Head {
    /// Reads it.
    pub(super) fn read(connection: &Connection) -> Result<Self, Wrong> {
        let head = HEAD.one(connection, "WHERE id = 1", [], |values, _| {
            Self::decode(values).map_err(|Malformed| HEAD.damaged("the row is malformed"))
        })?;
        head.ok_or_else(|| HEAD.damaged("its row is missing"))
    }

    /// Writes it.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), Wrong> {
        HEAD.replace(connection, self.encode()).map(drop)
    }

    fn decode(values: [ValueRef<'_>; 34]) -> Typed<Self> {
        let [_, epoch, commits, from_end, began_with, rest @ ..] = values;
        let [watermark, closed_until, newest, oldest_open, open_windows, distinct, rest @ ..] = rest;
        let [first, last, dropped, windows, windows_sum, partitions, partitions_sum, groups, groups_sum, rest @ ..] =
            rest;
        let [ranges, ranges_sum, gaps, gaps_sum, sensors, sensors_sum, members, rest @ ..] = rest;
        let [dead, dead_sum, dead_first, dead_next, lost, lost_sum, lost_next] = rest;
        let digest = |rows, sum| Ok(Digest { rows: count(rows)?, sum: int(sum)? });
        Ok(Self {
            epoch: count(epoch)?,
            commits: count(commits)?,
            topic: TopicState {
                start: RunStart {
                    from: match int(from_end)? {
                        0 => StartOffset::Beginning,
                        1 => StartOffset::End,
                        _ => return Err(Malformed),
                    },
                    partitions: optional(began_with)?.map(u32::try_from).transpose().map_err(|_| Malformed)?,
                },
                watermark: optional(watermark)?,
                closed_until: optional(closed_until)?,
                newest: optional(newest)?,
                oldest_open: optional(oldest_open)?,
                open_windows: count(open_windows)?,
                sensors: count(distinct)?,
            },
            first: optional(first)?,
            last: optional(last)?,
            dropped: count(dropped)?,
            windows: digest(windows, windows_sum)?,
            partitions: digest(partitions, partitions_sum)?,
            groups: digest(groups, groups_sum)?,
            ranges: digest(ranges, ranges_sum)?,
            data_losses: digest(gaps, gaps_sum)?,
            sensors: digest(sensors, sensors_sum)?,
            members: count(members)?,
            dead: digest(dead, dead_sum)?,
            dead_first: count(dead_first)?,
            dead_next: count(dead_next)?,
            lost: digest(lost, lost_sum)?,
            lost_next: count(lost_next)?,
        })
    }

    fn encode(&self) -> [ValueRef<'static>; 34] {
        let Self { topic, windows, partitions, groups, ranges, data_losses, sensors, dead, lost, .. } = self;
        let sum = |digest: &Digest| ValueRef::Integer(digest.sum);
        [
            ValueRef::Integer(1),
            of_count(self.epoch),
            of_count(self.commits),
            ValueRef::Integer(i64::from(topic.start.from == StartOffset::End)),
            of_optional(topic.start.partitions.map(i64::from)),
            of_optional(topic.watermark),
            of_optional(topic.closed_until),
            of_optional(topic.newest),
            of_optional(topic.oldest_open),
            of_count(topic.open_windows),
            of_count(topic.sensors),
            of_optional(self.first),
            of_optional(self.last),
            of_count(self.dropped),
            of_count(windows.rows),
            sum(windows),
            of_count(partitions.rows),
            sum(partitions),
            of_count(groups.rows),
            sum(groups),
            of_count(ranges.rows),
            sum(ranges),
            of_count(data_losses.rows),
            sum(data_losses),
            of_count(sensors.rows),
            sum(sensors),
            of_count(self.members),
            of_count(dead.rows),
            sum(dead),
            of_count(self.dead_first),
            of_count(self.dead_next),
            of_count(lost.rows),
            sum(lost),
            of_count(self.lost_next),
        ]
    }
}
