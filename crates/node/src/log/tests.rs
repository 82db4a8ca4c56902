//! The log against a plain model, and against every way of being torn or damaged.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use fluvio_compression::Compression;
use fluvio_protocol::record::{BatchHeader, Record};
use proptest::prelude::*;
use tempfile::TempDir;

use super::batch::{self, Header};
use super::{Chunk, LogError, LogOptions, PartitionId, PartitionLog, Retention};

mod retention;
mod torn;

const OPTIONS: LogOptions =
    LogOptions { segment_bytes: 1 << 30, fsync: false, retention: Retention { age: None, bytes: None } };

fn open_with(folder: &Path, options: LogOptions) -> Result<PartitionLog, LogError> {
    PartitionLog::open(PartitionId { topic: "topic".into(), number: 3 }, folder.to_owned(), options)
}

fn open(folder: &Path) -> PartitionLog {
    open_with(folder, OPTIONS).unwrap()
}

/// A batch of `count` records with values of `bytes` bytes that no other has.
fn batch(seed: usize, count: usize, bytes: usize, compression: Compression) -> Bytes {
    let records: Vec<Record> = (0..count).map(|n| Record::new(format!("{seed}-{n}-{}", "x".repeat(bytes)))).collect();
    of(records, compression)
}

/// A batch of these records.
fn of(records: Vec<Record>, compression: Compression) -> Bytes {
    let (last_offset_delta, time) = (records.len() as i32 - 1, 1_000);
    let mut header =
        BatchHeader { last_offset_delta, first_timestamp: time, max_time_stamp: time, ..Default::default() };
    header.set_compression(compression);
    batch::build(0, header, &records).unwrap()
}

/// What the log stores for a batch.
fn placed(batch: &Bytes, base: i64) -> Vec<u8> {
    [&base.to_be_bytes()[..], &batch[8..]].concat()
}

