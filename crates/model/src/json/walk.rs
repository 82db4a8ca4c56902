//! Walking over any JSON value: every byte is checked, nothing is kept.

use super::{number, string};

/// The most containers (objects and arrays) within each other.
pub(crate) const MAX_DEPTH: usize = 127;

/// Where the white space from `at` on ends.
#[inline(always)]
pub(crate) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at`, within `depth` containers, ends; `None` if it is not JSON.
#[inline(always)]
pub(crate) fn value(bytes: &[u8], at: usize, depth: usize) -> Option<usize> {
    match *bytes.get(at)? {
        b'"' => Some(string::walk(bytes, at + 1)?.end + 1),
        b'{' | b'[' => container(bytes, at, depth),
        _ => scalar(bytes, at),
    }
}

/// Where the number or word that begins at `at` ends.
#[inline(always)]
fn scalar(bytes: &[u8], at: usize) -> Option<usize> {
    let word = match *bytes.get(at)? {
        b't' => b"true" as &[u8],
        b'f' => b"false",
        b'n' => b"null",
        _ => return number::walk(bytes, at),
    };
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The open containers.
struct Open {
    /// Which of them are objects, one bit each.
    objects: u128,
    count: usize,
    /// How many may be open at once.
    limit: usize,
}

impl Open {
    fn enter(&mut self, object: bool) -> Option<()> {
        if self.count == self.limit {
            return None;
        }
        self.objects = self.objects << 1 | u128::from(object);
        self.count += 1;
        Some(())
    }

    fn leave(&mut self) {
        self.objects >>= 1;
        self.count -= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// Where the object or array that begins at `at` ends. Needs no memory: 127 containers are 127 bits.
#[inline(never)]
fn container(bytes: &[u8], mut at: usize, depth: usize) -> Option<usize> {
    let mut open = Open { objects: 0, count: 0, limit: MAX_DEPTH.saturating_sub(depth) };
    loop {
        // Before a value.
        match *bytes.get(at)? {
            first @ (b'{' | b'[') => {
                let object = first == b'{';
                open.enter(object)?;
                at = space(bytes, at + 1);
                match (object, *bytes.get(at)?) {
                    (true, b'}') | (false, b']') => {
                        open.leave();
                        at += 1;
                    }
                    (true, _) => {
                        at = name(bytes, at)?;
                        continue;
                    }
                    (false, _) => continue,
                }
            }
            b'"' => at = string::walk(bytes, at + 1)?.end + 1,
            _ => at = scalar(bytes, at)?,
        }
        // After a value.
        loop {
            if open.count == 0 {
                return Some(at);
            }
            at = space(bytes, at);
            match (open.in_object(), *bytes.get(at)?) {
                (true, b'}') | (false, b']') => {
                    open.leave();
                    at += 1;
                }
                (true, b',') => {
                    at = name(bytes, space(bytes, at + 1))?;
                    break;
                }
                (false, b',') => {
                    at = space(bytes, at + 1);
                    break;
                }
                _ => return None,
            }
        }
    }
}

/// Where the value of the member whose name begins at `at` begins.
#[inline(always)]
fn name(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    colon(bytes, string::walk(bytes, at + 1)?.end + 1)
}

/// Where the value after a name that ends at `at` begins.
#[inline(always)]
pub(crate) fn colon(bytes: &[u8], at: usize) -> Option<usize> {
    let at = space(bytes, at);
    (*bytes.get(at)? == b':').then(|| space(bytes, at + 1))
}
