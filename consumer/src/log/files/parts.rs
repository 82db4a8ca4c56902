//! The parts of a file that is followed: the files that it was, one after the other. The partition's offsets count on from file to file.
//!
//! The newest part is read on as it is written. When another file with a whole line in it has its name, its rest is read, and the part after
//! it begins. A run emits each part, for the store to keep, before anything of it; [`Parts::resume`] gives them to a later run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isotherm_engine::state::LogPart;
use isotherm_files::{Blocks, Content, FileError, InputFormat, Sizes, is_array};
use tracing::{info, warn};

use super::rotated::{Folder, Found, Next, PRINT};
use super::{LogBounds, byte, offset};

/// The parts of one file.
pub(super) struct Parts {
    path: PathBuf,
    /// What else the run reads.
    others: Vec<PathBuf>,
    format: InputFormat,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that are known, in their order. The first ones may be files that are not read.
    known: Vec<LogPart>,
    /// The places of those that the store does not know so.
    news: BTreeSet<usize>,
    /// From where on they are read again, and up to where an earlier run had read.
    from: i64,
    position: i64,
    /// Where what is still there begins; `None` before anybody looked.
    start: Option<i64>,
    /// Whether it was said that there is no file yet.
    awaited: bool,
    /// The part before the newest, and how many bytes of it were read.
    before: Option<(Arc<Found>, u64)>,
}

/// A part that is being read.
pub(super) struct Piece {
    pub(super) blocks: Blocks,
    /// The partition's offset of its first byte.
    pub(super) base: i64,
    /// Where it ends; `None` while it is the newest.
    pub(super) end: Option<i64>,
    found: Arc<Found>,
    is_compressed: bool,
    /// How long it was when another file had its name.
    closing: Option<u64>,
    /// How long it was when all of it had been read, and the digest of its last bytes then.
    seen: Option<(u64, u64)>,
}

/// What is to be done when a part has been read to its end.
pub(super) enum Ended {
    /// Look again later.
    NotYet,
    /// It has an end now: read up to that.
    Closed,
    /// Another file was put in its place, with the same content: go on with that.
    Replaced,
    /// It was cut, or is no longer what was read: it ends here.
    Cut(i64),
}