fn first_file(folder: &Path) -> PathBuf {
    folder.join(format!("{:020}.log", 0))
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<(usize, usize, bool)>),
    Read(usize, usize),
    Clean,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = (1usize..6, 0usize..400, any::<bool>());
    let step = prop_oneof![
        3 => proptest::collection::vec(one, 1..5).prop_map(Step::Append),
        3 => (any::<usize>(), 1usize..4_000).prop_map(|(from, bytes)| Step::Read(from, bytes)),
        1 => Just(Step::Clean),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

fn segments(folder: &Path) -> Vec<i64> {
    super::segment::Segment::list(folder).unwrap().into_iter().map(|(base, _)| base).collect()
}

/// All batches that a read must give: from the one with `from`, at least one, as many as fit.
fn expected(model: &[(i64, Vec<u8>)], from: i64, end: i64, max_bytes: usize) -> (Vec<u8>, i64) {
    let first = model.partition_point(|(base, _)| *base <= from).saturating_sub(1);
    let (mut data, mut next) = (Vec::new(), from);
    for (at, (_, bytes)) in model.iter().enumerate().skip(first) {
        if from == end || (!data.is_empty() && data.len() + bytes.len() > max_bytes) {
            break;
        }
        data.extend_from_slice(bytes);
        next = model.get(at + 1).map_or(end, |(base, _)| *base);
    }
    (data, next)
}

/// The bytes that batches take on the disk.
fn stored_bytes(batches: &[(i64, Vec<u8>)]) -> u64 {
    batches.iter().map(|(_, bytes)| bytes.len() as u64 + 8).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn it_equals_a_plain_list_that_keeps_its_newest_segments_whole(
        steps in steps(),
        segment_bytes in 200u64..20_000,
        most in proptest::option::of(0u64..20_000),
    ) {
        let folder = TempDir::new().unwrap();
        let options = LogOptions { segment_bytes, retention: Retention { age: None, bytes: most }, ..OPTIONS };
        let mut log = open_with(folder.path(), options).unwrap();
        // What is kept.
        let mut model: Vec<(i64, Vec<u8>)> = Vec::new();
        let (mut start, mut end, mut seed) = (0i64, 0i64, 0);
        for step in steps {
            match step {
                Step::Append(sizes) => {
                    let mut batches = Vec::new();
                    let base = end;
                    for (count, bytes, packed) in sizes {
                        seed += 1;
                        let compression = if packed { Compression::Lz4 } else { Compression::None };
                        let batch = batch(seed, count, bytes, compression);
                        model.push((end, placed(&batch, end)));
                        end += count as i64;
                        batches.push(batch);
                    }
                    prop_assert_eq!(log.append(&batches).unwrap(), base..end);
                }
                Step::Read(from, max_bytes) => {
                    let from = start - 1 + (from as u64 % (end - start + 3) as u64) as i64;
                    match log.read(from, max_bytes) {
                        Ok(Chunk { data, next }) => {
                            let (whole, last) = expected(&model, from, end, max_bytes);
                            // A read may end with a segment; what there is of it is right, and there is some.
                            prop_assert!(whole.starts_with(&data));
                            prop_assert!(data.len() == whole.len() || (!data.is_empty() && next < last));
                            prop_assert_eq!(data.is_empty(), from == end);
                            let rest = expected(&model, next, end, usize::MAX).0;
                            let all = expected(&model, from, end, usize::MAX).0;
                            prop_assert_eq!([&data[..], &rest].concat(), all);
                        }
                        Err(LogError::BeyondEnd { .. }) => prop_assert_eq!(from, end + 1),
                        Err(LogError::BeforeStart { start: said, .. }) => {
                            prop_assert_eq!((from, said), (start - 1, start));
                        }
                        Err(error) => prop_assert!(false, "{}", error),
                    }
                }
                Step::Clean => {
                    let before = segments(folder.path());
                    start = log.clean(SystemTime::now()).unwrap();
                    let after = segments(folder.path());
                    prop_assert!(before.ends_with(&after) && after.first() == Some(&start), "{:?} {:?}", before, after);
                    // No more than it may keep, unless one segment is left; and no segment less than it could keep.
                    let bytes_from = |base| stored_bytes(&model[model.partition_point(|(at, _)| *at < base)..]);
                    let too_many = |base| most.is_some_and(|most| bytes_from(base) > most);
                    prop_assert!(after.len() == 1 || !too_many(start));
                    let removed = before.len() - after.len();
                    prop_assert!(removed == 0 || too_many(before[removed - 1]));
                    model.retain(|(at, _)| *at >= start);
                }
                Step::Reopen => {
                    let before = log.tip();
                    drop(log);
                    log = open_with(folder.path(), options).unwrap();
                    prop_assert_eq!(log.tip(), before);
                }
            }
            let tip = log.tip();
            prop_assert_eq!((tip.start, tip.end, tip.bytes), (start, end, stored_bytes(&model)));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_batch_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        batch::split_checked(&Bytes::from(bytes)).unwrap_err();
    }
}

/// Three batches, and the bytes of a log of them.
fn three_batches() -> (Vec<Bytes>, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let batches: Vec<_> = (0..3).map(|seed| batch(seed, seed + 2, 20, Compression::None)).collect();
    let log = open(folder.path());
    for batch in &batches {
        log.append(std::slice::from_ref(batch)).unwrap();
    }
    (batches, stored(folder.path()))
}

/// A folder whose first file holds these bytes.
fn with_file(bytes: impl AsRef<[u8]>) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(first_file(folder.path()), bytes).unwrap();
    folder
}

fn stored(folder: &Path) -> Vec<u8> {
    std::fs::read(first_file(folder)).unwrap()
}

/// Appends batches of two records.
fn append(log: &PartitionLog, seeds: std::ops::Range<usize>) {
    for seed in seeds {
        log.append(&[batch(seed, 2, 10, Compression::None)]).unwrap();
    }
}

#[test]
fn cut_anywhere_in_the_last_batch_the_others_stay_and_offsets_go_on() {
    let (batches, bytes) = three_batches();
    let whole = bytes.len();
    let before = whole - 8 - batches[2].len();
    for length in before..whole {
        let folder = with_file(&bytes[..length]);
        let log = open(folder.path());
        assert_eq!(log.tip().end, 5, "cut to {length} of {whole}");
        let appended = log.append(&batches[2..]).unwrap();
        assert_eq!((appended.start, appended.end), (5, 9));
        drop(log);
        assert_eq!(stored(folder.path()), bytes);
    }
}

#[test]
fn cut_in_the_header_the_log_is_empty() {
    let (_, bytes) = three_batches();
    for length in 0..16 {
        let folder = with_file(&bytes[..length]);
        assert_eq!(open(folder.path()).tip().end, 0);
    }
}

#[test]
fn a_changed_byte_before_the_last_batch_is_damage_and_in_it_a_torn_tail() {
    let (batches, bytes) = three_batches();
    let last = bytes.len() - 8 - batches[2].len();
    for at in 0..bytes.len() {
        let folder = TempDir::new().unwrap();
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        std::fs::write(first_file(folder.path()), &changed).unwrap();
        match open_with(folder.path(), OPTIONS) {
            Ok(log) => {
                assert!(at >= last, "byte {at} went unnoticed");
                assert_eq!(log.tip().end, 5);
            }
            Err(LogError::Damaged { position, offset, .. }) => {
                assert!(at < last, "byte {at} is in the tail");
                let (place, first) = match at {
                    0..16 => (0, 0),
                    _ if at < 24 + batches[0].len() => (16, 0),
                    _ => (24 + batches[0].len(), 2),
                };
                assert_eq!((position, offset), (place as u64, first), "byte {at}");
                assert_eq!(stored(folder.path()), changed);
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn zeros_and_noise_behind_the_last_batch_are_cut() {
    let (_, bytes) = three_batches();
    for noise in [vec![0; 5_000], vec![0xff; 3], (0..200_000u32).map(|n| (n * 31) as u8).collect()] {
        let folder = with_file([&bytes[..], &noise].concat());
        assert_eq!(open(folder.path()).tip().end, 9);
        assert_eq!(stored(folder.path()), bytes);
    }
}

#[test]
fn a_missing_folder_is_damage() {
    let folder = TempDir::new().unwrap();
    let opened = open_with(&folder.path().join("0"), OPTIONS);
    assert!(matches!(&opened, Err(LogError::Damaged { what, .. }) if what.contains("missing")), "{opened:?}");
    let id = PartitionId { topic: "topic".into(), number: 0 };
    assert_eq!(PartitionLog::create(id, folder.path().join("0"), OPTIONS).unwrap().tip().end, 0);
}

/// How many files of `folder` this process has open.
#[cfg(target_os = "linux")]
fn open_files(folder: &Path) -> usize {
    let links =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|target| target.starts_with(folder)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn any_number_of_segments_needs_one_open_file() {
    let folder = TempDir::new().unwrap();
    let options = LogOptions { segment_bytes: 1, ..OPTIONS };
    let log = open_with(folder.path(), options).unwrap();
    append(&log, 0..50);
    for log in [log, open_with(folder.path(), options).unwrap()] {
        for from in 0..100 {
            assert!(!log.read(from, 1).unwrap().data.is_empty(), "offset {from}");
        }
        drop(log);
    }
    let log = open_with(folder.path(), options).unwrap();
    assert_eq!((std::fs::read_dir(folder.path()).unwrap().count(), open_files(folder.path())), (50, 1));
    // A closed segment of a deleted topic is not looked for: another topic may have its name.
    log.mark_deleted();
    assert!(matches!(log.read(0, 1), Err(LogError::Deleted { .. })));
}

#[test]
fn damage_that_comes_later_is_found_by_the_read() {
    let (batches, mut bytes) = three_batches();
    let folder = with_file(&bytes);
    let log = open(folder.path());
    let at = 24 + batches[0].len() + 40;
    bytes[at] ^= 1;
    std::fs::write(first_file(folder.path()), &bytes).unwrap();
    log.read(0, 1).unwrap();
    assert!(matches!(log.read(2, 1), Err(LogError::Damaged { offset: 2, .. })));
}

#[test]
fn a_missing_segment_is_damage() {
    let folder = TempDir::new().unwrap();
    let options = LogOptions { segment_bytes: 100, fsync: true, ..OPTIONS };
    let log = open_with(folder.path(), options).unwrap();
    for seed in 0..3 {
        log.append(&[batch(seed, 2, 50, Compression::None)]).unwrap();
    }
    drop(log);
    std::fs::remove_file(folder.path().join(format!("{:020}.log", 2))).unwrap();
    assert!(matches!(open_with(folder.path(), options), Err(LogError::Damaged { offset: 2, .. })));
}

#[test]
fn the_stored_bytes_are_these() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).append(&[batch(7, 1, 0, Compression::None)]).unwrap();
    let bytes = stored(folder.path());
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let golden = include_str!("golden.hex").split_whitespace().collect::<String>();
    assert_eq!(hex, golden, "the format of segments changed: raise its version and write a migration");
    assert_eq!(Header::read(&bytes[24..]).unwrap().length, bytes.len() - 24);
}

#[test]
fn a_deleted_log_takes_nothing_that_could_reach_its_successor() {
    let folder = TempDir::new().unwrap();
    let log = open_with(folder.path(), LogOptions { segment_bytes: 1, ..OPTIONS }).unwrap();
    append(&log, 1..2);
    log.mark_deleted();
    // A topic of the same name has the folder now; the next batch would begin a segment in it.
    std::fs::remove_file(first_file(folder.path())).unwrap();
    let refused = log.append(&[batch(2, 2, 10, Compression::None)]);
    assert!(matches!(refused, Err(LogError::Deleted { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_start_would_not_find_is_not_acknowledged() {
    let source = TempDir::new().unwrap();
    let folder = source.path().join("3");
    let (file, away) = (first_file(&folder), source.path().join("away"));
    std::fs::create_dir(&folder).unwrap();
    let batch = batch(1, 2, 10, Compression::None);
    let one = std::slice::from_ref(&batch);
    // With one segment, and where the next batch would begin another.
    for segment_bytes in [1 << 30, 1] {
        let log = open_with(&folder, LogOptions { segment_bytes, ..OPTIONS }).unwrap();
        let before = log.tip();
        let base = log.append(one).unwrap().start;
        let bytes = std::fs::read(&file).unwrap();
        let refused = |what: &str| {
            let said = log.append(one).unwrap_err();
            assert!(matches!(said, LogError::Lost { .. }), "{what}: {said}");
            assert_eq!(log.tip().end, base + 2, "{what}");
        };
        std::fs::rename(&folder, &away).unwrap();
        refused("the folder was moved");
        std::fs::create_dir(&folder).unwrap();
        refused("another folder is there");
        std::fs::write(&file, &bytes).unwrap();
        std::fs::write(folder.join(format!("{:020}.log", base + 2)), b"other").unwrap();
        refused("a copy is there");
        log.clean(SystemTime::now()).unwrap_err();
        assert_eq!(std::fs::read(folder.join(format!("{:020}.log", base + 2))).unwrap(), b"other");
        assert_eq!(std::fs::read(&file).unwrap(), bytes, "nothing was written to what is not its own");
        std::fs::remove_dir_all(&folder).unwrap();
        // Put back, it goes on, once that was looked at; nothing of what was refused is there.
        std::fs::rename(&away, &folder).unwrap();
        assert_eq!(log.clean(SystemTime::now()).unwrap(), before.start);
        assert_eq!(log.append(one).unwrap(), base + 2..base + 4);
        let newest = format!("{:020}.log", segments(&folder).last().unwrap());
        std::fs::remove_file(folder.join(newest)).unwrap();
        refused_for_good(&log, one);
        drop(log);
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
    }
}

fn refused_for_good(log: &PartitionLog, batches: &[Bytes]) {
    let end = log.tip().end;
    for _ in 0..2 {
        assert!(matches!(log.append(batches), Err(LogError::Lost { .. })));
    }
    assert_eq!(log.tip().end, end);
}

#[test]
fn a_closed_segment_that_was_unlinked_is_noticed() {
    let folder = TempDir::new().unwrap();
    let log = open_with(folder.path(), LogOptions { segment_bytes: 1, ..OPTIONS }).unwrap();
    append(&log, 0..3);
    std::fs::remove_file(first_file(folder.path())).unwrap();
    assert!(
        matches!(log.clean(SystemTime::now()), Err(LogError::Lost { path, .. }) if path == first_file(folder.path()))
    );
    refused_for_good(&log, &[batch(9, 2, 10, Compression::None)]);
}
