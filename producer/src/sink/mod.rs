//! Where messages go: one small trait, one file per destination.

mod fluvio;
mod stdout;

use async_trait::async_trait;

pub use self::fluvio::FluvioSink;
pub use self::stdout::StdoutSink;

use crate::error::ProduceError;
use crate::messages::Messages;

/// A destination of messages. It counts what it has begun to send and what is confirmed in the run's
/// [`Counters`](crate::summary::Counters).
#[async_trait]
pub trait Sink: Send {
    /// Takes the messages in their order; waits while too much is on its way. Given up half-way, it has taken some of
    /// the messages, whole.
    ///
    /// # Errors
    /// Why this or an earlier message cannot be delivered. The sink takes nothing after that.
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError>;

    /// Waits until all that was taken is confirmed. Given up, it can be called again.
    ///
    /// # Errors
    /// As [`Sink::send`].
    async fn flush(&mut self) -> Result<(), ProduceError>;

    /// Gives up what is not confirmed: what has not been sent is not sent after this. Only a chunk that is being written to
    /// standard output cannot be called back: it counts as sent, and may still be written, and counted, until the process
    /// ends.
    async fn stop(&mut self) {}
}
