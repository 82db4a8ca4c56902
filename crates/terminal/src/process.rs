//! What the programs do with their process before they begin.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::stderr;

/// What a program does first: it takes as many file descriptors as the system lets it have, and says through the thread of
/// standard error what a panic says, so that a panic waits for no reader.
pub fn prepare() {
    // Some systems report a limit that they then refuse. The present limit stays.
    let _ = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        stderr::write(format!("thread '{}' {panic}\n", thread.name().unwrap_or("<unnamed>")));
        stderr::flush();
    }));
}

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
