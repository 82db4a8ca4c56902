//! The bytes of a tally in a scratch file: by group its statistics, and the sensors' hashes.

use std::io;

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::Cell;
use isotherm_model::stats::Stats;

use crate::names::GroupId;
use crate::scratch::ScratchError;

/// The bytes before a group's sensors: number, count, sum, min, max, and how many sensors there are.
const HEAD: usize = 4 + 8 + 16 + 8 + 8 + 8;

/// Appends a group's cell.
pub(super) fn put(bytes: &mut Vec<u8>, group: GroupId, cell: &Cell) {
    let Stats { count, sum, min, max } = cell.stats;
    bytes.extend(group.0.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(sum.to_le_bytes());
    bytes.extend(min.micros().to_le_bytes());
    bytes.extend(max.micros().to_le_bytes());
    bytes.extend((cell.sensors.len() as u64).to_le_bytes());
    cell.sensors.iter().for_each(|sensor| bytes.extend(sensor.to_le_bytes()));
}

/// Takes the next group's cell.
///
/// # Errors
///
/// An error if the bytes end within it: they are not what was put there.
pub(super) fn take(bytes: &mut &[u8]) -> Result<(GroupId, Cell), ScratchError> {
    let short = || ScratchError::new(io::Error::new(io::ErrorKind::UnexpectedEof, "a cell in the scratch file is cut"));
    let (head, rest) = bytes.split_first_chunk::<HEAD>().ok_or_else(short)?;
    let mut head = &head[..];
    let group = GroupId(u32::from_le_bytes(number(&mut head)));
    let count = u64::from_le_bytes(number(&mut head));
    let sum = i128::from_le_bytes(number(&mut head));
    let [min, max] = [0, 1].map(|_| Fixed::from_micros(i64::from_le_bytes(number(&mut head))));
    let sensors = usize::try_from(u64::from_le_bytes(number(&mut head))).map_err(|_| short())?;
    let length = sensors.checked_mul(8).ok_or_else(short)?;
    let (hashes, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    *bytes = rest;
    let sensors = hashes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
    Ok((group, Cell { stats: Stats { count, sum, min, max }, sensors }))
}

/// The first bytes of a head, which is long enough for all of its numbers.
fn number<const N: usize>(head: &mut &[u8]) -> [u8; N] {
    let (number, rest) = head.split_first_chunk().unwrap_or((&[0; N], &[]));
    *head = rest;
    *number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(
            cells in proptest::collection::vec((0_u32..9, 1_u64.., any::<i128>(), any::<i64>(), any::<i64>(),
                proptest::collection::vec(any::<u64>(), 0..9)), 0..9),
            cut in 1_usize..40,
        ) {
            let mut bytes = Vec::new();
            let cells: Vec<_> = cells.into_iter().map(|(group, count, sum, min, max, sensors)| {
                let (min, max) = (Fixed::from_micros(min), Fixed::from_micros(max));
                (GroupId(group), Cell { stats: Stats { count, sum, min, max }, sensors })
            }).collect();
            cells.iter().for_each(|(group, cell)| put(&mut bytes, *group, cell));
            let mut left = &bytes[..];
            for cell in &cells {
                prop_assert_eq!(&take(&mut left).unwrap(), cell);
            }
            prop_assert!(left.is_empty());
            if !bytes.is_empty() {
                let mut short = &bytes[..bytes.len() - cut.min(bytes.len())];
                let taken = (0..cells.len()).map_while(|_| take(&mut short).ok()).count();
                prop_assert!(taken < cells.len());
            }
        }
    }
}