impl Parts {
    pub(super) fn new(path: PathBuf, others: Vec<PathBuf>, format: InputFormat) -> Self {
        Self { path, others, format, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, ask: impl Fn(&Folder<'_>) -> Result<T, FileError>) -> Result<T, FileError> {
        let folder = || self.path.parent().unwrap_or(Path::new("/")).display().to_string();
        Folder::look(&self.path, &self.others, ask)?.ok_or_else(|| FileError::Busy { folder: folder() })
    }

    /// What an earlier run knew, from where on it is read again, and up to where it had been read.
    pub(super) fn resume(&self, from: i64, position: i64, known: &[LogPart]) {
        *self.state() = State { known: known.to_vec(), from, position, ..State::default() };
    }

    /// Whether the file has been followed.
    pub(super) fn are_known(&self) -> bool {
        !self.state().known.is_empty()
    }

    /// Parts that the store must keep before anything of them is committed, with their places.
    pub(super) fn news(&self) -> Vec<(u32, LogPart)> {
        let mut state = self.state();
        let news = std::mem::take(&mut state.news);
        let part = |place: usize| Some((u32::try_from(place).ok()?, *state.known.get(place)?));
        news.into_iter().filter_map(part).collect()
    }

    /// Where all parts that are still there, and are needed, begin and end. What is followed ends behind its last whole line.
    pub(super) fn bounds(&self, follow: bool) -> Result<LogBounds, FileError> {
        let mut state = self.state();
        if state.start.is_none() {
            let start = self.resumed(&mut state)?;
            state.start = Some(start);
        }
        let start = state.start.unwrap_or(0);
        let Some((last, base)) = state.last() else {
            let Some(found) = Found::open(&self.path)? else {
                return Ok(LogBounds { start: 0, end: 0 });
            };
            return Ok(LogBounds { start: 0, end: end(&found, 0, state.position, follow)? });
        };
        let read = byte(state.position.saturating_sub(base));
        let end = match self.look(|folder| folder.find(&last, read))? {
            Some(found) => end(&found, base, state.position, follow)?,
            None => base.max(start),
        };
        Ok(LogBounds { start, end })
    }

    /// Looks for the files of all parts that are needed, and for those that came after them. Gives where what is there without a gap
    /// begins.
    fn resumed(&self, state: &mut State) -> Result<i64, FileError> {
        let mut start = None;
        for (place, part) in state.known.clone().iter().enumerate() {
            let Some(base) = part.base else { continue };
            let end = part.length.map(|length| base.saturating_add(offset(length)));
            // What was read of it is not read again.
            if end.is_some_and(|end| end <= state.from) && place + 1 < state.known.len() {
                continue;
            }
            let read = byte(state.position.saturating_sub(base));
            let found = self.look(|folder| folder.find(part, read))?;
            match (found, end) {
                (Some(_), _) => drop(start.get_or_insert(base)),
                (None, Some(end)) => start = Some(end),
                // At least one byte of it may be missing: nobody knows how long it was.
                (None, None) => {
                    let next = state.position.max(base).saturating_add(1);
                    start = Some(next);
                    if let Some(found) = Found::open(&self.path)? {
                        state.push(part_of(&found, next)?);
                    }
                }
            }
        }
        while let Some((last, base)) = state.last() {
            let read = byte(state.position.saturating_sub(base));
            let next = self.look(|folder| {
                let Some(found) = folder.find(&last, read)? else {
                    return Ok(None);
                };
                Ok(Some((folder.next(&found, read.min(found.content_length()?), &state.known)?, found)))
            })?;
            let Some((Next::File(next), found)) = next else { break };
            state.append(&found, found.content_length()?, &next)?;
        }
        Ok(start.unwrap_or(0))
    }

    /// Opens the part that holds an offset; `None` if there is no file yet.
    pub(super) fn open(&self, position: i64, follow: bool) -> Result<Option<Piece>, FileError> {
        let mut state = self.state();
        let place = state.known.iter().rposition(|part| part.base.is_some_and(|base| base <= position));
        let Some((part, base)) =
            place.and_then(|place| state.known.get(place)).and_then(|part| Some((*part, part.base?)))
        else {
            return self.first(&mut state, position, follow);
        };
        drop(state);
        let end = part.length.map(|length| base.saturating_add(offset(length)));
        match self.look(|folder| folder.find(&part, byte(position.saturating_sub(base))))? {
            Some(found) => self.piece(found, base, end, position, follow).map(Some),
            None => Err(FileError::Gone { name: self.path.display().to_string(), offset: byte(position) }),
        }
    }

    /// The first part, from when there is a whole line in it.
    fn first(&self, state: &mut State, position: i64, follow: bool) -> Result<Option<Piece>, FileError> {
        let name = self.path.display().to_string();
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.is_symlink()) {
            let target = fs::canonicalize(&self.path).unwrap_or_default().display().to_string();
            return Err(FileError::FollowedLink { name, target });
        }
        let found = match Found::open(&self.path)? {
            Some(found) if found.is_compressed()? => return Err(FileError::FollowedCompressed { name }),
            Some(found) if found.line_end()? > 0 => found,
            found => {
                if found.is_none() && !std::mem::replace(&mut state.awaited, true) {
                    warn!("there is no file {name} yet; waiting for it");
                }
                return Ok(None);
            }
        };
        let is_array = match self.format {
            InputFormat::Lines => false,
            InputFormat::Array => true,
            InputFormat::Auto => is_array(Content::growing(found.file.clone(), &name, 0)?.checked()?)?,
        };
        if is_array {
            return Err(FileError::FollowedArray { name });
        }
        // What was rotated before is not read.
        let before = self.look(|folder| folder.before())?;
        before.into_iter().for_each(|part| state.push(part));
        let piece = self.piece(found, 0, None, position, follow)?;
        state.push(part_of(&piece.found, 0)?);
        Ok(Some(piece))
    }

    fn piece(
        &self,
        found: Found,
        base: i64,
        end: Option<i64>,
        position: i64,
        follow: bool,
    ) -> Result<Piece, FileError> {
        let from = byte(position.saturating_sub(base));
        let is_compressed = found.is_compressed()?;
        let content = if follow && end.is_none() && !is_compressed {
            Content::growing(found.file.clone(), &found.name(), from)?
        } else {
            found.content(from)?
        };
        let blocks = Blocks::growing(content, Sizes::default());
        Ok(Piece { blocks, base, end, found: Arc::new(found), is_compressed, closing: None, seen: None })
    }

    /// The newest part has been read to its end, so far: what now? What is written to it until the next look still belongs to it.
    pub(super) fn ended(&self, piece: &mut Piece) -> Result<Ended, FileError> {
        let read = piece.blocks.position();
        let length = if piece.is_compressed { read } else { piece.found.length()? };
        let here = piece.base.saturating_add(offset(length));
        if length < read || !piece.is_as_seen()? {
            return Ok(Ended::Cut(here.min(piece.base.saturating_add(offset(read)))));
        }
        if !piece.is_compressed {
            piece.seen = Some((length, piece.found.tail(length)?));
        }
        let mut state = self.state();
        state.warn_of_more();
        state.know_better(&piece.found)?;
        let known = state.known.clone();
        // The usual case costs no look at the folder.
        let is_there = Found::open(&self.path)?.is_some_and(|found| found.inode == piece.found.inode);
        let next = if is_there {
            Next::Nothing
        } else {
            match Folder::look(&self.path, &self.others, |folder| folder.next(&piece.found, read, &known))? {
                Some(next) => next,
                None => return Ok(Ended::NotYet),
            }
        };
        match next {
            Next::Nothing => {}
            Next::Copy(copy) => {
                state.replace(copy.inode);
                return Ok(Ended::Replaced);
            }
            Next::File(next) if piece.closing == Some(length) => {
                state.append(&piece.found, length, &next)?;
                state.before = Some((piece.found.clone(), length));
                piece.end = Some(here);
                return Ok(Ended::Closed);
            }
            Next::File(_) => piece.closing = Some(length),
        }
        Ok(Ended::NotYet)
    }
}

impl Piece {
    /// Whether the file still holds what was read last, if it has changed since.
    pub(super) fn is_as_seen(&self) -> Result<bool, FileError> {
        let Some((length, tail)) = self.seen else {
            return Ok(true);
        };
        let now = self.found.length()?;
        Ok(now == length || now > length && self.found.tail(length)? == tail)
    }
}

impl State {
    /// The newest part, and where it begins.
    fn last(&self) -> Option<(LogPart, i64)> {
        self.known.last().and_then(|last| Some((*last, last.base?)))
    }

