//! `query`: results as a store holds them, written as they come, so that it does not matter how many they are.

use std::io::{self, Write};
use std::ops::ControlFlow;

use isotherm_engine::results::{Totals, WindowResult};
use isotherm_model::schema::Pointer;
use isotherm_model::time::Utc;
use isotherm_store::{Overview, Windows};

use crate::results::jsonl::JsonLines;
use crate::sinks::table::Stored;

/// The format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// JSON lines, the same as those of a run
    Jsonl,
}

/// What writes one of them.
#[derive(Debug)]
enum Writer {
    Table(Box<Stored>),
    Jsonl(JsonLines),
}

/// Writes results, one by one.
#[derive(Debug)]
pub struct Printer<W> {
    writer: Writer,
    out: W,
    written: u64,
    failed: Option<io::Error>,
}

impl<W: Write> Printer<W> {
    /// Writes for standard output, which is `out`, results of groups that stand at this pointer in a reading.
    pub fn new(format: OutputFormat, group: &Pointer, out: W) -> Self {
        let writer = match format {
            OutputFormat::Table => Writer::Table(Box::new(Stored::stdout(group.last()))),
            OutputFormat::Jsonl => Writer::Jsonl(JsonLines::new(group)),
        };
        Self::with(writer, out)
    }

    fn with(writer: Writer, out: W) -> Self {
        Self { writer, out, written: 0, failed: None }
    }

    /// Writes a window. Breaks off if that fails; [`Printer::end`] then says why.
    pub fn window(&mut self, window: &WindowResult) -> ControlFlow<()> {
        let written = match &mut self.writer {
            Writer::Jsonl(lines) => writeln!(self.out, "{}", lines.window(window)),
            Writer::Table(stored) => {
                let apart = if self.written > 0 { writeln!(self.out) } else { Ok(()) };
                apart.and_then(|()| lines(&mut self.out, &stored.window(window)))
            }
        };
        match written {
            Ok(()) => {
                self.written += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Writes the totals.
    pub fn totals(&mut self, totals: &Totals) -> io::Result<()> {
        match &self.writer {
            Writer::Jsonl(jsonl) => {
                jsonl.write_totals(totals, &mut self.out)?;
                writeln!(self.out)
            }
            Writer::Table(stored) => lines(&mut self.out, &stored.totals(totals)),
        }
    }

    /// All windows have been written. Where people read, something is said even if there was none.
    pub fn none(&mut self, which: Windows, overview: &Overview) -> io::Result<()> {
        match (&self.writer, self.written) {
            (Writer::Table(_), 0) if self.failed.is_none() => writeln!(self.out, "{}", nothing(which, overview)),
            _ => Ok(()),
        }
    }

    /// Hands on what is buffered.
    pub fn end(mut self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        }
    }
}

fn lines(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// Why there is no window to show.
fn nothing(which: Windows, overview: &Overview) -> String {
    let (Some(first), Some(last)) = (overview.first, overview.last) else {
        return match overview.topic.open_windows {
            0 => "No window has closed yet, and none is open.".to_owned(),
            1 => "No window has closed yet; 1 is open. `isotherm-consumer why` says what it waits for.".to_owned(),
            open => {
                format!("No window has closed yet; {open} are open. `isotherm-consumer why` says what they wait for.")
            }
        };
    };
    match which {
        Windows::Newest(_) => "No window was asked for.".to_owned(),
        _ => format!("No window starts there; those that are kept start from {} to {}.", Utc(first), Utc(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm_engine::results::ClosedBy;
    use isotherm_engine::state::TopicState;

    fn window(start: i64) -> WindowResult {
        let (groups, merged) = (Vec::new(), Vec::new());
        WindowResult {
            start,
            end: start + 3_000,
            closed_by: ClosedBy::Idle,
            messages: 0,
            sensors: 0,
            groups,
            positions: merged,
        }
    }

    fn overview(windows: u64, open_windows: u64) -> Overview {
        let topic = TopicState { open_windows, ..TopicState::default() };
        let (first, last) = if windows > 0 { (Some(0), Some(3_000)) } else { (None, None) };
        Overview { epoch: 1, commits: 1, topic, windows, dropped: 0, first, last, dead: 0, lost: 0 }
    }

    fn text(writer: Writer, windows: &[i64], which: Windows, overview: &Overview) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::with(writer, &mut out);
        for start in windows {
            assert_eq!(printer.window(&window(*start)), ControlFlow::Continue(()));
        }
        printer.none(which, overview).expect("a vector takes all");
        printer.end().expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    fn table() -> Writer {
        Writer::Table(Box::new(Stored::new("hall", 80, None, false)))
    }

    fn jsonl() -> Writer {
        Writer::Jsonl(JsonLines::new(&Pointer::parse("/where/hall").expect("a pointer")))
    }

    #[test]
    fn windows_come_as_lines_or_as_tables() {
        let jsonl = text(jsonl(), &[0, 3_000], Windows::All, &overview(2, 0));
        let lines: Vec<&str> = jsonl.lines().collect();
        assert_eq!(lines.len(), 2, "{jsonl}");
        assert_eq!(
            lines[1],
            r#"{"type":"window","start":"1970-01-01T00:00:03Z","end":"1970-01-01T00:00:06Z","closed_by":"idle","messages":0,"sensors":0,"groups":[]}"#
        );
        let table = text(table(), &[0, 3_000], Windows::All, &overview(2, 0));
        assert!(table.starts_with("1970-01-01 00:00:00 – 00:00:03 UTC  closed by idle\n"), "{table}");
        assert!(table.contains("\n\n1970-01-01 00:00:03 – 00:00:06 UTC  closed by idle\n"), "{table}");
    }

    #[test]
    fn where_there_is_none_people_are_told_so() {
        let range = Windows::Starting { from: 6_000, to: 9_000 };
        for (overview, which, wanted) in [
            (overview(0, 0), Windows::All, "none is open"),
            (overview(0, 2), range, "2 are open. `isotherm-consumer why`"),
            (overview(2, 2), range, "from 1970-01-01T00:00:00Z to 1970-01-01T00:00:03Z"),
        ] {
            let said = text(table(), &[], which, &overview);
            assert!(said.contains(wanted), "{said}");
            assert_eq!(text(jsonl(), &[], which, &overview), "");
        }
    }

    #[test]
    fn a_closed_pipe_breaks_off_and_is_told_as_that() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for writer in [table(), jsonl()] {
            let mut printer = Printer::with(writer, Closed);
            assert_eq!(printer.window(&window(0)), ControlFlow::Break(()));
            printer.none(Windows::All, &overview(2, 0)).expect("nothing is said after that");
            assert_eq!(printer.end().map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
        }
    }
}
