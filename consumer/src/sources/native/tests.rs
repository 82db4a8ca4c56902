//! The reader over a log in memory, on a clock that the tests move.

use std::sync::Arc;
use std::time::Duration;

use isotherm_engine::event::Event;
use isotherm_model::codec;
use isotherm_model::combine::{Record, combine};
use isotherm_model::partial::Partial;
use isotherm_model::settings::Settings;
use proptest::prelude::*;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::super::plan::ReadStart;
use super::super::topic::Message;
use super::*;
use crate::log::memory::MemoryLog;
use crate::log::{OwnedBatch, OwnedRecord};

/// A batch of `count` records that ends at `next`.
fn batch(first: i64, count: i64, next: i64) -> OwnedBatch {
    let record = |number: i64| {
        OwnedRecord {
        timestamp: Some(1_767_323_045_000 + number),
        key: None,
        value: format!(
            r#"{{"guid":"s{number}","state":"AK","eventTime":"2026-01-02T03:04:05Z","payload":{{"data":{{"temperature":{number}.5}}}}}}"#
        )
        .into(),
    }
    };
    let records = (first..first + count).map(record).collect();
    OwnedBatch { first, next, base_timestamp: Some(1_767_323_045_000), records }
}

/// What the module gives for a batch: its value and the digest of its bytes.
fn module(batch: &OwnedBatch) -> (Partial, u64) {
    let records = batch.records.iter().map(|record| Record { timestamp: record.timestamp, value: &record.value });
    let partial = combine(&Settings::default(), batch.first, batch.base_timestamp, records);
    let digest = codec::digest(&codec::encode(&partial).expect("sound"));
    (partial, digest)
}

struct Rig {
    log: MemoryLog,
    gate: watch::Sender<bool>,
    messages: mpsc::Receiver<Message>,
}

impl Rig {
    fn new(log: MemoryLog, begin: ReadStart) -> Self {
        let settings = Settings::default();
        let accept_data_loss = matches!(begin, ReadStart::At { accept_data_loss: true, .. });
        let context = Arc::new(NativeContext {
            source: SourceContext::new("sensors", Duration::from_secs(10), accept_data_loss),
            log: Arc::new(log.clone()),
            workers: Workers::new(&settings),
            options: ReadOptions::default(),
            cuts: BTreeMap::new(),
            is_bounded: false,
        });
        let (gate, paused) = watch::channel(false);
        let (sender, messages) = mpsc::channel(1);
        let outlet = Outlet { partition: 3, begin, messages: sender, paused };
        tokio::spawn(Reader::new(context, outlet).run());
        Self { log, gate, messages }
    }

    /// What happens next, but for ends; `None` if nothing does in that time.
    async fn within(&mut self, time: Duration) -> Option<Result<Event, SourceError>> {
        let next = async {
            loop {
                match self.messages.recv().await.expect("the reader goes on").what {
                    Ok(Event::End { .. }) => {}
                    what => return what,
                }
            }
        };
        timeout(time, next).await.ok()
    }

