//! Frames from a connection. Memory grows with the bytes that arrive, not with the length that a frame claims.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use fluvio_protocol::api::RequestHeader;
use fluvio_protocol::{Decoder, Encoder};
use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Reply, guarded};

/// The largest request. The published client puts all batches that wait for a partition into one, by default up to a
/// hundred, and bounds only the size of each.
const MAX_FRAME_BYTES: usize = 1024 * 1024 * 1024;
const GROW_BYTES: usize = 256 * 1024;

/// A request whose body is not yet decoded.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
}

impl Incoming {
    /// Decodes the body at the request's version.
    pub(crate) fn decode<R: Decoder>(&self) -> io::Result<R> {
        guarded(|| R::decode_from(&mut self.body.clone(), self.header.api_version()))
    }

    /// The answer, at the request's version.
    pub(crate) fn answer(&self, response: &impl Encoder) -> io::Result<Option<Reply>> {
        Reply::new(&self.header, response).map(Some)
    }
}

/// The reading side of a connection.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    source: S,
    buffer: BytesMut,
}

impl<S: AsyncRead + Unpin> Frames<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, buffer: BytesMut::new() }
    }

    /// The next request; `None` once the client has closed. Nothing is lost if the future is dropped.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Incoming>> {
        loop {
            if let Some(mut frame) = self.take_frame()? {
                let header = guarded(|| RequestHeader::decode_from(&mut frame, 0))?;
                return Ok(Some(Incoming { header, body: frame }));
            }
            self.buffer.reserve(GROW_BYTES);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed in the middle of a request"));
            }
        }
    }

    /// Ends reading: what has arrived meanwhile is thrown away. Otherwise the operating system would close the connection
    /// with a reset, which can overtake the last answers.
    pub(crate) fn discard(mut self) {
        let mut scrap = [0; 16 * 1024];
        while let Some(Ok(1..)) = self.source.read(&mut scrap).now_or_never() {}
    }

    fn take_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(head) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*head);
        let length = usize::try_from(length).ok().filter(|&length| length <= MAX_FRAME_BYTES).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a request says it has {length} bytes, the most is {MAX_FRAME_BYTES}"),
            )
        })?;
        if self.buffer.len() - 4 < length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}
