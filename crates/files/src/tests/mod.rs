//! The cutting of contents, compared with plain reference readers that hold all of it.

mod compressed;
mod laws;
mod reference;
mod shapes;

use std::io::{self, Read};

use crate::{Block, Blocks, Content, FileError, Format, Sizes};

/// Bytes that come in pieces of these lengths, over and over.
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    lengths: Vec<usize>,
    turn: usize,
}

impl Pieces {
    pub(crate) fn new(bytes: &[u8], lengths: &[usize]) -> Box<Self> {
        Box::new(Self { bytes: bytes.to_vec(), at: 0, lengths: lengths.to_vec(), turn: 0 })
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths.get(self.turn % self.lengths.len().max(1)).copied().unwrap_or(usize::MAX);
        self.turn += 1;
        let rest = &self.bytes[self.at..];
        let length = length.max(1).min(rest.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

/// A content of these bytes.
pub(crate) fn content(bytes: &[u8], lengths: &[usize]) -> Content {
    Content::of(Pieces::new(bytes, lengths), "test", None).expect("a text")
}

/// All blocks from `from` on, and what ends them, if it is an error.
pub(crate) fn blocks(
    content: Content,
    format: Option<Format>,
    sizes: Sizes,
    cuts: &[u64],
) -> (Vec<Block>, Option<FileError>) {
    let mut given = Vec::new();
    let mut blocks = match Blocks::of(content, format, sizes) {
        Ok(blocks) => blocks,
        Err(error) => return (given, Some(error)),
    };
    blocks.cut_at(cuts.iter().copied());
    loop {
        match blocks.next(Vec::new()) {
            Ok(Some(block)) => given.push(block),
            Ok(None) => return (given, None),
            Err(error) => return (given, Some(error)),
        }
    }
}

/// All records of these blocks.
pub(crate) fn records(blocks: &[Block]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    blocks.iter().for_each(|block| block.each(|record| records.push(record.to_vec())));
    records
}

/// What one can ask of a block without its memory: where it is, and its records.
pub(crate) fn essence(blocks: &[Block]) -> Vec<(u64, u64, Vec<Vec<u8>>)> {
    blocks.iter().map(|block| (block.first, block.next, records(std::slice::from_ref(block)))).collect()
}
