//! Small numbers for the names of groups, where any group is known.

use std::collections::BTreeMap;

/// Names and their numbers. A small table finds most names; a sorted map behind it bounds the cost for any choice of names,
/// however hostile, by its logarithm.
#[derive(Debug, Clone)]
pub(super) struct GroupNames {
    names: Vec<Box<str>>,
    numbers: BTreeMap<Box<str>, u32>,
    /// Number + 1 of the name that last hashed to this slot; 0 for none.
    recent: Box<[u32; RECENT]>,
    bytes: usize,
}

/// Slots for recent names (a power of two).
const RECENT: usize = 1_024;
/// With more names than this, or more bytes of them, the next batch begins with none.
const MAX_NAMES: usize = 4_096;
const MAX_BYTES: usize = 1 << 18;

impl Default for GroupNames {
    fn default() -> Self {
        Self { names: Vec::new(), numbers: BTreeMap::new(), recent: Box::new([0; RECENT]), bytes: 0 }
    }
}

impl GroupNames {
    /// Forgets the names if there are very many. Earlier numbers are then void.
    pub(super) fn trim(&mut self) {
        if self.names.len() > MAX_NAMES || self.bytes > MAX_BYTES {
            *self = Self::default();
        }
    }

    /// The number of a name, which is UTF-8, as every text of a reading.
    #[inline]
    pub(super) fn number(&mut self, name: &[u8]) -> u32 {
        let slot = slot(name);
        let recent = self.recent.get(slot).copied().unwrap_or(0);
        if let Some(number) = recent.checked_sub(1)
            && self.name(number).as_bytes() == name
        {
            return number;
        }
        // A scanned text is UTF-8: nothing is ever replaced here.
        let name = String::from_utf8_lossy(name);
        let number = match self.numbers.get(name.as_ref()) {
            Some(number) => *number,
            None => {
                let number = self.names.len() as u32;
                self.bytes += name.len();
                self.names.push(name.as_ref().into());
                self.numbers.insert(name.as_ref().into(), number);
                number
            }
        };
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = number + 1;
        }
        number
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", AsRef::as_ref)
    }
}

/// The slot for a name, from its length and its first and last bytes.
#[inline(always)]
fn slot(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 48) as usize % RECENT
}
