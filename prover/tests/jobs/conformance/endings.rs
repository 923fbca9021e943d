//! How jobs end.

use crate::{at, claim, job, result, submit, CLAIM, NOW};
use std::thread::scope;
use zkonnx_prover::jobs::{
    Claim, FailureKind, Filter, Job, JobNumber, JobState, JobStore, NewJob, StoreError, Submission,
};
use zkonnx_verifier::replay::JobKey;

fn get(store: &dyn JobStore, number: JobNumber) -> Job {
    store.list(&Filter { numbers: vec![number], ..Filter::default() }).unwrap().pop().unwrap()
}

pub(crate) fn a_result_is_recorded_once(store: &dyn JobStore) {
    let number = submit(store, &[job(1)])[0];
    let key = JobKey { domain: [1; 32], job_id: [1; 32] };
    assert_eq!(store.recorded(&key).unwrap(), None);
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    assert_eq!(store.complete(&[(lease, result(1))], at(3)).unwrap(), [true]);
    let recorded = store.recorded(&key).unwrap().unwrap();
    assert_eq!((recorded.job, recorded.recorded, recorded.worker.as_str()), (number, at(3), "one"));
    assert_eq!((recorded.domain, recorded.job_id), (key.domain, key.job_id));
    assert_eq!((recorded.metering, recorded.milliseconds), (result(1).metering, 250));
    assert_eq!((recorded.model_id, recorded.statement), (result(1).model_id, result(1).statement));
    let done = get(store, number);
    assert_eq!((done.state, done.finished, done.receipt), (JobState::Done, Some(at(3)), Some(result(1).receipt)));
    // Nothing changes it any more.
    assert_eq!(store.submit(&[job(1)], at(4)).unwrap(), [Submission::Known(number, JobState::Done)]);
    assert_eq!(store.retry(&[number], at(4)).unwrap(), []);
    assert_eq!(store.cancel(&[number], at(4)).unwrap(), []);
    assert_eq!(claim(store, &CLAIM, at(1000)), None);
    assert_eq!(get(store, number), done);
}

pub(crate) fn racing_completions_record_one(store: &dyn JobStore) {
    for id in 0..10 {
        submit(store, &[job(id)]);
        let late = claim(store, &CLAIM, NOW).unwrap().lease;
        let current = claim(store, &Claim { worker: "two", ..CLAIM }, at(60)).unwrap().lease;
        assert_eq!(late.job, current.job);
        let complete = |lease, by| move || store.complete(&[(lease, result(by))], at(61)).unwrap() == [true];
        let (first, second) = scope(|scope| {
            let (a, b) = (scope.spawn(complete(late, 100)), scope.spawn(complete(current, 200)));
            (a.join().unwrap(), b.join().unwrap())
        });
        assert!(!first && second);
        assert_eq!(get(store, late.job).receipt, Some(result(200).receipt));
    }
    assert_eq!(store.results(&Filter::default()).unwrap().len(), 10);
}

pub(crate) fn some_of_several_results_are_late(store: &dyn JobStore) {
    submit(store, &[job(1), job(2), job(3)]);
    let leases: Vec<_> =
        store.claim(&Claim { limit: 3, ..CLAIM }, NOW).unwrap().iter().map(|leased| leased.lease).collect();
    store.cancel(&[leases[1].job], NOW).unwrap();
    let results: Vec<_> = leases.iter().map(|lease| (*lease, result(9))).collect();
    assert_eq!(store.complete(&results, NOW).unwrap(), [true, false, true]);
    assert_eq!(get(store, leases[1].job).state, JobState::Cancelled);
    assert_eq!(store.results(&Filter::default()).unwrap().len(), 2);
}

