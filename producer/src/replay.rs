//! Replays the records of a file or of standard input: lines or the elements of an array, compressed or not, each unchanged and without its
//! line end. A line of white space alone is sent, as a record that is no reading.
//!
//! One block of them is in memory at a time. Lines go out as soon as they have come in, so a slow pipe is not held back.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isotherm_files::{Block, Blocks, Content, FileError, Sizes};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::config::{Input, Key, KeyPointers};
use crate::error::ProduceError;
use crate::key::key_of;
use crate::messages::Messages;
use crate::summary::Counters;

/// The longest record: a broker takes batches of 32 MiB, and a batch of one record has a frame around it.
pub const LONGEST_LINE: usize = 32 * 1024 * 1024 - 256;

/// How many bytes of lines go out at once.
const CHUNK: usize = 128 * 1024;

/// How the next block is read: the blocks, for the one after it, and the block.
type Reading = JoinHandle<(Blocks, Result<Option<Block>, FileError>)>;

/// The records of an input.
pub struct Replay {
    name: String,
    pointer: Option<String>,
    counters: Arc<Counters>,
    /// `None` while a block is read.
    blocks: Option<Blocks>,
    reading: Option<Reading>,
    /// The records that have been read, and where in their block the next one is.
    block: Option<Block>,
    place: usize,
    ended: bool,
    /// How much of the input has been read, and how much of that is counted.
    read: Arc<AtomicU64>,
    counted: u64,
    record: u64,
}

impl Replay {
    /// Opens the input. Returns its length in bytes too, if it has one.
    ///
    /// # Errors
    /// [`ProduceError::Input`] if the file cannot be opened, [`ProduceError::File`] if it holds no text.
    pub async fn open(
        input: &Input,
        key: Key,
        pointers: &KeyPointers,
        counters: Arc<Counters>,
    ) -> Result<(Self, Option<u64>), ProduceError> {
        let input = match input {
            Input::Stdin => isotherm_files::Input::Stdin,
            Input::File(path) => isotherm_files::Input::File(path.clone()),
        };
        let name = input.name();
        let content = blocking(move || input.open(0)).await?;
        let length = content.length();
        Ok((Self::of(content, &name, key, pointers, counters).await?, length))
    }

    /// Reads records from `reader`; errors call it `name`.
    ///
    /// # Errors
    /// As [`Replay::open`].
    pub async fn new(
        reader: Box<dyn Read + Send>,
        name: &str,
        key: Key,
        pointers: &KeyPointers,
        counters: Arc<Counters>,
    ) -> Result<Self, ProduceError> {
        let called = name.to_owned();
        let content = blocking(move || Content::of(reader, &called, None)).await?;
        Self::of(content, name, key, pointers, counters).await
    }

    async fn of(
        content: Content,
        name: &str,
        key: Key,
        pointers: &KeyPointers,
        counters: Arc<Counters>,
    ) -> Result<Self, ProduceError> {
        let pointer = match key {
            Key::None => None,
            Key::Group => Some(pointers.group.clone()),
            Key::Sensor => Some(pointers.sensor.clone()),
        };
        let read = content.read_so_far();
        let blocks = blocking(move || Blocks::of(content, None, Sizes::default())).await?;
        Ok(Self {
            name: name.to_owned(),
            pointer,
            counters,
            blocks: Some(blocks.as_they_come().with_blank_lines()),
            reading: None,
            block: None,
            place: 0,
            ended: false,
            read,
            counted: 0,
            record: 0,
        })
    }

    /// Appends at least one and at most `max` records to `out`, waiting for the first. Returns whether there was one.
    ///
    /// # Errors
    /// [`ProduceError::File`] if reading fails, [`ProduceError::LineTooLong`] for a record that no broker takes.
    pub async fn fill(&mut self, max: usize, out: &mut Messages) -> Result<bool, ProduceError> {
        loop {
            self.take_records(max, out)?;
            if !out.is_empty() || max == 0 {
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.read().await?;
        }
    }

    fn take_records(&mut self, max: usize, out: &mut Messages) -> Result<(), ProduceError> {
        let Some(block) = &self.block else {
            return Ok(());
        };
        while out.len() < max && out.byte_len() < CHUNK {
            let mut place = self.place;
            let Some(record) = block.record(&mut place) else {
                self.block = None;
                return Ok(());
            };
            // One that is longer than any record is shown as an empty one.
            if record.is_empty() || record.len() > LONGEST_LINE {
                // The records before it go out first, and the next call comes here again.
                let (input, line) = (self.name.clone(), self.record + 1);
                let error = ProduceError::LineTooLong { input, line, limit: LONGEST_LINE };
                return if out.is_empty() { Err(error) } else { Ok(()) };
            }
            (self.place, self.record) = (place, self.record + 1);
            let key = self.pointer.as_deref().and_then(|pointer| key_of(record, pointer));
            out.push(key.as_deref().map(str::as_bytes), record);
        }
        Ok(())
    }

    /// Reads the next block. Given up, it can be called again.
    async fn read(&mut self) -> Result<(), ProduceError> {
        if let Some(mut blocks) = self.blocks.take() {
            self.reading = Some(spawn_blocking(move || {
                let block = blocks.next(Vec::new());
                (blocks, block)
            }));
        }
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        let done = reading.await;
        self.reading = None;
        let (blocks, block) = done.map_err(|gone| ProduceError::Reader(gone.to_string()))?;
        self.blocks = Some(blocks);
        let read = self.read.load(Ordering::Relaxed);
        self.counters.input_bytes.add(read - self.counted);
        self.counted = read;
        (self.block, self.place) = (block?, 0);
        self.ended = self.block.is_none();
        Ok(())
    }
}

/// Does what may block on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, ProduceError> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(gone) => Err(ProduceError::Reader(gone.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    /// An input that has not been opened.
    struct Unopened(Vec<u8>, Key);

