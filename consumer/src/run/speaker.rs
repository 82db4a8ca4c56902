//! What a run says to its sink: all that was committed, once; after a stop only within a bound.
//!
//! A sink that takes nothing holds up a run without bound, so that a slow reader loses nothing, until the run is asked to
//! stop. What is not said by the bound is stored, and counted here.

use std::pin::Pin;
use std::time::Duration;
use std::{fmt, io};

use isotherm_engine::group::Closed;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::Totals;
use isotherm_model::settings::DurationText;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::sink::Sink;

/// What a run that was stopped could not say in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaid {
    /// Windows that closed and are committed, and were not said, or the first of them perhaps in part. With none it is the
    /// totals that were not said.
    pub windows: u64,
    /// For how long it was tried.
    pub patience: Duration,
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = DurationText(self.patience);
        write!(f, "standard output did not take all results within {within} of the stop: ")?;
        let query = match self.windows {
            0 => {
                write!(f, "the totals were not written, or not whole")?;
                "query totals"
            }
            1 => {
                write!(f, "the last window that closed was not written, or not whole")?;
                "query latest"
            }
            windows => {
                write!(f, "the last {windows} windows that closed were not written, or not all of them")?;
                "query windows"
            }
        };
        write!(
            f,
            "; a store that stays has them (`isotherm-consumer {query}`); see whether anything reads the output, or raise \
             --stop-timeout"
        )
    }
}

/// What became of some words.
enum Said {
    Yes,
    /// Nobody reads any longer.
    Unread,
    /// The run was stopped, and it took too long.
    TooLate,
}

/// Speaks to a sink.
pub(super) struct Speaker<'a> {
    sink: &'a mut dyn Sink,
    patience: Duration,
    /// Ends when it was waited long enough after the stop.
    overdue: Pin<Box<dyn Future<Output = ()> + Send>>,
    unsaid: Option<Unsaid>,
}

impl<'a> Speaker<'a> {
    /// Speaks to `sink`, and once `shutdown` is cancelled for no longer than `patience`.
    pub(super) fn new(sink: &'a mut dyn Sink, patience: Duration, shutdown: CancellationToken) -> Self {
        let overdue = Box::pin(async move {
            shutdown.cancelled().await;
            sleep(patience).await;
        });
        Self { sink, patience, overdue, unsaid: None }
    }

    /// What could not be said in time, if anything.
    pub(super) fn unsaid(&self) -> Option<Unsaid> {
        self.unsaid
    }

    /// Publishes what has been committed. False when nobody reads it any longer.
    pub(super) async fn publish(&mut self, closed: Vec<Closed>) -> Result<bool, Error> {
        for Closed { windows, totals } in closed {
            let said = match self.unsaid {
                None => in_time(&mut self.overdue, self.sink.publish(&windows, &totals)).await?,
                Some(_) => Said::TooLate,
            };
            match said {
                Said::Yes => {}
                Said::Unread => return Ok(false),
                Said::TooLate => self.missed(windows.len() as u64),
            }
        }
        Ok(true)
    }

    /// Says the run's last words. False when nobody reads them.
    pub(super) async fn finish(&mut self, totals: &Totals, said: bool) -> Result<bool, Error> {
        if self.unsaid.is_some() {
            return Ok(true);
        }
        let said = in_time(&mut self.overdue, self.sink.finish(totals, said)).await?;
        Ok(self.heard(said))
    }

    /// Says how far reading has come. False when nobody reads any longer.
    pub(super) async fn progress(&mut self, snapshot: &Snapshot) -> Result<bool, Error> {
        if self.unsaid.is_some() {
            return Ok(true);
        }
        let said = in_time(&mut self.overdue, self.sink.progress(snapshot)).await?;
        Ok(self.heard(said))
    }

    fn heard(&mut self, said: Said) -> bool {
        if let Said::TooLate = said {
            self.missed(0);
        }
        !matches!(said, Said::Unread)
    }

    fn missed(&mut self, windows: u64) {
        self.unsaid.get_or_insert(Unsaid { windows: 0, patience: self.patience }).windows += windows;
    }
}

/// Waits until something is said, unless that is overdue.
async fn in_time(
    overdue: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    saying: impl Future<Output = io::Result<()>>,
) -> Result<Said, Error> {
    let said = tokio::select! {
        biased;
        said = saying => said,
        () = overdue => return Ok(Said::TooLate),
    };
    match said {
        Ok(()) => Ok(Said::Yes),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Said::Unread),
        Err(error) => Err(Error::Sink(error)),
    }
}
