//! The known groups, and their places: small numbers for them within a batch.

use crate::schema::Groups;
use crate::states::{self, US_STATES};

#[derive(Debug, Clone)]
pub(crate) enum KnownGroups {
    Any,
    UsStates,
    /// Ascending.
    List(Box<[Box<str>]>),
}

impl KnownGroups {
    pub(crate) fn new(groups: &Groups) -> Self {
        match groups {
            Groups::Any => Self::Any,
            Groups::UsStates => Self::UsStates,
            Groups::List(names) => Self::List(names.iter().map(|name| name.as_str().into()).collect()),
        }
    }

    /// `None` if the group is not known, `Some(None)` if any group is and so none has a place, else its place.
    #[inline(always)]
    pub(crate) fn place(&self, group: &[u8]) -> Option<Option<usize>> {
        match self {
            Self::Any => Some(None),
            Self::UsStates => states::place(group).map(Some),
            Self::List(names) => names.binary_search_by(|name| name.as_bytes().cmp(group)).ok().map(Some),
        }
    }

    pub(crate) fn name(&self, place: usize) -> Option<&str> {
        match self {
            Self::Any => None,
            Self::UsStates => US_STATES.get(place).copied(),
            Self::List(names) => names.get(place).map(AsRef::as_ref),
        }
    }
}
