//! A cluster to test against: a node of the test's own, or the one that `ISOTHERM_TEST_CLUSTER` names.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use fluvio::consumer::{ConsumerConfigExtBuilder, RetryMode};
use fluvio::dataplane::record::{Batch, RawRecords, RecordSet, ReplicaKey};
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::{AddPartition, TopicSpec, UpdateTopicAction};
use fluvio::{
    Fluvio, FluvioClusterConfig, Isolation, Offset, SmartModuleContextData, SmartModuleInvocation,
    SmartModuleInvocationWasm, SmartModuleKind,
};
use fluvio_socket::{ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::produce::{DefaultPartitionRequest, DefaultProduceRequest, DefaultTopicRequest};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use futures_util::StreamExt;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::program::{self, Ended, Running};
use super::{TIMEOUT, golden, wait_until, write};

/// The environment variable that names a cluster.
const EXTERNAL: &str = "ISOTHERM_TEST_CLUSTER";

/// A cluster.
///
/// On one that the environment names nothing is deleted, since its controller may leave a partition offline that is created
/// right after another was deleted. So topics and modules of the tests stay there.
pub(crate) struct Cluster {
    address: String,
    node: Option<(Option<Running>, TempDir)>,
}

impl Cluster {
    /// A node of the test's own, or the cluster that the environment names.
    #[track_caller]
    pub(crate) fn start() -> Self {
        match std::env::var(EXTERNAL) {
            Ok(address) => Self { address, node: None },
            Err(_) => Self::own(),
        }
    }

    /// A node of the test's own.
    #[track_caller]
    pub(crate) fn own() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (node, address) = start_node(folder.path(), "127.0.0.1:0");
        Self { address, node: Some((Some(node), folder)) }
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where the test's own node keeps its data.
    #[track_caller]
    pub(crate) fn folder(&self) -> &Path {
        self.node.as_ref().expect("a node of the test's own").1.path()
    }

    /// Sends the test's own node a signal: one that has been stopped takes connections, and answers nothing.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let (node, _) = self.node.as_ref().expect("a node of the test's own");
        node.as_ref().expect("the node runs").signal(signal);
    }

    /// Ends the test's own node as a power cut would end the process.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        let (node, _) = self.node.as_mut().expect("a node of the test's own");
        let node = node.take().expect("the node runs");
        node.signal(Signal::SIGKILL);
        node.wait();
    }

    /// Ends the test's own node in good order.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let (node, _) = self.node.as_mut().expect("a node of the test's own");
        let node = node.take().expect("the node runs");
        node.signal(Signal::SIGTERM);
        node.wait().code(0);
    }

    /// Starts a node that has ended again, on the same port and folder.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let (node, folder) = self.node.as_mut().expect("a node of the test's own");
        *node = Some(start_node(folder.path(), &self.address).0);
    }

    /// Has two nodes that have ended change their folders.
    pub(crate) fn swap(&mut self, other: &mut Self) {
        let (one, other) = (self.node.as_mut(), other.node.as_mut());
        let ((_, one), (_, other)) = one.zip(other).expect("nodes of the test's own");
        std::mem::swap(one, other);
    }

    /// Kills the test's own node, and starts it again.
    #[track_caller]
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// A topic with the modules deployed, by `isotherm-consumer deploy`.
    #[track_caller]
    pub(crate) fn deployed(&self, name: &str, partitions: u32) -> String {
        let topic = unique(name);
        self.deploy(&["--topic", &topic, "--partitions", &partitions.to_string()]);
        topic
    }

    /// `isotherm-consumer deploy`, with the modules of this build.
    #[track_caller]
    pub(crate) fn deploy(&self, args: &[&str]) {
        // One at a time: on a shared cluster two of them would race to create the modules.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let common = ["deploy", "--cluster", &self.address, "--replace"];
        program::consumer(common.iter().chain(args)).code(0);
    }

    /// The same, of a topology with these sections.
    #[track_caller]
    pub(crate) fn deploy_file(&self, sections: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        self.deploy(&["--config", &write(folder.path(), "fluvio.yaml", format!("version: 0.1.0\n{sections}"))]);
    }

    /// A topic with one partition that keeps about this many bytes, in segments of a tenth of that.
    #[track_caller]
    pub(crate) fn kept_short(&self, name: &str, bytes: u64) -> String {
        let topic = unique(name);
        let segment = bytes / 10;
        self.deploy_file(&format!(
            "meta: {{name: {topic}}}\npartition: {{count: 1, max-size: {bytes} B}}\nretention: {{segment-size: {segment} B}}\n"
        ));
        topic
    }

    /// Waits until retention has removed all below an offset; where the log begins then.
    #[track_caller]
    pub(crate) fn wait_for_start(&self, topic: &str, offset: i64) -> i64 {
        wait_until(&format!("retention has removed all below offset {offset}"), || {
            let (start, end) = block_on(self.bounds(topic, 0));
            if start >= offset { Ok(start) } else { Err(format!("{topic} holds {start} to {end}")) }
        })
    }

    /// The cluster and a topic of it.
    #[track_caller]
    pub(crate) fn with_topic(self, name: &str, partitions: u32) -> (Self, String) {
        let topic = self.deployed(name, partitions);
        (self, topic)
    }

    /// A topic that holds a file of `golden/`, in batches of this size.
    #[track_caller]
    pub(crate) fn with_golden(&self, name: &str, partitions: u32, batch_size: &str) -> String {
        let topic = self.deployed(name, partitions);
        self.produce(&topic, &["--input", &golden(&format!("{name}.jsonl")), "--batch-size", batch_size, "--quiet"]);
        topic
    }

    /// Deletes a topic of the test's own node, and deploys another of the same name.
    #[track_caller]
    pub(crate) fn replace(&self, topic: &str) {
        self.delete(topic);
        self.deploy(&["--topic", topic]);
    }

    /// A run over a topic in JSON lines, without a store.
    #[track_caller]
    pub(crate) fn consume(&self, topic: &str, args: &[&str]) -> Running {
        let mut consume = program::command("isotherm-consumer");
        consume.args(["--cluster", &self.address, "--topic", topic, "--format", "jsonl"]).args(args);
        Running::start(&mut consume)
    }

    /// Produces with `isotherm-producer`.
    #[track_caller]
    pub(crate) fn produce(&self, topic: &str, args: &[&str]) -> Ended {
        let common = ["--cluster", &self.address, "--topic", topic];
        program::run("isotherm-producer", common.iter().chain(args)).code(0)
    }

    /// Produces one batch unchanged to partition 0.
    #[track_caller]
    pub(crate) fn append(&self, topic: &str, batch: Batch) {
        let batch = Batch::<RawRecords>::try_from(batch).expect("it can be encoded");
        let data = DefaultPartitionRequest { partition_index: 0, records: RecordSet { batches: vec![batch] } };
        let name = topic.to_owned();
        let request = DefaultProduceRequest {
            isolation: Isolation::ReadUncommitted,
            timeout: TIMEOUT,
            topics: vec![DefaultTopicRequest { name, partitions: vec![data], ..Default::default() }],
            ..Default::default()
        };
        block_on(async {
            for socket in self.spus().await {
                let answer = socket.send_receive(request.clone()).await.expect("the SPU answers");
                if answer.responses.iter().flat_map(|topic| &topic.partitions).all(|answer| answer.error_code.is_ok()) {
                    return;
                }
            }
            panic!("no SPU takes the batch into {topic}");
        });
    }

    /// Everything that is in a topic, as `--until-end` gives it in JSON lines.
    #[track_caller]
    pub(crate) fn read_to_end(&self, topic: &str, args: &[&str]) -> String {
        self.consume(topic, &[&["--until-end"], args].concat()).wait().code(0).stdout
    }

    /// Deletes a topic of the test's own node.
    pub(crate) fn delete(&self, topic: &str) {
        assert!(self.is_own(), "a test that deletes needs a node of its own");
        block_on(async {
            let admin = self.client().await.admin().await;
            admin.delete::<TopicSpec>(topic).await.expect("the topic can be deleted");
        });
    }

    /// Adds partitions to a topic.
    pub(crate) fn add_partitions(&self, topic: &str, count: u32) {
        block_on(async {
            let admin = self.client().await.admin().await;
            let action = UpdateTopicAction::AddPartition(AddPartition { count });
            admin.update::<TopicSpec>(topic, action).await.expect("partitions can be added");
        });
    }

    /// The values of a partition's records, up to the end that its leader reports. (The client's own detection of the end is
    /// too early if a log is longer than one answer.)
    #[track_caller]
    pub(crate) fn values(&self, topic: &str, partition: u32) -> Vec<Vec<u8>> {
        let (start, end) = block_on(self.bounds(topic, partition));
        let count = usize::try_from(end - start).expect("a log does not end before it begins");
        self.read(topic, partition, Vec::new(), count).expect("the topic can be read")
    }

    /// How many records a topic holds.
    #[track_caller]
    pub(crate) fn records(&self, topic: &str, partitions: u32) -> u64 {
        let ends = (0..partitions).map(|partition| block_on(self.bounds(topic, partition)).1 as u64);
        ends.sum()
    }

    /// Waits until a topic holds at least this many records; how many it holds then.
    #[track_caller]
    pub(crate) fn wait_for_records(&self, topic: &str, partitions: u32, records: u64) -> u64 {
        wait_until(&format!("{topic} holds {records} records"), || {
            let now = self.records(topic, partitions);
            if now >= records { Ok(now) } else { Err(format!("it holds {now}")) }
        })
    }

    /// Whether it is the test's own node, which may be killed.
    pub(crate) fn is_own(&self) -> bool {
        self.node.is_some()
    }

    /// The first and the end offset of a partition, from its leader.
    async fn bounds(&self, topic: &str, partition: u32) -> (i64, i64) {
        for socket in self.spus().await {
            let request = FetchOffsetsRequest::new(topic.to_owned(), partition);
            let answer = socket.send_receive(request).await.expect("the SPU knows its offsets");
            let replica = ReplicaKey::new(topic, partition);
            if let Some(found) = answer.find_partition(&replica)
                && found.error_code.is_ok()
            {
                return (found.start_offset, found.last_stable_offset);
            }
        }
        panic!("no SPU leads partition {partition} of {topic}");
    }

    /// Connections to all SPUs.
    async fn spus(&self) -> Vec<VersionedSerialSocket> {
        let admin = self.client().await.admin().await;
        let spus = admin.list::<SpuSpec, _>(Vec::<String>::new()).await.expect("the SPUs can be listed");
        let mut sockets = Vec::new();
        for spu in spus {
            let config = ClientConfig::with_addr(spu.spec.public_endpoint.addr());
            let (socket, config, versions) = config.connect().await.expect("the SPU answers").split();
            sockets.push(VersionedSerialSocket::new(MultiplexerSocket::shared(socket), config, versions));
        }
        sockets
    }

    /// The first `count` values that a module with these parameters makes of a partition's records, or the broker's error. It
    /// waits for them: the client does not notice the end of a log whose last records are dropped.
    pub(crate) fn transformed(
        &self,
        topic: &str,
        partition: u32,
        module: &str,
        params: &[(&str, &str)],
        count: usize,
    ) -> Result<Vec<Vec<u8>>, String> {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let module = SmartModuleInvocation {
            wasm: SmartModuleInvocationWasm::Predefined(module.to_owned()),
            kind: SmartModuleKind::Generic(SmartModuleContextData::None),
            params: params.collect::<BTreeMap<_, _>>().into(),
            ..SmartModuleInvocation::default()
        };
        self.read(topic, partition, vec![module], count)
    }

    /// Reads this many values from a partition's beginning on.
    fn read(
        &self,
        topic: &str,
        partition: u32,
        modules: Vec<SmartModuleInvocation>,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, String> {
        block_on(async {
            let config = ConsumerConfigExtBuilder::default()
                .topic(topic)
                .partition(partition)
                .offset_start(Offset::beginning())
                .smartmodule(modules)
                // A real SPU cuts an answer off at this size, within a batch, and the client loses the rest of that batch.
                .max_bytes(64 << 20)
                // Otherwise the client retries, and never reports the broker's error.
                .retry_mode(RetryMode::Disabled)
                .build()
                .expect("the configuration is whole");
            let stream = self.client().await.consumer_with_config(config).await;
            let mut stream = stream.map_err(|error| error.to_string())?;
            let mut values = Vec::new();
            while values.len() < count
                && let Some(record) = stream.next().await
            {
                let record = record.map_err(|error| error.to_string())?;
                values.push(record.into_inner().into_value().into_vec());
            }
            Ok(values)
        })
    }

    /// The published client, connected.
    pub(crate) async fn client(&self) -> Fluvio {
        let config = FluvioClusterConfig::new(self.address.clone());
        Fluvio::connect_with_config(&config).await.expect("the cluster answers")
    }
}

/// A name that no other test has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a future of the published client to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime can be made").block_on(future)
}

/// Starts a node and waits until it listens; also its address.
#[track_caller]
fn start_node(folder: &Path, listen: &str) -> (Running, String) {
    let mut command = program::command("isotherm-node");
    command.arg("--data").arg(folder).args(["--listen", listen, "--retention-check", "20ms"]).stdin(Stdio::null());
    let mut node = Running::start(&mut command);
    let line = node.wait_for("listening on ");
    let address = line.trim().strip_prefix("listening on ").expect("the line is only that").to_owned();
    (node, address)
}
