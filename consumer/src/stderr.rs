//! Standard error, written by a thread of its own.
//!
//! Whoever does not read it (a pager, a terminal that was stopped, a full pipe) holds up neither a run nor its end: nobody but
//! that thread waits for it. What waits is bounded; beyond that, lines are left out, and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use crate::sink::table::Screen;

/// How long it is waited for whoever reads it, where that is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many lines may wait.
const MOST_WAITING: usize = 1_000;

/// A line, and the screen above whose picture it is to stand.
struct Line {
    text: Vec<u8>,
    above: Option<Screen>,
}

struct Queue {
    lines: VecDeque<Line>,
    /// Lines for which there was no room.
    left_out: u64,
    /// How many lines there ever were.
    said: u64,
    /// How many of them have been written.
    written: u64,
    /// It was waited for in vain, and nothing was written since.
    unread: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());
/// Told when there is a line, and when one has been written.
static CHANGED: Condvar = Condvar::new();
static THREAD: Once = Once::new();

/// Writes, above what is drawn on a screen if there is one. A standard error that is closed is no error.
pub(crate) fn write(text: impl AsRef<[u8]>, above: Option<&Screen>) {
    THREAD.call_once(|| {
        // Without a thread, nothing is said; the exit code is all that is left.
        let _ = std::thread::Builder::new().name("stderr".to_owned()).spawn(serve);
    });
    lock().push(Line { text: text.as_ref().to_vec(), above: above.cloned() });
    CHANGED.notify_all();
}

/// Waits until all that was said by now has been written, for a second at most, and not at all while nobody reads: what is
/// written to standard output after this stands behind it, where both go to one place.
pub(crate) fn flush() {
    let queue = lock();
    if queue.unread {
        return;
    }
    let wanted = queue.said + u64::from(queue.left_out > 0);
    let waits = |queue: &mut Queue| queue.written < wanted;
    if let Ok((mut queue, waited)) = CHANGED.wait_timeout_while(queue, PATIENCE, waits) {
        queue.unread = waited.timed_out();
    }
}

fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    const fn new() -> Self {
        Self { lines: VecDeque::new(), left_out: 0, said: 0, written: 0, unread: false }
    }

    fn push(&mut self, line: Line) {
        if self.lines.len() < MOST_WAITING {
            self.lines.push_back(line);
            self.said += 1;
        } else {
            self.left_out += 1;
        }
    }

    /// The next line; what was left out is said behind what waits.
    fn pop(&mut self) -> Option<Line> {
        if let Some(line) = self.lines.pop_front() {
            return Some(line);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| {
            self.said += 1;
            let text = format!("({left_out} lines were left out: nobody read them)\n").into_bytes();
            Line { text, above: None }
        })
    }
}

/// The thread.
fn serve() {
    loop {
        let Line { text, above } = {
            let mut queue = lock();
            loop {
                if let Some(line) = queue.pop() {
                    break line;
                }
                queue = CHANGED.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let mut stderr = io::stderr();
        // There is nobody left to tell.
        let _ = match above {
            Some(screen) => screen.above(&text, &mut stderr),
            None => stderr.write_all(&text),
        };
        let mut queue = lock();
        queue.written += 1;
        queue.unread = false;
        drop(queue);
        CHANGED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let mut queue = Queue::new();
        for number in 0..MOST_WAITING + 7 {
            queue.push(Line { text: number.to_string().into_bytes(), above: None });
        }
        let mut line = || queue.pop().map(|line| String::from_utf8_lossy(&line.text).into_owned());
        for number in 0..MOST_WAITING {
            assert_eq!(line(), Some(number.to_string()));
        }
        assert_eq!(line().as_deref(), Some("(7 lines were left out: nobody read them)\n"));
        assert_eq!(line(), None);
    }
}
