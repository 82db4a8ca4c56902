//! One consumer at a time: a lock of the operating system on `PATH.lock`, whose text says who holds it. It ends with its
//! process, however that ends. Below it stands how far the store has come, see [`marker`](super::marker). A consumer that takes a store over puts a new lock file in its place; the epoch in the manifest
//! then keeps the other one from writing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use isotherm_model::duration::{DurationText, parse_duration};

use super::disk::is_full;
use super::files::{FileId, beside, canonicalize, now_text, random};
use super::holder::Holder;
use super::marker::Marker;
use crate::error::{DbError, Error, Operation};

/// What a run was given that its store does not hold, since a later run may be given something else: how long windows
/// stay open, and how long a partition must be idle. For `why`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long after its end a window stays open.
    pub grace: Duration,
    /// How long a partition must be idle not to block the watermark.
    pub idle: Duration,
}

impl Timing {
    fn line(self) -> String {
        format!("grace {}, idle {}", DurationText(self.grace), DurationText(self.idle))
    }

    fn parse(line: &str) -> Option<Self> {
        let (grace, idle) = line.strip_prefix("grace ")?.split_once(", idle ")?;
        Some(Self { grace: parse_duration(grace).ok()?, idle: parse_duration(idle).ok()? })
    }
}

/// The text of a lock's file; empty if it cannot be read.
fn lock_text(path: &Path) -> String {
    const MOST: u64 = 800;
    let mut text = String::new();
    let read = File::open(beside(path, ".lock")).and_then(|file| file.take(MOST).read_to_string(&mut text));
    if read.is_ok() { text } else { String::new() }
}

/// Who holds the lock of the store at `path`, or held it last, as far as its file says.
pub(super) fn holder_of(path: &Path) -> Holder {
    Holder::parse(&lock_text(path))
}

/// How far the store at `path` had come at least, as far as its lock's file says.
pub(super) fn marker_of(path: &Path) -> Option<Marker> {
    lock_text(path).lines().find_map(Marker::parse)
}

/// What the run was given that uses the store at `path`, or else the last one that did; `None` if the lock's file does not
/// say.
pub fn timing(path: &Path) -> Option<Timing> {
    lock_text(&canonicalize(path).ok()?).lines().find_map(Timing::parse)
}

/// Who uses the store at `path` to write it; `None` if nobody does.
/// An [`Error`] if the lock's file cannot be opened.
pub fn holder(path: &Path) -> Result<Option<Holder>, Error> {
    let path = &canonicalize(path)?;
    let place = beside(path, ".lock");
    let locked = match File::open(&place) {
        Ok(file) => file.try_lock_shared(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(TryLockError::Error(error)),
    };
    match locked {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder_of(path))),
        Err(TryLockError::Error(source)) => Err(Error::Io { path: place, operation: Operation::Read, source }),
    }
}

/// A held lock. It is let go when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    /// Where the marker stands in its text.
    marked_at: u64,
}

