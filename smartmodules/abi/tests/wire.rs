//! The frames and records that are read and written here are those of Fluvio's own crates.

use fluvio_protocol::link::smartmodule::SmartModuleKind;
use fluvio_protocol::record::{Record, RecordKey};
use fluvio_protocol::{Decoder, Encoder, EncoderVarInt};
use fluvio_smartmodule::dataplane::smartmodule::{
    SmartModuleExtraParams, SmartModuleInitInput, SmartModuleInitOutput, SmartModuleInput, SmartModuleOutput,
};
use isotherm_model::params::{BadParams, Params};
use isotherm_smartmodule_abi::{Answer, Batch, Damaged, Instance, Kind, Output, Transform};
use proptest::prelude::*;

/// The versions of the engine's protocol: the one that carries deprecated fields, and those since.
const VERSIONS: [i16; 4] = [22, 23, 25, 30];

/// A record by its parts.
type Parts = (Option<Vec<u8>>, Vec<u8>, i64, i64);

fn records(parts: &[Parts]) -> Vec<Record> {
    let records = parts.iter().map(|(key, value, offset_delta, timestamp_delta)| {
        let key = key.clone().map_or(RecordKey::NULL, RecordKey::from);
        let mut record = Record::new_key_value(key, value.clone());
        record.preamble.set_offset_delta(*offset_delta);
        record.preamble.set_timestamp_delta(*timestamp_delta);
        record
    });
    records.collect()
}

fn encoded<T: Encoder>(value: &T, version: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes, version).expect("encodes");
    bytes
}

fn decoded<T: Decoder>(bytes: &[u8], version: i16) -> T {
    let mut rest = bytes;
    let value = T::decode_from(&mut rest, version).expect("decodes");
    assert!(rest.is_empty());
    value
}

fn input(parts: &[Parts], base_offset: i64, base_timestamp: i64, version: i16) -> Vec<u8> {
    encoded(&SmartModuleInput::new(encoded(&records(parts), 0), base_offset, base_timestamp), version)
}

/// A length as Fluvio writes it.
fn length(length: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    length.encode_varint(&mut bytes).expect("encodes");
    bytes
}

/// Values and deltas of a batch's records, in this reading and in Fluvio's; `None` if there is none.
type Read = Option<Vec<(Vec<u8>, i64, i64)>>;

fn ours(raw: &[u8]) -> Read {
    let input = encoded(&SmartModuleInput::new(raw.to_vec(), 1_000, 1 << 40), 25);
    let records = Batch::read(&input, 25).expect("a batch").records();
    let records = records.map(|record| {
        record.map(|record| (record.value.to_vec(), record.offset_delta, record.timestamp.expect("a time") - (1 << 40)))
    });
    records.collect::<Result<_, _>>().ok()
}

fn fluvios(raw: &[u8]) -> Read {
    // A negative length ends that decoder with a panic.
    let decode = || Vec::<Record>::decode_from(&mut &*raw, 0);
    let records = std::panic::catch_unwind(decode).ok()?.ok()?;
    Some(
        records.iter().map(|record| (record.value.to_vec(), record.offset_delta(), record.timestamp_delta())).collect(),
    )
}

/// Records of text: so that no changed byte makes a length for which Fluvio's decoder would take memory that is not there.
fn texts() -> impl Strategy<Value = Vec<Parts>> {
    let text = || "[ -~]{0,100}".prop_map(String::into_bytes);
    let parts = (proptest::option::of(text()), text(), 0..64_i64, -64..64_i64);
    proptest::collection::vec(parts, 1..6)
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    (proptest::option::of(bytes()), bytes(), 0..1_i64 << 30, -(1_i64 << 30)..1_i64 << 30)
}

/// Answers with every record unchanged; accepts no parameter of its own.
struct Echo;

impl Transform for Echo {
    const KIND: Kind = Kind::Filter;

    fn new(params: Params) -> Result<Self, BadParams> {
        params.into_settings().map(|_| Self)
    }

    fn transform(&mut self, batch: &Batch<'_>, output: &mut Output) -> Result<(), Damaged> {
        for record in batch.records() {
            output.push_body(record?.body);
        }
        Ok(())
    }
}

