//! Torn tails against damage, where what clients put into batches looks like entries, or the disk has parts of an append.

use super::super::entry;
use super::*;

/// An entry as the log writes it.
fn written(batch: &[u8], base: i64) -> Vec<u8> {
    let mut out = Vec::new();
    entry::put(&mut out, batch, base);
    out
}

/// A batch of one uncompressed record with this value.
fn carrying(value: &[u8]) -> Bytes {
    of(vec![Record::new(value)], Compression::None)
}

#[test]
fn a_value_that_looks_like_entries_makes_no_damage_of_a_torn_tail() {
    let (_, bytes) = three_batches();
    let fake = written(&carrying(b"so it seems"), 1 << 40);
    let value = fake.repeat(1_000);
    let torn = written(&carrying(&value), 9);
    for cut in [10, 64, 65, 66, fake.len() * 3, torn.len() / 2, torn.len() - 1] {
        let folder = with_file([&bytes, &torn[..cut]].concat());
        assert_eq!(open(folder.path()).tip().end, 9, "cut at {cut}");
        assert_eq!(stored(folder.path()), bytes, "cut at {cut}");
    }
    // Nor where the disk has lost a part of it; and what stands behind it is still found.
    let mut holed = torn.clone();
    holed[100..200].fill(0);
    let folder = with_file([&bytes[..], &holed].concat());
    assert_eq!(open(folder.path()).tip().end, 9);
    let next = written(&carrying(b"acknowledged"), 10);
    std::fs::write(first_file(folder.path()), [&bytes[..], &holed, &next].concat()).unwrap();
    let opened = open_with(folder.path(), OPTIONS);
    assert!(matches!(opened, Err(LogError::Damaged { offset: 9, .. })), "{opened:?}");
}

#[test]
fn what_looks_like_the_heads_of_large_entries_costs_little() {
    let (_, bytes) = three_batches();
    // Each claims all that stands behind it, up to 8 MB: read one by one these would be half a terabyte.
    let (count, size) = (128 * 1024, 65);
    let mut head = written(&carrying(b""), 1 << 40);
    head.truncate(size);
    let claimed = (count * size - size) as u32;
    head[..4].copy_from_slice(&claimed.to_be_bytes());
    head[16..20].copy_from_slice(&(claimed - 12).to_be_bytes());
    let value = head.repeat(count * 2);
    let torn = written(&carrying(&value), 9);
    let cut = torn.len() - 1;
    let folder = with_file([&bytes, &torn[..cut]].concat());
    assert_eq!(open(folder.path()).tip().end, 9);
    // Where not even its own head was written every byte is looked at, and not for ever; nothing is cut then.
    let unwritten = [&bytes[..], &[0; 4096], &torn[4096..cut]].concat();
    std::fs::write(first_file(folder.path()), &unwritten).unwrap();
    let opened = open_with(folder.path(), OPTIONS);
    assert!(matches!(opened, Err(LogError::Damaged { offset: 9, .. })), "{opened:?}");
    assert!(stored(folder.path()) == unwritten, "nothing was changed");
}

#[test]
fn an_append_of_which_the_disk_has_only_parts_is_a_torn_tail() {
    let folder = TempDir::new().unwrap();
    let log = open(folder.path());
    log.append(&[batch(0, 5, 20, Compression::None)]).unwrap();
    let before = stored(folder.path());
    let batches: Vec<_> = (1..5).map(|seed| batch(seed, seed, 2_000, Compression::None)).collect();
    log.append(&batches).unwrap();
    let whole = stored(folder.path());
    log.append(&[batch(9, 1, 20, Compression::None)]).unwrap();
    drop(log);
    let with_next = stored(folder.path());
    // Any 512 bytes that the disk never got.
    for at in (before.len()..whole.len()).step_by(512) {
        let lost = at..(at + 512).min(whole.len());
        let mut bytes = whole.clone();
        bytes[lost.clone()].fill(0);
        std::fs::write(first_file(folder.path()), &bytes).unwrap();
        let end = open(folder.path()).tip().end;
        assert!((5..5 + 10).contains(&end), "without {lost:?} it ends at {end}");
        // What was appended later proves that all of it was there once.
        let mut bytes = with_next.clone();
        bytes[lost.clone()].fill(0);
        std::fs::write(first_file(folder.path()), &bytes).unwrap();
        let opened = open_with(folder.path(), OPTIONS);
        assert!(matches!(opened, Err(LogError::Damaged { .. })), "without {lost:?}: {opened:?}");
    }
}
