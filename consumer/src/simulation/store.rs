//! The real store in a folder of its own, with troubles: errors of the disk, and deaths of the process or the machine, for
//! which its files are copied as they stand.

use std::fs;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};
use isotherm_engine::state::{PartitionState, TopicState};
use isotherm_store::error::StoreFault;
use isotherm_store::{Options, Outbox, SqliteStore, Subject};
use tempfile::TempDir;

use super::disk::{self, Files, Torn};
use super::random::Random;

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
        Files::read(&self.path()).write(&self.next());
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

    /// Other files are put in the place of these.
    pub(super) fn replace(&mut self, files: &Files) {
        files.write(&self.next());
        self.generation += 1;
        self.tidy();
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

/// What happens at the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The disk is full: SQLite says so itself, if the commit takes more room.
    Full,
    /// It is not even begun.
    Refused,
    /// One of its statements fails, if it gets there.
    Statement,
    /// The disk does not take what is written to the log.
    Log,
    /// The disk does not take what is brought from the log into the database. That can be done later.
    Database,
    /// It is lasting, and the answer is an error all the same.
    Answer,
    /// The machine dies in the middle of it.
    Torn,
    /// The machine dies behind it, while the database is brought up to date.
    Checkpoint,
}

/// What a commit said of where the run stands.
pub(super) type Stand = (TopicState, Vec<(u32, PartitionState)>);

/// The database is brought up to date with each commit.
const EACH: &str = "PRAGMA wal_autocheckpoint = 1";

/// A store with troubles.
pub(super) struct Troubled {
    store: SqliteStore,
    next: PathBuf,
    page_size: u32,
    /// See [`Troubled::strain`].
    log: u32,
    torn: Torn,
    /// What decides which statement fails.
    draw: u64,
    trouble: Option<Trouble>,
    /// Of the last commit, whether it succeeded or not.
    pub(super) stand: Stand,
    /// The starts of its windows.
    pub(super) windows: Vec<i64>,
}

impl Troubled {
    pub(super) fn open(folder: &Folder, subject: &Subject, options: Options) -> Self {
        let page_size = options.page_size;
        let store = SqliteStore::open(&folder.path(), subject, options).expect("the store opens");
        Self {
            store,
            next: folder.next(),
            page_size,
            log: 0,
            torn: Torn::default(),
            draw: 0,
            trouble: None,
            stand: Stand::default(),
            windows: Vec::new(),
        }
    }

    /// The database is brought up to date with each commit that leaves so many pages in the log, and no more than so many are
    /// kept in memory: what does not fit is written before it is committed.
    pub(super) fn strain(&mut self, log: u32, memory: u32) {
        self.log = log;
        let pragmas = format!("PRAGMA wal_autocheckpoint = {log}; PRAGMA cache_size = {memory}");
        self.store.tamper(&pragmas).expect("SQLite does what a test asks for");
    }

    /// The outbox of this store.
    pub(super) fn outbox(&self) -> Outbox {
        self.store.outbox().expect("the outbox opens")
    }

    /// This happens at the next commit.
    pub(super) fn expect(&mut self, trouble: Trouble, random: &mut Random) {
        self.trouble = Some(trouble);
        self.torn = Torn::new(random);
        self.draw = random.between(0, i64::MAX - 1).cast_unsigned();
    }

    /// Commits, and leaves the files as the machine's death finds them.
    fn die(&mut self, commit: &Commit<'_>, trouble: Trouble) -> Result<(), StoreError> {
        let path = self.store.path().to_owned();
        if trouble == Trouble::Checkpoint {
            self.store.tamper(EACH).expect("SQLite does what a test asks for");
        }
        let before = Files::read(&path);
        self.store.commit(commit)?;
        let after = Files::read(&path);
        let left = match trouble {
            Trouble::Checkpoint => self.torn.checkpoint(&before, after, self.page_size),
            _ => self.torn.log(before, &after),
        };
        left.write(&self.next);
        Err(StoreFault::from("the machine has died").into())
    }
}

impl Store for Troubled {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.stand = (commit.topic, commit.partitions.clone());
        self.windows = commit.windows.iter().map(|window| window.start).collect();
        match self.trouble.take() {
            None => self.store.commit(commit),
            Some(Trouble::Full) => {
                self.store.tamper(disk::FULL).expect("SQLite does what a test asks for");
                let done = self.store.commit(commit);
                self.store.tamper(disk::ROOM).expect("SQLite does what a test asks for");
                done
            }
            Some(Trouble::Refused) => Err(StoreFault::from("the disk reported an error").into()),
            Some(Trouble::Statement) => {
                let (failing, certain) = disk::failing(commit, self.draw);
                self.store.tamper(&failing).expect("SQLite does what a test asks for");
                let done = self.store.commit(commit);
                self.store.tamper(disk::SOUND).expect("SQLite does what a test asks for");
                assert!(!certain || done.is_err(), "a commit succeeded in spite of {failing}");
                done
            }
            Some(Trouble::Log) => {
                let wal = disk::wal(self.store.path());
                let refused = || Err(StoreFault::from("the disk reported an error").into());
                disk::unwritable(&wal, || self.store.commit(commit)).unwrap_or_else(refused)
            }
            Some(Trouble::Database) => {
                let path = self.store.path().to_owned();
                let before = fs::read(&path).ok();
                self.store.tamper(EACH).expect("SQLite does what a test asks for");
                let done = disk::unwritable(&path, || self.store.commit(commit));
                assert!(done.is_none() || fs::read(&path).ok() == before, "nothing can be written to the database");
                self.store
                    .tamper(&format!("PRAGMA wal_autocheckpoint = {}", self.log))
                    .expect("SQLite does what a test asks for");
                done.unwrap_or_else(|| self.store.commit(commit))
            }
            Some(Trouble::Answer) => {
                self.store.commit(commit)?;
                Err(StoreFault::from("the disk reported an error, after all was written").into())
            }
            Some(trouble @ (Trouble::Torn | Trouble::Checkpoint)) => self.die(commit, trouble),
        }
    }
}
