//! The command line: parsed cheaply, then built into a [`Config`].

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::DateTime;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser};
use clap_complete::Shell;
use isotherm_fluvio::{BadTopicName, Compression, check_topic_name, cluster_config};
use isotherm_terminal::log::LogFormat;
use tracing::info;

use crate::clock::{EVENT_TIMES, EventClock};
use crate::config::{Config, Destination, FluvioSettings, Input, Key, KeyPointers, Report, Simulation, Source};
use crate::error::ProduceError;
use crate::random::Share;
use crate::rate::Rate;

const EXAMPLES: &str = "\
Examples:
  isotherm-producer                             1,000 readings a second, until Ctrl-C
  isotherm-producer 2000000                     two million, as fast as possible
  isotherm-producer 60000 --rate 500 --late 0.01 --malformed 0.001
                                                two minutes with late and bad readings
  isotherm-producer 1000 --seed 7 --start 2026-11-22T10:00:00Z --stdout > readings.jsonl
                                                the same thousand lines every time
  isotherm-producer --input readings.jsonl --key group
                                                replay them, each state in one partition

Acknowledged means stored by the partition's leader and, where the topic is replicated, by its replicas. What is \
sent is acknowledged at least once: a batch whose acknowledgement is lost with a connection is sent again, in its \
order, and the broker may then have stored it twice. To a consumer these are two messages.

Exit codes: 0 done (or the reader of --stdout has gone), 1 failed, 2 wrong usage, 130 stopped by Ctrl-C or SIGTERM, \
after what was made has been acknowledged. That is waited for as long as --stop-timeout and --retry-timeout allow: then \
the code is 1, and the last line says how many messages are acknowledged, how many may be stored or not, and how many \
were made, or taken from the input, and not sent. A second signal waits for nothing, and says nothing.";

