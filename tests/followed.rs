//! A file that is followed while it is written and rotated: one partition, in which nothing is lost and nothing counted twice, whatever is
//! killed and whatever becomes of the rotated files.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::util::program::{ATTACHED, Ended, Running, command, consumer};
use crate::util::{count, json, last_totals, lines, text, wait_until};

/// A file that is followed, and a store.
struct Followed {
    folder: tempfile::TempDir,
    /// How many readings have been written, one for each second of event time.
    written: u64,
}

impl Followed {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), written: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("readings.jsonl")
    }

    fn rotated(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("readings.jsonl.{number}"))
    }

    fn store(&self) -> String {
        text(&self.folder.path().join("a.db"))
    }

    /// Writes this many readings; the last one ends with `end`.
    fn write(&mut self, readings: u64, end: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path()).expect("it can be written");
        let mut all = String::new();
        for number in self.written..self.written + readings {
            let time = format!("2026-03-14T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60);
            let sensor = number % 7;
            all += &format!(
                "{{\"guid\":\"{sensor}\",\"state\":\"AK\",\"eventTime\":\"{time}\",\"payload\":{{\"data\":{{\"temperature\":{sensor}}}}}}}\n"
            );
        }
        self.written += readings;
        file.write_all((all.trim_end().to_owned() + end).as_bytes()).expect("it can be written");
    }

    /// Gives the file and those that were rotated the next number.
    fn rotate(&self) {
        let name = |number: usize, end: &str| PathBuf::from(text(&self.rotated(number)) + end);
        let last = (1..).find(|number| !name(*number, "").exists() && !name(*number, ".gz").exists()).unwrap_or(1);
        for number in (1..last).rev() {
            for end in ["", ".gz"] {
                if name(number, end).exists() {
                    fs::rename(name(number, end), name(number + 1, end)).expect("it can be renamed");
                }
            }
        }
        fs::rename(self.path(), self.rotated(1)).expect("it can be renamed");
    }

    /// Compresses a rotated file, and keeps when it was written, as gzip does.
    fn compress(&self, number: usize) {
        let path = self.rotated(number);
        let packed = File::create(text(&path) + ".gz").expect("it can be made");
        let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        encoder.write_all(&fs::read(&path).expect("it can be read")).expect("it can be written");
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("it is there");
        encoder.finish().expect("it can be written").set_modified(written).expect("it can be set");
        fs::remove_file(path).expect("it can be removed");
    }

    fn start(&self, args: &[&str]) -> Running {
        let mut run = command("isotherm-consumer");
        run.args(["--source", &text(&self.path()), "--store", &self.store(), "--format", "jsonl"]).args(args);
        Running::start(&mut run)
    }

    fn follow(&self) -> Running {
        self.start(&["--follow", "-v", "--log-format", "json"])
    }

    /// Waits until the store says that all windows but the last are closed.
    fn wait(&self) {
        let end = self.written / 3 * 3;
        wait_until("all windows but the last are in the store", || {
            let seen = consumer(["query", "windows", "--store", &self.store(), "--format", "jsonl"]);
            let windows = lines(&seen.stdout, "window").into_iter().map(json).collect::<Vec<Value>>();
            let counted: u64 = windows.iter().map(|window| count(window, "messages")).sum();
            if counted + 3 >= end { Ok(()) } else { Err(format!("{counted} of {end}: {}", seen.stderr)) }
        });
    }

    /// All of it is in the store once.
    #[track_caller]
    fn expect_all(&self, ended: &Ended) {
        let totals = last_totals(&ended.stdout);
        assert_eq!(
            (count(&totals, "counted"), count(&totals, "messages")),
            (self.written, self.written),
            "{}",
            ended.stderr
        );
        let verify = consumer(["verify", "--store", &self.store(), "--format", "json"]).code(0);
        assert_eq!(json(&verify.stdout)["result"], "same", "{}", verify.stdout);
    }
}

