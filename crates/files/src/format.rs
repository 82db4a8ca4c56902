//! Whether a content is lines or one JSON array.
//!
//! A content that begins with `[`, after white space and a byte order mark, is one array, unless its first line is a complete JSON text
//! that another line follows which is not blank.

use isotherm_model::json;
use memchr::memchr;

use crate::content::Content;
use crate::error::FileError;
use crate::{BYTE_ORDER_MARK, LONGEST_RECORD, is_space};

/// What a content is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputFormat {
    /// What its beginning says.
    #[default]
    Auto,
    /// A reading a line.
    Lines,
    /// One array of readings.
    Array,
}

/// What a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A record a line.
    Lines,
    /// One array of records.
    Array,
}

/// How much is read at once to find it out.
const READ: usize = 64 << 10;

/// Finds out what a content is that is read from its beginning. What was read for that is appended to `looked_at`. With
/// `followed` it does not wait for a second line.
pub(crate) fn find(content: &mut Content, looked_at: &mut Vec<u8>, followed: bool) -> Result<Format, FileError> {
    let mut look = Look { content, bytes: looked_at, ended: false };
    let Some(start) = look.text_from(0)? else {
        return Ok(Format::Lines);
    };
    if look.bytes.get(start) != Some(&b'[') {
        return Ok(Format::Lines);
    }
    let Some(end) = look.line_end(start)? else {
        return Ok(Format::Array);
    };
    if !json::is_text(look.bytes.get(start..end).unwrap_or_default()) {
        return Ok(Format::Array);
    }
    Ok(if followed || look.text_from(end)?.is_some() { Format::Lines } else { Format::Array })
}

/// Whether a content that is read from its beginning, and is followed, is one array, which cannot be followed.
///
/// # Errors
/// It cannot be read on.
pub fn is_array(mut content: Content) -> Result<bool, FileError> {
    Ok(find(&mut content, &mut Vec::new(), true)? == Format::Array)
}

/// The beginning of a content, as far as it has been read.
struct Look<'a> {
    content: &'a mut Content,
    bytes: &'a mut Vec<u8>,
    ended: bool,
}

impl Look<'_> {
    /// Where the first byte from `from` on is that is no white space; `None` if there is none, or too far away.
    fn text_from(&mut self, from: usize) -> Result<Option<usize>, FileError> {
        let mut at = from;
        loop {
            if at == 0 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                at = BYTE_ORDER_MARK.len();
            }
            match self.bytes.get(at..).unwrap_or_default().iter().position(|byte| !is_space(*byte)) {
                Some(found) => return Ok(Some(at + found)),
                None => at = self.bytes.len().max(at),
            }
            if at - from > LONGEST_RECORD || !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Where the line ends that goes on at `from`; `None` if the content ends first, or the line is too long.
    fn line_end(&mut self, from: usize) -> Result<Option<usize>, FileError> {
        let mut at = from;
        loop {
            match memchr(b'\n', self.bytes.get(at..).unwrap_or_default()) {
                Some(found) => return Ok(Some(at + found)),
                None => at = self.bytes.len(),
            }
            if at - from > LONGEST_RECORD || !self.more()? {
                return Ok(None);
            }
        }
    }

    fn more(&mut self) -> Result<bool, FileError> {
        if !self.ended {
            let length = self.bytes.len();
            self.bytes.resize(length + READ, 0);
            let read = self.content.read(self.bytes.get_mut(length..).unwrap_or_default());
            self.bytes.truncate(length + *read.as_ref().unwrap_or(&0));
            self.ended = read? == 0;
        }
        Ok(!self.ended)
    }
}
