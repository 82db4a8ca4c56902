//! What can be wrong with a store, and what to do about it.

use std::error::Error;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::StoreError;

use crate::Holder;

/// What was being done with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Opening it.
    Open,
    /// Reading what was committed.
    Read,
    /// Committing.
    Commit,
    /// Noting which dead letters have been copied.
    Outbox,
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "opening the store",
            Self::Read => "reading the store",
            Self::Commit => "a commit to the store",
            Self::Outbox => "noting copied dead letters in the store",
        })
    }
}

/// What is wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The database could not do it.
    #[error("{}", failed(*.doing, .path, &plain(.source)))]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// At what.
        doing: Doing,
        /// Why.
        source: rusqlite::Error,
    },
    /// Somebody else kept the database locked.
    #[error(
        "{}",
        failed(*.doing, .path, &format!("another process kept it locked for too long; {}", end(.holder.as_ref())))
    )]
    Busy {
        /// The store.
        path: PathBuf,
        /// At what.
        doing: Doing,
        /// The consumer that holds the store, if there is one.
        holder: Option<Holder>,
    },
    /// A file beside the database could not be used.
    #[error(
        "{doing} {} failed: {source}; look at the file, its folder and their permissions, or give another --store PATH",
        .path.display()
    )]
    Io {
        /// Which.
        path: PathBuf,
        /// At what.
        doing: Doing,
        /// Why.
        source: std::io::Error,
    },
    /// What is stored is not what was stored.
    #[error(
        "the store {} is damaged ({table}: {what}); restore a copy of it, or start again with --reset and read the log \
         from the start: the log is the truth, and no number is taken from a damaged store",
        .path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// Where.
        table: &'static str,
        /// What is wrong there.
        what: String,
    },
    /// Another consumer has taken the store over.
    #[error(
        "another consumer took the store {} over ({by}); this one has written nothing since, and stops. What it had not \
         committed is read from the log again by the other one",
        .path.display()
    )]
    Fenced {
        /// The store.
        path: PathBuf,
        /// Who.
        by: Holder,
    },
    /// The files of the store are not those that this consumer has open.
    #[error(
        "the store {} is not the one that this consumer opened: {what} is gone, or another stands there; nothing has been \
         written since. Put back what was there, and start again",
        .path.display()
    )]
    Gone {
        /// The store.
        path: PathBuf,
        /// Which file.
        what: &'static str,
    },
    /// The path is a link to nothing.
    #[error(
        "{} is a link to {}, which is not there: bring it back (is its volume mounted?), or give another --store PATH",
        .path.display(), .to.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// What it names.
        to: PathBuf,
    },
    /// A store that nobody could write has been written while it was read.
    #[error("the store {} was written while it was read; ask again", .path.display())]
    Changed {
        /// The store.
        path: PathBuf,
    },
    /// The store is of something else.
    #[error(
        "the store {} is of {} {what}: {stored} there, {asked} here; give another --store PATH for this, or --reset to \
         throw away what is stored and read the log again",
        .path.display(), another(.what)
    )]
    OtherIdentity {
        /// The store.
        path: PathBuf,
        /// In what it differs: `topic`, `window`, or the name of a setting.
        what: String,
        /// What is stored.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// A consumer uses the store.
    #[error(
        "the store {} is in use ({holder}); stop that consumer, give another --store PATH, or go on in its place with \
         --take-over: it then writes nothing any more",
        .path.display()
    )]
    Locked {
        /// The store.
        path: PathBuf,
        /// Who uses it.
        holder: Holder,
    },
    /// Another version made the store.
    #[error(
        "the store {} has format {found}, this program knows {ours}; {}, give another --store PATH, or --reset to \
         throw away what is stored and read the log again",
        .path.display(),
        if .found > .ours { "use the version that made it, or a newer one" } else { "a run of this version (`isotherm-consumer --store PATH`) brings it there" }
    )]
    OtherFormat {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        ours: i64,
    },
    /// The file is something else. It has not been touched.
    #[error(
        "{} is no store of Isotherm ({why}), and has been left as it is; give another --store PATH, or remove the file \
         yourself if it is of no use",
        .path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// There is no store.
    #[error("there is no store at {}; a consumer with `--store {}` makes one", .path.display(), .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// No folder to put it into.
    #[error("no folder for the user's data is known (set XDG_DATA_HOME or HOME); give --store PATH, or --store memory")]
    NoDataFolder,
    /// A commit contradicts what is stored.
    #[error(
        "a commit contradicts the store {} ({what}): the file is damaged, or this is a fault of the program; start again, with \
         --reset if that does not help, and please report it",
        .path.display()
    )]
    Unsound {
        /// The store.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// A store of another make failed.
    #[error("{0}")]
    Other(#[source] Box<dyn Error + Send + Sync>),
}

impl From<StoreFault> for StoreError {
    fn from(fault: StoreFault) -> Self {
        Self::new(fault)
    }
}

/// What failed, and why. A commit that fails says what follows from that.
fn failed(doing: Doing, path: &Path, why: &str) -> String {
    let text = format!("{doing} {} failed: {why}", path.display());
    match doing {
        Doing::Commit => format!("the results could not be stored: {text}; nothing was published of them"),
        Doing::Open | Doing::Read | Doing::Outbox => text,
    }
}

impl From<&str> for StoreFault {
    fn from(text: &str) -> Self {
        Self::Other(text.into())
    }
}

impl From<Box<dyn Error + Send + Sync>> for StoreFault {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::Other(error)
    }
}

