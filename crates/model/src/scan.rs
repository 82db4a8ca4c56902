//! From the bytes of a record to a reading or a typed rejection: one walk, no tree, no allocation for an ordinary reading.
//!
//! The scanner checks the whole text, also what it skips: a record whose last byte is wrong is `not-json`, whatever its members
//! are. Then it classifies the record: the first fault wins, in the order of [`Rejection::ALL`]. If a member occurs twice, the last
//! one counts, at every level: a second `payload` replaces all of the first one.
//!
//! Two ways give the same result: any record can be walked member by member; if the bytes between its values are those of an
//! earlier record ([`shape`]), only its values are walked.

mod groups;
mod members;
mod shape;
mod tree;

use members::{Found, Members};
use shape::{Fields, Shape};
use tree::Tree;

pub(crate) use groups::KnownGroups;

use crate::fixed::Fixed;
use crate::json::number;
use crate::json::string::{self, Text};
use crate::rejection::Rejection;
use crate::schema::ValueRange;
use crate::settings::Settings;
use crate::time::{Clock, Millis};

/// An accepted reading of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The sensor's id: UTF-8, escapes decoded, not empty.
    pub sensor: &'a [u8],
    /// The group: UTF-8, escapes decoded.
    pub group: &'a [u8],
    /// The event time.
    pub time: Millis,
    /// The value, within the range before it was rounded.
    pub value: Fixed,
    /// The group's position among those that are known; `None` where any group is known.
    pub(crate) group_place: Option<usize>,
}

/// The members that make a reading, in the order in which faults are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Sensor,
    Group,
    Time,
    Value,
}

impl Field {
    pub(crate) const ALL: [Self; 4] = [Self::Sensor, Self::Group, Self::Time, Self::Value];
}

/// Reads records by one [`Settings`]. Its result depends on the record alone; from earlier records it keeps memory, and the shape
/// of one of them to be faster.
#[derive(Debug, Clone)]
pub struct Scanner {
    tree: Tree,
    groups: KnownGroups,
    range: ValueRange,
    max_ahead: Millis,
    found: Vec<Found>,
    shape: Shape,
    clock: Clock,
    decoded: Decoded,
}

/// Buffers for texts with escapes.
#[derive(Debug, Clone, Default)]
struct Decoded {
    name: Vec<u8>,
    sensor: Vec<u8>,
    group: Vec<u8>,
    time: Vec<u8>,
}

impl Scanner {
    /// A scanner by these settings.
    pub fn new(settings: &Settings) -> Self {
        let schema = &settings.schema;
        let tree = Tree::new([&schema.sensor, &schema.group, &schema.time, &schema.value]);
        Self {
            found: vec![Found::Absent; tree.len()],
            tree,
            shape: Shape::default(),
            clock: Clock::default(),
            groups: KnownGroups::new(&schema.groups),
            range: schema.range,
            max_ahead: settings.max_ahead_millis(),
            decoded: Decoded::default(),
        }
    }

    pub(crate) fn groups(&self) -> &KnownGroups {
        &self.groups
    }

    /// Reads one record: its value, and its log timestamp if it has one. Cost: linear in the bytes.
    #[inline]
    pub fn scan<'a>(&'a mut self, record: &'a [u8], timestamp: Option<Millis>) -> Result<Reading<'a>, Rejection> {
        let fields = match self.shape.fields(record) {
            Some(fields) => fields,
            None => self.walk(record)?,
        };
        let Fields { sensor, group, time, value } = fields;
        if sensor.start == sensor.end {
            return Err(Rejection::MissingField);
        }
        let decoded = &mut self.decoded;
        let group = content(group, record, &mut decoded.group);
        let group_place = self.groups.place(group).ok_or(Rejection::UnknownGroup)?;
        let time = self.clock.read(content(time, record, &mut decoded.time)).ok_or(Rejection::BadTime)?;
        let value = record.get(value.0..value.1).unwrap_or_default();
        let value = number::value(value, self.range.min, self.range.max).ok_or(Rejection::OutOfRange)?;
        if timestamp.is_some_and(|timestamp| time > timestamp.saturating_add(self.max_ahead)) {
            return Err(Rejection::Future);
        }
        let sensor = content(sensor, record, &mut decoded.sensor);
        Ok(Reading { sensor, group, time, value, group_place })
    }

    /// Walks over a whole record to find its fields.
    #[inline(never)]
    fn walk(&mut self, record: &[u8]) -> Result<Fields, Rejection> {
        let mut members =
            Members { bytes: record, tree: &self.tree, found: &mut self.found, name: &mut self.decoded.name };
        members.text().ok_or(Rejection::NotJson)?;
        let sensor = self.text(Field::Sensor)?;
        if sensor.start == sensor.end {
            return Err(Rejection::MissingField);
        }
        let (group, time) = (self.text(Field::Group)?, self.text(Field::Time)?);
        let fields = Fields { sensor, group, time, value: self.number(Field::Value)? };
        self.shape.learn(record, &fields);
        Ok(fields)
    }

    #[inline(always)]
    fn text(&self, field: Field) -> Result<Text, Rejection> {
        match self.leaf(field) {
            Found::Text(text) => Ok(text),
            _ => Err(self.fault(field)),
        }
    }

    #[inline(always)]
    fn number(&self, field: Field) -> Result<(usize, usize), Rejection> {
        match self.leaf(field) {
            Found::Number { start, end } => Ok((start, end)),
            _ => Err(self.fault(field)),
        }
    }

    /// What was found at a field's leaf. If it is a text or number, everything above it is an object.
    #[inline(always)]
    fn leaf(&self, field: Field) -> Found {
        self.found.get(self.tree.leaf(field)).copied().unwrap_or(Found::Absent)
    }

    /// Why there is no text or number for a field: the first node on its path that is absent or not an object decides.
    #[cold]
    fn fault(&self, field: Field) -> Rejection {
        let path = self.tree.path(field);
        let first = path.iter().map(|node| self.found.get(*node)).find(|found| *found != Some(&Found::Object));
        match first.flatten() {
            Some(Found::Absent) => Rejection::MissingField,
            _ => Rejection::WrongType,
        }
    }
}

/// The content of a text: its own bytes, or `room` with its escapes decoded.
#[inline(always)]
fn content<'a>(text: Text, record: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let raw = text.raw(record);
    if !text.escaped {
        return raw;
    }
    room.clear();
    string::decode(raw, room);
    room
}

#[cfg(test)]
mod tests;
