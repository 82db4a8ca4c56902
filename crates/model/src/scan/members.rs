//! The walk over a record that keeps the positions of its fields.

use super::tree::Tree;
use crate::json::string::{self, Text};
use crate::json::{number, walk};

/// What the walk last found at a node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No such member.
    Absent,
    /// An object, at a node with children.
    Object,
    /// A string, at a leaf.
    Text(Text),
    /// A number, at a leaf.
    Number { start: usize, end: usize },
    /// Anything else.
    Other,
}

/// One walk over one record.
pub(crate) struct Members<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) tree: &'a Tree,
    /// For each node, what was found.
    pub(crate) found: &'a mut [Found],
    /// Buffer for a name with escapes.
    pub(crate) name: &'a mut Vec<u8>,
}

impl Members<'_> {
    /// Walks over the whole record; `None` if it is not a JSON text.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Option<()> {
        let at = walk::space(self.bytes, 0);
        let end = self.value(0, at, 0)?;
        (walk::space(self.bytes, end) == self.bytes.len()).then_some(())
    }

    /// Walks over the value of a node, within `depth` containers. It replaces what was found there and below before.
    #[inline(always)]
    fn value(&mut self, place: usize, at: usize, depth: usize) -> Option<usize> {
        let node = self.tree.node(place)?;
        let (inner, end) = (!node.children.is_empty(), node.end);
        let (found, next) = match *self.bytes.get(at)? {
            b'{' if inner => {
                for below in self.found.get_mut(place..end)? {
                    *below = Found::Absent;
                }
                *self.found.get_mut(place)? = Found::Object;
                return self.object(place, at + 1, depth + 1);
            }
            b'"' if !inner => {
                let text = string::walk(self.bytes, at + 1)?;
                (Found::Text(text), text.end + 1)
            }
            b'-' | b'0'..=b'9' if !inner => {
                let end = number::walk(self.bytes, at)?;
                (Found::Number { start: at, end }, end)
            }
            _ => (Found::Other, walk::value(self.bytes, at, depth)?),
        };
        if inner {
            for below in self.found.get_mut(place..end)? {
                *below = Found::Absent;
            }
        }
        *self.found.get_mut(place)? = found;
        Some(next)
    }

    /// Walks over the members of an object that leads to fields, from after its brace. `depth` includes it.
    fn object(&mut self, place: usize, at: usize, depth: usize) -> Option<usize> {
        if depth > walk::MAX_DEPTH {
            return None;
        }
        let tree = self.tree;
        let node = tree.node(place)?;
        let mut at = walk::space(self.bytes, at);
        if *self.bytes.get(at)? == b'}' {
            return Some(at + 1);
        }
        loop {
            if *self.bytes.get(at)? != b'"' {
                return None;
            }
            let name = string::walk(self.bytes, at + 1)?;
            at = walk::colon(self.bytes, name.end + 1)?;
            let child = if name.escaped {
                self.name.clear();
                string::decode(name.raw(self.bytes), self.name);
                node.child(self.name)
            } else {
                node.child(name.raw(self.bytes))
            };
            at = match child {
                Some(child) => self.value(child, at, depth)?,
                None => walk::value(self.bytes, at, depth)?,
            };
            at = walk::space(self.bytes, at);
            match *self.bytes.get(at)? {
                b',' => at = walk::space(self.bytes, at + 1),
                b'}' => return Some(at + 1),
                _ => return None,
            }
        }
    }
}
