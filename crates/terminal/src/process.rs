//! What the programs do with their process before they begin.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

/// Prints a completion script on standard output. A reader that has gone does not need it.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_completions(shell: Shell, command: &mut Command, name: &str) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, command, name, &mut script);
    match io::stdout().write_all(&script) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
