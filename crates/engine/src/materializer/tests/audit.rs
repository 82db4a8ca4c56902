//! The audit finds nothing wrong with what a materializer committed, and finds every change to it.

mod bounded;
mod case;

use proptest::prelude::*;
use proptest::sample::Index;

use self::case::{AuditCase, Batches, LogBatch, raised};
use super::properties::{batch, history, offset_gaps, op};
use super::resume::{apply, read};
use super::*;
use crate::audit::findings::Findings;
use crate::audit::{Audit, Stored, WindowSet};
use crate::commit::ResumeState;
use crate::ledger::{DataLoss, KeyedRange, Ranges};
use crate::state::{LastBatch, SensorEntry};

/// Two partitions: windows that closed, one that is open, late and rejected records.
fn case() -> AuditCase {
    let mut run = Run::attached(options(), &[9, 9]);
    let (mut windows_seen, mut log) = (vec![], Batches::new());
    let ca = |sensor, time, micros| Reading::new(sensor, "CA", time, micros);
    let batches: [(PartitionId, Vec<Reading>, Vec<Rejection>); 8] = [
        (0, vec![at(0), ca(2, 500, 5_000_000), ca(3, 3_100, -7)], vec![Rejection::NotJson]),
        (1, vec![at(900), ca(2, 1_000, 9_000_000)], vec![]),
        (0, vec![at(4_000), ca(3, 4_100, 1)], vec![Rejection::BadTime, Rejection::NotJson]),
        (1, vec![at(5_000)], vec![]),
        // Closes the first window; what comes for it then is late.
        (1, vec![at(7_500), at(100), ca(9, 200, 3)], vec![]),
        (0, vec![at(10), ca(9, 7_000, 8)], vec![]),
        (0, vec![at(20), at(9_500)], vec![Rejection::Future]),
        (1, vec![at(11_000), at(30), at(3_000)], vec![]),
    ];
    for (partition, readings, rejected) in batches {
        let first = run.materializer.positions()[partition as usize].1;
        let partial = partial(first, &readings, &rejected);
        let digest = first.cast_unsigned() ^ 0x5eed;
        let event = Event::Partial { partition, partial: Box::new(partial.clone()), digest };
        windows_seen.extend(windows(&run.event(event)));
        log.entry(partition).or_default().push(LogBatch::new(partial, digest));
    }
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    let case = AuditCase::new(&saved, run.totals(), &windows_seen, log);
    assert_eq!(case.windows.len(), 2, "{:?}", case.windows);
    assert!(case.stored.totals.late > 2 && case.stored.topic.open_windows > 0, "{:?}", case.stored.totals);
    case
}

fn account(case: &mut AuditCase, partition: PartitionId) -> &mut crate::ledger::Account {
    case.stored.accounts.get_mut(&partition).expect("it has an account")
}

/// The list without its last range, or with another one behind it.
fn relisted<K: Copy + Ord>(ranges: &Ranges<K>, change: impl FnOnce(&mut Vec<KeyedRange<K>>)) -> Ranges<K> {
    let mut listed = ranges.listed().to_vec();
    change(&mut listed);
    Ranges::restored(listed, ranges.unlisted())
}

#[test]
fn what_was_committed_is_clean() {
    let case = case();
    let findings = case.audit();
    assert!(findings.is_clean() && findings.unverifiable.is_empty(), "{findings:#?}");
    assert_eq!((findings.windows.verified, findings.windows.open), (2, case.stored.topic.open_windows));
    let records: u64 = findings.partitions.iter().map(|read| read.records).sum();
    assert_eq!(records, case.stored.totals.messages);
}

