//! The elements of a JSON array, found without judging them: strings, escapes and nesting are respected, all else is the business of those
//! who read an element.
//!
//! An element is what stands between two commas of the array, without the white space around it. So a comma that is missing makes
//! one element of two, and a comma too many makes an empty one: neither is JSON, and both are counted as that.

use std::ops::Range;

use memchr::memchr2;

use crate::is_space;

/// Where the scanner is in an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before its `[`.
    Before,
    /// Behind `[` or a comma; the flag says whether it is the `[`.
    Between(bool),
    /// Within an element.
    Element,
    /// Within a string of an element.
    String,
    /// Behind a reverse solidus in a string.
    Escape,
    /// Behind its `]`.
    After,
}

/// Finds the elements of one array in bytes that come bit by bit.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    at: At,
    /// How many containers are open in the element.
    depth: u64,
    /// Up to where the element's bytes are not white space, from its start on.
    text_end: usize,
    /// Where the element under way begins.
    start: usize,
    /// Up to where has been scanned.
    scanned: usize,
}

/// What stopped the scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// An element, and where the bytes go on behind its comma (or at the `]`).
    Element(Range<usize>, usize),
    /// Nothing more in these bytes.
    Nothing,
    /// At this place there is no `[`.
    NoArray(usize),
    /// At this place, something follows the array.
    More(usize),
}

impl Scanner {
    /// At the beginning of a content.
    pub(crate) const fn new() -> Self {
        Self { at: At::Before, depth: 0, text_end: 0, start: 0, scanned: 0 }
    }

    /// Behind an element, where a block ended.
    pub(crate) const fn resumed() -> Self {
        Self { at: At::Between(false), ..Self::new() }
    }

    /// The next element in `bytes`, of which all before what was scanned is as it was.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Found {
        while let Some(byte) = bytes.get(self.scanned).copied() {
            let here = self.scanned;
            self.scanned += 1;
            match self.at {
                At::Before if is_space(byte) => {}
                At::Before if byte == b'[' => self.at = At::Between(true),
                At::Before => return Found::NoArray(here),
                At::After if is_space(byte) => {}
                At::After => return Found::More(here),
                At::Between(_) if is_space(byte) => {}
                At::Between(first) => match byte {
                    b']' if first => self.at = At::After,
                    b',' | b']' => {
                        (self.start, self.text_end) = (here, here);
                        return self.end(byte);
                    }
                    _ => {
                        (self.at, self.start) = (At::Element, here);
                        self.within(byte);
                    }
                },
                At::Element if self.depth == 0 && matches!(byte, b',' | b']') => return self.end(byte),
                At::Element => self.within(byte),
                At::Escape => (self.at, self.text_end) = (At::String, self.scanned),
                At::String => {
                    // Most of a string is of no interest.
                    match memchr2(b'"', b'\\', bytes.get(here..).unwrap_or_default()) {
                        None => self.scanned = bytes.len(),
                        Some(skipped) => {
                            self.scanned = here + skipped + 1;
                            let quote = bytes.get(here + skipped) == Some(&b'"');
                            self.at = if quote { At::Element } else { At::Escape };
                        }
                    }
                    self.text_end = self.scanned;
                }
            }
        }
        Found::Nothing
    }

    /// A byte of the element that ends nothing.
    fn within(&mut self, byte: u8) {
        match byte {
            b'"' => self.at = At::String,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if !is_space(byte) {
            self.text_end = self.scanned;
        }
    }

    fn end(&mut self, by: u8) -> Found {
        self.at = if by == b']' { At::After } else { At::Between(false) };
        Found::Element(self.start..self.text_end, self.scanned)
    }

    /// The bytes end here, though the array does not: the element under way, if there is one. The next one begins behind it.
    pub(crate) fn cut(&mut self) -> Option<Range<usize>> {
        let within = matches!(self.at, At::Element | At::String | At::Escape);
        if within {
            (self.at, self.depth) = (At::Between(false), 0);
        }
        within.then_some(self.start..self.text_end)
    }

    /// How long the element under way is so far; `None` between elements.
    pub(crate) fn under_way(&self) -> Option<usize> {
        matches!(self.at, At::Element | At::String | At::Escape).then(|| self.text_end - self.start)
    }

    /// Whether the array has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.at == At::After
    }

    /// Whether its `[` has not come.
    pub(crate) fn is_before(&self) -> bool {
        self.at == At::Before
    }

    /// The first bytes are gone.
    pub(crate) fn drop_first(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
        self.start = self.start.saturating_sub(bytes);
        self.text_end = self.text_end.saturating_sub(bytes);
    }

    /// All that was scanned is gone, also of the element under way.
    pub(crate) fn drop_all(&mut self) {
        (self.scanned, self.start, self.text_end) = (0, 0, 0);
    }

    /// What came behind this place, which was white space, is gone.
    pub(crate) fn rewind(&mut self, to: usize) {
        self.scanned = to;
    }

    /// What was found will be found again.
    pub(crate) fn step_back(&mut self) {
        self.scanned = self.scanned.saturating_sub(1);
    }

    /// These first bytes belong to nothing.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.scanned = self.scanned.max(bytes);
    }
}
