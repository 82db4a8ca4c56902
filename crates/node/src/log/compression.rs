//! Decompression with a bound. The protocol's own helper reads to the end, and a few kilobytes from a client can decompress
//! to gigabytes.

use std::borrow::Cow;
use std::io::{self, Read};

use fluvio_compression::Compression;

use super::MAX_BATCH_BYTES;

/// Decompresses the records of a batch. Fails if they are not compressed so, or take more than
/// [`MAX_BATCH_BYTES`]. Uncompressed records are borrowed.
pub(crate) fn decompress(compression: Compression, bytes: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    let out = match compression {
        Compression::None => return Ok(Cow::Borrowed(bytes)),
        Compression::Gzip => read_bounded(flate2::read::GzDecoder::new(bytes), MAX_BATCH_BYTES)?,
        Compression::Snappy => read_bounded(snap::read::FrameDecoder::new(bytes), MAX_BATCH_BYTES)?,
        Compression::Lz4 => read_bounded(lz4_flex::frame::FrameDecoder::new(bytes), MAX_BATCH_BYTES)?,
        Compression::Zstd => read_bounded(zstd::Decoder::new(bytes)?, MAX_BATCH_BYTES)?,
    };
    Ok(Cow::Owned(out))
}

/// Unpacks a gzipped SmartModule of at most `limit` bytes.
pub(crate) fn gunzip(bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    read_bounded(flate2::read::GzDecoder::new(bytes), limit)
}

fn read_bounded(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    source.take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {limit} bytes decompressed")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_formats_round_trip() {
        let text = b"seventy degrees ".repeat(500);
        for compression in
            [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
        {
            let packed = compression.compress(&text).unwrap();
            assert_eq!(&*decompress(compression, &packed).unwrap(), &text[..], "{compression}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            let packed = compression.compress(&vec![0; MAX_BATCH_BYTES + 1]).unwrap();
            decompress(compression, &packed).unwrap_err();
            decompress(compression, b"not compressed at all").unwrap_err();
        }
    }
}
