//! Files and pipes as a [`Log`]: each is a partition, and an offset is a byte of its content.
//!
//! A batch is a block of whole records ([`isotherm_files`] says where it ends). Records have no key and no log timestamp. A file that is
//! followed may be rotated: it then has [`parts`], which [`rotated`] finds again.

pub mod address;
mod names;
mod parts;
mod reader;
mod rotated;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use isotherm_engine::state::LogPart;
use isotherm_files::{Block, FileError, Input, InputFormat};
use isotherm_model::partial::PartitionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::address::FilesAddress;
use self::parts::Parts;
use self::reader::FileReader;
use super::{
    END_UNKNOWN, FILES, Log, LogBatch, LogBounds, LogError, LogIdentity, LogReader, LogRecord, ReadOptions, Records,
};

/// How many blocks may be in memory at once, for each processor, over all files. A block is about 1 MiB, and never much more than
/// [`isotherm_files::LONGEST_RECORD`].
const BLOCKS: usize = 4;

/// Files and pipes.
pub struct FilesLog {
    identity: LogIdentity,
    shared: Arc<Shared>,
}

/// What all readers of the files know.
struct Shared {
    topic: String,
    inputs: Vec<Input>,
    /// Of each input that is a regular file, or none.
    parts: Vec<Option<Parts>>,
    format: InputFormat,
    follow: bool,
    blocks: Arc<Semaphore>,
    /// Memory of blocks that are no longer needed.
    memory: Mutex<Vec<Vec<u8>>>,
}

impl FilesLog {
    /// Nothing is opened yet.
    pub(crate) fn new(address: &FilesAddress) -> Self {
        let topic = address.name();
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Shared {
            topic: topic.clone(),
            parts: address.inputs().into_iter().map(|input| parts(input, address)).collect(),
            inputs: address.inputs(),
            format: address.format,
            follow: address.follow,
            blocks: Arc::new(Semaphore::new(BLOCKS.saturating_mul(processors))),
            memory: Mutex::default(),
        };
        Self { identity: LogIdentity { kind: FILES, address: address.stored(), topic }, shared: Arc::new(shared) }
    }
}

impl Shared {
    fn input(&self, partition: PartitionId) -> Result<Input, LogError> {
        let input = usize::try_from(partition).ok().and_then(|number| self.inputs.get(number));
        input
            .cloned()
            .ok_or_else(|| LogError::Fatal(format!("there is no file of number {partition} in {}", self.topic)))
    }

    async fn bounds(self: &Arc<Self>, partition: PartitionId) -> Result<LogBounds, LogError> {
        let (input, follow) = (self.input(partition)?, self.follow);
        if self.parts(partition).is_some() {
            let shared = self.clone();
            let bounds = move || shared.parts(partition).map(|parts| parts.bounds(follow)).transpose();
            return Ok(blocking(bounds).await?.unwrap_or(LogBounds { start: 0, end: 0 }));
        }
        let length = blocking(move || input.length()).await?;
        // What is followed ends, so far, where it has been read to.
        let unknown = if follow { 0 } else { END_UNKNOWN };
        Ok(LogBounds { start: 0, end: length.map_or(unknown, offset) })
    }

    /// The parts of a file that is, or was, followed.
    fn parts(&self, partition: PartitionId) -> Option<&Parts> {
        let parts = usize::try_from(partition).ok().and_then(|number| self.parts.get(number)).and_then(Option::as_ref);
        parts.filter(|parts| self.follow || parts.are_known())
    }

    fn take_memory(&self) -> Vec<u8> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }
}

#[async_trait]
impl Log for FilesLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn partitions(&self) -> Result<Option<u32>, LogError> {
        Ok(Some(u32::try_from(self.shared.inputs.len()).unwrap_or(u32::MAX)))
    }

    async fn bounds(&self, partition: PartitionId) -> Result<LogBounds, LogError> {
        self.shared.bounds(partition).await
    }

    fn name(&self, partition: PartitionId) -> String {
        self.shared.input(partition).map_or_else(|error| error.to_string(), |input| input.name())
    }

    fn resume(&self, partition: PartitionId, from: i64, position: i64, parts: &[LogPart]) {
        let known = usize::try_from(partition).ok().and_then(|number| self.shared.parts.get(number));
        if let Some(Some(known)) = known {
            known.resume(from, position, parts);
        }
    }

    async fn read(
        &self,
        partition: PartitionId,
        from: i64,
        _options: ReadOptions,
    ) -> Result<Box<dyn LogReader>, LogError> {
        let bounds = self.shared.bounds(partition).await?;
        let topic = self.identity.topic.clone();
        if from < bounds.start {
            return Err(LogError::Evicted { topic, partition, offset: from, start: bounds.start });
        }
        if from > bounds.end {
            return Err(LogError::Shorter { topic, partition, offset: from, end: bounds.end, lagging: false });
        }
        Ok(Box::new(FileReader::new(self.shared.clone(), partition, from, bounds)))
    }
}

fn parts(input: Input, address: &FilesAddress) -> Option<Parts> {
    match input {
        Input::File(path) => {
            let others = address.inputs().into_iter().filter_map(|other| match other {
                Input::File(other) if other != path => Some(other),
                _ => None,
            });
            Some(Parts::new(path.clone(), others.collect(), address.format))
        }
        Input::Stdin => None,
    }
}

/// A block as the records of a batch. Its memory is used again.
struct FileRecords {
    block: Option<Block>,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Records for FileRecords {
    fn each(&self, _buffer: &mut Vec<u8>, show: &mut dyn FnMut(LogRecord<'_>)) -> Result<(), String> {
        if let Some(block) = &self.block {
            block.each(|value| show(LogRecord { offset: None, timestamp: None, key: None, value: Some(value) }));
        }
        Ok(())
    }

    fn byte_len(&self) -> usize {
        self.block.as_ref().map_or(0, Block::byte_len)
    }
}

impl Drop for FileRecords {
    fn drop(&mut self) {
        let memory = self.block.take().map(Block::into_bytes).unwrap_or_default();
        let mut all = self.shared.memory.lock().unwrap_or_else(PoisonError::into_inner);
        // What a long record took is given back.
        if all.len() < BLOCKS && memory.capacity() <= 4 << 20 {
            all.push(memory);
        }
    }
}

/// Does what may block on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| fatal(&error)),
        Err(error) => Err(LogError::Fatal(error.to_string())),
    }
}

/// Waiting changes nothing of a file that cannot be read.
fn fatal(error: &FileError) -> LogError {
    LogError::Fatal(error.to_string())
}

fn offset(byte: u64) -> i64 {
    i64::try_from(byte).unwrap_or(END_UNKNOWN)
}

fn byte(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
