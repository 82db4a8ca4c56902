//! A store that goes back: somebody puts a copy of an earlier state in its place, or the machine's death has left no more of it. The
//! run goes on from there, reads the log again, and what it closes and buries is what it would be if nothing had been in between.
//! Letters that were sent meanwhile stand in their topic all the same.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use isotherm_engine::results::Totals;
use isotherm_model::time::Millis;

use super::commit::Committed;
use super::disk::Files;
use super::letters::Settled;
use super::world::World;

/// The store at some time between two lives, and what was known of it then.
pub(super) struct Past {
    files: Files,
    committed: Committed,
    published: BTreeSet<Millis>,
    unspoken: BTreeSet<Millis>,
    said: Option<Totals>,
    settled: Settled,
}

impl World<'_> {
    /// Between two lives: a copy is made, or put back.
    pub(super) fn go_back(&mut self) {
        let [committed] = &self.allowed[..] else { return };
        if self.zombie.is_some() || !self.letters.goes_back || !self.letters.draw(400) {
            return;
        }
        match self.past.take() {
            None => {
                self.past = Some(Past {
                    files: Files::read(&self.folder.path()),
                    committed: committed.clone(),
                    published: self.published.clone(),
                    unspoken: self.unspoken.clone(),
                    said: self.said.clone(),
                    settled: self.letters.settled(),
                });
                self.note("a copy of the store is made".to_owned());
            }
            Some(Past { files, committed: then, published, unspoken, said, settled }) => {
                self.forgotten.extend(committed.book.dead.iter().cloned());
                self.watcher = None;
                self.folder.replace(&files);
                self.allowed = vec![then];
                (self.published, self.unspoken, self.said) = (published, unspoken, said);
                self.letters.go_back(settled);
                self.tally.back.fetch_add(1, Ordering::Relaxed);
                self.note("the copy of the store is put back".to_owned());
            }
        }
    }
}
