//! What is refused, and that a refusal changes nothing.

use super::*;

/// The event is refused, and the run is as before.
fn refused(run: &mut Run, event: Event, says: &[&str]) -> Fault {
    let before = (run.totals(), run.materializer.ledger().clone(), run.materializer.view());
    let fault = run.try_event(event).expect_err("refused");
    let text = fault.to_string();
    for part in says {
        assert!(text.contains(part), "`{text}` says nothing of `{part}`");
    }
    assert_eq!(before, (run.totals(), run.materializer.ledger().clone(), run.materializer.view()));
    fault
}

fn of(partition: PartitionId, partial: Partial) -> Event {
    Event::Partial { partition, partial: Box::new(partial), digest: 0 }
}

#[test]
fn a_gap_or_an_overlap_is_refused_and_the_right_partial_still_taken() {
    let mut run = Run::attached(options(), &[100]);
    run.batch(0, &[at(0), at(1)], &[]);
    let fault =
        refused(&mut run, of(0, partial(5, &[at(2)], &[])), &["partition 0", "offset 2", "begins at 5", "3 records"]);
    assert_eq!(fault, Fault::Missing { partition: 0, expected: 2, found: 5 });
    let fault = refused(&mut run, of(0, partial(0, &[at(0), at(1)], &[])), &["partition 0", "begins at 0", "offset 2"]);
    assert_eq!(fault, Fault::Overlap { partition: 0, expected: 2, found: 0 });
    run.event(of(0, partial(2, &[at(2)], &[])));
    assert_eq!(run.totals().counted, 3);
}

#[test]
fn the_first_partial_begins_where_the_partition_was_attached() {
    let mut run = Run::new(options(), 1);
    run.attach(0, 40, 100);
    refused(&mut run, of(0, partial(0, &[at(0)], &[])), &["offset 40"]);
    run.event(of(0, partial(40, &[at(0)], &[])));
}

#[test]
fn attached_again_elsewhere_is_refused() {
    let mut run = Run::attached(options(), &[100]);
    run.reading(0, 0);
    run.event(Event::Detached { partition: 0 });
    for position in [0, 2] {
        let event = Event::Attached { partition: 0, position, end: Some(100) };
        assert_eq!(refused(&mut run, event, &[]), Fault::Reattached { partition: 0, merged: 1, position });
    }
    run.attach(0, 1, 100);
}

#[test]
fn a_partition_of_which_nothing_has_come_may_begin_later_by_now() {
    let mut run = Run::attached(options(), &[100]);
    run.event(Event::Detached { partition: 0 });
    run.attach(0, 40, 100);
    assert_eq!(run.materializer.positions(), [(0, 40)]);
    run.event(Event::Detached { partition: 0 });
    let event = Event::Attached { partition: 0, position: 39, end: Some(100) };
    assert_eq!(refused(&mut run, event, &[]), Fault::Reattached { partition: 0, merged: 40, position: 39 });
    run.attach(0, 40, 100);
    run.event(of(0, partial(40, &[at(0)], &[])));
}

#[test]
fn a_log_that_lost_its_end_is_refused() {
    let mut run = Run::attached(options(), &[100]);
    run.batch(0, &[at(0), at(1)], &[]);
    let says = ["partition 0", "offset 1", "offset 2"];
    refused(&mut run, Event::Attached { partition: 0, position: 2, end: Some(1) }, &says);
}

#[test]
fn another_version_or_other_settings_are_refused() {
    let mut run = Run::attached(options(), &[100]);
    let mut other = partial(0, &[at(0)], &[]);
    other.version = ModuleVersion { major: 9, minor: 8, patch: 7 };
    let ours = ModuleVersion::CURRENT.to_string();
    refused(&mut run, of(0, other), &["9.8.7", &ours]);
    let mut other = partial(0, &[at(0)], &[]);
    other.fingerprint = Fingerprint(0xabc);
    let says = ["0000000000000abc", "0000000000001507"];
    refused(&mut run, of(0, other), &says);
}

#[test]
fn a_partial_that_contradicts_itself_is_refused() {
    let mut run = Run::attached(options(), &[100]);
    let mut other = partial(0, &[at(0)], &[]);
    other.aggregate.records = 2;
    refused(&mut run, of(0, other), &["2 records", "1 counted"]);
    let mut other = partial(0, &[at(0), at(1)], &[]);
    other.source.next = 1;
    refused(&mut run, of(0, other), &["0 to 1", "2 records"]);
    let mut other = partial(0, &[], &[]);
    other.source.next = -1;
    refused(&mut run, of(0, other), &["0 to -1"]);
}

#[test]
fn a_source_that_forgets_to_say_what_it_found_is_refused() {
    let mut run = Run::new(options(), 1);
    let not_attached = Fault::NotAttached { partition: 0 };
    assert_eq!(refused(&mut run, of(0, partial(0, &[], &[])), &[]), not_attached);
    assert_eq!(refused(&mut run, Event::End { partition: 0, end: 1 }, &[]), not_attached);
    let unknown = Fault::Unknown { partition: 7 };
    assert_eq!(refused(&mut run, of(7, partial(0, &[], &[])), &[]), unknown);
    assert_eq!(refused(&mut run, Event::Detached { partition: 7 }, &[]), unknown);
    run.attach(0, 0, 5);
    run.event(Event::Detached { partition: 0 });
    assert_eq!(refused(&mut run, of(0, partial(0, &[], &[])), &[]), not_attached);
}
