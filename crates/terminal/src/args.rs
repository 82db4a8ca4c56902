//! The command line of a program. What is said of it holds arguments and environment variables, which are text from outside.

use std::env;
use std::io::{self, Write};

use clap::Parser;
use clap::builder::Styles;
use clap::error::Error;

use crate::{stderr, text};

/// Reads the process's arguments. Wrong usage, or help that was asked for, ends the process.
pub fn parse<P: Parser>() -> P {
    let is_harmless = is_harmless();
    // Where arguments may hold escapes, what is said of them has none of our own: so all that it has can be written out.
    let mut command = if is_harmless { P::command() } else { P::command().styles(Styles::plain()) };
    let matches = command.try_get_matches_from_mut(env::args_os());
    let parsed = matches
        .and_then(|mut matches| P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command)));
    parsed.unwrap_or_else(
        |error| if is_harmless { exit(&error) } else { end(&error, &error.render().ansi().to_string()) },
    )
}

/// Says what is wrong with the arguments, or the help that was asked for, and ends the process.
pub fn exit(error: &Error) -> ! {
    let said = error.render().to_string();
    if is_harmless() && (!error.use_stderr() || text::message(&said) == said) {
        // In colours, where they are wanted.
        error.exit();
    }
    end(error, &said)
}

fn end(error: &Error, said: &str) -> ! {
    if error.use_stderr() {
        stderr::write_below(said);
        stderr::flush();
    } else {
        // A closed pipe ends quietly.
        let _ = io::stdout().write_all(text::lines(said).as_bytes());
    }
    std::process::exit(error.exit_code())
}

/// Whether arguments and environment show themselves as they are.
fn is_harmless() -> bool {
    let variables = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ISOTHERM_"));
    let mut values = env::args_os().chain(variables.map(|(_, value)| value));
    values.all(|value| text::printable(&value.to_string_lossy()) == value.to_string_lossy())
}
