//! The writing side of a connection: one task writes, and any number of tasks send it frames. A client that does not read
//! blocks the tasks that send to it, and no others.

use std::io;

use bytes::{BufMut, Bytes};
use fluvio_protocol::Encoder;
use fluvio_protocol::api::RequestHeader;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// Frames that may wait for a slow client, on one connection.
const QUEUE: usize = 16;

struct Frame {
    head: Vec<u8>,
    tail: Bytes,
    written: Option<oneshot::Sender<()>>,
}

/// Sends frames to a connection's writer.
#[derive(Clone)]
pub(crate) struct Sender {
    queue: mpsc::Sender<Frame>,
}

/// The client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

impl Sender {
    /// A sender and the task that writes what it sends, to be spawned; it ends with an error of the connection or when
    /// all senders are dropped, and all is written and `settled` is done.
    pub(crate) fn new<W: AsyncWrite + Unpin>(
        sink: W,
        settled: impl Future<Output = ()>,
    ) -> (Self, impl Future<Output = io::Result<()>>) {
        let (queue, frames) = mpsc::channel(QUEUE);
        (Self { queue }, write_all(sink, frames, settled))
    }

    /// Sends a response. Returns once it is queued.
    pub(crate) async fn send(&self, reply: Reply) -> Result<(), Gone> {
        self.queue.send(Frame { head: reply.head, tail: reply.tail, written: None }).await.map_err(|_| Gone)
    }

    /// Sends a response and waits until the operating system has it.
    pub(crate) async fn send_and_wait(&self, reply: Reply) -> Result<(), Gone> {
        let (written, done) = oneshot::channel();
        let frame = Frame { head: reply.head, tail: reply.tail, written: Some(written) };
        self.queue.send(frame).await.map_err(|_| Gone)?;
        done.await.map_err(|_| Gone)
    }
}

async fn write_all<W: AsyncWrite + Unpin>(
    mut sink: W,
    mut frames: mpsc::Receiver<Frame>,
    settled: impl Future<Output = ()>,
) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        sink.write_all(&frame.head).await?;
        if !frame.tail.is_empty() {
            sink.write_all(&frame.tail).await?;
        }
        if let Some(written) = frame.written {
            // The task that waited may have been stopped meanwhile.
            let _ = written.send(());
        }
    }
    settled.await;
    sink.shutdown().await
}

/// A response as bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    head: Vec<u8>,
    tail: Bytes,
}

impl Reply {
    /// Encodes `response` to the request with `header`, at its version.
    pub(crate) fn new<T: Encoder>(header: &RequestHeader, response: &T) -> io::Result<Self> {
        Self::with_tail(header, response, Bytes::new())
    }

    /// The same, followed by `tail`.
    pub(crate) fn with_tail<T: Encoder>(header: &RequestHeader, response: &T, tail: Bytes) -> io::Result<Self> {
        let mut head = Vec::with_capacity(256);
        head.put_i32(0);
        head.put_i32(header.correlation_id());
        response.encode(&mut head, header.api_version())?;
        let length = i32::try_from(head.len() - 4 + tail.len())
            .map_err(|_| io::Error::other("a response of more than 2 GiB"))?;
        head[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Self { head, tail })
    }
}
