//! Standard error, written by a thread of its own.
//!
//! Only that thread waits for the reader of standard error (a pager, a stopped terminal, a full pipe): neither a run nor its
//! end does. The queue is bounded; lines for which it has no room are left out and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use console::Term;

use crate::frame;
use crate::text::message;

/// How long [`flush`] waits for the reader.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How many lines may wait.
const MAX_LINES: usize = 1_000;

enum Job {
    Above(Vec<u8>),
    Below(Vec<u8>),
    Draw(Vec<String>),
}

struct Queue {
    jobs: VecDeque<Job>,
    /// Lines for which there was no room.
    left_out: u64,
    /// How many jobs there ever were.
    queued: u64,
    /// How many of them are done.
    done: u64,
    /// [`flush`] waited in vain, and nothing was written since.
    unread: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue::new());
/// Notified when there is a job, and when one is done.
static CHANGED: Condvar = Condvar::new();
static THREAD: Once = Once::new();
/// Whether there is no such thread: then each thread writes what it has to say itself, and waits for the reader.
static ALONE: AtomicBool = AtomicBool::new(false);

/// Writes a [`message`] above what is drawn. A standard error that is closed is no error.
pub fn write(text: impl AsRef<str>) {
    write_raw(message(text.as_ref()));
}

/// Writes what is safe to show.
pub(crate) fn write_raw(text: impl Into<Vec<u8>>) {
    push(Job::Above(text.into()));
}

/// Writes a [`message`] below what is drawn, which stays where it is: the last line of a program that failed.
pub fn write_below(text: impl AsRef<str>) {
    push(Job::Below(message(text.as_ref()).into()));
}

/// Draws these lines, on a standard error that is a terminal, in the place of the last ones.
pub(crate) fn draw(lines: Vec<String>) {
    push(Job::Draw(lines));
}

/// Waits until everything queued so far is written, at most a second, and not at all while nobody reads. Where both streams
/// go to one place, what is written to standard output after this comes after it.
pub fn flush() {
    let queue = lock();
    if queue.unread {
        return;
    }
    let wanted = queue.queued + u64::from(queue.left_out > 0);
    let waits = |queue: &mut Queue| queue.done < wanted;
    if let Ok((mut queue, waited)) = CHANGED.wait_timeout_while(queue, TIMEOUT, waits) {
        queue.unread = waited.timed_out();
    }
}

fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn push(job: Job) {
    THREAD.call_once(|| {
        let thread = std::thread::Builder::new().name("stderr".to_owned()).spawn(serve);
        ALONE.store(thread.is_err(), Ordering::Relaxed);
    });
    lock().push(job);
    CHANGED.notify_all();
    if ALONE.load(Ordering::Relaxed) {
        while let Some(job) = next() {
            carry_out(job);
        }
    }
}

impl Queue {
    const fn new() -> Self {
        Self { jobs: VecDeque::new(), left_out: 0, queued: 0, done: 0, unread: false }
    }

    fn push(&mut self, job: Job) {
        let full = self.jobs.len() >= MAX_LINES;
        match (&job, self.jobs.back_mut()) {
            // Only the newest picture matters. So at most one waits between two lines.
            (Job::Draw(_), Some(last @ Job::Draw(_))) => *last = job,
            (Job::Above(_) | Job::Below(_), _) if full => self.left_out += 1,
            _ => {
                self.jobs.push_back(job);
                self.queued += 1;
            }
        }
    }

    /// The next job. Once the queue is empty, a line says how many were left out.
    fn pop(&mut self) -> Option<Job> {
        if let Some(job) = self.jobs.pop_front() {
            return Some(job);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| {
            self.queued += 1;
            Job::Above(format!("({left_out} lines were left out: nobody read them)\n").into())
        })
    }
}

fn next() -> Option<Job> {
    lock().pop()
}

/// The thread.
fn serve() {
    loop {
        let job = {
            let mut queue = lock();
            loop {
                if let Some(job) = queue.pop() {
                    break job;
                }
                queue = CHANGED.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        carry_out(job);
    }
}

fn carry_out(job: Job) {
    // An error means that nobody is left to read it.
    let _ = match job {
        Job::Above(text) => frame::above(&text),
        Job::Below(text) => {
            frame::release();
            io::stderr().write_all(&text)
        }
        Job::Draw(lines) => frame::draw(&Term::stderr(), lines),
    };
    let mut queue = lock();
    queue.done += 1;
    queue.unread = false;
    drop(queue);
    CHANGED.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(queue: &mut Queue) -> Option<String> {
        queue.pop().map(|job| match job {
            Job::Above(text) | Job::Below(text) => String::from_utf8_lossy(&text).into_owned(),
            Job::Draw(lines) => lines.concat(),
        })
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let mut queue = Queue::new();
        for number in 0..MAX_LINES + 7 {
            queue.push(Job::Above(number.to_string().into()));
        }
        for number in 0..MAX_LINES {
            assert_eq!(next(&mut queue), Some(number.to_string()));
        }
        assert_eq!(next(&mut queue).as_deref(), Some("(7 lines were left out: nobody read them)\n"));
        assert_eq!(next(&mut queue), None);
    }

    #[test]
    fn of_pictures_that_wait_only_the_newest_is_drawn() {
        let mut queue = Queue::new();
        for number in 0..10 {
            queue.push(Job::Draw(vec![number.to_string()]));
        }
        assert_eq!((next(&mut queue).as_deref(), next(&mut queue)), (Some("9"), None));
    }
}
