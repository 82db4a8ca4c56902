//! Reading the bytes of a partial, and refusing all others.

use std::collections::BTreeMap;

use super::check::{self, Fault};
use super::{EXACT_SENSORS, FORMAT, GROUP_MEMBERS, MAGIC, NO_TIMESTAMP, OLDER_MAGIC, STATISTICS};
use crate::fixed::Fixed;
use crate::partial::{Aggregate, Cell, CellKey, ModuleVersion, Partial, SourceRange};
use crate::rejection::{RejectedCounts, RejectedHash, Rejection};
use crate::settings::Fingerprint;
use crate::stats::{SensorHash, Stats};
use crate::varint::{self, VarintError, unzigzag};
use crate::window::Window;

/// Why bytes are not a partial of this format.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error(
        "these {0} bytes are not a partial: they do not begin with IPAR; the module that answered is not window-stats, or its \
         parameter `output` is not `binary`"
    )]
    NotAPartial(usize),
    #[error("a partial of an older version (it begins with ISOP): its module is older than this program")]
    Older,
    #[error("a partial of format {0}, where this program reads format {FORMAT}: its module is of another version")]
    Format(u8),
    #[error(
        "at byte {at}, {what} {number}, which this program does not know: the partial's module is of a newer version"
    )]
    Newer { at: usize, what: &'static str, number: u64 },
    #[error("the partial ends at byte {at}, within {what}")]
    Truncated { at: usize, what: &'static str },
    #[error("the partial ends at byte {0}, and more bytes follow")]
    Trailing(usize),
    #[error("at byte {at}, {what} has more bytes than it needs")]
    NotMinimal { at: usize, what: &'static str },
    #[error("at byte {at}, {what} is too large")]
    TooLarge { at: usize, what: &'static str },
    #[error("at byte {0}, a group's name is no UTF-8")]
    NotText(usize),
    #[error("at byte {0}, the flag for a newest time is neither 0 nor 1")]
    Flag(usize),
    #[error("no batch gives such a partial: {0}")]
    Fault(#[from] Fault),
}

/// Reads the bytes of a partial. Cost: linear in the bytes; memory is taken only for what is there.
pub fn decode(bytes: &[u8]) -> Result<Partial, DecodeError> {
    if !bytes.starts_with(&MAGIC) {
        let older = bytes.starts_with(&OLDER_MAGIC);
        return Err(if older { DecodeError::Older } else { DecodeError::NotAPartial(bytes.len()) });
    }
    let mut reader = Reader { rest: bytes, len: bytes.len() };
    reader.take(MAGIC.len(), "the first bytes")?;
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
    let rejected_hash = RejectedHash(u64::from_le_bytes(reader.fixed("the hash of the rejected records")?));
    let offsets = reader.number("the number of offsets")?;
    let next = first.checked_add_unsigned(offsets).ok_or(Fault::Source { first })?;
    let records = reader.number("the number of records")?;
    let rejected = reader.rejected()?;
    let newest = match reader.fixed("whether there is a newest time")? {
        [0] => None,
        [1] => Some(i64::from_le_bytes(reader.fixed("the newest time")?)),
        _ => return Err(DecodeError::Flag(reader.at() - 1)),
    };
    reader.statistics()?;
    let mut groups = reader.groups()?;
    let cells = reader.cells(&mut groups)?;
    if let Some((unused, _)) = groups.into_iter().find(|(_, used)| !used) {
        return Err(Fault::UnusedGroup(unused.into()).into());
    }
    if !reader.rest.is_empty() {
        return Err(DecodeError::Trailing(reader.at()));
    }
    let aggregate = Aggregate { records, newest, rejected, cells };
    let source = SourceRange { first, next };
    let partial = Partial { version, fingerprint, source, base_timestamp, rejected_hash, aggregate };
    check::partial(&partial)?;
    Ok(partial)
}

/// A group's name, and whether a cell refers to it.
type ListedGroup<'a> = (&'a str, bool);

/// The bytes that are left, of `len` in all.
struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    fn at(&self) -> usize {
        self.len - self.rest.len()
    }

    fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated { at: self.at(), what })?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated { at: self.at(), what })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A varint of at most `bits` bits.
    fn varint(&mut self, bits: u32, what: &'static str) -> Result<u128, DecodeError> {
        let at = self.at();
        varint::take(&mut self.rest, bits).map_err(|error| match error {
            VarintError::Truncated => DecodeError::Truncated { at, what },
            VarintError::NotMinimal => DecodeError::NotMinimal { at, what },
            VarintError::TooLarge => DecodeError::TooLarge { at, what },
        })
    }

    /// A varint of at most 64 bits that fits `T`.
    fn number<T: TryFrom<u128>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        let at = self.at();
        T::try_from(self.varint(64, what)?).map_err(|_| DecodeError::TooLarge { at, what })
    }

    /// A zigzag varint of at most 64 bits.
    fn signed(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let at = self.at();
        i64::try_from(unzigzag(self.varint(64, what)?)).map_err(|_| DecodeError::TooLarge { at, what })
    }

    /// The rejected records by reason.
    fn rejected(&mut self) -> Result<RejectedCounts, DecodeError> {
        let mut rejected = RejectedCounts::default();
        let mut min_number = 0;
        for _ in 0..self.number::<u64>("the number of reasons")? {
            let at = self.at();
            let number = self.number("a reason's number")?;
            let reason = Rejection::from_number(number);
            let reason = reason.ok_or(DecodeError::Newer { at, what: "the reason of a rejection", number })?;
            let count = self.number("a number of rejected records")?;
            if number < min_number || count == 0 {
                return Err(Fault::Reasons.into());
            }
            min_number = number + 1;
            rejected.add(reason, count);
        }
        Ok(rejected)
    }

    /// The list of statistics that each cell carries: in this version always all of them.
    fn statistics(&mut self) -> Result<(), DecodeError> {
        let count: u64 = self.number("the number of statistics")?;
        for expected in 0..count {
            let at = self.at();
            let number = self.number("a statistic's number")?;
            if number >= STATISTICS {
                return Err(DecodeError::Newer { at, what: "statistic", number });
            }
            if number != expected {
                return Err(Fault::Statistics.into());
            }
        }
        if count < STATISTICS { Err(Fault::Statistics.into()) } else { Ok(()) }
    }

    /// The names of the groups.
    fn groups(&mut self) -> Result<Vec<ListedGroup<'a>>, DecodeError> {
        let at = self.at();
        let number = self.number("a group's number of members")?;
        if number != GROUP_MEMBERS {
            return Err(DecodeError::Newer { at, what: "a group's number of members,", number });
        }
        let mut groups: Vec<ListedGroup<'a>> = Vec::new();
        for _ in 0..self.number::<u64>("the number of groups")? {
            let len = self.number("the length of a group's name")?;
            let at = self.at();
            let name = std::str::from_utf8(self.take(len, "a group's name")?).map_err(|_| DecodeError::NotText(at))?;
            if groups.last().is_some_and(|(before, _)| *before >= name) {
                return Err(Fault::GroupOrder(name.into()).into());
            }
            groups.push((name, false));
        }
        Ok(groups)
    }

    /// The windows and their cells. Marks the groups that have some.
    fn cells(&mut self, groups: &mut [ListedGroup<'a>]) -> Result<BTreeMap<CellKey, Cell>, DecodeError> {
        let mut cells = BTreeMap::new();
        let mut window_before: Option<Window> = None;
        for _ in 0..self.number::<u64>("the number of windows")? {
            let window = match window_before {
                None => Window(self.signed("a window's number")?),
                Some(before) => {
                    let distance = self.number("a window's number")?;
                    let next = before.0.checked_add(1).and_then(|next| next.checked_add_unsigned(distance));
                    Window(next.ok_or(Fault::WindowBeyond(before))?)
                }
            };
            window_before = Some(window);
            self.window(window, groups, &mut cells)?;
        }
        Ok(cells)
    }

    fn window(
        &mut self,
        window: Window,
        groups: &mut [ListedGroup<'a>],
        cells: &mut BTreeMap<CellKey, Cell>,
    ) -> Result<(), DecodeError> {
        let count: u64 = self.number("a window's number of cells")?;
        if count == 0 {
            return Err(Fault::EmptyWindow(window).into());
        }
        // Each group's position counts from the one before, so that order and repetition need no check.
        let mut groups = groups.iter_mut();
        for _ in 0..count {
            let distance = self.number("the position of a group")?;
            let (group, used) = groups.nth(distance).ok_or(Fault::NoSuchGroup)?;
            *used = true;
            let cell = self.cell(group)?;
            cells.insert(CellKey { window, group: (*group).into() }, cell);
        }
        Ok(())
    }

    fn cell(&mut self, group: &str) -> Result<Cell, DecodeError> {
        let beyond = || Fault::Values(group.into());
        let count = self.number("a cell's count")?;
        let min = self.signed("a cell's min")?;
        let max = min.checked_add_unsigned(self.number("a cell's max")?).ok_or_else(beyond)?;
        let min_sum = i128::from(count) * i128::from(min);
        let sum = min_sum.checked_add_unsigned(self.varint(128, "a cell's sum")?).ok_or_else(beyond)?;
        let at = self.at();
        match self.fixed("the kind of a set of sensors")? {
            [EXACT_SENSORS] => {}
            [kind] => return Err(DecodeError::Newer { at, what: "a set of sensors of kind", number: kind.into() }),
        }
        let len: usize = self.number("the number of sensors")?;
        let hashes = self.take(len.saturating_mul(size_of::<SensorHash>()), "the sensors")?;
        let sensors = hashes.as_chunks().0.iter().map(|hash| SensorHash::from_le_bytes(*hash)).collect();
        let stats = Stats { count, sum, min: Fixed::from_micros(min), max: Fixed::from_micros(max) };
        Ok(Cell { stats, sensors })
    }
}
