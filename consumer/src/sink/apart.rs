//! A sink on a thread of its own, which may block: a run that waits for it can stop waiting.
//!
//! One thing is said at a time, and waited for, so that a slow reader slows the run down and nothing piles up. A run that
//! stops waiting leaves at most that one with the thread; it has been committed, and is written as far as somebody reads.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};

use async_trait::async_trait;
use isotherm_engine::progress::Snapshot;
use isotherm_engine::results::{Totals, WindowResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::Sink;
use crate::stderr;

/// What is to be said.
enum Words {
    Publish(Vec<WindowResult>, Box<Totals>),
    Finish(Box<Totals>, bool),
    Progress(Snapshot),
}

/// Words, and whom to tell that they were said.
type Job = (Words, oneshot::Sender<io::Result<()>>);

/// A sink on a thread of its own. Dropping it does not wait for the thread.
pub struct Apart {
    jobs: Sender<Job>,
}

impl Apart {
    /// Moves a sink to a new thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn new(sink: Box<dyn Sink>) -> io::Result<Self> {
        // For what is awaited there: a writer that blocks.
        let runtime = Builder::new_current_thread().build()?;
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new().name("results".to_owned()).spawn(move || serve(sink, &runtime, &inbox))?;
        Ok(Self { jobs })
    }

    async fn say(&self, words: Words) -> io::Result<()> {
        let (said, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that writes them has ended");
        self.jobs.send((words, said)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// The thread.
fn serve(mut sink: Box<dyn Sink>, runtime: &Runtime, inbox: &Receiver<Job>) {
    while let Ok((words, said)) = inbox.recv() {
        let result = runtime.block_on(async {
            match &words {
                // What was logged before these results stands before them, where both go to one place.
                Words::Publish(windows, totals) => {
                    stderr::flush();
                    sink.publish(windows, totals).await
                }
                Words::Finish(totals, said) => {
                    stderr::flush();
                    sink.finish(totals, *said).await
                }
                Words::Progress(snapshot) => sink.progress(snapshot).await,
            }
        });
        // Whoever waited may have given up.
        let _ = said.send(result);
    }
}

#[async_trait]
impl Sink for Apart {
    async fn publish(&mut self, windows: &[WindowResult], totals: &Totals) -> io::Result<()> {
        self.say(Words::Publish(windows.to_vec(), Box::new(totals.clone()))).await
    }

    async fn finish(&mut self, totals: &Totals, said: bool) -> io::Result<()> {
        self.say(Words::Finish(Box::new(totals.clone()), said)).await
    }

    async fn progress(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.say(Words::Progress(*snapshot)).await
    }
}
