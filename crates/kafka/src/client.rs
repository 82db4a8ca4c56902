//! Clients of librdkafka, made with our settings, and their logs.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError as Native, RDKafkaErrorCode};
use rdkafka::{ClientConfig, Statistics};
use tracing::{debug, warn};

use crate::error::KafkaError;
use crate::settings::{BadSetting, Settings};

/// A client that reads.
pub(crate) type Client = BaseConsumer<Logs>;

/// Where what librdkafka says goes. Of lost connections we tell ourselves.
pub(crate) struct Logs;

impl ClientContext for Logs {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!("{facility}: {message}")
            }
            _ => debug!("{facility}: {message}"),
        }
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: Native, reason: &str) {
        debug!("{error}: {reason}");
    }
}

impl ConsumerContext for Logs {}

/// What every client is made with, and what others may change of it.
fn config(servers: &str, settings: &Settings, group: &str) -> Result<ClientConfig, BadSetting> {
    let mut config = ClientConfig::new();
    // When the queue is full, librdkafka stops fetching for this long; its own default is a second.
    config.set("fetch.queue.backoff.ms", "2");
    // A partition's end is known after an empty fetch.
    config.set("fetch.wait.max.ms", "100");
    config.set("topic.metadata.refresh.interval.ms", "1000");
    config.set("topic.metadata.propagation.max.ms", "0");
    for (name, value) in settings.resolved()? {
        config.set(name, value);
    }
    config.set("bootstrap.servers", servers);
    config.set("client.id", "isotherm");
    config.set("group.id", group);
    config.set("enable.auto.commit", "false");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "error");
    config.set("isolation.level", "read_committed");
    config.set("enable.partition.eof", "true");
    config.set("allow.auto.create.topics", "false");
    config.set("check.crcs", "true");
    Ok(config)
}

/// A client that holds at most about this many KiB that were fetched and not taken.
pub(crate) fn client(servers: &str, settings: &Settings, group: &str, ahead: usize) -> Result<Client, KafkaError> {
    let mut config = config(servers, settings, group)?;
    config.set("queued.max.messages.kbytes", ahead.max(1).to_string());
    config.create_with_context(Logs).map_err(|error| match error {
        Native::ClientConfig(_, reason, name, _) => BadSetting::Refused(format!("`{name}`: {reason}")).into(),
        Native::ClientCreation(reason) => BadSetting::Refused(reason).into(),
        error => KafkaError::Fatal(error.to_string()),
    })
}

/// What an error of a question means.
pub(crate) fn failed(error: &Native) -> KafkaError {
    match error.rdkafka_error_code() {
        Some(code) => of_code(code),
        None => KafkaError::Retry(error.to_string()),
    }
}

/// What a code means.
pub(crate) fn of_code(code: RDKafkaErrorCode) -> KafkaError {
    use RDKafkaErrorCode as Code;
    match code {
        Code::AutoOffsetReset | Code::OffsetOutOfRange => KafkaError::OutOfRange,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedFeature
        | Code::Authentication => KafkaError::Fatal(code.to_string()),
        code => KafkaError::Retry(code.to_string()),
    }
}