impl Lock {
    /// Takes the lock of the store at `path`, if nobody holds it.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let place = beside(path, ".lock");
        let failed = Error::io(&place, Operation::Open);
        loop {
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&place);
            let mut lock = Self { file: open.map_err(&failed)?, path: place.clone(), marked_at: 0 };
            match lock.file.try_lock() {
                Ok(()) => {}
                // Somebody asks who holds it, and shares it for a moment.
                Err(TryLockError::WouldBlock) => match lock.file.try_lock_shared() {
                    Ok(()) => continue,
                    Err(TryLockError::WouldBlock) => {
                        return Err(Error::Locked { path: path.to_owned(), holder: holder_of(path) });
                    }
                    Err(TryLockError::Error(error)) => return Err(failed(error)),
                },
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Meanwhile another file can have been put there.
            if lock.is_in_place() {
                lock.sign_if_room(marker_of(path)).map_err(&failed)?;
                return Ok(lock);
            }
        }
    }

    /// Replaces another consumer's lock by a new one, then does `then`. If that fails, the other lock is put back.
    pub(super) fn displace(path: &Path, then: impl FnOnce() -> Result<(), DbError>) -> Result<Self, DbError> {
        let place = beside(path, ".lock");
        let failed = |source| DbError::Store(Error::io(&place, Operation::Open)(source));
        let number = random();
        let [unique, old] = ["new", "old"].map(|what| beside(&place, &format!(".{what}-{number:016x}")));
        let lock = Self::signed(&unique, &place, marker_of(path)).map_err(failed);
        // The other one is kept under a second name.
        let kept = lock.is_ok() && std::fs::hard_link(&place, &old).is_ok();
        let done = lock.and_then(|lock| {
            std::fs::rename(&unique, &place).map_err(failed)?;
            then()?;
            Ok(lock)
        });
        // Best effort: the first error is the one that tells.
        if done.is_err() {
            let _ = std::fs::remove_file(&unique);
            if kept {
                let _ = std::fs::rename(&old, &place);
            }
        }
        let _ = std::fs::remove_file(&old);
        done
    }

    /// A new lock file, held and signed, that is to stand at `place`.
    fn signed(unique: &Path, place: &Path, marker: Option<Marker>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(unique)?;
        let mut lock = Self { file, path: place.to_owned(), marked_at: 0 };
        match lock.file.try_lock() {
            Ok(()) => lock.sign_if_room(marker).map(|()| lock),
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Which file is locked.
    pub(super) fn id(&self) -> io::Result<FileId> {
        self.file.metadata().map(|held| FileId::of(&held))
    }

    /// Writes who holds it, and keeps how far the store has come.
    pub(super) fn sign(&mut self, marker: Option<Marker>) -> io::Result<()> {
        let holder = format!("{}\n", Holder::this_process(&now_text()));
        self.marked_at = holder.len() as u64;
        let text = holder + &marker.map_or_else(String::new, |marker| marker.line());
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)
    }

    /// On a full disk it may stay unsaid who holds it: a lock is needed to make room.
    fn sign_if_room(&mut self, marker: Option<Marker>) -> io::Result<()> {
        self.sign(marker).or_else(|error| if is_full(&error) { self.file.set_len(0) } else { Err(error) })
    }

    /// Notes how far the store has come. After the first time it needs no room on the disk.
    pub(super) fn mark(&mut self, marker: Marker) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.marked_at))?;
        self.file.write_all(marker.line().as_bytes())
    }

    /// Notes, below the marker, what the run was given.
    pub(super) fn note(&mut self, timing: Timing) -> io::Result<()> {
        self.file.write_all(format!("{}\n", timing.line()).as_bytes())?;
        self.file.flush()
    }

    /// Whether the locked file is still the one at the lock's path.
    pub(super) fn is_in_place(&self) -> bool {
        match (self.id(), FileId::at(&self.path)) {
            (Ok(held), Ok(Some(there))) => held == there,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn what_a_run_was_given_can_be_seen_until_the_next_one() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("a.db");
        assert_eq!(timing(&path), None, "there is no lock");
        let given = |grace| Timing { grace: Duration::from_millis(grace), idle: Duration::from_secs(7_200) };
        for (grace, take_over) in [(0, false), (30_000, true), (1_500, true)] {
            let lock = if take_over { Lock::displace(&path, || Ok(())).ok() } else { Lock::take(&path).ok() };
            let mut lock = lock.expect("free, or taken over");
            assert_eq!(timing(&path), None, "the one before is not this one");
            lock.note(given(grace)).expect("it can be written");
            assert_eq!(timing(&path), Some(given(grace)));
            let held = holder_of(&path).to_string();
            assert!(held.contains(" since ") && !held.contains("grace"), "{held}");
            drop(lock);
            assert_eq!(timing(&path), Some(given(grace)), "it stays when nobody holds it");
        }
        for line in ["", "grace 1s", "grace soon, idle 10s", "idle 10s, grace 1s", "grace 1s, idle "] {
            assert_eq!(Timing::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_holder_can_be_asked_for_without_keeping_anybody_out() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("a.db");
        assert_eq!(holder(&path).expect("no lock is no error"), None);
        let lock = Lock::take(&path).expect("free");
        let held = holder(&path).expect("it can be looked at").expect("it is held");
        assert!(held.to_string().contains(&format!("by process {} on ", std::process::id())), "{held}");
        assert!(matches!(Lock::take(&path), Err(Error::Locked { .. })));
        let now = crate::now();
        assert!(held.since().is_some_and(|since| (now - 600_000..=now).contains(&since)), "{held} at {now}");
        assert_eq!(timing(&path), None, "it was not said");
        drop(lock);
        assert_eq!(holder(&path).expect("it can be looked at"), None);
        // Somebody looks while it is taken.
        let looks = File::open(beside(&path, ".lock")).expect("it is there");
        looks.lock_shared().expect("free");
        let wants = {
            let path = path.clone();
            std::thread::spawn(move || Lock::take(&path).map(drop))
        };
        drop(looks);
        wants.join().expect("no panic").expect("it waits for a process that only looks");
    }

    #[test]
    fn a_lock_is_put_back_if_its_displacement_fails() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("a.db");
        let names = || std::fs::read_dir(folder.path()).map(|entries| entries.count()).expect("it can be read");
        let fails = || Err(DbError::Unsound("a full disk".to_owned()));
        Lock::displace(&path, fails).unwrap_err();
        let lock = Lock::take(&path).expect("free");
        Lock::displace(&path, fails).unwrap_err();
        assert!(lock.is_in_place());
        assert_eq!(names(), 1);
        let heir = Lock::displace(&path, || Ok(())).expect("nothing fails");
        assert!(heir.is_in_place() && !lock.is_in_place());
        assert_eq!(names(), 1);
    }
}