pub(crate) fn a_deterministic_failure_is_final(store: &dyn JobStore) {
    let number = submit(store, &[job(1)])[0];
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    let state = store.fail(&lease, FailureKind::Deterministic, "input 'x' has\0 9 elements", at(1)).unwrap();
    assert_eq!(state, JobState::Failed);
    assert_eq!(claim(store, &CLAIM, at(1000)), None);
    let failed = get(store, number);
    assert_eq!((failed.state, failed.attempts, failed.finished), (JobState::Failed, 1, Some(at(1))));
    assert_eq!(failed.reason.as_deref(), Some("input 'x' has\u{fffd} 9 elements"));
}

pub(crate) fn the_third_attempt_poisons(store: &dyn JobStore) {
    let number = submit(store, &[job(1)])[0];
    let expected = [JobState::Queued, JobState::Queued, JobState::Poisoned];
    for (attempt, expected) in (1..).zip(expected) {
        let lease = claim(store, &CLAIM, NOW).unwrap().lease;
        assert_eq!(lease.attempt, attempt);
        let reason = format!("no luck {attempt}");
        assert_eq!(store.fail(&lease, FailureKind::Transient, &reason, at(2)).unwrap(), expected);
        assert_eq!(get(store, number).reason, Some(reason));
    }
    assert_eq!(claim(store, &CLAIM, at(1000)), None);
    assert_eq!((get(store, number).attempts, get(store, number).finished), (3, Some(at(2))));
}

pub(crate) fn failed_jobs_can_be_retried(store: &dyn JobStore) {
    let numbers = submit(store, &[job(1), job(2), job(3)]);
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    store.fail(&lease, FailureKind::Deterministic, "no", NOW).unwrap();
    store.cancel(&[numbers[1]], NOW).unwrap();
    // A queued job, and one that is not there, are left alone.
    let asked = [numbers[0], numbers[1], numbers[2], JobNumber(1 << 40)];
    assert_eq!(store.retry(&asked, at(5)).unwrap(), numbers[..2]);
    let retried = get(store, numbers[0]);
    assert_eq!((retried.state, retried.attempts, retried.finished), (JobState::Queued, 0, None));
    // The lease of before is worth nothing.
    assert_eq!(store.complete(&[(lease, result(1))], at(6)).unwrap(), [false]);
    let again = claim(store, &CLAIM, at(6)).unwrap().lease;
    assert_eq!((again.job, again.attempt), (numbers[0], 1));
    assert_eq!(store.complete(&[(again, result(1))], at(7)).unwrap(), [true]);
    assert_eq!(get(store, numbers[0]).reason, None);
}

pub(crate) fn cancelled_jobs_are_not_claimed_and_their_workers_told(store: &dyn JobStore) {
    let numbers = submit(store, &[job(1), job(2)]);
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    assert_eq!(store.cancel(&numbers, at(1)).unwrap(), numbers);
    assert_eq!(store.cancel(&numbers, at(1)).unwrap(), []);
    assert_eq!(claim(store, &CLAIM, at(1000)), None);
    assert_eq!(store.complete(&[(lease, result(1))], at(2)).unwrap(), [false]);
    let error = store.release(&lease, at(2)).unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { state: JobState::Cancelled, .. }), "{error}");
    let unknown = zkonnx_prover::jobs::Lease { job: JobNumber(1 << 40), ..lease };
    assert!(matches!(store.release(&unknown, at(2)), Err(StoreError::NoJob(_))));
}

/// What a worker does that does not know whether it was heard.
pub(crate) fn a_store_that_is_asked_again_remembers(store: &dyn JobStore) {
    submit(store, &[job(1), job(2), NewJob { priority: -1, ..job(3) }]);
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    for _ in 0..2 {
        assert_eq!(store.complete(&[(lease, result(1))], NOW).unwrap(), [true]);
    }
    assert_eq!(store.results(&Filter::default()).unwrap().len(), 1);
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    for _ in 0..2 {
        store.release(&lease, NOW).unwrap();
    }
    let lease = claim(store, &CLAIM, NOW).unwrap().lease;
    for _ in 0..2 {
        assert_eq!(store.fail(&lease, FailureKind::Transient, "no", NOW).unwrap(), JobState::Queued);
    }
    assert_eq!(get(store, lease.job).attempts, 1);
}
