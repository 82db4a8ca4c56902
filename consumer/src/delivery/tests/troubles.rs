//! A log that is away, a store that is busy, letters that are too large, and what is said of an error that stays.

use super::*;

#[test]
fn the_tail_is_not_read_again_where_nothing_was_sent() {
    let mut world = World::new(&[3, 3], SMALL);
    let mut left = 4;
    world.model.get().faults = Box::new(move |point| {
        let fails = point == Point::Fetch && left > 0;
        left -= i32::from(fails);
        if fails { TopicFault::Fails } else { TopicFault::Nothing }
    });
    assert_eq!(world.copy(), 1);
    world.expect(&[3, 3], "after the log was away");
    assert_eq!(world.model.get().tails.len(), 3, "each partition once");
}

#[test]
fn a_store_that_is_busy_is_asked_again() {
    let mut world = World::new(&[2, 3, 1], SMALL);
    world.outbox.0.lock().unwrap().busy = 3;
    assert_eq!(world.copy(), 1);
    world.expect(&[2, 3, 1], "after a lock that was held for long");
    assert_eq!(world.outbox.0.lock().unwrap().busy, 0);
}

#[test]
fn letters_that_are_too_large_are_lost_by_the_batch() {
    let mut world = World::new(&[3, 2, 2], Bounds::default());
    {
        let mut model = world.model.get();
        model.most = 1_000;
        let mut grow = |partition, first, place: usize| {
            let batch = model.batches.get_mut(&(partition, first)).unwrap();
            batch.records[place].value = padded("large".to_owned(), 2_000);
        };
        // Two of the first batch, not side by side; one of the third.
        [(0, 0, 1), (0, 0, 3), (0, 4, 2)].into_iter().for_each(|(p, first, place)| grow(p, first, place));
    }
    world.copy();
    world.expect(&[3, 2, 2], "the others");
    let lost = |first, next, records| LostBatch {
        partition: 0,
        cause: LostCause::TooLarge,
        range: SourceRange { first, next },
        records,
    };
    assert_eq!(world.outbox.0.lock().unwrap().lost, [lost(0, 4, 2), lost(4, 7, 1)]);
    assert_eq!(world.outcome, Outcome { copied: 4, lost: 3 });
}

#[test]
fn an_error_that_stays_says_what_to_do_next() {
    let (topic, partition, offset) = ("sensors".to_owned(), 1, 7);
    let damaged = LogError::Unreadable { topic: topic.clone(), partition, offset, what: "its checksum".to_owned() };
    for error in [Error::OtherLog { topic, partition, offset }, Error::Log(damaged)] {
        let said = error.to_string();
        assert!(said.contains("without --dead-letters") && said.contains("--reset"), "{said}");
    }
}
