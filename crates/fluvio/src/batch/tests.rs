//! Against what the protocol's own crate writes: every compression, tails that are cut off, bytes that are none.

use fluvio_protocol::record::{Record as WireRecord, RecordSet};
use fluvio_protocol::{Decoder, Encoder};
use fluvio_smartmodule::dataplane::smartmodule::{SmartModuleInput, SmartModuleOutput};
use isotherm_model::combine::{Combiner, Record as Reading};
use isotherm_model::params::Params;
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use isotherm_smartmodule_abi::Transform;
use window_stats::WindowStats;

use super::*;

const ALL: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// A batch of readings with keys on every other one, from this offset on.
fn stored(base_offset: i64, count: usize, compression: Compression, timestamp: i64) -> Batch<RawRecords> {
    let mut records = Vec::new();
    for number in 0..count {
        let reading = format!(
            r#"{{"guid":"s{number}","state":"AK","eventTime":"2026-01-02T03:04:05Z","payload":{{"data":{{"temperature":{number}.5}}}}}}"#
        );
        let mut record = match number % 2 {
            0 => WireRecord::new(reading),
            _ => WireRecord::new_key_value(format!("key {number}"), reading),
        };
        record.preamble.set_timestamp_delta(number as i64 * 3);
        records.push(record);
    }
    let mut batch = Batch::from(records);
    batch.base_offset = base_offset;
    batch.header.first_timestamp = timestamp;
    batch.header.set_compression(compression);
    Batch::try_from(batch).expect("it can be compressed")
}

/// What a broker sends for these batches, the last `cut` bytes missing, as the client decodes it.
fn sent(batches: Vec<Batch<RawRecords>>, cut: usize) -> Vec<Batch<RawRecords>> {
    let mut bytes = Vec::new();
    RecordSet { batches }.encode(&mut bytes, 0).expect("they can be encoded");
    let len = i32::try_from(bytes.len() - 4 - cut).expect("small");
    bytes.truncate(bytes.len() - cut);
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    let mut set = RecordSet::<RawRecords>::default();
    set.decode(&mut bytes.as_slice(), 0).expect("it can be decoded");
    set.batches
}

/// A record, copied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Copied {
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

/// All records of a batch; an error if any of it cannot be read.
fn open(batch: Batch<RawRecords>) -> Result<(StoredBatch, Vec<Copied>), Damaged> {
    let batch = StoredBatch::new(batch)?;
    let mut buffer = Vec::new();
    let copied = batch.records(&mut buffer)?.map(|record| {
        let abi::Record { timestamp, key, value, .. } = record?;
        Ok(Copied { timestamp, key: key.map(<[u8]>::to_vec), value: value.to_vec() })
    });
    let copied = copied.collect::<Result<Vec<_>, Damaged>>()?;
    Ok((batch, copied))
}

fn partial((batch, records): &(StoredBatch, Vec<Copied>), combiner: &mut Combiner) -> (Partial, Vec<u8>) {
    combiner.begin(batch.base_offset, batch.base_timestamp);
    records.iter().for_each(|record| combiner.push(&Reading { timestamp: record.timestamp, value: &record.value }));
    let combined = combiner.finish();
    let mut bytes = Vec::new();
    combined.encode_into(&mut bytes);
    (combined.to_partial(), bytes)
}

