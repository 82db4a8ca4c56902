//! Laws: the materializer equals the plain reference at each step of random histories; what is not late does not depend
//! on order, batches or partitions; no event that a source may invent breaks a count.

use std::collections::VecDeque;
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::reference::expected::Expected;
use super::reference::model::Model;
use super::reference::results::{Account, groups};
use super::reference::scratch::memory_limit;
use super::*;

const GROUPS: [&str; 4] = ["AK", "CA", "TX", "WY"];

fn reading(times: std::ops::Range<i64>) -> impl Strategy<Value = Reading> {
    let value = prop_oneof![-50_000_000_i64..120_000_000, -3_i64..3, Just(i64::MAX), Just(i64::MIN)];
    (0_u64..12, 0..GROUPS.len(), times, value)
        .prop_map(|(sensor, group, time, micros)| Reading::new(sensor, GROUPS[group], time, micros))
}

/// A batch whose times are relative to its partition's clock.
pub(super) fn batch() -> impl Strategy<Value = Batch> {
    let rejected = prop_oneof![Just(Rejection::NotJson), Just(Rejection::BadTime), Just(Rejection::Future)];
    (proptest::collection::vec(reading(-7_000..2_000), 0..6), proptest::collection::vec(rejected, 0..2))
        .prop_map(|(readings, rejected)| Batch::new(0, readings, rejected))
}

/// What may happen next, if it can.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Find,
    List,
    Attach(usize),
    Detach(usize),
    /// Batches are written to a partition, its event time moves on.
    Write(usize, Vec<Batch>, i64),
    AskEnd(usize),
    /// The next batch that was written is read.
    Read(usize),
    Pass(u64),
}

/// Any of the partitions: taken modulo those that there are.
fn partition() -> impl Strategy<Value = usize> {
    0_usize..12
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => Just(Op::Find),
        2 => Just(Op::List),
        4 => partition().prop_map(Op::Attach),
        1 => partition().prop_map(Op::Detach),
        6 => (partition(), proptest::collection::vec(batch(), 1..4), 0_i64..20_000).prop_map(|(p, b, t)| Op::Write(p, b, t)),
        4 => partition().prop_map(Op::AskEnd),
        12 => partition().prop_map(Op::Read),
        4 => (0_u64..9_000).prop_map(Op::Pass),
    ]
}

/// How many offsets behind a batch hold no record, and whether the run finds that out at once, or when the next batch comes.
type OffsetGaps = [(i64, bool)];

pub(super) fn offset_gaps() -> impl Strategy<Value = Vec<(i64, bool)>> {
    proptest::collection::vec((prop_oneof![3 => Just(0_i64), 2 => 1_i64..6], any::<bool>()), 1..40)
}

#[derive(Default)]
struct Partition {
    attached: bool,
    time: i64,
    batches: Vec<Batch>,
    read: usize,
    /// The end of an offset gap that the run has not found out yet.
    gap_end: Option<i64>,
}

impl Partition {
    fn position(&self) -> i64 {
        let Some(last) = self.read.checked_sub(1).map(|last| &self.batches[last]) else { return 0 };
        if self.gap_end.is_some() { last.records_end } else { last.next }
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.next)
    }
}

/// Makes a log, and a sound history of reading it, of wishes: each is left out where it cannot happen.
pub(super) fn history(ops: Vec<Op>, gaps: &OffsetGaps) -> (Log, Vec<Event>) {
    let (mut partitions, mut events, mut now) = (Vec::<Partition>::new(), vec![], Duration::ZERO);
    let log_of = |partitions| Log { partitions, ..log(Vec::new()) };
    // In the end everything that was written is read, and all become idle.
    let read_all = (0..4).flat_map(|index| std::iter::repeat_n(Op::Read(index), 40));
    let end = std::iter::once(Op::List).chain((0..4).map(Op::Attach)).chain(read_all);
    let end = end.chain([Op::Pass(9_999), Op::Pass(1), Op::Pass(5_000)]);
    for op in std::iter::once(Op::Find).chain(ops).chain(end) {
        let pick = |index: usize| (index % partitions.len().max(1), (index % partitions.len().max(1)) as u32);
        match op {
            Op::Find if partitions.len() < 4 => {
                events.push(Event::Found { partition: partitions.len() as u32 });
                partitions.push(Partition::default());
            }
            Op::Find => {}
            Op::List => events.push(Event::Listed),
            Op::Attach(index) => {
                let (index, partition) = pick(index);
                partitions[index].attached = true;
                let (position, end) = (partitions[index].position(), partitions[index].end());
                events.push(Event::Attached { partition, position, end: Some(end) });
            }
            Op::Detach(index) => {
                let (index, partition) = pick(index);
                partitions[index].attached = false;
                events.push(Event::Detached { partition });
            }
            Op::Write(index, batches, step) => {
                let (index, _) = pick(index);
                let p = &mut partitions[index];
                p.time += step;
                for batch in batches {
                    let mut batch = Batch::new(p.end(), batch.readings, batch.rejected).later(p.time);
                    batch.next += gaps[p.batches.len() % gaps.len()].0;
                    p.batches.push(batch);
                }
            }
            Op::AskEnd(index) => {
                let (index, partition) = pick(index);
                if partitions[index].attached {
                    events.push(Event::End { partition, end: partitions[index].end() });
                }
            }
            Op::Read(index) => {
                let (index, partition) = pick(index);
                let p = &mut partitions[index];
                let Some(batch) = p.batches.get(p.read).filter(|_| p.attached) else { continue };
                events.extend(p.gap_end.take().map(|next| Event::OffsetGap { partition, next }));
                let mut read = log_of(Vec::new()).events(partition, batch);
                events.extend(read.next());
                match gaps[p.read % gaps.len()] {
                    (_, true) => events.extend(read),
                    (wide, false) => p.gap_end = (wide > 0).then_some(batch.next),
                }
                p.read += 1;
            }
            Op::Pass(millis) => {
                now += Duration::from_millis(millis);
                events.push(Event::Tick { now });
            }
        }
    }
    (log_of(partitions.into_iter().map(|partition| partition.batches).collect()), events)
}

