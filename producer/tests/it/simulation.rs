//! What simulated readings are. Where chance decides, the seed is fixed, and bounds are five standard deviations.

use std::collections::HashMap;

use chrono::DateTime;
use isotherm_producer::clock::EventClock;
use isotherm_producer::config::{Key, Simulation};
use isotherm_producer::messages::Messages;
use isotherm_producer::random::Share;
use isotherm_producer::simulate::{LATE_FROM_MS, LATE_TO_MS, Simulator};
use isotherm_producer::states;
use proptest::prelude::*;
use serde_json::Value;

/// 2026-11-22T10:00:00Z.
pub(crate) const START_MS: i64 = 1_795_341_600_000;

pub(crate) fn clock(rate: &str) -> EventClock {
    EventClock::Simulated { start_ms: START_MS, rate: rate.parse().unwrap() }
}

fn lines(simulation: Simulation, clock: EventClock, count: usize) -> Vec<Vec<u8>> {
    let mut simulator = Simulator::new(simulation, clock, Key::None).unwrap();
    let mut messages = Messages::new();
    for _ in 0..count {
        simulator.push_next(0, &mut messages);
    }
    messages.iter().map(|message| message.value.to_vec()).collect()
}

#[derive(Debug)]
struct Seen {
    guid: String,
    destination: String,
    state: String,
    event_ms: i64,
    tenths: i64,
}

fn seen(line: &[u8]) -> Seen {
    let document: Value = serde_json::from_slice(line).unwrap();
    let text = |pointer| document.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!(text("/payload/format"), "urn:example:sensor:temp");
    let temperature = document.pointer("/payload/data/temperature").and_then(Value::as_f64).unwrap();
    Seen {
        guid: text("/guid"),
        destination: text("/destination"),
        state: text("/state"),
        event_ms: DateTime::parse_from_rfc3339(&text("/eventTime")).unwrap().timestamp_millis(),
        tenths: (temperature * 10.0).round() as i64,
    }
}

fn share(probability: f64) -> Share {
    Share::new(probability).unwrap()
}

/// Whether `count` of `trials` is within five standard deviations of what `probability` lets expect.
fn is_fair(count: usize, trials: usize, probability: f64) -> bool {
    let (trials, count) = (trials as f64, count as f64);
    let deviation = (trials * probability * (1.0 - probability)).sqrt();
    (count - trials * probability).abs() <= 5.0 * deviation
}

#[test]
fn the_first_lines_have_these_bytes() {
    let plain = lines(Simulation { seed: 7, ..Simulation::default() }, clock("1000"), 12);
    let faulty = Simulation { sensors: 3, seed: 7, disorder_ms: 500, late: share(0.2), malformed: share(0.5) };
    for (name, lines, golden) in [
        ("plain", plain, &include_bytes!("golden/plain.jsonl")[..]),
        ("faulty", lines(faulty, clock("2.5"), 60), &include_bytes!("golden/faulty.jsonl")[..]),
    ] {
        let mut bytes = lines.join(&b'\n');
        bytes.push(b'\n');
        let shown = String::from_utf8_lossy(&bytes);
        assert!(bytes == golden, "{name}.jsonl differs; equal seeds no longer give equal bytes. Now:\n{shown}");
    }
}

#[test]
fn sensors_and_states_are_drawn_evenly() {
    let settings = Simulation { sensors: 40, seed: 1, ..Simulation::default() };
    let mut by_sensor = HashMap::<_, usize>::new();
    for line in lines(settings, clock("1000"), 40_000) {
        *by_sensor.entry(seen(&line).guid).or_default() += 1;
    }
    assert_eq!(by_sensor.len(), 40);
    assert!(by_sensor.values().all(|count| is_fair(*count, 40_000, 1.0 / 40.0)), "{by_sensor:?}");

    let settings = Simulation { sensors: 1_000_000, seed: 1, ..Simulation::default() };
    let mut by_state = HashMap::<_, usize>::new();
    for line in lines(settings, clock("1000"), 51_000) {
        *by_state.entry(seen(&line).state).or_default() += 1;
    }
    assert_eq!(by_state.len(), 51);
    assert!(by_state.values().all(|count| is_fair(*count, 51_000, 1.0 / 51.0)), "{by_state:?}");
}

