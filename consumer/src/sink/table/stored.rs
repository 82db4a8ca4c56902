//! Tables of what a store holds: closed windows one after the other, or the totals. Each window stands for itself: the
//! figures of the run when it closed are not known any longer.

use std::collections::BTreeMap;

use isotherm_engine::results::{Totals, WindowResult};
use isotherm_model::fixed::Fixed;

use super::paint::Paint;
use super::render::{self, Space, View};
use super::{PLAIN_WIDTH, Screen};

/// Renders stored results.
#[derive(Debug)]
pub struct Stored {
    group: String,
    width: usize,
    /// Lines of the screen, if there is one.
    height: Option<usize>,
    paint: Paint,
    before: BTreeMap<String, Fixed>,
}

impl Stored {
    /// Tables of `group`s, for standard output.
    pub fn stdout(group: &str) -> Self {
        match Screen::stdout().map(|screen| screen.size()) {
            Some((lines, width)) => Self::new(group, width, Some(lines), console::colors_enabled()),
            None => Self::new(group, PLAIN_WIDTH, None, false),
        }
    }

    /// Tables of `group`s for so many columns and lines.
    pub(crate) fn new(group: &str, width: usize, height: Option<usize>, colour: bool) -> Self {
        Self { group: group.to_owned(), width, height, paint: Paint { on: colour }, before: BTreeMap::new() }
    }

    /// The next window, with what has changed since the one before.
    pub fn window(&mut self, window: &WindowResult) -> Vec<String> {
        let view = View { window, before: &self.before, totals: None, group: &self.group };
        // They scroll: there is no end of lines.
        let lines = render::window(&view, Space { width: self.width, height: None }, self.paint);
        self.before = window.groups.iter().map(|group| (group.group.clone(), group.avg)).collect();
        lines
    }

    /// The run so far.
    pub fn totals(&self, totals: &Totals) -> Vec<String> {
        render::totals(totals, &self.group, Space { width: self.width, height: self.height }, self.paint)
    }
}
