//! A Kafka client on librdkafka: what settings may be passed through, what there is of a topic, and its records from any offset on.
//!
//! 1. [`settings`]: librdkafka's settings by name, those that would break exactness refused, secrets only by reference.
//! 2. [`cluster`]: topics by their ids, the bounds of partitions, group offsets.
//! 3. [`reader`]: the committed records of one partition.
//! 4. `native`: what the safe bindings lack, the only unsafe code.
//!
//! Calls wait for brokers: those who must not be held up call them on threads of their own.

#![deny(unsafe_code)]

mod client;
mod cluster;
mod error;
mod native;
mod reader;
mod settings;

pub use self::cluster::{Bounds, Cluster};
pub use self::error::KafkaError;
pub use self::native::{Message, Topic};
pub use self::reader::{Polled, Reader};
pub use self::settings::{BadSetting, SettingValue, Settings};

/// How long a broker may take to answer a question.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
