//! The records of one partition on their way: the batch that fills, the batches that wait, the one that is being sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use isotherm_fluvio::produce::OpenBatch;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::messages::Message;

/// The number of full batches that may wait behind the one that is being sent.
const MOST_WAITING: usize = 3;

/// A bounded queue between the one who fills it and the one who sends from it.
#[derive(Debug)]
pub(super) struct PartitionQueue {
    batch_size: usize,
    linger: Duration,
    state: Mutex<State>,
    /// Tells the sender of new work.
    work: Notify,
    /// Tells the filler of new room.
    room: Notify,
}

#[derive(Debug)]
struct State {
    open: OpenBatch,
    full: VecDeque<OpenBatch>,
    sending: bool,
    flushing: bool,
}

enum Next {
    Batch(OpenBatch),
    At(Instant),
    Nothing,
}

impl PartitionQueue {
    pub(super) fn new(batch_size: usize, linger: Duration) -> Self {
        let state = State { open: OpenBatch::with_room(0), full: VecDeque::new(), sending: false, flushing: false };
        Self { batch_size, linger, state: Mutex::new(state), work: Notify::new(), room: Notify::new() }
    }

    /// Takes a record, or answers `false` if there is no room for it now.
    pub(super) fn push(&self, message: Message<'_>, now_ms: i64) -> std::io::Result<bool> {
        let mut state = self.lock();
        let fits = state.open.byte_len() + OpenBatch::most_bytes_for(message.key, message.value) <= self.batch_size;
        if !fits && !state.open.is_empty() {
            if state.full.len() >= MOST_WAITING {
                return Ok(false);
            }
            let room = state.open.byte_len();
            let full = std::mem::replace(&mut state.open, OpenBatch::with_room(room.min(self.batch_size)));
            state.full.push_back(full);
            self.work.notify_one();
        }
        let was_empty = state.open.is_empty();
        state.open.push(message.key, message.value, now_ms)?;
        state.flushing = false;
        if was_empty {
            self.work.notify_one();
        }
        Ok(true)
    }

    /// Waits until there may be room.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// Has everything sent without lingering, and waits until it is acknowledged.
    pub(super) async fn flush(&self) {
        loop {
            {
                let mut state = self.lock();
                if state.is_idle() {
                    return;
                }
                state.flushing = true;
            }
            self.work.notify_one();
            self.room.notified().await;
        }
    }

    /// Waits for the next batch to send. What was taken before counts as acknowledged.
    pub(super) async fn take(&self) -> OpenBatch {
        loop {
            match self.next() {
                Next::Batch(batch) => return batch,
                Next::At(time) => tokio::select! {
                    () = self.work.notified() => {}
                    () = sleep_until(time) => {}
                },
                Next::Nothing => self.work.notified().await,
            }
        }
    }

    fn next(&self) -> Next {
        let mut state = self.lock();
        let next = state.next(self.linger, Instant::now());
        state.sending = matches!(next, Next::Batch(_));
        self.room.notify_one();
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.full.is_empty() && !self.sending
    }

    fn next(&mut self, linger: Duration, now: Instant) -> Next {
        if let Some(full) = self.full.pop_front() {
            return Next::Batch(full);
        }
        if self.open.is_empty() {
            return Next::Nothing;
        }
        let ripe = self.open.opened() + linger;
        if !self.flushing && now < ripe {
            return Next::At(ripe);
        }
        Next::Batch(std::mem::replace(&mut self.open, OpenBatch::with_room(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Message<'static> = Message { key: None, value: &[b'x'; 100] };
    const LONG: Duration = Duration::from_secs(3600);

    fn push(queue: &PartitionQueue) -> bool {
        queue.push(RECORD, 1_000).unwrap()
    }

    /// What the sender gets `later` than now: the number of messages of a batch, or how long it is to wait for one.
    fn next(queue: &PartitionQueue, later: Duration) -> Result<u64, Option<Duration>> {
        let mut state = queue.lock();
        let opened = state.open.opened();
        match state.next(queue.linger, opened + later) {
            Next::Batch(batch) => Ok(batch.messages()),
            Next::At(time) => Err(Some(time - opened)),
            Next::Nothing => Err(None),
        }
    }

    #[test]
    fn a_batch_goes_when_it_is_full() {
        let queue = PartitionQueue::new(350, LONG);
        assert!((0..4).all(|_| push(&queue)));
        assert_eq!(next(&queue, Duration::ZERO), Ok(2));
        assert_eq!(next(&queue, Duration::ZERO), Err(Some(LONG)), "the rest lingers");
    }

    #[test]
    fn a_batch_goes_when_its_first_record_is_old_enough() {
        let queue = PartitionQueue::new(1_000_000, Duration::from_secs(5));
        assert_eq!(next(&queue, LONG), Err(None), "there is no empty batch");
        assert!(push(&queue) && push(&queue));
        assert_eq!(next(&queue, Duration::from_millis(4_999)), Err(Some(Duration::from_secs(5))));
        assert_eq!(next(&queue, Duration::from_secs(5)), Ok(2));
        assert_eq!(next(&queue, LONG), Err(None));
    }

    #[test]
    fn a_record_larger_than_a_batch_goes_alone() {
        let queue = PartitionQueue::new(10, LONG);
        assert!(push(&queue) && push(&queue));
        assert_eq!(next(&queue, Duration::ZERO), Ok(1));
    }

    #[tokio::test]
    async fn there_is_no_room_without_end() {
        let queue = PartitionQueue::new(10, LONG);
        let taken = (0..100).take_while(|_| push(&queue)).count();
        assert_eq!(taken, MOST_WAITING + 1);
        queue.take().await;
        queue.room().await;
        assert!(push(&queue));
        assert!(!push(&queue));
    }

    #[tokio::test]
    async fn a_flush_ends_when_all_is_acknowledged_and_not_before() {
        let queue = PartitionQueue::new(350, LONG);
        queue.flush().await;
        assert!((0..3).all(|_| push(&queue)));
        let acknowledged = std::sync::atomic::AtomicU64::new(0);
        let send = async {
            loop {
                let batch = queue.take().await;
                tokio::task::yield_now().await;
                acknowledged.fetch_add(batch.messages(), std::sync::atomic::Ordering::Relaxed);
            }
        };
        tokio::select! {
            () = send => {}
            () = queue.flush() => {}
        }
        assert_eq!(acknowledged.into_inner(), 3);
    }
}
