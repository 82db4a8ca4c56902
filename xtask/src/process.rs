//! Running programs to their end, and saying how it goes.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Error;

/// Runs a command to its end; an error unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let shown = shown(command);
    let status = command.status().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Says something on standard error. Waits for its reader a second at most: a task that nobody reads goes on, and can be stopped.
pub(crate) fn say(text: &str) {
    let (text, (said, done)) = (text.to_owned(), mpsc::channel());
    thread::spawn(move || {
        // A closed standard error is no failure.
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = said.send(());
    });
    let _ = done.recv_timeout(Duration::from_secs(1));
}
