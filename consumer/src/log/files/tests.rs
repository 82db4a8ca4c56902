//! The seam over files: batches, bounds, and what is no longer as it was.

use std::fs;
use std::path::Path;

use isotherm_files::InputFormat;

use super::super::{END_UNKNOWN, Log, LogBatch, LogBounds, LogError, LogReader, ReadOptions};
use super::FilesLog;
use super::address::FilesAddress;

fn log(paths: &[&Path]) -> FilesLog {
    let paths = paths.iter().map(|path| path.display().to_string()).collect();
    FilesLog::new(&FilesAddress { paths, format: InputFormat::Auto, follow: false })
}

fn gzip(path: &Path, content: &[u8]) {
    use std::io::Write;
    let mut encoder =
        flate2::write::GzEncoder::new(fs::File::create(path).expect("a file"), flate2::Compression::fast());
    encoder.write_all(content).expect("it is written");
    encoder.finish().expect("it is written");
}

async fn read(log: &FilesLog, from: i64) -> Box<dyn LogReader> {
    log.read(0, from, ReadOptions::default()).await.expect("it opens")
}

async fn rest(reader: &mut dyn LogReader) -> Vec<(i64, i64, Vec<String>)> {
    let mut all = Vec::new();
    while let Some(batch) = reader.next().await.expect("it is read") {
        all.push((batch.first, batch.next, records(&batch)));
    }
    all
}

fn records(batch: &LogBatch) -> Vec<String> {
    let mut records = Vec::new();
    let shown = batch.each(&mut Vec::new(), |record| {
        records.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned())
    });
    shown.expect("they are shown");
    records
}

#[tokio::test]
async fn a_file_is_a_partition_from_its_first_byte_to_its_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    fs::write(&plain, "1\r\n\n2").expect("it is written");
    gzip(&packed, b"3\n4\n");
    let log = log(&[&plain, &packed]);
    assert_eq!(log.partitions().await.expect("known"), Some(2));
    assert_eq!(log.bounds(0).await.expect("known"), LogBounds { start: 0, end: 5 });
    assert_eq!(log.bounds(1).await.expect("known"), LogBounds { start: 0, end: END_UNKNOWN });
    let mut reader = read(&log, 0).await;
    reader.follow();
    assert_eq!(rest(&mut *reader).await, [(0, 5, vec!["1".to_owned(), "2".to_owned()])]);
    let mut reader = log.read(1, 2, ReadOptions::default()).await.expect("it opens");
    assert_eq!(rest(&mut *reader).await, [(2, 4, vec!["4".to_owned()])]);
    assert_eq!((reader.position(), reader.bounds().end), (4, 4));
}

#[tokio::test]
async fn a_reader_goes_where_it_is_told_and_ends_batches_where_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.jsonl");
    fs::write(&path, "1\n2\n3\n4\n5\n").expect("it is written");
    let log = log(&[&path]);
    let mut reader = read(&log, 2).await;
    reader.cut_at(&[4, 8]);
    let ends = |all: Vec<(i64, i64, Vec<String>)>| all.into_iter().map(|(_, next, _)| next).collect::<Vec<_>>();
    assert_eq!(ends(rest(&mut *reader).await), [4, 8, 10]);
    reader.seek(2, 6);
    assert_eq!(ends(rest(&mut *reader).await), [4, 6]);
    reader.seek(6, 10);
    assert_eq!(ends(rest(&mut *reader).await), [8, 10]);
}

#[tokio::test]
async fn what_a_file_lost_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, packed) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
    fs::write(&plain, "1\n2\n").expect("it is written");
    gzip(&packed, b"3\n4\n");
    let log = log(&[&plain, &packed]);
    let shorter = log.read(0, 6, ReadOptions::default()).await.err();
    assert!(matches!(shorter, Some(LogError::Shorter { offset: 6, end: 4, .. })), "{shorter:?}");
    let mut reader = log.read(1, 6, ReadOptions::default()).await.expect("nobody knows its end");
    let shorter = reader.next().await.err();
    assert!(matches!(shorter, Some(LogError::Shorter { offset: 6, end: 4, .. })), "{shorter:?}");
    // While it is read.
    let mut reader = read(&log, 0).await;
    fs::write(&plain, "").expect("it is cut");
    let shorter = reader.next().await.err();
    assert!(matches!(shorter, Some(LogError::Shorter { .. })), "{shorter:?}");
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = folder.path().join("none");
    let error = log(&[&none]).read(0, 0, ReadOptions::default()).await.err();
    assert!(matches!(&error, Some(LogError::Fatal(reason)) if reason.contains("none")), "{error:?}");
    let wide = folder.path().join("wide");
    fs::write(&wide, b"\xff\xfe{\0}\0").expect("it is written");
    let error = log(&[&wide]).read(0, 0, ReadOptions::default()).await.err();
    assert!(matches!(&error, Some(LogError::Fatal(reason)) if reason.contains("UTF-16")), "{error:?}");
}
