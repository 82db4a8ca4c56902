//! A sink on a thread of its own, which may block: a run that waits for it can stop waiting.
//!
//! The run hands it one thing at a time and waits for it. So a slow reader slows the run down, and nothing piles up. A run that
//! stops waiting leaves at most that one thing with the thread; it is committed, and is written as far as somebody reads.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_terminal::stderr;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::{Sink, SinkError};

enum Publication {
    Publish(Vec<WindowResult>, Option<Box<Totals>>),
    Finish(Box<Totals>),
    Progress(Snapshot),
}

/// A publication, and where its outcome is waited for.
type Job = (Publication, oneshot::Sender<Result<(), SinkError>>);

/// A sink on a thread of its own. Dropping it does not wait for the thread.
pub struct ThreadedSink {
    jobs: Sender<Job>,
}

impl ThreadedSink {
    /// Moves a sink to a new thread.
    pub fn new(sink: Box<dyn Sink>) -> io::Result<Self> {
        // For what is awaited there: a writer that blocks.
        let runtime = Builder::new_current_thread().build()?;
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new().name("results".to_owned()).spawn(move || serve(sink, &runtime, &inbox))?;
        Ok(Self { jobs })
    }

    async fn hand_over(&self, publication: Publication) -> Result<(), SinkError> {
        let (done, outcome) = oneshot::channel();
        let gone = || SinkError::Failed("the thread that writes them has ended".into());
        self.jobs.send((publication, done)).map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

/// The thread.
fn serve(mut sink: Box<dyn Sink>, runtime: &Runtime, inbox: &Receiver<Job>) {
    while let Ok((publication, done)) = inbox.recv() {
        let outcome = runtime.block_on(async {
            match &publication {
                // What was logged before these results comes before them, where both go to one place.
                Publication::Publish(windows, totals) => {
                    stderr::flush();
                    sink.publish(windows, totals.as_deref()).await
                }
                Publication::Finish(totals) => {
                    stderr::flush();
                    sink.finish(totals).await
                }
                Publication::Progress(snapshot) => sink.progress(snapshot).await,
            }
        });
        // The run may have stopped waiting.
        let _ = done.send(outcome);
    }
}

#[async_trait]
impl Sink for ThreadedSink {
    async fn publish(&mut self, windows: &[WindowResult], totals: Option<&Totals>) -> Result<(), SinkError> {
        self.hand_over(Publication::Publish(windows.to_vec(), totals.cloned().map(Box::new))).await
    }

    async fn finish(&mut self, totals: &Totals) -> Result<(), SinkError> {
        self.hand_over(Publication::Finish(Box::new(totals.clone()))).await
    }

    async fn progress(&mut self, snapshot: &Snapshot) -> Result<(), SinkError> {
        self.hand_over(Publication::Progress(*snapshot)).await
    }
}
