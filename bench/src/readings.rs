//! Readings of the sensor message, in batches as a producer sends them.

use fluvio_protocol::Encoder;
use fluvio_protocol::record::Record;
use isotherm_model::states::US_STATES;
use isotherm_model::time::Utc;

/// Bytes of a batch, about: the size that the documents recommend for speed.
const BATCH: usize = 1_000_000;
const SENSORS: u64 = 2_000;
const START: i64 = 1_795_341_600_000;
/// The log timestamp of every batch: all readings are older.
pub(crate) const LOGGED: i64 = START + 86_400_000;

/// A batch: its records, and the bytes that the broker gives to a module.
pub(crate) struct Batch {
    pub(crate) values: Values,
    /// The same with their members in another order each time.
    pub(crate) shuffled: Values,
    pub(crate) raw: Vec<u8>,
}

/// Values side by side, as in a batch.
#[derive(Default)]
pub(crate) struct Values {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Values {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// This many readings, in batches.
pub(crate) fn batches(readings: u32) -> Vec<Batch> {
    let mut random = Random(7);
    let values: Vec<(Vec<u8>, Vec<u8>)> = (0..i64::from(readings)).map(|i| reading(i, &mut random)).collect();
    let size = values.first().map_or(1, |(value, _)| value.len() + 12);
    values.chunks((BATCH / size).max(1)).map(batch).collect()
}

fn batch(values: &[(Vec<u8>, Vec<u8>)]) -> Batch {
    let records: Vec<Record> = values
        .iter()
        .zip(0..)
        .map(|((value, _), offset)| {
            let mut record = Record::new(value.clone());
            record.preamble.set_offset_delta(offset);
            record
        })
        .collect();
    let mut raw = Vec::new();
    // Writing into memory cannot fail.
    let _ = records.encode(&mut raw, 0);
    let mut batch = Batch { values: Values::default(), shuffled: Values::default(), raw };
    for (value, shuffled) in values {
        batch.values.push(value);
        batch.shuffled.push(shuffled);
    }
    batch
}

/// One reading, a millisecond after the other, and the same in another order of members.
fn reading(i: i64, random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let sensor = random.below(SENSORS);
    let state = US_STATES[(sensor % US_STATES.len() as u64) as usize];
    let tenths = 200 + random.below(700);
    let members = [
        format!(r#""guid":"{:08x}-93f1-4c0e-8a55-{:012x}""#, sensor.wrapping_mul(0x9e37_79b9) as u32, sensor * 7_919),
        r#""destination":"0-AAA12345678""#.to_owned(),
        format!(r#""state":"{state}""#),
        format!(r#""eventTime":"{}""#, Utc(START + i + i64::from(i % 1_000 == 0))),
        format!(
            r#""payload":{{"format":"urn:example:sensor:temp","data":{{"temperature":{}.{}}}}}"#,
            tenths / 10,
            tenths % 10
        ),
    ];
    let mut other = members.clone();
    other.rotate_left(random.below(5) as usize);
    let first = random.below(5) as usize;
    other.swap(first, random.below(5) as usize);
    let text = |members: &[String]| format!("{{{}}}", members.join(",")).into_bytes();
    (text(&members), text(&other))
}

/// A sequence of numbers that is the same each time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
