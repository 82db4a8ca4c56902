//! A child process in a process group of its own: Ctrl-C reaches the demo alone, which ends its children in order.

use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::process::shown;

/// A started child. Dropping it kills it, so that none is left behind: call [`Child::stop`] to end it in good order.
pub(super) struct Child {
    name: &'static str,
    pid: Pid,
    process: Option<std::process::Child>,
    ended: Option<Receiver<()>>,
}

impl Drop for Child {
    fn drop(&mut self) {
        // Not waited for, or waited for on a thread and not ended yet.
        if self.process.is_some() || self.ended.as_ref().is_some_and(|ended| ended.try_recv().is_err()) {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
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
    /// Starts a command in a process group of its own.
    pub(super) fn start(name: &'static str, command: &mut Command) -> Result<Self, Error> {
        let process = command
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start the {name} (`{}`): {error}", shown(command)))?;
        let pid = i32::try_from(process.id()).map_err(|error| format!("the {name}'s process id: {error}"))?;
        Ok(Self { name, pid: Pid::from_raw(pid), process: Some(process), ended: None })
    }

    /// The pipe that the child's standard output goes to, if it goes to one.
    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.process.as_mut().and_then(|process| process.stdout.take())
    }

    /// Waits for the child on a thread, and sends one event when it has ended.
    pub(super) fn report<E: Send + 'static>(
        &mut self,
        events: Sender<E>,
        event: impl FnOnce(Ended) -> E + Send + 'static,
    ) -> Result<(), Error> {
        let Some(mut process) = self.process.take() else {
            return Err(format!("the {} is waited for already", self.name));
        };
        let (name, (done, ended)) = (self.name, mpsc::channel());
        self.ended = Some(ended);
        thread::spawn(move || {
            let waited = process.wait();
            // There is no receiver any more when the demo ends on its own.
            let _ = done.send(());
            let _ = events.send(event(match waited {
                Ok(status) => Ended { name, success: status.success(), status: status.to_string() },
                Err(error) => Ended { name, success: false, status: error.to_string() },
            }));
        });
        Ok(())
    }

    /// Asks the child to end (SIGINT), waits, and kills it when it has not ended after `timeout`.
    pub(super) fn stop(&mut self, timeout: Duration) {
        if self.ended.is_none() {
            let (nobody, _) = mpsc::channel();
            if self.report(nobody, |_| ()).is_err() {
                return;
            }
        }
        let Some(ended) = self.ended.take() else { return };
        if ended.try_recv().is_ok() {
            return;
        }
        // It may have ended in this moment; then the signal has no receiver.
        let _ = kill(self.pid, Signal::SIGINT);
        if ended.recv_timeout(timeout).is_err() {
            eprintln!("The {} did not end within {timeout:?}: killed", self.name);
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = ended.recv_timeout(timeout);
        }
    }
}
