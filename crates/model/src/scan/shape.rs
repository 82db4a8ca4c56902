//! The shape of a record: the bytes between its values. Most records of a topic have the shape of the one before.
//!
//! A record has the shape if its bytes between the values are the same, and each value is a string or number as before. Then it is
//! JSON if the earlier record was, with its fields at the same positions: the same members, in the same order, as often. So it is
//! enough to compare the bytes between its values, and to walk the values. Any other record is walked in full. The shape changes
//! only the speed, never the result.

use super::Field;
use crate::json::string::{self, Text};
use crate::json::{chunk, number, walk};

/// The most values of a shape; records with more are walked in full.
const MAX_VALUES: usize = 24;
/// The most bytes between them.
const MAX_BYTES: usize = 4_096;
/// A shape that matched this often may be replaced at once; for others patience grows.
const MET: u32 = 16;
/// The most records that are walked in full before a new shape is taken.
const MAX_PATIENCE: u32 = 1_023;

/// The positions of a record's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) sensor: Text,
    pub(crate) group: Text,
    pub(crate) time: Text,
    /// The bounds of the number.
    pub(crate) value: (usize, usize),
}

/// A value, and the bytes before it.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// The end of the bytes before it, among all bytes of the shape.
    end: usize,
    /// Whether it is a string, otherwise a number.
    text: bool,
    /// The slot for it, which fields refer to.
    slot: usize,
}

/// Slots: one for each field that has a value of its own, and one for all values that are none.
const SLOTS: usize = Field::ALL.len() + 1;
/// The slot for values that are no fields.
const NO_FIELD: usize = SLOTS - 1;

/// The shape of a record that was walked in full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    /// All bytes between values, from the first to the last.
    bytes: Vec<u8>,
    steps: Vec<Step>,
    /// For each field, its slot.
    slots: [usize; Field::ALL.len()],
    /// How often a record matched.
    met: u32,
    /// How many more records are walked in full before another shape is taken, and how many it was after the last one.
    patience: u32,
    last_patience: u32,
}

impl Shape {
    /// The fields of a record that has this shape.
    #[inline(always)]
    pub(crate) fn fields(&mut self, record: &[u8]) -> Option<Fields> {
        let mut slots = [Text { start: 0, end: 0, escaped: false }; SLOTS];
        let (mut at, mut from) = (0, 0);
        if self.steps.is_empty() {
            return None;
        }
        for step in &self.steps {
            let between = self.bytes.get(from..step.end)?;
            if !chunk::matches_at(record, at, between) {
                return None;
            }
            at += between.len();
            from = step.end;
            let found = if step.text {
                string::walk(record, at)?
            } else {
                Text { start: at, end: number::walk(record, at)?, escaped: false }
            };
            at = found.end;
            *slots.get_mut(step.slot)? = found;
        }
        let rest = self.bytes.get(from..)?;
        if record.len() - at != rest.len() || !chunk::matches_at(record, at, rest) {
            return None;
        }
        self.met = self.met.saturating_add(1);
        if self.met == MET {
            self.patience = 0;
        }
        let [sensor, group, time, value] = self.slots;
        let of = |slot: usize| slots.get(slot).copied();
        let value = of(value)?;
        Some(Fields { sensor: of(sensor)?, group: of(group)?, time: of(time)?, value: (value.start, value.end) })
    }

    /// Takes the shape of a record that was walked in full, if it is time for another shape.
    #[inline(never)]
    pub(crate) fn learn(&mut self, record: &[u8], fields: &Fields) {
        if self.patience > 0 {
            self.patience -= 1;
            return;
        }
        // If shapes alternate, learning one pays off less and less, so it is tried less and less.
        self.last_patience = if self.met >= MET { 0 } else { (2 * self.last_patience + 1).min(MAX_PATIENCE) };
        self.patience = self.last_patience;
        self.met = 0;
        self.bytes.clear();
        self.steps.clear();
        if self.take(record, fields).is_none() {
            self.steps.clear();
        }
    }

    /// Takes it; `None` if it is too large.
    fn take(&mut self, record: &[u8], fields: &Fields) -> Option<()> {
        let wanted = [fields.sensor.start, fields.group.start, fields.time.start, fields.value.0];
        let (mut at, mut from) = (0, 0);
        while let Some(byte) = record.get(at) {
            let (text, start, end) = match byte {
                b'"' => {
                    let text = string::walk(record, at + 1)?;
                    let after = walk::space(record, text.end + 1);
                    if record.get(after) == Some(&b':') {
                        // A name: part of the bytes between values.
                        at = after + 1;
                        continue;
                    }
                    (true, text.start, text.end)
                }
                b'-' | b'0'..=b'9' => (false, at, number::walk(record, at)?),
                _ => {
                    at += 1;
                    continue;
                }
            };
            // Fields that are the same member share the slot of the first one.
            let slot = wanted.iter().position(|wanted| *wanted == start).unwrap_or(NO_FIELD);
            for (field, _) in self.slots.iter_mut().zip(wanted).filter(|(_, wanted)| *wanted == start) {
                *field = slot;
            }
            self.between(record.get(from..start)?)?;
            self.steps.push(Step { end: self.bytes.len(), text, slot });
            if self.steps.len() > MAX_VALUES {
                return None;
            }
            from = end;
            at = if text { end + 1 } else { end };
        }
        self.between(record.get(from..)?)
    }

