//! Small numbers for the names of groups, where any group counts.

use std::collections::BTreeMap;

/// Names and their numbers. A table of recent names answers for most; behind it stands a sorted map, so that no choice of
/// names, however hostile, costs more than its logarithm.
#[derive(Debug, Clone)]
pub(super) struct Names {
    names: Vec<Box<str>>,
    numbers: BTreeMap<Box<str>, u32>,
    /// Number + 1 of the name that last hashed here; 0 for none.
    recent: Box<[u32; RECENT]>,
    bytes: usize,
}

/// Places for recent names (a power of two).
const RECENT: usize = 1_024;
/// Beyond so many names, or bytes of them, they are forgotten at the next batch.
const MOST_NAMES: usize = 4_096;
const MOST_BYTES: usize = 1 << 18;

impl Default for Names {
    fn default() -> Self {
        Self { names: Vec::new(), numbers: BTreeMap::new(), recent: Box::new([0; RECENT]), bytes: 0 }
    }
}

impl Names {
    /// Makes room if there are very many names. Numbers given before mean nothing afterwards.
    pub(super) fn trim(&mut self) {
        if self.names.len() > MOST_NAMES || self.bytes > MOST_BYTES {
            *self = Self::default();
        }
    }

    /// The number of a name: UTF-8, as every text of a reading is.
    #[inline]
    pub(super) fn number(&mut self, name: &[u8]) -> u32 {
        let slot = slot(name);
        let recent = self.recent.get(slot).copied().unwrap_or(0);
        if let Some(number) = recent.checked_sub(1)
            && self.name(number).as_bytes() == name
        {
            return number;
        }
        // A scanned text is UTF-8, so that nothing is ever replaced here.
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

/// Where a name's number may be remembered: from its length and its first and last bytes.
#[inline(always)]
fn slot(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 48) as usize % RECENT
}
