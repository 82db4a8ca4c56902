//! SmartModules.

use fluvio::dataplane::Encoder;
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::link::smartmodule::SmartModuleTransformRuntimeError;
use fluvio::dataplane::record::{Record, RecordSet};
use fluvio::metadata::smartmodule::SmartModuleSpec;
use fluvio::{Compression, Offset, RecordKey, TopicProducerConfigBuilder};
use fluvio_smartmodule::dataplane::smartmodule::Lookback;
use fluvio_spu_schema::server::stream_fetch::StreamFetchRequest;
use futures_util::StreamExt;
use tempfile::TempDir;

use crate::support::{
    ONE_PER_BATCH, Running, ad_hoc, admin, create_module, error_of, from, predefined, produce, started, take, through,
    values, with_topic, within,
};

/// What [`ONE_PER_BATCH`] said: base offset and number of records of a batch, and the offset that the client gave it.
async fn answers(
    client: &fluvio::Fluvio,
    config: &fluvio::consumer::ConsumerConfigExtBuilder,
    count: usize,
) -> Vec<(i64, i64, i32)> {
    let mut stream = within(client.consumer_with_config(config.build().unwrap())).await.unwrap();
    let mut found = Vec::new();
    while found.len() < count {
        let record = within(stream.next()).await.expect("the stream goes on").expect("a record");
        let value: [u8; 12] = record.value().try_into().expect("twelve bytes");
        let (base, records) = value.split_at(8);
        let base = i64::from_be_bytes(base.try_into().unwrap());
        found.push((record.offset(), base, i32::from_be_bytes(records.try_into().unwrap())));
    }
    found
}

const SIZES: [usize; 6] = [3, 1, 5, 2, 7, 4];

