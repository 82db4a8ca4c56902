//! A content, cut into blocks of whole records.
//!
//! A block ends behind the first record that ends at a multiple of [`Sizes::block`] or later, and where the content ends. It also ends
//! exactly at each place that [`Blocks::cut_at`] names, so that blocks that were cut by an end of the content come again after it has
//! grown. An element that is too long to be held is a block of its own, and so is such a line, unless it ends before a block would end. Memory:
//! a block and a record.

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::array::{Found, Scanner};
use crate::block::{Block, Records};
use crate::content::{Content, Input};
use crate::error::FileError;
use crate::format::{self, Format, InputFormat};
use crate::{BYTE_ORDER_MARK, LONGEST_RECORD, is_space};

/// How large blocks and records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// About how many bytes a block has.
    pub block: u64,
    /// The longest record that is held.
    pub record: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { block: 1 << 20, record: LONGEST_RECORD }
    }
}

/// How much is read on where a record does not end with its block.
const READ_ON: usize = 8 << 10;

/// How a content is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Reading {
    /// To its end, in whole blocks.
    #[default]
    Whole,
    /// As it comes: a block ends where a read ends, as soon as there is a whole record. What a line's end has not come of waits.
    Followed,
    /// As a file is written: a block ends where the file ends so far, too.
    Growing,
}

/// The blocks of a content, in order.
pub struct Blocks {
    content: Content,
    format: Format,
    sizes: Sizes,
    reading: Reading,
    /// Where the next block begins.
    first: u64,
    /// What has been read from there on.
    buffer: Vec<u8>,
    /// How many bytes the buffer lacks that were read: they belong to no record, or to one that is too long.
    dropped: u64,
    /// Whether the content has ended.
    ended: bool,
    /// Whether nothing more has come so far.
    waits: bool,
    until: u64,
    cuts: BTreeSet<u64>,
    scanner: Scanner,
    /// The elements in the buffer that belong to the next block, and where they end in the buffer and in the content.
    elements: Vec<Range<usize>>,
    boundary: usize,
    elements_end: u64,
    /// Whether nothing has come of an array that was not read from its beginning.
    untouched: bool,
    /// An element that is too long and must be a block of its own, and where that block ends.
    too_long: Option<usize>,
    /// A record that is too long to be held is being passed over; for a line whether it is blank so far.
    passing: Option<bool>,
    /// Whether lines of white space alone are records.
    keeps_blank: bool,
}

impl Blocks {
    /// The blocks of an input from a place on where a block ended, or from the beginning.
    ///
    /// # Errors
    /// It cannot be opened, or is of another form than was said.
    pub fn open(input: &Input, from: u64, form: InputFormat, sizes: Sizes) -> Result<Self, FileError> {
        let content = input.open(from)?;
        let said = match form {
            InputFormat::Lines => Some(Format::Lines),
            InputFormat::Array => Some(Format::Array),
            InputFormat::Auto if from > 0 => Some(format::find(&mut input.open(0)?, &mut Vec::new(), false)?),
            InputFormat::Auto => None,
        };
        Self::of(content, said, sizes)
    }

    /// The lines of a file that [grows](Content::growing), from a place on where a block ended, or from the beginning.
    pub fn growing(content: Content, sizes: Sizes) -> Self {
        let first = content.position();
        let reading = Reading::Growing;
        Self { reading, ..Self::with(content, Format::Lines, sizes, first, Vec::new()) }
    }

