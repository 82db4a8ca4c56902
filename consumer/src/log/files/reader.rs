//! Reads the blocks of one file, one after the other, on threads that may block. A file that is followed is read part by part.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isotherm_engine::state::LogPart;
use isotherm_files::{Block, Blocks, FileError, Input, Sizes};
use isotherm_model::partial::PartitionId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::parts::{Ended, Parts, Piece};
use super::{
    END_UNKNOWN, FileRecords, LogBatch, LogBounds, LogError, LogReader, Shared, blocking, byte, fatal, offset,
};

/// How soon is looked again whether more was written to a file that is followed, and how seldom at the least.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// What is open.
enum Open {
    /// A file or a pipe, which is read to its end.
    Whole(Blocks),
    /// A part of a file that is, or was, followed.
    Part(Piece),
}

/// What came of reading on.
enum Next {
    /// A block, and the offset of its part's first byte.
    Block(Block, i64),
    /// All up to here has been read.
    End(i64),
    /// Nothing more has been written so far.
    NotYet,
    /// The file ends here, before what was read of it.
    Cut(i64),
}

/// What stays open, and what came.
type Done = (Option<Box<Open>>, Result<Next, FileError>);

/// What a block is read of, and up to where.
struct Task {
    shared: Arc<Shared>,
    partition: PartitionId,
    input: Input,
    open: Option<Box<Open>>,
    position: i64,
    until: i64,
    cuts: Vec<i64>,
}

/// See the module's text.
pub(super) struct FileReader {
    shared: Arc<Shared>,
    partition: PartitionId,
    bounds: LogBounds,
    position: i64,
    until: i64,
    cuts: Vec<i64>,
    /// `None` before it is opened, and while the next block is read.
    open: Option<Box<Open>>,
    /// Room for the next block, and its reading.
    permit: Option<OwnedSemaphorePermit>,
    under_way: Option<JoinHandle<Done>>,
    /// When to look again, and how long after that the next time.
    wake: Option<Instant>,
    pause: Duration,
}

impl FileReader {
    pub(super) fn new(shared: Arc<Shared>, partition: PartitionId, position: i64, bounds: LogBounds) -> Self {
        let (until, cuts, open, permit, under_way) = (bounds.end, Vec::new(), None, None, None);
        Self { shared, partition, bounds, position, until, cuts, open, permit, under_way, wake: None, pause: LOOK.0 }
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
        let task = Task {
            shared: self.shared.clone(),
            partition: self.partition,
            input: self.shared.input(self.partition)?,
            open: self.open.take(),
            position: self.position,
            until: self.until,
            cuts: self.cuts.clone(),
        };
        self.under_way = Some(tokio::task::spawn_blocking(move || task.run()));
        Ok(())
    }

    /// It ends here, though more of it was read before, or it was longer.
    fn shorter(&self, end: i64) -> LogError {
        let offset = if self.until == END_UNKNOWN { self.position } else { self.until };
        let (topic, partition) = (self.shared.topic.clone(), self.partition);
        LogError::Shorter { topic, partition, offset, end, lagging: false }
    }
}

impl Task {
    fn run(mut self) -> Done {
        let mut open = self.open.take();
        loop {
            let mut now = match open.take() {
                Some(open) => open,
                None => match self.opened() {
                    Ok(Some(open)) => Box::new(open),
                    Ok(None) => return (None, Ok(Next::NotYet)),
                    Err(error) if error.is_not_yet() => return (None, Ok(Next::NotYet)),
                    Err(error) => return (None, Err(error)),
                },
            };
            let next = match &mut *now {
                Open::Whole(blocks) => self.block(blocks, 0, None).map(|block| match block {
                    Some(block) => Some(Next::Block(block, 0)),
                    None => Some(Next::End(offset(blocks.position()))),
                }),
                Open::Part(piece) => self.part(piece),
            };
            match next {
                Ok(Some(next)) => return (Some(now), Ok(next)),
                // The part has been read.
                Ok(None) => {}
                Err(error) => return (Some(now), Err(error)),
            }
        }
    }

    fn opened(&self) -> Result<Option<Open>, FileError> {
        let Shared { format, follow, .. } = *self.shared;
        if let Some(parts) = self.shared.parts(self.partition) {
            return Ok(parts.open(self.position, follow)?.map(Open::Part));
        }
        let blocks = if follow {
            Blocks::follow(self.input.open(byte(self.position))?, format, Sizes::default())?
        } else {
            Blocks::open(&self.input, byte(self.position), format, Sizes::default())?
        };
        Ok(Some(Open::Whole(blocks)))
    }

