//! A connection from the leader's look-up to the open stream: where to read from, and whether it is the log that was read.

use isotherm_engine::event::Event;
use isotherm_fluvio::TIMEOUT;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::super::super::error::SourceError;
use super::super::super::lookup::Lookup;
use super::super::api::{PartitionConnection, ResponseStream};
use super::{End, Reader};
use crate::log::LogBounds;

/// A connection with a stream.
pub(super) struct Attached {
    pub(super) connection: Box<dyn PartitionConnection>,
    pub(super) responses: Box<dyn ResponseStream>,
    pub(super) bounds: LogBounds,
    /// Held while the broker makes the stream ready.
    pub(super) opening: OwnedSemaphorePermit,
}

impl Reader {
    /// Finds the leader, connects, and opens a stream at the position.
    pub(super) async fn attach(&mut self) -> Result<Attached, End> {
        let mut connection = self.api.connect().await?;
        let mut bounds = connection.bounds(TIMEOUT).await?;
        self.start(&*connection, bounds)?;
        let free = self.context.opening.clone().try_acquire_owned();
        let waited = free.is_err();
        let opening = match free {
            Ok(opening) => opening,
            Err(_) => self.context.opening.clone().acquire_owned().await.map_err(|_| End::NoListener)?,
        };
        let looked = self.check_log_identity(bounds).await?;
        if waited || looked {
            // What is emitted as the end must be so now: from then on the partition may be taken for idle.
            bounds = connection.bounds(TIMEOUT).await?;
        }
        let position = self.start(&*connection, bounds)?;
        if let Some(later) = self.progress().later_start(position) {
            warn!("{later}");
        }
        let responses = connection.stream(position, self.policy.max_bytes()).await?;
        let partition = self.partition;
        // With another module each attachment succeeds: that is no way back.
        let waiting = self.policy.waits_for_replacement();
        if !waiting {
            self.lost.attached(position, bounds.end);
        }
        self.attached = Some(Instant::now());
        self.looked_up = None;
        self.position = Some(position);
        self.send(Event::Attached { partition, position, end: Some(bounds.end) }).await?;
        Ok(Attached { connection, responses, bounds, opening })
    }

    /// Where to read from, or why the session ends there.
    fn start(&mut self, connection: &dyn PartitionConnection, bounds: LogBounds) -> Result<i64, End> {
        match self.progress().start(bounds) {
            Ok(position) => {
                self.policy.reached();
                Ok(position)
            }
            // A new leader may not know yet how far its log is committed.
            Err(error @ SourceError::Shorter { .. }) if connection.is_replicated() => Err(End::Lagging(error)),
            Err(error) => Err(End::Fatal(error)),
        }
    }

    /// Makes sure that it is the log that was read: after a lost connection, another log may have the same address and name,
    /// because the topic was restored or created again, or because a broker lost its tail and took other records since. The batch
    /// that was delivered last must be where it was, unless retention has deleted it. Returns whether that was looked up.
    async fn check_log_identity(&self, bounds: LogBounds) -> Result<bool, End> {
        // A batch without records says nothing of a log, and may be gone.
        let Some(last) = self.last.filter(|last| last.first < last.next && bounds.start <= last.first) else {
            return Ok(false);
        };
        match self.api.look(last.first).await {
            Ok(Lookup::Evicted) => Ok(true),
            Ok(Lookup::Batch(stored)) if (stored.first, stored.digest) == (last.first, last.digest) => Ok(true),
            Ok(found) => {
                debug!(self.partition, ?last, ?found, "another log");
                let (topic, partition, offset) = (self.context.source.topic.clone(), self.partition, last.first);
                Err(End::Fatal(SourceError::OtherLog { topic, partition, offset }))
            }
            Err(reason) => Err(End::Unchecked(reason)),
        }
    }
}
