//! Logs, on standard error, above what is drawn there.

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::stderr;
use crate::text::coloured_message;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// What is logged, in the directives of `RUST_LOG`.
#[derive(Debug, Clone, Copy)]
pub enum Filter<'a> {
    /// Unless `RUST_LOG` is set.
    Default(&'a str),
    /// Whatever `RUST_LOG` says.
    Fixed(&'a str),
}

/// Starts logging. With `verbose` above 0, lines name their module, and times have milliseconds.
pub fn start(filter: Filter<'_>, verbose: u8, format: LogFormat) {
    let filter = match filter {
        Filter::Default(default) => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default)),
        Filter::Fixed(filter) => EnvFilter::new(filter),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || Stderr(format))
        .with_target(verbose > 0)
        .with_ansi(console::colors_enabled_stderr());
    match format {
        LogFormat::Text => builder.with_timer(Time { millis: verbose > 0 }).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// When a line was logged, for people: seconds for those who read along, milliseconds for those who look for something. JSON
/// has microseconds.
struct Time {
    millis: bool,
}

impl FormatTime for Time {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let now = SystemTime::now();
        let text =
            if self.millis { humantime::format_rfc3339_millis(now) } else { humantime::format_rfc3339_seconds(now) };
        to.write_str(&text.to_string().replacen('T', " ", 1))
    }
}

struct Stderr(LogFormat);

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self.0 {
            LogFormat::Text => stderr::write_raw(coloured_message(&String::from_utf8_lossy(text))),
            LogFormat::Json => stderr::write_raw(text),
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_seconds_and_with_more_words_milliseconds() {
        for (millis, length) in [(false, "2026-03-14 09:26:53Z".len()), (true, "2026-03-14 09:26:53.589Z".len())] {
            let mut text = String::new();
            Time { millis }.format_time(&mut Writer::new(&mut text)).expect("a string takes all");
            assert!(text.len() == length && text.ends_with('Z') && text.contains(' '), "{text}");
        }
    }
}
