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
    /// `None` where this process may mount none. Then the test `name` has run in a namespace where it may.
    fn mount(name: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).output();
        if mount.as_ref().is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        let (inside, test) = ("ISOTHERM_TEST_NAMESPACE", format!("tests::full::{name}"));
        let again = std::env::var_os(inside).is_none().then(|| {
            let mut command = Command::new("unshare");
            command.arg("-Urm").arg(std::env::current_exe().unwrap()).args([&test, "--exact", "--nocapture"]);
            command.env(inside, "1").output()
        });
        let passed = again.as_ref().is_some_and(|again| again.as_ref().is_ok_and(|done| done.status.success()));
        assert!(
            passed,
            "no small disk can be mounted ({mount:?}), and {again:?}; run it as root: sudo -E cargo xtask test full_disk"
        );
        None
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
    let Some(disk) = Disk::mount("a_store_on_a_full_disk_is_read_and_reset") else { return };
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
fn a_full_disk_under_a_consumer_costs_nothing_that_was_committed() {
    let Some(disk) = Disk::mount("a_full_disk_under_a_consumer_costs_nothing_that_was_committed") else { return };
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
