//! Values of columns, and the numbers in blobs.

use isotherm_model::varint;
use rusqlite::types::ValueRef;

/// A value that is not of its column's type: a row of ours never has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

pub(super) type Typed<T> = Result<T, Malformed>;

pub(super) fn int(value: ValueRef<'_>) -> Typed<i64> {
    optional(value)?.ok_or(Malformed)
}

/// An integer or NULL.
pub(super) fn optional(value: ValueRef<'_>) -> Typed<Option<i64>> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number)),
        _ => Err(Malformed),
    }
}

/// An integer that fits `T`.
pub(super) fn small<T: TryFrom<i64>>(value: ValueRef<'_>) -> Typed<T> {
    T::try_from(int(value)?).map_err(|_| Malformed)
}

/// A count: 64 bits without a sign, kept in 64 bits with one.
pub(super) fn count(value: ValueRef<'_>) -> Typed<u64> {
    int(value).map(i64::cast_unsigned)
}

pub(super) fn text(value: ValueRef<'_>) -> Typed<&str> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

pub(super) fn blob(value: ValueRef<'_>) -> Typed<&[u8]> {
    match value {
        ValueRef::Blob(bytes) => Ok(bytes),
        _ => Err(Malformed),
    }
}

pub(super) fn of_count(count: u64) -> ValueRef<'static> {
    ValueRef::Integer(count.cast_signed())
}

pub(super) fn of_optional(number: Option<i64>) -> ValueRef<'static> {
    number.map_or(ValueRef::Null, ValueRef::Integer)
}

/// A sum: an integer if it fits one, else text, since SQLite has none of 128 bits. `room` holds the text.
pub(super) fn of_sum(sum: i128, room: &mut String) -> ValueRef<'_> {
    match i64::try_from(sum) {
        Ok(sum) => ValueRef::Integer(sum),
        Err(_) => {
            *room = sum.to_string();
            ValueRef::Text(room.as_bytes())
        }
    }
}

pub(super) fn sum(value: ValueRef<'_>) -> Typed<i128> {
    match value {
        ValueRef::Text(_) => text(value)?.parse().map_err(|_| Malformed),
        _ => int(value).map(i128::from),
    }
}

/// Appends a number to a blob.
pub(super) fn put(out: &mut Vec<u8>, number: u64) {
    varint::put(out, u128::from(number));
}

/// Appends a signed number to a blob.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i128) {
    varint::put(out, varint::zigzag(number));
}

/// Appends the number of items, and for each, ascending, the distance of its number from the one before and what `more` appends.
pub(super) fn put_ascending<T: Copy>(
    out: &mut Vec<u8>,
    items: &[T],
    number: impl Fn(T) -> i64,
    more: impl Fn(&mut Vec<u8>, T),
) {
    put(out, items.len() as u64);
    let mut before = 0;
    for item in items {
        put_signed(out, i128::from(number(*item)) - i128::from(before));
        before = number(*item);
        more(out, *item);
    }
}

/// Reads the numbers of a blob.
pub(super) struct Numbers<'a>(pub(super) &'a [u8]);

impl Numbers<'_> {
    pub(super) fn unsigned<T: TryFrom<u128>>(&mut self) -> Typed<T> {
        let number = varint::take(&mut self.0, 64).map_err(|_| Malformed)?;
        T::try_from(number).map_err(|_| Malformed)
    }

    pub(super) fn signed<T: TryFrom<i128>>(&mut self) -> Typed<T> {
        let number = varint::take(&mut self.0, 128).map_err(|_| Malformed)?;
        T::try_from(varint::unzigzag(number)).map_err(|_| Malformed)
    }

    /// What [`put_ascending`] appended, to the end of the blob.
    pub(super) fn ascending<T>(mut self, item: impl Fn(i64, &mut Self) -> Typed<T>) -> Typed<Vec<T>> {
        let length: usize = self.unsigned()?;
        let mut items = Vec::with_capacity(length.min(self.0.len()));
        let mut before = 0_i128;
        for _ in 0..length {
            before = before.checked_add(self.signed()?).ok_or(Malformed)?;
            items.push(item(i64::try_from(before).map_err(|_| Malformed)?, &mut self)?);
        }
        self.end()?;
        Ok(items)
    }

    /// Nothing must be left.
    fn end(&self) -> Typed<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