fn batches() -> Vec<Vec<String>> {
    let mut next = 0;
    let sized = SIZES.map(|size| {
        next += size;
        values(next - size..next)
    });
    sized.to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stored_batch_is_answered_once_in_order() {
    let (_folder, node, client) = with_topic("log", 1).await;
    create_module(&client, "one", ONE_PER_BATCH).await;
    for compression in [Compression::None, Compression::Zstd] {
        produce(&client, "log", &batches(), compression).await;
    }
    let mut expected = Vec::new();
    let mut base = 0;
    for size in SIZES.iter().chain(&SIZES) {
        expected.push((base, *size as i32));
        base += *size as i64;
    }
    for invocation in [predefined("one"), ad_hoc(ONE_PER_BATCH)] {
        let config = through(vec![invocation.clone()], "log", Offset::beginning());
        let found = answers(&client, &config, expected.len()).await;
        assert_eq!(found.iter().map(|it| (it.1, it.2)).collect::<Vec<_>>(), expected);
        // The client numbers output from the first batch's base on.
        assert_eq!(found.iter().map(|it| it.0).collect::<Vec<_>>(), (0..12).collect::<Vec<_>>());

        // From a batch's first offset on, and with room for one answer at a time.
        for (at, &(base, _)) in expected.iter().enumerate() {
            let mut config = through(vec![invocation.clone()], "log", Offset::absolute(base).unwrap());
            config.max_bytes(30);
            let found = answers(&client, &config, expected.len() - at).await;
            assert_eq!(found.iter().map(|it| (it.1, it.2)).collect::<Vec<_>>(), expected[at..], "from {base}");
            assert_eq!(
                found.iter().map(|it| it.0).collect::<Vec<_>>(),
                found.iter().map(|it| it.1).collect::<Vec<_>>()
            );
        }
    }
    // From inside a batch the module is given the whole of it; the client leaves out what it numbers below its start.
    let config = through(vec![predefined("one")], "log", Offset::absolute(1).unwrap());
    assert_eq!(answers(&client, &config, 1).await[0], (1, 3, 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_with_what_comes() {
    let (_folder, node, client) = with_topic("log", 1).await;
    let config = through(vec![ad_hoc(ONE_PER_BATCH)], "log", Offset::beginning());
    let mut stream = within(client.consumer_with_config(config.build().unwrap())).await.unwrap();
    for round in 0..10 {
        produce(&client, "log", &[values(0..2)], Compression::None).await;
        let (offset, _, _) = take(&mut stream, 1).await.remove(0);
        assert_eq!(offset, round * 2);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_fit_is_an_error_and_not_a_gap() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &batches(), Compression::None).await;
    let mut config = through(vec![ad_hoc(ONE_PER_BATCH)], "log", Offset::beginning());
    config.max_bytes(20);
    let error = error_of(&client, &config).await;
    assert!(error.contains("raise max_bytes") && error.contains("offset 0"), "{error}");
    node.stop().await;
}

/// Answers nothing for batches of more than two records.
fn picky() -> String {
    ONE_PER_BATCH.replace(
        "(call $copy_records",
        "(if (i32.gt_u (i32.load8_u (i32.const 21)) (i32.const 2))
           (then (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 0))
                 (call $copy_records (i32.const 32) (i32.const 5)) (return (i32.const 0))))
         (call $copy_records",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_without_an_answer_are_passed_over() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &batches(), Compression::None).await;
    let config = through(vec![ad_hoc(&picky())], "log", Offset::beginning());
    let config = config.build().unwrap();
    let mut stream = within(client.consumer_with_config(config)).await.unwrap();
    // The batches of one (base 3) and of two (base 9).
    assert_eq!(take(&mut stream, 2).await.iter().map(|it| it.0).collect::<Vec<_>>(), [3, 4]);
    produce(&client, "log", &[values(0..9), values(0..2)], Compression::None).await;
    // 22 and 9 records have gone by.
    assert_eq!(take(&mut stream, 1).await[0].0, 31);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_run_in_order() {
    let (_folder, node, client) = with_topic("log", 1).await;
    create_module(&client, "one", ONE_PER_BATCH).await;
    produce(&client, "log", &[values(0..5)], Compression::None).await;
    let config = through(vec![predefined("one"), predefined("one")], "log", Offset::beginning());
    // The second is given the one record of the first.
    assert_eq!(answers(&client, &config, 1).await, [(0, 0, 1)]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_cannot_run_are_named() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &[values(0..5)], Compression::None).await;
    let trap = ONE_PER_BATCH.replace("(call $copy_records", "unreachable (call $copy_records");
    let kindless = ONE_PER_BATCH.replace("\"array_map\"", "\"something\"");
    let refuses = format!(
        "{} (func (export \"init\") (param i32 i32 i32) (result i32) (i32.const -1)))",
        ONE_PER_BATCH.trim_end().strip_suffix(')').unwrap()
    );
    let cases = [
        (predefined("absent"), "SmartModule absent was not found"),
        (ad_hoc(&trap), "SmartModule err"),
        (ad_hoc(&kindless), "Error initializing"),
        (ad_hoc(&refuses), "Error initializing"),
    ];
    for (invocation, wanted) in cases {
        let config = through(vec![invocation], "log", Offset::beginning());
        let error = error_of(&client, &config).await;
        assert!(error.contains(wanted), "{error} does not say {wanted}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_are_listed_replaced_and_deleted() {
    let (_folder, node, client) = started().await;
    create_module(&client, "one", ONE_PER_BATCH).await;
    create_module(&client, "one", &picky()).await;
    create_module(&client, "two", ONE_PER_BATCH).await;
    let list = async || within(admin(&client).await.all::<SmartModuleSpec>()).await.unwrap();
    assert_eq!(list().await.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    within(admin(&client).await.delete::<SmartModuleSpec>("one")).await.unwrap();
    assert_eq!(list().await.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["two"]);
    let error = within(admin(&client).await.delete::<SmartModuleSpec>("one")).await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
    for name in ["", "../up", ".hidden", "a/b"] {
        let spec = SmartModuleSpec::default();
        within(admin(&client).await.create(name.to_owned(), false, spec)).await.unwrap_err();
    }
    let error = within(admin(&client).await.create("bad".to_owned(), false, SmartModuleSpec::default())).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("not gzip"), "{error}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_s_modules_transform_what_is_stored() {
    let (_folder, node, client) = with_topic("log", 1).await;
    let config = TopicProducerConfigBuilder::default()
        .linger(std::time::Duration::from_secs(3600))
        .smartmodules(vec![ad_hoc(ONE_PER_BATCH)])
        .build()
        .unwrap();
    let producer = within(client.topic_producer_with_config("log", config)).await.unwrap();
    for _ in 0..3 {
        for value in values(0..4) {
            producer.send(RecordKey::NULL, value).await.unwrap();
        }
        within(producer.flush()).await.unwrap();
    }
    let mut stream =
        within(client.consumer_with_config(from("log", 0, Offset::beginning()).build().unwrap())).await.unwrap();
    // One record for every four, at dense offsets.
    let seen = take(&mut stream, 3).await;
    assert_eq!(seen.iter().map(|it| it.0).collect::<Vec<_>>(), [0, 1, 2]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_partition_is_told_as_the_spu_tells_it() {
    let folder = TempDir::new().unwrap();
    let node = Running::start(folder.path()).await;
    let mut socket = crate::hostile::Socket::connect(&node.spu_address).await;
    let request = StreamFetchRequest::<RecordSet>::builder().topic("absent").build().unwrap();
    let response = within(socket.ask(&request)).await;
    assert_eq!((response.stream_id, response.partition.error_code), (0, ErrorCode::NotLeaderForPartition));
    node.stop().await;
}

/// [`ONE_PER_BATCH`] with, in place of the number of records, how often it has been called.
fn counting() -> String {
    let counted = ONE_PER_BATCH.replace(
        "(i32.store (i32.const 18) (i32.load (i32.add (local.get $ptr) (i32.const 12))))",
        "(i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
         (i32.store (i32.const 18) (i32.const 0)) (i32.store8 (i32.const 21) (i32.load8_u (i32.const 100)))",
    );
    assert_ne!(counted, ONE_PER_BATCH);
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_with_state_sees_each_batch_once_whatever_fits() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &batches(), Compression::None).await;
    for max_bytes in [30, 50, 75, 1_000_000] {
        let mut config = through(vec![ad_hoc(&counting())], "log", Offset::beginning());
        config.max_bytes(max_bytes);
        let calls: Vec<i32> = answers(&client, &config, SIZES.len()).await.into_iter().map(|it| it.2).collect();
        assert_eq!(calls, (1..=SIZES.len() as i32).collect::<Vec<_>>(), "at most {max_bytes} bytes");
    }
    node.stop().await;
}

/// [`ONE_PER_BATCH`] with these bytes as the answer to each batch.
fn answering(answer: &[u8]) -> String {
    let data: String = answer.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let export = "(func (export \"array_map\")";
    let wat = ONE_PER_BATCH.replace(export, &format!("(data (i32.const 1000) \"{data}\") {export}"));
    wat.replace("(i32.const 0) (i32.const 24)", &format!("(i32.const 1000) (i32.const {})", answer.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_several_batches_is_measured_as_it_is_sent() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &[values(0..1_000), values(1_000..2_000), values(2_000..3_000)], Compression::None).await;
    // Eight empty records of seven bytes for each batch; of a later batch eight, since their offsets take two bytes.
    let answer = [&[0, 0, 0, 8][..], &[12, 0, 0, 0, 0, 0, 0].repeat(8), &[0]].concat();
    let wat = answering(&answer);
    let mut socket = crate::hostile::Socket::connect(&node.spu_address).await;
    for (max_bytes, records) in [(60, 8), (127, 8), (128, 16), (195, 16), (196, 24)] {
        let request = StreamFetchRequest::<RecordSet>::builder()
            .topic("log")
            .max_bytes(max_bytes)
            .smartmodules(vec![ad_hoc(&wat)])
            .build()
            .unwrap();
        let response = within(socket.ask(&request)).await;
        let batch = &response.partition.records.batches[0];
        assert_eq!((response.partition.records.batches.len(), batch.records().len()), (1, records), "{max_bytes}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn look_back_shows_the_newest_records() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &batches(), Compression::Gzip).await;
    // Says how many records it was shown, in place of how many there are.
    let looks = ONE_PER_BATCH.replace("(i32.add (local.get $ptr) (i32.const 12))", "(i32.const 200)").replace(
        "(func (export \"array_map\")",
        "(func (export \"look_back\") (param $ptr i32) (param i32 i32) (result i32)
               (i32.store (i32.const 200) (i32.load (i32.add (local.get $ptr) (i32.const 12)))) (i32.const 0))
             (func (export \"array_map\")",
    );
    for (last, shown) in [(0, 0), (1, 1), (5, 5), (12, 12), (1_000, 22)] {
        let mut invocation = ad_hoc(&looks);
        invocation.params.set_lookback(Some(Lookback::last(last)));
        let config = through(vec![invocation], "log", Offset::beginning());
        assert_eq!(answers(&client, &config, 1).await[0].2, shown, "last {last}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_record_ends_its_batch_and_not_the_stream() {
    let (_folder, node, client) = with_topic("log", 1).await;
    produce(&client, "log", &batches(), Compression::None).await;
    for passed in [Vec::new(), vec![Record::new("passed")]] {
        let error = SmartModuleTransformRuntimeError { hint: "no good".into(), ..Default::default() };
        let mut answer = Vec::new();
        passed.encode(&mut answer, 25).unwrap();
        Some(error).encode(&mut answer, 25).unwrap();
        let config = through(vec![ad_hoc(&answering(&answer))], "log", Offset::beginning());
        let mut stream = within(client.consumer_with_config(config.build().unwrap())).await.unwrap();
        for batch in 0..SIZES.len() {
            if !passed.is_empty() {
                assert_eq!(take(&mut stream, 1).await[0].2, "passed", "batch {batch}");
            }
            let error = within(stream.next()).await.unwrap().err().expect("an error").to_string();
            assert!(error.contains("no good"), "{error}");
        }
    }
    node.stop().await;
}
