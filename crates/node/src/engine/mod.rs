//! SmartModules, run by the engine that Fluvio's SPU runs.
//!
//! - `chain` from a request's invocations to a chain of modules ready to run
//! - `answer` a chain applied to the log, stored batch by stored batch
//! - `look_back` what a module is shown of the log before it starts
//!
//! All of it blocks and belongs on threads where that does no harm. A module is code that its deployer answers for:
//! it has a bound on memory (1 GB) but none on time, as on the SPU.

mod answer;
mod chain;
mod look_back;

pub(crate) use answer::{Answer, Applied, transform};
pub(crate) use chain::{Engine, unpack};
