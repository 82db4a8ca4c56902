//! The real store in a folder of its own, with faults: errors of the disk, and deaths of the process or the machine, for
//! which its files are copied as they are.

use std::fs;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::{Commit, ResumeState, Store, StoreError};
use isotherm_engine::state::{PartitionState, TopicState};
use isotherm_store::{Options, Outbox, SqliteStore, Subject};
use tempfile::TempDir;

use super::disk::{self, Files, Torn};
use super::random::Random;

/// Where a store's files are. Each death moves them to the next folder.
pub(crate) struct Folder {
    root: TempDir,
    generation: u32,
}

impl Folder {
    /// In memory where the system offers a folder for that.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = Self { root: root.expect("a temporary folder can be made"), generation: 0 };
        fs::create_dir(folder.folder(0)).expect("a folder can be made");
        folder
    }

    fn folder(&self, generation: u32) -> PathBuf {
        self.root.path().join(generation.to_string())
    }

    /// The store's path.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder(self.generation).join("store.db")
    }

    /// The process dies: its files stay as they are at this moment. A zombie keeps the old ones.
    pub(crate) fn die(&mut self) {
        Files::read(&self.path()).write(&self.next());
        self.generation += 1;
    }

    /// Where a machine that dies within a commit leaves the files.
    fn next(&self) -> PathBuf {
        self.folder(self.generation + 1)
    }

    /// The machine has died within a commit.
    pub(crate) fn died(&mut self) {
        self.generation += 1;
    }

    /// These files replace the store.
    pub(crate) fn replace(&mut self, files: &Files) {
        files.write(&self.next());
        self.generation += 1;
        self.tidy();
    }

    /// Removes files that are no longer in use.
    pub(crate) fn tidy(&self) {
        if let Some(last) = self.generation.checked_sub(1)
            && self.folder(last).exists()
        {
            fs::remove_dir_all(self.folder(last)).expect("a folder can be removed");
        }
    }
}

/// What happens at the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The disk is full.
    Full,
    /// It is refused before it begins.
    Refused,
    /// One of its statements fails, if it comes to that.
    Statement,
    /// Nothing can be written to the write-ahead log.
    Log,
    /// No checkpoint can write to the database. The commit succeeds all the same.
    Database,
    /// It is durable, and the answer is an error.
    Answer,
    /// The machine dies within it.
    Torn,
    /// The machine dies after it, during the checkpoint.
    Checkpoint,
}

/// What a commit says of the topic and its partitions.
pub(crate) type RunState = (TopicState, Vec<(u32, PartitionState)>);

/// Each commit makes a checkpoint.
const EACH: &str = "PRAGMA wal_autocheckpoint = 1";

/// A store with faults.
pub(crate) struct FaultyStore {
    store: SqliteStore,
    next: PathBuf,
    page_size: u32,
    /// After how many pages of the write-ahead log a commit makes a checkpoint.
    checkpoint_pages: u32,
    torn: Torn,
    /// Decides which statement fails.
    draw: u64,
    fault: Option<DiskFault>,
    /// Of the last commit, whether it succeeded or not.
    pub(crate) state: RunState,
    /// The starts of its windows.
    pub(crate) windows: Vec<i64>,
}

impl FaultyStore {
    pub(crate) fn open(folder: &Folder, subject: &Subject, options: Options) -> Self {
        let page_size = options.page_size;
        let store = SqliteStore::open(&folder.path(), subject, options).expect("the store opens");
        Self {
            store,
            next: folder.next(),
            page_size,
            checkpoint_pages: 0,
            torn: Torn::default(),
            draw: 0,
            fault: None,
            state: RunState::default(),
            windows: Vec::new(),
        }
    }

    /// A commit makes a checkpoint from `checkpoint_pages` pages on. SQLite keeps `cache_pages` pages in memory, and writes others
    /// before their commit.
    pub(crate) fn limit(&mut self, checkpoint_pages: u32, cache_pages: u32) {
        self.checkpoint_pages = checkpoint_pages;
        self.tamper(&format!("PRAGMA wal_autocheckpoint = {checkpoint_pages}; PRAGMA cache_size = {cache_pages}"));
    }

    fn tamper(&mut self, sql: &str) {
        self.store.tamper(sql).expect("SQLite does what a test asks for");
    }

    /// The outbox of this store.
    pub(crate) fn outbox(&self) -> Outbox {
        self.store.outbox().expect("the outbox opens")
    }

    /// This happens at the next commit.
    pub(crate) fn expect(&mut self, fault: DiskFault, random: &mut Random) {
        self.fault = Some(fault);
        self.torn = Torn::new(random);
        self.draw = random.between(0, i64::MAX - 1).cast_unsigned();
    }

    /// Commits, and leaves the files as a machine that dies leaves them.
    fn die(&mut self, commit: &Commit<'_>, fault: DiskFault) -> Result<(), StoreError> {
        let path = self.store.path().to_owned();
        if fault == DiskFault::Checkpoint {
            self.tamper(EACH);
        }
        let before = Files::read(&path);
        self.store.commit(commit)?;
        let after = Files::read(&path);
        let left = match fault {
            DiskFault::Checkpoint => self.torn.checkpoint(&before, after, self.page_size),
            _ => self.torn.log(before, &after),
        };
        left.write(&self.next);
        Err(isotherm_store::Error::from("the machine has died").into())
    }
}

impl Store for FaultyStore {
    fn load(&mut self) -> Result<Option<ResumeState>, StoreError> {
        self.store.load()
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.state = (commit.topic, commit.partitions.clone());
        self.windows = commit.windows.iter().map(|window| window.start).collect();
        match self.fault.take() {
            None => self.store.commit(commit),
            Some(DiskFault::Full) => {
                self.tamper(disk::FULL);
                let done = self.store.commit(commit);
                self.tamper(disk::ROOM);
                done
            }
            Some(DiskFault::Refused) => Err(isotherm_store::Error::from("the disk reported an error").into()),
            Some(DiskFault::Statement) => {
                let (failing, certain) = disk::failing(commit, self.draw);
                self.tamper(&failing);
                let done = self.store.commit(commit);
                self.tamper(disk::SOUND);
                assert!(!certain || done.is_err(), "a commit succeeded in spite of {failing}");
                done
            }
            Some(DiskFault::Log) => {
                let wal = disk::wal(self.store.path());
                let refused = || Err(isotherm_store::Error::from("the disk reported an error").into());
                disk::unwritable(&wal, || self.store.commit(commit)).unwrap_or_else(refused)
            }
            Some(DiskFault::Database) => {
                let path = self.store.path().to_owned();
                let before = fs::read(&path).ok();
                self.tamper(EACH);
                let done = disk::unwritable(&path, || self.store.commit(commit));
                assert!(done.is_none() || fs::read(&path).ok() == before, "nothing can be written to the database");
                self.tamper(&format!("PRAGMA wal_autocheckpoint = {}", self.checkpoint_pages));
                done.unwrap_or_else(|| self.store.commit(commit))
            }
            Some(DiskFault::Answer) => {
                self.store.commit(commit)?;
                Err(isotherm_store::Error::from("the disk reported an error after everything was written").into())
            }
            Some(fault @ (DiskFault::Torn | DiskFault::Checkpoint)) => self.die(commit, fault),
        }
    }
}
