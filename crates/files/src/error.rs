//! Why a file cannot be read, or not any further.

use std::io;

/// Why a file cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened.
    #[error("cannot open {name}: {source}")]
    Open {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It cannot be read on.
    #[error("cannot read {name} from byte {offset} on: {source}")]
    Read {
        /// The file.
        name: String,
        /// How much of its content was read.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It is a folder.
    #[error("{name} is a folder; name the files in it")]
    Folder {
        /// The folder.
        name: String,
    },
    /// It is text in another encoding.
    #[error(
        "{name} is text in UTF-16 or UTF-32, and readings are UTF-8; convert it first: iconv -f UTF-16 -t UTF-8 {name}"
    )]
    Utf16 {
        /// The file.
        name: String,
    },
    /// It is no text.
    #[error(
        "{name} is no text but {what}; a source is JSON lines or a JSON array, as it is or compressed with gzip or zstd"
    )]
    Binary {
        /// The file.
        name: String,
        /// What it is.
        what: &'static str,
    },
    /// What it was compressed from cannot be had.
    #[error("{name} is damaged: after {offset} bytes of its content, decompression says: {reason}")]
    Damaged {
        /// The file.
        name: String,
        /// How much of its content was read.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Its compressed data end before their end.
    #[error("{name} is cut off: its compressed data end after {offset} bytes of its content, but are not complete")]
    CutCompressed {
        /// The file.
        name: String,
        /// How much of its content was read.
        offset: u64,
    },
    /// Its array ends before its end.
    #[error(
        "{name} is cut off: its JSON array has no `]` before the end of the file, at byte {offset}. (If each of its lines \
         is a reading, say so with --input-format lines.)"
    )]
    CutArray {
        /// The file.
        name: String,
        /// Where it ends.
        offset: u64,
    },
    /// Something follows the array.
    #[error(
        "{name} holds more than one JSON array: something follows its end, at byte {offset}. (If each of its lines is a \
         reading, say so with --input-format lines.)"
    )]
    AfterArray {
        /// The file.
        name: String,
        /// Where.
        offset: u64,
    },
    /// It was said to be an array, and is none.
    #[error("{name} is no JSON array: at byte {offset} there is no `[`; leave out --input-format array")]
    NoArray {
        /// The file.
        name: String,
        /// Where the first byte that is no white space is.
        offset: u64,
    },
    /// An array cannot be followed.
    #[error("{name} is one JSON array, which cannot be followed; leave out --follow, or give --input-format lines")]
    FollowedArray {
        /// The file.
        name: String,
    },
    /// What is compressed cannot be followed.
    #[error("{name} is compressed, and a compressed file cannot be followed; leave out --follow")]
    FollowedCompressed {
        /// The file.
        name: String,
    },
    /// What is no regular file is not replaced.
    #[error("{name} is no regular file; follow it as standard input: --source - --follow < {name}")]
    FollowedPipe {
        /// The pipe.
        name: String,
    },
    /// A rotated file is not there any longer.
    #[error(
        "the file that was {name} when byte {offset} was to be read is not in its folder any longer: what it held is lost"
    )]
    Gone {
        /// The file.
        name: String,
        /// The byte of the partition.
        offset: u64,
    },
    /// Nobody can say in which order rotated files were written.
    #[error(
        "{name} was rotated more than once, and the names of {files} do not say in which order: give rotated files numbers or dates, \
         and start over with --reset"
    )]
    Order {
        /// The file.
        name: String,
        /// The rotated files.
        files: String,
    },
    /// A folder that cannot be listed.
    #[error(
        "cannot list {folder}, in which rotated files are looked for: {source}; to follow a file, this user must be allowed to list its folder"
    )]
    List {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Files are renamed all the time.
    #[error("the files in {folder} were renamed each time they were looked at; run again")]
    Busy {
        /// The folder.
        folder: String,
    },
    /// Another file leads to it.
    #[error("{name} is a symbolic link to {target}: follow that, with --source {target}")]
    FollowedLink {
        /// The link.
        name: String,
        /// Where it leads.
        target: String,
    },
    /// It is not what was read any longer.
    #[error("{name} was changed before byte {offset}, up to where it was read")]
    Changed {
        /// The file.
        name: String,
        /// Up to where it was read.
        offset: u64,
    },
    /// It cannot be read a second time.
    #[error(
        "{name} is no regular file, so it can be read only once and from its beginning, and byte {offset} is asked for"
    )]
    NotSeekable {
        /// The file.
        name: String,
        /// From where it was to be read.
        offset: u64,
    },
}

impl FileError {
    /// Whether a file that is still written has no more so far.
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::WouldBlock)
    }
}
