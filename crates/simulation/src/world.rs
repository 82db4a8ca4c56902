//! Everything that outlives a run: the log, the topic of dead letters, the files of the store, and what was published.

use std::rc::Rc;
use std::time::Duration;

use isotherm_store::Subject;

use super::flags::Flags;
use super::letters::Letters;
use super::reader::Reader;
use super::records;
use super::reference::expected::{Expected, ExpectedDeadBatch};
use super::run::SimRun;
use super::seed::{Script, Seed};
use super::store::Folder;
use super::stored::{Backup, Stored};
use super::topic::SimLog;

pub(crate) struct World {
    pub(crate) seed: Seed,
    pub(crate) log: SimLog,
    pub(crate) letters: Letters,
    /// What the last run was started with.
    pub(crate) flags: Flags,
    pub(crate) subject: Subject,
    pub(crate) page_size: u32,
    pub(crate) folder: Folder,
    pub(crate) stored: Stored,
    /// A consumer that hangs, while another one has taken its place.
    pub(crate) zombie: Option<SimRun>,
    pub(crate) reader: Option<Reader>,
    pub(crate) backup: Option<Backup>,
    /// The outboxes of states that the store has gone back from.
    pub(crate) forgotten: Vec<ExpectedDeadBatch>,
}

impl World {
    pub(crate) fn new(number: u64, script: Script) -> Self {
        let mut seed = Seed::new(number, script);
        let settings = records::settings(Duration::from_secs(seed.random.pick(&[1, 3, 3])));
        let log = SimLog::new(&mut seed.random, &settings);
        for (number, partition) in log.partitions.iter().enumerate() {
            let firsts: Vec<_> = partition.batches().iter().map(|batch| batch.first).collect();
            seed.note(format!("p{number}: batches at {firsts:?}, {} of them written", partition.written));
        }
        Self {
            flags: Flags::new(&mut seed.random, &settings),
            page_size: seed.random.pick(&[512, 4_096]),
            letters: Letters::new(number, &log, &settings),
            subject: Subject::new("sensors", "simulation", &settings),
            folder: Folder::new(),
            stored: Stored::new(Expected::new(Rc::clone(&log.whole))),
            zombie: None,
            reader: None,
            backup: None,
            forgotten: Vec::new(),
            seed,
            log,
        }
    }
}
