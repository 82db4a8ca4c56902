//! The settings of a run. Built by [`crate::cli`], or by hand in tests and other programs.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use isotherm_fluvio::{Compression, FluvioClusterConfig};

use crate::clock::EventClock;
use crate::random::Share;
use crate::rate::Rate;

/// A whole run: where messages come from, how fast, how many, and where they go.
#[derive(Debug, Clone)]
pub struct Config {
    pub source: Source,
    /// What messages are keyed by.
    pub key: Key,
    /// End after this many messages; `None`: when the input ends, or never.
    pub count: Option<u64>,
    /// Keep this rate over real time; `None`: as fast as possible.
    pub pace: Option<Rate>,
    pub destination: Destination,
    /// How long a stopped run waits until what it has sent is acknowledged.
    pub stop_timeout: Duration,
    /// Whether progress and the closing line are written to standard error.
    pub report: Report,
}

#[derive(Debug, Clone)]
pub enum Source {
    Simulate {
        simulation: Simulation,
        /// Where event times come from.
        clock: EventClock,
    },
    Replay {
        input: Input,
        pointers: KeyPointers,
    },
}

/// Simulated sensors. Equal settings give equal messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulation {
    pub sensors: u64,
    pub seed: u64,
    /// Event times are set back by 0 to this many milliseconds, each by its own draw.
    pub disorder_ms: u64,
    /// The share of readings that is set back by [`crate::simulate::LATE_FROM_MS`] to [`crate::simulate::LATE_TO_MS`].
    pub late: Share,
    pub malformed: Share,
}

impl Default for Simulation {
    fn default() -> Self {
        Self { sensors: 2_000, seed: 0, disorder_ms: 0, late: Share::NONE, malformed: Share::NONE }
    }
}

/// Lines to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    File(PathBuf),
    Stdin,
}

/// What messages are keyed by. The key decides the partition; without one partitions take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Key {
    /// The state
    Group,
    /// The sensor's id
    Sensor,
    /// No key
    #[default]
    None,
}

/// JSON pointers to the keys in replayed lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPointers {
    pub group: String,
    pub sensor: String,
}

impl Default for KeyPointers {
    fn default() -> Self {
        Self { group: "/state".to_owned(), sensor: "/guid".to_owned() }
    }
}

#[derive(Debug, Clone)]
pub enum Destination {
    Fluvio(Box<FluvioSettings>),
    /// Standard output, one message a line.
    Stdout,
}

/// How to produce to a topic.
#[derive(Debug, Clone)]
pub struct FluvioSettings {
    /// The cluster: its controller's address, and TLS.
    pub cluster: FluvioClusterConfig,
    /// The topic, which must exist.
    pub topic: String,
    /// A partition's batch is sent when it holds this many bytes of records, before compression; a record that is larger
    /// makes a batch of its own.
    pub batch_size: usize,
    /// A partition's batch is sent when its first record is this old.
    pub linger: Duration,
    /// How batches are compressed; `None`: as the topic wants it, or not at all.
    pub compression: Option<Compression>,
    /// How long a batch is retried before the run fails.
    pub retry_timeout: Duration,
}

/// What is written to standard error besides errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Report {
    /// A progress bar on a terminal, plain lines otherwise, and a closing line.
    #[default]
    Progress,
    Quiet,
}
