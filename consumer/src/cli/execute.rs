//! Does what the command line says, and turns the outcome into an exit code.

use std::io;
use std::process::ExitCode;

use isotherm_terminal::screen::Screen;
use isotherm_terminal::signals::INTERRUPTED;
use isotherm_terminal::{process, stderr};
use tokio_util::sync::CancellationToken;

use super::flags::{Cli, Command, DeployFlags, Format, Place, TopologyFormat, command};
use super::load::{self, DEFAULT_FILE, LoadError};
use super::process::{Failure, USAGE, runtime, say, until_stopped, watch_signals};
use super::{inspect, stores, verify};
use crate::delivery::{self, DeadLetters, End, Ended};
use crate::deploy;
use crate::inspect::InspectError;
use crate::log::kafka::address::SCHEME;
use crate::render::source_hints;
use crate::results::jsonl::JsonLines;
use crate::run::{self, Outcome, RunOptions};
use crate::sinks::Sink;
use crate::sinks::discard::DiscardSink;
use crate::sinks::jsonl::JsonlSink;
use crate::sinks::progress::ProgressSink;
use crate::sinks::table::Table;
use crate::sinks::table::render::Unit;
use crate::sinks::threaded::ThreadedSink;
use crate::topology::{Topology, render};

/// Executes a parsed command line.
pub(super) fn execute(cli: Cli) -> ExitCode {
    let cluster = match &cli.command {
        None => &cli.place,
        Some(Command::Deploy(flags)) => &flags.place,
        Some(Command::Verify(flags)) => &flags.report.store.place,
        Some(_) => &cli.place,
    };
    let cluster = cluster.cluster.clone();
    let result = match cli.command {
        None => run(&cli),
        Some(Command::Deploy(flags)) => deploy(flags),
        Some(Command::Topology { place, format }) => topology(&place, format),
        Some(Command::Check { place }) => check(&place),
        Some(Command::Query { what }) => inspect::query(what),
        Some(Command::Ledger(flags)) => inspect::ledger(&flags),
        Some(Command::Why(flags)) => inspect::why(&flags),
        Some(Command::Verify(flags)) => verify::execute(flags),
        Some(Command::Completions { shell }) => process::print_completions(shell, &mut command(), "isotherm-consumer")
            .map(|()| ExitCode::SUCCESS)
            .map_err(Failure::from),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            stderr::write_below(format!("error: {}\n", source_hints::text(&*error, cluster.as_deref())));
            let usage = error.downcast_ref::<LoadError>().is_some_and(LoadError::is_usage)
                || error.downcast_ref::<InspectError>().is_some_and(InspectError::is_usage)
                || error.downcast_ref::<crate::verify::Error>().is_some_and(crate::verify::Error::is_usage);
            if usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    let table = (cli.run.format == Format::Table).then(Screen::stdout).flatten();
    let bar = if table.is_none() { Screen::stderr() } else { None };
    cli.logs.start();
    let topology = load::topology(&cli.place, load::Flags::Run(&cli.run))?;
    let (runtime, unit) = (runtime()?, unit(&topology));
    let sink = sink(cli.run.format, &topology, table.clone());
    let log_progress = table.is_none() && bar.is_none();
    let speaks = cli.run.format != Format::None || bar.is_some();
    let mut sink: Box<dyn Sink> = match bar {
        Some(screen) => Box::new(ProgressSink::new(sink, screen, unit)),
        None => sink,
    };
    if speaks {
        sink = Box::new(ThreadedSink::new(sink)?);
    }
    let stores::Opened { mut store, outbox, folder } = stores::open(&topology, &cli.run, &runtime)?;
    let letters = cli.run.dead_letters.clone().map(|letters| delivery::Config {
        letters,
        settings: topology.settings.clone(),
        drain: cli.run.drain,
    });
    let config = run::Config {
        cluster: topology.address().map(str::to_owned),
        from: cli.run.from.map(Into::into),
        until_end: cli.run.until_end || topology.files == Some(true),
        topology,
        leave_open: cli.run.leave_open,
        accept_data_loss: cli.run.accept_data_loss,
        dead_letters: letters.is_some(),
        memory_limit: cli.run.memory.memory_limit,
        scratch: folder,
        options: RunOptions {
            stop_after: cli.run.stop_after,
            log_progress,
            stop_timeout: cli.run.stop_timeout,
            unit,
            ..RunOptions::default()
        },
    };
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        watch_signals(shutdown.clone())?;
        let Some(((outbox, path), letters)) = outbox.zip(letters) else {
            return Ok((run::run(config, &mut *store, &mut *sink, shutdown).await?, Ended::Sound));
        };
        let address = config.cluster.as_deref();
        let log = crate::log::open(address, &config.topology.topic)?;
        let letters = tokio::select! {
            letters = DeadLetters::start(log, address, letters, outbox, &path) => letters?,
            // The run says its totals; it reads nothing.
            () = shutdown.cancelled() => {
                return Ok((run::run(config, &mut *store, &mut *sink, shutdown).await?, Ended::Sound));
            }
        };
        let outcome = run::run(config, &mut letters.notify(&mut *store), &mut *sink, shutdown.clone()).await;
        let end = match &outcome {
            Err(_) => End::Failed,
            Ok(Outcome::Interrupted(_) | Outcome::Undelivered(_)) => End::Stopped,
            Ok(Outcome::Complete(_) | Outcome::Unread) => End::Itself,
        };
        let copied = letters.finish(end, &shutdown).await;
        Ok::<_, Failure>((outcome?, copied))
    });
    // A read of standard input may block for ever.
    runtime.shutdown_background();
    Ok(match outcome? {
        (Outcome::Undelivered(undelivered), _) => {
            stderr::write_below(format!("error: {undelivered}\n"));
            ExitCode::FAILURE
        }
        (Outcome::Interrupted(_), _) | (_, Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        // What went wrong has been said.
        (Outcome::Complete(_) | Outcome::Unread, Ended::Failed) => ExitCode::FAILURE,
        (Outcome::Complete(_) | Outcome::Unread, Ended::Sound) => ExitCode::SUCCESS,
    })
}

