//! What is there after an end, a kill, a torn tail; two nodes on one folder.

use std::path::Path;
use std::process::Stdio;

use fluvio::config::FluvioClusterConfig;
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::TopicSpec;
use fluvio::{Compression, Fluvio, Offset};
use isotherm_node::{Config, Node, NodeError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::hostile::{Socket, batch_of, bounds, frame, request};
use crate::limits::{address, command};
use crate::support::{
    ONE_PER_BATCH, Running, admin, consume, create_module, create_topic, from, predefined, produce, seen, through,
    values, with_topic, within,
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart_and_offsets_go_on() {
    let folder = TempDir::new().unwrap();
    for round in 0..3 {
        let node = Running::start(folder.path()).await;
        let client = node.client().await;
        if round == 0 {
            create_topic(&client, "kept", 1).await;
            create_module(&client, "one", ONE_PER_BATCH).await;
        }
        produce(&client, "kept", &[values(round * 10..round * 10 + 10)], Compression::Gzip).await;
        let count = round * 10 + 10;
        assert_eq!(consume(&client, &from("kept", 0, Offset::beginning()), count).await, seen(0..count));
        let config = through(vec![predefined("one")], "kept", Offset::beginning());
        assert_eq!(consume(&client, &config, round + 1).await.len(), round + 1);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_follow_one_another() {
    let folder = TempDir::new().unwrap();
    let mut config = Config::new(folder.path()).on_free_ports();
    config.segment_bytes = 2_000;
    let batches: Vec<_> = (0..60).map(|at| values(at * 10..at * 10 + 10)).collect();
    let expected = seen(0..600);
    let node = Running::start_with(config.clone()).await;
    let client = node.client().await;
    create_topic(&client, "rolled", 1).await;
    produce(&client, "rolled", &batches, Compression::None).await;
    assert_eq!(consume(&client, &from("rolled", 0, Offset::beginning()), 600).await, expected);
    node.stop().await;
    let files = std::fs::read_dir(folder.path().join("topics/rolled/0")).unwrap().count();
    assert!(files > 3, "{files} segments");
    let node = Running::start_with(config).await;
    let client = node.client().await;
    assert_eq!(consume(&client, &from("rolled", 0, Offset::beginning()), 600).await, expected);
    assert_eq!(consume(&client, &from("rolled", 0, Offset::absolute(355).unwrap()), 245).await, expected[355..]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_before_the_tail_stops_the_start() {
    let (folder, node, client) = with_topic("hurt", 1).await;
    produce(&client, "hurt", &[values(0..4), values(4..6)], Compression::None).await;
    node.stop().await;
    let segment = folder.path().join("topics/hurt/0").join(format!("{:020}.log", 0));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let error = Node::bind(Config::new(folder.path()).on_free_ports()).await.err().expect("it does not start");
    let text = error.to_string();
    assert!(text.contains("hurt-0") && text.contains("byte 16") && text.contains("offset 0"), "{text}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_on_the_same_folder_is_refused() {
    let folder = TempDir::new().unwrap();
    let node = Running::start(folder.path()).await;
    let error = Node::bind(Config::new(folder.path()).on_free_ports()).await.err().expect("it does not start");
    assert!(matches!(error, NodeError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    node.stop().await;
    Running::start(folder.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_made_and_half_deleted_topics_are_gone() {
    let folder = TempDir::new().unwrap();
    for leftover in ["topics/.new-x/0", "topics/.deleted-y/z/0"] {
        std::fs::create_dir_all(folder.path().join(leftover)).unwrap();
    }
    std::fs::create_dir_all(folder.path().join("modules")).unwrap();
    std::fs::write(folder.path().join("modules/.new-z"), b"half").unwrap();
    let node = Running::start(folder.path()).await;
    for folder in [folder.path().join("topics"), folder.path().join("modules")] {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    }
    node.stop().await;
}

/// Starts the program and gives its address once it says it.
async fn program(folder: &Path) -> (Child, String) {
    let mut child = command(folder, "").spawn().unwrap();
    let address = address(&mut child).await;
    (child, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_said_and_cut_and_the_rest_is_served() {
    let (folder, node, client) = with_topic("torn", 1).await;
    produce(&client, "torn", &[values(0..4), values(4..6)], Compression::None).await;
    node.stop().await;
    let segment = folder.path().join("topics/torn/0").join(format!("{:020}.log", 0));
    let whole = std::fs::read(&segment).unwrap();
    let last = u32::from_be_bytes(whole[16..20].try_into().unwrap()) as usize + 24;
    std::fs::write(&segment, &whole[..whole.len() - 5]).unwrap();
    let mut child = command(folder.path(), "").stderr(Stdio::piped()).spawn().unwrap();
    address(&mut child).await;
    child.start_kill().unwrap();
    let said = within(child.wait_with_output()).await.unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    let bytes = format!("bytes={}", whole.len() - 5 - last);
    for part in ["cut a torn tail", "partition=torn-0", "offset=4", &bytes] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(std::fs::read(&segment).unwrap(), whole[..last]);
    let node = Running::start(folder.path()).await;
    let client = node.client().await;
    produce(&client, "torn", &[values(4..5)], Compression::None).await;
    assert_eq!(consume(&client, &from("torn", 0, Offset::beginning()), 5).await, seen(0..5));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_partition_stops_the_start() {
    let folder = TempDir::new().unwrap();
    let node = Running::start(folder.path()).await;
    create_topic(&node.client().await, "hurt", 2).await;
    node.stop().await;
    std::fs::remove_dir_all(folder.path().join("topics/hurt/1")).unwrap();
    let error = Node::bind(Config::new(folder.path()).on_free_ports()).await.err().expect("it does not start");
    let text = error.to_string();
    assert!(text.contains("hurt-1") && text.contains("folder is missing"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_under_load_has_all_that_it_acknowledged_in_order() {
    let folder = TempDir::new().unwrap();
    let mut expected: Vec<String> = Vec::new();
    for round in 0..5 {
        let (mut child, address) = program(folder.path()).await;
        let client = within(Fluvio::connect_with_config(&FluvioClusterConfig::new(address))).await.unwrap();
        if round == 0 {
            create_topic(&client, "target", 1).await;
        }
        let spus = within(admin(&client).await.all::<SpuSpec>()).await.unwrap();
        let (mut read, mut write) = Socket::connect(&spus[0].spec.public_endpoint.addr()).await.0.into_split();
        // Requests one behind the other without waiting, of several batches each.
        let sent = |at: usize| (0..3).map(move |batch| values(at * 30 + batch * 10..at * 30 + batch * 10 + 10));
        let first = expected.len() / 30;
        let writer = tokio::spawn(async move {
            for at in first.. {
                let set = sent(at).flat_map(|values| batch_of(values, Compression::None)).collect();
                if write.write_all(&frame(&request(set))).await.is_err() {
                    break;
                }
            }
        });
        let mut acknowledged = 0;
        while let Ok(length) = within(read.read_i32()).await {
            let mut answer = vec![0; length as usize];
            if within(read.read_exact(&mut answer)).await.is_err() {
                break;
            }
            acknowledged += 1;
            if acknowledged == 50 * (round + 1) {
                child.start_kill().unwrap();
            }
        }
        within(child.wait()).await.unwrap();
        within(writer).await.unwrap();
        assert!(acknowledged >= 50 * (round + 1));

        let node = Running::start(folder.path()).await;
        let client = node.client().await;
        let end = bounds(&node, "target").await.1 as usize;
        assert!(end >= expected.len() + acknowledged * 30, "{acknowledged} acknowledged, the log ends at {end}");
        let seen = consume(&client, &from("target", 0, Offset::beginning()), end).await;
        assert_eq!(within(admin(&client).await.all::<TopicSpec>()).await.unwrap().len(), 1);
        node.stop().await;
        let mut wanted = expected.clone();
        wanted.extend(values(first * 30..first * 30 + end - expected.len()));
        assert!(seen.iter().map(|it| &it.2).eq(&wanted), "round {round}: {end} records are not those that were sent");
        // The next round goes on with a whole request.
        expected = wanted;
        let missing = expected.len().next_multiple_of(30) - expected.len();
        if missing > 0 {
            let node = Running::start(folder.path()).await;
            let more = values(expected.len()..expected.len() + missing);
            produce(&node.client().await, "target", std::slice::from_ref(&more), Compression::None).await;
            expected.extend(more);
            node.stop().await;
        }
    }
}
