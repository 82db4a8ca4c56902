//! The states of simulated sensors, with their average annual temperatures.
//!
//! The table is part of the binary: `data/state-temperatures.csv`, the 50 states and DC, degrees Fahrenheit.

use crate::error::ProduceError;

const TABLE: &str = include_str!("../data/state-temperatures.csv");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The postal code: two upper-case letters.
    pub code: [u8; 2],
    /// The average annual temperature in tenths of a degree Fahrenheit.
    pub average_tenths: i32,
}

/// The embedded table, in the order of its lines.
///
/// # Errors
/// [`ProduceError::StateTable`] names the line that is no `CODE,TEMPERATURE`: the build carries a damaged table.
pub fn table() -> Result<Vec<State>, ProduceError> {
    parse(TABLE)
}

fn parse(text: &str) -> Result<Vec<State>, ProduceError> {
    let states = text
        .lines()
        .enumerate()
        .skip(1)
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            parse_line(line).ok_or_else(|| ProduceError::StateTable { line: index + 1, text: line.to_owned() })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if states.is_empty() {
        return Err(ProduceError::StateTable { line: 1, text: "no state at all".to_owned() });
    }
    Ok(states)
}

fn parse_line(line: &str) -> Option<State> {
    let (code, temperature) = line.split_once(',')?;
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    let (whole, tenth) = temperature.split_once('.')?;
    if !code.iter().all(u8::is_ascii_uppercase) || tenth.len() != 1 {
        return None;
    }
    let magnitude: i32 = format!("{whole}{tenth}").parse().ok()?;
    Some(State { code, average_tenths: magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_fifty_states_and_dc_in_order() {
        let states = table().unwrap();
        assert_eq!(states.len(), 51);
        assert!(states.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(states[0], State { code: *b"AK", average_tenths: 266 });
        assert!(states.iter().any(|state| state.code == *b"DC"));
        assert!(states.iter().all(|state| (200..=800).contains(&state.average_tenths)));
    }

    #[test]
    fn a_damaged_line_is_named() {
        for text in ["state,t\nAK,26.6\nAlabama,62.8\n", "state,t\nAK,26.6\nAL;62.8\n", "state,t\nAK,26.6\nAL,62\n"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ProduceError::StateTable { line: 3, .. }), "{error}");
        }
    }
}
