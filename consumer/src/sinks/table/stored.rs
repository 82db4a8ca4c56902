//! Tables of what a store holds: closed windows one after the other, or the totals. The figures of the run when a window closed
//! are not known any longer.

use std::collections::BTreeMap;

use isotherm_engine::results::{Totals, WindowResult};
use isotherm_model::fixed::Fixed;
use isotherm_terminal::screen::Screen;

use super::PLAIN_WIDTH;
use super::paint::Paint;
use super::render::{self, Space, View};

#[derive(Debug)]
pub struct Stored {
    group: String,
    width: usize,
    /// `None` without a screen.
    height: Option<usize>,
    paint: Paint,
    before: BTreeMap<String, Fixed>,
}

impl Stored {
    /// For standard output. `group` names what groups are.
    pub fn stdout(group: &str) -> Self {
        match Screen::stdout().map(|screen| screen.size()) {
            Some((lines, width)) => Self::new(group, width, Some(lines), console::colors_enabled()),
            None => Self::new(group, PLAIN_WIDTH, None, false),
        }
    }

    /// For this many columns and lines.
    pub(crate) fn new(group: &str, width: usize, height: Option<usize>, colour: bool) -> Self {
        Self { group: group.to_owned(), width, height, paint: Paint { on: colour }, before: BTreeMap::new() }
    }

    /// The next window, with what has changed since the one before.
    pub fn window(&mut self, window: &WindowResult) -> Vec<String> {
        let view = View { window, before: &self.before, totals: None, group: &self.group };
        // Windows scroll: there is no end of lines.
        let lines = render::window(&view, Space { width: self.width, height: None }, self.paint);
        self.before = window.groups.iter().map(|group| (group.group.clone(), group.avg)).collect();
        lines
    }

    pub fn totals(&self, totals: &Totals) -> Vec<String> {
        render::totals(totals, &self.group, Space { width: self.width, height: self.height }, self.paint)
    }
}
