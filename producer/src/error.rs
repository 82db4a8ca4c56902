//! What can go wrong in a run, named with the next step to take.

use std::io;
use std::time::Duration;

use isotherm_fluvio::produce::{Refusal, SendError, TopicError};

use crate::summary::Summary;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The table of states in this build is damaged.
    #[error(
        "line {line} of the embedded state table reads `{text}`, not CODE,TEMPERATURE; build from unchanged sources"
    )]
    StateTable {
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The input could not be opened or read.
    #[error("cannot read `{input}`: {source}")]
    Input {
        /// The path, or `standard input`.
        input: String,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the input can be in no record.
    #[error(
        "line {line} of `{input}` is longer than {limit} bytes, the most that a broker takes; split it, or leave it out"
    )]
    LineTooLong {
        /// The path, or `standard input`.
        input: String,
        /// The line, from 1.
        line: u64,
        /// The most bytes that a line may have.
        limit: usize,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
    /// The reader of standard output has gone. This is how a pipe ends, and no failure of the run.
    #[error("standard output was closed")]
    StdoutClosed,
    /// The current Fluvio profile cannot be used.
    #[error(
        "cannot use the current Fluvio profile: {reason}; mend it with `fluvio profile`, or give --cluster HOST:PORT"
    )]
    Profile {
        /// What is wrong with it.
        reason: String,
    },
    /// No cluster answers.
    #[error(
        "cannot reach a Fluvio cluster at {address}: {reason}; start one with `isotherm-node --data DIR`, \
         `fluvio cluster start` or `cargo xtask demo`, or name another with --cluster HOST:PORT"
    )]
    Unreachable {
        /// Where the controller was looked for.
        address: String,
        /// What happened instead.
        reason: String,
    },
    /// The topic does not exist.
    #[error("there is no topic `{topic}` at {address}; create it with `fluvio topic create {topic}`")]
    NoTopic {
        /// The topic.
        topic: String,
        /// The controller that was asked.
        address: String,
    },
    /// The topic wants its batches compressed in another way.
    #[error("topic `{topic}` takes batches with compression {wanted} only; leave --compression out, or say {wanted}")]
    Compression {
        /// The topic.
        topic: String,
        /// Its compression.
        wanted: String,
    },
    /// A run that was stopped has waited long enough for what was sent.
    #[error(
        "not all that was sent was acknowledged within {} of the stop; see whether the cluster runs, or raise \
         --stop-timeout", humantime::format_duration(*patience)
    )]
    NotAcknowledged {
        /// How long it waited.
        patience: Duration,
    },
    /// A run that was stopped has waited long enough for whoever reads standard output.
    #[error(
        "standard output took nothing more within {} of the stop; see whether anything reads it, or raise \
         --stop-timeout", humantime::format_duration(*patience)
    )]
    NotWritten {
        /// How long it waited.
        patience: Duration,
    },
    /// A batch could not be written or compressed.
    #[error("cannot encode a batch: {0}; try another --compression")]
    Encode(String),
    /// The sink was used again after it had failed.
    #[error("nothing more can be sent, since an earlier error has ended sending; connect anew")]
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

/// A run that failed, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error("{error} ({summary})")]
pub struct Failed {
    /// Why it failed.
    #[source]
    pub error: ProduceError,
    /// What had been acknowledged by then.
    pub summary: Summary,
}
