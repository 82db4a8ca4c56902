//! A record set as bytes. The protocol's own type decodes batch by batch, and silently takes a cut or senseless batch for the
//! end of the set. This one keeps all bytes, so that they can be checked.

use std::io::{Error, ErrorKind};

use bytes::{Buf, BufMut, Bytes};
use fluvio_protocol::{Decoder, Encoder, Version};

/// A record set: an i32 length and that many bytes of batches.
#[derive(Debug, Default, Clone)]
pub(crate) struct RecordSetBytes(pub(crate) Bytes);

impl Encoder for RecordSetBytes {
    fn write_size(&self, _version: Version) -> usize {
        4 + self.0.len()
    }

    fn encode<T: BufMut>(&self, dest: &mut T, version: Version) -> Result<(), Error> {
        RecordSetLength::of(&self.0)?.encode(dest, version)?;
        dest.put_slice(&self.0);
        Ok(())
    }
}

impl Decoder for RecordSetBytes {
    fn decode<T: Buf>(&mut self, src: &mut T, version: Version) -> Result<(), Error> {
        let length = i32::decode_from(src, version)?;
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= src.remaining())
            .ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("a record set says it has {length} bytes")))?;
        self.0 = src.copy_to_bytes(length);
        Ok(())
    }
}

/// The length of a record set whose bytes are sent right behind the response, so that they need not be copied into it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct RecordSetLength(i32);

impl RecordSetLength {
    pub(crate) fn of(batches: &[u8]) -> Result<Self, Error> {
        i32::try_from(batches.len()).map(Self).map_err(|_| Error::other("a record set of more than 2 GiB"))
    }
}

impl Encoder for RecordSetLength {
    fn write_size(&self, _version: Version) -> usize {
        4
    }

    fn encode<T: BufMut>(&self, dest: &mut T, _version: Version) -> Result<(), Error> {
        if dest.remaining_mut() < 4 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "no room for a record set's length"));
        }
        dest.put_i32(self.0);
        Ok(())
    }
}

impl Decoder for RecordSetLength {
    fn decode<T: Buf>(&mut self, src: &mut T, version: Version) -> Result<(), Error> {
        self.0.decode(src, version)
    }
}
