//! The four pointers as one tree of names: one walk over a record finds them all.

use super::Field;
use crate::json::chunk;
use crate::schema::Pointer;

/// The root is node 0; the nodes below a node follow it directly.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// For each field, the nodes from the root to its leaf.
    paths: [Vec<usize>; Field::ALL.len()],
    /// For each field, its leaf.
    leaves: [usize; Field::ALL.len()],
}

/// A field, and the names that remain on its path.
type Rest<'a> = (Field, &'a [String]);

/// An object (with children) or a leaf.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    /// Names of members on a path, with their nodes.
    pub(crate) children: Vec<(Box<[u8]>, usize)>,
    /// The index after the last node below this one.
    pub(crate) end: usize,
}

impl Node {
    /// The node of a member by its decoded name. Cost: a comparison of lengths for each child, of bytes for few.
    #[inline(always)]
    pub(crate) fn child(&self, name: &[u8]) -> Option<usize> {
        self.children.iter().find(|(known, _)| chunk::same(known, name)).map(|(_, node)| *node)
    }
}

impl Tree {
    /// The tree of the pointers to the fields, in the order of [`Field::ALL`].
    pub(crate) fn new(pointers: [&Pointer; Field::ALL.len()]) -> Self {
        let mut tree = Self { nodes: Vec::new(), paths: Default::default(), leaves: Default::default() };
        let fields = Field::ALL.into_iter().zip(pointers.map(Pointer::names)).collect();
        tree.grow(fields, &mut Vec::new());
        tree
    }

    /// Adds the node where the paths of these fields continue, and all nodes below it.
    fn grow<'a>(&mut self, fields: Vec<Rest<'a>>, above: &mut Vec<usize>) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node::default());
        above.push(place);
        let mut children: Vec<(&str, Vec<Rest<'a>>)> = Vec::new();
        for (field, names) in fields {
            match names.split_first() {
                None => {
                    self.paths[field as usize].clone_from(above);
                    self.leaves[field as usize] = place;
                }
                Some((name, rest)) => match children.iter_mut().find(|(known, _)| known == name) {
                    Some((_, below)) => below.push((field, rest)),
                    None => children.push((name, vec![(field, rest)])),
                },
            }
        }
        let children = children
            .into_iter()
            .map(|(name, below)| (name.as_bytes().into(), self.grow(below, above)))
            .collect::<Vec<_>>();
        above.pop();
        let end = self.nodes.len();
        self.nodes[place] = Node { children, end };
        place
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline(always)]
    pub(crate) fn node(&self, place: usize) -> Option<&Node> {
        self.nodes.get(place)
    }

    /// The nodes from the root to a field's leaf.
    pub(crate) fn path(&self, field: Field) -> &[usize] {
        &self.paths[field as usize]
    }

    #[inline(always)]
    pub(crate) fn leaf(&self, field: Field) -> usize {
        self.leaves[field as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_below_a_node_follow_it() {
        let pointers = ["/a/b/c", "/x", "/a/d", "/a/b/e"].map(|text| Pointer::parse(text).expect("valid"));
        let tree = Tree::new([&pointers[0], &pointers[1], &pointers[2], &pointers[3]]);
        assert_eq!(tree.path(Field::Sensor), [0, 1, 2, 3]);
        assert_eq!(tree.path(Field::Value), [0, 1, 2, 4]);
        assert_eq!(tree.path(Field::Time), [0, 1, 5]);
        assert_eq!(tree.path(Field::Group), [0, 6]);
        let ends: Vec<usize> = tree.nodes.iter().map(|node| node.end).collect();
        assert_eq!(ends, [7, 6, 5, 4, 5, 6, 7]);
        assert_eq!(tree.nodes[0].child(b"x"), Some(6));
        assert_eq!(tree.nodes[0].child(b"b"), None);
    }
}