    /// The blocks of a content that has been opened; without a format its beginning says which it is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(mut content: Content, format: Option<Format>, sizes: Sizes) -> Result<Self, FileError> {
        let (first, mut buffer) = (content.position(), Vec::new());
        let format = match format {
            Some(format) => format,
            None => format::find(&mut content, &mut buffer, false)?,
        };
        Ok(Self::with(content, format, sizes, first, buffer))
    }

    /// The blocks of a pipe, as they come.
    ///
    /// # Errors
    /// It cannot be read, or is one array, which cannot be followed.
    pub fn follow(mut content: Content, form: InputFormat, sizes: Sizes) -> Result<Self, FileError> {
        let (first, mut buffer) = (content.position(), Vec::new());
        let is_array = match form {
            InputFormat::Lines => false,
            InputFormat::Array => true,
            InputFormat::Auto => format::find(&mut content, &mut buffer, true)? == Format::Array,
        };
        if is_array {
            return Err(FileError::FollowedArray { name: content.name().to_owned() });
        }
        Ok(Self::with(content, Format::Lines, sizes, first, buffer).as_they_come())
    }

    /// Lines come in blocks as they are read, and none waits for a block to be full.
    pub fn as_they_come(mut self) -> Self {
        if self.format == Format::Lines {
            self.reading = Reading::Followed;
        }
        self
    }

    /// Lines of white space alone are records, too; empty ones are none.
    pub fn with_blank_lines(mut self) -> Self {
        self.keeps_blank = true;
        self
    }

    fn with(content: Content, format: Format, sizes: Sizes, first: u64, buffer: Vec<u8>) -> Self {
        Self {
            content,
            format,
            sizes,
            reading: Reading::Whole,
            first,
            buffer,
            dropped: 0,
            ended: false,
            waits: false,
            until: u64::MAX,
            cuts: BTreeSet::new(),
            scanner: if first == 0 { Scanner::new() } else { Scanner::resumed() },
            elements: Vec::new(),
            boundary: 0,
            elements_end: first,
            untouched: first > 0,
            too_long: None,
            passing: None,
            keeps_blank: false,
        }
    }

    /// Ends exactly here: what comes behind is left alone.
    pub fn stop_at(&mut self, until: u64) {
        self.until = until;
    }

    /// Ends a block exactly at each of these places.
    pub fn cut_at(&mut self, cuts: impl IntoIterator<Item = u64>) {
        self.cuts.extend(cuts);
    }

    /// Where the next block begins.
    pub const fn position(&self) -> u64 {
        self.first
    }

    /// The content.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The next block; `None` at the end. It is made in `memory`, whatever that holds.
    ///
    /// # Errors
    /// The content cannot be read on.
    pub fn next(&mut self, memory: Vec<u8>) -> Result<Option<Block>, FileError> {
        if self.first >= self.until {
            // An array that ends here must have ended.
            let is_open = self.format == Format::Array && self.until > 0 && !self.scanner.is_closed();
            return if is_open && self.is_at_end()? { self.end_of_array() } else { Ok(None) };
        }
        // What was read of the next block moves into the memory that is to be used. If it is much, it stays where it is.
        if (self.buffer.len() as u64) < self.sizes.block {
            let rest = std::mem::replace(&mut self.buffer, memory);
            self.buffer.clear();
            self.buffer.extend_from_slice(&rest);
        }
        let stop = self.cuts.range(self.first + 1..).next().copied().unwrap_or(u64::MAX).min(self.until);
        let goal = self.grid().min(stop);
        let block = match self.format {
            Format::Lines => self.lines(goal, stop),
            Format::Array => self.elements(goal, stop),
        }?;
        self.cuts = self.cuts.split_off(&(self.first + 1));
        Ok(block)
    }

    /// Where the next block ends, if a record ends there.
    fn grid(&self) -> u64 {
        (self.first / self.sizes.block + 1).saturating_mul(self.sizes.block)
    }

    /// Up to where the content has been read.
    fn end(&self) -> u64 {
        self.offset(self.buffer.len())
    }

    /// Which byte of the content stands at a place of the buffer, behind what was dropped.
    fn offset(&self, place: usize) -> u64 {
        self.first + self.dropped + place as u64
    }

    /// Where an offset of the content is in the buffer.
    fn place(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.first + self.dropped)).unwrap_or(usize::MAX)
    }

    /// Reads until the buffer reaches `goal` or the content ends. A followed content is read once.
    fn fill(&mut self, goal: u64) -> Result<(), FileError> {
        while self.end() < goal && !self.ended {
            let wanted = usize::try_from(goal - self.end()).unwrap_or(usize::MAX).min(1 << 20);
            let length = self.buffer.len();
            self.buffer.resize(length + wanted, 0);
            let read = self.content.read(self.buffer.get_mut(length..).unwrap_or_default());
            self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
            let is_not_yet = read.as_ref().is_err_and(FileError::is_not_yet);
            // What has come does not wait for more.
            self.waits = self.reading == Reading::Followed || is_not_yet;
            if is_not_yet && memchr(b'\n', &self.buffer).is_some() {
                break;
            }
            self.ended = read? == 0;
            if self.waits {
                break;
            }
        }
        Ok(())
    }

    /// How long the byte order mark is that the buffer begins with.
    fn mark(&self) -> usize {
        let marked = self.first + self.dropped == 0 && self.buffer.starts_with(BYTE_ORDER_MARK);
        if marked { BYTE_ORDER_MARK.len() } else { 0 }
    }

    /// The block of the first `length` bytes of the buffer; what is left of it stays.
    fn give(&mut self, length: usize, records: Records) -> Option<Block> {
        self.give_to(self.offset(length), length, records)
    }

    /// The same, where some of what was dropped came behind the block, which ends at `next`.
    fn give_to(&mut self, next: u64, length: usize, records: Records) -> Option<Block> {
        let (first, dropped) = (self.first, self.offset(length) - next);
        let length = length.min(self.buffer.len());
        let bytes = if self.buffer.len() - length < length {
            let rest = self.buffer.split_off(length);
            std::mem::replace(&mut self.buffer, rest)
        } else {
            self.buffer.drain(..length).collect()
        };
        (self.first, self.dropped) = (next, dropped);
        self.untouched &= records == Records::None;
        Some(Block { first, next, bytes, records, longest: self.sizes.record, keeps_blank: self.keeps_blank })
    }

    /// Forgets these bytes of the buffer.
    fn drop_from(&mut self, from: usize) {
        self.dropped += self.buffer.len().saturating_sub(from) as u64;
        self.buffer.truncate(from);
    }

    fn lines(&mut self, goal: u64, stop: u64) -> Result<Option<Block>, FileError> {
        if self.passing.is_some() {
            return self.pass_line(stop);
        }
        // The block ends with the first line that ends from here on.
        let mut searched = self.place(goal).saturating_sub(1);
        // Where the last line of the buffer begins, and up to where its beginning was looked for.
        // A line that has come does not wait for another one.
        self.waits = self.reading == Reading::Followed;
        if !self.waits || memchr(b'\n', &self.buffer).is_none() {
            self.fill(goal.max(BYTE_ORDER_MARK.len() as u64))?;
        }
        let (mut line_start, mut seen) = (self.mark(), 0);
        loop {
            let have = self.buffer.len();
            let within = self.place(stop).min(have);
            let found = memchr(b'\n', self.buffer.get(searched..within).unwrap_or_default());
            let line_end = found.map(|found| searched + found);
            let line_end = line_end.or((self.end() >= stop || self.ended).then_some(within));
            let before = self.buffer.get(seen..line_end.unwrap_or(within)).unwrap_or_default();
            if let Some(found) = memrchr(b'\n', before) {
                line_start = seen + found + 1;
            }
            let under_way = line_end.unwrap_or(within).saturating_sub(line_start);
            // Whatever ends before a multiple of the block's size is not looked at.
            let reached = self.offset(line_end.map_or(within, |end| end + usize::from(found.is_some())));
            let too_long = under_way > self.sizes.record + 1 && reached >= self.grid();
            if line_start > 0 && (too_long || line_end.is_none() && self.waits) {
                return Ok(self.give(line_start, Records::Lines));
            }
            match line_end {
                Some(0) if self.ended && have == 0 => return Ok(None),
                Some(end) => return Ok(self.give(end + usize::from(found.is_some()), Records::Lines)),
                None if too_long => return self.pass_line(stop),
                None => {}
            }
            (searched, seen) = (searched.max(have), have);
            self.read_on(goal, stop, under_way)?;
        }
    }

    /// Whether the content ends where reading is to end.
    fn is_at_end(&mut self) -> Result<bool, FileError> {
        if self.end() <= self.until {
            self.fill(self.until + 1)?;
        }
        Ok(self.ended && self.end() <= self.until)
    }

    /// Reads on where a record does not end with its block; the more, the longer the record is.
    fn read_on(&mut self, goal: u64, stop: u64, under_way: usize) -> Result<(), FileError> {
        let on = self.end().saturating_add(READ_ON.max(under_way / 2) as u64);
        self.fill(if self.end() < goal { goal } else { on.min(stop) })
    }

    /// Passes over the rest of a line that is too long.
    fn pass_line(&mut self, stop: u64) -> Result<Option<Block>, FileError> {
        let mut blank = self.passing.unwrap_or(true);
        loop {
            let within = self.place(stop).min(self.buffer.len());
            let found = memchr(b'\n', self.buffer.get(..within).unwrap_or_default());
            let end = found.map_or(within, |at| at + 1);
            blank &= self.buffer.get(..end).unwrap_or_default().iter().all(|byte| is_space(*byte));
            if found.is_some() || self.ended || self.offset(within) >= stop {
                self.passing = None;
                self.buffer.drain(..end);
                self.dropped += end as u64;
                return Ok(self.give(0, if blank { Records::None } else { Records::TooLong }));
            }
            self.drop_from(0);
            self.passing = Some(blank);
            self.fill(self.end().saturating_add(1 << 20).min(stop))?;
        }
    }

    fn elements(&mut self, goal: u64, stop: u64) -> Result<Option<Block>, FileError> {
        if let Some(end) = self.too_long.take() {
            return Ok(self.give_array(end, Records::TooLong));
        }
        self.fill(goal.max(BYTE_ORDER_MARK.len() as u64))?;
        self.scanner.skip(self.mark());
        loop {
            let within = self.place(stop).min(self.buffer.len());
            match self.scanner.next(self.buffer.get(..within).unwrap_or_default()) {
                Found::Element(place, end) => {
                    if let Some(block) = self.element(place, end) {
                        return Ok(Some(block));
                    }
                    // What follows the array's end belongs to its last block.
                    if self.offset(end) >= goal && !self.scanner.is_closed() {
                        return Ok(self.give_elements(end));
                    }
                }
                Found::NoArray(at) => return Err(self.no_array(at)),
                Found::More(at) => {
                    let (name, offset) = (self.content.name().to_owned(), self.offset(at));
                    // What came before it is right, and comes first.
                    self.scanner.step_back();
                    return if offset == self.first {
                        Err(FileError::AfterArray { name, offset })
                    } else {
                        Ok(self.give_elements(at))
                    };
                }
                Found::Nothing if self.offset(within) >= stop => {
                    if stop == self.until && !self.scanner.is_closed() && self.is_at_end()? {
                        return self.end_of_array();
                    }
                    let block = self.scanner.cut().and_then(|place| self.element(place, within));
                    return Ok(block.or_else(|| self.give_elements(within)));
                }
                Found::Nothing if self.ended => return self.end_of_array(),
                Found::Nothing => {
                    if let Some(block) = self.room() {
                        return Ok(Some(block));
                    }
                    self.read_on(goal, stop, self.scanner.under_way().unwrap_or_default())?;
                }
            }
        }
    }

    /// Takes an element that ends its bytes here. Gives a block if the element is too long: that of those before it, or its own.
    fn element(&mut self, place: Range<usize>, end: usize) -> Option<Block> {
        if self.passing.take().is_some() || place.len() > self.sizes.record {
            if self.elements.is_empty() {
                return self.give_array(end, Records::TooLong);
            }
            self.too_long = Some(end - self.boundary);
            return self.give_before();
        }
        self.elements.push(place);
        (self.boundary, self.elements_end) = (end, self.offset(end));
        None
    }

    /// Makes room in the buffer if nothing of it, or too much, is under way. Gives the block that must come first, if there is one.
    fn room(&mut self) -> Option<Block> {
        match self.scanner.under_way() {
            Some(length) if self.passing.is_some() || length > self.sizes.record => {
                if !self.elements.is_empty() {
                    return self.give_before();
                }
                self.passing = Some(false);
                self.drop_from(0);
                self.scanner.drop_all();
            }
            // White space.
            None if self.buffer.len() - self.boundary > self.sizes.record => {
                self.drop_from(self.boundary);
                self.scanner.rewind(self.boundary);
            }
            _ => {}
        }
        None
    }

    fn end_of_array(&mut self) -> Result<Option<Block>, FileError> {
        let is_blank = self.untouched && self.scanner.under_way().is_none();
        if self.scanner.is_closed() || is_blank && self.elements.is_empty() {
            let nothing = self.end() == self.first;
            return Ok(if nothing { None } else { self.give_elements(self.buffer.len()) });
        }
        if !self.elements.is_empty() {
            return Ok(self.give_before());
        }
        if self.scanner.is_before() {
            return Err(self.no_array(self.buffer.len()));
        }
        Err(FileError::CutArray { name: self.content.name().to_owned(), offset: self.end() })
    }

    fn no_array(&self, at: usize) -> FileError {
        FileError::NoArray { name: self.content.name().to_owned(), offset: self.offset(at) }
    }

    /// The block of the elements before the one that is under way.
    fn give_before(&mut self) -> Option<Block> {
        let (boundary, elements) = (self.boundary, std::mem::take(&mut self.elements));
        self.scanner.drop_first(boundary);
        self.boundary = 0;
        self.give_to(self.elements_end, boundary, Records::Elements(elements))
    }

    fn give_elements(&mut self, length: usize) -> Option<Block> {
        let elements = std::mem::take(&mut self.elements);
        self.give_array(length, if elements.is_empty() { Records::None } else { Records::Elements(elements) })
    }

    fn give_array(&mut self, length: usize, records: Records) -> Option<Block> {
        self.scanner.drop_first(length);
        self.boundary = 0;
        self.give(length, records)
    }
}
