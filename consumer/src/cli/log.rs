//! Logs, on standard error.

use std::fmt;
use std::io::{self, Write};

use chrono::Utc;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::sink::table::Screen;
use crate::stderr;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `RUST_LOG` says what; without it `verbose` does: 0 what a user must know, 1 what is done, 2 what
/// the Fluvio client does as well. If a screen is drawn on the same terminal, logs go above it.
pub fn start(verbose: u8, format: LogFormat, screen: Option<Screen>) {
    let default = match verbose {
        // What the client says of broken connections, we say ourselves, with what follows.
        0 => "off,isotherm_consumer=info",
        1 => "warn,isotherm_consumer=debug",
        _ => "debug,isotherm_consumer=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above { screen })
        .with_target(verbose > 0)
        .with_ansi(console::colors_enabled_stderr());
    // People read along, unless they look for something.
    let time = Time { format: if verbose == 0 { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%.3fZ" } };
    match format {
        LogFormat::Text => builder.with_timer(time).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// When a line was logged, for people; JSON has microseconds.
#[derive(Debug, Clone, Copy)]
struct Time {
    format: &'static str,
}

impl FormatTime for Time {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        write!(to, "{}", Utc::now().format(self.format))
    }
}

/// Standard error, above what is drawn there.
#[derive(Debug, Clone)]
struct Above {
    screen: Option<Screen>,
}

impl Write for Above {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        stderr::write(text, self.screen.as_ref());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Above {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
