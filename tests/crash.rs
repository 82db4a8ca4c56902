//! Real kills: node, producer and consumer on a real folder get kill -9 in turn, at random moments under load. Then
//! everything is read, and what was printed and stored is compared with the log.
//!
//! 20 kills by default; `cargo xtask crash --kills N` sets any number. A killed producer loses what it had not sent, so
//! the log is what counts.

mod accounts;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::util::cluster::Cluster;
use crate::util::letters::{assert_untouched, letters};
use crate::util::program::{Ended, Running, command};
use crate::util::store::Store;
use crate::util::{count, json, last_totals, sum};

/// The longest time between two kills, in milliseconds.
const MAX_PAUSE: u64 = 600;

/// After this many kills the consumer must publish a window, so that work goes on between them.
const ROUND: u64 = 6;

/// The share of readings that the producer delays beyond any grace. Hardly any other is late: disorder is within the grace,
/// and a killed producer never sends the rest.
const LATE: &str = "0.01";

/// Windows and waits of a consumer under test: short, so that much happens between two kills.
const TIMES: [&str; 6] = ["--window", "1s", "--grace", "500ms", "--idle", "2s"];

#[test]
fn whatever_is_killed_nothing_is_lost_doubled_or_closed_twice() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
    };
    let kills = number("ISOTHERM_KILLS").unwrap_or(20);
    let seed = number("ISOTHERM_KILL_SEED").unwrap_or_else(|| std::process::id().into());
    let partitions = number("ISOTHERM_KILL_PARTITIONS").unwrap_or(3);
    let partitions = u32::try_from(partitions).expect("partitions are few");
    println!("{kills} kills, seed {seed}, {partitions} partitions");
    let mut trial = Trial::start(seed, partitions);
    let mut turn = 0;
    while trial.kills.values().sum::<u64>() < kills {
        trial.kill_one(turn);
        turn += 1;
        if turn.is_multiple_of(ROUND) {
            trial.wait_for_window();
        }
    }
    trial.finish();
}

/// Who can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Consumer,
    Node,
    Producer,
}

/// The programs, and what is known of them.
struct Trial {
    cluster: Cluster,
    topic: String,
    /// Where late and rejected records are copied to.
    dead: String,
    partitions: u32,
    store: Store,
    random: u64,
    producer: Option<Running>,
    consumer: Option<Running>,
    kills: BTreeMap<Victim, u64>,
    printed: Printed,
}

/// The result lines of all runs of the consumer.
#[derive(Default)]
struct Printed {
    /// By start.
    windows: BTreeMap<String, Value>,
    doubled: u64,
    closed_twice: u64,
    totals: Option<Value>,
}

impl Printed {
    /// Takes what a run printed. If it was killed, its last line may be cut.
    fn take(&mut self, said: &str, killed: bool) {
        let lines: Vec<&str> = said.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let line: Value = match serde_json::from_str(line) {
                Ok(line) => line,
                Err(_) if killed && index + 1 == lines.len() => return,
                Err(error) => panic!("{error}: {line}"),
            };
            match line["type"].as_str() {
                Some("window") => self.window(line),
                Some("totals") => self.totals = Some(line),
                _ => panic!("no result: {line}"),
            }
        }
    }

    fn window(&mut self, line: Value) {
        let start = line["start"].as_str().expect("a window has a start").to_owned();
        match self.windows.get(&start) {
            None => drop(self.windows.insert(start, line)),
            Some(before) if *before == line => {
                eprintln!("printed twice: {line}");
                self.doubled += 1;
            }
            Some(before) => {
                eprintln!("closed twice: {before}\n         then: {line}");
                self.closed_twice += 1;
            }
        }
    }
}