fn called(instance: &mut Instance<Echo>, input: &[u8], version: i16) -> Answer {
    instance.input(input.len()).copy_from_slice(input);
    instance.call(input.len(), version.into())
}

fn initialized(params: &[(&str, &str)], version: i16) -> (Instance<Echo>, Answer) {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let input = encoded(&SmartModuleInitInput { params: SmartModuleExtraParams::new(params, None) }, version);
    let mut instance = Instance::new();
    instance.input(input.len()).copy_from_slice(&input);
    let answer = instance.init(input.len(), version.into());
    (instance, answer)
}

proptest! {
    /// What is read in place is what Fluvio decodes.
    #[test]
    fn batches_are_read_as_fluvio_writes_them(
        parts in proptest::collection::vec(parts(), 0..8), base_offset: i64, base_timestamp in -1_i64..1 << 45, version in proptest::sample::select(&VERSIONS),
    ) {
        let bytes = input(&parts, base_offset, base_timestamp, version);
        let batch = Batch::read(&bytes, version.into()).expect("a batch");
        prop_assert_eq!(batch.base_offset, base_offset);
        let read: Vec<_> = batch.records().collect::<Result<_, _>>().expect("valid");
        let theirs = decoded::<SmartModuleInput>(&bytes, version).try_into_smartmodule_records(version).expect("valid");
        prop_assert_eq!(read.len(), theirs.len());
        for ((ours, theirs), parts) in read.iter().zip(&theirs).zip(&parts) {
            prop_assert_eq!(ours.value, theirs.value().as_ref());
            prop_assert_eq!(ours.key, parts.0.as_deref());
            prop_assert_eq!(ours.offset_delta, parts.2);
            prop_assert_eq!(ours.timestamp, (base_timestamp > 0).then_some(base_timestamp + parts.3));
            // Its bytes in the batch decode as the same record.
            let again: Record = decoded(&[length(ours.body.len() as i64), ours.body.to_vec()].concat(), 0);
            prop_assert_eq!(again.key.as_ref().map(|key| key.to_vec()), parts.0.clone());
            prop_assert_eq!(again.value.as_ref(), ours.value);
            prop_assert_eq!(again.timestamp_delta(), parts.3);
        }
    }

    /// What is kept is what Fluvio reads.
    #[test]
    fn answers_are_written_as_fluvio_reads_them(parts in proptest::collection::vec(parts(), 0..8), version in proptest::sample::select(&VERSIONS)) {
        let (mut instance, _) = initialized(&[], version);
        let answer = called(&mut instance, &input(&parts, 7, 8, version), version);
        prop_assert_eq!(answer, Answer { status: parts.len() as i32, output: true });
        let output: SmartModuleOutput = decoded(instance.output(), version);
        prop_assert!(output.error.is_none());
        prop_assert_eq!(encoded(&output.successes, 0), encoded(&records(&parts), 0));
    }

    #[test]
    fn values_become_records(lens in proptest::collection::vec(0..70_000_usize, 0..4), version in proptest::sample::select(&VERSIONS)) {
        let mut output = Output::default();
        // What was answered before makes no difference.
        for lens in [lens.as_slice(), &lens[lens.len() / 2..], &[140_000]] {
            output.begin();
            for len in lens {
                output.push_value(*len, |out| out.resize(out.len() + len, b'x'));
            }
            prop_assert_eq!(output.end(), lens.len() as i32);
            let output: SmartModuleOutput = decoded(output.bytes(), version);
            let values: Vec<Record> = lens.iter().map(|len| Record::new(vec![b'x'; *len])).collect();
            prop_assert_eq!(encoded(&output.successes, 0), encoded(&values, 0));
        }
    }

    /// What Fluvio's decoder makes of loose or damaged framing is made of it here: the same records, or none.
    #[test]
    fn framing_is_taken_as_fluvio_takes_it(parts in texts(), place: prop::sample::Index, change in prop_oneof![-3..=3_i8, any::<i8>()]) {
        let raw = encoded(&records(&parts), 0);
        let mut changed = raw.clone();
        let place = place.index(raw.len() - 4) + 4;
        changed[place] = changed[place].wrapping_add_signed(change);
        for raw in [changed.as_slice(), &raw[..place], &[raw.as_slice(), &[0; 9]].concat()] {
            prop_assert_eq!(ours(raw), fluvios(raw), "{:?}", raw);
        }
    }

    /// A record's length may be wrong, as long as that many bytes follow; what is kept has the true one.
    #[test]
    fn a_records_length_need_not_be_the_true_one(parts in texts(), lengths in proptest::collection::vec(-100..100_i64, 6)) {
        let mut raw = (parts.len() as i32).to_be_bytes().to_vec();
        for (record, other) in records(&parts).iter().zip(lengths) {
            let framed = encoded(record, 0);
            let body = framed.len() - length(framed.len() as i64 - 1).len();
            raw.extend(length(body as i64 + other));
            raw.extend_from_slice(&framed[framed.len() - body..]);
        }
        prop_assert_eq!(ours(&raw), fluvios(&raw));
        let (mut instance, _) = initialized(&[], 25);
        called(&mut instance, &encoded(&SmartModuleInput::new(raw.clone(), 1_000, 8), 25), 25);
        let output: SmartModuleOutput = decoded(instance.output(), 25);
        prop_assert_eq!(output.error.is_none(), fluvios(&raw).is_some());
        if output.error.is_none() {
            prop_assert_eq!(encoded(&output.successes, 0), encoded(&records(&parts), 0));
        }
    }

    /// Varints of every length, minimal or not, are read as Fluvio reads them.
    #[test]
    fn varints_are_read_as_fluvio_reads_them(mut varint in proptest::collection::vec(0x80_u8.., 0..=9), last in 0..0x80_u8) {
        varint.push(last);
        let body = [&[0], varint.as_slice(), &[0, 0, 2, b'x', 0]].concat();
        let raw = [&1_i32.to_be_bytes(), length(body.len() as i64).as_slice(), &body].concat();
        let input = encoded(&SmartModuleInput::new(raw.clone(), 0, 1), 25);
        let ours = Batch::read(&input, 25).expect("a batch").records().next().expect("a record").expect("valid");
        let theirs = fluvios(&raw).expect("valid");
        prop_assert_eq!(ours.timestamp, Some(1_i64.saturating_add(theirs[0].2)));
    }

    /// A batch cut off or changed anywhere is an error or another batch, and never a trap; the records before the damage
    /// are not answered with.
    #[test]
    fn damaged_batches_are_refused(parts in proptest::collection::vec(parts(), 1..5), place: prop::sample::Index, byte: u8) {
        let bytes = input(&parts, 1_000, 8, 25);
        let (mut instance, _) = initialized(&[], 25);
        let mut changed = bytes.clone();
        let place = place.index(bytes.len());
        changed[place] = byte;
        for damaged in [&bytes[..place], changed.as_slice()] {
            let answer = called(&mut instance, damaged, 25);
            if answer.status < 0 {
                prop_assert!(!answer.output);
                continue;
            }
            let output: SmartModuleOutput = decoded(instance.output(), 25);
            if let Some(error) = output.error {
                prop_assert!(output.successes.is_empty() && answer.status == 0);
                prop_assert!(error.hint.contains(&error.offset.to_string()), "{}", error.hint);
            }
        }
    }
}