/// Simulates temperature sensors in the United States, or replays readings, into a Fluvio topic.
#[derive(Debug, Parser)]
#[command(name = "isotherm-producer", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// End after this many messages [default: at the end of the input, or never]
    #[arg(value_name = "COUNT", value_parser = parse_count)]
    pub count: Option<u64>,

    /// The topic, which must exist
    #[arg(long, default_value = "sensors", value_parser = parse_topic, help_heading = "Destination")]
    pub topic: String,

    /// The cluster's controller, without TLS [default: the current Fluvio profile, else 127.0.0.1:9003]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address, help_heading = "Destination")]
    pub cluster: Option<String>,

    /// Write messages to standard output, one a line, instead of to a topic
    #[arg(long, help_heading = "Destination", conflicts_with_all = ["topic", "cluster", "key", "batch_size", "linger", "compression", "retry_timeout"])]
    pub stdout: bool,

    /// What messages are keyed by; equal keys go to the same partition, no key lets partitions take turns
    #[arg(long, value_enum, default_value = "none", help_heading = "Destination")]
    pub key: Key,

    /// Messages a second, or `max` [default: max with COUNT or --input, else 1000]
    #[arg(long, value_name = "N|max")]
    pub rate: Option<RateArg>,

    /// Replay the readings of a file (`-`: of standard input) unchanged: its lines that are not empty, without their line ends, or
    /// the elements of the one JSON array that it is; compressed with gzip or zstd, or not
    #[arg(long, value_name = "FILE|-", help_heading = "Replay", conflicts_with_all = ["sensors", "seed", "start", "disorder", "late", "malformed"])]
    pub input: Option<PathBuf>,

    /// The JSON pointer to the sensor's id in a replayed line, for --key sensor
    #[arg(long, value_name = "POINTER", default_value = "/guid", value_parser = parse_pointer, help_heading = "Replay", requires = "input")]
    pub sensor_pointer: String,

    /// The JSON pointer to the group in a replayed line, for --key group
    #[arg(long, value_name = "POINTER", default_value = "/state", value_parser = parse_pointer, help_heading = "Replay", requires = "input")]
    pub group_pointer: String,

    /// How many sensors there are; each message is of a randomly drawn one
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000), help_heading = "Simulation")]
    pub sensors: u64,

    /// The seed of all randomness; with --start, equal options give equal bytes [default: another each time]
    #[arg(long, value_name = "N", help_heading = "Simulation")]
    pub seed: Option<u64>,

    /// A simulated clock: event times run from this time (RFC 3339) in steps of 1/rate (1,000/s unless --rate says
    /// otherwise), and nothing waits
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true, help_heading = "Simulation")]
    pub start: Option<i64>,

    /// Set each event time back by 0 to MS milliseconds, at random
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=31_622_400_000), help_heading = "Simulation")]
    pub disorder: u64,

    /// The share (0 to 1) of readings whose event time is set back by 10 to 60 seconds: late for any usual grace
    #[arg(long, value_name = "P", default_value = "0", value_parser = parse_share, help_heading = "Simulation")]
    pub late: Share,

    /// The share (0 to 1) of messages that are malformed: cut off, no JSON, members missing or of the wrong type,
    /// unknown states, impossible times, values out of range, in equal parts
    #[arg(long, value_name = "P", default_value = "0", value_parser = parse_share, help_heading = "Simulation")]
    pub malformed: Share,

    /// Send a partition's batch when it holds this many bytes (1 to 32MB; units KB and MB), before compression
    #[arg(long, value_name = "BYTES", default_value = "512KB", value_parser = parse_size, help_heading = "Delivery")]
    pub batch_size: usize,

    /// Send a partition's batch when its first message is this old (at most 1h)
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_linger, help_heading = "Delivery")]
    pub linger: Duration,

    /// How batches are compressed [default: as the topic wants it, or none]
    #[arg(long, value_parser = compressions(), help_heading = "Delivery")]
    pub compression: Option<Compression>,

    /// How long to retry a batch when the broker is away or silent, before failing
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration, help_heading = "Delivery")]
    pub retry_timeout: Duration,

    /// After Ctrl-C or SIGTERM, how long to wait until what was made is acknowledged (with --stdout: written)
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration, help_heading = "Delivery")]
    pub stop_timeout: Duration,

    /// Write nothing to standard error but errors
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub quiet: bool,

    /// Log more (-vv: even more); RUST_LOG chooses in detail
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,

    /// How logs are written
    #[arg(long, value_enum, default_value = "text", help_heading = "Output")]
    pub log_format: LogFormat,

    /// Print a completion script for a shell, and end
    #[arg(long, value_name = "SHELL", exclusive = true, help_heading = "Output")]
    pub completions: Option<Shell>,
}

/// `--rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateArg {
    Max,
    PerSecond(Rate),
}

impl FromStr for RateArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.parse().map(Self::PerSecond).map_err(|error: crate::rate::BadRate| format!("{error}, or `max`"))
    }
}

/// Why no [`Config`] comes of the arguments.
#[derive(Debug)]
pub enum CliError {
    /// They contradict each other.
    Usage(clap::Error),
    /// Something that they rely on is unusable.
    Failed(ProduceError),
}

impl Args {
    /// The run's configuration.
    ///
    /// # Errors
    /// [`CliError::Usage`] for options that contradict each other, [`CliError::Failed`] for an unusable Fluvio profile.
    pub fn config(&self) -> Result<Config, CliError> {
        let asked_rate = match self.rate {
            Some(RateArg::PerSecond(rate)) => Some(rate),
            Some(RateArg::Max) | None => None,
        };
        if self.start.is_some() && self.rate == Some(RateArg::Max) {
            return Err(CliError::Usage(Self::command().error(
                ErrorKind::ArgumentConflict,
                "--rate max cannot be used with --start: the simulated clock goes in steps of 1/rate, and nothing \
                 waits anyway; give a number, or leave --rate out for 1,000/s",
            )));
        }
        let pace = match (self.start, asked_rate) {
            (Some(_), _) => None,
            (None, Some(rate)) => Some(rate),
            (None, None) if self.rate.is_none() && self.count.is_none() && self.input.is_none() => Some(Rate::THOUSAND),
            (None, None) => None,
        };
        Ok(Config {
            source: self.source(asked_rate),
            key: self.key,
            count: self.count,
            pace,
            destination: self.destination().map_err(CliError::Failed)?,
            stop_timeout: self.stop_timeout,
            report: if self.quiet { Report::Quiet } else { Report::Progress },
        })
    }

