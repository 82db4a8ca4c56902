//! A disk without room: the store can be asked, a consumer is told what is wrong, and `--reset` makes room.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::super::disk::is_full;
use super::super::files::beside;
use super::place::{reset, unwrapped};
use super::world::{Place, SMALL, Size, World, begun, expect, open, subject};
use crate::{Error, SqliteStore};

/// A small disk of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where none can be mounted.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        match mount {
            Ok(done) if done.status.success() => Some(Self(folder)),
            failed => {
                println!("not tried: no disk can be mounted here ({failed:?})");
                None
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.0.path().join("filler")).unwrap();
        let full = loop {
            if let Err(error) = filler.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert!(is_full(&full), "{full}");
    }

    fn empty(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[track_caller]
fn told(error: &Error) {
    assert!(error.is_full_disk(), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("the disk is full") || said.contains("No space left"), "{said}");
}

#[test]
fn a_store_on_a_full_disk_is_read_and_reset() {
    let Some(disk) = Disk::mount() else { return };
    let (place, mut world, mut store) = begun(0..4);
    // What is freed is enough for a new one.
    world.go_on(4, Size { windows: 100, sensors: 8_000 }, &mut store).unwrap();
    let killed: Vec<_> = ["", "-wal"].map(|ending| (ending, fs::read(beside(&place.path, ending)).unwrap())).into();
    drop(store);
    let closed = vec![("", fs::read(&place.path).unwrap())];
    for (files, has_lock) in [(&killed, true), (&killed, false), (&closed, true), (&closed, false)] {
        for (ending, bytes) in files {
            fs::write(beside(&disk.path(), ending), bytes).unwrap();
        }
        if has_lock {
            fs::copy(beside(&place.path, ".lock"), beside(&disk.path(), ".lock")).unwrap();
        }
        disk.fill();
        expect(&world, &disk.path());
        told(&open(&disk.path()).unwrap_err());
        // A reader and a consumer that was refused have changed nothing.
        for (ending, bytes) in files {
            assert!(fs::read(beside(&disk.path(), ending)).unwrap() == *bytes, "{ending}");
        }
        expect(&world, &disk.path());
        drop(SqliteStore::open(&disk.path(), &subject(), reset()).unwrap());
        expect(&World::default(), &disk.path());
        disk.empty();
        ["", ".lock"].iter().for_each(|ending| fs::remove_file(beside(&disk.path(), ending)).unwrap());
    }
}

#[test]
fn a_disk_that_fills_up_under_a_consumer_costs_nothing_that_was_committed() {
    let Some(disk) = Disk::mount() else { return };
    let mut world = World::default();
    let mut store = open(&disk.path()).unwrap();
    world.go_on(1, SMALL, &mut store).unwrap();
    disk.fill();
    let large = Size { windows: 40, sensors: 40_000 };
    let failed = (2..9).find_map(|seed| world.clone().go_on(seed, large, &mut store).err());
    told(&unwrapped(failed.expect("there is no room")));
    expect(&world, &disk.path());
    // It ends, and a client that asks then is answered too.
    drop(store);
    expect(&world, &disk.path());
    disk.empty();
    let mut store = open(&disk.path()).unwrap();
    world.go_on(10, SMALL, &mut store).unwrap();
    expect(&world, &disk.path());
}

/// A folder in its place stands for whatever keeps SQLite from making its index.
#[test]
fn a_store_is_read_without_an_index_of_its_log() {
    let (place, world, store) = begun(0..4);
    let killed = Place::new();
    for ending in ["", "-wal", ".lock"] {
        fs::copy(beside(&place.path, ending), beside(&killed.path, ending)).unwrap();
    }
    drop(store);
    for path in [&place.path, &killed.path] {
        fs::create_dir(beside(path, "-shm")).unwrap();
        let read = |ending| fs::read(beside(path, ending)).unwrap_or_default();
        let before = ["", "-wal"].map(read);
        expect(&world, path);
        assert!(["", "-wal"].map(read) == before);
    }
}
