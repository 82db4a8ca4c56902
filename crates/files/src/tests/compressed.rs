//! Compressed contents: known by their first bytes, of several parts, cut off, damaged.

use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Pieces, blocks, records};
use crate::{Compression, Content, FileError, Format, Sizes};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory")
}

fn all(raw: &[u8], lengths: &[usize]) -> Result<Vec<u8>, FileError> {
    let mut content = Content::of(Pieces::new(raw, lengths), "test", None)?;
    let (mut all, mut piece) = (Vec::new(), [0; 1000]);
    loop {
        match content.read(&mut piece)? {
            0 => return Ok(all),
            read => all.extend_from_slice(&piece[..read]),
        }
    }
}

proptest! {
    #[test]
    fn any_parts_give_their_content(parts in vec(vec(b' '..b'z', 0..2000), 1..4), lengths in vec(1_usize..500, 1..4)) {
        let whole = parts.concat();
        for compress in [gzip, zstd] {
            let raw: Vec<u8> = parts.iter().flat_map(|part| compress(part)).collect();
            prop_assert_eq!(all(&raw, &lengths).unwrap(), whole.as_slice());
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error(text in vec(b' '..b'z', 100..3000), at: prop::sample::Index) {
        for compress in [gzip, zstd] {
            let raw = compress(&text);
            let cut = at.index(raw.len() - 4) + 4;
            let error = all(&raw[..cut], &[]).expect_err("it is cut off");
            let known = matches!(error, FileError::CutCompressed { .. });
            prop_assert!(known, "{error}");
        }
    }

    #[test]
    fn damage_is_an_error_or_another_text_and_never_more(text in vec(b' '..b'z', 100..3000), at: prop::sample::Index, flip in 1_u8..=255) {
        for compress in [gzip, zstd] {
            let mut raw = compress(&text);
            let at = at.index(raw.len());
            raw[at] ^= flip;
            let _ = all(&raw, &[]);
        }
    }
}

#[test]
fn they_are_known_by_their_content() {
    let of = |raw: &[u8]| Content::of(Pieces::new(raw, &[1]), "test.txt", None).expect("a text").compression();
    assert_eq!(
        [of(b"{}"), of(&gzip(b"{}")), of(&zstd(b"{}"))],
        [Compression::None, Compression::Gzip, Compression::Zstd]
    );
    let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".as_slice(), &zstd(b"{}")].concat();
    assert_eq!(all(&skippable, &[]).expect("it is whole"), b"{}");
    assert_eq!(all(&[gzip(b"{}"), vec![0; 100]].concat(), &[]).expect("zeros are nothing"), b"{}");
    let rubbish = all(&[gzip(b"{}"), b"rubbish rubbish".to_vec()].concat(), &[]).expect_err("it is no member");
    assert!(matches!(rubbish, FileError::Damaged { offset: 2, .. }), "{rubbish}");
}

#[test]
fn positions_are_those_of_the_content() {
    let text = b"\xef\xbb\xbf{\"a\":1}\r\n{\"a\":2}";
    for compress in [gzip, zstd] {
        let content = Content::of(Pieces::new(&compress(text), &[]), "test", None).expect("a text");
        let content = content.skip(12).expect("so far");
        let (given, error) = blocks(content, Some(Format::Lines), Sizes::default(), &[]);
        assert!(error.is_none());
        assert_eq!((given[0].first, given[0].next), (12, text.len() as u64));
        assert_eq!(records(&given), [b"{\"a\":2}"]);
    }
}
