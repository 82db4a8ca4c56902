//! A connection from the leader's look-up to the open stream: where to read from, and whether it is the log that was read.

use isotherm_engine::event::Event;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::super::error::SourceError;
use super::super::link::{Extent, PATIENCE};
use super::super::way::{Line, Look, Stream};
use super::{Begin, End, Reader};

/// A connection with a stream.
pub(super) struct Attached {
    pub(super) line: Box<dyn Line>,
    pub(super) answers: Box<dyn Stream>,
    pub(super) extent: Extent,
    /// Held while the broker makes the stream ready.
    pub(super) opening: OwnedSemaphorePermit,
}

impl Reader {
    /// Finds the leader, connects, and opens a stream at the position.
    pub(super) async fn attach(&mut self) -> Result<Attached, End> {
        let mut line = self.way.connect().await?;
        let mut extent = line.extent(PATIENCE).await?;
        self.place(&*line, extent)?;
        let free = self.terms.opening.clone().try_acquire_owned();
        let waited = free.is_err();
        let opening = match free {
            Ok(opening) => opening,
            Err(_) => self.terms.opening.clone().acquire_owned().await.map_err(|_| End::Unheard)?,
        };
        let looked = self.recognize(extent).await?;
        if waited || looked {
            // What is told as the end must be so now: from then on the partition may be taken for quiet.
            extent = line.extent(PATIENCE).await?;
        }
        let position = self.place(&*line, extent)?;
        if let (None, Begin::At { offset, needed, .. }) = (self.position, self.begin)
            && offset < position
        {
            let (topic, partition) = (&self.terms.topic, self.partition);
            if position <= needed {
                warn!(
                    "partition {partition} of `{topic}` begins at offset {position} by now: nothing is missing, but the \
                     batch at {offset}, which was read last, can no longer tell whether this is the log that was read"
                );
            } else {
                warn!(
                    "partition {partition} of `{topic}` begins at offset {position} by now: going on without {offset} to it"
                );
            }
        }
        let answers = line.stream(position, self.policy.max_bytes()).await?;
        let (topic, partition) = (&self.terms.topic, self.partition);
        // With another module each attachment succeeds: that is no way back.
        let waiting = self.policy.waits_for_replacement();
        match self.said_lost.take_if(|_| !waiting) {
            Some(_) => info!("partition {partition} of `{topic}` is back; reading on from offset {position}"),
            None => debug!(partition, position, end = extent.end, "attached"),
        }
        self.attached = Some(Instant::now());
        self.looked_up = None;
        self.position = Some(position);
        self.send(Event::Attached { partition, position, end: extent.end }).await?;
        Ok(Attached { line, answers, extent, opening })
    }

    /// Where to read from, or why the session ends there.
    fn place(&mut self, line: &dyn Line, extent: Extent) -> Result<i64, End> {
        match self.start(extent) {
            Ok(position) => {
                self.policy.reached();
                Ok(position)
            }
            // A new leader may not know yet how far its log is committed.
            Err(error @ SourceError::Shorter { .. }) if line.is_replicated() => Err(End::Lagging(error)),
            Err(error) => Err(End::Fatal(error)),
        }
    }

    /// Where to read from: the position, if the log still has it.
    fn start(&self, extent: Extent) -> Result<i64, SourceError> {
        let (topic, partition) = (self.terms.topic.clone(), self.partition);
        let Extent { start, end } = extent;
        match (self.position, self.begin) {
            (None, Begin::Beginning) => Ok(start),
            (None, Begin::End) => Ok(end),
            (None, Begin::At { offset: resume, .. }) if resume > end => {
                Err(SourceError::Shorter { topic, partition, position: resume, end })
            }
            (None, Begin::At { offset: resume, needed, accept_data_loss: false })
                if resume < start && needed < start =>
            {
                Err(SourceError::Behind { topic, partition, resume, start })
            }
            (None, Begin::At { offset, .. }) if offset < start => Ok(start),
            (None, Begin::At { offset, .. }) => Ok(offset),
            (Some(position), _) if position > end => Err(SourceError::Shorter { topic, partition, position, end }),
            (Some(position), _) if position < start => {
                if self.is_untouched() {
                    Ok(start)
                } else {
                    Err(self.evicted(position, start))
                }
            }
            (Some(position), _) => Ok(position),
        }
    }

    /// Makes sure that it is the log that was read: behind a connection that was lost another one may stand under the same
    /// address and name, restored, made anew, or by a broker that lost its tail and took other records since. The batch that was
    /// handed on last must stand where it stood, unless retention has cut it. Whether it has been looked at.
    async fn recognize(&self, extent: Extent) -> Result<bool, End> {
        // A batch without records says nothing of a log, and may be gone.
        let Some(last) = self.last.filter(|last| last.first < last.next && extent.start <= last.first) else {
            return Ok(false);
        };
        match self.way.look(last.first).await {
            Ok(Look::Cut) => Ok(true),
            Ok(Look::Batch(stored)) if (stored.first, stored.digest) == (last.first, last.digest) => Ok(true),
            Ok(found) => {
                debug!(self.partition, ?last, ?found, "another log");
                let (topic, partition, offset) = (self.terms.topic.clone(), self.partition, last.first);
                Err(End::Fatal(SourceError::OtherLog { topic, partition, offset }))
            }
            Err(reason) => Err(End::Unchecked(reason)),
        }
    }

    /// Whether it stands at the beginning of the log, wherever that is by now: nothing has come yet.
    pub(in super::super) fn is_untouched(&self) -> bool {
        self.last.is_none() && self.begin == Begin::Beginning
    }
}
