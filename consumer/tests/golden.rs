//! From the bytes of readings to the lines of results: equal to an answer that was computed without any code of the
//! project, however the readings are seed over partitions and batches.
//!
//! `golden/readings.jsonl` holds readings of every kind, faulty ones among them; `golden/expected.jsonl` the answer.

use isotherm_consumer::results::jsonl::JsonLines;
use isotherm_consumer::run::options;
use isotherm_consumer::topology::Topology;
use isotherm_engine::event::{Effect, Event};
use isotherm_engine::materializer::Materializer;
use isotherm_model::combine::{Record, combine};
use serde_json::Value;

const READINGS: &str = include_str!("golden/readings.jsonl");
const EXPECTED: &str = include_str!("golden/expected.jsonl");

/// The lines that a run over these readings ends with.
fn run(partitions: usize, batch: usize) -> Vec<String> {
    let topology = Topology::default();
    let lines: Vec<&[u8]> = READINGS.lines().map(str::as_bytes).collect();
    let logs: Vec<Vec<&[u8]>> =
        (0..partitions).map(|p| lines.iter().skip(p).step_by(partitions).copied().collect()).collect();
    let mut run = Materializer::new(options(&topology, true));
    let mut effects = vec![];
    let mut event = |event| effects.extend(run.handle(event).expect("a sound event"));
    (0..partitions as u32).for_each(|partition| event(Event::Found { partition }));
    event(Event::Listed);
    for (partition, log) in (0..).zip(&logs) {
        event(Event::Attached { partition, position: 0, end: Some(log.len() as i64) });
    }
    for (partition, log) in (0..).zip(&logs) {
        for (number, values) in log.chunks(batch).enumerate() {
            let records = values.iter().map(|value| Record { timestamp: None, value });
            let partial = Box::new(combine(&topology.settings, (number * batch) as i64, None, records));
            event(Event::Partial { partition, partial, digest: 0 });
        }
    }
    let json = JsonLines::new(&topology.settings.schema.group);
    let Some(Effect::Finished { totals }) = effects.last() else { panic!("{effects:?}") };
    let closed = effects.iter().filter_map(|effect| match effect {
        Effect::Close { windows, .. } => Some(windows),
        _ => None,
    });
    let windows = closed.flatten().map(|window| json.window(window).to_string());
    windows.chain([json.totals(totals).to_string()]).collect()
}

#[test]
fn results_equal_an_independent_answer_at_any_partitions_and_batches() {
    let expected: Vec<Value> = EXPECTED.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (partitions, batch) in [(1, 1_000), (1, 1), (2, 7), (5, 3), (5, 1_000)] {
        let lines = run(partitions, batch);
        let plain = lines.iter().map(|line| line.replace(r#""closed_by":"end","#, ""));
        let values: Vec<Value> = plain.map(|line| serde_json::from_str(&line).expect("JSON")).collect();
        assert_eq!(values, expected, "{partitions} partitions, batches of {batch}");
    }
}
