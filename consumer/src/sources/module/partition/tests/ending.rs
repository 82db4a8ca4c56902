//! What ends a run, and what its errors say.

use fluvio_protocol::link::smartmodule::SmartModuleTransformRuntimeError;

use super::*;

/// What the module says with this text.
fn says(hint: &str) -> Step {
    let error = SmartModuleTransformRuntimeError { hint: hint.to_owned(), offset: 12, ..Default::default() };
    Step::Error(ErrorCode::SmartModuleRuntimeError(Box::new(error)))
}

#[tokio::test(start_paused = true)]
async fn a_damaged_batch_ends_the_run_at_once_with_its_place_and_the_way_on() {
    let damaged = says("the batch that begins at offset 10 is damaged at offset 12: a record is cut off");
    let mut rig = Rig::new(BEGINNING, script((0, 20), [[answers(&[(0, 10)]), vec![damaged]].concat()]));
    rig.expect(&[Attached(0, 20), Happened::Partial(0, 10)]).await;
    let error = rig.error().await;
    assert!(matches!(error, SourceError::DamagedBatch { partition: 3, position: 10, .. }), "{error:?}");
    assert_eq!(rig.began.elapsed(), Duration::ZERO, "it does not pass by waiting");
    let text = said(&error);
    for part in ["partition 3 of `sensors`", "begins at offset 10", "at offset 12", "--from end", "--reset"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_module_that_fails_is_named_with_its_partition_and_offset() {
    let streams = (0..20).map(|_| vec![says("something else")]);
    let begin = ReadStart::At { offset: 10, needed: 10, accept_data_loss: false };
    let error = Rig::new(begin, script((0, 20), streams)).error().await;
    let failed = module_error(&error);
    assert!(matches!(failed, ModuleError::Fails { partition: 3, position: 10, .. }), "{error:?}");
    let text = said(&error);
    for part in ["partition 3 of `sensors`", "offset 10", "something else", "deploy --replace"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_without_memory_for_the_module_is_no_bad_module() {
    let words = "mmap failed to reserve 0x104000000 bytes";
    for code in [
        // An SPU, and the node.
        ErrorCode::SmartModuleChainInitError(format!("Failed to instantiate: {words}")),
        ErrorCode::Other(format!("the node has no memory for the SmartModule: {words}")),
    ] {
        let refusal = || vec![Step::Error(code.clone())];
        let mut rig = Rig::new(BEGINNING, script((0, 10), [refusal(), refusal(), answers(&[(0, 10)])]));
        rig.expect(&[Attached(0, 10), Detached, Attached(0, 10), Detached, Attached(0, 10), Happened::Partial(0, 10)])
            .await;
        let error = Rig::new(BEGINNING, script((0, 10), (0..20).map(|_| refusal()))).error().await;
        assert!(matches!(module_error(&error), ModuleError::Refused { partition: 3, .. }), "{error:?}");
        let text = said(&error);
        assert!(text.contains(words) && text.contains("--combine consumer") && !text.contains("--replace"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_advice_for_a_gap_is_one_that_has_not_been_taken() {
    for accept_data_loss in [true, false] {
        let at = ReadStart::At { offset: 0, needed: 0, accept_data_loss };
        let streams = [[answers(&[(0, 10)]), vec![Step::Break]].concat(), vec![]];
        let mut rig = Rig::new(at, script((0, 60), streams));
        rig.expect(&[Attached(0, 60), Happened::Partial(0, 10)]).await;
        rig.script.lock().unwrap().extent = (50, 60);
        let error = said(&rig.error().await);
        assert!(error.contains("is read up to 10 only"), "{error}");
        assert_eq!(error.contains("run again: with --accept-data-loss"), !accept_data_loss, "{error}");
        assert_eq!(error.contains("run again: as before"), accept_data_loss, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_evicted_before_anything_was_read_is_not_missed() {
    let evicted = ErrorCode::OffsetEvicted { offset: 0, next_available: 50 };
    let mut rig = Rig::new(BEGINNING, script((0, 60), [vec![Step::Error(evicted)], answers(&[(50, 10)])]));
    rig.expect(&[Attached(0, 60)]).await;
    rig.script.lock().unwrap().extent = (50, 60);
    rig.expect(&[Detached, Attached(50, 60), Happened::Partial(50, 60)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_evicted_later_ends_the_run() {
    for by_code in [true, false] {
        let code = ErrorCode::OffsetEvicted { offset: 10, next_available: 50 };
        let last = if by_code { Step::Error(code) } else { Step::Break };
        let streams = [[answers(&[(0, 10)]), vec![last]].concat(), vec![]];
        let mut rig = Rig::new(BEGINNING, script((0, 60), streams));
        rig.expect(&[Attached(0, 60), Happened::Partial(0, 10)]).await;
        rig.script.lock().unwrap().extent = (50, 60);
        let error = rig.error().await;
        assert!(matches!(error, SourceError::Evicted { position: 10, start: 50, .. }), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_broker_that_says_deleted_ends_the_run() {
    let missing = vec![Step::Error(ErrorCode::TopicNotFound)];
    let mut rig = Rig::new(BEGINNING, script((0, 10), [missing.clone(), missing, answers(&[(0, 10)])]));
    rig.expect(&[Attached(0, 10), Detached, Attached(0, 10), Detached, Attached(0, 10), Happened::Partial(0, 10)])
        .await;
    let mut rig = Rig::new(BEGINNING, script((0, 10), [vec![Step::Error(ErrorCode::TopicDeleted)]]));
    let error = rig.error().await;
    assert!(said(&error).contains("deploy --topic sensors --cluster 127.0.0.1:9003"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_module_that_answers_nothing_is_named_with_the_command_that_mends_it() {
    let mut rig = Rig::new(BEGINNING, Script { another_module: true, ..script((0, 10), [vec![], vec![]]) });
    let error = rig.error().await;
    let failed = module_error(&error);
    assert!(matches!(failed, ModuleError::NothingComes { partition: 3, position: 0, end: 10, .. }), "{error:?}");
    let text = said(&error);
    assert!(text.contains("`isotherm-consumer deploy --replace --cluster 127.0.0.1:9003`"), "{text}");
}
