//! What a disk does wrong: writes that fail within a commit, statements that fail, and what the death of the machine leaves of
//! the write-ahead log, and of the database while it is being brought up to date from that.

use std::ffi::c_int;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::random::Random;

// SAFETY: these take and give numbers; what SQLite has open stays open, at the number that it had.
unsafe extern "C" {
    safe fn dup(file: c_int) -> c_int;
    safe fn dup2(file: c_int, to: c_int) -> c_int;
    safe fn close(file: c_int) -> c_int;
}

/// The write-ahead log of a database.
pub(super) fn wal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// Does something while each write to this file fails with an error of the system, whoever has it open. What is open is read
/// from `/proc`.
pub(super) fn unwritable<T>(path: &Path, then: impl FnOnce() -> T) -> T {
    let path = fs::canonicalize(path).expect("the file is there");
    let open = fs::read_dir("/proc/self/fd").expect("the files that are open can be listed");
    let number = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        // Other threads open and close files meanwhile.
        (fs::read_link(entry.path()).ok()? == path).then(|| entry.file_name().to_str()?.parse::<c_int>().ok()).flatten()
    };
    let numbers: Vec<c_int> = open.filter_map(number).collect();
    assert!(!numbers.is_empty(), "nobody has {} open", path.display());
    let read_only = File::open(&path).expect("the file opens to be read");
    let saved: Vec<(c_int, c_int)> = numbers.into_iter().map(|number| (number, dup(number))).collect();
    for (number, saved) in &saved {
        assert!(*saved >= 0 && dup2(read_only.as_raw_fd(), *number) == *number, "a file can be put in its place");
    }
    let done = then();
    for (number, saved) in saved {
        assert!(dup2(saved, number) == number && close(saved) == 0, "the file can be put back");
    }
    done
}

/// The tables that a commit writes to.
const TABLES: [&str; 8] = ["head", "head", "partitions", "groups", "sensors", "windows", "ranges", "dead"];

/// What has a statement of the next commit fail: the first, second or third row that it puts into one of its tables, or that
/// retention drops.
pub(super) fn failing(random: &mut Random) -> String {
    let (table, verb) = match random.below(10) {
        0 => ("windows", "DELETE"),
        _ => (random.pick(&TABLES), "INSERT"),
    };
    let (when, how) = (random.pick(&["BEFORE", "AFTER"]), random.pick(&["ABORT", "FAIL", "ROLLBACK"]));
    let spared = random.below(3);
    format!(
        "CREATE TEMP TABLE spared (rows INTEGER); INSERT INTO spared VALUES ({spared});
         CREATE TEMP TRIGGER failing {when} {verb} ON main.{table} BEGIN
             UPDATE spared SET rows = rows - 1;
             SELECT raise({how}, 'disk I/O error') FROM spared WHERE rows < 0;
         END"
    )
}

/// After it nothing fails any more.
pub(super) const SOUND: &str = "DROP TRIGGER temp.failing; DROP TABLE temp.spared";

/// Database and write-ahead log, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) database: Vec<u8>,
    pub(super) wal: Vec<u8>,
}

impl Files {
    pub(super) fn read(database: &Path) -> Self {
        let wal = wal(database);
        let wal = if wal.exists() { fs::read(wal) } else { Ok(Vec::new()) };
        Self { database: fs::read(database).expect("the database can be read"), wal: wal.expect("its log can be read") }
    }

    /// Puts them into a new folder; what is shared between processes is made anew by whoever comes first.
    pub(super) fn write(&self, to: &Path) {
        let written = fs::create_dir(to).and_then(|()| fs::write(to.join("store.db"), &self.database));
        written.and_then(|()| fs::write(to.join("store.db-wal"), &self.wal)).expect("the files can be written");
    }
}

/// What the machine's death leaves of a commit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Torn {
    /// How much of what was to be written has been, in millionths.
    part: u64,
    /// Whether something else stands behind it.
    rubbish: bool,
    /// Which pages have been brought into the database.
    pages: u64,
}

impl Torn {
    pub(super) fn new(random: &mut Random) -> Self {
        let part = random.between(0, 1_000_000);
        // The last record of a commit is its end: without it there was none.
        let part = random.pick(&[0, 999_999, 1_000_000, part]).cast_unsigned();
        Self {
            part,
            rubbish: random.in_thousand(300),
            pages: random.between(i64::MIN / 4, i64::MAX / 4).cast_unsigned(),
        }
    }

    /// It dies while the log is written. The log grows, or begins anew over what is in the database by then.
    pub(super) fn log(self, before: Files, after: &Files) -> Files {
        let same = before.wal.iter().zip(&after.wal).take_while(|(old, new)| old == new).count();
        let shorter = before.wal.len().min(after.wal.len());
        let tail = before.wal[..shorter].iter().rev().zip(after.wal[..shorter].iter().rev());
        let behind = match before.wal.len() == after.wal.len() {
            true => tail.take_while(|(old, new)| old == new).count().min(shorter - same),
            false => 0,
        };
        let (end, all) = (after.wal.len() - behind, (after.wal.len() - behind - same) as u64);
        let kept = same + usize::try_from(all * self.part / 1_000_000).expect("a file in memory");
        let mut wal = after.wal[..kept].to_vec();
        match self.rubbish {
            true => wal.extend(after.wal[kept..end].iter().map(|byte| byte ^ 0xa5)),
            false => wal.extend(before.wal.get(kept..).unwrap_or_default()),
        }
        Files { database: before.database, wal }
    }

    /// It dies while the database is brought up to date from the log, which is whole.
    pub(super) fn checkpoint(self, before: &Files, after: Files, page_size: u32) -> Files {
        let mut database = before.database.clone();
        database.resize(after.database.len().max(before.database.len()), 0);
        let size = page_size as usize;
        for (number, page) in after.database.chunks(size).enumerate() {
            if self.pages.rotate_left(number as u32 % 64) & 1 == 1 {
                database[number * size..][..page.len()].copy_from_slice(page);
            }
        }
        Files { database, wal: after.wal }
    }
}
