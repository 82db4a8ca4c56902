//! Standard error, written by a thread of its own.
//!
//! Whoever does not read it (a pager, a terminal that was stopped, a full pipe) holds up neither sending nor the end of a
//! run: nobody but that thread waits for it. What waits is bounded; beyond that, lines are left out, and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;

/// How long the end of the program waits for its last words to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// So many lines may wait.
const MOST_WAITING: usize = 1_000;

/// What the thread is to do.
enum Job {
    Write(Vec<u8>),
    Show(ProgressBar),
    Draw { position: u64, message: String },
    Hide,
}

struct Queue {
    jobs: VecDeque<Job>,
    /// Lines for which there was no room.
    left_out: u64,
    /// The thread is doing something.
    busy: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { jobs: VecDeque::new(), left_out: 0, busy: false });
/// Told when there is a job, and when there is none any more.
static CHANGED: Condvar = Condvar::new();
static THREAD: Once = Once::new();

/// Writes, above the bar if one is shown. A standard error that is closed is no error.
pub fn write(text: impl AsRef<[u8]>) {
    push(Job::Write(text.as_ref().to_vec()));
}

/// Shows a bar from now on.
pub(crate) fn show(bar: ProgressBar) {
    push(Job::Show(bar));
}

/// Draws the bar anew.
pub(crate) fn draw(position: u64, message: String) {
    push(Job::Draw { position, message });
}

/// Takes the bar away.
pub(crate) fn hide() {
    push(Job::Hide);
}

/// Waits until all has been written, for a second at most: the last words of a program that ends.
pub fn flush() {
    let queue = lock();
    let waits = |queue: &mut Queue| !queue.jobs.is_empty() || queue.busy;
    // If it is not read by now, there is nobody to tell.
    drop(CHANGED.wait_timeout_while(queue, LAST_WORDS, waits));
}

fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn push(job: Job) {
    THREAD.call_once(|| {
        // Without a thread, nothing is said; the exit code is all that is left.
        let _ = std::thread::Builder::new().name("stderr".to_owned()).spawn(serve);
    });
    lock().push(job);
    CHANGED.notify_all();
}

impl Queue {
    fn push(&mut self, job: Job) {
        let room = self.jobs.len() < MOST_WAITING;
        match (&job, self.jobs.back_mut()) {
            // Only the newest state of the bar is of interest.
            (Job::Draw { .. }, Some(last @ Job::Draw { .. })) => *last = job,
            (Job::Write(_), _) if !room => self.left_out += 1,
            (Job::Draw { .. }, _) if !room => {}
            _ => self.jobs.push_back(job),
        }
    }

    /// The next job; what was left out is said where it would have stood, behind what waits.
    fn pop(&mut self) -> Option<Job> {
        if let Some(job) = self.jobs.pop_front() {
            return Some(job);
        }
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then(|| Job::Write(format!("({left_out} lines were left out: nobody read them)\n").into()))
    }
}

/// The thread.
fn serve() {
    let mut shown: Option<ProgressBar> = None;
    loop {
        let job = {
            let mut queue = lock();
            loop {
                if let Some(job) = queue.pop() {
                    queue.busy = true;
                    break job;
                }
                queue.busy = false;
                CHANGED.notify_all();
                queue = CHANGED.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        match (job, &shown) {
            (Job::Write(text), Some(bar)) => bar.suspend(|| write_now(&text)),
            (Job::Write(text), None) => write_now(&text),
            (Job::Draw { position, message }, Some(bar)) => {
                bar.set_position(position);
                bar.set_message(message);
                bar.tick();
            }
            (Job::Draw { .. }, None) => {}
            (Job::Show(bar), _) => shown = Some(bar),
            (Job::Hide, _) => {
                if let Some(bar) = shown.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

fn write_now(text: &[u8]) {
    // There is nobody left to tell.
    let _ = io::stderr().write_all(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(queue: &mut Queue) -> Option<String> {
        match queue.pop()? {
            Job::Write(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            Job::Draw { message, .. } => Some(message),
            Job::Show(_) | Job::Hide => Some(String::new()),
        }
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let mut queue = Queue { jobs: VecDeque::new(), left_out: 0, busy: false };
        for number in 0..MOST_WAITING + 7 {
            queue.push(Job::Write(number.to_string().into()));
        }
        for number in 0..MOST_WAITING {
            assert_eq!(line(&mut queue), Some(number.to_string()));
        }
        assert_eq!(line(&mut queue).as_deref(), Some("(7 lines were left out: nobody read them)\n"));
        assert_eq!(line(&mut queue), None);
    }

    #[test]
    fn a_bar_that_is_not_drawn_waits_in_its_newest_state() {
        let mut queue = Queue { jobs: VecDeque::new(), left_out: 0, busy: false };
        for number in 0..10 {
            queue.push(Job::Draw { position: number, message: number.to_string() });
        }
        assert_eq!((line(&mut queue).as_deref(), line(&mut queue)), (Some("9"), None));
    }
}
