//! The decisions, one by one.

use super::*;

fn range(first: i64, next: i64) -> SourceRange {
    SourceRange { first, next }
}

#[test]
fn partials_that_join_are_accepted() {
    let mut policy = Policy::new();
    assert_eq!(policy.judge(0, range(0, 10)), Verdict::Accept);
    assert_eq!(policy.judge(10, range(10, 10)), Verdict::Accept, "a batch without records");
    assert_eq!(policy.max_bytes(), SIZES[0]);
}

#[test]
fn a_gap_is_fetched_again_with_every_larger_size_then_handed_on() {
    let mut policy = Policy::new();
    let mut asked = vec![policy.max_bytes()];
    let mut verdict = policy.judge(10, range(20, 30));
    while verdict == Verdict::Refetch {
        asked.push(policy.max_bytes());
        assert!(asked.len() < 10, "it must end");
        verdict = policy.judge(10, range(20, 30));
    }
    assert_eq!(asked, SIZES);
    assert_eq!(verdict, Verdict::Deliver);
}

#[test]
fn a_gap_that_a_larger_size_closes_is_forgotten() {
    let mut policy = Policy::new();
    assert_eq!(policy.judge(10, range(20, 30)), Verdict::Refetch);
    assert_eq!(policy.judge(10, range(10, 20)), Verdict::Accept);
    assert_eq!(policy.max_bytes(), SIZES[1], "the size that was needed once is kept");
    assert_eq!(policy.judge(20, range(25, 30)), Verdict::Refetch);
}

#[test]
fn an_overlap_is_fetched_again_once() {
    let mut policy = Policy::new();
    assert_eq!(policy.judge(10, range(5, 12)), Verdict::Refetch);
    assert_eq!(policy.judge(10, range(5, 12)), Verdict::Deliver);
    assert_eq!(policy.max_bytes(), SIZES[0], "a larger size cannot mend it");
}

#[test]
fn a_stall_waits_longer_and_the_first_partial_sets_that_back() {
    let mut policy = Policy::new();
    for stall in 1..=3 * MANY_STALLS {
        let before = policy.timeout(0);
        assert_eq!(policy.stalled(None), stall % MANY_STALLS == 0, "stall {stall}");
        assert_eq!(policy.max_bytes(), SIZES[0], "a slow broker is asked for no more");
        assert!(policy.timeout(0) > before || before == LONGEST_TIMEOUT);
    }
    assert_eq!(policy.judge(0, range(0, 1)), Verdict::Accept);
    assert_eq!(policy.timeout(0), TIMEOUT);
    assert_eq!(policy.timeout(100_000_000), Duration::from_secs(1_000), "a large backlog takes its time");
}

#[test]
fn a_stall_asks_for_what_the_next_partial_needs() {
    let mut policy = Policy::new();
    policy.stalled(Some(SIZES[0] as usize - FRAMING));
    assert_eq!(policy.max_bytes(), SIZES[0]);
    policy.stalled(Some(SIZES[0] as usize));
    assert_eq!(policy.max_bytes(), SIZES[1]);
    policy.stalled(Some(isotherm_model::codec::max_encoded_len(64 << 20)));
    assert_eq!(policy.max_bytes(), SIZES[4]);
    policy.stalled(Some(usize::MAX - FRAMING));
    assert_eq!(policy.max_bytes(), SIZES[4], "there is no more");
}

#[test]
fn stalls_with_partials_in_between_go_on() {
    let mut policy = Policy::new();
    for offset in 0..100 {
        assert!(!policy.stalled(None));
        assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
        assert_eq!(policy.timeout(0), TIMEOUT);
    }
}

#[test]
fn lost_connections_are_retried_forever_with_growing_pauses() {
    let mut policy = Policy::new();
    let pauses: Vec<_> = (0..100).map(|_| policy.after(FailureKind::Connection, 0.0)).collect();
    assert_eq!(pauses[..3], [200, 400, 800].map(|ms| Retry::After(Duration::from_millis(ms))));
    assert!(pauses[6..].iter().all(|next| *next == Retry::After(Duration::from_secs(10))));
}

#[test]
fn a_broker_that_takes_connections_and_drops_them_is_not_hammered() {
    let mut policy = Policy::new();
    let mut after = |held: Duration| {
        policy.detached(held);
        policy.after(FailureKind::Connection, 0.0)
    };
    let pauses: Vec<_> = (0..10).map(|_| after(STEADY / 2)).collect();
    assert_eq!(pauses[9], Retry::After(Duration::from_secs(10)));
    assert_eq!(after(STEADY), Retry::After(Duration::from_millis(200)), "a connection that held");
}

#[test]
fn refusals_end_unless_partials_come_in_between() {
    let mut policy = Policy::new();
    let until = (1..=100).find(|_| policy.after(FailureKind::Refusal, 0.5) == Retry::GiveUp);
    assert_eq!(until, Some(MOST_REFUSALS));
    assert_eq!(policy.max_bytes(), SIZES[4], "an answer that is too large may be refused instead of skipped");
    let mut policy = Policy::new();
    for offset in 0..100 {
        assert_ne!(policy.after(FailureKind::Refusal, 0.5), Retry::GiveUp);
        assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
    }
}

/// How long this failure is waited for until it ends the run, though connections hold meanwhile.
fn waited(policy: &mut Policy, kind: FailureKind) -> Duration {
    let mut waited = Duration::ZERO;
    while let Retry::After(pause) = policy.after(kind, 0.0) {
        waited += pause;
        policy.detached(STEADY);
    }
    waited
}

#[test]
fn an_unknown_module_is_waited_for_but_not_forever() {
    let waited = waited(&mut Policy::new(), FailureKind::ModuleUnknown);
    assert!(waited >= MODULE_GRACE && waited < MODULE_GRACE * 2, "{waited:?}");
}

#[test]
fn a_module_that_was_replaced_is_waited_for_anew_after_each_partial_but_not_forever() {
    let mut policy = Policy::new();
    for offset in 0..3 {
        let mut waited = Duration::ZERO;
        while policy.may_be_replaced() {
            let Retry::After(pause) = policy.after(FailureKind::OtherModule, 0.0) else {
                panic!("it may still be replaced");
            };
            waited += pause;
            policy.detached(STEADY);
        }
        assert!(waited >= REPLACED_GRACE && waited <= REPLACED_GRACE + SHORT_PAUSE, "{waited:?}");
        assert_eq!(policy.after(FailureKind::OtherModule, 0.0), Retry::GiveUp);
        assert_eq!(policy.judge(offset, range(offset, offset + 1)), Verdict::Accept);
    }
}

#[test]
fn a_leader_that_lags_is_waited_for_but_not_forever() {
    let mut policy = Policy::new();
    for _failover in 0..2 {
        let waited = waited(&mut policy, FailureKind::Lagging);
        assert!(waited >= LAG_GRACE && waited <= LAG_GRACE + SHORT_PAUSE, "{waited:?}");
        policy.reached();
    }
}

#[test]
fn jitter_only_shortens_a_pause() {
    for attempt in 0..40 {
        let (whole, least) = (Backoff::BROKER.pause(attempt, 0.0), Backoff::BROKER.pause(attempt, 1.0));
        assert!(least < whole && least >= whole.mul_f64(0.74));
    }
}
