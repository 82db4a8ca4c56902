//! A chain applied to the log, as the SPU does it: stored batch by stored batch in order, whole batches even where the
//! read begins inside one, all output joined to one batch.
//!
//! That batch's base offset is the first offset of the first stored batch with output; its last offset delta counts
//! the records *read* from there on, so that a client which acknowledges its end asks for what comes next. Its
//! compression is that first batch's, its timestamps are unset. A batch's output is never split.
//!
//! The SPU loses data in two cases in which this does not. An output that did not fit is kept for the next answer; the SPU
//! drops it, and runs the module with its state over the same batch again. An output that alone is larger than `max_bytes` is
//! an error; the SPU continues after the end of the log.

use bytes::Bytes;
use fluvio_compression::Compression;
use fluvio_protocol::Encoder;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::link::smartmodule::SmartModuleTransformRuntimeError;
use fluvio_protocol::record::{BatchHeader, Record};
use fluvio_smartengine::SmartModuleChainInstance;
use fluvio_smartmodule::dataplane::smartmodule::{SmartModuleInput, SmartModuleOutput};
use tokio_util::sync::CancellationToken;

use crate::log::batch::{self, Header};
use crate::log::records;
use crate::log::{Chunk, PartitionLog};

const READ_BYTES: usize = 1024 * 1024;
/// An answer that has output is sent after this many bytes of log, decompressed, so that a client with a large backlog does not
/// wait long.
const MAX_LOG_BYTES: usize = 64 * 1024 * 1024;
/// The size limit of an answer of more than one batch's output, also if the client allows more.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a chain made of a stretch of the log.
#[derive(Debug)]
pub(crate) struct ChainOutput {
    /// The output, as one batch. Empty if there is none.
    pub(crate) batch: Bytes,
    /// The record that a module failed on; its output up to there is in the batch.
    pub(crate) error: Option<SmartModuleTransformRuntimeError>,
    /// The offset behind the last record that was read.
    pub(crate) next: i64,
}

impl From<Chunk> for ChainOutput {
    /// The log as it is.
    fn from(stored: Chunk) -> Self {
        Self { batch: stored.data, error: None, next: stored.next }
    }
}

/// A chain at work on one partition for one consumer.
#[derive(Debug)]
pub(crate) struct RunningChain {
    chain: SmartModuleChainInstance,
    max_bytes: usize,
    /// Output of the batch that begins at this offset, which did not fit the last answer.
    held: Option<(i64, SmartModuleOutput)>,
}

impl RunningChain {
    /// Applies `chain` for a client that takes `max_bytes` of output at once.
    pub(crate) fn new(chain: SmartModuleChainInstance, max_bytes: usize) -> Self {
        Self { chain, max_bytes, held: None }
    }

    /// Answers from the batch that holds `from`: until `max_bytes` of output, the end of the log, or some tens of
    /// megabytes of log with output. Returns early, with what it has, when `stop` is cancelled. Blocks.
    pub(crate) fn next_output(
        &mut self,
        log: &PartitionLog,
        from: i64,
        stop: &CancellationToken,
    ) -> Result<ChainOutput, ErrorCode> {
        let mut output = Output::default();
        let mut next = from;
        let mut read = 0;
        while !stop.is_cancelled() && (read < MAX_LOG_BYTES || output.records.is_empty()) {
            let chunk = log.read(next, READ_BYTES).map_err(|error| error.code())?;
            if chunk.data.is_empty() {
                break;
            }
            let mut rest = chunk.data;
            while let Some(header) = Header::read(&rest) {
                let stored = rest.split_to(header.length);
                let (mut made, raw_bytes) = match self.held.take() {
                    Some((base, made)) if base == header.base_offset => (made, 0),
                    _ => run(&mut self.chain, &stored, &header)?,
                };
                read += raw_bytes;
                let shift = output.shift(&header);
                shifted(&mut made, shift);
                // Deltas that fit before may not fit now.
                let bytes = records::encodable(&made.successes).then(|| made.successes.write_size(0));
                let fits = bytes.is_some_and(|bytes| output.bytes + bytes <= self.limit(&output));
                let bytes = bytes.unwrap_or_default();
                if !made.successes.is_empty() && !fits {
                    if output.records.is_empty() {
                        return Err(ErrorCode::Other(format!(
                            "the SmartModule's answer to the batch at offset {} has {bytes} bytes, more than the {} that the consumer takes at once: raise max_bytes",
                            header.base_offset, self.max_bytes
                        )));
                    }
                    // The next answer has another base offset.
                    shifted(&mut made, -shift);
                    self.held = Some((header.base_offset, made));
                    return output.finish(next, None);
                }
                let error = output.add(made, bytes, &header);
                next = header.last_offset() + 1;
                if error.is_some() {
                    return output.finish(next, error);
                }
            }
        }
        output.finish(next, None)
    }

