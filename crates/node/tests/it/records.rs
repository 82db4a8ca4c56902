//! Produce and consume.

use fluvio::{Compression, Isolation, Offset, RecordKey};
use tempfile::TempDir;

use crate::support::{Running, consume, create_topic, error_of, from, produce, seen, take, values, with_topic, within};

#[tokio::test(flavor = "multi_thread")]
async fn every_start_offset_gives_the_rest_of_the_log() {
    let (_folder, node, client) = with_topic("numbers", 1).await;
    let batches = [values(0..3), values(3..4), values(4..9)];
    produce(&client, "numbers", &batches, Compression::None).await;
    for start in 0..9 {
        for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
            let mut config = from("numbers", 0, Offset::absolute(start as i64).unwrap());
            config.isolation(isolation);
            assert_eq!(consume(&client, &config, 9 - start).await, seen(start..9), "from {start}");
        }
    }
    assert_eq!(consume(&client, &from("numbers", 0, Offset::from_beginning(7)), 2).await, seen(7..9));
    assert_eq!(consume(&client, &from("numbers", 0, Offset::from_end(4)), 4).await, seen(5..9));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_compressions_keep_records() {
    let (_folder, node, client) = with_topic("packed", 1).await;
    let all = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for (at, compression) in all.into_iter().enumerate() {
        produce(&client, "packed", &[values(at * 100..at * 100 + 100)], compression).await;
    }
    assert_eq!(consume(&client, &from("packed", 0, Offset::beginning()), 500).await, seen(0..500));
    assert_eq!(consume(&client, &from("packed", 0, Offset::absolute(350).unwrap()), 150).await, seen(350..500));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_choose_partitions_and_stay() {
    let (_folder, node, client) = with_topic("keyed", 4).await;
    let producer = within(client.topic_producer("keyed")).await.unwrap();
    for n in 0..200 {
        producer.send(format!("key-{}", n % 20), format!("{n}")).await.unwrap();
    }
    within(producer.flush()).await.unwrap();
    let mut found = Vec::new();
    let mut config = fluvio::consumer::ConsumerConfigExt::builder();
    config.topic("keyed").offset_start(Offset::beginning()).retry_mode(fluvio::consumer::RetryMode::Disabled);
    found.extend(consume(&client, &config, 200).await);
    let mut numbers: Vec<usize> = found.iter().map(|(_, _, value)| value.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    for (_, key, value) in found {
        let number: usize = value.parse().unwrap();
        assert_eq!(key, Some(format!("key-{}", number % 20)));
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_wait_get_what_comes() {
    let (_folder, node, client) = with_topic("live", 1).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let config = from("live", 0, Offset::end()).build().unwrap();
        streams.push(within(client.consumer_with_config(config)).await.unwrap());
    }
    for round in 0..20 {
        produce(&client, "live", &[values(round..round + 1)], Compression::None).await;
        for stream in &mut streams {
            assert_eq!(take(stream, 1).await, seen(round..round + 1));
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_byte_limit_loses_nothing() {
    let (_folder, node, client) = with_topic("large", 1).await;
    let batches: Vec<_> = (0..40).map(|at| values(at * 50..at * 50 + 50)).collect();
    produce(&client, "large", &batches, Compression::None).await;
    for max_bytes in [1, 100, 1_000, 3_000, 100_000] {
        let mut config = from("large", 0, Offset::beginning());
        config.max_bytes(max_bytes);
        assert_eq!(consume(&client, &config, 2_000).await, seen(0..2_000), "at most {max_bytes} bytes");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_ends_where_it_ended() {
    let (_folder, node, client) = with_topic("backlog", 1).await;
    let batches: Vec<_> = (0..10).map(|at| values(at * 10..at * 10 + 10)).collect();
    produce(&client, "backlog", &batches, Compression::None).await;
    let mut config = from("backlog", 0, Offset::beginning());
    config.disable_continuous(true).max_bytes(500);
    let mut stream = within(client.consumer_with_config(config.build().unwrap())).await.unwrap();
    assert_eq!(take(&mut stream, 100).await, seen(0..100));
    assert!(within(futures_util::StreamExt::next(&mut stream)).await.is_none());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once() {
    let folder = TempDir::new().unwrap();
    let node = Running::start(folder.path()).await;
    let first = node.client().await;
    let mut work = Vec::new();
    for number in 0..8 {
        let name = format!("topic-{number}");
        create_topic(&first, &name, 2).await;
        let client = node.client().await;
        work.push(tokio::spawn(async move {
            let producer = within(client.topic_producer(name.clone())).await.unwrap();
            for n in 0..500 {
                producer.send(RecordKey::NULL, format!("{n}")).await.unwrap();
            }
            within(producer.flush()).await.unwrap();
            let mut config = fluvio::consumer::ConsumerConfigExt::builder();
            config.topic(name).offset_start(Offset::beginning()).retry_mode(fluvio::consumer::RetryMode::Disabled);
            let mut numbers: Vec<usize> =
                consume(&client, &config, 500).await.into_iter().map(|(_, _, value)| value.parse().unwrap()).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        }));
    }
    for one in work {
        within(one).await.unwrap();
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consumer_offsets_are_refused() {
    let (_folder, node, client) = with_topic("plain", 1).await;
    let mut config = from("plain", 0, Offset::beginning());
    config.offset_consumer("me");
    let error = error_of(&client, &config).await;
    assert!(error.contains("keeps no consumer offsets"), "{error}");
    let error = within(client.consumer_offsets()).await.unwrap_err().to_string();
    assert!(error.contains("keeps no consumer offsets"), "{error}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_behind_the_end_is_an_error() {
    use fluvio::dataplane::record::RecordSet;
    use fluvio_spu_schema::server::stream_fetch::StreamFetchRequest;

    let (_folder, node, client) = with_topic("short", 1).await;
    produce(&client, "short", &[values(0..3)], Compression::None).await;
    // The client keeps offsets within the log, so this one goes around it.
    let mut socket = crate::hostile::Socket::connect(&node.spu_address).await;
    for (offset, wanted) in [(4i64, "start offset: 4 is greater than leo: 3"), (-1, "OffsetEvicted")] {
        let request = StreamFetchRequest::<RecordSet>::builder().topic("short").fetch_offset(offset).build().unwrap();
        let response = within(socket.ask(&request)).await;
        let code = format!("{:?}", response.partition.error_code);
        assert!(code.contains(wanted), "{code}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_megabytes_goes_through_whole() {
    let (_folder, node, client) = with_topic("huge", 1).await;
    let config = fluvio::TopicProducerConfigBuilder::default()
        .batch_size(40 * 1024 * 1024)
        .max_request_size(40 * 1024 * 1024)
        .timeout(crate::support::TIMEOUT)
        .build()
        .unwrap();
    let producer = within(client.topic_producer_with_config("huge", config)).await.unwrap();
    let value = "x".repeat(32 * 1024 * 1024);
    let sent = producer.send(RecordKey::NULL, value.clone()).await.unwrap();
    within(producer.flush()).await.unwrap();
    within(sent.wait()).await.unwrap();
    produce(&client, "huge", &[values(1..2)], Compression::None).await;
    let found = consume(&client, &from("huge", 0, Offset::beginning()), 2).await;
    assert!(found[0].2 == value && found[1] == (1, None, "value-1".to_owned()));
    node.stop().await;
}
