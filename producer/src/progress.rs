//! Shows on standard error how a run is going: a bar on a terminal, else a plain line now and then, or nothing.

use std::sync::Arc;
use std::time::Duration;

use isotherm_terminal::progress::{bar, spinner, thousands};
use isotherm_terminal::screen::Screen;
use isotherm_terminal::stderr;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::{Config, Report};
use crate::summary::Counters;

const BAR_TICK: Duration = Duration::from_millis(200);
const BAR_CELLS: usize = 24;
const LINE_TICK: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Messages(u64),
    InputBytes(u64),
    Open,
}

pub(crate) struct Progress {
    task: Option<JoinHandle<()>>,
    stop: DropGuard,
}

impl Progress {
    /// Starts reporting as the configuration says.
    pub(crate) fn start(config: &Config, input_length: Option<u64>, counters: &Arc<Counters>) -> Self {
        let stop = CancellationToken::new();
        let goal = match (config.count, input_length) {
            (Some(count), _) => Goal::Messages(count),
            (None, Some(length)) => Goal::InputBytes(length),
            (None, None) => Goal::Open,
        };
        let meter =
            Meter { counters: Arc::clone(counters), goal, started: Instant::now(), last: (Instant::now(), 0), rate: 0 };
        let reports = config.report == Report::Progress;
        let task = reports.then(|| tokio::spawn(report(Screen::stderr(), meter, stop.clone())));
        Self { task, stop: stop.drop_guard() }
    }

    /// Ends the report and takes the bar away.
    pub(crate) async fn finish(self) {
        drop(self.stop);
        if let Some(task) = self.task {
            // A report that failed is no failure of the run.
            let _ = task.await;
        }
    }
}

/// Draws a bar, or writes a line now and then, until it is stopped.
async fn report(screen: Option<Screen>, mut meter: Meter, stop: CancellationToken) {
    let tick = if screen.is_some() { BAR_TICK } else { LINE_TICK };
    // The first line comes when there is something to say.
    let first = if screen.is_some() { Instant::now() } else { Instant::now() + tick };
    let mut ticks = interval_at(first, tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for step in 0.. {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let line = meter.line(Instant::now());
        let Some(screen) = &screen else {
            stderr::write(format!("{line}\n"));
            continue;
        };
        let line = match meter.part() {
            Some(part) => format!("{} {:>3.0} %  {line}", bar(part, BAR_CELLS), (part * 100.0).floor()),
            None => format!("{} {line}", spinner(step)),
        };
        // A progress that cannot be shown is no failure of the run.
        let _ = screen.draw_line(&line);
    }
    if let Some(screen) = screen {
        let _ = screen.clear();
    }
}

struct Meter {
    counters: Arc<Counters>,
    goal: Goal,
    started: Instant,
    /// When, and at how many acknowledged messages, the rate was measured last.
    last: (Instant, u64),
    /// Messages a second, between the last two of these.
    rate: u64,
}

impl Meter {
    fn position(&self) -> u64 {
        match self.goal {
            Goal::InputBytes(_) => self.counters.input_bytes.get(),
            Goal::Messages(_) | Goal::Open => self.counters.acknowledged.get(),
        }
    }

    /// How much is done, 0 to 1, if the end is known.
    fn part(&self) -> Option<f64> {
        let (Goal::Messages(goal) | Goal::InputBytes(goal)) = self.goal else {
            return None;
        };
        Some(if goal == 0 { 1.0 } else { self.position() as f64 / goal as f64 })
    }

    /// `12,000 of 60,000 messages, 1,000/s, 48s left`.
    fn line(&mut self, now: Instant) -> String {
        let acknowledged = self.counters.acknowledged.get();
        // A rate over less than a second jumps about.
        if now - self.last.0 >= Duration::from_secs(1) {
            self.rate = per_second(acknowledged.saturating_sub(self.last.1), now - self.last.0);
            self.last = (now, acknowledged);
        }
        let of = match self.goal {
            Goal::Messages(count) => format!(" of {}", thousands(count)),
            Goal::InputBytes(_) | Goal::Open => String::new(),
        };
        let left = self.left(now).map(|left| format!(", {} left", humantime::format_duration(left)));
        format!("{}{of} messages, {}/s{}", thousands(acknowledged), thousands(self.rate), left.unwrap_or_default())
    }

    /// The time left in whole seconds, if the rest goes as fast as what is done.
    fn left(&self, now: Instant) -> Option<Duration> {
        let (Goal::Messages(goal) | Goal::InputBytes(goal)) = self.goal else {
            return None;
        };
        let done = self.position();
        let rest = goal.saturating_sub(done) as f64;
        let seconds = rest * (now - self.started).as_secs_f64() / done as f64;
        Duration::try_from_secs_f64(seconds.ceil()).ok()
    }
}

fn per_second(messages: u64, elapsed: Duration) -> u64 {
    if elapsed.is_zero() { 0 } else { (messages as f64 / elapsed.as_secs_f64()).round() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(goal: Goal) -> (Meter, impl Fn(u64) -> Instant) {
        let started = Instant::now();
        let meter = Meter { counters: Arc::default(), goal, started, last: (started, 0), rate: 0 };
        (meter, move |seconds| started + Duration::from_secs(seconds))
    }

    #[test]
    fn a_line_says_count_rate_and_time_left() {
        let (mut meter, after) = meter(Goal::Messages(60_000));
        assert_eq!(meter.line(after(0)), "0 of 60,000 messages, 0/s");
        meter.counters.acknowledged.add(12_000);
        assert_eq!(meter.line(after(10)), "12,000 of 60,000 messages, 1,200/s, 40s left");
        meter.counters.acknowledged.add(1_000);
        assert_eq!(meter.line(after(12)), "13,000 of 60,000 messages, 500/s, 44s left");
    }

    #[test]
    fn the_time_left_of_an_input_comes_from_its_bytes() {
        let (mut meter, after) = meter(Goal::InputBytes(1_000));
        meter.counters.input_bytes.add(750);
        meter.counters.acknowledged.add(3);
        assert_eq!((meter.position(), meter.line(after(3))), (750, "3 messages, 1/s, 1s left".to_owned()));
    }

    #[test]
    fn without_a_goal_there_is_no_time_left() {
        let (mut meter, after) = self::meter(Goal::Open);
        meter.counters.acknowledged.add(9);
        assert_eq!(meter.line(after(3)), "9 messages, 3/s");
    }
}
