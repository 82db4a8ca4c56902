//! Bytes that no client would send: the node refuses them, or closes the connection, and goes on for others.

use std::time::Duration;

use fluvio::dataplane::Encoder;
use fluvio::dataplane::api::{Request, RequestHeader, ResponseMessage};
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::{Batch, RawRecords, Record};
use fluvio::metadata::smartmodule::{SmartModuleSpec, SmartModuleWasm, SmartModuleWasmFormat};
use fluvio::metadata::topic::{Bounds, Deduplication, Filter, TopicSpec, Transform};
use fluvio::{Compression, Offset};
use fluvio_sc_schema::TryEncodableFrom;
use fluvio_sc_schema::objects::{CommonCreateRequest, CreateRequest, ObjectApiCreateRequest};
use fluvio_smartmodule::dataplane::smartmodule::Lookback;
use fluvio_spu_schema::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use fluvio_spu_schema::server::stream_fetch::StreamFetchRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{ONE_PER_BATCH, Running, ad_hoc, consume, from, produce, values, with_topic, within};

/// A client of frames.
pub(crate) struct Socket(pub(crate) TcpStream);

impl Socket {
    pub(crate) async fn connect(address: &str) -> Self {
        Self(within(TcpStream::connect(address)).await.unwrap())
    }

    /// Sends a request and gives the first response.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        self.0.write_all(&frame(request)).await.unwrap();
        let bytes = self.receive().await;
        ResponseMessage::<R::Response>::decode_from(&mut bytes.as_slice(), R::DEFAULT_API_VERSION).unwrap().response
    }

    /// The next frame.
    pub(crate) async fn receive(&mut self) -> Vec<u8> {
        let length = self.0.read_i32().await.unwrap();
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }
}

/// Where a topic's partition 0 begins and ends.
pub(crate) async fn bounds(node: &Running, topic: &str) -> (i64, i64) {
    let mut socket = Socket::connect(&node.spu_address).await;
    let found = within(socket.ask(&FetchOffsetsRequest::new(topic.into(), 0))).await;
    let partition = &found.topics[0].partitions[0];
    (partition.start_offset, partition.last_stable_offset)
}