/// Windows and totals, without what depends on the way that they came.
type Outcome = (Vec<(i64, u64, u64, Vec<crate::results::GroupResult>)>, Totals);

/// Reads these partitions of batches until the end, in the order that `picks` says.
fn until_end(logs: &[Vec<Batch>], picks: &[Index]) -> Outcome {
    let ends: Vec<i64> = logs.iter().map(|log| log.iter().map(|batch| batch.records() as i64).sum()).collect();
    // With an hour of grace nothing is late.
    let mut run =
        Run::new(Options { until_end: true, grace: Duration::from_secs(3_600), ..options() }, logs.len() as u32);
    let mut effects = vec![];
    for (partition, end) in (0..).zip(&ends) {
        effects.extend(run.attach(partition, 0, *end));
    }
    let mut left: Vec<_> = (0_u32..).zip(logs).map(|(partition, log)| (partition, log.iter())).collect();
    for pick in picks.iter().cycle() {
        left.retain(|(_, log)| log.len() > 0);
        if left.is_empty() {
            break;
        }
        let at = pick.index(left.len());
        let (partition, log) = &mut left[at];
        let batch = log.next().expect("some are left");
        effects.extend(run.batch(*partition, &batch.readings, &batch.rejected));
    }
    let Some(Effect::Finished { totals }) = effects.last() else { panic!("{effects:?}") };
    let plain = |w: WindowResult| (w.start, w.messages, w.sensors, w.groups);
    (windows(&effects).into_iter().map(plain).collect(), (**totals).clone())
}

/// An offset or a time of any kind, the extremes among them.
fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0_i64..8, 1 => any::<i64>(), 1 => Just(i64::MAX), 1 => Just(i64::MIN), 2 => -9_000_i64..9_000]
}

/// An event that no sound source may ever tell.
fn anything() -> impl Strategy<Value = Event> {
    let p = || 0_u32..3;
    let partial = (p(), extreme(), extreme(), extreme(), proptest::option::of(extreme()), any::<u64>());
    prop_oneof![
        1 => p().prop_map(|partition| Event::Found { partition }),
        1 => Just(Event::Listed),
        1 => (p(), extreme(), extreme()).prop_map(|(partition, position, end)| {
            Event::Attached { partition, position, end: Some(end) }
        }),
        1 => p().prop_map(|partition| Event::Detached { partition }),
        1 => (p(), extreme()).prop_map(|(partition, end)| Event::End { partition, end }),
        1 => any::<u64>().prop_map(|millis| Event::Tick { now: Duration::from_millis(millis) }),
        1 => Just(Event::Tick { now: Duration::MAX }),
        5 => partial.prop_map(|(partition, first, next, time, newest, count)| {
            let mut partial = partial_at(time);
            partial.source = SourceRange { first, next };
            partial.aggregate.newest = newest;
            if count % 2 == 0 {
                partial.aggregate.records = count;
                partial.aggregate.cells.values_mut().for_each(|cell| cell.stats.count = count);
            }
            Event::Partial { partition, partial: Box::new(partial), digest: 0 }
        }),
    ]
}

