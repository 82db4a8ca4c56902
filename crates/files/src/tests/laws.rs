//! What holds for every content, whatever is in it and however it comes.

use std::io::Write;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{blocks, content, essence, records, reference};
use crate::{Block, Blocks, Content, Format, Sizes};

/// Pieces of which contents are made that are near to what readings are.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop_oneof![
        8 => Just(&b"{\"a\":[1,{\"b\":\"x\"}]}"[..]),
        4 => Just(&b"\n"[..]),
        3 => Just(&b"\r\n"[..]),
        3 => Just(&b","[..]),
        2 => Just(&b" \t"[..]),
        2 => Just(&b"]"[..]),
        2 => Just(&b"["[..]),
        1 => Just(&b"}"[..]),
        1 => Just(&b"\"\\\"],{[\\\\\""[..]),
        1 => Just(&b"\""[..]),
        1 => Just(&b"\\"[..]),
        1 => Just(&b"12"[..]),
        1 => Just(&b"\xef\xbb\xbf"[..]),
        1 => Just(&b"a line that is too long for the records of the test"[..]),
        1 => Just(&b"                                                         "[..]),
    ];
    prop_oneof![20 => fixed.prop_map(<[u8]>::to_vec), 1 => vec(1_u8..=255, 1..8)]
}

/// A content that is taken for a text.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let begin = prop_oneof![Just(&b""[..]), Just(&b"["[..]), Just(&b"\xef\xbb\xbf [ "[..])];
    let end = prop_oneof![Just(&b""[..]), Just(&b"]"[..]), Just(&b"] \n"[..])];
    let content = (begin, vec(piece(), 0..40), end);
    let content = content.prop_map(|(begin, pieces, end)| [begin, &pieces.concat(), end].concat());
    content.prop_filter("it is known not to be a text", |bytes| {
        crate::Content::of(super::Pieces::new(bytes, &[]), "test", None).is_ok()
    })
}

fn any_sizes() -> impl Strategy<Value = Sizes> {
    (1_u64..60, 20_usize..50).prop_map(|(block, record)| Sizes { block, record })
}

fn ends(blocks: &[Block]) -> Vec<u64> {
    blocks.iter().map(|block| block.next).collect()
}

