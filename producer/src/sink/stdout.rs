//! Standard output: one message a line, keys left out.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::Sink;
use crate::error::ProduceError;
use crate::messages::Messages;
use crate::summary::Counters;

/// Lines on standard output, or on any other writer.
///
/// Writing happens on a thread that may block, a chunk at a time: a run that is stopped meanwhile tears no line.
#[derive(Debug)]
pub struct StdoutSink<W = io::Stdout> {
    /// `None` while a chunk is being written, and after a chunk was given up.
    writer: Option<W>,
    lines: Vec<u8>,
    counters: Arc<Counters>,
    writing: Option<JoinHandle<Written<W>>>,
}

/// The writer and the buffer, to be used again, and how writing went.
type Written<W> = (W, Vec<u8>, io::Result<()>);

impl StdoutSink {
    /// The process's standard output.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self::to(io::stdout(), counters)
    }
}

impl<W: Write + Send + 'static> StdoutSink<W> {
    /// Any writer.
    pub fn to(writer: W, counters: Arc<Counters>) -> Self {
        Self { writer: Some(writer), lines: Vec::new(), counters, writing: None }
    }

    /// Waits for the chunk that is being written. Given up, it can be waited for again.
    async fn written(&mut self) -> Result<(), ProduceError> {
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        let done = writing.await;
        self.writing = None;
        let (writer, lines, result) = done.map_err(|gone| ProduceError::Stdout(io::Error::other(gone)))?;
        self.writer = Some(writer);
        self.lines = lines;
        result.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => ProduceError::StdoutClosed,
            _ => ProduceError::Stdout(error),
        })
    }
}

#[async_trait]
impl<W: Write + Send + 'static> Sink for StdoutSink<W> {
    async fn send(&mut self, messages: &Messages) -> Result<(), ProduceError> {
        self.written().await?;
        let Some(mut writer) = self.writer.take() else {
            return Err(ProduceError::StdoutClosed);
        };
        let mut lines = std::mem::take(&mut self.lines);
        lines.clear();
        for message in messages.iter() {
            let from = lines.len();
            lines.extend_from_slice(message.value);
            // An element of an array may go over several lines; in a JSON text a line end is white space.
            lines.iter_mut().skip(from).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
            lines.push(b'\n');
        }
        let (count, counters) = (messages.len() as u64, Arc::clone(&self.counters));
        counters.sent.add(count);
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let result = writer.write_all(&lines).and_then(|()| writer.flush());
            if result.is_ok() {
                counters.acknowledged.add(count);
            }
            (writer, lines, result)
        }));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ProduceError> {
        self.written().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then is a pipe without a reader.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => self.0 = left,
                None => return Err(ErrorKind::BrokenPipe.into()),
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_pipe_is_told_from_other_errors() {
        let counters = Arc::new(Counters::default());
        let mut sink = StdoutSink::to(Pipe(4), Arc::clone(&counters));
        let mut messages = Messages::new();
        messages.push(Some(b"key"), b"abc");
        sink.send(&messages).await.unwrap();
        sink.flush().await.unwrap();
        assert_eq!((counters.sent.get(), counters.acknowledged.get()), (1, 1));
        sink.send(&messages).await.unwrap();
        assert!(matches!(sink.flush().await, Err(ProduceError::StdoutClosed)));
        assert_eq!((counters.sent.get(), counters.acknowledged.get()), (2, 1));
    }
}
