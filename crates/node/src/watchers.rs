//! Which clients watch the node's objects, and up to which version of the catalog each has been sent the changes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// How long a change waits for a watcher that does not take its updates.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client that has an update may process it before it gets the answer to the change it asked for. The protocol
/// has no acknowledgement for updates, and the client handles the two independently.
const SETTLE: Duration = Duration::from_millis(20);

/// The watchers that take their updates, with the version that each has been sent.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    sent: Mutex<HashMap<u64, u64>>,
    changed: watch::Sender<u64>,
}

impl Watchers {
    /// Waits, for a bounded time, until all watchers have been sent `version`.
    pub(crate) async fn wait_for(&self, version: u64) {
        let mut changed = self.changed.subscribe();
        let all_sent = |_: &u64| self.lock().values().all(|&sent| sent >= version);
        if tokio::time::timeout(TIMEOUT, changed.wait_for(all_sent)).await.is_err() {
            // The change is made in any case; a watcher that does not take its updates gets them late. Later changes do not
            // wait for it until it has caught up.
            self.lock().retain(|_, &mut sent| sent >= version);
        }
        if !self.lock().is_empty() {
            tokio::time::sleep(SETTLE).await;
        }
    }

    /// Adds a watcher that has been sent nothing; its id.
    pub(crate) fn add(&self) -> u64 {
        let mut id = 0;
        self.changed.send_modify(|next| {
            *next = next.wrapping_add(1);
            id = *next;
        });
        self.set(id, 0);
        id
    }

    /// Notes which version a watcher has been sent.
    pub(crate) fn set(&self, id: u64, version: u64) {
        self.lock().insert(id, version);
        self.changed.send_modify(|it| *it = it.wrapping_add(1));
    }

    pub(crate) fn remove(&self, id: u64) {
        self.lock().remove(&id);
        self.changed.send_modify(|it| *it = it.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watcher_that_does_not_take_its_updates_is_waited_for_once() {
        let watchers = Watchers::default();
        let (quick, slow) = (watchers.add(), watchers.add());
        watchers.set(quick, 2);
        watchers.set(slow, 1);
        let took = async |version| {
            let started = tokio::time::Instant::now();
            watchers.wait_for(version).await;
            started.elapsed()
        };
        assert!(took(2).await >= TIMEOUT);
        watchers.set(quick, 3);
        assert!(took(3).await < TIMEOUT, "not again");
        watchers.set(slow, 3);
        watchers.set(quick, 4);
        assert!(took(4).await >= TIMEOUT, "it had caught up");
    }
}
