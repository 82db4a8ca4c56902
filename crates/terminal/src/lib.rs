//! What Isotherm's programs share of the terminal. This crate knows nothing of readings, logs of records, or results.
//!
//! - [`stderr`]: one thread writes standard error, so that nobody waits for its reader
//! - [`screen`]: lines that stay in place, with other text above them
//! - [`progress`]: bars and numbers for such lines
//! - [`text`]: text from outside, made safe to show
//! - [`args`]: the command line, and what is said of a wrong one
//! - [`log`]: what is logged, on standard error
//! - [`process`]: what programs do with their process before they begin
//! - [`signals`]: Ctrl-C and SIGTERM

pub mod args;
mod frame;
pub mod log;
pub mod process;
pub mod progress;
pub mod screen;
pub mod signals;
pub mod stderr;
pub mod text;