/// A partial with one reading at this time, whatever it is.
fn partial_at(time: Millis) -> Partial {
    partial(0, &[at(time)], &[])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_source_tells_is_refused_or_accounted_for(
        events in proptest::collection::vec(anything(), 0..60),
        until_end: bool,
    ) {
        let mut run = Run { materializer: Materializer::new(Options { until_end, ..options() }), now: Duration::ZERO };
        for event in events {
            let before = (run.totals(), run.materializer.view());
            if run.try_event(event).is_err() {
                prop_assert_eq!(before, (run.totals(), run.materializer.view()));
            }
        }
    }

    #[test]
    fn equals_the_reference_at_each_step(
        ops in proptest::collection::vec(op(), 1..120),
        gaps in prop_oneof![2 => Just(vec![(0, true)]), 1 => offset_gaps()],
        (until_end, leave_open) in prop_oneof![Just((false, false)), Just((true, false)), Just((true, true))],
        rows in prop_oneof![Just(usize::MAX), 1_usize..9],
        memory in prop_oneof![Just(usize::MAX), 0_usize..5_000],
    ) {
        let options = Options { until_end, leave_open, ..options() };
        let materializer = Materializer::new(options.clone()).with_rows_at_once(rows);
        let materializer = materializer.with_memory_limit(memory_limit(memory, usize::MAX));
        let mut run = Run { materializer, now: Duration::ZERO };
        let (log, events) = history(ops, &gaps);
        let mut model = Model::new(options, &Expected::new(Rc::new(log)), rows);
        let mut closed = std::collections::BTreeSet::new();
        let mut events: VecDeque<Event> = events.into();
        while let Some(event) = events.pop_front() {
            let (decision, effects) = (model.handle(&event), run.event(event.clone()));
            let windows: Vec<WindowResult> = decision.windows.iter().map(|window| (**window).clone()).collect();
            for window in &windows {
                prop_assert!(closed.insert(window.start), "{} closed twice", window.start);
            }
            let totals = (!decision.proceed && !decision.finished).then(|| Box::new(model.expected.totals()));
            let close = Effect::Close { windows, totals };
            let proceed = decision.proceed.then_some(Effect::Proceed);
            let finished = decision.finished.then(|| Effect::Finished { totals: Box::new(model.expected.totals()) });
            if decision.proceed {
                events.push_front(Event::Proceed);
            } else if decision.finished {
                events.clear();
            }
            let flow = decision.flow.iter().map(|(partition, pause)| match *pause {
                true => Effect::Pause { partition: *partition },
                false => Effect::Resume { partition: *partition },
            });
            let close = Some(close).filter(|_| !decision.windows.is_empty());
            let expected: Vec<_> = close.into_iter().chain(proceed).chain(flow).chain(finished).collect();
            prop_assert_eq!(&effects, &expected, "after {:?}", event);
            prop_assert_eq!(run.totals(), model.expected.totals());
            let view = run.materializer.view();
            let phases: Vec<_> = view.partitions.iter().map(|partition| (partition.partition, partition.phase)).collect();
            prop_assert_eq!((view.watermark, phases), (model.expected.watermark, model.phases()), "after {:?}", event);
            let open: Vec<_> = model.expected.open.keys().map(|end| model.expected.window(*end, ClosedBy::End)).collect();
            prop_assert_eq!(view.open_windows.len(), open.len());
            for (window, expected) in view.open_windows.into_iter().zip(open) {
                let of = (window.start, window.end, window.messages);
                prop_assert_eq!(of, (expected.start, expected.end, expected.messages));
                if window.is_whole {
                    prop_assert_eq!((window.sensors, window.groups), (expected.sensors, expected.groups));
                }
            }
            for (partition, account) in run.materializer.ledger().accounts() {
                prop_assert_eq!(Account::from(account), model.expected.account(partition));
            }
        }
    }

    #[test]
    fn what_is_not_late_depends_on_no_order_batch_or_partition(
        readings in proptest::collection::vec((reading(0..60_000), any::<Index>(), any::<bool>()), 0..60),
        order in proptest::collection::vec(any::<u32>(), 60),
        picks in proptest::collection::vec(any::<Index>(), 1..20),
        partitions in 1_usize..5,
    ) {
        let one = Batch::new(0, readings.iter().map(|(r, ..)| *r).collect(), vec![]);
        let whole = until_end(&[vec![one.clone()]], &picks);
        prop_assert_eq!(&whole.1.groups, &groups(&one.readings));
        let mut shuffled: Vec<_> = readings.iter().zip(order).collect();
        shuffled.sort_by_key(|(_, order)| *order);
        let mut logs = vec![Vec::<Batch>::new(); partitions];
        for ((reading, partition, new_batch), _) in shuffled {
            let log = &mut logs[partition.index(partitions)];
            match log.last_mut() {
                Some(batch) if !new_batch => batch.readings.push(*reading),
                _ => log.push(Batch::new(0, vec![*reading], vec![])),
            }
        }
        prop_assert_eq!(until_end(&logs, &picks), whole);
    }
}
