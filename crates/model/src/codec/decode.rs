//! Reading the bytes of a partial, and refusing whatever is none.

use std::collections::BTreeMap;

use super::varint::{self, BadVarint};
use super::{FORMAT, MAGIC, NO_TIMESTAMP};
use crate::fixed::Fixed;
use crate::partial::{Aggregate, Cell, CellKey, ModuleVersion, Partial, SourceRange};
use crate::rejection::{RejectedCounts, RejectedPrint, Rejection};
use crate::schema::ValueRange;
use crate::settings::Fingerprint;
use crate::stats::{SensorHash, Stats};
use crate::time;
use crate::window::{Millis, Window};

/// Why bytes are no partial of this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They do not begin as a partial does.
    #[error(
        "these {0} bytes are no partial: they do not begin with ISOP; the module that answered is not window-stats, or its \
         parameter `output` is not `binary`"
    )]
    NotAPartial(usize),
    /// They are of another format.
    #[error(
        "a partial of format {0}, where this program reads format {FORMAT}: the module is of another version than this \
         program; deploy the module that belongs to it"
    )]
    Format(u8),
    /// They end too early.
    #[error("the partial ends at byte {at}, within {what}")]
    Truncated {
        /// Where they end, or what does not fit begins.
        at: usize,
        /// What does not fit.
        what: &'static str,
    },
    /// More bytes follow.
    #[error("the partial ends at byte {0}, and yet something follows")]
    Trailing(usize),
    /// A number has more bytes than it needs.
    #[error("at byte {at}, {what} has more bytes than it needs")]
    NotMinimal {
        /// Where the number begins.
        at: usize,
        /// What it is.
        what: &'static str,
    },
    /// A number is too large.
    #[error("at byte {at}, {what} is too large")]
    TooLarge {
        /// Where the number begins.
        at: usize,
        /// What it is.
        what: &'static str,
    },
    /// A group's name is no UTF-8.
    #[error("at byte {0}, a group's name is no UTF-8")]
    NotText(usize),
    /// Neither 0 nor 1 where one of them must be.
    #[error("at byte {0}, neither 0 nor 1 says whether there is a newest time")]
    Flag(usize),
    /// What they say cannot be.
    #[error("the partial says what cannot be: {0}")]
    Fault(#[from] Fault),
}

/// What no partial of a batch can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The offsets begin before the log's first one, leave the numbers that there are, or run backwards.
    #[error("offsets from {first} that begin before 0, end before they begin, or never end")]
    Source {
        /// The first offset.
        first: i64,
    },
    /// A base timestamp that is none.
    #[error("a base timestamp of {0} ms, where one that is not above 0 is none")]
    BaseTimestamp(Millis),
    /// A print of rejected records where there are none.
    #[error("a print of rejected records, of which there are none")]
    Print,
    /// More records than offsets.
    #[error("{records} records in {offsets} offsets")]
    Crowded {
        /// The records.
        records: u64,
        /// The offsets.
        offsets: u64,
    },
    /// Records that are neither counted nor rejected, or the reverse.
    #[error("{records} records, but {counted} counted and {rejected} rejected")]
    Account {
        /// The records.
        records: u64,
        /// Those that cells count.
        counted: u128,
        /// Those that were rejected.
        rejected: u128,
    },
    /// A newest time without a reading that counts, or the reverse.
    #[error("a newest time without a reading that counts, or such a reading without a newest time")]
    Newest,
    /// A newest time that no reading can have: it would close every window for good.
    #[error("a newest time of {0} ms, beyond the year 9998, in which the times of readings end")]
    NewestBeyond(Millis),
    /// A window that no time of a reading falls into, however long windows are.
    #[error("window {}, into which no reading's time falls", .0.0)]
    NoSuchWindow(Window),
    /// A window without cells.
    #[error("window {} without a cell", .0.0)]
    EmptyWindow(Window),
    /// A window beyond the numbers that there are.
    #[error("a window beyond {}", .0.0)]
    WindowBeyond(Window),
    /// Cells out of order, or one twice.
    #[error("the group `{0}` out of order or twice in its window")]
    GroupOrder(Box<str>),
    /// A cell that counts nothing.
    #[error("a cell of `{0}` that counts nothing")]
    NothingCounted(Box<str>),
    /// A least value above the greatest, one of them beyond the furthest that a range can reach, or a sum that such values
    /// cannot have.
    #[error("a cell of `{0}` whose least, greatest and sum of values cannot be")]
    Values(Box<str>),
    /// Sensors out of order, one twice, none, or more than readings.
    #[error("a cell of `{0}` whose sensors are out of order, repeated, none, or more than its readings")]
    Sensors(Box<str>),
}

