//! `cargo xtask demo`: shows the main job, and leaves nothing behind.
//!
//! It calls cargo, which has nothing to build after `cargo xtask build`. Every process of it has a `TMPDIR` that no other
//! process has; the tests find them by that in `/proc`.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::util::program::{Running, command};
use crate::util::root;

/// Starts the demo with this folder for temporary files.
fn demo(folder: &Path, args: &[&str]) -> Running {
    let mut command = command("xtask");
    // Cargo sets these for a test. They would make cargo build packages again that read them.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command.arg("demo").args(args).env("TMPDIR", folder).env_remove("ISOTHERM_MODULES").current_dir(root());
    Running::start(&mut command)
}

/// The command lines of all processes that have this folder for temporary files.
fn processes(folder: &Path) -> Vec<String> {
    let variable = [b"TMPDIR=", folder.as_os_str().as_encoded_bytes()].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("there is /proc").flatten() {
        // Those of other users cannot be read, and those that have just ended are gone.
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|part| part == variable) {
            let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&words).replace('\0', " "));
        }
    }
    found
}

/// Fails unless everything of a demo that has ended is gone.
#[track_caller]
fn assert_nothing_left(folder: &Path) {
    assert_eq!(processes(folder), Vec::<String>::new(), "processes of the demo");
    let left = fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    assert_eq!(left.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "files of the demo");
}

#[test]
fn a_demo_with_a_count_ends_by_itself_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ended = demo(folder.path(), &["--count", "4000", "--rate", "2000", "--partitions", "2"]).wait().code(0);
    let run = ended.stdout.lines().rfind(|line| line.starts_with("run ")).unwrap_or_default();
    assert!(run.contains(" 4,000 "), "{}\n{}", ended.stdout, ended.stderr);
    for said in ["ends by itself after 4000 readings", "The demo is over", "isotherm-consumer deploy"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    assert_nothing_left(folder.path());
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = demo(folder.path(), &["--rate", "500"]);
        demo.wait_for("state ");
        let running = processes(folder.path());
        for program in ["xtask", "isotherm-node", "isotherm-producer", "isotherm-consumer"] {
            assert!(running.iter().any(|words| words.contains(program)), "{program}: {running:?}");
        }
        demo.signal(signal);
        let said = demo.wait().code(130).stderr;
        assert!(said.contains("Ctrl-C ends it") && said.contains("The demo is over"), "{said}");
        assert_nothing_left(folder.path());
    }
}
