//! Simulates temperature sensors, or replays readings, into a Fluvio topic.
//!
//! The way of a message: a source ([`simulate`] or [`replay`]) appends it to a chunk ([`messages`]), at the pace that
//! [`pace`] allows, and a [`sink`] takes the chunk and counts what the destination confirms. [`run()`] puts these
//! together; the program around it is [`app`].
//!
//! What is sent is acknowledged at least once: a batch whose acknowledgement was lost is sent again, and may then be
//! stored twice. The order of a partition's records is kept through that.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod faults;
mod key;
pub mod messages;
pub mod pace;
pub mod progress;
pub mod random;
pub mod rate;
pub mod reading;
pub mod replay;
mod run;
pub mod simulate;
pub mod sink;
mod source;
pub mod states;
pub mod summary;

pub use crate::config::Config;
pub use crate::error::{Failed, ProduceError};
pub use crate::run::{run, run_into};
pub use crate::summary::{Ending, Summary};