    fn replay(bytes: Vec<u8>, key: Key) -> Unopened {
        Unopened(bytes, key)
    }

    type Line = (Option<Vec<u8>>, Vec<u8>);

    fn all(Unopened(bytes, key): Unopened, max: usize) -> Result<Vec<Line>, ProduceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let reader = Box::new(Cursor::new(bytes));
            let mut replay = Replay::new(reader, "test", key, &KeyPointers::default(), Arc::default()).await?;
            let (mut lines, mut out) = (Vec::new(), Messages::new());
            while replay.fill(max, &mut out).await? {
                assert!((1..=max).contains(&out.len()));
                lines.extend(out.iter().map(|line| (line.key.map(<[u8]>::to_vec), line.value.to_vec())));
                out.clear();
            }
            Ok(lines)
        })
    }

    #[test]
    fn lines_stand_as_they_are_less_their_end() {
        let bytes = b"\n{\"a\":1} \r\n\r\n\xff\rx\n \nlast".to_vec();
        let lines = all(replay(bytes, Key::None), 2).unwrap();
        let values: Vec<_> = lines.into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"{\"a\":1} "[..], b"\xff\rx", b" ", b"last"], "an empty line is no record");
    }

    #[test]
    fn the_elements_of_an_array_are_sent_as_they_stand() {
        let lines = all(replay(b"[\n  {\"a\":\n1},\n  2\n]\n".to_vec(), Key::None), 10).unwrap();
        let values: Vec<_> = lines.into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"{\"a\":\n1}"[..], b"2"]);
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        let error = all(replay(b"\xff\xfe{\0}\0".to_vec(), Key::None), 10).unwrap_err();
        assert!(error.to_string().contains("UTF-16"), "{error}");
    }

    #[test]
    fn keys_come_from_the_line() {
        let bytes = br#"{"state":"AK","guid":"g1"}
{"state":"AK","state":"AL","guid":7}
no json
{"guid":"","state":""}
"#;
        let keys =
            |key| all(replay(bytes.to_vec(), key), 10).unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(Key::Group), [Some(b"AK".to_vec()), Some(b"AL".to_vec()), None, None]);
        assert_eq!(keys(Key::Sensor), [Some(b"g1".to_vec()), None, None, None]);
    }

    #[test]
    fn a_line_may_be_as_long_as_a_broker_takes_and_no_longer() {
        let mut bytes = vec![b'x'; LONGEST_LINE];
        bytes.extend_from_slice(b"\r\ny\n");
        let lines = all(replay(bytes.clone(), Key::None), 10).unwrap();
        assert_eq!(lines.iter().map(|(_, value)| value.len()).collect::<Vec<_>>(), [LONGEST_LINE, 1]);
        for end in ["", "\n"] {
            let mut bytes = b"y\n".to_vec();
            bytes.resize(LONGEST_LINE + 3, b'x');
            bytes.extend_from_slice(end.as_bytes());
            let error = all(replay(bytes, Key::None), 10).unwrap_err();
            assert!(matches!(error, ProduceError::LineTooLong { line: 2, .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_lost_or_changed(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..60),
            crlf: bool,
            max in 1usize..20,
        ) {
            // Nothing that makes the whole of them another thing than lines of text.
            let clean = |line: &Vec<u8>| -> Vec<u8> {
                line.iter().copied().filter(|byte| !matches!(byte, 0 | b'\n' | b'\r' | b' ' | b'\t')).collect()
            };
            let mut lines: Vec<_> = lines.iter().map(clean).collect();
            lines.insert(0, b"first".to_vec());
            let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
            let sent = all(replay(lines.join(end), Key::None), max).unwrap();
            let sent: Vec<_> = sent.into_iter().map(|(_, value)| value).collect();
            let expected: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