#[test]
fn the_offset_of_the_damage_is_said() {
    let parts: Vec<Parts> = (0..3).map(|i| (None, b"value".to_vec(), i, 0)).collect();
    let (mut instance, _) = initialized(&[], 25);
    let raw = encoded(&records(&parts), 0);
    let framed = |raw: &[u8]| encoded(&SmartModuleInput::new(raw.to_vec(), 1_000, 8), 25);
    let mut fails = |raw: &[u8]| {
        called(&mut instance, &framed(raw), 25);
        let output: SmartModuleOutput = decoded(instance.output(), 25);
        let error = output.error.expect("an error");
        assert_eq!((error.kind, error.record_key.is_none()), (SmartModuleKind::Filter, true));
        (error.offset, error.hint)
    };
    let (offset, hint) = fails(&raw[..raw.len() - 1]);
    assert_eq!(offset, 1_002);
    assert_eq!(hint, "the batch that begins at offset 1000 is damaged at offset 1002: a record is cut off");
    assert_eq!(fails(b"\0\0").0, 1_000);
    let one_more = [&4_i32.to_be_bytes(), &raw[4..]].concat();
    assert_eq!(fails(&one_more).0, 1_003);
    // A length beyond all bytes that there are; a key flag that is none; a key and a value of negative length.
    for (at, bytes, what) in [
        (4, &[0x7e_u8] as &[u8], "a record is cut off"),
        (8, &[2], "a record's parts are cut off or invalid"),
        (8, &[1, 1], "a record's parts are cut off or invalid"),
        (9, &[1], "a record's parts are cut off or invalid"),
    ] {
        let mut damaged = raw.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        let (offset, hint) = fails(&damaged);
        assert_eq!(offset, 1_000, "{hint}");
        assert_eq!(hint, format!("the batch that begins at offset 1000 is damaged at offset 1000: {what}"));
    }
    // A varint of more than ten bytes.
    let endless = [&1_i32.to_be_bytes() as &[u8], &[0x40], &[0x80; 40]].concat();
    assert_eq!(fails(&endless).0, 1_000);
}

