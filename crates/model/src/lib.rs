//! The pure heart of Isotherm: from the bytes of a reading to mergeable statistics by window and group.
//!
//! No clock, no I/O, no thread and no host call lives here, so that the same code runs inside a broker (compiled to
//! WASM), inside the consumer, and inside tests. `model` knows no Fluvio.
//!
//! The way of the data, one module a step:
//!
//! 1. [`settings`]: what a topology says about readings and windows, its text parameters and its fingerprint.
//! 2. [`schema`]: where sensor, group, time and value stand in a reading.
//! 3. [`scan`]: the bytes of one record become a [`scan::Reading`] or a typed [`rejection::Rejection`].
//! 4. [`combine`]: the records of one log batch become one [`partial::Partial`].
//! 5. [`codec`]: the bytes of a partial, and its text.
//! 6. [`partial`]: the law by which partials merge.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod codec;
pub mod combine;
pub mod fixed;
pub mod json;
pub mod params;
pub mod partial;
pub mod rejection;
pub mod scan;
pub mod schema;
pub mod settings;
pub mod states;
pub mod stats;
pub mod time;
pub mod window;
