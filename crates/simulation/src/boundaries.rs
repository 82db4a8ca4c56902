//! One partition, stopped and resumed at every boundary: the final store says the same, byte for byte.

use std::fmt::Write;
use std::ops::ControlFlow;

use isotherm_consumer::results::jsonl::JsonLines;
use isotherm_consumer::run::options;
use isotherm_consumer::topology::Topology;
use isotherm_engine::commit::Store;
use isotherm_engine::event::Event;
use isotherm_engine::materializer::Materializer;
use isotherm_engine::step::Stepper;
use isotherm_model::settings::Settings;
use isotherm_store as sqlite;
use isotherm_store::{StoreReader, Subject, Windows};

use super::random::Random;
use super::store::{FaultyStore, Folder};
use super::topic::SimLog;

/// How a run stops.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// In good order.
    Clean,
    /// It dies, with what it had not committed.
    Kill,
}

/// Reads the log's only partition to its end, stopping after each of these numbers of events of a run; what the final
/// store says, as JSON lines.
fn read(log: &SimLog, settings: &Settings, bounded: bool, stops: &[usize], stop: Stop) -> String {
    let mut folder = Folder::new();
    let subject = Subject::new("sensors", "simulation", settings);
    let topology = Topology { settings: settings.clone(), ..Topology::default() };
    let batches = log.partitions[0].batches();
    let end = batches.last().map_or(0, |batch| batch.next);
    for stop_after in stops.iter().copied().map(Some).chain([None]) {
        let mut store = FaultyStore::open(&folder, &subject, sqlite::Options::default());
        let saved = store.load().expect("what was committed can be read").unwrap_or_default();
        let position = saved.partitions.get(&0).map_or(0, |state| state.resume());
        let mut materializer = Materializer::resume(options(&topology, bounded), saved);
        let (mut stepper, now) = (Stepper::new(Default::default()), Default::default());
        let rest = batches.iter().filter(|batch| batch.first >= position);
        let batches = rest.flat_map(|batch| log.whole.events(0, batch)).take(stop_after.unwrap_or(usize::MAX));
        let first =
            [Event::Found { partition: 0 }, Event::Listed, Event::Attached { partition: 0, position, end: Some(end) }];
        let last = match stop_after {
            None => Some(Event::Finish),
            Some(_) => matches!(stop, Stop::Clean).then_some(Event::Stop),
        };
        for event in first.into_iter().chain(batches).chain(last) {
            let step = stepper.handle(&mut materializer, event, now).expect("a sound event");
            if step.due {
                stepper.commit(&mut materializer, &mut store, now).expect("a commit succeeds");
            }
        }
        if matches!(stop, Stop::Kill) && stop_after.is_some() {
            folder.die();
        }
        drop(store);
    }
    let mut reader = StoreReader::open(&folder.path()).expect("the store opens to be read");
    let snapshot = reader.snapshot().expect("the store can be read");
    let (lines, mut text) = (JsonLines::new(&settings.schema.group), String::new());
    let each = |window| {
        writeln!(text, "{} {:?}", lines.window(&window), window.positions).expect("a text grows");
        ControlFlow::Continue(())
    };
    snapshot.windows(Windows::All, each).expect("windows can be read");
    let totals = snapshot.totals().expect("totals can be read");
    writeln!(text, "{}", lines.totals(&totals)).expect("a text grows");
    text
}

/// Logs of one partition, with late, future and rejected records in them.
fn logs(settings: &Settings) -> impl Iterator<Item = SimLog> {
    let log = |seed| SimLog::new(&mut Random::new(seed), settings);
    (0..).map(log).filter(|log| log.partitions.len() == 1 && log.partitions[0].batches().len() >= 8)
}

/// How many events a source tells of the log's only partition.
fn events(log: &SimLog) -> usize {
    log.partitions[0].batches().iter().map(|batch| log.whole.events(0, batch).count()).sum()
}

#[test]
fn stopped_once_at_any_boundary_a_run_ends_with_the_same_store() {
    let settings = Settings::default();
    for log in logs(&settings).take(5) {
        for bounded in [false, true] {
            let whole = read(&log, &settings, bounded, &[], Stop::Clean);
            for boundary in 0..=events(&log) {
                for stop in [Stop::Clean, Stop::Kill] {
                    let read = read(&log, &settings, bounded, &[boundary], stop);
                    assert_eq!(read, whole, "bounded {bounded}, {stop:?} after {boundary} events");
                }
            }
        }
    }
}

#[test]
fn stopped_at_every_boundary_a_run_ends_with_the_same_store() {
    let settings = Settings::default();
    for log in logs(&settings).take(5) {
        let whole = read(&log, &settings, false, &[], Stop::Clean);
        // How many events each run takes, including those of batches that it reads again.
        let stops: Vec<usize> = (0..events(&log)).flat_map(|most| [most, most]).collect();
        assert_eq!(read(&log, &settings, false, &stops, Stop::Clean), whole, "stopped {} times", stops.len());
        assert_eq!(read(&log, &settings, false, &stops, Stop::Kill), whole, "killed {} times", stops.len());
    }
}
