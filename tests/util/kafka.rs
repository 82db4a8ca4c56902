//! A Kafka broker of the tests' own, of one node, and topics on it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tempfile::TempDir;

use super::{wait_until, write};

/// How long a broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker. It ends with its last handle, and with the test's process.
pub(crate) struct Broker {
    port: u16,
    controller: u16,
    folder: TempDir,
    /// The shell that ends the broker when its input ends.
    process: Option<(Child, ChildStdin)>,
}

impl Broker {
    /// The one that all tests use that do nothing to it.
    pub(crate) fn shared() -> &'static Self {
        static BROKER: OnceLock<Broker> = OnceLock::new();
        BROKER.get_or_init(Self::own)
    }

    /// A test's own.
    pub(crate) fn own() -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let folder = tempfile::tempdir().expect("a folder");
        let mut broker = Self { port: free(), controller: free(), folder, process: None };
        broker.format();
        broker.start();
        broker
    }

    fn java(&self, class: &str) -> Command {
        let jars = std::env::var_os("ISOTHERM_KAFKA").map_or_else(|| super::root().join("target/kafka"), PathBuf::from);
        assert!(
            jars.is_dir(),
            "there is no Kafka broker in {}: run the tests by `cargo xtask test`, with Java and Maven installed: apt-get \
             install -y default-jre-headless maven",
            jars.display()
        );
        let mut java = Command::new("sh");
        // The broker ends when this process does, whatever ends it.
        java.arg("-c").arg(format!(
            "java -Xmx256m -cp '{}/*' {class} \"$@\" & broker=$!; echo $broker > '{}/pid'; cat > /dev/null; kill -9 $broker",
            jars.display(),
            self.folder.path().display(),
        ));
        java.arg("sh").stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::piped());
        java
    }

    fn format(&self) {
        let (port, controller, data) = (self.port, self.controller, self.folder.path().join("data"));
        let settings = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=5\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=5\ngroup.initial.rebalance.delay.ms=0\n\
             auto.create.topics.enable=false\nlog.cleaner.dedupe.buffer.size=16000000\n\
             broker.session.timeout.ms=1500\nbroker.heartbeat.interval.ms=300\n",
            data.display()
        );
        let settings = write(self.folder.path(), "server.properties", settings);
        let mut format = self.java("kafka.tools.StorageTool");
        let mut child =
            format.args(["format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", &settings]).spawn().expect("sh starts");
        let input = child.stdin.take();
        wait_until("the broker's folder is formatted", || {
            if data.join("meta.properties").exists() { Ok(()) } else { Err(format!("nothing in {}", data.display())) }
        });
        drop(input);
        child.wait().expect("it ends");
    }

    /// Starts it, or starts it again.
    pub(crate) fn start(&mut self) {
        let mut java = self.java("kafka.Kafka");
        let settings = self.folder.path().join("server.properties");
        let mut child = java.arg(settings).spawn().expect("sh starts");
        let input = child.stdin.take().expect("it is piped");
        self.process = Some((child, input));
        let port = self.port;
        wait_until("the broker listens", || {
            TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string())
        });
    }

    fn pid(&self) -> Pid {
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).expect("the shell wrote it");
        Pid::from_raw(pid.trim().parse().expect("a number"))
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        let _ = kill(self.pid(), Signal::SIGKILL);
        if let Some((mut child, input)) = self.process.take() {
            drop(input);
            let _ = child.wait();
        }
    }

    /// As `--source` takes it.
    pub(crate) fn address(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.port));
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        AdminClient::from_config(&self.config()).expect("a client")
    }

    /// A new topic of this many partitions.
    pub(crate) fn topic(&self, partitions: i32, settings: &[(&str, &str)]) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        self.create(&name, partitions, settings);
        name
    }

    /// A topic of this name.
    pub(crate) fn create(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        wait_until("the topic is made", || {
            let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
            for (name, value) in settings {
                topic = topic.set(name, value);
            }
            let made = block(self.admin().create_topics([&topic], &AdminOptions::new()));
            made.map_err(|error| error.to_string())?.remove(0).map(drop).map_err(|(_, error)| error.to_string())
        });
    }

    pub(crate) fn delete(&self, topic: &str) {
        let deleted = block(self.admin().delete_topics(&[topic], &AdminOptions::new()));
        deleted.expect("an answer").remove(0).expect("it is deleted");
    }

    /// Gives it this many partitions.
    pub(crate) fn add_partitions(&self, topic: &str, partitions: usize) {
        let more = NewPartitions::new(topic, partitions);
        let added = block(self.admin().create_partitions([&more], &AdminOptions::new()));
        added.expect("an answer").remove(0).expect("they are added");
    }

    /// Deletes what lies before this offset, as retention does.
    pub(crate) fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
        block(self.admin().delete_records(&list, &AdminOptions::new())).expect("they are deleted");
    }

    /// A producer with more settings.
    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("linger.ms", "5");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().expect("a producer")
    }

    /// Sends lines to a partition, or each to that of its place, and waits until they are there.
    pub(crate) fn send(&self, topic: &str, partitions: &[i32], lines: &[impl AsRef<str>], settings: &[(&str, &str)]) {
        let producer = self.producer(settings);
        for (place, line) in lines.iter().enumerate() {
            send_one(&producer, topic, partitions[place % partitions.len()], Some(line.as_ref()));
        }
        flush(&producer);
    }

    /// What a consumer group has committed of a partition.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = consumer.committed_offsets(list, TIMEOUT).expect("an answer");
        list.find_partition(topic, partition).and_then(|of| of.offset().to_raw()).filter(|offset| *offset >= 0)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a record; `None` is a null value.
pub(crate) fn send_one(producer: &BaseProducer, topic: &str, partition: i32, value: Option<&str>) {
    loop {
        let record = BaseRecord::<str, str>::to(topic).partition(partition);
        let record = if let Some(value) = value { record.payload(value) } else { record.key("null") };
        match producer.send(record) {
            Ok(()) => break,
            // The queue is full.
            Err((error, _)) => {
                assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull), "{error}");
                producer.poll(Duration::from_millis(10));
            }
        }
    }
}

/// Waits until all that was sent is there.
pub(crate) fn flush(producer: &BaseProducer) {
    producer.flush(TIMEOUT).expect("all is sent");
    assert_eq!(producer.in_flight_count(), 0);
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
