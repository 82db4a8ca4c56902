//! The command line of a program. What is said of it holds arguments and environment variables, which are text from outside.

use std::io::{self, Write};

use clap::Parser;
use clap::error::Error;

use crate::{stderr, text};

/// Reads the process's arguments. Wrong usage, or help that was asked for, ends the process.
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| exit(&error))
}

/// Says what is wrong with the arguments, or the help that was asked for, and ends the process.
pub fn exit(error: &Error) -> ! {
    let said = error.render().to_string();
    let safe = if error.use_stderr() { text::message(&said) } else { text::lines(&said) };
    if safe == said {
        // In colours, where they are wanted.
        error.exit();
    }
    if error.use_stderr() {
        stderr::write_below(&safe);
        stderr::flush();
    } else {
        // A closed pipe ends quietly.
        let _ = io::stdout().write_all(safe.as_bytes());
    }
    std::process::exit(error.exit_code())
}
