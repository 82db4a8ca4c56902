//! Lines that stay in place on a terminal, with logs above them.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::Term;

/// A terminal, part of which is drawn again and again. Clones share it.
#[derive(Debug, Clone)]
pub struct Screen {
    term: Term,
    frame: Arc<Mutex<Frame>>,
}

#[derive(Debug, Default)]
struct Frame {
    lines: Vec<String>,
    size: Option<(u16, u16)>,
}

impl Screen {
    /// Standard output, if it is a terminal.
    pub fn stdout() -> Option<Self> {
        Self::on(Term::stdout())
    }

    /// Standard error, if it is a terminal.
    pub fn stderr() -> Option<Self> {
        Self::on(Term::stderr())
    }

    fn on(term: Term) -> Option<Self> {
        term.is_term().then(|| Self { term, frame: Arc::default() })
    }

    /// Lines and columns.
    pub fn size(&self) -> (usize, usize) {
        let (lines, columns) = self.term.size();
        (usize::from(lines), usize::from(columns))
    }

    /// Draws these lines in the place of those drawn before.
    pub fn draw(&self, lines: Vec<String>) -> io::Result<()> {
        let mut frame = self.lock();
        let size = Some(self.term.size());
        if frame.size == size && frame.lines == lines {
            return Ok(());
        }
        let mut out = String::from(BEGIN);
        if frame.size != size && frame.size.is_some() {
            // Lines may have been wrapped: their number is not known any longer.
            out.push_str(CLEAR);
        } else {
            up(&mut out, frame.lines.len());
        }
        for line in &lines {
            out.push_str(line);
            out.push_str("\x1b[K\r\n");
        }
        out.push_str("\x1b[J");
        out.push_str(END);
        frame.lines = lines;
        frame.size = size;
        self.write(&out)
    }

    /// Leaves the lines where they are; what is written next stands below them.
    pub fn release(&self) {
        self.lock().lines.clear();
    }

    /// Takes the lines away.
    pub fn clear(&self) -> io::Result<()> {
        self.draw(Vec::new())
    }

    /// Writes text above the lines.
    pub fn above(&self, text: &[u8], to: &mut dyn Write) -> io::Result<()> {
        let frame = self.lock();
        if frame.lines.is_empty() {
            return to.write_all(text);
        }
        let mut out = String::new();
        up(&mut out, frame.lines.len());
        out.push_str("\x1b[J");
        self.write(&out)?;
        to.write_all(text)?;
        to.flush()?;
        let again = frame.lines.iter().fold(String::new(), |out, line| out + line + "\r\n");
        self.write(&again)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut term = &self.term;
        term.write_all(text.as_bytes())?;
        term.flush()
    }

    fn lock(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Terminals that know it show nothing until [`END`]; the others ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
const CLEAR: &str = "\x1b[2J\x1b[H";

fn up(out: &mut String, lines: usize) {
    if lines > 0 {
        out.push_str(&format!("\r\x1b[{lines}A"));
    }
}