#[test]
fn a_followed_file_counts_on_across_rotations() {
    let mut file = Followed::new();
    // It is waited for.
    let mut run = file.follow();
    run.wait_for_error("waiting for it");
    file.write(30, "\n");
    file.wait();
    // A line without an end is one when the file is rotated.
    file.write(10, "");
    file.rotate();
    // What is written late to the old file belongs to it, and comes first.
    let mut old = OpenOptions::new().append(true).open(file.rotated(1)).expect("it is there");
    old.write_all(b"\nno reading\n").expect("it can be written");
    file.write(40, "\n");
    file.wait();
    file.rotate();
    file.write(20, "\n");
    file.wait();
    let ended = run.interrupt().code(130);
    let totals = last_totals(&ended.stdout);
    assert_eq!((count(&totals, "counted"), count(&totals, "messages")), (100, 101), "{}", ended.stderr);
    // A run that does not follow ends where the file ends, and nothing is left of the last window.
    let ended = file.start(&[]).wait().code(0);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 100);
    let verify = consumer(["verify", "--store", &file.store()]).code(0);
    assert!(verify.stdout.contains("34 of 34 recomputed"), "{}", verify.stdout);
    let why = consumer(["why", "--store", &file.store()]).code(0);
    assert!(why.stdout.contains("nothing is open"), "{}", why.stdout);
}

#[test]
fn what_was_rotated_while_nobody_read_is_read_later() {
    let mut file = Followed::new();
    let run = file.follow();
    file.write(30, "\n");
    file.wait();
    run.interrupt().code(130);
    for _ in 0..3 {
        file.write(10, "\n");
        file.rotate();
        file.compress(1);
        file.write(10, "\n");
        file.rotate();
    }
    file.write(3, "\n");
    let mut run = file.follow();
    run.wait_for_event(ATTACHED);
    file.wait();
    let ended = run.interrupt().code(130);
    file.expect_all(&ended);
}

#[test]
fn a_rotated_file_that_is_gone_is_data_loss() {
    let mut file = Followed::new();
    let run = file.follow();
    file.write(30, "\n");
    file.wait();
    run.interrupt().code(130);
    file.rotate();
    fs::remove_file(file.rotated(1)).expect("it is there");
    file.write(6, "\n");
    let refused = file.follow().wait().code(1);
    assert!(refused.stderr.contains("--accept-data-loss"), "{}", refused.stderr);
    let run = file.start(&["--follow", "--accept-data-loss"]);
    file.wait();
    let ended = run.interrupt().code(130);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 36);
    let ledger = json(&consumer(["ledger", "--store", &file.store(), "--format", "json"]).code(0).stdout);
    assert!(count(&ledger, "lost") > 0, "{ledger}");
    // What is gone cannot be verified, and nothing is said to differ.
    let verify = consumer(["verify", "--store", &file.store(), "--format", "json"]);
    assert_ne!(json(&verify.stdout)["result"], "different", "{}", verify.stdout);
}

/// The names say the order, whatever the times say: late writes, and compression that keeps no times.
#[test]
fn names_say_the_order_of_what_was_rotated() {
    let mut file = Followed::new();
    let run = file.follow();
    file.write(30, "\n");
    file.wait();
    run.interrupt().code(130);
    file.rotate();
    file.write(10, "\n");
    file.rotate();
    // The oldest is changed last.
    for number in [1, 2] {
        file.compress(number);
        let packed = PathBuf::from(text(&file.rotated(number)) + ".gz");
        let now = std::time::SystemTime::now();
        OpenOptions::new().append(true).open(packed).and_then(|file| file.set_modified(now)).expect("it can be set");
    }
    file.write(10, "\n");
    let mut run = file.follow();
    run.wait_for_event(ATTACHED);
    file.wait();
    let ended = run.interrupt().code(130);
    file.expect_all(&ended);
}

/// Files whose names are near are no rotated ones, and a copy is no new file.
#[test]
fn neighbours_and_copies_are_not_read() {
    let mut file = Followed::new();
    let near = ["readings2.jsonl", "readings.2.jsonl", "readings.jsonl2", "readings.jsonl.bak"];
    file.write(9, "\n");
    for name in near {
        fs::copy(file.path(), file.folder.path().join(name)).expect("it can be copied");
    }
    // What was rotated before the first run is not read, whatever becomes of it.
    file.rotate();
    file.written = 0;
    file.write(30, "\n");
    let mut run = file.follow();
    run.wait_for_event(ATTACHED);
    file.wait();
    file.compress(1);
    let copy = file.folder.path().join("copy");
    fs::copy(file.path(), &copy).expect("it can be copied");
    fs::rename(copy, file.path()).expect("it can be renamed");
    file.write(30, "\n");
    file.wait();
    fs::copy(file.path(), file.rotated(7)).expect("it can be copied");
    file.rotate();
    file.write(30, "\n");
    file.wait();
    let ended = run.interrupt().code(130);
    file.expect_all(&ended);
}