#[test]
fn late_and_malformed_have_their_shares() {
    let settings = Simulation { seed: 3, late: share(0.02), ..Simulation::default() };
    let late: Vec<_> = lines(settings, clock("1000"), 50_000)
        .iter()
        .enumerate()
        .map(|(index, line)| START_MS + index as i64 - seen(line).event_ms)
        .filter(|set_back| *set_back != 0)
        .collect();
    assert!(is_fair(late.len(), 50_000, 0.02), "{}", late.len());
    let allowed = LATE_FROM_MS as i64..=LATE_TO_MS as i64;
    assert!(late.iter().all(|set_back| allowed.contains(set_back)));

    let clean = Simulation { seed: 3, ..Simulation::default() };
    let (bad, clean) = (
        lines(Simulation { malformed: share(0.01), ..clean }, clock("1000"), 50_000),
        lines(clean, clock("1000"), 50_000),
    );
    let differing = bad.iter().zip(&clean).filter(|(bad, clean)| bad != clean).count();
    assert!(is_fair(differing, 50_000, 0.01), "{differing}");
}

proptest! {
    #[test]
    fn equal_settings_give_equal_bytes(seed: u64, sensors in 1u64..50) {
        let settings = Simulation { seed, sensors, malformed: share(0.2), late: share(0.2), disorder_ms: 99 };
        prop_assert_eq!(lines(settings, clock("10"), 50), lines(settings, clock("10"), 50));
    }

    #[test]
    fn sensors_keep_their_place_and_walk_in_small_steps(seed: u64, sensors in 1u64..20) {
        let averages: HashMap<_, _> = states::table()
            .unwrap()
            .into_iter()
            .map(|state| (String::from_utf8(state.code.to_vec()).unwrap(), i64::from(state.average_tenths)))
            .collect();
        let mut last = HashMap::<String, Seen>::new();
        for line in lines(Simulation { seed, sensors, ..Simulation::default() }, clock("1000"), 400) {
            let now = seen(&line);
            match last.get(&now.guid) {
                None => prop_assert!((now.tenths - averages[&now.state]).abs() <= 50),
                Some(before) => {
                    prop_assert_eq!((&before.state, &before.destination), (&now.state, &now.destination));
                    prop_assert!((now.tenths - before.tenths).abs() <= 10);
                }
            }
            last.insert(now.guid.clone(), now);
        }
        prop_assert!(last.len() as u64 <= sensors);
    }

    #[test]
    fn disorder_sets_back_by_its_bound_at_most(seed: u64, disorder_ms in 1u64..3_000) {
        let settings = Simulation { seed, disorder_ms, ..Simulation::default() };
        let set_back: Vec<_> = lines(settings, clock("1000"), 200)
            .iter()
            .enumerate()
            .map(|(index, line)| START_MS + index as i64 - seen(line).event_ms)
            .collect();
        prop_assert!(set_back.iter().all(|ms| (0..=disorder_ms as i64).contains(ms)), "{:?}", set_back);
        prop_assert!(set_back.iter().any(|ms| *ms > 0));
    }

    #[test]
    fn faults_change_nothing_else(seed: u64) {
        let clean = Simulation { seed, ..Simulation::default() };
        let with_faults = Simulation { malformed: share(0.3), ..clean };
        let set_back = Simulation { late: share(0.3), disorder_ms: 700, ..clean };
        for ((clean, bad), late) in lines(clean, clock("10"), 100)
            .iter()
            .zip(lines(with_faults, clock("10"), 100))
            .zip(lines(set_back, clock("10"), 100))
        {
            let (clean, late, good) = (seen(clean), seen(&late), serde_json::from_slice::<Value>(&bad).is_ok());
            prop_assert_eq!((&clean.guid, clean.tenths), (&late.guid, late.tenths));
            prop_assert!(!bad.contains(&b'\n') && !bad.is_empty());
            if good && bad.len() > 150 {
                prop_assert!(String::from_utf8_lossy(&bad).contains(&clean.destination));
            }
        }
    }
}
