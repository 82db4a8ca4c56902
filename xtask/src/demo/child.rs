//! A child process in a process group of its own: Ctrl-C reaches the demo alone, which ends its children in order.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::process::{say, shown};

/// A started child. Dropping it kills it, so that none is left behind: call [`Child::stop`] to end it in good order.
pub(super) struct Child {
    name: &'static str,
    pid: Pid,
    /// The pipe that its standard output goes to, if it goes to one.
    pub(super) stdout: Option<ChildStdout>,
    /// Disconnected when it has ended.
    runs: Receiver<Infallible>,
}

/// How a child ended.
pub(super) struct Ended {
    /// Which.
    pub(super) name: &'static str,
    /// Whether it succeeded.
    pub(super) success: bool,
    /// Its status, in words.
    pub(super) status: String,
}

impl Child {
    /// Starts a command in a process group of its own. A thread waits for its end, and calls `ended` then.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        ended: impl FnOnce(Ended) + Send + 'static,
    ) -> Result<Self, Error> {
        let mut process = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start the {name} (`{}`): {error}", shown(command)))?;
        let pid = i32::try_from(process.id()).map_err(|error| format!("the {name}'s process id: {error}"))?;
        let stdout = process.stdout.take();
        let (running, runs) = mpsc::channel();
        thread::spawn(move || {
            let waited = process.wait();
            drop(running);
            ended(match waited {
                Ok(status) => Ended { name, success: status.success(), status: status.to_string() },
                Err(error) => Ended { name, success: false, status: error.to_string() },
            });
        });
        Ok(Self { name, pid: Pid::from_raw(pid), stdout, runs })
    }

    /// Asks the child to end (SIGINT), waits, and kills it when it has not ended after `timeout`.
    pub(super) fn stop(&mut self, timeout: Duration) {
        if self.has_ended(Duration::ZERO) {
            return;
        }
        // It may have ended in this moment; then the signal has no receiver.
        let _ = kill(self.pid, Signal::SIGINT);
        if !self.has_ended(timeout) {
            say(&format!("The {} did not end within {timeout:?}: killed\n", self.name));
            let _ = kill(self.pid, Signal::SIGKILL);
            self.has_ended(timeout);
        }
    }

    fn has_ended(&self, within: Duration) -> bool {
        self.runs.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended(Duration::ZERO) {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}
