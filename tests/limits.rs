//! What the system does not have enough of, and text from outside that is hostile or endless.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::util::cluster::Cluster;
use crate::util::program::{Ended, Running, binary, command, consumer, run};
use crate::util::{root, text, write};

/// The consumer, as a process that may have only a number of files open.
fn limited(files: u32, args: &[&str]) -> Command {
    let consumer = command("isotherm-consumer");
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
    limited.arg(consumer.get_program()).args(args).stdin(Stdio::null());
    limited.envs(consumer.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

#[test]
fn a_process_without_files_to_open_ends_with_an_error_that_says_so() {
    let (cluster, topic) = Cluster::own().with_topic("no-files", 1);
    let place = ["--cluster", cluster.address(), "--topic", &topic];
    for files in 6..27 {
        for more in [&["--until-end"][..], &["deploy"]] {
            let args = if more == ["deploy"] { [more, &place].concat() } else { [&place, more].concat() };
            let said = Running::start(&mut limited(files, &args)).wait().code(1).stderr;
            assert!(said.contains("ulimit -Hn") && !said.contains("panicked"), "{files} files: {said}");
        }
    }
}

/// A program of a user without other processes, who may have this many: for root there is no limit.
#[cfg(target_os = "linux")]
fn few_processes(program: &Path, processes: u32, args: &[&str]) -> Command {
    let limit = format!("--nproc={processes}:{processes}");
    let mut limited = if fs::metadata("/proc/self").expect("there is one").uid() == 0 {
        let mut other = Command::new("setpriv");
        other.args(["--reuid", "61234", "--regid", "61234", "--clear-groups", "prlimit"]);
        other
    } else {
        Command::new("prlimit")
    };
    limited.arg(limit).arg(program).args(args).stdin(Stdio::null());
    limited
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_may_start_no_threads_ends_with_an_error_that_says_so() {
    // The programs' own folder may be closed to other users.
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is ours");
    for (name, args) in [
        ("isotherm-consumer", &["--source", "/dev/null", "--format", "jsonl"][..]),
        ("isotherm-producer", &["10", "--stdout"]),
        ("isotherm-node", &["--data", "/none", "--listen", "127.0.0.1:0"]),
    ] {
        let copy = folder.path().join(name);
        fs::copy(binary(name), &copy).expect("it can be copied");
        for processes in [1, 2, 4, 8] {
            let said = Running::start(&mut few_processes(&copy, processes, args)).wait().code(1).stderr;
            assert!(said.contains("ulimit -u") && !said.contains("panicked"), "{name}, {processes}: {said}");
        }
    }
}

#[test]
fn partitions_that_cannot_be_reached_are_named_again_and_are_no_part_of_a_hundred_percent() {
    let cluster = Cluster::own();
    let topic = cluster.deployed("few-files", 40);
    cluster.produce(&topic, &["2000", "--start", "2026-03-14T09:00:00Z", "--quiet"]);
    let args = ["--cluster", cluster.address(), "--topic", &topic, "--until-end", "--format", "none"];
    let mut run = Running::start(&mut limited(36, &args));
    let lost = run.wait_for_error("cannot read partition ");
    assert!(lost.contains("os error 24") && lost.contains("ulimit -n"), "{lost}");
    run.wait_for_error(" of 40 partitions are not known yet");
    let (of, _) = lost.split_once(" of `").expect("a topic");
    let (_, again) = of.split_once("cannot").expect("what it says");
    run.wait_for_error(&format!("cannot{again} of `"));
    let said = run.interrupt().code(130).stderr;
    assert!(!said.contains("100 %"), "{said}");
}

#[track_caller]
fn assert_harmless(ended: &Ended, parts: &[&str]) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let steers =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{2028}' | '\u{feff}' | '\u{202e}');
    assert!(!said.contains(steers), "{said:?}");
    for part in parts {
        assert!(said.contains(part), "nothing of {part} in {said}");
    }
}

#[test]
fn text_from_outside_steers_no_terminal() {
    let evil = "e\u{1b}]0;pwned\u{7}\u{1b}[31m\u{200b}\u{2028}\u{feff}\u{202e}";
    let shown = r"e\u{1b}]0;pwned\u{7}\u{1b}[31m\u{200b}\u{2028}\u{feff}\u{202e}";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| text(&folder.path().join(name));
    let yaml = |name: &str, content: &str| write(folder.path(), name, content);

    // A file, sound and not: its name and what stands in it.
    let quoted = |before: &str| format!(r#""{before}e\e]0;pwned\a\e[31m\u200b\L\ufeff\u202e""#);
    let sound = format!("reading: {{sensor: {}}}\nstore: {}\n", quoted("/"), quoted("./"));
    let sound = yaml(&format!("{evil}.yaml"), &sound);
    for args in [&["check"][..], &["topology"], &["topology", "--format", "mermaid"]] {
        assert_harmless(&consumer(args.iter().copied().chain(["--config", &sound])).code(0), &[shown]);
    }
    let name = quoted("");
    for wrong in [
        format!("{name}: 3\n"),
        format!("meta: {{name: {name}}}\n"),
        format!("windows: {{size: {name}}}\n"),
        format!("reading: {{groups: {name}}}\n"),
        format!("store: {name}\n"),
    ] {
        assert_harmless(&consumer(["check", "--config", &yaml("b.yaml", &wrong)]).code(1), &[shown]);
    }
    assert_harmless(&consumer(["check", "--config", &path(evil)]).code(1), &[shown]);

    // Flags, of each program, and the environment.
    for (code, args) in [
        (2, &["isotherm-consumer", "--topic", evil][..]),
        (2, &["isotherm-consumer", "--window", evil]),
        (2, &["isotherm-consumer", "--dead-letters", evil]),
        (2, &["isotherm-consumer", &format!("--{evil}")]),
        (2, &["isotherm-consumer", evil]),
        (1, &["isotherm-consumer", "--until-end", "--cluster", &format!("{evil}://a")]),
        (1, &["isotherm-consumer", "query", "totals", "--store", &path(&format!("{evil}.db"))]),
        (1, &["isotherm-consumer", "deploy", "--module", &path(&format!("{evil}.wasm"))]),
        (2, &["isotherm-producer", "--topic", evil]),
        (2, &["isotherm-producer", "--cluster", evil]),
        (1, &["isotherm-producer", "--stdout", "--input", &path(evil)]),
        (2, &["isotherm-node", "--listen", evil]),
    ] {
        assert_harmless(&run(args[0], &args[1..]).code(code), &[shown]);
    }
    for args in [&["--help"][..], &["--until-end"]] {
        let mut command = command("isotherm-consumer");
        assert_harmless(&Running::start(command.args(args).env("ISOTHERM_STORE", evil)).wait(), &[shown]);
    }
}

#[test]
fn what_is_endless_is_cut_and_said() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let check = |file: &str| consumer(["check", "--config", file]).code(1).stderr;
    assert!(check("/dev/zero").contains("more than 1048576 bytes"));
    assert!(check(&text(folder.path())).contains("directory"));
    assert!(check(&write(folder.path(), "large.yaml", "#".repeat(2 << 20))).contains("more than 1048576 bytes"));
    // A pipe is read once.
    let pipe = "cat \"$2\" | \"$1\" check --config /dev/stdin";
    let mut piped = Command::new("sh");
    piped.args(["-c", pipe, "sh"]).arg(command("isotherm-consumer").get_program()).arg(root().join("fluvio.yaml"));
    assert!(Running::start(&mut piped).wait().code(0).stdout.contains("/dev/stdin is sound."));
    let long = "a".repeat(1_000_000);
    let named = check(&write(folder.path(), "long.yaml", format!("meta: {{name: {long}}}\n")));
    assert!(named.contains("characters) …") && named.contains("63 lowercase") && named.len() < 1_000, "{named}");
    let keys: String = (0..20_000).map(|number| format!("name-{number}: 1\n")).collect();
    let many = check(&write(folder.path(), "many.yaml", keys));
    assert!(many.contains("`name-0` is unknown") && many.len() < 10_000, "{}", many.len());
    let topic = "a".repeat(100_000);
    let named = run("isotherm-consumer", ["--topic", &topic]).code(2).stderr;
    assert!(named.contains("63 lowercase") && named.len() < 1_000, "{named}");
    assert!(
        run("isotherm-consumer", ["--topic", "", "--config", &text(&root().join("fluvio.yaml"))])
            .code(2)
            .stderr
            .contains("cannot be called ``")
    );
}
