//! A chunk of messages in one buffer: what a source fills and a sink takes.
//!
//! Keys and values share one allocation, which is used again for the next chunk.

use std::ops::Range;

/// Messages in their order, each with an optional key.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// One message of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// The record's key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The record's value: one line, without its line end.
    pub value: &'a [u8],
}

impl Messages {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes of all keys and values.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Drops the messages and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    pub fn push(&mut self, key: Option<&[u8]>, value: &[u8]) {
        let key = key.map(|key| self.append(key));
        let value = self.append(value);
        self.entries.push(Entry { key, value });
    }

    /// Appends a message whose value `write` appends to the buffer. `write` returns the key's place in the *value*, if the message
    /// has one. It must not touch the bytes that are already in the buffer.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Option<Range<usize>>) {
        let start = self.bytes.len();
        let key = write(&mut self.bytes).map(|key| start + key.start..start + key.end);
        self.entries.push(Entry { key, value: start..self.bytes.len() });
    }

    /// The messages, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.entries.iter().map(|entry| Message {
            key: entry.key.clone().and_then(|key| self.bytes.get(key)),
            value: self.bytes.get(entry.value.clone()).unwrap_or_default(),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_keys_values_and_order() {
        let mut messages = Messages::new();
        messages.push(None, b"one");
        messages.push(Some(b"k"), b"two");
        messages.push_with(|bytes| {
            bytes.extend_from_slice(b"three");
            Some(1..3)
        });
        let all: Vec<_> = messages.iter().map(|message| (message.key, message.value)).collect();
        assert_eq!(all, [(None, &b"one"[..]), (Some(&b"k"[..]), b"two"), (Some(b"hr"), b"three")]);
        assert_eq!((messages.len(), messages.byte_len()), (3, 12));
        messages.clear();
        assert!(messages.is_empty());
        assert_eq!(messages.iter().count(), 0);
    }
}
