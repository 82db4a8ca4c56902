//! What the node's tests share: a node in a temporary folder, a client, a hand-written SmartModule.

use std::panic::Location;
use std::path::Path;
use std::time::Duration;

use fluvio::config::FluvioClusterConfig;
use fluvio::consumer::{ConsumerConfigExt, ConsumerConfigExtBuilder, ConsumerStream, RetryMode};
use fluvio::metadata::smartmodule::{SmartModuleSpec, SmartModuleWasm, SmartModuleWasmFormat};
use fluvio::metadata::topic::TopicSpec;
use fluvio::{
    Compression, Fluvio, FluvioAdmin, Offset, RecordKey, SmartModuleInvocation, SmartModuleInvocationWasm,
    TopicProducerConfigBuilder,
};
use futures_util::StreamExt;
use isotherm_node::{Config, Node};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for one event. A guard against hangs, not a bound on speed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A running node.
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) spu_address: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a node on free ports with its data in `folder`.
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(Config::new(folder).on_free_ports()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let node = Node::bind(config).await.expect("the node starts");
        let (address, spu_address) = (node.address().to_string(), node.spu_address().to_string());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            node.run(shutdown).await.expect("the node runs");
        });
        Self { address, spu_address, stop: Some(stop), task }
    }

    pub(crate) async fn client(&self) -> Fluvio {
        let config = FluvioClusterConfig::new(self.address.clone());
        within(Fluvio::connect_with_config(&config)).await.expect("the client connects")
    }

    /// Ends the node and waits until it has let go of its folder.
    pub(crate) async fn stop(mut self) {
        self.stop.take().expect("not yet stopped").send(()).expect("the node still runs");
        within(&mut self.task).await.expect("the node ends");
    }
}

/// A node in a folder of its own, and a client.
pub(crate) async fn started() -> (TempDir, Running, Fluvio) {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let node = Running::start(folder.path()).await;
    let client = node.client().await;
    (folder, node, client)
}

/// The same, with a topic.
pub(crate) async fn with_topic(name: &str, partitions: u32) -> (TempDir, Running, Fluvio) {
    let (folder, node, client) = started().await;
    create_topic(&client, name, partitions).await;
    (folder, node, client)
}

/// Waits for `work`; fails with the place of the call if it takes too long.
#[track_caller]
pub(crate) fn within<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let done = tokio::time::timeout(TIMEOUT, work).await;
        done.unwrap_or_else(|_| panic!("waited {TIMEOUT:?} for what {caller} waits for"))
    }
}

pub(crate) async fn admin(client: &Fluvio) -> FluvioAdmin {
    client.admin().await
}

pub(crate) async fn create_topic(client: &Fluvio, name: &str, partitions: u32) {
    let spec = TopicSpec::new_computed(partitions, 1, None);
    within(admin(client).await.create(name.to_owned(), false, spec)).await.expect("the topic is made");
}

/// Produces one batch per element, each value a record without a key.
pub(crate) async fn produce(client: &Fluvio, topic: &str, batches: &[Vec<String>], compression: Compression) {
    let config = TopicProducerConfigBuilder::default()
        .compression(compression)
        .batch_size(32 * 1024 * 1024)
        .linger(Duration::from_secs(3600))
        .build()
        .expect("a sound configuration");
    let producer = within(client.topic_producer_with_config(topic, config)).await.expect("a producer");
    for batch in batches {
        let mut sent = Vec::new();
        for value in batch {
            sent.push(producer.send(RecordKey::NULL, value.as_str()).await.expect("the record is taken"));
        }
        within(producer.flush()).await.expect("the batch is sent");
        for output in sent {
            within(output.wait()).await.expect("the batch is acknowledged");
        }
    }
}

pub(crate) fn values(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("value-{n}")).collect()
}

pub(crate) fn from(topic: &str, partition: u32, offset: Offset) -> ConsumerConfigExtBuilder {
    let mut builder = ConsumerConfigExt::builder();
    builder.topic(topic).partition(partition).offset_start(offset).retry_mode(RetryMode::Disabled);
    builder
}

/// The same from partition 0, through these modules.
pub(crate) fn through(modules: Vec<SmartModuleInvocation>, topic: &str, offset: Offset) -> ConsumerConfigExtBuilder {
    let mut builder = from(topic, 0, offset);
    builder.smartmodule(modules);
    builder
}

