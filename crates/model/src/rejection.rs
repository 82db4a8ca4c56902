//! Why a record is rejected, and counts of rejected records by reason.

use std::fmt;

/// The first fault of a rejected record. Its number is stable: partials and stores hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rejection {
    /// The bytes are not a JSON text.
    NotJson = 0,
    /// A member on the path of sensor, group, time or value is absent, or the sensor is an empty string.
    MissingField = 1,
    /// Something on a path is not an object, or the leaf is not a string (for the value: not a number).
    WrongType = 2,
    /// The topology does not know the group.
    UnknownGroup = 3,
    /// The time is not an RFC 3339 time in the years 1000 to 9998 (UTC).
    BadTime = 4,
    /// The value is outside the topology's range.
    OutOfRange = 5,
    /// The event time is further ahead of the record's log timestamp than `max-ahead`.
    Future = 6,
    /// The record has no value at all. Only logs that know null values have such records.
    NoValue = 7,
}

impl Rejection {
    /// Every reason, ascending by number. Faults are looked for in this order, but for a missing value, which is looked for first.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::MissingField,
        Self::WrongType,
        Self::UnknownGroup,
        Self::BadTime,
        Self::OutOfRange,
        Self::Future,
        Self::NoValue,
    ];

    /// The reason's name in results, parameters and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::MissingField => "missing-field",
            Self::WrongType => "wrong-type",
            Self::UnknownGroup => "unknown-group",
            Self::BadTime => "bad-time",
            Self::OutOfRange => "out-of-range",
            Self::Future => "future",
            Self::NoValue => "no-value",
        }
    }

    /// The reason's stable number. Numbers count from 0 without gaps.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason of a number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| u64::from(reason.number()) == number)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hash of the values of rejected records, in their order. It is 0 before the first; each record makes it XXH3-64 of its
/// value with the hash so far as the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct RejectedHash(pub u64);

impl RejectedHash {
    /// The hash of no records.
    pub const NONE: Self = Self(0);

    /// Adds the next record's value.
    // Rejected records are rare: their code stays out of the way of those that count.
    #[inline(never)]
    pub fn add(&mut self, value: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(value, self.0);
    }
}

/// Counts of rejected records by reason. Merging adds; the empty counts are the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct RejectedCounts([u64; Rejection::ALL.len()]);

impl RejectedCounts {
    /// Counts one more record.
    pub fn count(&mut self, reason: Rejection) {
        self.add(reason, 1);
    }

    /// Counts `records` more records (saturating: a log ends long before a `u64` does).
    pub fn add(&mut self, reason: Rejection, records: u64) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(records);
    }

    /// Records rejected for this reason.
    pub const fn get(&self, reason: Rejection) -> u64 {
        self.0[reason as usize]
    }

    /// Records rejected for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for reason in Rejection::ALL {
            self.add(reason, other.get(reason));
        }
    }

    /// The reasons that occurred, with their counts, in the order of [`Rejection::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        Rejection::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_from_0_without_gaps() {
        let by_number: Vec<Rejection> = (0..).map_while(Rejection::from_number).collect();
        assert_eq!(by_number.len(), Rejection::ALL.len());
        assert!(Rejection::ALL.iter().all(|reason| by_number.get(usize::from(reason.number())) == Some(reason)));
    }
}
