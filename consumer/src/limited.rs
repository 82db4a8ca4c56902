//! Reads a file that is named on the command line: one that is too large, or from which nothing comes, ends in an error.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How long a file may take: one may be a pipe that nobody writes to.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The whole of a file of at most `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_within(path, most, TIMEOUT)
}

fn read_within(path: &Path, most: u64, timeout: Duration) -> io::Result<Vec<u8>> {
    let (path, (done, outcome)) = (path.to_owned(), mpsc::channel());
    let reading = move || {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
        // After the timeout nobody waits for it.
        let _ = done.send(read.map(|_| bytes));
    };
    // The thread of a pipe that nobody writes to ends with the process.
    thread::Builder::new().name("file".to_owned()).spawn(reading)?;
    let bytes = outcome.recv_timeout(timeout).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            io::Error::new(io::ErrorKind::TimedOut, format!("its end did not come within {} s", timeout.as_secs()))
        }
        RecvTimeoutError::Disconnected => io::Error::other("the thread that reads it ended before its time"),
    })??;
    if bytes.len() as u64 > most {
        let what = format!("it has more than {most} bytes, which is the most that is read of such a file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_a_bound_and_pipes_a_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        std::fs::write(&path, b"12345").expect("a file");
        assert_eq!(read(&path, 5).expect("five bytes"), b"12345");
        let kind = |path: &Path, most| read(path, most).expect_err("an error").kind();
        assert_eq!(kind(&path, 4), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(Path::new("/dev/zero"), 1 << 20), io::ErrorKind::FileTooLarge);
        assert_eq!(kind(folder.path(), 4), io::ErrorKind::IsADirectory);
        assert_eq!(kind(&folder.path().join("none"), 4), io::ErrorKind::NotFound);
        // A terminal or a pipe from which nothing comes.
        let (reader, _writer) = io::pipe().expect("a pipe");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let late = read_within(Path::new(&path), 4, Duration::from_millis(20)).expect_err("nothing comes");
        assert_eq!(late.kind(), io::ErrorKind::TimedOut, "{late}");
    }
}
