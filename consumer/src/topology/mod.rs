//! The topology: what `fluvio.yaml` declares, checked. `docs/fluvio-yaml.md` lists every setting.

mod check;
mod error;
mod fluvio;
mod read;
pub mod render;
mod section;
mod transform;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fluvio_controlplane_metadata::topic::config::{MetaConfig, TopicConfig};
use isotherm_kafka::Settings as KafkaSettings;
use isotherm_model::settings::{MaxAhead, Settings};
use isotherm_model::window::WindowSize;

pub use self::error::{Origin, Place, Problem, TopologyError};

/// The module's name on a cluster, unless the file has another.
pub const MODULE: &str = "window-stats";

/// A checked topology. Flags have already overridden the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Where the readings are: addresses or files, as `--source` takes them; with flags one address ([`Topology::address`]). None is
    /// the current Fluvio profile's cluster.
    pub source: Vec<String>,
    /// Of files, whether a run ends where they end.
    pub files: Option<bool>,
    /// librdkafka's settings, for a source in Kafka.
    pub kafka: KafkaSettings,
    pub topic: String,
    /// Partitions to create the topic with.
    pub partitions: u32,
    pub combine: Combine,
    /// Whether the file or a flag says where.
    pub combine_is_given: bool,
    /// The SmartModule's name on the cluster.
    pub module: String,
    /// Shape of a reading, window size and max-ahead: the module's parameters.
    pub settings: Settings,
    /// How long after its end a window stays open.
    pub grace: Duration,
    /// How long a caught-up partition must be quiet to hold nothing back.
    pub idle: Duration,
    /// Where results are kept.
    pub store: StoreKind,
    /// What Fluvio's own sections say of the topic: replication, retention and so on. Its name and number of partitions
    /// are those of this topology.
    pub topic_config: TopicConfig,
}

/// Where the records of a batch become a partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Combine {
    /// At the broker, by the SmartModule
    #[default]
    Broker,
    /// In the consumer: no SmartModule is needed on the cluster
    Consumer,
}

impl Combine {
    /// Reads `broker` or `consumer`.
    pub fn parse(text: &str) -> Result<Self, String> {
        <Self as clap::ValueEnum>::from_str(text, false)
            .map_err(|_| format!("batches are not combined by `{text}`; write `broker` or `consumer`"))
    }
}

/// Where results are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// In a file of the user's data folder, one for each cluster, topic and configuration.
    #[default]
    Default,
    /// Nowhere: they end with the process.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl StoreKind {
    /// Reads `default`, `memory`, or a path.
    ///
    /// # Errors
    ///
    /// What would be right. A word that is no path is more likely a slip than the name of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "memory" => Ok(Self::Memory),
            path if path.contains('/') || path.ends_with(".db") => Ok(Self::File(PathBuf::from(path))),
            other => {
                Err(format!("there is no store `{other}`; write `default`, `memory`, or a path such as ./{other}.db"))
            }
        }
    }
}

impl std::fmt::Display for StoreKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("a file in the user's data folder"),
            Self::Memory => f.write_str("memory"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What flags say: each overrides the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    pub topic: Option<String>,
    pub partitions: Option<u32>,
    pub window: Option<Duration>,
    pub grace: Option<Duration>,
    pub idle: Option<Duration>,
    pub max_ahead: Option<Duration>,
    pub store: Option<StoreKind>,
    pub combine: Option<Combine>,
}

impl Default for Topology {
    /// The sensors job: topic `sensors`, three-second windows by state.
    fn default() -> Self {
        let topic = "sensors".to_owned();
        Self {
            topic_config: TopicConfig {
                // What Fluvio takes where a file says nothing.
                version: "0.1.0".to_owned(),
                meta: MetaConfig { name: topic.clone() },
                ..TopicConfig::default()
            },
            source: Vec::new(),
            files: None,
            kafka: KafkaSettings::default(),
            topic,
            partitions: 1,
            combine: Combine::default(),
            combine_is_given: false,
            module: MODULE.to_owned(),
            settings: Settings::default(),
            grace: Duration::from_secs(1),
            idle: Duration::from_secs(10),
            store: StoreKind::default(),
        }
    }
}

impl Topology {
    /// Reads the text of a `fluvio.yaml`; `name` is what errors call the file. What it leaves out is as in
    /// [`Topology::default`].
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, TopologyError> {
        read::topology(text, name)
    }

    /// The topology with what flags say.
    pub fn with(mut self, overrides: &Overrides) -> Result<Self, TopologyError> {
        let mut problems = Vec::new();
        let Overrides { topic, partitions, window, grace, idle, max_ahead, store, combine } = overrides;
        let mut flags = Flags(&mut problems);
        if let Some(topic) = flags.read("--topic", topic.as_deref(), check::topic) {
            self.topic = topic.to_owned();
            self.topic_config.meta.name = topic.to_owned();
        }
        if let Some(count) = flags.read("--partitions", *partitions, check::partitions) {
            self.partitions = count;
            self.topic_config.partition.count = Some(count);
            // Replicas were laid out for another number of partitions.
            self.topic_config.partition.maps = None;
        }
        let window = flags.read("--window", *window, WindowSize::new);
        self.settings.window = window.unwrap_or(self.settings.window);
        let max_ahead = flags.read("--max-ahead", *max_ahead, MaxAhead::check);
        self.settings.max_ahead = max_ahead.unwrap_or(self.settings.max_ahead);
        self.grace = flags.read("--grace", *grace, check::grace).unwrap_or(self.grace);
        self.idle = flags.read("--idle", *idle, check::idle).unwrap_or(self.idle);
        if let Some(store) = store {
            self.store = store.clone();
        }
        self.combine = combine.unwrap_or(self.combine);
        self.combine_is_given |= combine.is_some();
        if problems.is_empty() { Ok(self) } else { Err(TopologyError { problems }) }
    }

    /// Where the readings are, as [`crate::log::open`] takes it.
    pub fn address(&self) -> Option<&str> {
        self.source.first().map(String::as_str)
    }

    /// The parameters that the module is given.
    pub fn module_params(&self) -> BTreeMap<String, String> {
        self.settings.to_params().into_iter().collect()
    }
}

/// Flags, while they are read.
struct Flags<'a>(&'a mut Vec<Problem>);

impl Flags<'_> {
    fn read<T, U, E: std::fmt::Display>(
        &mut self,
        flag: &'static str,
        value: Option<T>,
        check: impl FnOnce(T) -> Result<U, E>,
    ) -> Option<U> {
        match check(value?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(Problem { origin: Origin::Flag(flag), what: error.to_string() });
                None
            }
        }
    }
}
