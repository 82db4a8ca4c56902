//! What must not be sent again: what replicas have not yet, and what was sent before the store went back.

use super::*;

/// The replicas of the topic do not keep up after the `nth` batch of letters, and then this befalls those who wait for them, in
/// turn, and nothing more. How often anything did.
pub(super) fn lagging(world: &World, nth: usize, then: Vec<Befalls>) -> Arc<Mutex<usize>> {
    let (mut stored, mut then, met) = (0, then.into_iter(), Arc::new(Mutex::new(0)));
    let told = met.clone();
    world.model.get().fates = std::boxed::Box::new(move |point| match point {
        Point::Stored => {
            stored += 1;
            if stored == nth { Befalls::Lags } else { Befalls::Nothing }
        }
        Point::Reach => {
            *told.lock().unwrap() += 1;
            then.next().unwrap_or(Befalls::Nothing)
        }
        _ => Befalls::Nothing,
    });
    met
}

#[test]
fn what_replicas_have_not_yet_is_waited_for_and_not_sent_again() {
    use Befalls::{Breaks, Fails, Nothing, Stops};
    let sizes = [2, 1, 4, 3, 1, 7, 2];
    let (kept, lost) = (Breaks { lost: false }, Breaks { lost: true });
    let all: [&[Befalls]; 8] = [
        &[Nothing],
        &[Fails],
        &[Fails, Fails, Fails, Fails],
        &[kept],
        &[lost],
        &[Fails, Fails, kept],
        &[Fails, Fails, lost],
        &[Fails, Stops],
    ];
    for then in all {
        for leaders_are_lost in [false, true] {
            for nth in 1.. {
                let mut world = World { leaders_are_lost, ..World::new(&sizes, SMALL) };
                let met = lagging(&world, nth, then.to_vec());
                let copiers = world.copy();
                if *met.lock().unwrap() == 0 {
                    assert!(nth > 5, "only {nth} batches of letters");
                    break;
                }
                world.expect(&sizes, &format!("batch {nth} lags, then {then:?}, {leaders_are_lost}"));
                assert_eq!(copiers, 1 + usize::from(then.contains(&Stops)));
                assert!(*met.lock().unwrap() >= then.len(), "{then:?}");
            }
        }
    }
}

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
            outbox.settled.truncate(then);
        }
        world.copy();
        world.expect(&sizes, &format!("{settled_since} batches are settled once more"));
        assert_eq!(world.outcome, Outcome::default(), "nothing was sent or lost");
    }
}

#[test]
fn what_was_late_before_the_store_went_back_is_not_taken_for_what_is_late_now() {
    let mut world = World::new(&[2], SMALL);
    // A reading of the same batch, sent as late; it counts by now. The other two are cut.
    let of = |offset, window: Option<i64>| Letter {
        origin: Origin { partition: 0, offset },
        reason: if window.is_none() { "not-json" } else { "late" },
        window,
        value: reading(1),
    };
    let envelope = Envelope::new("sensors", "run");
    for letter in [of(0, Some(1_795_341_600_000)), of(2, None)] {
        let (key, origin) = (envelope.key(&letter).into_bytes(), letter.origin);
        let letter = Sealed { origin, key, value: letter.value };
        world.model.get().lanes[0].push(Item::Letter { letter, old: false });
    }
    world.model.get().starts = BTreeMap::from([(0, 1_000)]);
    world.copy();
    assert_eq!(world.outcome, Outcome { copied: 0, lost: 1 });
}
