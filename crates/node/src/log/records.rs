//! The framing of records inside a batch, after decompression:
//! an i32 count, then for each record a varint length, an i8 of attributes, a varint timestamp delta, a varint offset
//! delta, a key flag, if it is 1 a varint length and the key, a varint length and the value, a varint header count.
//! Varints are zigzag, little end first, seven bits a byte; the count is big-endian.
//!
//! Their values must fit in 32 bits: the protocol's own encoder, which clients, modules and the engine use, never ends on
//! a greater one.

use fluvio_protocol::record::Record;

/// Whether `raw` is exactly `count` well-formed records and nothing more. One walk over the framing, no allocation.
pub(crate) fn well_formed(raw: &[u8], count: usize) -> bool {
    let Some((head, mut rest)) = raw.split_first_chunk::<4>() else {
        return false;
    };
    if usize::try_from(i32::from_be_bytes(*head)) != Ok(count) {
        return false;
    }
    for _ in 0..count {
        if skip_record(&mut rest).is_none() {
            return false;
        }
    }
    rest.is_empty()
}

fn skip_record(rest: &mut &[u8]) -> Option<()> {
    let mut body = skip_bytes(rest)?;
    body = body.get(1..)?; // attributes
    small(varint(&mut body)?)?; // timestamp delta
    small(varint(&mut body)?)?; // offset delta
    let (flag, tail) = body.split_first()?;
    body = tail;
    match flag {
        0 => {}
        1 => {
            skip_bytes(&mut body)?;
        }
        _ => return None,
    }
    skip_bytes(&mut body)?; // value
    small(varint(&mut body)?)?; // header count; the format carries no headers
    body.is_empty().then_some(())
}

fn skip_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (bytes, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(bytes)
}

fn small(value: i64) -> Option<i32> {
    i32::try_from(value).ok()
}

fn varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Whether the protocol's encoder can be used: all numbers of all records fit in 32 bits.
pub(crate) fn encodable(records: &[Record]) -> bool {
    let fits = |record: &Record| {
        [record.timestamp_delta(), record.offset_delta(), record.headers].into_iter().all(|it| small(it).is_some())
    };
    records.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use fluvio_protocol::Encoder;
    use fluvio_protocol::record::RecordData;
    use proptest::prelude::*;

    use super::*;

    fn put_varint(out: &mut Vec<u8>, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
        (proptest::option::of(bytes()), bytes(), any::<i32>(), any::<i32>(), any::<i32>()).prop_map(
            |(key, value, headers, offset, timestamp)| {
                let mut record = Record::new(RecordData::from(value));
                record.key = key.map(RecordData::from);
                record.headers = headers.into();
                record.preamble.set_offset_delta(offset.into());
                record.preamble.set_timestamp_delta(timestamp.into());
                record
            },
        )
    }

    proptest! {
        #[test]
        fn what_the_protocol_crate_writes_is_well_formed(records in proptest::collection::vec(any_record(), 0..20)) {
            let mut raw = Vec::new();
            records.encode(&mut raw, 0).unwrap();
            prop_assert_eq!(raw.len(), records.write_size(0));
            prop_assert!(encodable(&records));
            prop_assert!(well_formed(&raw, records.len()));
            prop_assert!(!well_formed(&raw, records.len() + 1));
            prop_assert!(!well_formed(&raw[..raw.len() - 1], records.len()));
        }

        #[test]
        fn numbers_beyond_32_bits_are_refused(value in any::<i64>(), place in 0usize..3) {
            let mut body = vec![0u8];
            for at in 0..2 {
                put_varint(&mut body, if at == place { value } else { 0 });
            }
            body.extend_from_slice(&[0, 0]);
            put_varint(&mut body, if place == 2 { value } else { 0 });
            let mut raw = vec![0, 0, 0, 1];
            put_varint(&mut raw, body.len() as i64);
            raw.extend_from_slice(&body);
            prop_assert_eq!(well_formed(&raw, 1), i32::try_from(value).is_ok());
        }

        #[test]
        fn never_panics(raw in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..20) {
            well_formed(&raw, count);
        }
    }
}