/// What the offsets of the source count.
fn unit(topology: &Topology) -> Unit {
    if topology.files.is_some() { Unit::Bytes } else { Unit::Records }
}

fn sink(format: Format, topology: &Topology, screen: Option<Screen>) -> Box<dyn Sink> {
    match format {
        Format::Table => {
            let group = topology.settings.schema.group.last();
            let colour = console::colors_enabled();
            Box::new(Table::new(group, io::stdout(), screen, colour, unit(topology)))
        }
        Format::Jsonl => {
            let lines = JsonLines::new(&topology.settings.schema.group);
            Box::new(JsonlSink::new(lines, io::BufWriter::new(io::stdout())))
        }
        Format::None => Box::new(DiscardSink),
    }
}

fn deploy(flags: DeployFlags) -> Result<ExitCode, Failure> {
    flags.logs.start();
    let file = load::file(&flags.place)?;
    let declared = file.as_ref().map(|file| file.topic.clone());
    let topology = load::overridden(file.unwrap_or_default(), &flags.place, load::Flags::Deploy(&flags))?;
    if topology.files.is_some() {
        let what =
            format!("nothing is to be deployed for {}: run isotherm-consumer with the same --source", topology.topic);
        return Err(what.into());
    }
    if topology.address().is_some_and(|address| address.starts_with(SCHEME)) {
        let what = format!(
            "`deploy` creates topics of Fluvio clusters only: create the topic `{}` with Kafka's own tools, such as \
             kafka-topics.sh --create",
            topology.topic
        );
        return Err(what.into());
    }
    // What the file says of its own topic is not said of another one.
    let declares = declared.is_some_and(|topic| topic == topology.topic);
    let wanted = deploy::Wanted {
        topology,
        file_name: declares.then(|| load::name(&flags.place)),
        partitions: flags.partitions,
        file: flags.module,
        folder: flags.modules,
        replace: flags.replace,
    };
    // A reader that closes the pipe early does not stop the deployment.
    let mut tell = |line: &str| match say(line) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    };
    let done = until_stopped(deploy::deploy(flags.place.cluster.as_deref(), &wanted, &mut tell))?;
    Ok(done.map_or(ExitCode::from(INTERRUPTED), |()| ExitCode::SUCCESS))
}

fn topology(place: &Place, format: TopologyFormat) -> Result<ExitCode, Failure> {
    let topology = load::topology(place, load::Flags::None)?;
    let text = match format {
        TopologyFormat::Text => render::text(&topology),
        TopologyFormat::Mermaid => render::mermaid(&topology),
    };
    say(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn check(place: &Place) -> Result<ExitCode, Failure> {
    let name = load::name(place);
    let Some(file) = load::file(place)? else {
        return Err(format!("there is no {DEFAULT_FILE} in this folder; name a file with --config FILE").into());
    };
    let topology = load::overridden(file, place, load::Flags::None)?;
    say(&format!("{name} is sound."))?;
    say(render::text(&topology).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
