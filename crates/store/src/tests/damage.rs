//! A damaged store says what it said at some earlier commit, or is refused. It never says anything else.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use isotherm_engine::commit::Store;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::super::files::beside;
use super::super::manifest::Manifest;
use super::super::marker::Marker;
use super::place::unwrapped;
use super::round_trip::checkpoint;
use super::world::{Place, Size, World, ask, open, options, subject};
use crate::Error;
use crate::{Options, SqliteStore, StoreReader};

/// How many bits are turned round on each page: more with `ISOTHERM_DAMAGE`.
fn rounds() -> usize {
    std::env::var("ISOTHERM_DAMAGE").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4)
}

/// How large commits are: some blobs then do not fit a page.
const SIZE: Size = Size { windows: 10, sensors: 120 };

/// Windows are dropped: some pages are then free.
const KEEP: i64 = 60_000;

/// The files of a store, and every state that it has been in.
struct Scene {
    database: Vec<u8>,
    wal: Vec<u8>,
    states: Vec<World>,
    run: Uuid,
    /// The database after each checkpoint.
    images: Vec<Vec<u8>>,
}

impl Scene {
    /// A store with so many commits, whose consumer was killed after the last one; its log is copied into the database after
    /// some of them.
    fn killed(commits: u64, checkpoints: &[u64]) -> Self {
        let (place, mut world) = (Place::new(), World::default());
        let mut states = vec![world.clone()];
        let mut store = keeping(&place.path).unwrap();
        let read = |ending| std::fs::read(beside(&place.path, ending)).unwrap();
        let mut images = Vec::new();
        for commit in 0..commits {
            world.go_on(commit, SIZE, &mut store).unwrap();
            world.drop_older(KEEP, usize::MAX);
            states.push(world.clone());
            if checkpoints.contains(&commit) {
                checkpoint(&place.path);
                images.push(read(""));
            }
        }
        let run = store.identity().run;
        Self { database: read(""), wal: read("-wal"), states, run, images }
    }

    /// A store whose consumer has ended.
    fn closed(commits: u64) -> Self {
        let scene = Self::killed(commits, &[]);
        let place = scene.lay(&scene.database, Some(&scene.wal));
        drop(open(&place.path).unwrap());
        Self { database: std::fs::read(&place.path).unwrap(), wal: Vec::new(), ..scene }
    }

    /// Lays the files down, with a marker that expects nothing: what is missing shows by the rows alone, or not at all.
    fn lay(&self, database: &[u8], wal: Option<&[u8]>) -> Place {
        let place = Place::new();
        std::fs::write(&place.path, database).unwrap();
        if let Some(wal) = wal {
            std::fs::write(beside(&place.path, "-wal"), wal).unwrap();
        }
        let marker = Marker::new(self.run, &Manifest::default()).line();
        std::fs::write(beside(&place.path, ".lock"), format!("by nobody\n{marker}")).unwrap();
        place
    }

    /// Which state a store is in, by all that a reader and a consumer can ask; and it goes on from there, or is refused. Whoever
    /// then does what he is told has a store again.
    fn judge(&self, what: &str, database: &[u8], wal: Option<&[u8]>) -> Verdict {
        let place = self.lay(database, wal);
        let answers = match ask(&place.path) {
            Ok(answers) => answers,
            Err(fault) => {
                typed(what, &fault);
                // Nor does a consumer get anything wrong out of it: it may lack less than the reader.
                match keeping(&place.path).and_then(|mut store| Ok((store.load().map_err(unwrapped)?, store))) {
                    Ok((saved, mut store)) => {
                        let known = self.states.iter().find(|state| state.difference_saved(saved.as_ref()).is_none());
                        let known = known.unwrap_or_else(|| panic!("{what}: goes on from a state that never was"));
                        self.hides_nothing(what, known.clone(), &mut store, &place.path);
                    }
                    Err(fault) => typed(what, &fault),
                }
                advised(what, &fault, &place.path);
                return Verdict::Refused;
            }
        };
        let differences: Vec<_> = self.states.iter().map(|state| state.difference(&answers)).collect();
        let Some(at) = differences.iter().position(Option::is_none) else {
            panic!("{what}: a state that never was; against the last: {:?}", differences.last());
        };
        match self.go_on(what, &place.path, at) {
            Ok(()) => Verdict::State(at),
            Err(fault) => {
                typed(what, &fault);
                advised(what, &fault, &place.path);
                Verdict::Refused
            }
        }
    }

