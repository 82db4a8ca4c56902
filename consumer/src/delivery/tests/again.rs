//! What was sent before the store went back must not be sent again.

use super::*;

#[test]
fn a_store_that_goes_back_doubles_nothing_that_the_tail_shows() {
    let sizes = [2, 1, 4, 3, 1, 7, 2, 5, 1, 1, 6];
    for settled_since in 1..sizes.len() {
        let mut world = World::new(&sizes, SMALL);
        let dead = world.outbox.0.lock().unwrap().dead.clone();
        world.copy();
        world.expect(&sizes, "copied");
        // All that was noted is undone, but for the first batches.
        {
            let mut outbox = world.outbox.0.lock().unwrap();
            let then = sizes.len() - settled_since;
            outbox.dead = dead[then..].to_vec();
            outbox.done.truncate(then);
        }
        world.copy();
        world.expect(&sizes, &format!("{settled_since} batches are marked done once more"));
        assert_eq!(world.outcome, Outcome::default(), "nothing was sent or lost");
    }
}

#[test]
fn what_was_late_before_the_store_went_back_is_not_taken_for_what_is_late_now() {
    let mut world = World::new(&[2], SMALL);
    // A reading of the same batch, sent as late; it counts now. The other two are cut.
    let of = |offset, window: Option<i64>| Letter {
        origin: Origin { partition: 0, offset },
        reason: if window.is_none() { "not-json" } else { "late" },
        window,
        value: reading(1),
    };
    let envelope = Envelope::new("sensors", "run");
    for letter in [of(0, Some(1_795_341_600_000)), of(2, None)] {
        let letter = OutgoingRecord { key: envelope.key(&letter).into_bytes(), value: letter.value };
        world.model.get().partitions[0].push(Item::Letter { letter, old: false });
    }
    world.model.get().starts = BTreeMap::from([(0, 1_000)]);
    world.copy();
    assert_eq!(world.outcome, Outcome { copied: 0, lost: 1 });
}
