//! Isotherm's Fluvio client, on the published protocol crates.
//!
//! The `fluvio` crate's own client reconnects, retries and resumes by itself, each time in a way that loses, repeats or
//! reorders records. Here the caller decides: a [`Cluster`] asks the controller, a [`Connection`] speaks to the broker that
//! leads a partition, a [`BatchReader`] reads batches as the log stores them, and [`produce`] writes one batch at a time.
//! Errors name no command-line flag.

mod backoff;
mod batch;
mod cluster;
mod connection;
mod name;
pub mod produce;
mod reader;

pub use fluvio::FluvioClusterConfig;
pub use fluvio_compression::Compression;
pub use fluvio_protocol::link::ErrorCode;
pub use fluvio_protocol::record::RecordData;
pub use fluvio_smartmodule::dataplane::smartmodule::SmartModuleExtraParams;
pub use isotherm_smartmodule_abi::DAMAGED;

pub use self::backoff::{Backoff, jitter};
pub use self::batch::{Damaged, StoredBatch};
pub use self::cluster::{Cluster, ClusterError, DEFAULT_ADDRESS, Leader, PartitionInfo, TopicInfo, cluster_config};
pub use self::connection::{
    ConnectError, Connection, ConnectionError, FetchResponse, FetchStream, LogBounds, ModuleCall, TIMEOUT,
};
pub use self::name::{BadTopicName, check_topic_name};
pub use self::reader::{BatchReader, ReadError, ReadOptions};