    /// A consumer whose reader is refused may go on: what is damaged is never gone afterwards.
    fn hides_nothing(&self, what: &str, mut world: World, store: &mut SqliteStore, path: &Path) {
        for seed in 2_000..2_003 {
            let committed = world.go_on(seed, SIZE, store);
            match ask(path) {
                Err(fault) => typed(what, &fault),
                Ok(_) => panic!("{what}: nothing is to be seen of it any more, after {committed:?}"),
            }
            if let Err(error) = committed {
                return typed(what, &unwrapped(error));
            }
        }
    }

    /// Some commits more, with retention.
    fn go_on(&self, what: &str, path: &Path, at: usize) -> Result<(), Error> {
        let mut store = keeping(path)?;
        let saved = store.load().map_err(unwrapped)?;
        let mut world = self.states[at].clone();
        assert_eq!(world.difference_saved(saved.as_ref()), None, "{what}: a reader says state {at}");
        for seed in 1_000..1_003 {
            let before = world.clone();
            let committed = world.go_on(seed, SIZE, &mut store);
            world.drop_older(KEEP, usize::MAX);
            match (&committed, ask(path)) {
                (Ok(()), Ok(answers)) => assert_eq!(world.difference(&answers), None, "{what}: after a commit"),
                (Err(_), Ok(answers)) => assert_eq!(before.difference(&answers), None, "{what}: after none"),
                (_, Err(fault)) => typed(what, &fault),
            }
            committed.map_err(unwrapped)?;
        }
        Ok(())
    }
}

/// A consumer that drops windows.
fn keeping(path: &Path) -> Result<SqliteStore, Error> {
    let keep = Some(Duration::from_millis(KEEP.unsigned_abs()));
    SqliteStore::open(path, &subject(), Options { keep, ..options() })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// It goes on from this one.
    State(usize),
    /// It does not.
    Refused,
}

/// A refusal says what is wrong with the store; it blames nobody else.
#[track_caller]
fn typed(what: &str, fault: &Error) {
    let fits = matches!(
        fault,
        Error::Damaged { .. }
            | Error::NotAStore { .. }
            | Error::OlderFormat { .. }
            | Error::NewerFormat { .. }
            | Error::Unsound { .. }
    );
    assert!(fits, "{what}: {fault:?}");
}

/// The remedy of a refusal (removing a file that is no store, else `--reset`) gives a store that has never been used.
#[track_caller]
fn advised(what: &str, fault: &Error, path: &Path) {
    let mut left = Some(fault.to_string());
    if matches!(fault, Error::NotAStore { .. }) {
        std::fs::remove_file(path).unwrap();
        left = open(path).err().map(|fault| fault.to_string());
    }
    if left.is_some() {
        let opened = SqliteStore::open(path, &subject(), Options { reset: true, ..options() });
        assert!(opened.is_ok(), "{what}: {left:?}; and with --reset: {opened:?}");
    }
    match ask(path) {
        Ok(answers) => assert_eq!(World::default().difference(&answers), None, "{what}: {fault}"),
        Err(next) => panic!("{what}: {fault}; and then {next}"),
    }
}

/// Bits to turn round: `each` at random places of every stretch of `stretch` bytes.
fn flips(length: usize, stretch: usize, each: usize, seed: u64) -> Vec<(usize, u8)> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut flips = Vec::new();
    for start in (0..length).step_by(stretch) {
        // The first bytes of a page say what it is.
        let near = random.random_range(start..length.min(start + 12));
        flips.push((near, 1 << random.random_range(0..8)));
        for _ in 1..each {
            flips.push((random.random_range(start..length.min(start + stretch)), 1 << random.random_range(0..8)));
        }
    }
    flips
}

