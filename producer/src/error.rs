//! What can go wrong in a run, named with the next step to take.

use std::io;
use std::time::Duration;

use isotherm_files::FileError;
use isotherm_fluvio::produce::{Refusal, SendError, TopicError};

use crate::summary::Summary;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    #[error(
        "line {line} of the embedded state table reads `{text}`, not CODE,TEMPERATURE; build from unchanged sources"
    )]
    StateTable { line: usize, text: String },
    #[error("cannot read `{input}`: {source}")]
    Input { input: String, source: io::Error },
    #[error(transparent)]
    File(FileError),
    #[error("the reader of the input failed: {0}; this is an error of isotherm-producer itself: report it")]
    Reader(String),
    #[error(
        "record {line} of `{input}` is longer than {limit} bytes, the most that a broker takes; split it, or leave it out"
    )]
    LineTooLong { input: String, line: u64, limit: usize },
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
    /// A pipe ends like this. The run has not failed.
    #[error("standard output was closed")]
    StdoutClosed,
    #[error(
        "cannot use the current Fluvio profile: {reason}; mend it with `fluvio profile`, or give --cluster HOST:PORT"
    )]
    Profile { reason: String },
    #[error(
        "cannot reach a Fluvio cluster at {address}: {reason}; start one with `isotherm-node --data DIR`, \
         `fluvio cluster start` or `cargo xtask demo`, or name another with --cluster HOST:PORT"
    )]
    Unreachable { address: String, reason: String },
    #[error("there is no topic `{topic}` at {address}; create it with `fluvio topic create {topic}`")]
    NoTopic { topic: String, address: String },
    #[error("topic `{topic}` takes batches with compression {wanted} only; leave --compression out, or say {wanted}")]
    Compression { topic: String, wanted: String },
    #[error(
        "not all that was sent was acknowledged within {} of the stop; see whether the cluster runs, or raise \
         --stop-timeout", humantime::format_duration(*timeout)
    )]
    NotAcknowledged { timeout: Duration },
    #[error(
        "standard output took nothing more within {} of the stop; see whether anything reads it, or raise \
         --stop-timeout", humantime::format_duration(*timeout)
    )]
    NotWritten { timeout: Duration },
    #[error("cannot encode a batch: {0}; try another --compression")]
    Encode(String),
    /// The sink was used after it had failed.
    #[error("nothing more can be sent, since an earlier error has ended sending; connect again")]
    Ended,
    /// The broker refused a batch for good, took it and could not have it replicated in time, or stayed away for too long.
    #[error("{}{}", .0, hint(.0))]
    Send(SendError),
}

/// What to do about a batch that was not acknowledged.
fn hint(error: &SendError) -> &'static str {
    match error {
        SendError::GaveUp { .. } => "; see whether the cluster runs, or raise --retry-timeout",
        SendError::Refused { refusal: Refusal::TooLarge, .. } => {
            "; lower --batch-size, or raise the topic's segment size"
        }
        SendError::Refused { refusal: Refusal::NotReplicated, .. } => {
            "; its leader has it, but not all replicas; see whether all brokers run"
        }
        SendError::Refused { refusal: Refusal::NotPermitted, .. } => "; see the user of the Fluvio profile",
    }
}

impl From<SendError> for ProduceError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<TopicError> for ProduceError {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Unreachable { address, reason } => Self::Unreachable { address, reason },
            TopicError::Missing { topic, address } => Self::NoTopic { topic, address },
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{error} ({summary})")]
pub struct Failed {
    #[source]
    pub error: ProduceError,
    pub summary: Summary,
}

impl From<FileError> for ProduceError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Open { name, source } => Self::Input { input: name, source },
            other => Self::File(other),
        }
    }
}