#[test]
fn loose_framing_is_read_as_fluvio_reads_it() {
    let parts: Vec<Parts> = (0..3).map(|i| (None, b"value".to_vec(), i, 0)).collect();
    let raw = encoded(&records(&parts), 0);
    let all: Read = Some(parts.iter().map(|(_, value, offset, time)| (value.clone(), *offset, *time)).collect());
    assert_eq!(ours(&raw), all);
    // A first record whose length is one too small, none, below 0, or runs into the next record.
    for len in [raw[4] - 2, 0, 1, raw[4] + 2, raw[4] + 20] {
        let mut loose = raw.clone();
        loose[4] = len;
        assert_eq!((ours(&loose), fluvios(&loose)), (all.clone(), all.clone()), "{len}");
    }
    // Bytes after the last record.
    let after = [raw.as_slice(), b"\0"].concat();
    assert_eq!((ours(&after), fluvios(&after)), (all.clone(), all));
    // Fewer records, or none, or a negative number of them, than there are.
    for count in [2, 0, -1] {
        let fewer = [&i32::to_be_bytes(count), &raw[4..]].concat();
        assert_eq!(ours(&fewer).map(|read| read.len()), Some(count.max(0) as usize));
        assert_eq!(ours(&fewer), fluvios(&fewer));
    }
}

#[test]
fn a_batch_without_records_has_none() {
    for raw in [&[] as &[u8], &0_i32.to_be_bytes(), &(-1_i32).to_be_bytes()] {
        let bytes = encoded(&SmartModuleInput::new(raw.to_vec(), 5, -1), 25);
        assert_eq!(Batch::read(&bytes, 25).expect("a batch").records().count(), 0);
    }
}

#[test]
fn bad_parameters_are_said_by_init() {
    for version in VERSIONS {
        assert_eq!(initialized(&[], version).1, Answer { status: 0, output: false });
        let (instance, answer) = initialized(&[("window", "3"), ("sensor", "/id")], version);
        assert_eq!(answer, Answer { status: -2, output: true });
        let output: SmartModuleInitOutput = decoded(instance.output(), version);
        assert!(output.error.hint.contains("`window`") && output.error.hint.contains("`3`"), "{}", output.error.hint);
    }
    let (instance, answer) = initialized(&[], 21);
    assert_eq!(answer.status, -2);
    assert!(decoded::<SmartModuleInitOutput>(instance.output(), 21).error.hint.contains("version 21"));
    // A text longer than the protocol's longest is cut, at a character.
    let long = "é".repeat(16_000);
    let (instance, answer) = initialized(&[("windöw", "3"), ("groups", &long)], 25);
    assert_eq!(answer.status, -2);
    decoded::<SmartModuleInitOutput>(instance.output(), 25);
}

#[test]
fn calls_out_of_order_are_refused() {
    let mut instance = Instance::<Echo>::new();
    assert_eq!(called(&mut instance, &input(&[], 0, 0, 25), 25), Answer { status: -44, output: false });
    instance.input(1);
    assert_eq!(instance.init(1, 25), Answer { status: -10, output: false });
    let (mut instance, _) = initialized(&[], 25);
    assert_eq!(called(&mut instance, b"short", 25), Answer { status: -11, output: false });
}
