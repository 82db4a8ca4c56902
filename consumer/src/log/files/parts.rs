//! The parts of a file that is followed: the files that it was, one after the other. The partition's offsets count on from file to file.
//!
//! The newest part is read on as it is written. When another file that is not empty has its name, its rest is read, and the part after it
//! begins. A run emits each part, for the store to keep, before anything of it; [`Parts::resume`] gives them to a later run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isotherm_engine::state::LogPart;
use isotherm_files::{Blocks, Compression, Content, FileError, InputFormat, Sizes, is_array};
use tracing::{info, warn};

use super::rotated::{Found, find, successor};
use super::{byte, offset};
use crate::log::LogBounds;

/// The parts of one file.
pub(super) struct Parts {
    path: PathBuf,
    format: InputFormat,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that are known, in their order.
    known: Vec<LogPart>,
    /// How many of them the store knows, or has been told.
    told: usize,
    /// Up to where an earlier run had read.
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
    /// How long it was when another file had its name.
    closing: Option<u64>,
}

impl Parts {
    pub(super) fn new(path: PathBuf, format: InputFormat) -> Self {
        Self { path, format, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier run knew, and up to where it had read.
    pub(super) fn resume(&self, position: i64, known: &[LogPart]) {
        let told = known.len();
        *self.state() = State { known: known.to_vec(), told, position, ..State::default() };
    }

    /// Whether the file has been followed.
    pub(super) fn are_known(&self) -> bool {
        !self.state().known.is_empty()
    }

    /// Parts that the store must keep before anything of them is committed.
    pub(super) fn news(&self) -> Vec<LogPart> {
        let mut state = self.state();
        let news = state.known.get(state.told..).unwrap_or_default().to_vec();
        state.told = state.known.len();
        news
    }

    /// Where all parts that are still there begin and end. What is followed ends behind its last whole line.
    pub(super) fn bounds(&self, follow: bool) -> Result<LogBounds, FileError> {
        let mut state = self.state();
        if state.start.is_none() {
            let start = self.look(&mut state)?;
            state.start = Some(start);
        }
        let start = state.start.unwrap_or(0);
        let Some(last) = state.known.last().copied() else {
            let Some(found) = Found::open(&self.path)? else {
                return Ok(LogBounds { start: 0, end: 0 });
            };
            return Ok(LogBounds { start: 0, end: end(&found, 0, state.position, follow)? });
        };
        let end = match find(&self.path, &last)? {
            Some(found) => end(&found, last.base, state.position, follow)?,
            None => last.base.max(start),
        };
        Ok(LogBounds { start, end })
    }

    /// Looks for the files of all parts, and for those that came after them. Gives where what is there without a gap begins.
    fn look(&self, state: &mut State) -> Result<i64, FileError> {
        let mut start = 0;
        let parts = state.known.clone();
        for (place, part) in parts.iter().enumerate() {
            let next = parts.get(place + 1);
            match (find(&self.path, part)?, next) {
                (Some(found), Some(next)) => check(&found, part, next)?,
                (Some(_), None) => {}
                (None, Some(next)) => start = next.base,
                // At least one byte of it may be missing: nobody knows how long it was.
                (None, None) => {
                    start = state.position.max(part.base).saturating_add(1);
                    if let Some(found) = Found::open(&self.path)? {
                        state.known.push(found.part(start, 0)?);
                    }
                }
            }
        }
        while let Some(last) = state.known.last().copied()
            && let Some(found) = find(&self.path, &last)?
            && let Some(next) = successor(&self.path, &found, &state.known)?
        {
            let length = found.content_length()?;
            state.append(&found, &last, length, &next)?;
        }
        Ok(start)
    }

    /// Opens the part that holds an offset; `None` if there is no file yet.
    pub(super) fn open(&self, position: i64, follow: bool) -> Result<Option<Piece>, FileError> {
        let mut state = self.state();
        let place = state.known.iter().rposition(|part| part.base <= position);
        let Some((place, part)) = place.and_then(|place| Some((place, *state.known.get(place)?))) else {
            return self.first(&mut state, position, follow);
        };
        let end = state.known.get(place + 1).map(|next| next.base);
        drop(state);
        match find(&self.path, &part)? {
            Some(found) => self.piece(found, part.base, end, position, follow).map(Some),
            None => Err(FileError::Gone { name: self.path.display().to_string(), offset: byte(position) }),
        }
    }

    /// The first part, from when there is something in it.
    fn first(&self, state: &mut State, position: i64, follow: bool) -> Result<Option<Piece>, FileError> {
        let found = match Found::open(&self.path)? {
            Some(found) if found.is_compressed()? => return Err(FileError::FollowedCompressed { name: found.name() }),
            Some(found) if found.line_end()? > 0 => found,
            found => {
                if found.is_none() && !std::mem::replace(&mut state.awaited, true) {
                    warn!("there is no file {} yet; waiting for it", self.path.display());
                }
                return Ok(None);
            }
        };
        let is_array = match self.format {
            InputFormat::Lines => false,
            InputFormat::Array => true,
            InputFormat::Auto => is_array(Content::growing(found.file.clone(), &found.name(), 0)?)?,
        };
        if is_array {
            return Err(FileError::FollowedArray { name: found.name() });
        }
        let piece = self.piece(found, 0, None, position, follow)?;
        state.known.push(piece.found.part(0, 0)?);
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
        let (name, from) = (found.name(), byte(position.saturating_sub(base)));
        let content = found.content(from)?;
        let grows = follow && end.is_none() && (content.compression() == Compression::None || found.path == self.path);
        let content = if grows { Content::growing(found.file.clone(), &name, from)? } else { content };
        Ok(Piece {
            blocks: Blocks::growing(content, Sizes::default()),
            base,
            end,
            found: Arc::new(found),
            closing: None,
        })
    }

    /// The newest part has been read to its end: gives it an end if another file follows it. What is written to it until the next
    /// look still belongs to it.
    pub(super) fn close(&self, piece: &mut Piece) -> Result<bool, FileError> {
        let mut state = self.state();
        state.warn_of_more();
        let Some(last) = state.known.last().copied() else {
            return Ok(false);
        };
        let Some(next) = successor(&self.path, &piece.found, &state.known)? else {
            return Ok(false);
        };
        let length = match piece.blocks.content().compression() {
            Compression::None => piece.found.length()?,
            _ => piece.blocks.position(),
        };
        if piece.closing.replace(length) != Some(length) {
            return Ok(false);
        }
        state.append(&piece.found, &last, length, &next)?;
        state.before = Some((piece.found.clone(), length));
        piece.end = state.known.last().map(|next| next.base);
        Ok(true)
    }

    /// How many bytes the part that is being read lacks of what was read of it.
    pub(super) fn is_cut(piece: &Piece, read: i64) -> Result<Option<i64>, FileError> {
        let end = piece.base.saturating_add(offset(piece.found.length()?));
        let plain = piece.blocks.content().compression() == Compression::None;
        Ok((plain && end < read).then_some(end))
    }
}

impl State {
    /// The part `last`, whose file is `found`, has this length, and goes on in `next`.
    fn append(&mut self, found: &Found, last: &LogPart, length: u64, next: &Found) -> Result<(), FileError> {
        let base = last.base.saturating_add(offset(length));
        self.known.push(next.part(base, found.tail(length)?)?);
        info!("{} ends after {length} bytes; it goes on in {}", found.name(), next.name());
        Ok(())
    }

    /// Warns of what was written to the part before the newest after that had begun.
    fn warn_of_more(&mut self) {
        if let Some((found, read)) = &mut self.before
            && let Ok(length) = found.length()
            && length > *read
        {
            warn!(
                "{} bytes were appended to {} after it had been rotated; they are not counted",
                length - *read,
                found.name()
            );
            *read = length;
        }
    }
}

/// Whether a part that has ended still is what was read of it.
fn check(found: &Found, part: &LogPart, next: &LogPart) -> Result<(), FileError> {
    let end = byte(next.base.saturating_sub(part.base));
    let changed = || FileError::Changed { name: found.name(), offset: end };
    if !found.is_compressed()? && (found.length()? < end || (next.tail != 0 && found.tail(end)? != next.tail)) {
        Err(changed())
    } else {
        Ok(())
    }
}

/// Where the newest part ends. What an earlier run has read is there, whatever it ends with.
fn end(found: &Found, base: i64, position: i64, follow: bool) -> Result<i64, FileError> {
    let all = base.saturating_add(offset(found.content_length()?));
    let whole = if follow { base.saturating_add(offset(found.line_end()?)) } else { all };
    Ok(whole.max(position.min(all)))
}