fn count(verdicts: impl IntoIterator<Item = Verdict>) -> BTreeMap<Verdict, usize> {
    let mut counts = BTreeMap::new();
    verdicts.into_iter().for_each(|verdict| *counts.entry(verdict).or_default() += 1);
    counts
}

fn flipped(bytes: &[u8], (at, bit): (usize, u8)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= bit;
    bytes
}

#[test]
fn an_undamaged_store_is_in_its_last_state() {
    for scene in [Scene::closed(6), Scene::killed(6, &[]), Scene::killed(6, &[2, 4])] {
        let verdict = scene.judge("undamaged", &scene.database, Some(&scene.wal));
        assert_eq!(verdict, Verdict::State(6));
    }
}

#[test]
fn bits_turned_round_in_the_database() {
    let scene = Scene::closed(10);
    let flips = flips(scene.database.len(), 1024, rounds(), 1);
    let pages = scene.database.len() / 1024;
    assert!(pages > 30, "{pages} pages");
    let verdicts = flips.iter().map(|flip| {
        let what = format!("bit {:#x} of byte {} of the database", flip.1, flip.0);
        scene.judge(&what, &flipped(&scene.database, *flip), None)
    });
    let counts = count(verdicts);
    println!("{} flips on {pages} pages: {counts:?}", flips.len());
    // What is not noticed lies where nothing is stored.
    assert!(counts.keys().all(|verdict| matches!(verdict, Verdict::Refused | Verdict::State(10))), "{counts:?}");
    assert!(counts[&Verdict::Refused] > flips.len() / 4, "{counts:?}");
}

#[test]
fn every_bit_of_the_header_that_says_how_it_is_to_be_read() {
    let scene = Scene::closed(3);
    let flips = (0..100).flat_map(|at| [1, 2, 128].map(|bit| (at, bit)));
    let flips: Vec<_> = flips.filter(|(at, _)| (16..24).contains(at) || (44..72).contains(at)).collect();
    let verdicts = flips.iter().map(|flip| {
        let what = format!("bit {:#x} of byte {} of the header", flip.1, flip.0);
        scene.judge(&what, &flipped(&scene.database, *flip), None)
    });
    let counts = count(verdicts);
    println!("{} flips in the header: {counts:?}", flips.len());
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [Verdict::State(3), Verdict::Refused], "{counts:?}");
}

#[test]
fn bits_turned_round_in_the_log_or_below_it() {
    let scene = Scene::killed(8, &[3, 5]);
    assert!(scene.wal.len() > 20 * 1024, "{}", scene.wal.len());
    let frame = 1024 + 24;
    let in_log = flips(scene.wal.len(), 3 * frame, rounds() / 2, 2).into_iter().map(|flip| {
        let what = format!("bit {:#x} of byte {} of the log", flip.1, flip.0);
        scene.judge(&what, &scene.database, Some(&flipped(&scene.wal, flip)))
    });
    let counts = count(in_log);
    println!("in the log: {counts:?}");
    // Each commit in the log has checksums of SQLite's own: the log ends before what is damaged.
    assert!(counts.keys().all(|verdict| matches!(verdict, Verdict::State(6..=8))), "{counts:?}");
    assert!(counts.len() > 1, "{counts:?}");
    let below = flips(scene.database.len(), 1024, 1, 3).into_iter().map(|flip| {
        let what = format!("bit {:#x} of byte {} below the log", flip.1, flip.0);
        scene.judge(&what, &flipped(&scene.database, flip), Some(&scene.wal))
    });
    let counts = count(below);
    println!("below the log: {counts:?}");
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [Verdict::State(8), Verdict::Refused], "{counts:?}");
}