#[test]
fn each_kind_of_change_is_found() {
    type Change = (&'static str, fn(&mut AuditCase));
    let changes: [Change; 44] = [
        ("AK: messages", |case| case.windows[0].groups[0].messages += 1),
        ("AK: sum", |case| case.windows[0].groups[0].sum -= 1),
        ("CA: avg", |case| case.windows[0].groups[1].avg = Fixed::from_micros(1)),
        ("CA: min", |case| case.windows[0].groups[1].min = Fixed::from_micros(5_000_001)),
        ("CA: max", |case| case.windows[0].groups[1].max = Fixed::from_micros(9_000_001)),
        ("CA: sensors", |case| case.windows[0].groups[1].sensors += 1),
        (": messages", |case| case.windows[1].messages -= 1),
        (": sensors", |case| case.windows[1].sensors += 1),
        ("group CA", |case| drop(case.windows[1].groups.pop())),
        ("group ZZ", |case| case.windows[1].groups[1].group = "ZZ".to_owned()),
        (": end", |case| case.windows[1].end += 1),
        ("ledger of partition 0: late", |case| drop(case.windows.remove(0))),
        ("ledger of partition 0: late", |case| drop(case.windows.pop())),
        ("window 1970-01-01T00:00:06Z: closed", |case| {
            let more = WindowResult { start: 6_000, end: 9_000, ..case.windows[1].clone() };
            case.windows.push(more);
        }),
        ("window 1969-12-31T23:59:57Z", |case| {
            let more = WindowResult { start: -3_000, end: 0, ..case.windows[0].clone() };
            case.windows.insert(0, more);
        }),
        // Closed one batch later, or before anything had been read.
        ("CA: messages", |case| case.windows[0].positions = case.windows[1].positions.clone()),
        ("as before", |case| case.windows[1].positions = vec![(0, 0), (1, 0)]),
        ("batch boundary", |case| case.windows[1].positions[0].1 -= 1),
        ("offset of partition 7", |case| case.windows[1].positions.push((7, 3))),
        ("totals: group AK: messages", |case| case.stored.totals.groups[0].messages += 1),
        ("totals: group CA: sum", |case| case.stored.totals.groups[1].sum += 1),
        ("totals: sensors", |case| case.stored.totals.sensors -= 1),
        ("ledger of partition 1: read", |case| account(case, 1).read += 1),
        ("ledger of partition 0: counted", |case| {
            account(case, 0).counted += 1;
            account(case, 0).late -= 1;
        }),
        ("ledger of partition 1: not-json", |case| account(case, 1).rejected.count(Rejection::NotJson)),
        ("late ranges: range", |case| {
            let ranges = relisted(&account(case, 0).late_ranges, |listed| listed.truncate(listed.len() - 1));
            account(case, 0).late_ranges = ranges;
        }),
        ("late ranges: range 0", |case| {
            let ranges = relisted(&account(case, 1).late_ranges, |listed| listed[0].records += 1);
            account(case, 1).late_ranges = ranges;
        }),
        ("rejected ranges: range 1", |case| {
            let ranges = relisted(&account(case, 0).rejected_ranges, |listed| listed[1].range.next += 1);
            account(case, 0).rejected_ranges = ranges;
        }),
        ("rejected ranges: range 0", |case| {
            let ranges = relisted(&account(case, 0).rejected_ranges, |listed| listed.swap(0, 1));
            account(case, 0).rejected_ranges = ranges;
        }),
        ("partition 1: digest", |case| {
            let state = case.stored.partitions.get_mut(&1).expect("it is stored");
            state.last = state.last.map(|last| LastBatch { digest: last.digest ^ 1, ..last });
        }),
        ("partition 1: position", |case| {
            case.stored.partitions.get_mut(&1).expect("it is stored").position += 1;
        }),
        ("partition 0: newest event time", |case| {
            case.stored.partitions.get_mut(&0).expect("it is stored").watermark = Some(1);
        }),
        ("open windows", |case| case.stored.topic.open_windows += 1),
        ("partition 1: where open windows begin", |case| {
            let state = case.stored.partitions.get_mut(&1).expect("it is stored");
            state.restore_from = state.position;
        }),
        ("partition 0: where open windows begin", |case| {
            case.stored.partitions.get_mut(&0).expect("it is stored").restore_from = 5;
        }),
        ("sensors: group AK: not in the log", |case| case.sensors[0].sensor += 10),
        ("sensors: group AK: missing", |case| case.sensors[0].sensor += 10),
        ("sensors: group CA", |case| case.sensors.truncate(case.sensors.len() - 1)),
        ("sensors: group AK: not in the log", |case| case.sensors.push(case.sensors[0])),
        ("of no group", |case| case.sensors.push(SensorEntry { sensor: 1, group: 9 })),
        ("windows are closed until", |case| {
            case.stored.topic.closed_until = Some(365 * 86_400_000);
        }),
        ("watermark", |case| {
            case.stored.topic.closed_until = Some(365 * 86_400_000);
            case.stored.topic.watermark = Some(365 * 86_400_000);
        }),
        ("offsets", |case| case.windows[1].positions.truncate(1)),
        ("data losses: read", |case| {
            account(case, 0).data_losses.push(DataLoss { range: SourceRange { first: 0, next: 4 }, lost: 4 });
        }),
    ];
    let memories = [None, Some(0)];
    for (place, (what, change), memory) in
        (0..).zip(changes).flat_map(|(place, change)| memories.map(|memory| (place, change, memory)))
    {
        let mut case = AuditCase { memory, ..case() };
        change(&mut case);
        let findings = case.audit();
        let found = findings
            .differences
            .iter()
            .any(|difference| difference.what.contains(what) || difference.recomputed.contains(what));
        assert!(found, "change {place}, `{what}`, memory {memory:?}, is not in {:#?}", findings.differences);
    }
}

#[test]
fn a_window_that_no_watermark_can_have_closed_is_found() {
    let mut run = Run::attached(options(), &[1]);
    run.reading(0, 0);
    let closed = windows(&run.pass(20_000));
    assert_eq!(closed.iter().map(|window| window.closed_by).collect::<Vec<_>>(), [ClosedBy::Idle]);
    let log = Batches::from([(0, vec![LogBatch::new(partial(0, &[at(0)], &[]), 0)])]);
    let saved = apply(&ResumeState::default(), &run.materializer, &[]);
    let mut case = AuditCase::new(&saved, run.totals(), &closed, log);
    assert!(case.audit().is_clean(), "{:#?}", case.audit());
    case.windows[0].closed_by = ClosedBy::Watermark;
    let findings = case.audit();
    assert!(findings.differences.iter().any(|one| one.what.ends_with("closed by")), "{findings:#?}");
}

#[test]
fn too_much_is_found() {
    let case = case();
    for more in [1, 1_000] {
        for (what, changed) in raised(&case, more) {
            assert!(!changed.audit().is_clean(), "{what} by {more}");
        }
    }
    let kept = case.keep_from(1);
    for (what, changed) in raised(&kept, 1) {
        assert!(!changed.audit().is_clean(), "{what}, of a store that has dropped windows");
    }
}

#[test]
fn what_a_full_list_of_ranges_leaves_open_is_named() {
    let mut kept = case().keep_from(1);
    for account in kept.stored.accounts.values_mut() {
        let listed = account.late_ranges.listed().iter().copied();
        let (of_dropped, listed): (Vec<_>, Vec<_>) = listed.partition(|range| range.key.0 == 0);
        let unlisted = of_dropped.iter().map(|range| range.records).sum();
        account.late_ranges = Ranges::restored(listed, unlisted);
    }
    let findings = kept.audit();
    let named = |what: &str| findings.unverifiable.iter().any(|one| one.what.contains(what));
    assert!(findings.is_clean() && named("counted, late") && named("totals"), "{findings:#?}");
    for (what, changed) in raised(&kept, 1_000).into_iter().filter(|(what, _)| what.contains("window")) {
        assert!(!changed.audit().is_clean(), "{what}");
    }
}

#[test]
fn another_log_is_found() {
    let mut case = case();
    let kept = &mut case.log.get_mut(&0).expect("it has batches")[1];
    let cell = kept.partial.aggregate.cells.values_mut().next().expect("it has cells");
    cell.stats.sum += 1;
    let findings = case.audit();
    assert!(findings.differences.iter().any(|difference| difference.what.ends_with("sum")), "{findings:#?}");
}

#[test]
fn a_last_batch_that_is_missing_or_another_one_is_found() {
    for change in [|_: LastBatch| None, |last: LastBatch| Some(LastBatch { digest: last.digest + 1, ..last })] {
        let mut case = case();
        let state = case.stored.partitions.get_mut(&0).expect("a partition");
        state.last = state.last.and_then(change);
        let findings = case.audit();
        let named = |what: &str| findings.differences.iter().any(|one| one.what == what);
        assert!(named("partition 0: digest of the last batch"), "{findings:#?}");
    }
}

#[test]
fn what_the_log_has_lost_is_unverifiable_and_the_rest_is_checked() {
    let case = case();
    let all = case.audit();
    for cut in [4, 8, 10] {
        let cut = BTreeMap::from([(0, cut)]);
        let findings = case.audit_from(&cut);
        assert!(findings.is_clean(), "cut at {cut:?}: {findings:#?}");
        let named = |what: &str| findings.unverifiable.iter().any(|one| one.what.starts_with(what));
        let all_named = ["partition 0", "ledger of partition 0", "totals"].into_iter().all(named);
        assert!(all_named && !named("ledger of partition 1"), "cut at {cut:?}: {findings:#?}");
        let windows = findings.windows;
        assert_eq!(windows.verified + windows.unverifiable, all.windows.verified, "cut at {cut:?}: {windows:?}");
        assert_eq!(named(&format!("{} windows", windows.unverifiable)), windows.unverifiable > 0, "{findings:#?}");
        // A window that says more than the rest of the log gives is never called verified. One that says less differs.
        let mut changed = case.clone();
        changed.windows.iter_mut().for_each(|window| window.groups[0].messages += 1_000);
        let raised = changed.audit_from(&cut).windows;
        assert_eq!((raised.verified, raised.unverifiable), (0, all.windows.verified), "cut at {cut:?}: {raised:?}");
        // The other partition is compared as ever.
        let mut changed = case.clone();
        account(&mut changed, 1).read += 1;
        assert!(!changed.audit_from(&cut).is_clean(), "cut at {cut:?}");
    }
    // The second window lost nothing with the first batch but a reading of CA: AK is checked as before.
    let mut changed = case.clone();
    changed.windows[1].groups[0].messages -= 1;
    let findings = changed.audit_from(&BTreeMap::from([(0, 4)]));
    assert!(!findings.is_clean(), "{findings:#?}");
    // So is what the ledger says of what is left.
    let mut changed = case.clone();
    let ranges = relisted(&account(&mut changed, 0).rejected_ranges, |listed| listed.truncate(listed.len() - 1));
    account(&mut changed, 0).rejected_ranges = ranges;
    assert!(!changed.audit_from(&BTreeMap::from([(0, 4)])).is_clean());
    // No more records can be gone than there were offsets.
    let mut changed = case.clone();
    account(&mut changed, 0).read += 5;
    account(&mut changed, 0).counted += 5;
    assert!(!changed.audit_from(&BTreeMap::from([(0, 4)])).is_clean());
    let mut gone = case;
    account(&mut gone, 0).data_losses.push(DataLoss { range: SourceRange { first: 0, next: 4 }, lost: 0 });
    let findings = gone.audit();
    assert!(
        findings.is_clean() && findings.unverifiable.iter().any(|one| one.why.contains("data loss")),
        "{findings:#?}"
    );
}

#[test]
fn without_dropped_windows_the_others_are_checked() {
    let mut case = case();
    case.windows.remove(0);
    case.stored.dropped = 1;
    let findings = case.audit();
    assert!(findings.is_clean(), "{findings:#?}");
    assert!(findings.unverifiable.iter().any(|one| one.why.contains("--keep")), "{findings:#?}");
    assert_eq!(findings.windows.verified, 1);
    account(&mut case, 0).late += 1;
    account(&mut case, 0).counted -= 1;
    case.windows[0].groups[0].messages += 1;
    assert_eq!(case.audit().windows.different, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_history_is_clean_at_any_moment(
        ops in proptest::collection::vec(op(), 1..100),
        offset_gaps in offset_gaps(),
        at: Index,
        cut in 0_i64..60,
        dropped in 0_usize..6,
        more in 1_u64..3,
        until_end: bool,
        memory in proptest::option::of(0_usize..5_000),
    ) {
        let mut run = Run { materializer: Materializer::new(Options { until_end, ..options() }), now: Duration::ZERO };
        let mut closed = vec![];
        let (log, events) = history(ops, &offset_gaps);
        let log = case::batches(&log);
        let at = at.index(events.len());
        // What has been written so far.
        let mut written = Batches::new();
        for (place, event) in events.iter().enumerate() {
            if let Event::Partial { partition, .. } = event {
                let batches = written.entry(*partition).or_default();
                batches.push(log[partition][batches.len()].clone());
            }
            closed.extend(windows(&run.event(event.clone())));
            if place == at || place + 1 == events.len() {
                let saved = apply(&ResumeState::default(), &run.materializer, &[]);
                let mut case = AuditCase::new(&saved, run.totals(), &closed, written.clone());
                case.memory = memory;
                let findings = case.audit();
                prop_assert!(findings.is_clean() && findings.unverifiable.is_empty(), "{:#?}", findings);
                prop_assert_eq!(findings.windows.open, saved.topic.open_windows);
                // Cut at the batch that holds the offset.
                let batches = case.log.get(&0).into_iter().flatten();
                let cut = batches.map(|kept| kept.partial.source.first).filter(|first| *first <= cut).max();
                let cut = BTreeMap::from([(0, cut.unwrap_or(0))]);
                let findings = case.audit_from(&cut);
                prop_assert!(findings.is_clean(), "cut at {:?}: {:#?}", cut, findings);
                for (what, changed) in raised(&case, 1_000) {
                    prop_assert!(!changed.audit().is_clean(), "{}", what);
                }
                // A store that has dropped its oldest windows.
                let kept = case.keep_from(dropped);
                let findings = kept.audit();
                prop_assert!(findings.is_clean(), "{:#?}", findings);
                prop_assert_eq!(findings.windows.verified, kept.windows.len() as u64);
                let findings = kept.audit_from(&cut);
                prop_assert!(findings.is_clean(), "cut at {:?}: {:#?}", cut, findings);
                for (what, changed) in raised(&kept, more) {
                    prop_assert!(!changed.audit().is_clean(), "{} by {}, without {} windows", what, more, dropped);
                }
            }
        }
    }

    #[test]
    fn runs_that_stop_and_go_on_are_clean_at_each_commit(
        logs in proptest::collection::vec(proptest::collection::vec(batch(), 0..8), 1..4),
        steps in proptest::collection::vec(0_i64..9_000, 8),
        picks in proptest::collection::vec(any::<Index>(), 1..20),
        stops in proptest::collection::vec(0_usize..12, 0..6),
        every in 1_usize..4,
    ) {
        let later = |batches: Vec<Batch>| {
            let mut time = 0;
            let later = batches.into_iter().zip(&steps).map(|(batch, step)| {
                time += step;
                batch.later(time)
            });
            later.collect()
        };
        let log = log(logs.into_iter().map(later).collect());
        let kept = case::batches(&log);
        let mut found = None;
        let options = Options { until_end: true, ..options() };
        read(&options, &log, &picks, &stops, every, &mut |saved, published| {
            let findings = AuditCase::new(saved, published.totals.clone(), &published.windows, kept.clone()).audit();
            if !findings.is_clean() || !findings.unverifiable.is_empty() {
                found.get_or_insert(findings);
            }
        });
        prop_assert!(found.is_none(), "{:#?}", found);
    }
}
