//! Whether a path still leads to the file that was opened there. A file or folder may be removed, moved or replaced while the
//! node has the file open: what is written to it then is found by nobody.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file it is, whatever its name: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }

    /// Whether `path` leads to it.
    pub(crate) fn is_at(self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|found| Self::of(&found) == self)
    }
}
