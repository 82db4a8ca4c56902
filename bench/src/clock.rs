//! The processor time of this thread where the system measures it, since other processes may run as well.

use std::time::Duration;

pub(crate) struct Watch(Duration);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(now())
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        now().saturating_sub(self.0).as_secs_f64()
    }
}

/// How long this thread has run.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How long the program has run.
#[cfg(not(unix))]
fn now() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
