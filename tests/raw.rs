//! Stored batches read without a module: the consumer's own partials equal, byte for byte, those of the module at the broker.

use fluvio::dataplane::record::{Batch, Record};
use isotherm_consumer::log::{self, BatchCombiner, LogBatch, LogError, LogReader, ReadOptions};
use isotherm_model::settings::Settings;

use crate::util::cluster::{Cluster, block_on};
use crate::util::letters::letters;
use crate::util::store::Store;
use crate::util::{golden, reading};

/// All batches from the one that holds `from` on.
async fn read(reader: &mut dyn LogReader) -> Vec<LogBatch> {
    let mut batches = Vec::new();
    while let Some(batch) = reader.next().await.expect("the log can be read") {
        batches.push(batch);
    }
    batches
}

#[test]
fn the_native_partials_are_those_of_the_module_for_every_compression() {
    let cluster = Cluster::start();
    let readings = golden("faults.jsonl");
    let settings = Settings::default();
    let mut combiner = BatchCombiner::new(&settings);
    let params = settings.to_params();
    let params: Vec<(&str, &str)> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = cluster.deployed("raw", 1);
        for size in ["5000", "40000"] {
            let how = ["--input", &readings, "--quiet", "--compression", compression, "--batch-size", size];
            cluster.produce(&topic, &how);
        }
        let batches = block_on(async {
            let log = log::open(Some(cluster.address()), &topic).expect("an address");
            let mut reader = log.read(0, 0, ReadOptions::default()).await.expect("the node answers");
            read(&mut *reader).await
        });
        let mut values: Vec<Vec<u8>> = Vec::new();
        for batch in &batches {
            batch
                .each(&mut Vec::new(), |record| values.push(record.value.unwrap_or_default().to_vec()))
                .expect("a sound batch");
        }
        assert!(values == cluster.values(&topic, 0), "{compression}: other values than the client reads");
        let partials = cluster.transformed(&topic, 0, "window-stats", &params, batches.len());
        let partials = partials.expect("the module answers");
        assert!(batches.len() > 2, "{compression}: {} batches", batches.len());
        for (batch, partial) in batches.iter().zip(partials) {
            let (_, native) = combiner.encode(batch).expect("a sound batch");
            assert!(native == partial, "{compression}: the batch at offset {} differs", batch.first);
        }
    }
}

#[test]
fn reading_begins_within_a_batch_and_goes_on_after_the_node_was_killed() {
    let (mut cluster, topic) = Cluster::own().with_topic("raw-killed", 1);
    let log = log::open(Some(cluster.address()), &topic).expect("an address");
    let open = |from| log.read(0, from, ReadOptions::default());
    // More than one answer holds.
    cluster.produce(&topic, &["60000", "--seed", "1", "--quiet", "--batch-size", "100000"]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let mut reader = runtime.block_on(open(0)).expect("the node answers");
    assert_eq!((reader.bounds().start, reader.bounds().end), (0, 60_000));
    let first = runtime.block_on(reader.next()).expect("the log can be read").expect("a batch");
    cluster.kill_and_restart();
    let rest = runtime.block_on(read(&mut *reader));
    let ends: Vec<i64> = rest.iter().map(|batch| batch.next).collect();
    assert_eq!((first.first, reader.position()), (0, 60_000));
    let mut records = 0;
    for batch in std::iter::once(&first).chain(&rest) {
        batch.each(&mut Vec::new(), |_| records += 1).expect("a sound batch");
    }
    assert_eq!(records, 60_000);
    for (before, after) in std::iter::once(&first).chain(&rest).zip(&rest) {
        assert_eq!(before.next, after.first, "of {ends:?}");
    }
    let within = rest.last().map(|batch| batch.first + 1).expect("several batches");
    reader.seek(within, 60_000);
    let last = runtime.block_on(read(&mut *reader));
    let firsts = |batches: &[LogBatch]| batches.iter().map(|batch| batch.first).collect::<Vec<_>>();
    assert_eq!(firsts(&last), firsts(&rest[rest.len() - 1..]), "from {within} on");
    let beyond = runtime.block_on(open(60_001));
    assert!(matches!(beyond, Err(LogError::Shorter { offset: 60_001, end: 60_000, .. })), "{:?}", beyond.err());
}

#[test]
fn offset_deltas_of_records_are_ignored() {
    let cluster = Cluster::start();
    let (topic, dead) = (cluster.deployed("deltas", 1), cluster.deployed("dead", 1));
    for (number, deltas) in [[0, 1, 2], [0, 1, 1_000_000], [3, 0, -4], [0, 1, 2]].into_iter().enumerate() {
        let second = 10 * number as u32;
        let values = [reading("s", "AK", second), reading("s", "AK", second + 5), format!("no reading {number}")];
        let mut batch = Batch::from(values.map(Record::new).to_vec());
        for (record, delta) in batch.mut_records().iter_mut().zip(deltas) {
            record.preamble.set_offset_delta(delta);
        }
        cluster.append(&topic, batch);
    }
    let store = Store::new();
    let consume = || {
        let ended = store.to_end(&cluster, &topic, &["--dead-letters", &dead]).code(0);
        let wanted = r#""type":"totals","messages":12,"counted":8,"late":0,"rejected":{"not-json":4},"#;
        assert!(ended.stdout.lines().last().is_some_and(|totals| totals.contains(wanted)), "{}", ended.stdout);
    };
    consume();
    let mut origins: Vec<_> = letters(&cluster, &dead, 1).into_iter().map(|letter| letter.origin).collect();
    origins.sort_unstable();
    assert_eq!(origins, [(0, 2), (0, 5), (0, 8), (0, 11)]);
    // The store has read the log to its end.
    consume();
    store.verify(&cluster, 0);
}
