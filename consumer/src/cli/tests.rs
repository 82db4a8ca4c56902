//! What command lines mean, and that help is whole.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use super::flags::*;
use super::store_flags::*;
use clap_complete::Shell;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("isotherm-consumer").chain(line.split_whitespace()))
}

#[test]
fn the_command_is_sound() {
    command().debug_assert();
}

#[test]
fn without_flags_it_runs_with_what_the_topology_says() {
    let cli = parse("").expect("no flag is needed");
    assert!(cli.command.is_none());
    let RunFlags { window, grace, idle, max_ahead, from, until_end, stop_after, format, store, .. } = cli.run;
    assert_eq!((window, grace, idle, max_ahead, until_end, stop_after), (None, None, None, None, false, None));
    assert_eq!((from, format, store), (None, Format::Table, None));
}

#[test]
fn times_are_read_with_their_units() {
    let cli = parse("--window 1500ms --grace 0s --idle 2m --max-ahead 1h").expect("times");
    let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
    assert_eq!(millis(cli.run.window), Some(1_500));
    assert_eq!(millis(cli.run.grace), Some(0));
    assert_eq!(millis(cli.run.idle), Some(120_000));
    assert_eq!(millis(cli.run.max_ahead), Some(3_600_000));
}

#[test]
fn wrong_usage_exits_with_2() {
    for line in [
        "--window soon",
        "--window 3",
        "--format xml",
        "--store disk",
        "--from middle",
        "--until-end deploy",
        "--follow --until-end",
        "--follow --leave-open",
        "--source a.jsonl --cluster 10.0.0.5:9003",
        "--source a.jsonl --input-format csv",
        "deploy --partitions 0",
        "deploy --until-end",
        "completions",
        "undeploy",
        "query windows --newest 0",
        "query windows --from noon",
        "query windows --newest 1 --to 2026-11-22T10:00:00Z",
        "why --format jsonl",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn subcommands_take_the_place_too() {
    for name in ["deploy", "topology", "check", "query latest", "ledger", "why", "verify"] {
        let cli = parse(&format!("{name} --config a.yaml --cluster h:1 --topic t")).expect(name);
        let place = match cli.command {
            Some(Command::Deploy(flags)) => flags.place,
            Some(Command::Query { what: Query::Latest(flags) }) => flags.store.place,
            Some(Command::Ledger(flags)) => flags.store.place,
            Some(Command::Why(flags)) => flags.report.store.place,
            Some(Command::Verify(flags)) => flags.report.store.place,
            Some(Command::Topology { place, .. } | Command::Check { place }) => place,
            other => panic!("{name} is {other:?}"),
        };
        assert_eq!(place.config, Some(PathBuf::from("a.yaml")));
        assert_eq!((place.cluster.as_deref(), place.topic.as_deref()), (Some("h:1"), Some("t")));
    }
}

#[test]
fn every_help_has_examples() {
    for line in [
        "--help",
        "deploy --help",
        "topology --help",
        "check --help",
        "query --help",
        "query windows --help",
        "query latest --help",
        "query totals --help",
        "ledger --help",
        "why --help",
        "verify --help",
        "completions --help",
    ] {
        let error = parse(line).expect_err("help ends parsing");
        assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0), "{line}");
        assert!(error.to_string().contains("Examples:"), "{line}: {error}");
    }
}

#[test]
fn the_help_of_a_run_says_how_it_can_be_stopped() {
    let help = parse("--help").expect_err("help ends parsing").to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["--stop-timeout <TIME>", "130 stopped by Ctrl-C or SIGTERM", "A second signal waits for nothing"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn completions_know_the_flags() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command(), "isotherm-consumer", &mut text);
        assert!(String::from_utf8_lossy(&text).contains("until-end"), "{shell}");
    }
}
