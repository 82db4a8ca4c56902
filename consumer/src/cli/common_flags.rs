//! Flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use isotherm_files::InputFormat;
use isotherm_fluvio::{BadTopicName, check_topic_name};
use isotherm_kafka::{SettingValue, Settings};
use isotherm_model::duration::parse_duration;
use isotherm_model::size::parse_size;
use isotherm_terminal::log::{self, Filter, LogFormat};

/// Where to read from.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// The topology [default: ./fluvio.yaml if there is one, else what is built in: `isotherm-consumer topology`]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The topic [default: what the topology says, `sensors`]
    #[arg(long, value_name = "NAME")]
    pub(super) topic: Option<String>,
    /// Short for --source fluvio://HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) cluster: Option<String>,
    /// Where readings come from: fluvio://HOST:PORT, kafka://HOST:PORT[,HOST:PORT…], a file (again for each further one; compressed or not, JSON lines or one
    /// JSON array), or `-` for standard input [default: what the topology says, the current Fluvio profile's cluster, else
    /// fluvio://127.0.0.1:9003]
    #[arg(long, value_name = "ADDRESS|FILE|-", conflicts_with = "cluster")]
    pub(super) source: Vec<String>,
    /// What files hold, where their beginnings do not tell: a reading a line, or one array of readings
    #[arg(long, value_enum, value_name = "lines|array")]
    pub(super) input_format: Option<InputFormatFlag>,
    /// A setting of librdkafka's, for a source in Kafka (again for each further one); secrets stand in the topology
    #[arg(long, value_name = "NAME=VALUE", value_parser = kafka_setting)]
    pub(super) kafka_setting: Vec<(String, SettingValue)>,
    /// The consumer group by which Kafka's tools show how far the run has read; it is never read back [default:
    /// isotherm-TOPIC-FINGERPRINT]
    #[arg(long, value_name = "NAME")]
    pub(super) consumer_group: Option<String>,
}

fn kafka_setting(text: &str) -> Result<(String, SettingValue), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write NAME=VALUE".to_owned())?;
    let value = SettingValue::Text(value.to_owned());
    Settings::default().set(name, value.clone()).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value))
}

/// `--input-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum InputFormatFlag {
    /// A reading a line
    Lines,
    /// One array of readings
    Array,
}

impl From<InputFormatFlag> for InputFormat {
    fn from(flag: InputFormatFlag) -> Self {
        match flag {
            InputFormatFlag::Lines => Self::Lines,
            InputFormatFlag::Array => Self::Array,
        }
    }
}

/// What to log, on standard error.
#[derive(Debug, Clone, Args)]
pub(super) struct Logs {
    /// Log more; twice for what the Fluvio client does
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// The form of logs
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) log_format: LogFormat,
}

impl Logs {
    pub(super) fn start(&self) {
        let filter = match self.verbose {
            // What the client says of broken connections, we say ourselves, with what follows.
            0 => "off,isotherm_consumer=info,isotherm_fluvio=info",
            1 => "warn,isotherm_consumer=debug,isotherm_fluvio=debug",
            _ => "debug,isotherm_consumer=trace,isotherm_fluvio=trace",
        };
        log::start(Filter::Default(filter), self.verbose, self.log_format);
    }
}

/// How much memory windows may take.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Memory {
    /// How much memory open windows may take; what is beyond waits in a file without a name, in the store's folder or TMPDIR
    #[arg(long, value_name = "BYTES", default_value = "512MB", value_parser = size)]
    pub(super) memory_limit: usize,
}

fn size(text: &str) -> Result<usize, String> {
    parse_size(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| "give a whole number of bytes, like 512MB or 2GB".to_owned())
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn topic_name(text: &str) -> Result<String, BadTopicName> {
    check_topic_name(text).map(str::to_owned)
}
