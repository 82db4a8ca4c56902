//! What the programs do with their process before they begin.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use clap::Command;
use clap_complete::Shell;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::stderr;

/// How many file descriptors must be free: what the runtimes, a connection and a store take. With fewer, libraries panic.
const LEAST_FREE: usize = 24;

/// How many threads it must be possible to start: what the runtimes, the outputs and a store take. Without them, libraries panic.
const LEAST_THREADS: usize = 16;

/// What a program does first. It takes as many file descriptors as the system lets it have. What a panic says goes to the thread
/// of standard error, so that a panic waits for no reader.
///
/// # Errors
/// Too few file descriptors are free, or too few threads can be started.
pub fn prepare() -> io::Result<()> {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        stderr::write(format!("thread '{}' {panic}\n", thread.name().unwrap_or("<unnamed>")));
        stderr::flush();
    }));
    // Some systems report a limit that they then refuse. The present limit stays.
    let _ = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    let copies: io::Result<Vec<OwnedFd>> = (0..LEAST_FREE).map(|_| io::stderr().as_fd().try_clone_to_owned()).collect();
    match copies {
        Err(error) if error.raw_os_error() == Some(Errno::EMFILE as i32) => Err(io::Error::other(format!(
            "fewer than {LEAST_FREE} file descriptors are free; raise the hard limit (`ulimit -Hn`): {error}"
        ))),
        // Standard error may be closed.
        _ => threads(),
    }
}

/// Starts as many threads as a program needs, all at once, and ends them again.
fn threads() -> io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let start = |_| {
        let gate = gate.clone();
        std::thread::Builder::new().spawn(move || drop(gate.lock()))
    };
    let started: io::Result<Vec<JoinHandle<()>>> = (0..LEAST_THREADS).map(start).collect();
    drop(closed);
    let failed = |error| {
        io::Error::other(format!(
            "fewer than {LEAST_THREADS} threads can be started; raise the limit of processes (`ulimit -u`): {error}"
        ))
    };
    for thread in started.map_err(failed)? {
        // They do nothing that could fail.
        let _ = thread.join();
    }
    Ok(())
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
