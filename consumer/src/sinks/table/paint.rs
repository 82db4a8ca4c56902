//! Colours, where they are wanted.

use console::Style;

/// Paints text, or leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    pub(super) on: bool,
}

impl Paint {
    /// What the eye finds first.
    pub(super) fn strong(self, text: &str) -> String {
        self.apply(Style::new().bold(), text)
    }

    /// What explains.
    pub(super) fn faint(self, text: &str) -> String {
        self.apply(Style::new().dim(), text)
    }

    /// What is wrong.
    pub(super) fn warn(self, text: &str) -> String {
        self.apply(Style::new().yellow(), text)
    }

    /// A row: what rises is red, what falls is blue, the lines between blocks are faint.
    pub(super) fn row(self, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        text.split_inclusive(['▲', '▼', '│', '='])
            .map(|piece| match piece.chars().last() {
                Some(mark @ '▲') => self.mark(piece, mark, Style::new().red()),
                Some(mark @ '▼') => self.mark(piece, mark, Style::new().blue()),
                Some(mark @ ('│' | '=')) => self.mark(piece, mark, Style::new().dim()),
                _ => piece.to_owned(),
            })
            .collect()
    }

    fn mark(self, piece: &str, mark: char, style: Style) -> String {
        let before = piece.strip_suffix(mark).unwrap_or(piece);
        format!("{before}{}", self.apply(style, mark.encode_utf8(&mut [0; 4])))
    }

    fn apply(self, style: Style, text: &str) -> String {
        if self.on { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }
}
