//! The consumer: reads partials of a topic, merges them into windows and totals, and publishes what closed.

pub mod cli;
pub mod delivery;
pub mod deploy;
mod hints;
pub mod inspect;
pub mod log;
pub mod results;
pub mod run;
#[cfg(test)]
mod simulation;
pub mod sinks;
pub mod sources;
pub mod topology;
pub mod verify;
