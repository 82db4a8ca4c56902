//! Mergeable statistics of one cell: count, sum, min and max, and the sensors' hashes.

use crate::fixed::{self, Fixed};

/// The 64-bit identity of a sensor: XXH3-64 (seed 0) of its id's bytes, escapes decoded.
///
/// Two of `n` sensors share one with a chance of about `n² / 2⁶⁵`: below 3·10⁻⁶ for 10 million.
pub type SensorHash = u64;

/// The hash of a sensor's id.
pub fn hash_sensor(id: &[u8]) -> SensorHash {
    xxhash_rust::xxh3::xxh3_64(id)
}

/// Count, sum, min and max of at least one value. Merging is commutative and associative, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// How many values (at least 1).
    pub count: u64,
    /// Their sum in millionths: 2⁶⁴ values of 64 bits fit.
    pub sum: i128,
    /// The smallest value.
    pub min: Fixed,
    /// The largest value.
    pub max: Fixed,
}

impl Stats {
    /// The statistics of one value.
    pub const fn of(value: Fixed) -> Self {
        Self { count: 1, sum: value.micros() as i128, min: value, max: value }
    }

    /// Adds one value.
    pub fn push(&mut self, value: Fixed) {
        self.merge(&Self::of(value));
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// `sum / count`, rounded half to even at the sixth decimal.
    pub fn average(&self) -> Fixed {
        fixed::average(self.sum, self.count).unwrap_or_default()
    }
}
