//! What a node lacks or loses: readers of its outputs, file descriptors, memory, room, its folder. It says so, acknowledges
//! nothing that it does not keep, and goes on.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fluvio::config::FluvioClusterConfig;
use fluvio::dataplane::link::ErrorCode;
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::TopicSpec;
use fluvio::{Compression, Fluvio, Offset};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::hostile::{Socket, batch_of, bounds, produced};
use crate::support::{
    ONE_PER_BATCH, Running, ad_hoc, admin, consume, create_topic, error_of, from, produce, seen, through, values,
    with_topic, within,
};
use crate::topics::refusal;

/// The program, with its data in `folder`; `shell` is run before it by a shell that it replaces.
pub(crate) fn command(folder: &Path, shell: &str) -> Command {
    command_at("127.0.0.1:0", folder, shell)
}

fn command_at(listen: &str, folder: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{shell}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_isotherm-node")])
        .args(["--listen", listen, "--listen-spu", "127.0.0.1:0", "--data"])
        .arg(folder)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The address that a started program says.
pub(crate) async fn address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = within(lines.next_line()).await.unwrap().expect("it says where it listens");
    line.strip_prefix("listening on ").expect("the documented line").to_owned()
}

async fn connect(address: String) -> Fluvio {
    within(Fluvio::connect_with_config(&FluvioClusterConfig::new(address))).await.unwrap()
}