/// Reads the bytes of a partial. Cost: linear in the bytes; memory is taken only for what is there.
pub fn decode(bytes: &[u8]) -> Result<Partial, DecodeError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(DecodeError::NotAPartial(bytes.len()));
    }
    let mut reader = Reader { bytes, at: MAGIC.len() };
    match reader.fixed("the format")? {
        [FORMAT] => {}
        [other] => return Err(DecodeError::Format(other)),
    }
    let version = ModuleVersion {
        major: u16::from_le_bytes(reader.fixed("the module's version")?),
        minor: u16::from_le_bytes(reader.fixed("the module's version")?),
        patch: u16::from_le_bytes(reader.fixed("the module's version")?),
    };
    let fingerprint = Fingerprint(u64::from_le_bytes(reader.fixed("the fingerprint")?));
    let first = i64::from_le_bytes(reader.fixed("the first offset")?);
    let base_timestamp = match i64::from_le_bytes(reader.fixed("the base timestamp")?) {
        NO_TIMESTAMP => None,
        timestamp => Some(timestamp),
    };
    let rejected_print = RejectedPrint(u64::from_le_bytes(reader.fixed("the print of the rejected records")?));
    let offsets = reader.number("the number of offsets")?;
    let next = first.checked_add_unsigned(offsets).ok_or(Fault::Source { first })?;
    let records = reader.number("the number of records")?;
    let mut rejected = RejectedCounts::default();
    for reason in Rejection::ALL {
        rejected.add(reason, reader.number("a number of rejected records")?);
    }
    let newest = match reader.fixed("whether there is a newest time")? {
        [0] => None,
        [1] => Some(i64::from_le_bytes(reader.fixed("the newest time")?)),
        _ => return Err(DecodeError::Flag(reader.at - 1)),
    };
    let cells = reader.cells()?;
    if reader.at < bytes.len() {
        return Err(DecodeError::Trailing(reader.at));
    }
    let aggregate = Aggregate { records, newest, rejected, cells };
    let source = SourceRange { first, next };
    let partial = Partial { version, fingerprint, source, base_timestamp, rejected_print, aggregate };
    check(&partial)?;
    Ok(partial)
}

/// Whether a partial says what a batch can have given.
pub(super) fn check(partial: &Partial) -> Result<(), Fault> {
    let SourceRange { first, next } = partial.source;
    let Aggregate { records, newest, rejected, cells } = &partial.aggregate;
    if first < 0 || next < first {
        return Err(Fault::Source { first });
    }
    if let Some(timestamp) = partial.base_timestamp.filter(|timestamp| *timestamp <= NO_TIMESTAMP) {
        return Err(Fault::BaseTimestamp(timestamp));
    }
    let offsets = next.wrapping_sub(first).cast_unsigned();
    if *records > offsets {
        return Err(Fault::Crowded { records: *records, offsets });
    }
    let mut counted = 0_u128;
    for (key, cell) in cells {
        check_cell(key, cell)?;
        counted += u128::from(cell.stats.count);
    }
    let rejected = Rejection::ALL.iter().map(|reason| u128::from(rejected.get(*reason))).sum();
    if counted + rejected != u128::from(*records) {
        return Err(Fault::Account { records: *records, counted, rejected });
    }
    if rejected == 0 && partial.rejected_print != RejectedPrint::NONE {
        return Err(Fault::Print);
    }
    if newest.is_some() != (counted > 0) {
        return Err(Fault::Newest);
    }
    // There is no least one: a reading counts for no more than its record's log timestamp, which can be any.
    match *newest {
        Some(newest) if newest >= time::END => Err(Fault::NewestBeyond(newest)),
        _ => Ok(()),
    }
}

/// Whether a cell says what readings can have given.
fn check_cell(key: &CellKey, cell: &Cell) -> Result<(), Fault> {
    let Stats { count, sum, min, max } = cell.stats;
    // Windows of 1 ms, the shortest, are numbered as instants are; longer ones have numbers nearer to 0.
    if !(time::FIRST..time::END).contains(&key.window.0) {
        return Err(Fault::NoSuchWindow(key.window));
    }
    if count == 0 {
        return Err(Fault::NothingCounted(key.group.clone()));
    }
    let reach = -ValueRange::LIMIT.micros()..=ValueRange::LIMIT.micros();
    let (min, max) = (min.micros(), max.micros());
    // 2⁶⁴ values of 64 bits: neither product leaves 128 bits.
    let (least, most) = (i128::from(count) * i128::from(min), i128::from(count) * i128::from(max));
    if min > max || !reach.contains(&min) || !reach.contains(&max) || !(least..=most).contains(&sum) {
        return Err(Fault::Values(key.group.clone()));
    }
    let sensors = &cell.sensors;
    if sensors.is_empty() || sensors.len() as u64 > count || !sensors.is_sorted_by(|a, b| a < b) {
        return Err(Fault::Sensors(key.group.clone()));
    }
    Ok(())
}

