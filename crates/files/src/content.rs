//! A file's content: opened, and decompressed if its first bytes say that it is compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::FileError;

/// How many bytes of a file and of its content are looked at to say what they are.
const HEAD: usize = 1024;

/// The fewest bytes that tell it, if there are as many.
const MAGIC: usize = 4;

/// How much compressed data is read at once.
const COMPRESSED: usize = 256 << 10;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Where readings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, or a pipe with a name.
    File(PathBuf),
}

/// What a file is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip; any number of members.
    Gzip,
    /// zstd; any number of frames.
    Zstd,
}

impl Input {
    /// What people call it.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// The content from this byte on. Compressed content is read from its beginning to get there.
    ///
    /// # Errors
    /// It cannot be opened, holds no text, or is a pipe that was to be read from further on.
    pub fn open(&self, position: u64) -> Result<Content, FileError> {
        let name = self.name();
        let Self::File(path) = self else {
            return Content::of(Box::new(io::stdin()), &name, None)?.skip(position);
        };
        let (file, length) = regular(path, &name)?;
        if length.is_none() && position > 0 {
            return Err(FileError::NotSeekable { name, offset: position });
        }
        match length {
            Some(length) => Content::of_file(Arc::new(file), &name, length, position, false)?.checked(),
            None => Content::of(Box::new(file), &name, None),
        }
    }

    /// How long the content is: what a plain file holds now; of another one that is known at its end.
    ///
    /// # Errors
    /// It cannot be opened, or holds no text.
    pub fn length(&self) -> Result<Option<u64>, FileError> {
        let Self::File(path) = self else {
            return Ok(None);
        };
        let (name, metadata) = (self.name(), std::fs::metadata(path));
        let metadata = metadata.map_err(|source| FileError::Open { name: name.clone(), source })?;
        if metadata.is_file() && self.open(0)?.compression == Compression::None {
            return Ok(Some(metadata.len()));
        }
        Ok(None)
    }
}

/// Opens what is no folder. The length of a regular file is known.
fn regular(path: &Path, name: &str) -> Result<(File, Option<u64>), FileError> {
    let open = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        Ok((file, metadata))
    });
    let (file, metadata) = open.map_err(|source| FileError::Open { name: name.to_owned(), source })?;
    if metadata.is_dir() {
        return Err(FileError::Folder { name: name.to_owned() });
    }
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

/// The content of a file or a pipe, read from somewhere on.
pub struct Content {
    name: String,
    compression: Compression,
    /// How long the file is, compressed or not, if it is a regular one.
    length: Option<u64>,
    decoder: Decoder,
    /// The first bytes, which have been looked at.
    head: Cursor<Vec<u8>>,
    /// Up to where the content has been given.
    given: u64,
    read: Arc<AtomicU64>,
}

impl Content {
    /// What `raw` holds; errors call it `name`. `length` is that of a regular file.
    ///
    /// # Errors
    /// It cannot be read, or holds no text.
    pub fn of(raw: Box<dyn Read + Send>, name: &str, length: Option<u64>) -> Result<Self, FileError> {
        Self::unchecked(raw, name, length)?.checked()
    }

