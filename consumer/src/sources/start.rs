//! From where a partition is read, given where its log begins and ends now.

use isotherm_model::partial::PartitionId;

use super::error::SourceError;
use super::plan::ReadStart;
use crate::log::LogBounds;

/// What a reader has read of its partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: PartitionId,
    /// Where to begin if nothing has been read yet.
    pub(super) begin: ReadStart,
    /// Up to where it has been delivered; `None` before the first attach.
    pub(super) position: Option<i64>,
    /// Whether any batch has been delivered.
    pub(super) has_read: bool,
    /// Whether the run had been told to accept data loss.
    pub(super) accept_data_loss: bool,
}

impl Progress<'_> {
    /// The offset to read from: the position, if the log still has it.
    pub(super) fn start(&self, LogBounds { start, end }: LogBounds) -> Result<i64, SourceError> {
        let (topic, partition) = (self.topic.to_owned(), self.partition);
        match (self.position, self.begin) {
            (None, ReadStart::Beginning) => Ok(start),
            (None, ReadStart::End) => Ok(end),
            (None, ReadStart::At { offset: resume, .. }) if resume > end => {
                Err(SourceError::Shorter { topic, partition, position: resume, end })
            }
            (None, ReadStart::At { offset: resume, needed, accept_data_loss: false })
                if resume < start && needed < start =>
            {
                Err(SourceError::Behind { topic, partition, resume, start })
            }
            (None, ReadStart::At { offset, .. }) => Ok(offset.max(start)),
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

    /// Whether it is at the beginning of the log, wherever that is now: nothing has come yet.
    pub(super) fn is_untouched(&self) -> bool {
        !self.has_read && self.begin == ReadStart::Beginning
    }

    /// Retention has deleted what comes next.
    pub(super) fn evicted(&self, position: i64, start: i64) -> SourceError {
        let (accept_data_loss, topic) = (self.accept_data_loss, self.topic.to_owned());
        SourceError::Evicted { accept_data_loss, topic, partition: self.partition, position, start }
    }

    /// What to say where reading begins later than the store says.
    pub(super) fn later_start(&self, position: i64) -> Option<String> {
        let (None, ReadStart::At { offset, needed, .. }) = (self.position, self.begin) else {
            return None;
        };
        let Self { topic, partition, .. } = self;
        if offset >= position {
            return None;
        }
        Some(if position <= needed {
            format!(
                "partition {partition} of `{topic}` begins at offset {position} now: nothing is missing, but the batch at \
                 {offset}, which was read last, can no longer tell whether this is the log that was read"
            )
        } else {
            format!(
                "partition {partition} of `{topic}` begins at offset {position} now: going on without {offset} to it"
            )
        })
    }
}
