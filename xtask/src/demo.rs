//! `cargo xtask demo`: the main job, end to end, on an embedded node.

mod child;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::child::{Child, Ended};
use crate::Error;
use crate::process::say;
use crate::{build, paths, process};

/// The exit code of a run that a signal ended.
const INTERRUPTED: u8 = 130;
/// The topic of the demo.
const TOPIC: &str = "sensors";
/// The node's log, in the demo's folder.
const NODE_LOG: &str = "node.log";
/// How many of its last lines are shown if the node fails.
const LAST_LINES: usize = 10;
/// How long a child may take to flush and end after SIGINT.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Producer and consumer give up sooner, and print what they could not do.
const STOP_TIMEOUT: &str = "5s";

/// Printed when the demo has removed everything.
const NEXT: &str = "\
The demo is over: its node, its readings and its store are gone. Next, the same with a node and a store that stay; README.md \
goes on from there. In this folder:
  export PATH=\"$PWD/target/release:$PATH\"
  isotherm-node --data ./node-data
and, when it listens, in another terminal:
  export PATH=\"$PWD/target/release:$PATH\"
  isotherm-consumer deploy --cluster 127.0.0.1:9003
  isotherm-producer 1000000 --cluster 127.0.0.1:9003
  isotherm-consumer --cluster 127.0.0.1:9003
";

/// Run the main job on an embedded node: build what it needs, produce readings, show three-second statistics.
///
/// The node listens on a free port of the loopback address and keeps its files in a temporary folder. Ctrl-C stops
/// everything and leaves nothing behind.
#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --count 100000 --rate 5000 --sensors 500")]
pub(crate) struct Demo {
    /// End after this many messages (default: run until Ctrl-C)
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Messages a second, or `max`
    #[arg(long, default_value = "1000")]
    rate: String,
    /// Sensors to simulate
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    sensors: u64,
    /// Partitions of the topic
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    partitions: u32,
}

/// What the demo waits for.
enum Event {
    /// Ctrl-C, or a request to terminate.
    Signal,
    /// A child ended.
    Ended(Ended),
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        say("Building (the first time this takes some minutes) ...\n");
        build::all()?;

        let (events, inbox) = mpsc::channel();
        watch_signals(events.clone())?;
        let folder = tempfile::Builder::new()
            .prefix("isotherm-demo-")
            .tempdir()
            .map_err(|error| format!("cannot make a temporary folder ({error}); TMPDIR names another place"))?;

        let (mut node, address) = start_node(folder.path(), &events)?;
        let outcome = self.on_node(&address, folder.path(), &events, &inbox).map_err(|error| {
            if error.starts_with("the node ") {
                format!("{error}; it said:\n{}", last_words(folder.path()))
            } else {
                error
            }
        });
        node.stop(TIMEOUT);
        folder.close().map_err(|error| format!("cannot remove the temporary folder: {error}"))?;
        if outcome.is_ok() {
            say(NEXT);
        }
        outcome
    }

    /// Deploys, produces and consumes until everything is read, or a signal comes.
    fn on_node(
        &self,
        cluster: &str,
        folder: &Path,
        events: &Sender<Event>,
        inbox: &Receiver<Event>,
    ) -> Result<ExitCode, Error> {
        let deployed = process::run(
            Command::new(paths::binary("isotherm-consumer"))
                .arg("deploy")
                .args(["--cluster", cluster, "--topic", TOPIC, "--partitions", &self.partitions.to_string()])
                .env("ISOTHERM_MODULES", paths::modules())
                .stdout(Stdio::null()),
        );
        if deployed.is_err() && inbox.try_iter().any(|event| matches!(event, Event::Signal)) {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        deployed?;

        let mut consume = Command::new(paths::binary("isotherm-consumer"));
        consume.args(["--cluster", cluster, "--topic", TOPIC, "--store"]).arg(folder.join("store.db"));
        consume.args(["--stop-timeout", STOP_TIMEOUT]);
        let end = match self.count {
            Some(count) => {
                consume.args(["--stop-after", &count.to_string()]);
                format!("it ends by itself after {count} readings, or with Ctrl-C")
            }
            None => "Ctrl-C ends it".to_owned(),
        };
        say(&format!(
            "Readings of {} simulated sensors go through a node at {cluster} (--rate {}); {end}.\n",
            self.sensors, self.rate
        ));
        let mut consumer = start("consumer", consume.stdin(Stdio::null()), events)?;

        let mut produce = Command::new(paths::binary("isotherm-producer"));
        produce.args(["--cluster", cluster, "--topic", TOPIC, "--quiet", "--rate", &self.rate]);
        produce.args(["--sensors", &self.sensors.to_string(), "--stop-timeout", STOP_TIMEOUT]);
        if let Some(count) = self.count {
            produce.arg(count.to_string());
        }
        // Its summary would tear the live table: only its errors matter here.
        produce.stdin(Stdio::null()).stdout(Stdio::null());
        let mut producer = start("producer", &mut produce, events)?;

        let outcome = wait(inbox);
        // The producer flushes first, then the consumer prints its totals; the node ends last.
        producer.stop(TIMEOUT);
        consumer.stop(TIMEOUT);
        outcome
    }
}

/// Starts a child, whose end is an event.
fn start(name: &'static str, command: &mut Command, events: &Sender<Event>) -> Result<Child, Error> {
    let events = events.clone();
    Child::start(name, command, move |ended| {
        // There is no receiver any more when the demo ends on its own.
        let _ = events.send(Event::Ended(ended));
    })
}

/// Starts the node and waits until it says where it listens. Its log goes to a file in its folder and is shown if it fails.
fn start_node(folder: &Path, events: &Sender<Event>) -> Result<(Child, String), Error> {
    let log = folder.join(NODE_LOG);
    let file = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut command = Command::new(paths::binary("isotherm-node"));
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    let mut node = start("node", command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file), events)?;
    let mut line = String::new();
    if let Some(out) = node.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(|error| format!("cannot read from the node: {error}"))?;
    }
    let Some(address) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
        node.stop(TIMEOUT);
        return Err(format!("the node did not start; it said:\n{line}{}", last_words(folder)));
    };
    Ok((node, address))
}

/// The end of the node's log.
fn last_words(folder: &Path) -> String {
    let log = std::fs::read_to_string(folder.join(NODE_LOG)).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
}

/// Waits until the consumer has read everything, a signal comes, or something breaks.
fn wait(inbox: &Receiver<Event>) -> Result<ExitCode, Error> {
    loop {
        match inbox.recv() {
            Ok(Event::Signal) | Err(_) => return Ok(ExitCode::from(INTERRUPTED)),
            Ok(Event::Ended(ended)) if ended.success => {
                if ended.name == "consumer" {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            Ok(Event::Ended(ended)) => return Err(format!("the {} ended: {}", ended.name, ended.status)),
        }
    }
}

/// Sends an event for each signal that asks the demo to end.
fn watch_signals(events: Sender<Event>) -> Result<(), Error> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(|error| format!("cannot watch signals: {error}"))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if events.send(Event::Signal).is_err() {
                return;
            }
        }
    });
    Ok(())
}