/// A record as a test compares it: offset, key, value.
pub(crate) type Seen = (i64, Option<String>, String);

/// The records of [`values`], in a log that begins with them.
pub(crate) fn seen(range: std::ops::Range<usize>) -> Vec<Seen> {
    range.map(|n| (n as i64, None, format!("value-{n}"))).collect()
}

/// Takes `count` records.
pub(crate) async fn consume(client: &Fluvio, config: &ConsumerConfigExtBuilder, count: usize) -> Vec<Seen> {
    let config = config.build().expect("a sound configuration");
    let mut stream = within(client.consumer_with_config(config)).await.expect("a stream");
    take(&mut stream, count).await
}

pub(crate) async fn take<S>(stream: &mut S, count: usize) -> Vec<Seen>
where
    S: ConsumerStream<Item = Result<fluvio::consumer::Record, fluvio::dataplane::link::ErrorCode>> + Unpin,
{
    let mut seen = Vec::new();
    while seen.len() < count {
        let record = within(stream.next()).await.expect("the stream goes on").expect("a record");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        seen.push((record.offset(), record.key().map(text), text(record.value())));
    }
    seen
}

/// The first error that a stream gives.
pub(crate) async fn error_of(client: &Fluvio, config: &ConsumerConfigExtBuilder) -> String {
    let config = config.build().expect("a sound configuration");
    match within(client.consumer_with_config(config)).await {
        Err(error) => error.to_string(),
        Ok(mut stream) => loop {
            match within(stream.next()).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break error.to_string(),
                None => panic!("the stream ends without an error"),
            }
        },
    }
}

/// A module that answers each batch with one record, whose value are the batch's base offset and its number of records,
/// big-endian, eight and four bytes. What a raw-ABI module has to export and import.
pub(crate) const ONE_PER_BATCH: &str = r#"
(module
  (import "env" "copy_records" (func $copy_records (param i32 i32)))
  (memory (export "memory") 2)
  (func (export "alloc") (param $len i32) (result i32)
    (local $missing i32)
    ;; input goes behind the first page, which holds the output
    (local.set $missing (i32.sub (i32.add (local.get $len) (i32.const 65536)) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (drop (memory.grow (i32.add (i32.div_u (local.get $missing) (i32.const 65536)) (i32.const 1))))))
    (i32.const 65536))
  ;; output at 0: i32 count of records, one record, one byte that says there is no error
  (data (i32.const 0) "\00\00\00\01" "\24" "\00\00\00" "\00" "\18")
  (func (export "array_map") (param $ptr i32) (param $len i32) (param $version i32) (result i32)
    (i64.store (i32.const 10) (i64.load (local.get $ptr)))
    (i32.store (i32.const 18) (i32.load (i32.add (local.get $ptr) (i32.const 12))))
    (i32.store8 (i32.const 22) (i32.const 0))
    (i32.store8 (i32.const 23) (i32.const 0))
    (call $copy_records (i32.const 0) (i32.const 24))
    (i32.const 1))
)"#;

/// The WebAssembly of a module written as text, gzipped as clients send it.
pub(crate) fn gzipped(wat: &str) -> Vec<u8> {
    use std::io::Write;
    let wasm = wat::parse_str(wat).expect("sound WebAssembly text");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&wasm).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

pub(crate) async fn create_module(client: &Fluvio, name: &str, wat: &str) {
    let spec = SmartModuleSpec {
        wasm: SmartModuleWasm { format: SmartModuleWasmFormat::Binary, payload: gzipped(wat).into() },
        ..Default::default()
    };
    within(admin(client).await.create(name.to_owned(), false, spec)).await.expect("the module is stored");
}

pub(crate) fn predefined(name: &str) -> SmartModuleInvocation {
    SmartModuleInvocation { wasm: SmartModuleInvocationWasm::Predefined(name.to_owned()), ..Default::default() }
}

pub(crate) fn ad_hoc(wat: &str) -> SmartModuleInvocation {
    SmartModuleInvocation { wasm: SmartModuleInvocationWasm::AdHoc(gzipped(wat)), ..Default::default() }
}
