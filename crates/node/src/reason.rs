//! What it means that the operating system refuses something, where its own words do not say what to do.

use std::io;

use nix::errno::Errno;

/// An error of the operating system, for people.
pub(crate) fn plain(error: &io::Error) -> String {
    let means = match os_error(error).map(Errno::from_raw) {
        Some(Errno::ENOSPC) => "the disk is full: make room on it",
        Some(Errno::EDQUOT) => "the disk quota is used up: make room, or raise it",
        Some(Errno::EMFILE) => "the node has no file descriptor left: raise its hard limit (`ulimit -Hn`)",
        Some(Errno::ENFILE) => "the system has no file descriptor left: raise its limit (fs.file-max)",
        _ => return error.to_string(),
    };
    format!("{means} ({error})")
}

/// The system's number for it. A library that adds the path keeps the number in the text only.
fn os_error(error: &io::Error) -> Option<i32> {
    let in_text = || error.to_string().split_once("(os error ")?.1.split_once(')')?.0.parse().ok();
    error.raw_os_error().or_else(in_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_mended_is_said_and_the_system_s_words_stay() {
        for (errno, said) in [
            (Errno::ENOSPC, "the disk is full: make room on it (No space left on device"),
            (Errno::EMFILE, "raise its hard limit (`ulimit -Hn`) (Too many open files"),
            (Errno::EACCES, "Permission denied"),
        ] {
            let text = plain(&errno.into());
            assert!(text.contains(said), "{text}");
        }
        let named = tempfile::tempfile_in("/nowhere/at/all").unwrap_err();
        assert_eq!(os_error(&named), Some(Errno::ENOENT as i32), "{named:?}");
    }
}
