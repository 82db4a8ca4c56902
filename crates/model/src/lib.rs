//! The pure core of Isotherm: from the bytes of a reading to mergeable statistics by window and group.
//!
//! It has no clock, no I/O, no thread and no host call, and knows no log: the same code runs inside a broker (compiled to
//! WASM), in the consumer, and in tests. Modules import only modules that are listed before them:
//!
//! 1. [`fixed`], [`time`], [`duration`], [`size`], [`varint`], [`json`], [`states`]: primitives.
//! 2. [`window`], [`stats`], [`rejection`]: what event times, values and faults become.
//! 3. [`schema`], [`settings`], [`params`]: what a topology says about readings and windows, its text parameters, and its
//!    fingerprint.
//! 4. [`scan`]: the bytes of one record become a [`scan::Reading`] or a typed [`rejection::Rejection`].
//! 5. [`partial`]: what one log batch becomes, and the law by which partials merge.
//! 6. [`combine`]: the records of one batch become one [`partial::Partial`].
//! 7. [`codec`]: the bytes of a partial, and its text.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod codec;
pub mod combine;
pub mod duration;
pub mod fixed;
pub mod json;
pub mod params;
pub mod partial;
pub mod rejection;
pub mod scan;
pub mod schema;
pub mod settings;
pub mod size;
pub mod states;
pub mod stats;
pub mod time;
pub mod varint;
pub mod window;
