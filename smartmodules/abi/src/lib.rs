//! The raw batch ABI between the Fluvio engine and Isotherm's SmartModules.
//!
//! Fluvio's own macro decodes each batch into a list of records, copies every one of them, and leaks each answer within the
//! module's memory. Here a batch is read in place, and input and answer each have one buffer that is reused: memory grows with the
//! largest batch and then stays.
//!
//! 1. The engine asks [`Instance::input`] for room, writes into it and calls `init`, with the parameters, or the transform,
//!    with a batch.
//! 2. [`input`] reads the frame around the batch, [`records`] the records within, [`params`] the parameters.
//! 3. A [`Transform`] answers; [`output`] is the frame around its answer.
//!
//! All of this is safe code, the same natively and in a module. Only pointers and exports are not: they are in the macro `export!`
//! and the module `wasm`, which is compiled for WASM alone.

mod bytes;
pub mod input;
pub mod instance;
pub mod output;
pub mod params;
pub mod records;
#[cfg(target_arch = "wasm32")]
pub mod wasm;

pub use input::Batch;
pub use instance::{Answer, DAMAGED, Instance, Transform};
pub use output::{Kind, Output};
pub use records::{Damaged, Record, Records};

/// The lowest supported version of the engine's protocol: the first in which a batch has a timestamp.
pub const MIN_VERSION: i32 = 22;