/// An output that takes nothing: its buffer is full. The other end can read it.
fn unread() -> (UnixStream, OwnedFd) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(b"x").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader, writer.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_nobody_reads_hold_up_nothing() {
    for says_address in [true, false] {
        let folder = TempDir::new().unwrap();
        let (stderr_reader, stderr) = unread();
        let (_stdout_reader, stdout) = unread();
        let mut address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = command_at(&address, folder.path(), "");
        command.env("RUST_LOG", "trace").stderr(stderr);
        if !says_address {
            command.stdout(stdout);
        }
        let mut child = command.spawn().unwrap();
        if says_address {
            address = self::address(&mut child).await;
        }
        within(async {
            while TcpStream::connect(&address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        // Each of these is a line of the log.
        for _ in 0..1_500 {
            let mut socket = Socket::connect(&address).await;
            socket.0.write_all(&[0xff; 8]).await.unwrap();
            let _ = within(socket.0.read_u8()).await;
        }
        let client = connect(address).await;
        create_topic(&client, "unread", 1).await;
        produce(&client, "unread", &[values(0..4)], Compression::None).await;
        if says_address {
            // A reader after that is told what is not there.
            stderr_reader.set_nonblocking(true).unwrap();
            let mut lines = BufReader::new(tokio::net::UnixStream::from_std(stderr_reader).unwrap()).lines();
            while !within(lines.next_line()).await.unwrap().unwrap().contains("lines were left out") {}
        }
        kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_need_no_setting_of_the_shell() {
    let folder = TempDir::new().unwrap();
    let mut child = command(folder.path(), "ulimit -Sn 64; ").spawn().unwrap();
    let address = address(&mut child).await;
    create_topic(&connect(address).await, "wide", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_it_has_no_descriptor_for_wait_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut child = command(folder.path(), "ulimit -n 48; ").stderr(Stdio::piped()).spawn().unwrap();
    let address = address(&mut child).await;
    let client = connect(address.clone()).await;
    create_topic(&client, "kept", 4).await;
    produce(&client, "kept", &[values(0..100)], Compression::None).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(Socket::connect(&address).await);
    }
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = within(lines.next_line()).await.unwrap().expect("it goes on");
        if line.contains("cannot accept connections") {
            assert!(line.contains("no file descriptor left") && line.contains("ulimit -Hn"), "{line}");
            break;
        }
    }
    // Those that are connected go on; what needs a descriptor more is refused, and leaves nothing.
    produce(&client, "kept", &[values(100..200)], Compression::None).await;
    let refused = refusal(&client, "wide", TopicSpec::new_computed(64, 1, None)).await;
    assert!(refused.contains("no file descriptor left"), "{refused}");
    drop(held);
    let other = connect(address).await;
    produce(&other, "kept", &[values(200..300)], Compression::None).await;
    let mut config = fluvio::consumer::ConsumerConfigExt::builder();
    config.topic("kept").offset_start(Offset::beginning()).retry_mode(fluvio::consumer::RetryMode::Disabled);
    let mut found: Vec<_> = consume(&other, &config, 300).await.into_iter().map(|record| record.2).collect();
    let mut sent = values(0..300);
    found.sort_unstable();
    sent.sort_unstable();
    assert_eq!(found, sent);
    let topics = within(admin(&other).await.all::<TopicSpec>()).await.unwrap();
    assert_eq!(topics.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_hardly_any_descriptor_it_says_so_and_does_not_start() {
    let folder = TempDir::new().unwrap();
    for limit in [6, 8, 12, 16, 20] {
        let mut command = command(folder.path(), &format!("ulimit -n {limit}; "));
        let ended = within(command.stderr(Stdio::piped()).output()).await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{limit}: {said}");
        assert!(
            said.contains("file descriptors are free; raise the hard limit") && !said.contains("panicked"),
            "{said}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_there_is_no_memory_for_is_not_called_bad() {
    let folder = TempDir::new().unwrap();
    let mut child = command(folder.path(), "ulimit -v 3000000; ").spawn().unwrap();
    let client = connect(address(&mut child).await).await;
    create_topic(&client, "log", 1).await;
    produce(&client, "log", &[values(0..3)], Compression::None).await;
    let error = error_of(&client, &through(vec![ad_hoc(ONE_PER_BATCH)], "log", Offset::beginning())).await;
    assert!(error.contains("the node has no memory for the SmartModule"), "{error}");
    assert_eq!(consume(&client, &from("log", 0, Offset::beginning()), 3).await, seen(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_whole_is_refused_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    // No file may have more than 64 KiB: the system writes a part of a batch, and refuses the rest.
    let mut child = command(folder.path(), "trap '' XFSZ; ulimit -f 128; ").spawn().unwrap();
    let client = connect(address(&mut child).await).await;
    create_topic(&client, "target", 1).await;
    let spus = within(admin(&client).await.all::<SpuSpec>()).await.unwrap();
    let mut socket = Socket::connect(&spus[0].spec.public_endpoint.addr()).await;
    let mut acknowledged = 0;
    let refused = loop {
        let batch = batch_of(values(acknowledged..acknowledged + 100), Compression::None);
        match produced(&mut socket, batch).await {
            ErrorCode::None => acknowledged += 100,
            code => break code.to_string(),
        }
    };
    assert!(acknowledged > 0 && refused.contains("cannot append to"), "{acknowledged}: {refused}");
    // Less does fit.
    let one = values(acknowledged..acknowledged + 1);
    assert_eq!(produced(&mut socket, batch_of(one, Compression::None)).await, ErrorCode::None);
    child.start_kill().unwrap();
    within(child.wait()).await.unwrap();
    let node = Running::start(folder.path()).await;
    let all = acknowledged + 1;
    assert_eq!(bounds(&node, "target").await, (0, all as i64));
    assert_eq!(consume(&node.client().await, &from("target", 0, Offset::beginning()), all).await, seen(0..all));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_folder_is_not_its_own_any_longer_acknowledges_nothing() {
    let (folder, node, client) = with_topic("target", 1).await;
    let mut socket = Socket::connect(&node.spu_address).await;
    let batch = || batch_of(values(0..5), Compression::None);
    assert_eq!(produced(&mut socket, batch()).await, ErrorCode::None);
    let [topics, lock, away] = ["topics", "LOCK", "away"].map(|name| folder.path().join(name));
    for lost in [&topics, &lock] {
        std::fs::rename(lost, &away).unwrap();
        let refused = produced(&mut socket, batch()).await.to_string();
        assert!(refused.contains("was removed or replaced"), "{refused}");
        refusal(&client, "more", TopicSpec::new_computed(1, 1, None)).await;
        // What was acknowledged can be read.
        assert_eq!(consume(&client, &from("target", 0, Offset::beginning()), 5).await, seen(0..5));
        std::fs::rename(&away, lost).unwrap();
    }
    assert_eq!(produced(&mut socket, batch()).await, ErrorCode::None);
    assert_eq!(bounds(&node, "target").await, (0, 10));
    node.stop().await;
}
