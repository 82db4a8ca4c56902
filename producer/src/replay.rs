//! Replays lines of a file or of standard input: each non-empty line unchanged, without its line end.
//!
//! It keeps one buffer, which grows only for a longer line. Lines go out as soon as they have come in, so a slow pipe is not held
//! back.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::{Input, Key, KeyPointers};
use crate::error::ProduceError;
use crate::key::key_of;
use crate::messages::Messages;
use crate::summary::Counters;

/// The longest line: a broker takes batches of 32 MiB, and a batch of one record has a frame around it.
pub const LONGEST_LINE: usize = 32 * 1024 * 1024 - 256;

/// How much is read at once.
const READ: usize = 256 * 1024;
/// How many bytes of lines go out at once.
const CHUNK: usize = 128 * 1024;

/// The lines of an input.
pub struct Replay {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    name: String,
    pointer: Option<String>,
    counters: Arc<Counters>,
    buffer: Vec<u8>,
    /// The next line's place in the buffer.
    start: usize,
    /// From `start` to here, the buffer holds no line end.
    searched: usize,
    ended: bool,
    line: u64,
}

impl Replay {
    /// Opens the input. Returns its length in bytes too, if it has one.
    ///
    /// # Errors
    /// [`ProduceError::Input`] if the file cannot be opened.
    pub async fn open(
        input: &Input,
        key: Key,
        pointers: &KeyPointers,
        counters: Arc<Counters>,
    ) -> Result<(Self, Option<u64>), ProduceError> {
        match input {
            Input::Stdin => {
                Ok((Self::new(Box::new(tokio::io::stdin()), "standard input", key, pointers, counters), None))
            }
            Input::File(path) => {
                let name = path.display().to_string();
                let failed = |source| ProduceError::Input { input: name.clone(), source };
                let file = tokio::fs::File::open(path).await.map_err(failed)?;
                let metadata = file.metadata().await.map_err(failed)?;
                let length = metadata.is_file().then_some(metadata.len());
                Ok((Self::new(Box::new(file), &name, key, pointers, counters), length))
            }
        }
    }

    /// Reads lines from `reader`; errors call it `name`.
    pub fn new(
        reader: Box<dyn AsyncRead + Send + Unpin>,
        name: &str,
        key: Key,
        pointers: &KeyPointers,
        counters: Arc<Counters>,
    ) -> Self {
        let pointer = match key {
            Key::None => None,
            Key::Group => Some(pointers.group.clone()),
            Key::Sensor => Some(pointers.sensor.clone()),
        };
        Self {
            reader,
            name: name.to_owned(),
            pointer,
            counters,
            buffer: Vec::with_capacity(READ),
            start: 0,
            searched: 0,
            ended: false,
            line: 0,
        }
    }

    /// Appends at least one and at most `max` lines to `out`, waiting for the first. Returns whether there was one.
    ///
    /// # Errors
    /// [`ProduceError::Input`] if reading fails, [`ProduceError::LineTooLong`] for a line that no broker takes.
    pub async fn fill(&mut self, max: usize, out: &mut Messages) -> Result<bool, ProduceError> {
        loop {
            self.take_lines(max, out)?;
            if !out.is_empty() || max == 0 {
                return Ok(true);
            }
            if self.ended {
                return Ok(false);
            }
            self.read().await?;
        }
    }

    fn take_lines(&mut self, max: usize, out: &mut Messages) -> Result<(), ProduceError> {
        while out.len() < max && out.byte_len() < CHUNK {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let end = match unsearched.iter().position(|byte| *byte == b'\n') {
                Some(at) => self.searched + at,
                None => {
                    self.searched = self.buffer.len();
                    // The last line may lack its end.
                    if !self.ended || self.start == self.buffer.len() {
                        break;
                    }
                    self.buffer.len()
                }
            };
            let line = self.buffer.get(self.start..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.len() > LONGEST_LINE {
                return self.unless_lines_wait(out);
            }
            self.line += 1;
            if !line.is_empty() {
                let key = self.pointer.as_deref().and_then(|pointer| key_of(line, pointer));
                out.push(key.as_deref().map(str::as_bytes), line);
            }
            self.start = (end + 1).min(self.buffer.len());
            self.searched = self.start;
        }
        if !self.ended && self.buffer.len() - self.start > LONGEST_LINE + 1 && self.searched == self.buffer.len() {
            return self.unless_lines_wait(out);
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), ProduceError> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.reserve(READ);
        let read = self
            .reader
            .read_buf(&mut self.buffer)
            .await
            .map_err(|source| ProduceError::Input { input: self.name.clone(), source })?;
        self.ended = read == 0;
        self.counters.input_bytes.add(read as u64);
        Ok(())
    }

    /// The line is too long; the lines before it go out first, and the next call comes here again.
    fn unless_lines_wait(&self, out: &Messages) -> Result<(), ProduceError> {
        if out.is_empty() {
            return Err(ProduceError::LineTooLong {
                input: self.name.clone(),
                line: self.line + 1,
                limit: LONGEST_LINE,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn replay(bytes: Vec<u8>, key: Key) -> Replay {
        Replay::new(Box::new(Cursor::new(bytes)), "test", key, &KeyPointers::default(), Arc::default())
    }

    type Line = (Option<Vec<u8>>, Vec<u8>);

    fn all(mut replay: Replay, max: usize) -> Result<Vec<Line>, ProduceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
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
        assert_eq!(values, [&b"{\"a\":1} "[..], b"\xff\rx", b" ", b"last"]);
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
            let clean = |line: &Vec<u8>| -> Vec<u8> {
                line.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect()
            };
            let lines: Vec<_> = lines.iter().map(clean).collect();
            let end: &[u8] = if crlf { b"\r\n" } else { b"\n" };
            let sent = all(replay(lines.join(end), Key::None), max).unwrap();
            let sent: Vec<_> = sent.into_iter().map(|(_, value)| value).collect();
            let expected: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