    /// Takes the bytes between two values; `None` if they are too many, before any is copied, as the memory would be kept.
    fn between(&mut self, bytes: &[u8]) -> Option<()> {
        if self.bytes.len() + bytes.len() > MAX_BYTES {
            return None;
        }
        self.bytes.extend_from_slice(bytes);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scan::Scanner;
    use crate::settings::Settings;

    const GOOD: &str = r#"{"guid":"s1","destination":"0-AAA12345678","state":"AK","eventTime":"2026-11-22T10:00:00.5Z","n":[1,true,{"x":"y"}],"payload":{"format":"urn:example:sensor:temp","data":{"temperature":26.6}}}"#;

    /// Whether a record matches the shape of another one.
    fn meets(first: &str, second: &str) -> bool {
        let mut scanner = Scanner::new(&Settings::default());
        let _ = scanner.scan(first.as_bytes(), None);
        scanner.shape.fields(second.as_bytes()).is_some()
    }

    /// How many bytes are between the values of a record.
    fn between(record: &str) -> usize {
        let mut scanner = Scanner::new(&Settings::default());
        scanner.scan(record.as_bytes(), None).expect("a reading");
        scanner.shape.bytes.len()
    }

    #[test]
    fn only_values_may_differ() {
        let changed = |from: &str, to: &str| GOOD.replacen(from, to, 1);
        for same in [
            GOOD.to_owned(),
            changed("s1", "another \\u0073ensor, a very long one é"),
            changed("26.6", "-1e400"),
            changed("[1,", "[-0.5,"),
            changed("\"y\"", "\"\""),
        ] {
            assert!(meets(GOOD, &same), "{same}");
            assert!(meets(&same, GOOD), "{same}");
        }
        for other in [
            changed("{", "{ "),
            changed("}}}", "}}} "),
            changed("}}}", "}}"),
            changed("\"s1\"", "1"),
            changed("26.6", "\"26.6\""),
            changed("26.6", "26.6x"),
            changed("26.6", "026.6"),
            changed("true", "false"),
            changed("\"x\"", "\"z\""),
            changed("s1", "s\n1"),
            changed("AK\"", "AK\",\"b\":\"c\""),
            String::new(),
        ] {
            assert!(!meets(GOOD, &other), "{other}");
        }
    }

    #[test]
    fn shapes_that_are_too_large_are_not_taken() {
        let long = GOOD.replacen("\"n\"", &format!("\"{}\"", "n".repeat(MAX_BYTES)), 1);
        assert!(!meets(&long, &long));
        let many = GOOD.replacen("[1,", &format!("[{}", "1,".repeat(MAX_VALUES)), 1);
        assert!(!meets(&many, &many));
    }

    #[test]
    fn what_is_too_large_is_not_kept_either() {
        let space = " ".repeat(1 << 20);
        for record in [GOOD.replacen('{', &format!("{{{space}"), 1), format!("{GOOD}{space}"), format!("{space}{GOOD}")]
        {
            let mut scanner = Scanner::new(&Settings::default());
            scanner.scan(record.as_bytes(), None).expect("a reading");
            let kept = scanner.shape.bytes.capacity();
            assert!(kept <= 2 * MAX_BYTES, "{kept} bytes are kept of a record of {}", record.len());
            assert!(scanner.shape.fields(record.as_bytes()).is_none());
        }
        // What is just small enough is taken.
        let room = MAX_BYTES - between(GOOD);
        for (space, taken) in [(room, true), (room + 1, false)] {
            let record = format!("{GOOD}{}", " ".repeat(space));
            assert_eq!(meets(&record, &record), taken, "{space}");
        }
    }

    #[test]
    fn shapes_by_turns_are_learnt_less_and_less() {
        let mut scanner = Scanner::new(&Settings::default());
        let mut learnt = 0;
        for i in 0..1_000_usize {
            let record = GOOD.replacen("\"n\"", &format!("\"n{i}\""), 1);
            let before = scanner.shape.bytes.clone();
            scanner.scan(record.as_bytes(), None).expect("a reading");
            learnt += usize::from(scanner.shape.bytes != before);
        }
        assert!((2..=10).contains(&learnt), "{learnt}");
        // What comes in one shape again is met soon enough, and a change of shape after that at once.
        for _ in 0..=MAX_PATIENCE {
            scanner.scan(GOOD.as_bytes(), None).expect("a reading");
        }
        for _ in 0..MET {
            scanner.scan(GOOD.as_bytes(), None).expect("a reading");
        }
        assert!(scanner.shape.fields(GOOD.as_bytes()).is_some());
        let other = GOOD.replacen("\"n\"", "\"m\"", 1);
        scanner.scan(other.as_bytes(), None).expect("a reading");
        assert!(scanner.shape.fields(other.as_bytes()).is_some());
    }

    proptest! {
        /// The result for a record does not depend on the records before it.
        #[test]
        fn the_shape_makes_no_difference(
            edits in proptest::collection::vec(proptest::collection::vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(b"\"\\{}[],: 0-9.eEax\x00\xff".as_slice())), 0..3), 1..20),
        ) {
            let mut scanner = Scanner::new(&Settings::default());
            for edits in edits {
                let mut record = GOOD.as_bytes().to_vec();
                for (place, kind, byte) in edits {
                    let place = place.index(record.len());
                    match kind {
                        0 => record[place] = byte,
                        1 => record.insert(place, byte),
                        _ => drop(record.remove(place)),
                    }
                }
                let mut fresh = Scanner::new(&Settings::default());
                prop_assert_eq!(scanner.scan(&record, None), fresh.scan(&record, None), "{}", String::from_utf8_lossy(&record));
            }
        }
    }
}