    async fn next(&mut self) -> Event {
        match self.within(Duration::from_secs(100_000)).await {
            Some(Ok(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn error(&mut self) -> SourceError {
        loop {
            match self.within(Duration::from_secs(100_000)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("it goes on"),
            }
        }
    }

    #[track_caller]
    fn attached(event: Event) -> (i64, i64) {
        let Event::Attached { partition: 3, position, end: Some(end) } = event else { panic!("{event:?}") };
        (position, end)
    }

    async fn expect(&mut self, batch: &OwnedBatch) {
        let (partial, digest) = module(batch);
        let (next, partial) = (partial.source.next, Box::new(partial));
        assert_eq!(self.next().await, Event::Partial { partition: 3, partial, digest });
        if next < batch.next {
            assert_eq!(self.next().await, Event::OffsetGap { partition: 3, next: batch.next });
        }
    }
}

const BEGINNING: ReadStart = ReadStart::Beginning;

#[tokio::test]
async fn what_is_appended_later_comes_as_it_is_appended() {
    let log = MemoryLog::new([batch(0, 3, 3)]);
    let mut rig = Rig::new(log, BEGINNING);
    assert_eq!(Rig::attached(rig.next().await), (0, 3));
    rig.expect(&batch(0, 3, 3)).await;
    for first in [3, 5, 7] {
        rig.log.append(batch(first, 2, first + 2));
        rig.expect(&batch(first, 2, first + 2)).await;
    }
}

#[tokio::test]
async fn a_pause_holds_what_is_not_under_way() {
    let log = MemoryLog::new((0..100).map(|number| batch(number * 2, 2, number * 2 + 2)));
    let mut rig = Rig::new(log, BEGINNING);
    assert_eq!(Rig::attached(rig.next().await), (0, 200));
    rig.gate.send_replace(true);
    let mut came = 0;
    while let Some(event) = rig.within(Duration::from_millis(300)).await {
        assert!(matches!(event, Ok(Event::Partial { .. })), "{event:?}");
        came += 1;
    }
    assert!(came <= 10, "{came} came: more than were under way");
    rig.gate.send_replace(false);
    for number in came..100 {
        rig.expect(&batch(number * 2, 2, number * 2 + 2)).await;
    }
}

#[tokio::test]
async fn another_log_behind_a_new_connection_is_refused() {
    let log = MemoryLog::new([batch(0, 3, 3), batch(3, 3, 6)]);
    log.get().breaks_after = [2].into();
    let mut rig = Rig::new(log, BEGINNING);
    rig.next().await;
    rig.expect(&batch(0, 3, 3)).await;
    let other = OwnedBatch { records: batch(2, 3, 5).records, ..batch(3, 3, 6) };
    rig.log.get().batches.insert(3, other);
    rig.expect(&batch(3, 3, 6)).await;
    let error = rig.error().await;
    assert!(matches!(error, SourceError::OtherLog { partition: 3, offset: 3, .. }), "{error:?}");
}

#[tokio::test]
async fn retention_and_a_lost_tail_end_a_run_as_with_the_module() {
    let at = |offset, accept_data_loss| ReadStart::At { offset, needed: offset, accept_data_loss };
    let log = || {
        let log = MemoryLog::new([batch(10, 3, 13)]);
        log.get().start = 10;
        log
    };
    let error = Rig::new(log(), at(5, false)).error().await;
    assert!(matches!(error, SourceError::Behind { resume: 5, start: 10, .. }), "{error:?}");
    let error = Rig::new(log(), at(14, true)).error().await;
    assert!(matches!(error, SourceError::Shorter { position: 14, end: 13, .. }), "{error:?}");
    let mut rig = Rig::new(log(), at(5, true));
    assert_eq!(Rig::attached(rig.next().await), (10, 13));
    rig.expect(&batch(10, 3, 13)).await;
    let mut rig = Rig::new(log(), ReadStart::End);
    assert_eq!(Rig::attached(rig.next().await), (13, 13));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_tried_again_and_not_hammered() {
    let log = MemoryLog::new([batch(0, 3, 3)]);
    log.get().away = 10;
    let began = tokio::time::Instant::now();
    let mut rig = Rig::new(log, BEGINNING);
    assert_eq!(Rig::attached(rig.next().await), (0, 3));
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(20) && waited < Duration::from_secs(100), "{waited:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever breaks, each batch comes once and in order, with what the module gives for it, and with the offsets that hold no
    /// record behind it.
    #[test]
    fn each_batch_comes_once_with_what_the_module_gives(
        sizes in prop::collection::vec((1_i64..5, 0_i64..3), 1..40),
        breaks_after in prop::collection::vec(1_usize..12, 0..4),
    ) {
        let mut next = 0;
        let batches: Vec<_> = sizes.into_iter().map(|(count, gap)| {
            let first = next;
            next += count + gap;
            batch(first, count, next)
        }).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let log = MemoryLog::new(batches.clone());
            log.get().breaks_after = breaks_after.into();
            let mut rig = Rig::new(log, BEGINNING);
            let mut left = batches.iter();
            let (mut batch, mut position) = (left.next(), 0);
            while let Some(wanted) = batch {
                match rig.next().await {
                    Event::Attached { position: at, .. } => assert_eq!(at, position),
                    Event::Detached { .. } => {}
                    Event::Partial { partial, digest, .. } => {
                        assert_eq!((*partial, digest), module(wanted));
                        position = wanted.first + wanted.records.len() as i64;
                    }
                    Event::OffsetGap { next, .. } => {
                        assert!(next == wanted.next && position < next);
                        position = next;
                    }
                    event => panic!("{event:?}"),
                }
                if position == wanted.next {
                    batch = left.next();
                }
            }
            // Nothing comes twice.
            let more = rig.within(Duration::from_secs(5)).await;
            assert!(!matches!(more, Some(Ok(Event::Partial { .. } | Event::OffsetGap { .. }))), "{more:?}");
        });
    }
}
