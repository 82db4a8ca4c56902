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
        0 => "off,isotherm_consumer=info,isotherm_fluvio=info",
        1 => "warn,isotherm_consumer=debug,isotherm_fluvio=debug",
        _ => "debug,isotherm_consumer=trace,isotherm_fluvio=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above { screen })
        .with_target(verbose > 0)
        .with_ansi(console::colors_enabled_stderr());
    match format {
        LogFormat::Text => builder.with_timer(Time::new(verbose)).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// When a line was logged, for people; JSON has microseconds.
#[derive(Debug, Clone, Copy)]
struct Time {
    format: &'static str,
}

impl Time {
    /// Seconds for people who read along, milliseconds for those who look for something.
    fn new(verbose: u8) -> Self {
        Self { format: if verbose == 0 { "%Y-%m-%d %H:%M:%SZ" } else { "%Y-%m-%d %H:%M:%S%.3fZ" } }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_seconds_and_with_more_words_milliseconds() {
        for (verbose, length) in [(0, "2026-03-14 09:26:53Z".len()), (1, "2026-03-14 09:26:53.589Z".len())] {
            let mut text = String::new();
            Time::new(verbose).format_time(&mut Writer::new(&mut text)).expect("a string takes all");
            assert!(text.len() == length && text.ends_with('Z'), "{text}");
        }
    }
}
