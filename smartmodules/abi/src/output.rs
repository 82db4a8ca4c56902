//! The frame around an answer: the number of records (i32), the records, and an error or none.

use isotherm_model::varint;

/// What a module does, as errors number it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Filter = 0,
    ArrayMap = 2,
}

/// An answer that is being written, in memory that is reused.
#[derive(Debug, Clone, Default)]
pub struct Output {
    bytes: Vec<u8>,
    records: u32,
}

/// The buffer grows by multiples of this: otherwise each answer that is slightly larger than all before would reallocate it.
const PAGE: usize = 1 << 16;
/// The longest text that the engine reads.
const MAX_TEXT: usize = i16::MAX as usize;

impl Output {
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), records: 0 }
    }

    pub fn begin(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&0_u32.to_be_bytes());
        self.records = 0;
    }

    /// Adds a record's unchanged bytes ([`crate::Record::body`]), after their true length.
    pub fn push_body(&mut self, body: &[u8]) {
        varint::put(&mut self.bytes, length(body.len()));
        self.bytes.extend_from_slice(body);
        self.records += 1;
    }

    /// Adds a record without key, at the batch's own offset and time, whose value is the `len` bytes that `write` appends.
    ///
    /// With the length known, a large value is written once, into a buffer of its size. Writing it elsewhere and copying it
    /// would need twice the memory, a buffer that grows meanwhile three times.
    pub fn push_value(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        // Attributes, timestamp delta, offset delta, no key; after the value no headers.
        let body = 4 + varint::len(length(len)) + len + 1;
        // One more byte ends the answer.
        self.reserve(varint::len(length(body)) + body + 1);
        varint::put(&mut self.bytes, length(body));
        self.bytes.extend_from_slice(&[0; 4]);
        varint::put(&mut self.bytes, length(len));
        let begin = self.bytes.len();
        write(&mut self.bytes);
        debug_assert_eq!(self.bytes.len(), begin + len, "a value of another length than given");
        self.bytes.push(0);
        self.records += 1;
    }

    /// Makes room for `more` bytes, and little beyond.
    fn reserve(&mut self, more: usize) {
        let all = self.bytes.len() + more;
        if self.bytes.capacity() >= all {
            return;
        }
        let all = all.next_multiple_of(PAGE);
        if self.records == 0 {
            // The old buffer holds only the place of the count: free it before allocating the new one.
            self.bytes = Vec::new();
            self.bytes.reserve_exact(all);
            self.begin();
        } else {
            self.bytes.reserve_exact(all - self.bytes.len());
        }
    }

    /// Ends the answer; the number of its records.
    pub fn end(&mut self) -> i32 {
        self.count();
        self.bytes.push(0);
        self.records.cast_signed()
    }

    /// Ends the answer with an error at an offset instead of any record.
    pub fn fail(&mut self, kind: Kind, offset: i64, hint: &str) -> i32 {
        self.begin();
        self.bytes.push(1);
        self.text(hint);
        self.bytes.extend_from_slice(&offset.to_be_bytes());
        // No key, an empty value.
        self.bytes.extend_from_slice(&[kind as u8, 0, 0]);
        0
    }

    /// Answers to `init` with an error.
    pub(crate) fn refuse(&mut self, hint: &str) {
        self.bytes.clear();
        self.text(hint);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn count(&mut self) {
        if let Some(count) = self.bytes.first_chunk_mut::<4>() {
            *count = self.records.to_be_bytes();
        }
    }

    fn text(&mut self, text: &str) {
        let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
        self.bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// The varint of a length, which Fluvio writes as a signed number.
fn length(len: usize) -> u128 {
    varint::zigzag(len as i128)
}
