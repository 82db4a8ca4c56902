//! What can be wrong with a store. What to do about it depends on how the program is used: the consumer's command line
//! adds that.

use std::io;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::StoreError;

use super::disk;
use super::holder::Holder;

/// What was being done with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Open,
    /// Reading what was committed.
    Read,
    Commit,
    /// Marking dead letters as copied.
    Outbox,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "opening the store",
            Self::Read => "reading the store",
            Self::Commit => "a commit to the store",
            Self::Outbox => "noting copied dead letters in the store",
        })
    }
}

/// Why the database failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no room.
    DiskFull,
    /// The disk or the file system reported an error.
    DiskFailed,
    /// This user may not write there.
    NotWritable,
    /// The file system takes no writes.
    ReadOnly,
    /// The file cannot be opened.
    CannotOpen,
    OutOfMemory,
    Other,
}

impl Reason {
    /// `refusal` tells what the disk says.
    fn of(error: &rusqlite::Error, refusal: impl FnOnce() -> Option<io::Error>) -> Self {
        use rusqlite::{ErrorCode, ffi};
        let told = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) => Self::DiskFailed,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::NotWritable,
            Some(ErrorCode::CannotOpen) => Self::CannotOpen,
            Some(ErrorCode::OutOfMemory) => Self::OutOfMemory,
            _ => Self::Other,
        };
        // These say nothing of writing.
        let reading = [
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_CORRUPTFS,
            ffi::SQLITE_IOERR_DATA,
            ffi::SQLITE_IOERR_IN_PAGE,
        ];
        let reads = error.sqlite_error().is_some_and(|error| reading.contains(&error.extended_code));
        if reads || !matches!(told, Self::DiskFailed | Self::CannotOpen | Self::NotWritable) {
            return told;
        }
        match refusal() {
            Some(refusal) if disk::is_full(&refusal) => Self::DiskFull,
            Some(refusal) if refusal.kind() == io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ => told,
        }
    }

    /// SQLite's words, and what usually is behind them.
    fn explain(self, error: &rusqlite::Error) -> String {
        let plain = match self {
            Self::DiskFull => "the disk is full",
            Self::DiskFailed => "the disk, or the file system, reported an error",
            Self::NotWritable => "this user may not write there",
            Self::ReadOnly => "the file system is read-only",
            Self::CannotOpen => "the file cannot be opened",
            Self::OutOfMemory => "memory is exhausted",
            Self::Other => return error.to_string(),
        };
        format!("{plain} ({error})")
    }
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", failed(*.operation, .path, &.reason.explain(.source)))]
    Sqlite { path: PathBuf, operation: Operation, reason: Reason, source: rusqlite::Error },
    #[error("{}", failed(*.operation, .path, &busy(.holder.as_ref())))]
    Busy { path: PathBuf, operation: Operation, holder: Option<Holder> },
    /// Of a file beside the database.
    #[error("{operation} {} failed: {source}", .path.display())]
    Io { path: PathBuf, operation: Operation, source: io::Error },
    #[error("the store {} is damaged ({table}: {what})", .path.display())]
    Damaged { path: PathBuf, table: &'static str, what: String },
    #[error(
        "another consumer took the store {} over ({by}); this one has written nothing since, and stops. The other one reads \
         from the log again what this one had not committed",
        .path.display()
    )]
    Fenced { path: PathBuf, by: Holder },
    #[error(
        "the store {} is not the one that this consumer opened: {what} is gone or was replaced; nothing has been written \
         since",
        .path.display()
    )]
    Gone { path: PathBuf, what: &'static str },
    #[error("{} is a link to {}, which is not there", .path.display(), .to.display())]
    Dangling { path: PathBuf, to: PathBuf },
    #[error(
        "the store {} has {links} names (hard links), and its write-ahead log and lock are beside one of them only",
        .path.display()
    )]
    Linked { path: PathBuf, links: u64 },
    /// In a folder that nobody could write.
    #[error("the store {} was written while it was read", .path.display())]
    Changed { path: PathBuf },
    #[error("the store {} is of {} {what}: {stored} there, {asked} here", .path.display(), another(.what))]
    OtherIdentity {
        path: PathBuf,
        /// `topic`, `window`, or the name of a setting.
        what: String,
        stored: String,
        asked: String,
    },
    #[error("the store {} is in use ({holder})", .path.display())]
    Locked { path: PathBuf, holder: Holder },
    #[error("the store {} has a format of an older version, which this program does not know", .path.display())]
    OlderFormat { path: PathBuf },
    #[error("the store {} has {found}, which this program does not know: a newer version wrote it", .path.display())]
    NewerFormat { path: PathBuf, found: String },
    #[error("{} is no store of Isotherm ({why}), and has been left as it is", .path.display())]
    NotAStore { path: PathBuf, why: String },
    #[error("there is no store at {}", .path.display())]
    Missing { path: PathBuf },
    #[error("no folder for the user's data is known")]
    NoDataFolder,
    #[error(
        "a commit contradicts the store {} ({what}): the file is damaged, or this is a fault of the program",
        .path.display()
    )]
    Unsound { path: PathBuf, what: String },
    /// Of another implementation of a store.
    #[error("{0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether it is no more than a lack of room.
    pub fn is_full_disk(&self) -> bool {
        match self {
            Self::Sqlite { reason, .. } => *reason == Reason::DiskFull,
            Self::Io { source, .. } => disk::is_full(source),
            _ => false,
        }
    }

    pub(super) fn io(path: &Path, operation: Operation) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), operation, source }
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::Other(text.into())
    }
}

