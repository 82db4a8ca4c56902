//! What retention removes, and that a start tells what it removed from what is missing.

use std::time::Duration;

use super::*;

/// A log of three segments of two records each.
fn three_segments(folder: &Path, retention: Retention) -> PartitionLog {
    let log = open_with(folder, LogOptions { segment_bytes: 1, retention, ..OPTIONS }).unwrap();
    append(&log, 0..3);
    assert_eq!(segments(folder), [0, 2, 4]);
    log
}

fn age_all(folder: &Path, by: Duration) {
    for (_, path) in super::super::segment::Segment::list(folder).unwrap() {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - by).unwrap();
    }
}

#[test]
fn old_segments_go_and_the_one_that_takes_entries_stays() {
    let folder = TempDir::new().unwrap();
    let age = Some(Duration::from_secs(60));
    let log = three_segments(folder.path(), Retention { age, bytes: None });
    assert_eq!(log.clean(SystemTime::now()).unwrap(), 0);
    // A clock that was set back makes nothing old.
    assert_eq!(log.clean(SystemTime::now() - Duration::from_secs(86_400)).unwrap(), 0);
    age_all(folder.path(), Duration::from_secs(61));
    append(&log, 9..10);
    age_all(folder.path(), Duration::from_secs(61));
    assert_eq!(log.clean(SystemTime::now()).unwrap(), 6);
    assert_eq!(segments(folder.path()), [6]);
    assert_eq!(log.append(&[batch(10, 1, 10, Compression::None)]).unwrap().start, 8);
}

#[test]
fn without_retention_everything_stays() {
    let folder = TempDir::new().unwrap();
    let log = three_segments(folder.path(), Retention::default());
    age_all(folder.path(), Duration::from_secs(3_650 * 86_400));
    assert_eq!(log.clean(SystemTime::now()).unwrap(), 0);
    assert_eq!(segments(folder.path()), [0, 2, 4]);
}

#[test]
fn what_a_kill_left_of_a_removal_goes_at_the_next_start() {
    for left in 0..3 {
        let folder = TempDir::new().unwrap();
        let retention = Retention { age: None, bytes: Some(1) };
        let log = three_segments(folder.path(), retention);
        let files = [0, 2].map(|base| folder.path().join(format!("{base:020}.log")));
        let before = files.clone().map(|path| std::fs::read(path).unwrap());
        assert_eq!(log.clean(SystemTime::now()).unwrap(), 4);
        drop(log);
        // It was killed before it had removed the last `left` of them.
        for (path, bytes) in files.iter().zip(before).skip(2 - left) {
            std::fs::write(path, bytes).unwrap();
        }
        let log = open_with(folder.path(), LogOptions { segment_bytes: 1, retention, ..OPTIONS }).unwrap();
        assert_eq!((log.tip().start, log.tip().end), (4, 6));
        assert_eq!(segments(folder.path()), [4]);
    }
}

#[test]
fn a_missing_first_segment_is_damage() {
    let damaged = |folder: &Path| match open_with(folder, OPTIONS) {
        Err(LogError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let folder = TempDir::new().unwrap();
    drop(three_segments(folder.path(), Retention::default()));
    std::fs::remove_file(first_file(folder.path())).unwrap();
    assert!(damaged(folder.path()).contains("is missing"));
    // It was cut before offset 2, and then more went.
    std::fs::write(folder.path().join("start"), "2\n").unwrap();
    assert_eq!(open(folder.path()).tip().start, 2);
    for base in [2, 4] {
        std::fs::remove_file(folder.path().join(format!("{base:020}.log"))).unwrap();
        assert!(damaged(folder.path()).contains("missing"));
    }
}

#[test]
fn a_start_that_cannot_be_read_is_damage() {
    for text in [&b""[..], b"two", b"-1", b"2 3", b"\xff"] {
        let folder = TempDir::new().unwrap();
        drop(three_segments(folder.path(), Retention::default()));
        std::fs::write(folder.path().join("start"), text).unwrap();
        let opened = open_with(folder.path(), OPTIONS);
        assert!(matches!(&opened, Err(LogError::Damaged { path, .. }) if path.ends_with("start")), "{opened:?}");
    }
}