    fn limit(&self, output: &Output) -> usize {
        if output.records.is_empty() { self.max_bytes } else { self.max_bytes.min(MAX_ANSWER_BYTES) }
    }
}

/// Applies a chain to the batches of a producer, before they are stored. Gives one batch with dense offsets, or none
/// if the modules let nothing through.
///
/// (The SPU counts the records that came in, which leaves gaps in the log's offsets.)
pub(crate) fn transform(chain: &mut SmartModuleChainInstance, batches: &[Bytes]) -> Result<Option<Bytes>, ErrorCode> {
    let mut output = Output::default();
    for batch in batches {
        let Some(mut header) = Header::read(batch) else { continue };
        let (made, _) = run(chain, batch, &header)?;
        // A producer may have sent anything here; the log sets it.
        header.base_offset = 0;
        if let Some(error) = output.add(made, 0, &header) {
            return Err(ErrorCode::SmartModuleRuntimeError(Box::new(error)));
        }
    }
    if output.records.is_empty() {
        return Ok(None);
    }
    output.last_offset_delta = output.records.len() as i64 - 1;
    for (index, record) in output.records.iter_mut().enumerate() {
        record.preamble.set_offset_delta(index as i64);
    }
    Ok(Some(output.finish(0, None)?.batch))
}

/// Gives a module's output for one batch, and how many bytes the batch has decompressed.
fn run(
    chain: &mut SmartModuleChainInstance,
    stored: &[u8],
    header: &Header,
) -> Result<(SmartModuleOutput, usize), ErrorCode> {
    let raw = batch::raw_records(stored, header).map_err(|error| {
        tracing::error!(offset = header.base_offset, %error, "a stored batch cannot be decompressed");
        ErrorCode::CompressionError
    })?;
    let raw_bytes = raw.len();
    let input = SmartModuleInput::new(raw, header.base_offset, header.first_timestamp);
    let made = chain.process(input).map_err(|error| ErrorCode::Other(format!("SmartModule err {error}")))?;
    if !records::encodable(&made.successes) {
        return Err(ErrorCode::Other("SmartModule err a record's deltas or headers do not fit in 32 bits".into()));
    }
    Ok((made, raw_bytes))
}

/// Moves the offset deltas of a batch's output. They fit in 32 bits before, so that this is exact.
fn shifted(made: &mut SmartModuleOutput, by: i64) {
    for record in &mut made.successes {
        record.add_base_offset(by);
    }
}

#[derive(Default)]
struct Output {
    base: i64,
    compression: Compression,
    /// As in the batch, -1 while there is nothing.
    last_offset_delta: i64,
    records: Vec<Record>,
    bytes: usize,
}

impl Output {
    /// By how much to move the offset deltas of the output for `header`'s batch, since this output has another base.
    fn shift(&self, header: &Header) -> i64 {
        if self.records.is_empty() { 0 } else { self.base.saturating_sub(header.base_offset) }
    }

    /// Adds output whose offset deltas have been moved, and its size.
    fn add(
        &mut self,
        made: SmartModuleOutput,
        bytes: usize,
        header: &Header,
    ) -> Option<SmartModuleTransformRuntimeError> {
        let SmartModuleOutput { mut successes, error } = made;
        let first = self.records.is_empty();
        if first && successes.is_empty() {
            return error;
        }
        if first {
            self.base = header.base_offset;
            self.compression = header.compression().unwrap_or_default();
            self.last_offset_delta = -1;
        }
        self.records.append(&mut successes);
        self.bytes += bytes;
        self.last_offset_delta += header.count();
        error
    }

    fn finish(self, next: i64, error: Option<SmartModuleTransformRuntimeError>) -> Result<ChainOutput, ErrorCode> {
        if self.records.is_empty() {
            return Ok(ChainOutput { batch: Bytes::new(), error, next });
        }
        let build = || {
            let last_offset_delta = i32::try_from(self.last_offset_delta).map_err(std::io::Error::other)?;
            let mut header = BatchHeader { last_offset_delta, ..Default::default() };
            header.set_compression(self.compression);
            batch::build(self.base, header, &self.records)
        };
        let batch =
            build().map_err(|error| ErrorCode::Other(format!("cannot encode the SmartModule's answer: {error}")))?;
        Ok(ChainOutput { batch, error, next })
    }
}
