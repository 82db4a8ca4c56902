//! The lines that are drawn at this moment. A process draws on one terminal only.
//!
//! Each picture is one write between the marks of a synchronized update, and its lines replace the old ones without being
//! erased first: nothing flickers. A terminal that changed its size may have wrapped lines, so it is cleared.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use console::Term;

struct Frame {
    /// Where the lines are.
    term: Option<Term>,
    lines: Vec<String>,
    /// The terminal's size when they were drawn.
    size: Option<(u16, u16)>,
}

static FRAME: Mutex<Frame> = Mutex::new(Frame { term: None, lines: Vec::new(), size: None });

/// Terminals that know synchronized updates show nothing until [`END`]; the others ignore both.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
const CLEAR_SCREEN: &str = "\x1b[2J\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Draws these lines in the place of the last ones.
pub(crate) fn draw(term: &Term, lines: Vec<String>) -> io::Result<()> {
    let mut frame = lock();
    let size = Some(term.size());
    let resized = !frame.lines.is_empty() && frame.size != size;
    if frame.lines == lines && !resized {
        return Ok(());
    }
    let mut out = String::from(BEGIN);
    if resized {
        out.push_str(CLEAR_SCREEN);
    } else {
        out.push_str(&up(&frame.lines));
    }
    for line in &lines {
        out.push_str(line);
        out.push_str(CLEAR_LINE);
        out.push_str("\r\n");
    }
    out.push_str(CLEAR_BELOW);
    out.push_str(END);
    *frame = Frame { term: Some(term.clone()), lines, size };
    write(term, &out)
}

/// Leaves the lines where they are. What is written next comes below them.
pub(crate) fn release() {
    lock().lines.clear();
}

/// Writes text to standard error, above the lines if they are on a terminal that standard error goes to as well.
pub(crate) fn above(text: &[u8]) -> io::Result<()> {
    let mut stderr = io::stderr();
    if !stderr.is_terminal() {
        return stderr.write_all(text);
    }
    let frame = lock();
    let Some(term) = frame.term.as_ref().filter(|_| !frame.lines.is_empty()) else {
        return stderr.write_all(text);
    };
    write(term, &(up(&frame.lines) + CLEAR_BELOW))?;
    stderr.write_all(text)?;
    write(term, &frame.lines.iter().fold(String::new(), |out, line| out + line + "\r\n"))
}

/// Moves the cursor from below the lines to the first one.
fn up(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("\r\x1b[{}A", lines.len()) }
}

fn write(mut term: &Term, text: &str) -> io::Result<()> {
    term.write_all(text.as_bytes())?;
    term.flush()
}

fn lock() -> MutexGuard<'static, Frame> {
    FRAME.lock().unwrap_or_else(PoisonError::into_inner)
}
