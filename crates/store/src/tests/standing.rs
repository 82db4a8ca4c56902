//! Where a store stands: links lead to it, nobody else's files are touched, and whoever reads leaves nothing behind.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::super::files::beside;
use super::super::schema::{self, Access};
use super::place::reset;
use super::world::{Place, SMALL, World, ask, ask_reader, begun, expect, open, options, subject};
use crate::Error;
use crate::{SqliteStore, StoreReader, holder};

#[cfg(unix)]
#[test]
fn a_link_is_the_store_that_it_leads_to() {
    use std::os::unix::fs::symlink;
    let (place, links, mut world) = (Place::new(), Place::new(), World::default());
    symlink(&place.path, &links.path).unwrap();
    let folder = beside(&links.path, ".folder");
    symlink(place.path.parent().unwrap(), &folder).unwrap();
    let through = folder.join("store.db");
    for link in [&links.path, &through] {
        let mut store = open(&place.path).unwrap();
        let error = open(link).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error:?}");
        assert!(holder(link).unwrap().is_some());
        world.go_on(world.commits, SMALL, &mut store).unwrap();
        expect(&world, link);
        drop(store);
        world.go_on(world.commits, SMALL, &mut open(link).unwrap()).unwrap();
        expect(&world, &place.path);
    }
    drop(SqliteStore::open(&links.path, &subject(), reset()).unwrap());
    expect(&World::default(), &place.path);
    assert_eq!(fs::read_link(&links.path).unwrap(), place.path);
    assert_eq!(links.files(), ["store.db", "store.db.folder"]);
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_no_place_for_a_store() {
    let (place, links) = (Place::new(), Place::new());
    std::os::unix::fs::symlink(&place.path, &links.path).unwrap();
    let errors = [
        open(&links.path).unwrap_err(),
        SqliteStore::open(&links.path, &subject(), reset()).unwrap_err(),
        StoreReader::open(&links.path).unwrap_err(),
        holder(&links.path).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Dangling { .. }), "{error:?}");
        assert!(error.to_string().contains(&place.path.display().to_string()), "{error}");
    }
    assert_eq!((links.files(), place.files()), (vec!["store.db".to_owned()], vec![]));
}

#[test]
fn nobody_elses_file_is_removed() {
    let place = Place::new();
    let mine =
        [".new", ".new-wal", ".new-shm", ".isotherm-new-mine", ".isotherm-new-0123456789abcdef.txt", ".lock.txt"];
    let check = |path: &Path| {
        for ending in mine {
            assert_eq!(fs::read(beside(path, ending)).unwrap(), b"my own", "{ending}");
        }
    };
    mine.iter().for_each(|ending| fs::write(beside(&place.path, ending), "my own").unwrap());
    drop(open(&place.path).unwrap());
    check(&place.path);
    drop(SqliteStore::open(&place.path, &subject(), reset()).unwrap());
    check(&place.path);

    // What is called like a log, and is none.
    let place = Place::new();
    for text in ["short", "a text that is longer than the header of a write-ahead log, which has 32 bytes"] {
        fs::write(beside(&place.path, "-wal"), text).unwrap();
        for options in [options(), reset()] {
            let error = SqliteStore::open(&place.path, &subject(), options).unwrap_err();
            assert!(matches!(error, Error::NotAStore { .. }) && error.to_string().contains("-wal"), "{error:?}");
        }
        assert_eq!(fs::read(beside(&place.path, "-wal")).unwrap(), text.as_bytes());
    }
}

#[test]
fn an_empty_log_without_its_database_is_no_hindrance() {
    let place = Place::new();
    for log in [&[][..], &[&[0x37, 0x7f, 0x06, 0x82][..], &[0; 28]].concat()] {
        fs::write(beside(&place.path, "-wal"), log).unwrap();
        fs::write(beside(&place.path, "-shm"), [7; 32 << 10]).unwrap();
        assert!(matches!(StoreReader::open(&place.path), Err(Error::Missing { .. })));
        drop(open(&place.path).unwrap());
        expect(&World::default(), &place.path);
        fs::remove_file(&place.path).unwrap();
    }
}

#[test]
fn whoever_reads_leaves_nothing_behind() {
    let (place, mut world, store) = begun(0..5);
    // Of a consumer that was killed.
    let killed = Place::new();
    for ending in ["", "-wal"] {
        fs::copy(beside(&place.path, ending), beside(&killed.path, ending)).unwrap();
    }
    let bytes = |path: &Path| ["", "-wal"].map(|ending| fs::read(beside(path, ending)).ok());
    let before = bytes(&killed.path);
    expect(&world, &killed.path);
    assert_eq!(bytes(&killed.path), before, "what the consumer left in its log stays there");

    drop(store);
    let before = bytes(&place.path);
    expect(&world, &place.path);
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);
    assert_eq!(bytes(&place.path), before);

    // A consumer comes and goes meanwhile.
    let mut reader = StoreReader::open(&place.path).unwrap();
    assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
    let mut store = open(&place.path).unwrap();
    world.go_on(7, SMALL, &mut store).unwrap();
    assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
    drop(store);
    assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
    drop(reader);
    expect(&world, &place.path);
}

#[test]
fn the_database_of_somebody_else_is_not_even_opened_to_write() {
    let place = Place::new();
    let other = Connection::open(&place.path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE mine (a)").unwrap();
    drop(other);
    let before = fs::read(&place.path).unwrap();
    let errors = [open(&place.path).unwrap_err(), StoreReader::open(&place.path).unwrap_err()];
    assert!(errors.iter().all(|error| matches!(error, Error::NotAStore { .. })), "{errors:?}");
    assert_eq!(place.files(), ["store.db"]);
    assert_eq!(fs::read(&place.path).unwrap(), before);
}

#[test]
fn a_closed_store_can_be_read_where_nothing_can_be_written() {
    let (place, mut world, store) = begun(0..5);
    drop(store);
    // As for whoever may not write there (the superuser always may).
    let frozen = |path: &Path| Ok((schema::connect(path, Access::Frozen)?, true));
    let mut reader = StoreReader::open_by(&place.path, frozen).unwrap();
    assert_eq!(world.difference(&ask_reader(&mut reader).unwrap()), None);
    assert_eq!(place.files(), ["store.db", "store.db.lock"]);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = place.path.parent().unwrap();
        let set = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        set(0o500);
        let answers = ask(&place.path);
        set(0o700);
        assert_eq!(world.difference(&answers.unwrap()), None);
    }

    // Whoever may write there does: the reader, who cannot know, says what was or what is, and does not call it damage.
    let before = world.clone();
    let mut store = open(&place.path).unwrap();
    (10..40).for_each(|seed| world.go_on(seed, SMALL, &mut store).unwrap());
    drop(store);
    match ask_reader(&mut reader) {
        Ok(answers) => {
            let known = [&before, &world].into_iter().any(|world| world.difference(&answers).is_none());
            assert!(known, "{:?}", world.difference(&answers));
        }
        Err(fault) => assert!(matches!(fault, Error::Changed { .. }), "{fault:?}"),
    }
}
