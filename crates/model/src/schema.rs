//! Where a reading has its sensor, group, time and value, and which groups and values are accepted.

use std::collections::BTreeSet;
use std::fmt;

use crate::fixed::{Fixed, MICROS_PER_UNIT};
use crate::json::walk::MAX_DEPTH;
use crate::json::{Quoted, list, number};

/// A JSON pointer (RFC 6901) to an object member: at least one name, no array positions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer {
    names: Vec<String>,
}

/// A text that is not a [`Pointer`].
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    #[error("`{0}` does not begin with `/`; write for example `/payload/temperature`")]
    NoSlash(String),
    #[error("`{0}` has a `~` without 0 or 1 behind it; write `~0` for `~` and `~1` for `/` within a name")]
    BadEscape(String),
    #[error("`{0}` goes deeper than 127 levels, as no reading does; name a member nearer to the top")]
    TooDeep(String),
}

impl Pointer {
    /// The most names of a pointer: a reading with more nested objects is rejected as `not-json`.
    pub const MAX_NAMES: usize = MAX_DEPTH;

    /// Reads `/a/b`, with `~0` for `~` and `~1` for `/` within a name.
    pub fn parse(text: &str) -> Result<Self, BadPointer> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(BadPointer::NoSlash(text.to_owned()));
        };
        let names: Option<Vec<String>> = path.split('/').map(unescape).collect();
        match names {
            None => Err(BadPointer::BadEscape(text.to_owned())),
            Some(names) if names.len() > Self::MAX_NAMES => Err(BadPointer::TooDeep(text.to_owned())),
            Some(names) => Ok(Self { names }),
        }
    }

    /// The names, `~0` and `~1` decoded.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The last name: the name of the group's member in results.
    pub fn last(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// Whether `other` points to a member of what this points to.
    pub fn leads_to(&self, other: &Self) -> bool {
        other.names.len() > self.names.len() && other.names.starts_with(&self.names)
    }
}

/// One name of a pointer, `~1` and `~0` decoded; `None` for any other `~`.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('~');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match part.as_bytes().first()? {
            b'0' => ('~', part.get(1..)?),
            b'1' => ('/', part.get(1..)?),
            _ => return None,
        };
        decoded.push(character);
        decoded.push_str(rest);
    }
    Some(decoded)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// Which groups are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// The 50 states, DC and the inhabited territories, by postal code.
    UsStates,
    /// Every name.
    Any,
    /// These, to the letter.
    List(BTreeSet<String>),
}

/// A text or list that names no [`Groups`].
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGroups {
    #[error("`{0}` names no groups; write `us-states`, `any`, or a list such as `[\"north\",\"south\"]`")]
    Unknown(String),
    #[error("the list of groups is empty, so that no reading would count; name the groups, or write `any`")]
    Empty,
    #[error("the group `{0}` is in the list twice; name it once")]
    Repeated(String),
}

impl Groups {
    /// Reads `us-states`, `any` or a JSON array of strings.
    pub fn parse(text: &str) -> Result<Self, BadGroups> {
        match text {
            "us-states" => Ok(Self::UsStates),
            "any" => Ok(Self::Any),
            _ => match list::strings(text.as_bytes()) {
                Some(names) => Self::list(names),
                None => Err(BadGroups::Unknown(text.to_owned())),
            },
        }
    }

    /// These groups, to the letter: at least one, each once.
    pub fn list(names: impl IntoIterator<Item = String>) -> Result<Self, BadGroups> {
        let mut known = BTreeSet::new();
        for name in names {
            if let Some(twice) = known.replace(name) {
                return Err(BadGroups::Repeated(twice));
            }
        }
        if known.is_empty() { Err(BadGroups::Empty) } else { Ok(Self::List(known)) }
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsStates => f.write_str("us-states"),
            Self::Any => f.write_str("any"),
            Self::List(names) => {
                for (i, name) in names.iter().enumerate() {
                    f.write_str(if i == 0 { "[" } else { "," })?;
                    Quoted(name).fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// The accepted values, both ends included, compared before rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueRange {
    /// The smallest.
    pub min: Fixed,
    /// The largest.
    pub max: Fixed,
}

/// Bounds that make no [`ValueRange`].
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    #[error(
        "`{0}` is not a bound; write a decimal number with at most six decimals, from -1000000000000 to 1000000000000"
    )]
    BadBound(String),
    #[error("`min` {} is above `max` {}, so that no reading would count; {}", Bound(*min), Bound(*max), hint(*min, *max))]
    Crossed { min: Fixed, max: Fixed },
}

/// Prints a bound, and whether it is a default.
struct Bound(Fixed);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ValueRange { min, max } = ValueRange::default();
        self.0.fmt(f)?;
        f.write_str(if self.0 == min || self.0 == max { " (the default)" } else { "" })
    }
}

