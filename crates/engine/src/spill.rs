//! The bytes of cells in a scratch file: each cell has a key before it, a group's name or number.

use std::io;

use isotherm_model::fixed::Fixed;
use isotherm_model::partial::Cell;
use isotherm_model::stats::Stats;

use crate::scratch::ScratchError;

/// Appends a key and its cell.
pub(crate) fn put(bytes: &mut Vec<u8>, key: &[u8], cell: &Cell) {
    let Stats { count, sum, min, max } = cell.stats;
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(key);
    bytes.extend(count.to_le_bytes());
    bytes.extend(sum.to_le_bytes());
    bytes.extend(min.micros().to_le_bytes());
    bytes.extend(max.micros().to_le_bytes());
    bytes.extend((cell.sensors.len() as u64).to_le_bytes());
    cell.sensors.iter().for_each(|sensor| bytes.extend(sensor.to_le_bytes()));
}

/// Takes the keys and cells out again.
///
/// # Errors
///
/// An error if the bytes end within a cell: they are not what was put there.
pub(crate) fn take_all(mut bytes: &[u8]) -> Result<Vec<(&[u8], Cell)>, ScratchError> {
    let mut cells = Vec::new();
    while !bytes.is_empty() {
        let cell = take(&mut bytes).ok_or_else(|| {
            ScratchError::new(io::Error::new(io::ErrorKind::UnexpectedEof, "a cell in the scratch file is cut"))
        })?;
        cells.push(cell);
    }
    Ok(cells)
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Cell)> {
    let length = usize::try_from(u64::from_le_bytes(number(bytes)?)).ok()?;
    let key = bytes.split_off(..length)?;
    let count = u64::from_le_bytes(number(bytes)?);
    let sum = i128::from_le_bytes(number(bytes)?);
    let min = Fixed::from_micros(i64::from_le_bytes(number(bytes)?));
    let max = Fixed::from_micros(i64::from_le_bytes(number(bytes)?));
    let sensors = usize::try_from(u64::from_le_bytes(number(bytes)?)).ok()?.checked_mul(8)?;
    let hashes = bytes.split_off(..sensors)?;
    let sensors = hashes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash)).collect();
    Some((key, Cell { stats: Stats { count, sum, min, max }, sensors }))
}

fn number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(
            cells in proptest::collection::vec(("[a-z]{0,9}", 1_u64.., any::<i128>(), any::<i64>(), any::<i64>(),
                proptest::collection::vec(any::<u64>(), 0..9)), 0..9),
            cut in 1_usize..40,
        ) {
            let mut bytes = Vec::new();
            let cells: Vec<_> = cells.into_iter().map(|(key, count, sum, min, max, sensors)| {
                let (min, max) = (Fixed::from_micros(min), Fixed::from_micros(max));
                (key, Cell { stats: Stats { count, sum, min, max }, sensors })
            }).collect();
            cells.iter().for_each(|(key, cell)| put(&mut bytes, key.as_bytes(), cell));
            let taken = take_all(&bytes).unwrap();
            let expected: Vec<_> = cells.iter().map(|(key, cell)| (key.as_bytes(), cell.clone())).collect();
            prop_assert_eq!(taken, expected);
            if let Some(left) = bytes.len().checked_sub(cut).filter(|left| *left > 0) {
                prop_assert!(take_all(&bytes[..left]).map_or(true, |taken| taken.len() < cells.len()));
            }
        }
    }
}