    fn push(&mut self, part: LogPart) {
        self.news.insert(self.known.len());
        self.known.push(part);
    }

    fn change(&mut self, change: impl FnOnce(&mut LogPart)) {
        if let Some(last) = self.known.last_mut() {
            change(last);
            self.news.insert(self.known.len() - 1);
        }
    }

    /// The newest part, whose file is `found`, has this length, and goes on in `next`.
    fn append(&mut self, found: &Found, length: u64, next: &Found) -> Result<(), FileError> {
        let Some((_, base)) = self.last() else {
            return Ok(());
        };
        self.know_better(found)?;
        let tail = found.tail(length)?;
        self.change(|last| (last.length, last.tail) = (Some(length), tail));
        self.push(part_of(next, base.saturating_add(offset(length)))?);
        info!("{} was rotated after {length} bytes; going on with {}", found.name(), next.name());
        Ok(())
    }

    /// More of the newest part's first bytes may be there than when it began.
    fn know_better(&mut self, found: &Found) -> Result<(), FileError> {
        let Some((last, _)) = self.last() else {
            return Ok(());
        };
        if last.head_length < PRINT {
            let (length, head) = found.head(PRINT.into())?;
            if length > last.head_length {
                self.change(|last| (last.head_length, last.head) = (length, head));
            }
        }
        Ok(())
    }

    fn replace(&mut self, inode: u64) {
        self.change(|last| last.inode = inode);
    }

    /// Warns of what was written to the part before the newest after that had begun.
    fn warn_of_more(&mut self) {
        if let Some((found, read)) = &mut self.before
            && let Ok(length) = found.length()
            && length > *read
        {
            let more = length - *read;
            warn!(
                "{more} bytes were appended to the file that was {} after it had been rotated; they are not counted",
                found.name()
            );
            *read = length;
        }
    }
}

/// What a store keeps of a file as the part that begins at `base`.
fn part_of(found: &Found, base: i64) -> Result<LogPart, FileError> {
    let (head_length, head) = found.head(PRINT.into())?;
    Ok(LogPart { base: Some(base), inode: found.inode, head_length, head, length: None, tail: 0 })
}

/// Where the newest part ends. What an earlier run has read is there, whatever it ends with.
fn end(found: &Found, base: i64, position: i64, follow: bool) -> Result<i64, FileError> {
    let all = base.saturating_add(offset(found.content_length()?));
    let whole = if follow { base.saturating_add(offset(found.line_end()?)) } else { all };
    Ok(whole.max(position.min(all)))
}
