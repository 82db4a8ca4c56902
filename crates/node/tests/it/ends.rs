//! Connections that end, or do not read: what was stored is acknowledged, and others go on.

use fluvio::dataplane::api::ResponseMessage;
use fluvio::dataplane::link::ErrorCode;
use fluvio::{Compression, Offset};
use fluvio_spu_schema::produce::ProduceResponse;
use fluvio_spu_schema::server::stream_fetch::StreamFetchRequest;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::hostile::{Raw, Socket, batch_of, bounds, frame, request};
use crate::support::{Running, consume, create_topic, from, produce, values, with_topic, within};

/// The next answer to a produce request; `None` once the connection has ended.
async fn acknowledged(from: &mut (impl AsyncRead + Unpin)) -> Option<ErrorCode> {
    let length = within(from.read_i32()).await.ok()?;
    let mut bytes = vec![0; length as usize];
    within(from.read_exact(&mut bytes)).await.expect("an answer is whole");
    let response = ResponseMessage::<ProduceResponse>::decode_from(&mut bytes.as_slice(), 25).unwrap().response;
    Some(response.responses[0].partitions[0].error_code.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_end_of_a_connection_is_answered() {
    let (_folder, node, _client) = with_topic("target", 1).await;
    let good = frame(&request(batch_of(values(0..5), Compression::None)));
    // The client closes its side; or sends what cannot be understood.
    for last in [&[][..], &[0xff; 4], &[0, 0, 0, 3, 1, 2, 3]] {
        let before = bounds(&node, "target").await.1;
        let mut socket = Socket::connect(&node.spu_address).await;
        socket.0.write_all(&[good.repeat(20), last.to_vec()].concat()).await.unwrap();
        if last.is_empty() {
            socket.0.shutdown().await.unwrap();
        }
        let mut answers = 0;
        while let Some(code) = acknowledged(&mut socket.0).await {
            assert_eq!(code, ErrorCode::None);
            answers += 1;
        }
        assert_eq!((answers, bounds(&node, "target").await.1 - before), (20, 100), "then {last:?}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_acknowledges_all_that_it_stored() {
    let folder = TempDir::new().unwrap();
    let mut stored = 0;
    for round in 0..5 {
        let node = Running::start(folder.path()).await;
        if round == 0 {
            create_topic(&node.client().await, "target", 1).await;
        }
        let (mut read, mut write) = Socket::connect(&node.spu_address).await.0.into_split();
        let good = frame(&request(batch_of(values(0..5), Compression::None)));
        let writer = tokio::spawn(async move { while write.write_all(&good).await.is_ok() {} });
        for _ in 0..100 {
            assert_eq!(acknowledged(&mut read).await, Some(ErrorCode::None));
            stored += 5;
        }
        let reader = tokio::spawn(async move {
            let mut more = 0;
            while let Some(code) = acknowledged(&mut read).await {
                assert_eq!(code, ErrorCode::None);
                more += 5;
            }
            more
        });
        node.stop().await;
        stored += within(reader).await.unwrap();
        within(writer).await.unwrap();
        let node = Running::start(folder.path()).await;
        assert_eq!(bounds(&node, "target").await.1, stored, "round {round}");
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_hinders_no_other() {
    let (_folder, node, client) = with_topic("target", 1).await;
    // More than any socket holds.
    let large: Vec<Vec<String>> = (0..24).map(|at| vec![format!("{at}-{}", "x".repeat(900_000))]).collect();
    produce(&client, "target", &large, Compression::None).await;
    let mut deaf = Socket::connect(&node.spu_address).await;
    let stream = frame(&StreamFetchRequest::<Raw>::builder().topic("target").build().unwrap());
    deaf.0.write_all(&stream.repeat(50)).await.unwrap();
    // It is being written to.
    within(deaf.0.readable()).await.unwrap();
    let seen = consume(&client, &from("target", 0, Offset::beginning()), 24).await;
    assert!(seen.iter().zip(&large).all(|(seen, sent)| seen.2 == sent[0]), "all of it, in order");
    produce(&client, "target", &[values(0..3)], Compression::None).await;
    create_topic(&client, "another", 1).await;
    assert_eq!(consume(&client, &from("target", 0, Offset::absolute(24).unwrap()), 3).await.len(), 3);
    // Nor does it keep the node.
    node.stop().await;
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_end_are_refused() {
    let (_folder, node, client) = with_topic("target", 1).await;
    let request =
        StreamFetchRequest::<fluvio::dataplane::record::RecordSet>::builder().topic("target").build().unwrap();
    let mut socket = Socket::connect(&node.spu_address).await;
    // The log is empty: a stream that is there says nothing.
    socket.0.write_all(&frame(&request).repeat(4096)).await.unwrap();
    let refused = within(socket.ask(&request)).await.partition.error_code;
    assert!(matches!(&refused, ErrorCode::Other(reason) if reason.contains("4096")), "{refused:?}");
    // Those that are there go on.
    produce(&client, "target", &[values(0..1)], Compression::None).await;
    let bytes = within(socket.receive()).await;
    assert!(bytes.windows(7).any(|bytes| bytes == b"value-0"));
    node.stop().await;
}
