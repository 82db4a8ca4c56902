//! The real store in a folder of its own, with troubles: errors of the disk, and deaths of the process or the machine, for
//! which its files are copied as they stand.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tempfile::TempDir;

use super::random::Random;
use crate::store::sqlite::{Options, Outbox, SqliteStore, Subject};
use crate::store::{Commit, PartitionState, Saved, Store, StoreError, StoreFault, TopicState};

/// Where a store's files lie; each death moves them to the next of its folders.
pub(super) struct Folder {
    root: TempDir,
    generation: u32,
}

impl Folder {
    /// In memory where there is a place for that.
    pub(super) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = Self { root: root.expect("a temporary folder can be made"), generation: 0 };
        fs::create_dir(folder.folder(0)).expect("a folder can be made");
        folder
    }

    fn folder(&self, generation: u32) -> PathBuf {
        self.root.path().join(generation.to_string())
    }

    /// Where the store stands.
    pub(super) fn path(&self) -> PathBuf {
        self.folder(self.generation).join("store.db")
    }

    /// The process dies here: from now on its files are as they are at this moment. Whoever still has the old ones open
    /// confuses nobody.
    pub(super) fn die(&mut self) {
        copy(&self.path(), &self.folder(self.generation + 1), None);
        self.generation += 1;
    }

    /// Where the machine's death in the middle of a commit leaves the files.
    fn next(&self) -> PathBuf {
        self.folder(self.generation + 1)
    }

    /// The machine has died in the middle of a commit.
    pub(super) fn died(&mut self) {
        self.generation += 1;
    }

    /// Removes the files that nobody has open any more.
    pub(super) fn tidy(&self) {
        if let Some(last) = self.generation.checked_sub(1)
            && self.folder(last).exists()
        {
            fs::remove_dir_all(self.folder(last)).expect("a folder can be removed");
        }
    }
}

/// How much of the log before the commit, and of the commit, has reached the disk.
struct Torn {
    before: u64,
    /// In millionths.
    part: u64,
    /// Whether something else stands behind it.
    rubbish: bool,
}

/// Copies the database and its write-ahead log; what is shared between processes is made anew by whoever comes first.
fn copy(database: &Path, to: &Path, torn: Option<&Torn>) {
    let done: io::Result<()> = (|| {
        fs::create_dir(to)?;
        fs::copy(database, to.join("store.db"))?;
        let wal = wal(database);
        if !wal.exists() {
            return Ok(());
        }
        let mut bytes = fs::read(wal)?;
        if let Some(Torn { before, part, rubbish }) = torn {
            let after = bytes.len() as u64;
            // A log that has begun anew is not longer than before: nothing says how much of it is new.
            let kept = before + after.saturating_sub(*before) * part / 1_000_000;
            let lost = bytes.split_off(usize::try_from(kept.min(after)).expect("a file in memory"));
            if *rubbish {
                bytes.extend(lost.iter().map(|byte| byte ^ 0xa5));
            }
        }
        fs::write(to.join("store.db-wal"), bytes)
    })();
    done.expect("the files can be copied");
}

fn wal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// What happens at the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The disk is full: SQLite says so itself, if the commit takes more room.
    Full,
    /// It is not even begun.
    Refused,
    /// It is lasting, and the answer is an error all the same.
    Answer,
    /// The machine dies in the middle of it.
    Torn,
}

/// What a commit said of where the run stands.
pub(super) type Stand = (TopicState, Vec<(u32, PartitionState)>);

/// A store with troubles.
pub(super) struct Troubled {
    store: SqliteStore,
    next: PathBuf,
    torn: Torn,
    trouble: Option<Trouble>,
    /// Of the last commit, whether it succeeded or not.
    pub(super) stand: Stand,
    /// The starts of its windows.
    pub(super) windows: Vec<i64>,
}

impl Troubled {
    pub(super) fn open(folder: &Folder, subject: &Subject, options: Options) -> Self {
        let store = SqliteStore::open(&folder.path(), subject, options).expect("the store opens");
        let torn = Torn { before: 0, part: 0, rubbish: false };
        Self { store, next: folder.next(), torn, trouble: None, stand: Stand::default(), windows: Vec::new() }
    }

    /// The outbox of this store.
    pub(super) fn outbox(&self) -> Outbox {
        self.store.outbox().expect("the outbox opens")
    }

    /// This happens at the next commit.
    pub(super) fn expect(&mut self, trouble: Trouble, random: &mut Random) {
        self.trouble = Some(trouble);
        // The last record of a commit is its end: without it there was none.
        let part = random.between(0, 1_000_000);
        self.torn.part = random.pick(&[0, 999_999, 1_000_000, part]).cast_unsigned();
        self.torn.rubbish = random.in_thousand(300);
    }
}

impl Store for Troubled {
    fn load(&mut self) -> Result<Option<Saved>, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.stand = (commit.topic, commit.partitions.clone());
        self.windows = commit.windows.iter().map(|window| window.start).collect();
        match self.trouble.take() {
            None => self.store.commit(commit),
            Some(Trouble::Full) => {
                self.store.limit(true);
                let done = self.store.commit(commit);
                self.store.limit(false);
                done
            }
            Some(Trouble::Refused) => Err(StoreFault::from("the disk reported an error").into()),
            Some(Trouble::Answer) => {
                self.store.commit(commit)?;
                Err(StoreFault::from("the disk reported an error, after all was written").into())
            }
            Some(Trouble::Torn) => {
                let path = self.store.path().to_owned();
                self.torn.before = fs::metadata(wal(&path)).map_or(0, |file| file.len());
                self.store.commit(commit)?;
                copy(&path, &self.next, Some(&self.torn));
                Err(StoreFault::from("the machine has died").into())
            }
        }
    }
}
