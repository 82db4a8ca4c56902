//! Groups' names, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// A group of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(pub(super) u32);

/// The names of the groups that counted readings came from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    ids: HashMap<Arc<str>, GroupId>,
    names: Vec<Arc<str>>,
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
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // A name takes dozens of bytes: memory ends long before 2³² of them.
        let id = GroupId(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    /// A group's name.
    pub(crate) fn name(&self, id: GroupId) -> &str {
        self.names.get(id.0 as usize).map_or("", |name| name)
    }
}
