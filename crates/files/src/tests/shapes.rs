//! Contents as people have them.

use std::fs;

use super::{blocks, content, records};
use crate::{Blocks, FileError, Format, Input, InputFormat, Sizes};

fn texts(bytes: &[u8]) -> Vec<String> {
    let (given, error) = blocks(content(bytes, &[]), None, Sizes::default(), &[]);
    assert!(error.is_none(), "{error:?}");
    records(&given).into_iter().map(|record| String::from_utf8(record).expect("UTF-8")).collect()
}

#[test]
fn lines_with_any_ends_and_a_mark_before_them() {
    assert_eq!(
        texts(b"\xef\xbb\xbf{\"a\":1}\r\n\r\n \t\n{\"a\":2}\n{\"a\":3}"),
        [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]
    );
    assert_eq!(texts(b"").len() + texts(b"\xef\xbb\xbf").len() + texts(b" \r\n\n").len(), 0);
    // A mark further on belongs to its line.
    assert_eq!(texts(b"1\n\xef\xbb\xbf2\n"), ["1", "\u{feff}2"]);
}

#[test]
fn arrays_pretty_printed_or_not() {
    let pretty = b"\xef\xbb\xbf\n[\n  {\n    \"a\": \"],[\\\"\",\n    \"b\": [1, 2]\n  },\n  null\n]\n";
    assert_eq!(texts(pretty), ["{\n    \"a\": \"],[\\\"\",\n    \"b\": [1, 2]\n  }", "null"]);
    assert_eq!(texts(br#"[{"a":1},{"a":2}]"#), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(texts(b"[]\n").len() + texts(b" [ ] ").len(), 0);
    // What is wrong between elements is an element that is wrong.
    assert_eq!(texts(b"[1 2,,3}]"), ["1 2", "", "3}"]);
    assert_eq!(texts(b"[1,]"), ["1", ""]);
}

#[test]
fn lines_that_are_arrays_are_lines() {
    assert_eq!(texts(b"[1,2]\n[3,4]\n"), ["[1,2]", "[3,4]"]);
    assert_eq!(texts(b"\n [1,2] \r\n\n[3"), [" [1,2] ", "[3"]);
    assert_eq!(texts(b"[1,2]\n \n"), ["1", "2"], "nothing but white space follows");
    assert_eq!(texts(b"[1,\n2]\n"), ["1", "2"], "the first line is not complete");
}

#[test]
fn an_array_that_is_cut_off_or_goes_on_is_an_error() {
    let error = |bytes| blocks(content(bytes, &[]), Some(Format::Array), Sizes::default(), &[]);
    let (given, cut) = error(b"[1,2,3");
    assert_eq!(records(&given), [b"1", b"2"]);
    assert!(matches!(cut, Some(FileError::CutArray { offset: 6, .. })), "{cut:?}");
    let (given, more) = error(b"[1,2] \n[3]");
    assert_eq!(records(&given), [b"1", b"2"]);
    assert!(matches!(more, Some(FileError::AfterArray { offset: 7, .. })), "{more:?}");
    let (_, none) = error(b"  {}");
    assert!(matches!(none, Some(FileError::NoArray { offset: 2, .. })), "{none:?}");
    let (_, none) = error(b"  ");
    assert!(matches!(none, Some(FileError::NoArray { offset: 2, .. })), "{none:?}");
}

/// A run reads a file to the end that it had when the run began.
#[test]
fn an_array_that_is_cut_off_is_an_error_where_reading_stops_at_its_end_too() {
    for (text, cut) in [("[1,2,3", true), ("[1,", true), ("[1]", false), ("[1] \n", false)] {
        let mut blocks = Blocks::of(content(text.as_bytes(), &[]), None, Sizes::default()).expect("a text");
        blocks.stop_at(text.len() as u64);
        let end = loop {
            match blocks.next(Vec::new()) {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        assert_eq!(matches!(end, Err(FileError::CutArray { .. })), cut, "{text}: {end:?}");
    }
    let mut blocks = Blocks::of(content(b"[1,2,3]", &[]), None, Sizes::default()).expect("a text");
    blocks.stop_at(5);
    let block = blocks.next(Vec::new()).expect("it goes on behind").expect("a block");
    assert_eq!((block.next, records(&[block])), (5, vec![b"1".to_vec(), b"2".to_vec()]));
}

#[test]
fn records_that_are_too_long_are_not_held() {
    let sizes = Sizes { block: 64, record: 1000 };
    for (format, before, between, end) in [(Format::Lines, "", "\n", ""), (Format::Array, "[", ",", "]")] {
        for length in [998, 1000, 1001, 1002, 5_000_000] {
            let long = "x".repeat(length);
            let text = format!("{before}1{between}{long}{between}2{end}");
            let mut cut = Blocks::of(content(text.as_bytes(), &[]), Some(format), sizes).expect("a text");
            let mut given = Vec::new();
            while let Some(block) = cut.next(Vec::new()).expect("it can be read") {
                assert!(block.byte_len() < 20_000, "{}", block.byte_len());
                block.each(|record| given.push(record.len()));
            }
            assert_eq!(given, [1, if length > 1000 { 0 } else { length }, 1], "{format:?}");
        }
    }
}

#[test]
fn what_is_no_text_is_said() {
    let error = |bytes: &[u8]| {
        crate::Content::of(super::Pieces::new(bytes, &[]), "x.json", None).err().expect("no text").to_string()
    };
    let wide: Vec<u8> = "[{\"a\":1}]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe".as_slice(), &wide].concat();
    for bytes in [wide.as_slice(), &marked] {
        assert!(error(bytes).contains("UTF-16"), "{}", error(bytes));
    }
    assert!(error(b"PK\x03\x04rest").contains("a zip archive"));
    assert!(error(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0").contains("binary"));
}

#[test]
fn folders_and_missing_files_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &std::path::Path| Input::File(path.to_owned()).open(0).err().expect("it does not open");
    assert!(matches!(open(folder.path()), FileError::Folder { .. }));
    assert!(matches!(open(&folder.path().join("none")), FileError::Open { .. }));
}

#[test]
fn a_plain_file_is_read_from_anywhere_and_its_length_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("array.json");
    fs::write(&path, b"[1,22,333]").expect("it is written");
    let input = Input::File(path);
    assert_eq!(input.length().expect("it opens"), Some(10));
    let mut blocks = Blocks::open(&input, 3, InputFormat::Auto, Sizes::default()).expect("it opens");
    blocks.stop_at(9);
    let block = blocks.next(Vec::new()).expect("it is read").expect("a block");
    assert_eq!((block.first, block.next), (3, 9));
    assert_eq!(records(&[block]), [&b"22"[..], b"333"]);
    assert!(blocks.next(Vec::new()).expect("it is read").is_none());
}

#[test]
fn a_line_that_has_come_does_not_wait_for_another_one() {
    /// What has been written to a pipe. Nothing more comes, and a test that asks for it would wait for ever.
    struct Written(Option<&'static [u8]>);

    impl std::io::Read for Written {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.0.take().ok_or_else(|| std::io::Error::other("it would wait"))?;
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    let content = crate::Content::of(Box::new(Written(Some(b"one\ntwo\nth"))), "test", None).expect("a text");
    let mut blocks = Blocks::follow(content, InputFormat::Auto, Sizes::default()).expect("lines");
    let block = blocks.next(Vec::new()).expect("it is there").expect("a block");
    assert_eq!(records(&[block]), [b"one", b"two"]);
    assert!(blocks.next(Vec::new()).is_err());
}

#[test]
fn a_followed_pipe_gives_lines_as_they_come() {
    let bytes = b"one\ntwo\nthr";
    let mut blocks = Blocks::follow(content(bytes, &[5]), InputFormat::Lines, Sizes::default()).expect("lines");
    let mut given = Vec::new();
    while let Some(block) = blocks.next(Vec::new()).expect("it is read") {
        given.push(records(&[block]).concat());
    }
    assert_eq!(given, [b"one", b"two", b"thr"]);
    let array = Blocks::follow(content(b"[1,\n2]", &[]), InputFormat::Auto, Sizes::default());
    assert!(matches!(array.err(), Some(FileError::FollowedArray { .. })));
}
