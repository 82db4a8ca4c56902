//! The command line: flags, what they mean, and exit codes.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C, SIGTERM). A closed output pipe ends quietly
//! with 0.

mod common_flags;
mod store_flags;

mod flags;
mod process;

mod load;
mod source;
mod stores;

mod inspect;
mod verify;

mod execute;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use isotherm_terminal::{args, stderr};

pub use self::flags::command;

/// Reads the process's arguments and does what they say.
pub fn main() -> ExitCode {
    let prepared = isotherm_terminal::process::prepare();
    let cli = args::parse();
    let code = match prepared {
        Ok(()) => execute::execute(cli),
        Err(error) => {
            stderr::write_below(format!("error: {error}\n"));
            ExitCode::FAILURE
        }
    };
    stderr::flush();
    code
}
