//! A commit of a simulated run, what can go wrong with it, and what it must have said.

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use isotherm_engine::commit::ResumeState;
use isotherm_engine::group::Closed;
use isotherm_engine::results::{Totals, WindowResult};
use isotherm_engine::state::PartitionState;
use isotherm_store::StoreReader;

use super::book::{Book, Page};
use super::life::{End, Life};
use super::reference;
use super::store::{Stand, Trouble};
use super::world::World;

/// Windows that close together, and the totals of that moment, as they must be.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) windows: Vec<Rc<WindowResult>>,
    pub(super) totals: Totals,
}

/// A commit that the store may be at: what it must hold, and where it said that the run stood.
#[derive(Debug, Clone, Default)]
pub(super) struct Committed {
    pub(super) book: Rc<Book>,
    pub(super) stand: Stand,
}

impl World<'_> {
    /// Commits, then publishes, if nothing comes between.
    pub(super) fn commit(&mut self, life: &mut Life) -> Result<(), End> {
        let draw = if self.calm { 999 } else { self.random.below(1_000) };
        let (trouble, spoken) = match draw {
            0..25 => {
                self.note("dies before a commit".to_owned());
                return Err(End::Crash);
            }
            25..38 => (Some(Trouble::Full), None),
            38..41 => (Some(Trouble::Refused), None),
            41..61 => (Some(Trouble::Statement), None),
            61..70 => (Some(Trouble::Log), None),
            70..80 => (Some(Trouble::Answer), None),
            80..110 => (Some(Trouble::Torn), None),
            110..120 => (Some(Trouble::Checkpoint), None),
            120..135 => (Some(Trouble::Database), None),
            135..155 => (None, Some(0)),
            155..180 => (None, Some(self.random.below(5))),
            _ => (None, None),
        };
        if let Some(trouble) = trouble {
            life.store.expect(trouble, &mut self.random);
        }
        let done = life.turns.commit(&mut life.materializer, &mut life.store, life.elapsed);
        self.note(format!("commit of {:?}: {trouble:?}, {}", life.store.windows, done.is_ok()));
        let refilling = life.time.is_restoring();
        life.time.commit(life.flags.keep);
        self.assert_stand(&life.store.stand, &life.time.book, refilling);
        let committed = Committed { book: Rc::new(life.time.book.clone()), stand: life.store.stand.clone() };
        let windows = life.closings.iter().flat_map(|closing| &closing.windows).map(|window| window.start);
        let count = |of: &AtomicU64| of.fetch_add(1, Ordering::Relaxed);
        match (done, trouble) {
            // A statement that fails may not be among those of the commit.
            (Ok(closed), None | Some(Trouble::Database | Trouble::Statement)) => {
                self.allowed = vec![committed];
                count(&self.tally.commits);
                life.since = None;
                self.speak(life, closed, spoken)
            }
            (Ok(_), Some(trouble)) => panic!("a commit succeeded in spite of {trouble:?}"),
            (Err(_), Some(trouble @ (Trouble::Full | Trouble::Refused | Trouble::Statement | Trouble::Log))) => {
                count(if trouble == Trouble::Full { &self.tally.full } else { &self.tally.unwritten });
                Err(End::Failed)
            }
            (Err(_), Some(Trouble::Answer)) => {
                self.unspoken.extend(windows);
                self.allowed = vec![committed];
                Err(End::Failed)
            }
            (Err(_), Some(Trouble::Torn)) => {
                self.unspoken.extend(windows);
                self.allowed.push(committed);
                Err(End::Torn)
            }
            (Err(_), Some(Trouble::Checkpoint)) => {
                self.unspoken.extend(windows);
                self.allowed = vec![committed];
                Err(End::Torn)
            }
            (Err(error), None | Some(Trouble::Database)) => panic!("a commit failed: {error}"),
        }
    }

    /// Publishes what has been committed, so many windows of it if something comes between.
    fn speak(&mut self, life: &mut Life, closed: Vec<Closed>, spoken: Option<usize>) -> Result<(), End> {
        let due = std::mem::take(&mut life.closings);
        assert_eq!(closed.len(), due.len(), "as much is to be published as has closed: {closed:?}, {due:?}");
        let mut left = spoken;
        for (closed, due) in closed.into_iter().zip(due) {
            assert!(closed.windows.iter().eq(due.windows.iter().map(Rc::as_ref)), "{closed:?}\nis to be {due:?}");
            assert_eq!(*closed.totals, due.totals, "totals that are published");
            for window in due.windows {
                if left == Some(0) {
                    self.unspoken.insert(window.start);
                    continue;
                }
                left = left.map(|left| left - 1);
                self.note(format!("publishes {}", window.start));
                assert!(self.published.insert(window.start), "published twice: {window:?}");
            }
        }
        match spoken {
            None => Ok(()),
            Some(_) => {
                self.note("dies after a commit".to_owned());
                Err(End::Crash)
            }
        }
    }

    /// Where a run says that it stands, and where it must stand.
    fn assert_stand(&self, (topic, partitions): &Stand, book: &Book, refilling: bool) {
        let state = |(partition, page): (&u32, &Page)| {
            let Page { start, merged, refill, watermark, last, .. } = *page;
            (*partition, PartitionState { start, position: merged, restore_from: refill, watermark, last })
        };
        let states: Vec<_> = book.pages.iter().map(state).collect();
        assert_eq!(partitions, &states, "partitions at a commit, handed over and expected");
        let times = (topic.watermark, topic.closed_until, topic.newest);
        assert_eq!(times, (book.watermark, book.closed_until, book.newest()), "watermark, closed until, newest");
        assert_eq!(topic.start.partitions, book.began, "partitions when the run began");
        assert_eq!(topic.sensors, reference::distinct(&self.log, book), "sensors");
        let (oldest, open) =
            (book.open.keys().next().map(|end| end - self.log.window.millis()), book.open.len() as u64);
        if !refilling {
            assert_eq!((topic.oldest_open, topic.open_windows), (oldest, open), "open windows at a commit");
        } else if !book.vague {
            // Of those that are being read again only as many are known as the last commit said.
            let (said, known) = (topic.open_windows, topic.oldest_open);
            assert!(known == oldest && said <= open, "{said} windows are open from {known:?}: {:?}", book.open);
        }
    }

    /// Which commit the store is at. There is a choice only after the machine has died within one: then the store says by
    /// the number of its commits whether that one is there.
    pub(super) fn identify(&mut self, saved: Option<&ResumeState>) -> Rc<Book> {
        if self.allowed.len() > 1 {
            let mut reader = StoreReader::open(&self.folder.path()).expect("the store opens to be read");
            let commits = reader.snapshot().expect("the store can be read").overview().commits;
            self.allowed.retain(|committed| committed.book.commits == commits);
        }
        let [Committed { book, stand }] = &self.allowed[..] else {
            panic!("the store is at a commit that it cannot be at: {saved:?}");
        };
        let stored = saved.map(|saved| (saved.topic, saved.partitions.iter().map(|(p, s)| (*p, *s)).collect()));
        assert_eq!(stored.as_ref(), (book.commits > 0).then_some(stand), "a run goes on where the last commit stands");
        Rc::clone(book)
    }
}
