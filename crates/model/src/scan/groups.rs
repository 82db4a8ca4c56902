//! Which groups count, and their places: small numbers that stand for them within a batch.

use crate::schema::Groups;
use crate::states::{self, US_STATES};

/// The groups that are known.
#[derive(Debug, Clone)]
pub(crate) enum KnownGroups {
    /// Any.
    Any,
    /// Those of [`US_STATES`].
    UsStates,
    /// These, ascending.
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

    /// Whether the group is known (`None`: it is not), and its place (`Some(None)`: any is, so that none has a place).
    #[inline(always)]
    pub(crate) fn place(&self, group: &[u8]) -> Option<Option<usize>> {
        match self {
            Self::Any => Some(None),
            Self::UsStates => states::place(group).map(Some),
            Self::List(names) => names.binary_search_by(|name| name.as_bytes().cmp(group)).ok().map(Some),
        }
    }

    /// The name at a place.
    pub(crate) fn name(&self, place: usize) -> Option<&str> {
        match self {
            Self::Any => None,
            Self::UsStates => US_STATES.get(place).copied(),
            Self::List(names) => names.get(place).map(AsRef::as_ref),
        }
    }
}
