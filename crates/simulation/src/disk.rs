//! What a disk does wrong: writes that fail within a commit, statements that fail, and what a machine that dies leaves of the
//! write-ahead log, and of the database during a checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use isotherm_engine::commit::Commit;

use super::random::Random;

/// The write-ahead log of a database.
pub(crate) fn wal(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

#[cfg(target_os = "linux")]
pub(crate) use self::open_files::unwritable;

/// Nothing lists the files that this process has open here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unwritable<T>(_path: &Path, _then: impl FnOnce() -> T) -> Option<T> {
    None
}

#[cfg(target_os = "linux")]
mod open_files {
    use std::ffi::c_int;
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::path::Path;

    // SAFETY: these take and give numbers; what SQLite has open stays open, at the number that it had.
    unsafe extern "C" {
        safe fn dup(file: c_int) -> c_int;
        safe fn dup2(file: c_int, to: c_int) -> c_int;
        safe fn close(file: c_int) -> c_int;
    }

    /// Does something while each write of this process to this file fails with a system error.
    pub(in super::super) fn unwritable<T>(path: &Path, then: impl FnOnce() -> T) -> Option<T> {
        let path = fs::canonicalize(path).expect("the file is there");
        let open = fs::read_dir("/proc/self/fd").expect("the files that are open can be listed");
        // Other threads open and close files meanwhile.
        let ours = |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|place| place == path);
        let numbers = open.flatten().filter(ours).filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let numbers: Vec<c_int> = numbers.collect();
        assert!(!numbers.is_empty(), "this process does not have {} open", path.display());
        let read_only = File::open(&path).expect("the file opens to be read");
        let saved: Vec<(c_int, c_int)> = numbers.into_iter().map(|number| (number, dup(number))).collect();
        for (number, saved) in &saved {
            assert!(*saved >= 0 && dup2(read_only.as_raw_fd(), *number) == *number, "a file can be put in its place");
        }
        let done = then();
        for (number, saved) in saved {
            assert!(dup2(saved, number) == number && close(saved) == 0, "the file can be put back");
        }
        Some(done)
    }
}

/// SQL that makes a statement of this commit fail: one that inserts a row, or drops a window. Also whether the commit is certain to run
/// that statement.
pub(crate) fn failing(commit: &Commit<'_>, draw: u64) -> (String, bool) {
    let rows = [
        ("manifest", 1),
        ("run_groups", commit.groups.len()),
        ("sensors", commit.sensors.len().min(1)),
        ("closed_windows", commit.windows.len()),
        ("window_groups", commit.windows.iter().map(|window| window.groups.len()).sum()),
        ("ranges", commit.ranges.len()),
        ("dead", commit.dead.len()),
    ];
    let written: Vec<(&str, usize)> = rows.into_iter().filter(|(_, rows)| *rows > 0).collect();
    let mut left = draw;
    let mut below = |bound: usize| {
        let drawn = left % bound as u64;
        left /= bound as u64;
        drawn as usize
    };
    let (table, verb, spared, certain) = match below(10) {
        0 => ("partitions", "INSERT", below(2), false),
        1 => ("closed_windows", "DELETE", below(2), false),
        _ => {
            let (table, rows) = written[below(written.len())];
            (table, "INSERT", below(rows), true)
        }
    };
    let (when, how) = (["BEFORE", "AFTER"][below(2)], ["ABORT", "FAIL", "ROLLBACK"][below(3)]);
    let failing = format!(
        "CREATE TEMP TABLE spared (rows INTEGER); INSERT INTO spared VALUES ({spared});
         CREATE TEMP TRIGGER failing {when} {verb} ON main.{table} BEGIN
             UPDATE spared SET rows = rows - 1;
             SELECT raise({how}, 'disk I/O error') FROM spared WHERE rows < 0;
         END"
    );
    (failing, certain)
}

/// Ends [`failing`].
pub(crate) const SOUND: &str = "DROP TRIGGER temp.failing; DROP TABLE temp.spared";

/// The disk is full. A commit may fit into existing pages; so its last statement asks for more room than there is.
pub(crate) const FULL: &str = "PRAGMA max_page_count = 1; CREATE TEMP TRIGGER full AFTER INSERT ON main.manifest BEGIN
    INSERT INTO sensors VALUES (NULL, zeroblob(1000000), 0);
END";

/// Ends [`FULL`].
pub(crate) const ROOM: &str = "DROP TRIGGER temp.full; PRAGMA max_page_count = 4294967294";

/// Database and write-ahead log, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) database: Vec<u8>,
    pub(crate) wal: Vec<u8>,
}

impl Files {
    pub(crate) fn read(database: &Path) -> Self {
        let wal = wal(database);
        let wal = if wal.exists() { fs::read(wal) } else { Ok(Vec::new()) };
        Self { database: fs::read(database).expect("the database can be read"), wal: wal.expect("its log can be read") }
    }

    /// Writes them to a new folder. SQLite creates the file that processes share.
    pub(crate) fn write(&self, to: &Path) {
        let written = fs::create_dir(to).and_then(|()| fs::write(to.join("store.db"), &self.database));
        written.and_then(|()| fs::write(to.join("store.db-wal"), &self.wal)).expect("the files can be written");
    }
}

/// What a machine that dies leaves of a commit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Torn {
    /// How much was written, in millionths.
    part: u64,
    /// Whether damaged bytes follow.
    damaged: bool,
    /// Which pages the checkpoint had written to the database.
    pages: u64,
}

impl Torn {
    pub(crate) fn new(random: &mut Random) -> Self {
        let part = random.between(0, 1_000_000);
        // Without its last record a commit has not happened.
        let part = random.pick(&[0, 999_999, 1_000_000, part]).cast_unsigned();
        Self {
            part,
            damaged: random.in_thousand(300),
            pages: random.between(i64::MIN / 4, i64::MAX / 4).cast_unsigned(),
        }
    }

    /// It dies while the write-ahead log is written. That grows, or starts again over what a checkpoint has written.
    pub(crate) fn log(self, before: Files, after: &Files) -> Files {
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
        match self.damaged {
            true => wal.extend(after.wal[kept..end].iter().map(|byte| byte ^ 0xa5)),
            false => wal.extend(before.wal.get(kept..).unwrap_or_default()),
        }
        Files { database: before.database, wal }
    }

    /// It dies during a checkpoint. The write-ahead log is whole.
    pub(crate) fn checkpoint(self, before: &Files, after: Files, page_size: u32) -> Files {
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
