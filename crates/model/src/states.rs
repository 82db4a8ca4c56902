//! The groups that `us-states` knows: the 50 states, the District of Columbia and the inhabited territories.

/// Their postal codes, ascending.
pub const US_STATES: [&str; 56] = [
    "AK", "AL", "AR", "AS", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS",
    "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MP", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY",
    "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI", "WV", "WY",
];

/// Letters of the alphabet.
const LETTERS: usize = 26;

/// The place of pairs that are no state.
const NONE: u8 = u8::MAX;

/// For each pair of capital letters, the place of its state in [`US_STATES`].
static PLACES: [u8; LETTERS * LETTERS] = places();

const fn places() -> [u8; LETTERS * LETTERS] {
    let (mut places, mut i) = ([NONE; LETTERS * LETTERS], 0);
    while i < US_STATES.len() {
        let code = US_STATES[i].as_bytes();
        places[(code[0] - b'A') as usize * LETTERS + (code[1] - b'A') as usize] = i as u8;
        i += 1;
    }
    places
}

/// The place of a postal code in [`US_STATES`], if it is one. Cost: one load.
#[inline(always)]
pub fn place(code: &[u8]) -> Option<usize> {
    let [first, second] = *code.first_chunk::<2>().filter(|_| code.len() == 2)?;
    if !first.is_ascii_uppercase() || !second.is_ascii_uppercase() {
        return None;
    }
    match PLACES.get(usize::from(first - b'A') * LETTERS + usize::from(second - b'A')) {
        Some(&place) if place != NONE => Some(usize::from(place)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_place_and_nothing_else_has_one() {
        assert!(US_STATES.is_sorted_by(|a, b| a < b));
        for (i, code) in US_STATES.iter().enumerate() {
            assert_eq!(place(code.as_bytes()), Some(i));
        }
        let known =
            (b'\0'..=255).flat_map(|a| (b'\0'..=255).map(move |b| [a, b])).filter(|code| place(code).is_some()).count();
        assert_eq!(known, US_STATES.len());
        for other in ["", "A", "ak", "AKA", "ZZ", "A ", "É"] {
            assert_eq!(place(other.as_bytes()), None, "{other}");
        }
    }
}