/// Bytes, and how far they have been read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// What is left.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// So many bytes.
    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..len).ok_or(DecodeError::Truncated { at: self.at, what })?;
        self.at += len;
        Ok(taken)
    }

    /// Bytes of a fixed number.
    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let taken = *self.rest().first_chunk::<N>().ok_or(DecodeError::Truncated { at: self.at, what })?;
        self.at += N;
        Ok(taken)
    }

    /// A varint of at most so many bits.
    fn varint(&mut self, bits: u32, what: &'static str) -> Result<u128, DecodeError> {
        let at = self.at;
        let (number, len) = varint::read(self.rest(), bits).map_err(|bad| match bad {
            BadVarint::Truncated => DecodeError::Truncated { at, what },
            BadVarint::NotMinimal => DecodeError::NotMinimal { at, what },
            BadVarint::TooLarge => DecodeError::TooLarge { at, what },
        })?;
        self.at += len;
        Ok(number)
    }

    /// A varint of 64 bits.
    fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let at = self.at;
        u64::try_from(self.varint(64, what)?).map_err(|_| DecodeError::TooLarge { at, what })
    }

    /// A varint that counts things in memory.
    fn len(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let at = self.at;
        usize::try_from(self.number(what)?).map_err(|_| DecodeError::TooLarge { at, what })
    }

    /// The windows and their cells.
    fn cells(&mut self) -> Result<BTreeMap<CellKey, Cell>, DecodeError> {
        let mut cells = BTreeMap::new();
        let mut before: Option<Window> = None;
        for _ in 0..self.number("the number of windows")? {
            let number = self.number("a window's number")?;
            let window = match before {
                None => Window(varint::unzigzag(number)),
                Some(before) => {
                    let next = before.0.checked_add(1).and_then(|next| next.checked_add_unsigned(number));
                    Window(next.ok_or(Fault::WindowBeyond(before))?)
                }
            };
            before = Some(window);
            self.window(window, &mut cells)?;
        }
        Ok(cells)
    }

    /// The cells of one window.
    fn window(&mut self, window: Window, cells: &mut BTreeMap<CellKey, Cell>) -> Result<(), DecodeError> {
        let count = self.number("a window's number of cells")?;
        if count == 0 {
            return Err(Fault::EmptyWindow(window).into());
        }
        let mut before: Option<&str> = None;
        for _ in 0..count {
            let len = self.len("the length of a group's name")?;
            let at = self.at;
            let group = std::str::from_utf8(self.take(len, "a group's name")?).map_err(|_| DecodeError::NotText(at))?;
            if before.is_some_and(|before| before >= group) {
                return Err(Fault::GroupOrder(group.into()).into());
            }
            before = Some(group);
            let cell = self.cell(group)?;
            cells.insert(CellKey { window, group: group.into() }, cell);
        }
        Ok(())
    }

    /// One cell, behind its group's name.
    fn cell(&mut self, group: &str) -> Result<Cell, DecodeError> {
        let beyond = || Fault::Values(group.into());
        let count = self.number("a cell's count")?;
        let min = varint::unzigzag(self.number("a least value")?);
        let max = min.checked_add_unsigned(self.number("a greatest value")?).ok_or_else(beyond)?;
        let least = i128::from(count) * i128::from(min);
        let sum = least.checked_add_unsigned(self.varint(128, "a sum")?).ok_or_else(beyond)?;
        let len = self.len("the number of sensors")?;
        let bytes = len.checked_mul(size_of::<SensorHash>());
        let hashes = self.take(bytes.unwrap_or(usize::MAX), "the sensors")?;
        let sensors = hashes.as_chunks().0.iter().map(|hash| SensorHash::from_le_bytes(*hash)).collect();
        let stats = Stats { count, sum, min: Fixed::from_micros(min), max: Fixed::from_micros(max) };
        Ok(Cell { stats, sensors })
    }
}
