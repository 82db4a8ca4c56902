//! A terminal on which lines are drawn again and again, in place, with logs above them.

use std::io;

use console::Term;

use crate::{frame, stderr};

/// A terminal to draw on. A process draws on one of them only.
#[derive(Debug, Clone)]
pub struct Screen {
    term: Term,
    /// Whether it is standard error, which has a thread of its own.
    queued: bool,
}

impl Screen {
    /// Standard output, if it is a terminal. Drawing waits for its reader.
    pub fn stdout() -> Option<Self> {
        Self::on(Term::stdout(), false)
    }

    /// Standard error, if it is a terminal. Drawing waits for nobody.
    pub fn stderr() -> Option<Self> {
        Self::on(Term::stderr(), true)
    }

    fn on(term: Term, queued: bool) -> Option<Self> {
        term.is_term().then_some(Self { term, queued })
    }

    /// Lines and columns.
    pub fn size(&self) -> (usize, usize) {
        let (lines, columns) = self.term.size();
        (usize::from(lines), usize::from(columns))
    }

    /// Draws these lines in the place of the last ones. Lines that are wider than the terminal must have been cut.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&self, lines: Vec<String>) -> io::Result<()> {
        if self.queued {
            stderr::draw(lines);
            return Ok(());
        }
        frame::draw(&self.term, lines)
    }

    /// Draws one line, cut to the terminal's width.
    ///
    /// # Errors
    /// As [`Screen::draw`].
    pub fn draw_line(&self, line: &str) -> io::Result<()> {
        let (_, width) = self.size();
        self.draw(vec![console::truncate_str(line, width, "…").into_owned()])
    }

    /// Takes the lines away.
    ///
    /// # Errors
    /// As [`Screen::draw`].
    pub fn clear(&self) -> io::Result<()> {
        self.draw(Vec::new())
    }

    /// Leaves the lines where they are. What is written next comes below them.
    pub fn release(&self) {
        frame::release();
    }
}