impl Trial {
    fn start(seed: u64, partitions: u32) -> Self {
        let cluster = Cluster::start();
        let (topic, dead) = (cluster.deployed("crash", partitions), cluster.deployed("crash-dead", partitions));
        let (store, kills, printed) = (Store::new(), BTreeMap::new(), Printed::default());
        let mut trial = Self {
            cluster,
            topic,
            dead,
            partitions,
            store,
            random: seed,
            producer: None,
            consumer: None,
            kills,
            printed,
        };
        trial.producer = Some(trial.produce());
        trial.consumer = Some(trial.consume(&[]));
        trial
    }

    /// SplitMix64.
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn produce(&mut self) -> Running {
        let seed = self.below(1 << 32).to_string();
        let mut produce = command("isotherm-producer");
        produce.args(["--cluster", self.cluster.address(), "--topic", &self.topic, "--seed", &seed]);
        produce.args(["--rate", "3000", "--linger", "20ms", "--disorder", "300", "--sensors", "500"]);
        produce.args(["--late", LATE, "--malformed", "0.02", "--quiet"]);
        Running::start(&mut produce)
    }

    /// A consumer with the store and the topic of dead letters of this trial. Each one that is killed is followed by one that has
    /// batches combined elsewhere: at the broker, in the consumer.
    fn consume(&self, more: &[&str]) -> Running {
        let killed = self.kills.get(&Victim::Consumer).copied().unwrap_or(0);
        let combine = if killed.is_multiple_of(2) { "broker" } else { "consumer" };
        let args = [&TIMES[..], &["--dead-letters", &self.dead, "--combine", combine], more].concat();
        self.store.start(&self.cluster, &self.topic, &args)
    }

    /// Waits until the consumer publishes a window, started again if it found no cluster at its start.
    fn wait_for_window(&mut self) {
        while self.consumer.as_mut().expect("the consumer runs").next_line_with(r#""type":"window""#).is_none() {
            self.restart_consumer();
        }
    }

    /// Kills the consumer, and starts it again; false if it had found no cluster at its start.
    fn restart_consumer(&mut self) -> bool {
        let (ended, killed) = end(self.consumer.take().expect("the consumer runs"), Signal::SIGKILL);
        self.printed.take(&ended.stdout, true);
        self.consumer = Some(self.consume(&[]));
        killed
    }

    /// Waits for a moment, and kills the next victim.
    fn kill_one(&mut self, turn: u64) {
        let victims: &[Victim] = match self.cluster.is_own() {
            true => &[Victim::Consumer, Victim::Node, Victim::Producer],
            false => &[Victim::Consumer, Victim::Producer],
        };
        let victim = victims[usize::try_from(turn).expect("kills are few") % victims.len()];
        // The worst moment is not known.
        let pause = Duration::from_millis(self.below(MAX_PAUSE));
        std::thread::sleep(pause);
        let killed = match victim {
            Victim::Node => {
                self.cluster.kill_and_restart();
                true
            }
            Victim::Producer => {
                let (_, killed) = end(self.producer.take().expect("the producer runs"), Signal::SIGKILL);
                self.producer = Some(self.produce());
                killed
            }
            Victim::Consumer => self.restart_consumer(),
        };
        *self.kills.entry(victim).or_default() += u64::from(killed);
    }

    /// Lets everything be read, and compares.
    fn finish(mut self) {
        end(self.producer.take().expect("the producer runs"), Signal::SIGINT);
        let (ended, _) = end(self.consumer.take().expect("the consumer runs"), Signal::SIGTERM);
        self.printed.take(&ended.stdout, false);
        let last = self.consume(&["--until-end"]).wait().code(0);
        self.printed.take(&last.stdout, false);
        let again = last_totals(&self.cluster.read_to_end(&self.topic, &TIMES));
        let records = self.cluster.records(&self.topic, self.partitions);
        self.compare(records, &again);
    }