/// What to do about crossed bounds. One that is the default was most likely not given.
fn hint(min: Fixed, max: Fixed) -> &'static str {
    let default = ValueRange::default();
    if max == default.max {
        "give a `max` that is not below it, or a lesser `min`"
    } else if min == default.min {
        "give a `min` that is not above it, or a greater `max`"
    } else {
        "swap them"
    }
}

impl ValueRange {
    /// The largest magnitude of a bound: 10¹². The sum of 2⁶⁴ such values, as many as can be counted, fits in 128 bits.
    pub const LIMIT: Fixed = Fixed::from_micros(1_000_000_000_000 * MICROS_PER_UNIT);

    /// The range from `min` to `max`, both within ±[`ValueRange::LIMIT`].
    pub fn new(min: Fixed, max: Fixed) -> Result<Self, BadRange> {
        for bound in [min, max] {
            if bound.micros().unsigned_abs() > Self::LIMIT.micros().unsigned_abs() {
                return Err(BadRange::BadBound(bound.to_string()));
            }
        }
        if min > max { Err(BadRange::Crossed { min, max }) } else { Ok(Self { min, max }) }
    }

    /// Reads one bound: a JSON number of at most six decimals within ±[`ValueRange::LIMIT`].
    pub fn parse_bound(text: &str) -> Result<Fixed, BadRange> {
        let bytes = text.as_bytes();
        let is_number = number::walk(bytes, 0) == Some(bytes.len());
        is_number
            .then(|| number::exact(bytes, Self::LIMIT))
            .flatten()
            .ok_or_else(|| BadRange::BadBound(text.to_owned()))
    }
}

impl Default for ValueRange {
    /// ±1,000,000.
    fn default() -> Self {
        let million = 1_000_000 * MICROS_PER_UNIT;
        Self { min: Fixed::from_micros(-million), max: Fixed::from_micros(million) }
    }
}

/// The shape of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The sensor's id, a string.
    pub sensor: Pointer,
    /// The group, a string.
    pub group: Pointer,
    /// The event time, a string (RFC 3339).
    pub time: Pointer,
    /// The value, a number.
    pub value: Pointer,
    /// Which groups are known.
    pub groups: Groups,
    /// Which values are accepted.
    pub range: ValueRange,
}

/// Pointers that contradict each other or the results.
#[allow(missing_docs, reason = "each message says it")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchema {
    #[error(
        "the group pointer `{0}` ends in a name that results use for something else (messages, sensors, sum, avg, min, \
         max); rename the member in the readings"
    )]
    ReservedGroup(Pointer),
    #[error(
        "`{text}` and `value` both point to `{pointer}`, which cannot be a text and a number; point them to different members"
    )]
    TextAndNumber { text: &'static str, pointer: Pointer },
    #[error(
        "`{outer_name}` points to `{outer}`, of which `{inner_name}` points to a member, `{inner}`; no reading can have both"
    )]
    Nested { outer_name: &'static str, outer: Pointer, inner_name: &'static str, inner: Pointer },
}

impl Schema {
    /// Names of other members of a group's result.
    pub const RESERVED_GROUPS: [&str; 6] = ["messages", "sensors", "sum", "avg", "min", "max"];

    /// Whether the pointers fit together. Sensor, group and time may be the same member.
    pub fn check(&self) -> Result<(), BadSchema> {
        if Self::RESERVED_GROUPS.contains(&self.group.last()) {
            return Err(BadSchema::ReservedGroup(self.group.clone()));
        }
        let texts = [("sensor", &self.sensor), ("group", &self.group), ("time", &self.time)];
        if let Some((text, pointer)) = texts.into_iter().find(|(_, pointer)| **pointer == self.value) {
            return Err(BadSchema::TextAndNumber { text, pointer: pointer.clone() });
        }
        let [a, b, c] = texts;
        let all = [a, b, c, ("value", &self.value)];
        let pairs = all.iter().flat_map(|outer| all.iter().map(move |inner| (outer, inner)));
        for ((outer_name, outer), (inner_name, inner)) in pairs {
            if outer.leads_to(inner) {
                return Err(BadSchema::Nested {
                    outer_name,
                    outer: (*outer).clone(),
                    inner_name,
                    inner: (*inner).clone(),
                });
            }
        }
        Ok(())
    }
}

impl Default for Schema {
    /// The sensor message: `/guid`, `/state`, `/eventTime`, `/payload/data/temperature`.
    fn default() -> Self {
        let pointer = |names: &[&str]| Pointer { names: names.iter().map(|name| (*name).to_owned()).collect() };
        Self {
            sensor: pointer(&["guid"]),
            group: pointer(&["state"]),
            time: pointer(&["eventTime"]),
            value: pointer(&["payload", "data", "temperature"]),
            groups: Groups::UsStates,
            range: ValueRange::default(),
        }
    }
}