/// A request with its header and length.
pub(crate) fn frame<R: Request>(request: &R) -> Vec<u8> {
    let mut header = RequestHeader::new(R::API_KEY);
    header.set_api_version(R::DEFAULT_API_VERSION).set_correlation_id(7);
    let mut bytes = vec![0; 4];
    header.encode(&mut bytes, 0).unwrap();
    request.encode(&mut bytes, R::DEFAULT_API_VERSION).unwrap();
    let length = bytes.len() as i32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A record set of raw bytes, encoded as given.
#[derive(Debug, Default, Clone)]
pub(crate) struct Raw(Vec<u8>);

impl Encoder for Raw {
    fn write_size(&self, _: i16) -> usize {
        4 + self.0.len()
    }

    fn encode<T: bytes::BufMut>(&self, dest: &mut T, _: i16) -> Result<(), std::io::Error> {
        dest.put_i32(self.0.len() as i32);
        dest.put_slice(&self.0);
        Ok(())
    }
}

impl fluvio::dataplane::Decoder for Raw {
    fn decode<T: bytes::Buf>(&mut self, _: &mut T, _: i16) -> Result<(), std::io::Error> {
        Err(std::io::Error::other("never decoded"))
    }
}

/// A produce request to partition 0 of the topic `target`.
pub(crate) fn request(records: Vec<u8>) -> ProduceRequest<Raw> {
    let partition = PartitionProduceData { partition_index: 0, records: Raw(records) };
    let topic = TopicProduceData { name: "target".into(), partitions: vec![partition], ..Default::default() };
    ProduceRequest { topics: vec![topic], ..Default::default() }
}

fn batch(compression: Compression) -> Vec<u8> {
    batch_of(values(0..5), compression)
}

/// A batch as a client sends it.
pub(crate) fn batch_of(values: Vec<String>, compression: Compression) -> Vec<u8> {
    let mut batch = Batch::from(values.into_iter().map(Record::new).collect::<Vec<_>>());
    batch.header.set_compression(compression);
    let raw = Batch::<RawRecords>::try_from(batch).unwrap();
    let mut bytes = Vec::new();
    raw.encode(&mut bytes, 0).unwrap();
    bytes
}

/// Makes the CRC right again after a change behind it.
fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// What the node answers to a batch.
pub(crate) async fn produced(socket: &mut Socket, records: Vec<u8>) -> ErrorCode {
    let response = within(socket.ask(&request(records))).await;
    response.responses[0].partitions[0].error_code.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_wrong_anywhere_is_refused_whole() {
    let (_folder, node, client) = with_topic("target", 1).await;
    let mut socket = Socket::connect(&node.spu_address).await;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let good = batch(compression);
        // Cut off anywhere, and any single bit behind the base offset that the CRC or a length covers.
        for cut in 1..good.len() {
            assert_ne!(produced(&mut socket, good[..cut].to_vec()).await, ErrorCode::None, "cut at {cut}");
        }
        for at in (8..12).chain(16..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_ne!(produced(&mut socket, bad).await, ErrorCode::None, "{compression}: byte {at}");
        }
        // A sound checksum over senseless contents.
        for at in 23..27 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_ne!(produced(&mut socket, sealed(bad)).await, ErrorCode::None, "{compression}: count {at}");
        }
        let mut bad = good.clone();
        bad[22] = 7;
        assert_eq!(produced(&mut socket, sealed(bad)).await, ErrorCode::CompressionError);
        let mut bad = good.clone();
        bad[22] |= 0x10;
        assert!(matches!(produced(&mut socket, sealed(bad)).await, ErrorCode::Other(text) if text.contains("schema")));
        // A good batch before a bad one is not stored either.
        let mut pair = good.clone();
        pair.extend_from_slice(&good[..good.len() - 1]);
        assert_ne!(produced(&mut socket, pair).await, ErrorCode::None);
    }
    assert_eq!(produced(&mut socket, batch(Compression::Lz4)).await, ErrorCode::None);
    assert_eq!(consume(&client, &from("target", 0, Offset::beginning()), 5).await.len(), 5);
    assert_eq!(bounds(&node, "target").await, (0, 5));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senseless_frames_end_their_own_connection_only() {
    let (_folder, node, client) = with_topic("target", 1).await;
    let mut frames: Vec<Vec<u8>> = vec![
        (-1i32).to_be_bytes().to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        [&3i32.to_be_bytes()[..], b"abc"].concat(),
        [&0i32.to_be_bytes()[..], b""].concat(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    // Every key with every version, and bodies of ones, of zeros, and of great lengths.
    for key in [0u16, 1, 18, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 2000, 4711] {
        for version in [-1i16, 0, 1, 11, 15, 19, 23, 25, 26, i16::MAX] {
            for body in [&[0u8; 64][..], &[1; 64], &[0xff; 64], &[0x7f; 64], &[]] {
                let mut frame = Vec::new();
                frame.extend_from_slice(&key.to_be_bytes());
                frame.extend_from_slice(&version.to_be_bytes());
                frame.extend_from_slice(&[0, 0, 0, 1, 0, 1, b'x']);
                frame.extend_from_slice(body);
                frames.push([&(frame.len() as i32).to_be_bytes()[..], &frame].concat());
            }
        }
    }
    for address in [&node.address, &node.spu_address] {
        for frame in &frames {
            let mut socket = Socket::connect(address).await;
            socket.0.write_all(frame).await.unwrap();
            socket.0.shutdown().await.unwrap();
            // An answer or none: the connection ends, since the client has.
            let mut rest = Vec::new();
            let _ = within(socket.0.read_to_end(&mut rest)).await;
        }
    }
    produce(&client, "target", &[values(0..3)], Compression::None).await;
    assert_eq!(consume(&client, &from("target", 0, Offset::beginning()), 3).await.len(), 3);
    node.stop().await;
}

/// Sends a frame and wants its connection closed without an answer.
async fn closes(address: &str, frame: &[u8], what: &str) {
    let mut socket = Socket::connect(address).await;
    socket.0.write_all(frame).await.unwrap();
    let mut rest = Vec::new();
    within(socket.0.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty(), "{what}: {rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_and_times_that_make_no_sense_end_their_own_connection_only() {
    let (_folder, node, client) = with_topic("target", 1).await;

    // A module whose payload says it has four gigabytes.
    let spec = SmartModuleSpec {
        wasm: SmartModuleWasm { format: SmartModuleWasmFormat::Binary, payload: b"payload".to_vec().into() },
        ..Default::default()
    };
    let create = CreateRequest::new(CommonCreateRequest { name: "one".into(), ..Default::default() }, spec);
    let create = ObjectApiCreateRequest::try_encode_from(create, ObjectApiCreateRequest::DEFAULT_API_VERSION).unwrap();
    let bytes = changed(frame(&create), &[&7u32.to_be_bytes()[..], b"payload"].concat(), &[0xff; 4]);
    closes(&node.address, &bytes, "a payload's length").await;

    // A look-back, and a deduplication, over more seconds than there are.
    let age = Duration::new(0x0123_4567_89ab_cdef, 0);
    let known = [&0x0123_4567_89ab_cdef_u64.to_be_bytes()[..], &[0; 4]].concat();
    let mut module = ad_hoc(ONE_PER_BATCH);
    module.params.set_lookback(Some(Lookback::age(age, None)));
    let stream =
        StreamFetchRequest::<Raw>::builder().topic("target").smartmodules(vec![module.clone()]).build().unwrap();
    closes(&node.spu_address, &changed(frame(&stream), &known, &[0xff; 12]), "a stream's look-back").await;
    let shown = ProduceRequest { smartmodules: vec![module], ..request(batch(Compression::None)) };
    closes(&node.spu_address, &changed(frame(&shown), &known, &[0xff; 12]), "a producer's look-back").await;
    let mut topic = TopicSpec::new_computed(1, 1, None);
    topic.set_deduplication(Some(Deduplication {
        bounds: Bounds { count: 1, age: Some(age) },
        filter: Filter { transform: Transform { uses: "filter".into(), with: Default::default() } },
    }));
    let create = CreateRequest::new(CommonCreateRequest { name: "two".into(), ..Default::default() }, topic);
    let create = ObjectApiCreateRequest::try_encode_from(create, ObjectApiCreateRequest::DEFAULT_API_VERSION).unwrap();
    closes(&node.address, &changed(frame(&create), &known, &[0xff; 12]), "a topic's deduplication").await;

    produce(&client, "target", &[values(0..3)], Compression::None).await;
    assert_eq!(consume(&client, &from("target", 0, Offset::beginning()), 3).await.len(), 3);
    node.stop().await;
}

/// Puts `other` where `known`, which stands in it once, begins.
fn changed(mut bytes: Vec<u8>, known: &[u8], other: &[u8]) -> Vec<u8> {
    let places: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(known)).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    bytes[places[0]..places[0] + other.len()].copy_from_slice(other);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_producer_says_of_offsets_means_nothing() {
    let (_folder, node, client) = with_topic("target", 1).await;
    let at = |base: i64| [&base.to_be_bytes()[..], &batch(Compression::None)[8..]].concat();
    let set = [at(i64::MAX), at(-2)].concat();
    let mut socket = Socket::connect(&node.spu_address).await;
    assert_eq!(produced(&mut socket, set.clone()).await, ErrorCode::None);
    let with_module = ProduceRequest { smartmodules: vec![ad_hoc(ONE_PER_BATCH)], ..request(set) };
    let response = within(socket.ask(&with_module)).await;
    let partition = &response.responses[0].partitions[0];
    assert_eq!((partition.error_code.clone(), partition.base_offset), (ErrorCode::None, 10));
    assert_eq!(consume(&client, &from("target", 0, Offset::beginning()), 12).await[11].0, 11);
    node.stop().await;
}
