//! Publishes to the sink what was committed, once.
//!
//! A sink that takes nothing holds up the run, so that a slow reader loses nothing. After a stop the run waits for it no longer
//! than a timeout. What could not be published by then is stored, and counted here.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use isotherm_engine::group::Closed;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::Totals;
use isotherm_model::duration::DurationText;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::sinks::{Sink, SinkError};

/// What a stopped run could not publish in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// Committed windows that were not published; the first of them may be published in part. With none, it is the totals
    /// that were not published.
    pub windows: u64,
    /// How long the run waited after the stop.
    pub timeout: Duration,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = DurationText(self.timeout);
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

enum Delivery {
    Done,
    /// Nobody reads any longer.
    Unread,
    /// The run was stopped, and the sink took too long.
    TooLate,
}

pub(super) struct Publisher<'a> {
    sink: &'a mut dyn Sink,
    timeout: Duration,
    /// Ends when the timeout after the stop is over.
    overdue: Pin<Box<dyn Future<Output = ()> + Send>>,
    undelivered: Option<Undelivered>,
}

impl<'a> Publisher<'a> {
    /// Publishes to `sink`. Once `shutdown` is cancelled, waits for it no longer than `timeout`.
    pub(super) fn new(sink: &'a mut dyn Sink, timeout: Duration, shutdown: CancellationToken) -> Self {
        let overdue = Box::pin(async move {
            shutdown.cancelled().await;
            sleep(timeout).await;
        });
        Self { sink, timeout, overdue, undelivered: None }
    }

    /// What could not be published in time, if anything.
    pub(super) fn undelivered(&self) -> Option<Undelivered> {
        self.undelivered
    }

    /// Publishes what has been committed. False when its reader has gone.
    pub(super) async fn publish(&mut self, closed: Vec<Closed>) -> Result<bool, Error> {
        for Closed { windows, totals } in closed {
            let delivery = match self.undelivered {
                None => in_time(&mut self.overdue, self.sink.publish(&windows, totals.as_deref())).await?,
                Some(_) => Delivery::TooLate,
            };
            if !self.note(delivery, windows.len() as u64) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends the run's output. False when its reader has gone.
    pub(super) async fn finish(&mut self, totals: &Totals) -> Result<bool, Error> {
        if self.undelivered.is_some() {
            return Ok(true);
        }
        let delivery = in_time(&mut self.overdue, self.sink.finish(totals)).await?;
        Ok(self.note(delivery, 0))
    }

    /// Shows how far reading has come. False when nobody reads any longer.
    pub(super) async fn progress(&mut self, snapshot: &Snapshot) -> Result<bool, Error> {
        if self.undelivered.is_some() {
            return Ok(true);
        }
        let delivery = in_time(&mut self.overdue, self.sink.progress(snapshot)).await?;
        Ok(self.note(delivery, 0))
    }

    /// Counts windows that came too late. False when nobody reads any longer.
    fn note(&mut self, delivery: Delivery, windows: u64) -> bool {
        if let Delivery::TooLate = delivery {
            self.undelivered.get_or_insert(Undelivered { windows: 0, timeout: self.timeout }).windows += windows;
        }
        !matches!(delivery, Delivery::Unread)
    }
}

/// Waits for the sink, until that is overdue.
async fn in_time(
    overdue: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    publishing: impl Future<Output = Result<(), SinkError>>,
) -> Result<Delivery, Error> {
    let outcome = tokio::select! {
        biased;
        outcome = publishing => outcome,
        () = overdue => return Ok(Delivery::TooLate),
    };
    match outcome {
        Ok(()) => Ok(Delivery::Done),
        Err(SinkError::Closed) => Ok(Delivery::Unread),
        Err(error) => Err(error.into()),
    }
}