    fn unchecked(raw: Box<dyn Read + Send>, name: &str, length: Option<u64>) -> Result<Self, FileError> {
        let read = Arc::new(AtomicU64::new(0));
        let mut raw = Raw { head: Cursor::default(), rest: raw, read: read.clone() };
        let head = head(&mut raw).map_err(|source| FileError::Read { name: name.to_owned(), offset: 0, source })?;
        let compression = match head.as_slice() {
            head if head.starts_with(GZIP) => Compression::Gzip,
            head if head.starts_with(ZSTD) || is_skippable(head) => Compression::Zstd,
            _ => Compression::None,
        };
        raw.head = Cursor::new(head);
        let zstd =
            |error: io::Error| FileError::Damaged { name: name.to_owned(), offset: 0, reason: error.to_string() };
        let decoder = match compression {
            Compression::None => Decoder::Plain(raw),
            Compression::Gzip => Decoder::Gzip(Gzip::new(BufReader::with_capacity(COMPRESSED, raw))),
            Compression::Zstd => {
                let input = BufReader::with_capacity(COMPRESSED, raw);
                Decoder::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(input).map_err(zstd)?))
            }
        };
        let (name, given) = (name.to_owned(), 0);
        let mut content = Self { name, compression, length, decoder, head: Cursor::default(), given, read };
        let first = head_of(&mut content)?;
        content.head = Cursor::new(first);
        content.given = 0;
        Ok(content)
    }

    /// Whether its first bytes can be those of a text in UTF-8, if it is read from its beginning.
    ///
    /// # Errors
    /// What it is instead.
    pub fn checked(self) -> Result<Self, FileError> {
        check_text(self.head.get_ref(), &self.name)?;
        Ok(self)
    }

    /// The content of a regular file from this byte on, whatever it is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn at(file: Arc<File>, name: &str, position: u64) -> Result<Self, FileError> {
        let length = file.metadata().map_err(|source| FileError::Open { name: name.to_owned(), source })?.len();
        Self::of_file(file, name, length, position, false)
    }

    /// The content of a regular file that is still written, from this byte on. At the file's end reading fails with an error that
    /// [is not yet](FileError::is_not_yet) one, and can be tried again.
    ///
    /// # Errors
    /// As of [`Content::at`]; it is compressed.
    pub fn growing(file: Arc<File>, name: &str, position: u64) -> Result<Self, FileError> {
        let content = Self::of_file(file, name, 0, position, true)?;
        match content.compression {
            Compression::None => Ok(content),
            _ => Err(FileError::FollowedCompressed { name: name.to_owned() }),
        }
    }

    fn of_file(file: Arc<File>, name: &str, length: u64, position: u64, grows: bool) -> Result<Self, FileError> {
        let content = Self::unchecked(Box::new(FileAt { file: file.clone(), at: 0, grows }), name, Some(length))?;
        if content.compression != Compression::None || position == 0 {
            return content.skip(position);
        }
        content.read.store(position, Ordering::Relaxed);
        let rest = Box::new(FileAt { file, at: position, grows });
        let raw = Raw { head: Cursor::default(), rest, read: content.read.clone() };
        Ok(Self { decoder: Decoder::Plain(raw), head: Cursor::default(), given: position, ..content })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is compressed with.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Up to where the content has been given.
    pub const fn position(&self) -> u64 {
        self.given
    }

    /// How many bytes of a regular file there are, compressed or not.
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many bytes of the file have been read so far, compressed or not: it counts on while the content is read.
    pub fn read_so_far(&self) -> Arc<AtomicU64> {
        self.read.clone()
    }

    /// Gives at least one byte, unless the content ends.
    ///
    /// # Errors
    /// It cannot be read on.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError> {
        let read = match self.head.read(buffer) {
            Ok(0) => self.decode(buffer)?,
            // A cursor does not fail.
            other => other.unwrap_or(0),
        };
        self.given += read as u64;
        Ok(read)
    }

    /// The digest of the next `length` bytes, and how many there are of them.
    ///
    /// # Errors
    /// It cannot be read on.
    pub fn digest(&mut self, length: u32) -> Result<(u32, u64), FileError> {
        let mut bytes = vec![0; length as usize];
        let mut read = 0;
        while read < bytes.len() {
            match self.read(bytes.get_mut(read..).unwrap_or_default())? {
                0 => break,
                more => read += more,
            }
        }
        let digest = xxh3_64(bytes.get(..read).unwrap_or_default());
        Ok((u32::try_from(read).unwrap_or(length), digest))
    }

    /// How long the content is. It is read to its end.
    ///
    /// # Errors
    /// It cannot be read on.
    pub fn count(mut self) -> Result<u64, FileError> {
        let mut rubbish = vec![0; COMPRESSED];
        while self.read(&mut rubbish)? > 0 {}
        Ok(self.given)
    }

    fn decode(&mut self, buffer: &mut [u8]) -> Result<usize, FileError> {
        loop {
            match self.decoder.read(buffer) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(self.error(source)),
            }
        }
    }

    fn error(&self, source: io::Error) -> FileError {
        let (name, offset) = (self.name.clone(), self.given);
        if self.compression == Compression::None || source.raw_os_error().is_some() {
            return FileError::Read { name, offset, source };
        }
        if source.kind() == ErrorKind::UnexpectedEof {
            return FileError::CutCompressed { name, offset };
        }
        FileError::Damaged { name, offset, reason: source.to_string() }
    }

    /// Reads up to `position` and gives nothing of it.
    pub(crate) fn skip(mut self, position: u64) -> Result<Self, FileError> {
        let mut rubbish = vec![0; usize::try_from(position).unwrap_or(COMPRESSED).min(COMPRESSED)];
        while self.given < position {
            let left = usize::try_from(position - self.given).unwrap_or(usize::MAX).min(rubbish.len());
            if self.read(rubbish.get_mut(..left).unwrap_or_default())? == 0 {
                break;
            }
        }
        Ok(self)
    }
}