#[test]
fn a_followed_file_that_is_written_over_is_data_loss() {
    let mut file = Followed::new();
    let run = file.follow();
    file.write(30, "\n");
    file.wait();
    // Longer, and other bytes: its length does not show it.
    let other = fs::read_to_string(file.path()).expect("it is there").replace("\"AK\"", "\"CA\"");
    fs::write(file.path(), other.repeat(2)).expect("it can be written");
    let refused = run.wait().code(1);
    assert!(refused.stderr.contains("it was cut, or is another file"), "{}", refused.stderr);
}

#[test]
fn a_followed_file_that_is_cut_is_data_loss() {
    let mut file = Followed::new();
    let run = file.follow();
    file.write(30, "\n");
    file.wait();
    OpenOptions::new().write(true).open(file.path()).and_then(|file| file.set_len(100)).expect("it can be cut");
    let refused = run.wait().code(1);
    assert!(refused.stderr.contains("it was cut"), "{}", refused.stderr);
    // Copied away, and written anew from its beginning.
    file.write(60, "\n");
    let refused = file.follow().wait().code(1);
    assert!(refused.stderr.contains("begins with other bytes"), "{}", refused.stderr);
}

#[test]
fn many_files_are_followed_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<String> = (0..24).map(|number| text(&folder.path().join(format!("{number}.jsonl")))).collect();
    let mut run = command("isotherm-consumer");
    run.args(paths.iter().flat_map(|path| ["--source", path]))
        .args(["--follow", "--store", "memory", "--format", "jsonl"]);
    let mut run = Running::start(&mut run);
    for (number, path) in paths.iter().enumerate() {
        let readings = [0, 30].map(|second| crate::util::reading(&number.to_string(), "AK", second) + "\n");
        fs::write(path, readings.concat()).expect("it can be written");
    }
    let window = json(&run.wait_for(r#""type":"window""#));
    assert_eq!((count(&window, "messages"), count(&window, "sensors")), (24, 24), "{window}");
    let ended = run.interrupt().code(130);
    assert_eq!(count(&last_totals(&ended.stdout), "counted"), 48);
}

#[test]
fn what_cannot_be_followed_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let packed = File::create(path("packed")).expect("it can be made");
    let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    encoder.write_all(b"{}\n{}\n").and_then(|()| encoder.finish()).expect("it can be written");
    fs::write(path("array"), "[{},\n{}]\n").expect("it can be written");
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
    for (name, says) in [("packed", "is compressed"), ("array", "is one JSON array"), ("pipe", "--source - --follow <")]
    {
        let refused = consumer(["--source", &text(&path(name)), "--follow", "--store", "memory"]).code(1);
        assert!(refused.stderr.contains(says), "{name}: {}", refused.stderr);
    }
}

/// Kills while the file grows and is rotated, and its rotated files are compressed.
#[test]
fn kills_lose_nothing_and_double_nothing() {
    let mut file = Followed::new();
    let mut seen = String::new();
    // What was rotated before the first run is not read.
    file.write(3, "\n");
    for round in 1..21_u64 {
        let mut run = file.follow();
        file.write(20 + round % 5, if round % 3 == 0 { "" } else { "\n" });
        if round % 3 == 0 {
            file.rotate();
            if round % 2 == 0 {
                file.compress(if round < 5 { 1 } else { 2 });
            }
            file.write(3, "\n");
        }
        if round % 4 == 3 {
            file.wait();
        } else {
            // Wherever it is when it has committed something, or before.
            run.next_line_with("\"type\"");
        }
        seen += run.seen();
        run.kill();
    }
    let mut run = file.follow();
    run.wait_for_event(ATTACHED);
    file.wait();
    let ended = run.interrupt().code(130);
    seen += &ended.stdout;
    let starts: Vec<String> =
        lines(&seen, "window").into_iter().map(|window| json(window)["start"].to_string()).collect();
    let mut distinct = starts.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(starts.len(), distinct.len(), "a window came twice");
    file.expect_all(&ended);
}