/// What failed, and why. Of a commit also what follows from that.
fn failed(operation: Operation, path: &Path, why: &str) -> String {
    let text = format!("{operation} {} failed: {why}", path.display());
    match operation {
        Operation::Commit => format!("the results could not be stored: {text}; nothing was published of them"),
        Operation::Open | Operation::Read | Operation::Outbox => text,
    }
}

fn busy(holder: Option<&Holder>) -> String {
    let why = "another process kept it locked for too long";
    holder.map_or(why.to_owned(), |holder| format!("{why}; a consumer holds the store ({holder})"))
}

/// The word for something else of this name.
fn another(what: &str) -> &'static str {
    if what.ends_with('s') { "other" } else { "another" }
}

/// What went wrong inside the store, before the file and the operation are known.
#[derive(Debug)]
pub(super) enum DbError {
    Sqlite(rusqlite::Error),
    Damaged {
        table: &'static str,
        what: String,
    },
    /// A sound row holds what only a newer version writes.
    Newer {
        table: &'static str,
        what: String,
    },
    Fenced,
    /// This file is not the one that was opened.
    Gone(&'static str),
    Unsound(String),
    /// An error that is complete.
    Store(Error),
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl DbError {
    /// A row, or a set of them, is not what was written.
    pub(super) fn damaged(table: &'static str, what: impl Into<String>) -> Self {
        Self::Damaged { table, what: what.into() }
    }

    /// The whole error. `by` names the consumer that has fenced this one, if so.
    pub(super) fn at(self, path: &Path, operation: Operation, by: impl FnOnce() -> Holder) -> Error {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match self {
            Self::Damaged { table, what } => Error::Damaged { path, table, what },
            Self::Newer { table, what } => Error::NewerFormat { path, found: format!("a value in `{table}` ({what})") },
            Self::Fenced => Error::Fenced { path, by: by() },
            Self::Gone(what) => Error::Gone { path, what },
            Self::Unsound(what) => Error::Unsound { path, what },
            Self::Store(error) => error,
            Self::Sqlite(source) if source.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                Error::Busy { path, operation, holder: None }
            }
            Self::Sqlite(source) => match (source.sqlite_error_code(), &source) {
                (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation), _)
                | (Some(ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::SchemaChanged), _)
                // The statements are always the same: it is the file that does not fit them.
                | (Some(ErrorCode::Unknown), _)
                | (
                    None,
                    rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::Utf8Error(..),
                ) => Error::Damaged { path, table: "the file", what: source.to_string() },
                _ => {
                    let reason = Reason::of(&source, || disk::refusal(&path));
                    Error::Sqlite { path, operation, reason, source }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn what_the_disk_says_tells_more_than_what_sqlite_says() {
        for (code, refusal, reason) in [
            (ffi::SQLITE_FULL, None, Reason::DiskFull),
            (ffi::SQLITE_IOERR_SHMSIZE, Some(StorageFull), Reason::DiskFull),
            (ffi::SQLITE_IOERR_WRITE, Some(QuotaExceeded), Reason::DiskFull),
            (ffi::SQLITE_CANTOPEN, Some(StorageFull), Reason::DiskFull),
            (ffi::SQLITE_IOERR_WRITE, Some(PermissionDenied), Reason::DiskFailed),
            (ffi::SQLITE_IOERR_FSYNC, None, Reason::DiskFailed),
            (ffi::SQLITE_READONLY, Some(ReadOnlyFilesystem), Reason::ReadOnly),
            (ffi::SQLITE_READONLY, Some(PermissionDenied), Reason::NotWritable),
            (ffi::SQLITE_CANTOPEN, None, Reason::CannotOpen),
            // To read needs no room.
            (ffi::SQLITE_IOERR_READ, Some(StorageFull), Reason::DiskFailed),
            (ffi::SQLITE_IOERR_CORRUPTFS, Some(StorageFull), Reason::DiskFailed),
            (ffi::SQLITE_NOMEM, Some(StorageFull), Reason::OutOfMemory),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Reason::of(&error, || refusal.map(io::Error::from)), reason, "{code} {refusal:?}");
        }
    }
}