#[test]
fn files_cut_short_or_gone() {
    // By the rows alone; `missing` has what the marker and the database tell.
    for (commits, checkpoints, first) in [(8, &[][..], 0), (11, &[6], 7)] {
        let (scene, last) = (Scene::killed(commits, checkpoints), Verdict::State(commits as usize));
        let cut = |length: usize, parts: usize| (0..parts).map(move |part| length * part / parts + part % 7);
        let wal = cut(scene.wal.len(), 40).map(|length| {
            scene.judge(&format!("the log cut to {length}"), &scene.database, Some(&scene.wal[..length]))
        });
        let counts = count(wal);
        println!("the log cut: {counts:?}");
        // What is cut off behind the last commit was nothing.
        let states: Vec<_> = (first..=commits as usize).map(Verdict::State).collect();
        assert!(counts.keys().all(|verdict| states.contains(verdict)) && counts.len() > 3, "{counts:?}");
        let database = cut(scene.database.len(), 20).map(|length| {
            let what = format!("the database cut to {length}");
            scene.judge(&what, &scene.database[..length], Some(&scene.wal))
        });
        let counts = count(database);
        println!("the database cut: {counts:?}");
        assert!(counts.keys().all(|verdict| *verdict == Verdict::Refused || *verdict == last), "{counts:?}");
        assert!(counts[&Verdict::Refused] > 10, "{counts:?}");
        assert_eq!(scene.judge("without the log", &scene.database, None), Verdict::State(first));
    }
    let scene = Scene::closed(8);
    let lengths = (0..scene.database.len()).step_by(1024 * 3 - 100);
    let cut = lengths.map(|length| scene.judge(&format!("cut to {length}"), &scene.database[..length], None));
    let counts = count(cut);
    println!("a closed store cut: {counts:?}");
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [Verdict::Refused]);
}

#[test]
fn pages_of_an_earlier_state_among_those_of_a_later_one() {
    // As after a checkpoint of which only a part has reached the disk, and the loss of the log.
    let scene = Scene::killed(10, &[3, 4, 5, 6, 7, 8, 9]);
    let mut random = StdRng::seed_from_u64(5);
    let mut verdicts = Vec::new();
    for _ in 0..rounds() * 20 {
        let [mut old, mut new] = [0, 0].map(|_| random.random_range(0..scene.images.len()));
        (old, new) = (old.min(new), old.max(new));
        let share = *[0.03, 0.2, 0.5, 0.8, 0.97].choose(&mut random).unwrap();
        let (mut mixed, mut stale) = (scene.images[new].clone(), Vec::new());
        for page in 0..scene.images[old].len() / 1024 {
            let bytes = page * 1024..(page + 1) * 1024;
            if random.random_bool(share) && mixed[bytes.clone()] != scene.images[old][bytes.clone()] {
                mixed[bytes.clone()].copy_from_slice(&scene.images[old][bytes]);
                stale.push(page);
            }
        }
        let what = format!("pages {stale:?} of image {old} in image {new}");
        verdicts.push(scene.judge(&what, &mixed, None));
    }
    let (all, counts) = (verdicts.len(), count(verdicts));
    println!("stale pages: {counts:?}");
    assert!(counts.keys().all(|verdict| matches!(verdict, Verdict::Refused | Verdict::State(4..=10))), "{counts:?}");
    assert!(counts[&Verdict::Refused] > all / 4, "{counts:?}");
}

#[test]
fn an_index_of_the_log_that_is_garbage_is_made_anew() {
    let scene = Scene::killed(6, &[3]);
    for length in [0, 1, 100, 32 * 1024, 70_000] {
        let place = scene.lay(&scene.database, Some(&scene.wal));
        let mut garbage = vec![0; length];
        StdRng::seed_from_u64(length as u64).fill(&mut garbage[..]);
        std::fs::write(beside(&place.path, "-shm"), garbage).unwrap();
        assert_eq!(scene.states[6].difference(&ask(&place.path).unwrap()), None, "{length} bytes of garbage");
    }
}

#[test]
fn a_database_that_is_gone_is_not_made_anew_below_its_log() {
    let scene = Scene::killed(3, &[]);
    let place = scene.lay(&scene.database, Some(&scene.wal));
    std::fs::remove_file(&place.path).unwrap();
    let errors = [open(&place.path).unwrap_err(), StoreReader::open(&place.path).unwrap_err()];
    assert!(errors.iter().all(|error| matches!(error, Error::Damaged { .. })), "{errors:?}");
}