fn format_of(array: bool) -> Format {
    if array { Format::Array } else { Format::Lines }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn blocks_follow_each_other_and_hold_every_record(bytes in any_content(), sizes in any_sizes(), lengths in vec(1_usize..40, 1..5)) {
        let (lines, error) = blocks(content(&bytes, &lengths), Some(Format::Lines), sizes, &[]);
        prop_assert!(error.is_none());
        prop_assert_eq!(records(&lines), reference::lines(&bytes, sizes.record));
        let (elements, error) = blocks(content(&bytes, &lengths), Some(Format::Array), sizes, &[]);
        match reference::elements(&bytes, sizes.record) {
            Some(wanted) => prop_assert_eq!((records(&elements), error.is_none()), (wanted, true)),
            None => prop_assert!(error.is_some()),
        }
        for (given, whole) in [(lines, true), (elements, error.is_none())] {
            let mut at = 0;
            for block in &given {
                prop_assert_eq!(block.first, at);
                prop_assert!(block.next > at);
                at = block.next;
            }
            prop_assert!(at <= bytes.len() as u64);
            prop_assert!(!whole || at == bytes.len() as u64);
        }
    }

    #[test]
    fn the_beginning_says_what_it_is(bytes in any_content(), lengths in vec(1_usize..40, 1..5)) {
        let wanted = format_of(reference::is_array(&bytes));
        let mut looked_at = Vec::new();
        let found = crate::format::find(&mut content(&bytes, &lengths), &mut looked_at, false);
        prop_assert_eq!(found.ok(), Some(wanted));
        prop_assert!(bytes.starts_with(&looked_at));
        let sizes = Sizes { block: 16, record: 40 };
        let (found, _) = blocks(content(&bytes, &lengths), None, sizes, &[]);
        let (told, _) = blocks(content(&bytes, &lengths), Some(wanted), sizes, &[]);
        prop_assert_eq!(essence(&found), essence(&told));
    }

    #[test]
    fn how_bytes_come_makes_no_difference(bytes in any_content(), sizes in any_sizes(), array: bool, lengths in vec(1_usize..40, 1..5)) {
        let format = Some(format_of(array));
        let (one, one_error) = blocks(content(&bytes, &[]), format, sizes, &[]);
        let (other, other_error) = blocks(content(&bytes, &lengths), format, sizes, &[]);
        prop_assert_eq!(essence(&one), essence(&other));
        prop_assert_eq!(one_error.map(|error| error.to_string()), other_error.map(|error| error.to_string()));
    }

    #[test]
    fn reading_goes_on_behind_any_block(bytes in any_content(), sizes in any_sizes(), array: bool, which: prop::sample::Index) {
        let format = Some(format_of(array));
        let (all, error) = blocks(content(&bytes, &[]), format, sizes, &[]);
        if all.is_empty() || error.is_some() {
            return Ok(());
        }
        let which = which.index(all.len());
        let rest = content(&bytes, &[]).skip(all[which].next).unwrap();
        let (rest, error) = blocks(rest, format, sizes, &[]);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(essence(&all[which + 1..]), essence(&rest));
    }

    /// An earlier run read a shorter content; a later one is told where that run's blocks ended.
    #[test]
    fn the_blocks_of_a_shorter_content_come_again(
        bytes in any_content(), sizes in any_sizes(), till: prop::sample::Index, which: prop::sample::Index,
    ) {
        let till = till.index(bytes.len() + 1);
        let (before, _) = blocks(content(&bytes[..till], &[]), Some(Format::Lines), sizes, &[]);
        prop_assume!(!before.is_empty());
        let which = which.index(before.len());
        let cuts = ends(&before);
        let rest = content(&bytes, &[]).skip(before[which].first).unwrap();
        let (again, _) = blocks(rest, Some(Format::Lines), sizes, &cuts);
        let known = before.len() - which;
        prop_assert_eq!(essence(&before[which..]), essence(&again[..known]));
        prop_assert_eq!(ends(&again).last().copied(), Some(bytes.len() as u64));
    }

    /// What came block by block while a file was written comes again in the same blocks to one that is told where they ended.
    #[test]
    fn a_growing_file_gives_the_blocks_that_come_again(bytes in any_content(), sizes in any_sizes(), lengths in vec(1_usize..200, 1..5)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grows");
        let mut file = std::fs::File::create(&path).unwrap();
        let (mut given, mut blocks, mut written, mut turn) = (Vec::new(), None, 0, 0);
        loop {
            let length = lengths[turn % lengths.len()].min(bytes.len() - written);
            file.write_all(&bytes[written..written + length]).unwrap();
            (written, turn) = (written + length, turn + 1);
            if blocks.is_none() {
                let file = Arc::new(std::fs::File::open(&path).unwrap());
                match Content::growing(file, "test", 0) {
                    Ok(content) => blocks = Some(Blocks::growing(content, sizes)),
                    Err(error) => prop_assert!(error.is_not_yet(), "{error}"),
                }
            }
            let Some(blocks) = &mut blocks else {
                prop_assume!(written < bytes.len());
                continue;
            };
            let ended = written == bytes.len();
            if ended {
                blocks.stop_at(written as u64);
            }
            let error = loop {
                match blocks.next(Vec::new()) {
                    Ok(Some(block)) => given.push(block),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            match error {
                Some(error) => prop_assert!(error.is_not_yet() && !ended, "{error}"),
                None => break,
            }
        }
        prop_assert_eq!(given.last().map_or(0, |block| block.next), bytes.len() as u64);
        let (again, error) = super::blocks(content(&bytes, &[]), Some(Format::Lines), sizes, &ends(&given));
        prop_assert!(error.is_none());
        prop_assert_eq!(essence(&given), essence(&again));
    }

    #[test]
    fn a_block_ends_at_every_cut(bytes in any_content(), sizes in any_sizes(), array: bool, cuts in vec(1_u64..300, 0..6)) {
        let (given, error) = blocks(content(&bytes, &[]), Some(format_of(array)), sizes, &cuts);
        let end = given.last().map_or(0, |block| block.next);
        let ends = ends(&given);
        for cut in cuts.iter().filter(|cut| **cut < end) {
            prop_assert!(ends.contains(cut), "{cut} in {ends:?}");
        }
        prop_assert!(error.is_some() || end == bytes.len() as u64);
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in vec(any::<u8>(), 0..300), array: bool, sizes in any_sizes()) {
        if let Ok(text) = crate::Content::of(super::Pieces::new(&bytes, &[7]), "test", None) {
            blocks(text, Some(format_of(array)), sizes, &[]);
        }
    }
}
