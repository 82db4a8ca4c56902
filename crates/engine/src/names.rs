//! Groups' names, each kept once: all of them in one text, so that a million take a few dozen bytes each.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// A group of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(pub(super) u32);

/// The names of the groups that counted readings came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    list: List,
    ids: HashTable<GroupId>,
    /// Nobody can choose names that collide and make the table slow.
    seed: RandomState,
}

/// Names in the order of their numbers.
#[derive(Debug, Clone, Default)]
struct List {
    text: String,
    /// Where each ends in the text.
    ends: Vec<usize>,
}

impl List {
    fn name(&self, id: GroupId) -> &str {
        let id = id.0 as usize;
        let start = id.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(id).and_then(|end| self.text.get(start..*end)).unwrap_or("")
    }
}

impl Names {
    /// The names of a run that goes on, in the order of their numbers.
    pub(crate) fn restored<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut restored = Self::default();
        for name in names {
            restored.id(name);
        }
        restored
    }

    /// The group of this name, new or not.
    pub(crate) fn id(&mut self, name: &str) -> GroupId {
        let Self { list, ids, seed } = self;
        let hash = seed.hash_one(name);
        if let Some(id) = ids.find(hash, |id| list.name(*id) == name) {
            return *id;
        }
        // A name takes a dozen bytes: memory ends long before 2³² of them.
        let id = GroupId(u32::try_from(list.ends.len()).unwrap_or(u32::MAX));
        list.text.push_str(name);
        list.ends.push(list.text.len());
        ids.insert_unique(hash, id, |id| seed.hash_one(list.name(*id)));
        id
    }

    /// A group's name.
    pub(crate) fn name(&self, id: GroupId) -> &str {
        self.list.name(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_has_one_number_and_a_number_its_name(names in proptest::collection::vec("[aé]{0,3}", 0..60)) {
            let (mut all, mut reference) = (Names::default(), HashMap::new());
            for name in &names {
                let next = GroupId(reference.len() as u32);
                let id = *reference.entry(name.clone()).or_insert(next);
                prop_assert_eq!(all.id(name), id);
            }
            for (name, id) in &reference {
                prop_assert_eq!(all.name(*id), name.as_str());
            }
            prop_assert_eq!(all.name(GroupId(reference.len() as u32)), "");
        }
    }
}