/// SQLite's reason, and in plain words what usually is behind it.
fn plain(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode;
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full: make room and start again, nothing that was committed is lost",
        Some(ErrorCode::SystemIoFailure) => "the disk, or the file system, reported an error",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "this user may not write there: have it made writable, or take a copy of PATH and PATH-wal"
        }
        Some(ErrorCode::CannotOpen) => {
            "the file cannot be opened: look at its folder and its permissions, or take a copy of PATH and PATH-wal"
        }
        Some(ErrorCode::OutOfMemory) => "memory is exhausted",
        _ => return error.to_string(),
    };
    format!("{hint} ({error})")
}

/// What to do about whoever keeps a store locked.
fn end(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => format!(
            "a consumer holds the store ({holder}): if it hangs, end that process (`kill -9`, with its number), and start again"
        ),
        None => "see which one has the file open (`fuser PATH`), end it if it hangs, and start again".to_owned(),
    }
}

/// The word for something else of this name.
fn another(what: &str) -> &'static str {
    if what.ends_with('s') { "other" } else { "another" }
}

/// What went wrong inside the store, before it is known of which file and at what.
#[derive(Debug)]
pub(super) enum Wrong {
    Sqlite(rusqlite::Error),
    Damaged {
        table: &'static str,
        what: String,
    },
    Fenced,
    /// This file is not the one that was opened.
    Gone(&'static str),
    Unsound(String),
    /// What a caller of ours wants to be stopped by.
    Fault(StoreFault),
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Wrong {
    /// A row, or a set of them, is not what was stored.
    pub(super) fn damaged(table: &'static str, what: impl Into<String>) -> Self {
        Self::Damaged { table, what: what.into() }
    }

    /// The whole truth. `by` says who has fenced us, if so.
    pub(super) fn at(self, path: &Path, doing: Doing, by: impl FnOnce() -> Holder) -> StoreFault {
        use rusqlite::{Error, ErrorCode};
        let path = path.to_owned();
        let damaged = |path, what: String| StoreFault::Damaged { path, table: "the file", what };
        match self {
            Self::Damaged { table, what } => StoreFault::Damaged { path, table, what },
            Self::Fenced => StoreFault::Fenced { path, by: by() },
            Self::Gone(what) => StoreFault::Gone { path, what },
            Self::Unsound(what) => StoreFault::Unsound { path, what },
            Self::Fault(fault) => fault,
            Self::Sqlite(source) if source.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                StoreFault::Busy { path, doing, holder: None }
            }
            Self::Sqlite(source) => match (source.sqlite_error_code(), &source) {
                (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation), _)
                | (Some(ErrorCode::TooBig | ErrorCode::TypeMismatch | ErrorCode::SchemaChanged), _)
                // What is asked is always the same, so that it is the file that it does not fit.
                | (Some(ErrorCode::Unknown), _)
                | (None, Error::InvalidColumnType(..) | Error::FromSqlConversionFailure(..) | Error::Utf8Error(..)) => {
                    damaged(path, source.to_string())
                }
                _ => StoreFault::Sqlite { path, doing, source },
            },
        }
    }
}