    fn compare(&self, records: u64, again: &Value) {
        let totals = self.printed.totals.as_ref().expect("a run says its totals");
        let stored: Vec<Value> = self.store.windows().lines().map(json).collect();
        let starts: BTreeSet<&str> = stored.iter().filter_map(|window| window["start"].as_str()).collect();
        let closed_twice = self.printed.closed_twice + (stored.len() - starts.len()) as u64;
        let read = count(totals, "messages");
        let (lost, doubled) = (records.saturating_sub(read), read.saturating_sub(records) + self.printed.doubled);
        let kills = |victim| self.kills.get(&victim).copied().unwrap_or(0);
        let rejected = sum(&totals["rejected"]);
        let unpublished = stored.len() - self.printed.windows.len().min(stored.len());
        let letters = letters(&self.cluster, &self.dead, self.partitions);
        let ids: BTreeSet<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
        let missing = (count(totals, "late") + rejected).saturating_sub(ids.len() as u64);
        let letters_twice = letters.len() - ids.len();
        println!(
            "| killed: node | producer | consumer | records | counted | late | rejected | windows | stored, not printed | \
             lost | doubled | closed twice | letters | missing | twice |\n\
             | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n\
             | {} | {} | {} | {records} | {} | {} | {rejected} | {} | {unpublished} | {lost} | {doubled} | {closed_twice} | \
             {} | {missing} | {letters_twice} |",
            kills(Victim::Node),
            kills(Victim::Producer),
            kills(Victim::Consumer),
            count(totals, "counted"),
            count(totals, "late"),
            stored.len(),
            ids.len(),
        );
        assert_eq!((lost, doubled, closed_twice), (0, 0, 0), "lost, doubled, closed twice: {totals}");
        assert!(records > 0 && !stored.is_empty(), "nothing was under way");
        // Twice the producer's share: windows that close too early make many more readings late.
        let late = count(totals, "late");
        assert!(
            50 * late <= records,
            "{late} of {records} records are late, {LATE} of the readings were set back: {totals}"
        );
        // Which readings are late may depend on the order across partitions. Which are rejected does not.
        let accounted = |totals: &Value| count(totals, "counted") + count(totals, "late");
        assert_eq!(read, accounted(totals) + rejected, "{totals}");
        assert_eq!(count(again, "messages"), read, "a run from the beginning: {again}\n{totals}");
        assert_eq!(again["rejected"], totals["rejected"], "a run from the beginning");
        assert_eq!(accounted(again), accounted(totals), "a run from the beginning: {again}\n{totals}");
        let by_start: BTreeMap<&str, &Value> =
            stored.iter().filter_map(|window| Some((window["start"].as_str()?, window))).collect();
        for (start, window) in &self.printed.windows {
            assert_eq!(by_start.get(start.as_str()), Some(&window), "stored and printed");
        }
        assert_eq!(json(&self.store.totals()), *totals, "the totals that were printed last are stored");
        assert_eq!((ids.len() as u64, missing), (late + rejected, 0), "late and rejected records are letters");
        // A cluster may store what a killed consumer had sent after the next one has read what is there.
        assert!(letters_twice == 0 || !self.cluster.is_own(), "{letters_twice} letters are there twice");
        assert_untouched(&self.cluster, &self.topic, self.partitions, &letters);
        accounts::assert_same(&self.store.ledger(), &letters);
        let verified = self.store.ask(&["verify", "--cluster", self.cluster.address(), "--topic", &self.topic]);
        println!("{}", verified.stdout.trim_end());
        verified.code(0);
    }
}

/// Ends a program with this signal. False if it had ended by itself, which is allowed only if it found no cluster at its
/// start, since the node had just been killed.
fn end(running: Running, signal: Signal) -> (Ended, bool) {
    running.signal(signal);
    let ended = running.wait();
    // At its very start a program does not handle signals yet.
    let by_signal = ended.status.signal() == Some(signal as i32) || ended.status.code() == Some(130);
    let no_cluster = ["no Fluvio cluster answers at", "cannot reach a Fluvio cluster at"];
    let too_early = no_cluster.iter().any(|text| ended.stderr.contains(text));
    assert!(by_signal || too_early, "{} instead of {signal}:\n{}\n{}", ended.status, ended.stdout, ended.stderr);
    (ended, by_signal)
}
