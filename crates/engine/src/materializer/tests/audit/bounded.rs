//! What bounded runs closed beyond the watermark, as the audit takes it after a later run.

use super::super::resume::{again, resumed};
use super::*;

#[test]
fn windows_that_a_bounded_run_closed_are_closed_for_what_comes_later() {
    let mut run = Run::attached(Options { until_end: true, ..options() }, &[3, 1]);
    let mut log = Batches::new();
    let mut closed = vec![];
    for (partition, time) in [(1, 1_000), (0, 0), (0, 60_000), (0, 70_000)] {
        let batches = log.entry(partition).or_default();
        batches.push(LogBatch::new(partial(batches.len() as i64, &[at(time)], &[]), 0));
        closed.extend(windows(&run.reading(partition, time)));
    }
    let saved = apply(&ResumeState::default(), &run.materializer, &closed.iter().collect::<Vec<_>>());
    assert_eq!((closed.len(), saved.topic.closed_until), (3, Some(0)));
    let mut run = resumed(options(), saved.clone());
    run.attach(0, 2, 4);
    run.attach(1, 0, 1);
    run.event(again(2, 70_000, 0));
    run.event(Event::Partial { partition: 1, partial: Box::new(partial(0, &[at(1_000)], &[])), digest: 0 });
    let late = partial(3, &[at(61_000)], &[]);
    run.event(Event::Partial { partition: 0, partial: Box::new(late.clone()), digest: 0 });
    log.entry(0).or_default().push(LogBatch::new(late, 0));
    let saved = apply(&saved, &run.materializer, &[]);
    let mut case = AuditCase::new(&saved, run.totals(), &closed, log);
    assert_eq!((case.stored.totals.late, case.stored.topic.open_windows), (1, 0));
    assert!(case.audit().is_clean(), "{:#?}", case.audit());
    // No watermark can have closed it: it ends behind what watermarks have closed.
    case.windows[1].closed_by = ClosedBy::Watermark;
    let findings = case.audit();
    assert!(findings.differences.iter().any(|one| one.what == "window 1970-01-01T00:01:00Z: closed"), "{findings:#?}");
}
