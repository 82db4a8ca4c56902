//! Reads the blocks of one file, one after the other, on threads that may block.

use std::sync::Arc;

use async_trait::async_trait;
use isotherm_files::{Block, Blocks, FileError, Input, InputFormat, Sizes};
use isotherm_model::partial::PartitionId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::{END_UNKNOWN, FileRecords, LogBatch, LogBounds, LogError, LogReader, Shared, byte, fatal, offset};

/// The blocks of a file, once it is open, and what the next one is.
type Done = (Option<Box<Blocks>>, Result<Option<Block>, FileError>);

/// See the module's text.
pub(super) struct FileReader {
    shared: Arc<Shared>,
    partition: PartitionId,
    bounds: LogBounds,
    position: i64,
    until: i64,
    cuts: Vec<i64>,
    /// `None` before it is opened, and while the next block is read.
    blocks: Option<Box<Blocks>>,
    /// Room for the next block, and its reading.
    permit: Option<OwnedSemaphorePermit>,
    under_way: Option<JoinHandle<Done>>,
}

impl FileReader {
    pub(super) fn new(shared: Arc<Shared>, partition: PartitionId, position: i64, bounds: LogBounds) -> Self {
        let (until, cuts, blocks, permit, under_way) = (bounds.end, Vec::new(), None, None, None);
        Self { shared, partition, bounds, position, until, cuts, blocks, permit, under_way }
    }

    /// Begins to read the next block, if that has not begun.
    async fn begin(&mut self) -> Result<(), LogError> {
        if self.under_way.is_some() {
            return Ok(());
        }
        if self.permit.is_none() {
            let permit = self.shared.blocks.clone().acquire_owned().await;
            self.permit = Some(permit.map_err(|error| LogError::Fatal(error.to_string()))?);
        }
        let (input, format, follow) = (self.shared.input(self.partition)?, self.shared.format, self.shared.follow);
        let (position, until) = (byte(self.position), byte(self.until));
        let cuts: Vec<u64> = self.cuts.iter().map(|cut| byte(*cut)).collect();
        let (blocks, memory) = (self.blocks.take(), self.shared.take_memory());
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            let mut blocks = match blocks.map_or_else(|| open(&input, position, format, follow).map(Box::new), Ok) {
                Ok(blocks) => blocks,
                Err(error) => return (None, Err(error)),
            };
            blocks.stop_at(until);
            blocks.cut_at(cuts);
            let block = blocks.next(memory);
            (Some(blocks), block)
        }));
        Ok(())
    }

    /// It ends here, though more of it was read before, or it was longer.
    fn shorter(&self, end: i64) -> LogError {
        let offset = if self.until == END_UNKNOWN { self.position } else { self.until };
        let (topic, partition) = (self.shared.topic.clone(), self.partition);
        LogError::Shorter { topic, partition, offset, end, lagging: false }
    }
}

fn open(input: &Input, position: u64, format: InputFormat, follow: bool) -> Result<Blocks, FileError> {
    if follow {
        return Blocks::follow(input.open(position)?, format, Sizes::default());
    }
    Blocks::open(input, position, format, Sizes::default())
}

#[async_trait]
impl LogReader for FileReader {
    fn bounds(&self) -> LogBounds {
        self.bounds
    }

    async fn ask(&mut self) -> Result<LogBounds, LogError> {
        Ok(self.bounds)
    }

    fn position(&self) -> i64 {
        self.position
    }

    fn seek(&mut self, from: i64, until: i64) {
        // What is being read may be of elsewhere, or reach too far.
        if from != self.position || self.under_way.is_some() {
            (self.blocks, self.under_way) = (None, None);
        }
        (self.position, self.until) = (from, until);
    }

    fn cut_at(&mut self, offsets: &[i64]) {
        self.cuts = offsets.to_vec();
    }

    /// What is appended to a file that is not followed is left to the next run: it ends where it ended when it was opened.
    fn follow(&mut self) {
        self.until = if self.shared.follow { END_UNKNOWN } else { self.bounds.end };
    }

    async fn next(&mut self) -> Result<Option<LogBatch>, LogError> {
        // What is open says whether it may end here.
        if self.position >= self.until && self.blocks.is_none() && self.under_way.is_none() {
            return Ok(None);
        }
        self.begin().await?;
        let Some(under_way) = &mut self.under_way else {
            return Ok(None);
        };
        let done = under_way.await;
        self.under_way = None;
        let (blocks, block) = done.map_err(|error| LogError::Fatal(error.to_string()))?;
        self.blocks = blocks;
        let Some(block) = block.map_err(|error| fatal(&error))? else {
            self.permit = None;
            let end = self.blocks.as_ref().map_or(0, |blocks| offset(blocks.position()));
            if end < self.position || self.until != END_UNKNOWN && end < self.until {
                return Err(self.shorter(end));
            }
            if self.until == END_UNKNOWN {
                self.bounds.end = end;
            }
            return Ok(None);
        };
        let (first, next) = (offset(block.first), offset(block.next));
        if first < self.position {
            return Err(self.shorter(first));
        }
        self.position = next;
        if self.shared.follow {
            self.bounds.end = next;
        }
        let Some(permit) = self.permit.take() else {
            return Err(LogError::Fatal("a block came that was not asked for".to_owned()));
        };
        let records = FileRecords { block: Some(block), shared: self.shared.clone(), _permit: permit };
        Ok(Some(LogBatch::dense(first, next, records)))
    }
}