    fn source(&self, rate: Option<Rate>) -> Source {
        if let Some(path) = &self.input {
            let input = if path.as_os_str() == "-" { Input::Stdin } else { Input::File(path.clone()) };
            let pointers = KeyPointers { group: self.group_pointer.clone(), sensor: self.sensor_pointer.clone() };
            return Source::Replay { input, pointers };
        }
        let seed = self.seed.unwrap_or_else(rand::random);
        info!(seed, "simulating");
        let simulation = Simulation {
            sensors: self.sensors,
            seed,
            disorder_ms: self.disorder,
            late: self.late,
            malformed: self.malformed,
        };
        let clock = match self.start {
            Some(start_ms) => EventClock::Simulated { start_ms, rate: rate.unwrap_or(Rate::THOUSAND) },
            None => EventClock::Real,
        };
        Source::Simulate { simulation, clock }
    }

    fn destination(&self) -> Result<Destination, ProduceError> {
        if self.stdout {
            return Ok(Destination::Stdout);
        }
        Ok(Destination::Fluvio(Box::new(FluvioSettings {
            cluster: cluster_config(self.cluster.as_deref()).map_err(|reason| ProduceError::Profile { reason })?,
            topic: self.topic.clone(),
            batch_size: self.batch_size,
            linger: self.linger,
            compression: self.compression,
            retry_timeout: self.retry_timeout,
        })))
    }
}

fn compressions() -> impl TypedValueParser<Value = Compression> {
    PossibleValuesParser::new(["none", "gzip", "snappy", "lz4", "zstd"]).try_map(|name| Compression::from_str(&name))
}

fn parse_count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "give a whole number of messages, like 2000000 or 2_000_000".to_owned())
}

fn parse_topic(text: &str) -> Result<String, BadTopicName> {
    check_topic_name(text).map(str::to_owned)
}

fn parse_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("give host and port, like 127.0.0.1:9003".to_owned()),
    }
}

fn parse_pointer(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("give a JSON pointer, like /payload/id".to_owned()) }
}

fn parse_share(text: &str) -> Result<Share, String> {
    text.parse().ok().and_then(Share::new).ok_or_else(|| "give a share from 0 to 1, like 0.01".to_owned())
}

fn parse_time(text: &str) -> Result<i64, String> {
    let time = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
    time.filter(|ms| EVENT_TIMES.contains(ms)).ok_or_else(|| {
        "give an RFC 3339 time in the years 1000 to 9998, like 2026-11-22T10:00:00Z or 2026-11-22T10:00:00-08:00"
            .to_owned()
    })
}

fn parse_linger(text: &str) -> Result<Duration, String> {
    let linger = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if linger <= MAX_LINGER { Ok(linger) } else { Err("give at most 1h, like 50ms or 2s".to_owned()) }
}

/// To make messages wait longer, raise the batch size.
const MAX_LINGER: Duration = Duration::from_secs(3600);

/// A broker takes requests of 32 MiB, frame included.
const MAX_BATCH: usize = 32 * 1024 * 1024 - 256;

fn parse_size(text: &str) -> Result<usize, String> {
    let bad = || "give 1 byte to 32 MB, like 300000, 512KB or 1MB".to_owned();
    let size = isotherm_model::size::parse_size(text).ok_or_else(bad)?;
    // 32 MB means the most that a broker takes.
    let size = if size == 32 * 1024 * 1024 { MAX_BATCH } else { size };
    if (1..=MAX_BATCH).contains(&size) { Ok(size) } else { Err(bad()) }
}