/// A place in a file, which others may read elsewhere.
struct FileAt {
    file: Arc<File>,
    at: u64,
    /// Whether its end may not be its last.
    grows: bool,
}

impl Read for FileAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        if self.grows && read == 0 && !buffer.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { Ok(read) }
    }
}

/// What is read, with its first bytes, which have been looked at, before it.
struct Raw {
    head: Cursor<Vec<u8>>,
    rest: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.head.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let read = self.rest.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

enum Decoder {
    Plain(Raw),
    Gzip(Gzip),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Raw>>>),
}

impl Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(members) => members.read(buffer),
            Self::Zstd(frames) => frames.read(buffer),
        }
    }
}

/// The members of a gzip file, one after the other. Zeros may follow the last one, as on a tape.
struct Gzip {
    /// `None` after the last member.
    member: Option<flate2::bufread::GzDecoder<BufReader<Raw>>>,
}

impl Gzip {
    fn new(input: BufReader<Raw>) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(input)) }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            let mut rest = member.into_inner();
            match rest.fill_buf()?.first() {
                None => {}
                Some(0) => zeros(&mut rest)?,
                Some(_) => self.member = Some(flate2::bufread::GzDecoder::new(rest)),
            }
        }
        Ok(0)
    }
}

fn zeros(rest: &mut BufReader<Raw>) -> io::Result<()> {
    loop {
        let found = rest.fill_buf()?;
        if found.is_empty() {
            return Ok(());
        }
        if found.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(ErrorKind::InvalidData, "something that is no gzip member follows"));
        }
        let length = found.len();
        rest.consume(length);
    }
}

/// A zstd frame that holds no content, which may come first.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The first bytes: all that come at once, and enough to know them by.
fn head(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let (mut head, mut length) = (vec![0; HEAD], 0);
    while length < MAGIC {
        match from.read(head.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
}

fn head_of(content: &mut Content) -> Result<Vec<u8>, FileError> {
    let (mut head, mut length) = (vec![0; HEAD], 0);
    while length < MAGIC {
        match content.read(head.get_mut(length..).unwrap_or_default())? {
            0 => break,
            read => length += read,
        }
    }
    head.truncate(length);
    Ok(head)
}

/// What files begin with that people may take for a source.
const KNOWN: [(&[u8], &str); 10] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\xff\x06\x00\x00sNaPpY", "compressed with snappy"),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"SQLite format 3", "a SQLite database"),
];

/// Whether these first bytes can be those of a text in UTF-8.
fn check_text(head: &[u8], name: &str) -> Result<(), FileError> {
    let name = || name.to_owned();
    if let Some((_, what)) = KNOWN.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(FileError::Binary { name: name(), what });
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || head.starts_with(b"\0\0\xfe\xff") {
        return Err(FileError::Utf16 { name: name() });
    }
    if head.starts_with(GZIP) || head.starts_with(ZSTD) {
        return Err(FileError::Binary { name: name(), what: "compressed twice" });
    }
    if !head.contains(&0) {
        return Ok(());
    }
    // ASCII in UTF-16 has a zero at every other place.
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if even.max(odd) > head.len() / 3 && even.min(odd) <= head.len() / 8 {
        return Err(FileError::Utf16 { name: name() });
    }
    Err(FileError::Binary { name: name(), what: "binary: there are zero bytes in it" })
}
