//! Where a connection goes on, whether it is the log that was read, and how many are made at once.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_begins_exactly_where_it_is_told() {
    let at = |offset, accept_data_loss| ReadStart::At { offset, needed: 22, accept_data_loss };
    for (begin, extent) in [(at(20, false), (0, 30)), (at(20, false), (20, 20)), (at(20, true), (5, 30))] {
        let mut rig = Rig::new(begin, script(extent, [vec![]]));
        rig.expect(&[Attached(20, extent.1)]).await;
        assert_eq!(rig.did(), [Did::Stream(20, 2 << 20)]);
    }
    let mut rig = Rig::new(at(20, true), script((25, 30), [vec![]]));
    rig.expect(&[Attached(25, 30)]).await;
    // Nothing is missing where only what the log was to be known by is gone.
    let mut rig = Rig::new(at(20, false), script((22, 22), [vec![]]));
    rig.expect(&[Attached(22, 22)]).await;
    let error = Rig::new(at(20, false), script((25, 30), [vec![]])).error().await;
    assert!(matches!(error, SourceError::Behind { partition: 3, resume: 20, start: 25, .. }), "{error:?}");
    let text = said(&error);
    assert!(text.contains("--accept-data-loss") && text.contains("--reset"), "{text}");
    for accept_data_loss in [true, false] {
        let error = Rig::new(at(20, accept_data_loss), script((0, 19), [vec![]])).error().await;
        assert!(matches!(error, SourceError::Shorter { position: 20, end: 19, .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_log_behind_a_new_connection_is_refused() {
    let other = Ok(Lookup::Batch(stored(0, 11, 11)));
    for look in [
        other,
        Ok(Lookup::Batch(StoredInfo { digest: 1, ..stored(0, 10, 10) })),
        Ok(Lookup::Unreadable("cut off".to_owned())),
    ] {
        let streams = [[answers(&[(0, 10)]), vec![Step::Break]].concat(), answers(&[(10, 10)])];
        let mut rig = Rig::new(BEGINNING, Script { looks: [look].into(), ..script((0, 20), streams) });
        rig.expect(&[Attached(0, 20), Happened::Partial(0, 10), Detached]).await;
        let error = rig.error().await;
        assert!(matches!(error, SourceError::OtherLog { partition: 3, offset: 0, .. }), "{error:?}");
        let text = said(&error);
        assert!(text.contains("partition 3 of `sensors`") && text.contains("--reset"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_looked_at_is_tried_again() {
    let looks = [Err("no answer".to_owned()), Err("no answer".to_owned())].into();
    let broken = [answers(&[(0, 10)]), vec![Step::Break]].concat();
    let streams = [broken, vec![], vec![], answers(&[(10, 10)])];
    let mut rig = Rig::new(BEGINNING, Script { looks, ..script((0, 20), streams) });
    rig.expect(&[Attached(0, 20), Happened::Partial(0, 10), Detached]).await;
    rig.expect(&[Attached(10, 20), Happened::Partial(10, 20)]).await;
    let looks = rig.did().into_iter().filter(|did| *did == Did::Look(0)).count();
    assert_eq!(looks, 3, "nothing is read before it is known whose it is: {:?}", rig.did());
}

#[tokio::test(start_paused = true)]
async fn what_retention_has_cut_is_not_looked_at() {
    for (start, looks) in [(10, vec![]), (0, vec![Ok(Lookup::Evicted)])] {
        let streams = [[answers(&[(0, 10)]), vec![Step::Break]].concat(), answers(&[(10, 10)])];
        let looked = looks.len();
        let mut rig = Rig::new(BEGINNING, Script { looks: looks.into(), ..script((0, 20), streams) });
        rig.expect(&[Attached(0, 20), Happened::Partial(0, 10)]).await;
        rig.script.lock().unwrap().extent = (start, 20);
        rig.expect(&[Detached, Attached(10, 20), Happened::Partial(10, 20)]).await;
        assert_eq!(rig.did().into_iter().filter(|did| *did == Did::Look(0)).count(), looked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_that_lags_is_given_time_but_not_for_ever() {
    let at = ReadStart::At { offset: 10, needed: 10, accept_data_loss: false };
    for begin in [BEGINNING, at] {
        // It lost its leader at 10, or begins there.
        let first = if begin == BEGINNING { answers(&[(0, 10)]) } else { vec![] };
        let streams = std::iter::once([first, vec![Step::Break]].concat()).chain((0..100).map(|_| vec![]));
        let mut rig = Rig::new(begin, Script { replicated: true, ..script((0, 10), streams) });
        if begin == BEGINNING {
            rig.expect(&[Attached(0, 10), Happened::Partial(0, 10)]).await;
        } else {
            rig.expect(&[Attached(10, 10)]).await;
        }
        rig.script.lock().unwrap().extent = (0, 9);
        rig.expect(&[Detached]).await;
        assert!(rig.within(Duration::from_secs(20)).await.is_none(), "it is waited for");
        rig.script.lock().unwrap().extent = (0, 10);
        rig.expect(&[Attached(10, 10)]).await;
    }
    let since = Instant::now();
    let mut rig = Rig::new(at, Script { replicated: true, ..script((0, 9), (0..100).map(|_| vec![])) });
    let error = rig.error().await;
    assert!(matches!(error, SourceError::Shorter { position: 10, end: 9, .. }), "{error:?}");
    assert!(since.elapsed() >= Duration::from_secs(30), "{:?}", since.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_end_ends_the_run() {
    let mut rig = Rig::new(BEGINNING, script((0, 10), [[answers(&[(0, 10)]), vec![Step::Break]].concat(), vec![]]));
    rig.expect(&[Attached(0, 10), Happened::Partial(0, 10)]).await;
    rig.script.lock().unwrap().extent = (0, 9);
    let error = rig.error().await;
    assert!(matches!(error, SourceError::Shorter { position: 10, end: 9, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_streams_are_opened_at_once() {
    let mut rig = Rig::new(BEGINNING, script((0, 10), [answers(&[(0, 10)])]));
    // The reader has not run yet.
    let others = rig.context.opening.clone().try_acquire_many_owned(OPENING as u32).expect("nobody opens any");
    assert!(rig.within(Duration::from_secs(3_600)).await.is_none(), "it waits for its turn");
    assert_eq!(rig.did(), []);
    rig.script.lock().unwrap().extent = (0, 20);
    drop(others);
    rig.expect(&[Attached(0, 20), Happened::Partial(0, 10)]).await;
    assert_eq!(rig.context.opening.available_permits(), OPENING, "its first answer has come");
    // One that answers nothing holds up nobody for long, and one that has nothing to answer not even so long.
    for (end, least) in [(10, 15_000), (0, 500)] {
        let mut rig = Rig::new(BEGINNING, script((0, end), [vec![]]));
        rig.expect(&[Attached(0, end)]).await;
        assert!(rig.within(Duration::from_millis(least - 100)).await.is_none());
        assert_eq!(rig.context.opening.available_permits(), OPENING - 1, "of {end}");
        assert!(rig.within(Duration::from_millis(200)).await.is_none());
        assert_eq!(rig.context.opening.available_permits(), OPENING, "of {end}");
    }
    // Nor does one that waits for others.
    let mut rig = Rig::new(BEGINNING, script((0, 10), [vec![]]));
    rig.gate.send_replace(true);
    rig.expect(&[Attached(0, 10)]).await;
    assert!(rig.within(Duration::from_millis(1)).await.is_none());
    assert_eq!(rig.context.opening.available_permits(), OPENING, "it is paused");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_takes_connections_and_drops_them_is_not_hammered() {
    let mut rig = Rig::new(BEGINNING, script((0, 10), (0..20).map(|_| vec![Step::Break])));
    for _ in 0..20 {
        rig.expect(&[Attached(0, 10), Detached]).await;
    }
    let took = rig.began.elapsed();
    assert!(took > Duration::from_secs(60), "{took:?} for 20 connections");
}
