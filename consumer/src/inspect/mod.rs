//! Looking into a store, also while a consumer writes it: `query` gives its results, `ledger` the account of all records,
//! `why` what keeps the oldest open window from closing.
//!
//! Each is a pure function of what the store (and, for `why`, the cluster) answers; `cli/inspect.rs` asks.

pub(crate) mod columns;
pub mod ledger;
pub mod query;
mod subject;
pub mod why;

use std::path::PathBuf;

pub use self::subject::{settings, stored_settings};

/// Why a store is not looked into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    #[error(
        "the store is `memory`: what a run keeps there ends with it, and nobody else can look into it. Run the consumer \
         with `--store PATH` or `--store default`, and give the same here"
    )]
    Memory {
        /// Whether a flag, or its environment variable, says so; otherwise the topology does.
        by_flag: bool,
    },
    #[error(
        "the store {} is of the topic `{stored}`, not of `{asked}`; leave --topic away, or give the --store PATH of that \
         topic",
        .path.display()
    )]
    OtherTopic { path: PathBuf, stored: String, asked: String },
    #[error(
        "the settings that the store {} was made with cannot be read ({reason}); was it made by a newer version? Use that \
         one",
        .path.display()
    )]
    Settings { path: PathBuf, reason: String },
    #[error(
        "--to {to} is not later than --from {from}: no window starts in between; --to names the first start that is too late"
    )]
    EmptyRange {
        /// The least start.
        from: String,
        /// The least start that is too late.
        to: String,
    },
}

impl InspectError {
    /// Whether only flags are wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Memory { by_flag } => *by_flag,
            Self::OtherTopic { .. } | Self::EmptyRange { .. } => true,
            Self::Settings { .. } => false,
        }
    }
}