    /// The next block of what begins at `base`, and ends at `end` at the latest.
    fn block(&self, blocks: &mut Blocks, base: i64, end: Option<i64>) -> Result<Option<Block>, FileError> {
        let local = |offset: i64| byte(offset.saturating_sub(base));
        blocks.stop_at(if self.until == END_UNKNOWN && end.is_none() {
            u64::MAX
        } else {
            local(self.until.min(end.unwrap_or(END_UNKNOWN)))
        });
        blocks.cut_at(self.cuts.iter().filter(|cut| **cut > base).map(|cut| local(*cut)));
        blocks.next(self.shared.take_memory())
    }

    /// Reads a part on; `None` if it has been read to its end, and another one follows.
    fn part(&mut self, piece: &mut Piece) -> Result<Option<Next>, FileError> {
        if !piece.is_as_seen()? {
            return Ok(Some(Next::Cut(piece.base.saturating_add(offset(piece.blocks.position())))));
        }
        loop {
            let block = self.block(&mut piece.blocks, piece.base, piece.end);
            let read = piece.base.saturating_add(offset(piece.blocks.position()));
            match block {
                Ok(Some(block)) => return Ok(Some(Next::Block(block, piece.base))),
                Ok(None) if read >= self.until => return Ok(Some(Next::End(read))),
                Ok(None) if piece.end == Some(read) => {
                    self.position = read;
                    return Ok(None);
                }
                Ok(None) if piece.end.is_some() || !self.shared.follow => return Ok(Some(Next::Cut(read))),
                Ok(None) => {}
                Err(error) if error.is_not_yet() => {}
                Err(error) => return Err(error),
            }
            let Some(parts) = self.shared.parts(self.partition).filter(|_| self.until == END_UNKNOWN) else {
                return Ok(Some(Next::Cut(read)));
            };
            match parts.ended(piece)? {
                Ended::NotYet => return Ok(Some(Next::NotYet)),
                Ended::Closed => {}
                Ended::Cut(end) => return Ok(Some(Next::Cut(end))),
                Ended::Replaced => {
                    self.position = read;
                    return Ok(None);
                }
            }
        }
    }
}

#[async_trait]
impl LogReader for FileReader {
    fn bounds(&self) -> LogBounds {
        self.bounds
    }

    /// Of what is followed the end is asked again: of other files it is what it was when they were opened.
    async fn ask(&mut self) -> Result<LogBounds, LogError> {
        if self.shared.follow && self.shared.parts(self.partition).is_some() {
            let (shared, partition) = (self.shared.clone(), self.partition);
            if let Some(bounds) =
                blocking(move || shared.parts(partition).map(|parts| parts.bounds(true)).transpose()).await?
            {
                self.bounds.end = bounds.end.max(self.position);
            }
        }
        Ok(self.bounds)
    }

    fn position(&self) -> i64 {
        self.position
    }

    fn seek(&mut self, from: i64, until: i64) {
        // What is being read may be of elsewhere, or reach too far.
        if from != self.position || self.under_way.is_some() {
            (self.open, self.under_way) = (None, None);
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

    fn parts(&mut self) -> Vec<(u32, LogPart)> {
        self.shared.parts(self.partition).map_or_else(Vec::new, Parts::news)
    }

    async fn next(&mut self) -> Result<Option<LogBatch>, LogError> {
        loop {
            // What is open says whether it may end here.
            if self.position >= self.until && self.open.is_none() && self.under_way.is_none() {
                return Ok(None);
            }
            if let Some(wake) = self.wake {
                sleep_until(wake).await;
                self.wake = None;
            }
            self.begin().await?;
            let Some(under_way) = &mut self.under_way else {
                return Ok(None);
            };
            let done = under_way.await;
            self.under_way = None;
            let (open, next) = done.map_err(|error| LogError::Fatal(error.to_string()))?;
            self.open = open;
            let (block, base) = match next.map_err(|error| fatal(&error))? {
                Next::Block(block, base) => (block, base),
                Next::NotYet => {
                    // Others may need the room meanwhile.
                    (self.permit, self.wake) = (None, Some(Instant::now() + self.pause));
                    self.pause = (self.pause * 2).min(LOOK.1);
                    continue;
                }
                Next::Cut(end) => return Err(self.shorter(end)),
                Next::End(end) => {
                    self.permit = None;
                    if end < self.position || self.until != END_UNKNOWN && end < self.until {
                        return Err(self.shorter(end));
                    }
                    if self.until == END_UNKNOWN {
                        self.bounds.end = end;
                    }
                    return Ok(None);
                }
            };
            let (first, next) = (base.saturating_add(offset(block.first)), base.saturating_add(offset(block.next)));
            if first < self.position {
                return Err(self.shorter(first));
            }
            self.position = next;
            self.pause = LOOK.0;
            if self.shared.follow {
                self.bounds.end = self.bounds.end.max(next);
            }
            let Some(permit) = self.permit.take() else {
                return Err(LogError::Fatal("a block came that was not asked for".to_owned()));
            };
            let records = FileRecords { block: Some(block), shared: self.shared.clone(), _permit: permit };
            return Ok(Some(LogBatch::dense(first, next, records)));
        }
    }
}