#[test]
fn every_compression_gives_the_records_that_went_in() {
    for compression in ALL {
        let response = whole(sent(vec![stored(40, 5, compression, 1_000), stored(45, 1, compression, -1)], 0));
        let Whole { batches, cut } = response.expect("sound");
        assert_eq!((batches.len(), cut), (2, None), "{compression}");
        let opened: Vec<_> = batches.into_iter().map(|batch| open(batch).expect("sound")).collect();
        let ranges: Vec<_> = opened.iter().map(|batch| (batch.0.base_offset, batch.0.next)).collect();
        assert_eq!(ranges, [(40, 45), (45, 46)], "{compression}");
        for (number, record) in opened[0].1.iter().enumerate() {
            let key = (number % 2 == 1).then(|| format!("key {number}").into_bytes());
            assert_eq!(record.key, key, "{compression}");
            assert_eq!(record.timestamp, Some(1_000 + 3 * number as i64));
            assert!(record.value.starts_with(format!(r#"{{"guid":"s{number}""#).as_bytes()), "{compression}");
        }
        assert_eq!(opened[1].1[0].timestamp, None, "{compression}: -1 is no timestamp");
    }
}

#[test]
fn what_is_cut_off_is_dropped_wherever_it_is_cut() {
    for compression in ALL {
        let batches = || vec![stored(0, 3, compression, 7), stored(3, 4, compression, 7)];
        let last = BATCH_FILE_HEADER_SIZE + batches()[1].records().0.len();
        let all = 4 + BATCH_FILE_HEADER_SIZE + batches()[0].records().0.len() + last;
        for cut in 1..all - 4 {
            let response = whole(sent(batches(), cut)).expect("sound");
            let (wanted, records) = (if cut <= last { 1 } else { 0 }, last - BATCH_FILE_HEADER_SIZE);
            assert_eq!(response.batches.len(), wanted, "{compression}, {cut} bytes cut off");
            // Within its header, nothing says how long it is.
            if cut <= records {
                assert_eq!(response.cut, Some(last), "{compression}, {cut} bytes cut off");
            }
        }
    }
}

#[test]
fn a_header_that_counts_dropped_records_says_where_the_next_batch_begins() {
    let mut batch = stored(10, 3, Compression::None, 7);
    batch.header.last_offset_delta = 9;
    let batch = open(batch).expect("sound");
    assert_eq!((batch.0.next, batch.1.len()), (20, 3));
    assert_eq!(partial(&batch, &mut Combiner::new(&Settings::default())).0.source.next, 13);
}

/// What a module of these readings answers to a batch of these records: nothing if it is damaged.
fn answered(records: &[u8], base_offset: i64, timestamp: i64) -> Option<Vec<u8>> {
    let input = SmartModuleInput::new(records.to_vec(), base_offset, timestamp);
    let mut bytes = Vec::new();
    input.encode(&mut bytes, 25).expect("it can be encoded");
    let batch = abi::Batch::read(&bytes, 25).expect("a batch");
    let mut output = abi::Output::default();
    output.begin();
    let mut module = WindowStats::new(Params::new([]).expect("no parameters")).expect("a module");
    module.transform(&batch, &mut output).ok()?;
    output.end();
    let mut answer = SmartModuleOutput::default();
    answer.decode(&mut output.bytes(), 25).expect("an answer");
    Some(answer.successes.into_iter().map(|record| record.into_value().to_vec()).next().expect("a partial"))
}

#[test]
fn loose_framing_gives_what_the_module_gives() {
    let settings = Settings::default();
    let sound = stored(20, 3, Compression::None, 1_767_323_045_000);
    let raw = sound.records().0.to_vec();
    // The number of records; the first one's length, in two bytes, three bytes, and whether it has a key; in the end the last
    // one's number of headers.
    let changed = |at: usize, by: i8| {
        let mut changed = raw.clone();
        changed[at] = changed[at].wrapping_add_signed(by);
        changed
    };
    let last = raw.len() - 1;
    let loose = [changed(4, -2), changed(4, 2), [raw.as_slice(), b"zz"].concat(), changed(3, -1), changed(last, 2)];
    let damaged = [raw[..last].to_vec(), changed(3, 1), changed(9, 2), vec![0, 0]];
    for (records, counts) in loose.into_iter().map(|raw| (raw, true)).chain(damaged.map(|raw| (raw, false))) {
        let mut batch = sound.clone();
        batch.batch_len = i32::try_from(BATCH_HEADER_SIZE + records.len()).expect("small");
        *batch.mut_records() = RawRecords(records.clone().into());
        let native = open(batch).map(|batch| partial(&batch, &mut Combiner::new(&settings)).1);
        assert_eq!(native.is_ok(), counts, "{native:?} of {records:?}");
        assert_eq!(native.ok(), answered(&records, 20, 1_767_323_045_000), "{records:?}");
    }
}

#[test]
fn hostile_bytes_are_refused_or_hold_no_record() {
    let open_records = |bytes: &'static [u8]| {
        let mut batch = stored(5, 1, Compression::None, 0);
        *batch.mut_records() = RawRecords(Bytes::from_static(bytes));
        open(batch).map(|(_, records)| records)
    };
    assert_eq!(open_records(b""), Ok(Vec::new()));
    assert_eq!(open_records(b"\0\0\0\0"), Ok(Vec::new()));
    open_records(b"\0\0").unwrap_err();
    assert_eq!(open_records(b"\0\0\0\0rest"), Ok(Vec::new()), "what stands behind the last record is no matter");
    open_records(b"\x7f\xff\xff\xff").unwrap_err();
    // A record that says it has 2^62 bytes.
    open_records(b"\0\0\0\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01").unwrap_err();
    for len in [i32::MIN, -1, 0, BATCH_HEADER_SIZE as i32 - 1, i32::MAX] {
        let mut batch = stored(5, 1, Compression::None, 7);
        batch.batch_len = len;
        assert_eq!(whole(vec![batch]).expect_err("no length").base_offset, 5);
    }
    for compression in ALL.into_iter().skip(1) {
        let packed = compression.compress(&[0; 5_000]).expect("packed");
        decompress(compression, &packed, &mut Vec::new(), 5_000).unwrap();
        decompress(compression, &packed, &mut Vec::new(), 4_999).expect_err("a bomb");
        let mut batch = stored(5, 1, Compression::None, 7);
        batch.header.set_compression(compression);
        open(batch).expect_err("not compressed at all");
    }
    let mut batch = stored(5, 1, Compression::None, 7);
    batch.header.attributes = 7;
    open(batch).expect_err("an unknown compression");
}

#[test]
fn the_base_timestamp_is_that_of_the_module() {
    for timestamp in [1_767_323_045_000, 1, i64::MAX, 0, -1, i64::MIN] {
        let sound = stored(20, 2, Compression::None, timestamp);
        let records = sound.records().0.to_vec();
        let batch = open(sound).expect("sound");
        let mut combiner = Combiner::new(&Settings::default());
        let (partial, bytes) = partial(&batch, &mut combiner);
        assert_eq!(partial.base_timestamp, Some(timestamp).filter(|timestamp| *timestamp > 0));
        assert_eq!(Some(bytes), answered(&records, 20, timestamp), "{timestamp}");
    }
}
