//! The consumer: reads partials of a topic, merges them into windows and totals, and publishes what closed.

pub mod cli;
pub mod delivery;
pub mod deploy;
pub mod inspect;
mod limited;
pub mod log;
mod reminder;
pub mod render;
pub mod results;
pub mod run;
mod scratch;
pub mod sinks;
pub mod sources;
pub mod topology;
pub mod verify;
