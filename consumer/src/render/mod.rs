//! What people read.

pub mod hints;
pub(crate) mod source_hints;
