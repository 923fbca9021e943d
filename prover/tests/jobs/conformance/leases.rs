//! Leases: who has a job, and for how long.

use crate::{at, claim, job, result, submit, CLAIM, NOW};
use std::slice::from_ref;
use zkonnx_prover::jobs::{
    store::{HEARTBEAT, MAX_EXPIRATIONS},
    Claim, Filter, Job, JobState, JobStore, StoreError, UnixMillis, WorkerReport,
};

const TWO: Claim<'static> = Claim { worker: "two", ..CLAIM };

fn report(name: &str) -> WorkerReport {
    WorkerReport { name: name.into(), started: NOW, memory: 1, concurrency: 1, done: 0, failed: 0 }
}

fn only(store: &dyn JobStore) -> Job {
    store.list(&Filter::default()).unwrap().pop().unwrap()
}

pub(crate) fn a_heartbeat_keeps_a_lease(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    let leased = claim(store, &CLAIM, NOW).unwrap();
    let mut now = NOW;
    for _ in 0..20 {
        now = now.after(HEARTBEAT);
        let lost = store.heartbeat(&report("one"), &[leased.lease], now.after(CLAIM.lease), now).unwrap();
        assert_eq!(lost, []);
        assert_eq!(claim(store, &TWO, now), None);
    }
    assert_eq!(store.complete(&[(leased.lease, result(1))], now).unwrap(), [true]);
}

pub(crate) fn a_lease_that_expired_costs_no_attempt(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    let first = claim(store, &CLAIM, NOW).unwrap();
    assert_eq!(claim(store, &TWO, first.lease.until), None);
    let second = claim(store, &TWO, first.lease.until.after(std::time::Duration::from_millis(1))).unwrap();
    assert_eq!((second.lease.job, second.lease.attempt), (first.lease.job, 1));
    assert_ne!(second.lease.token, first.lease.token);
    let job = only(store);
    assert_eq!((job.attempts, job.expirations, job.worker.as_deref()), (0, 1, Some("two")));
}

pub(crate) fn a_slow_worker_is_told_that_it_is_late(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    let slow = claim(store, &CLAIM, NOW).unwrap().lease;
    let quick = claim(store, &TWO, at(60)).unwrap().lease;
    let lost = |state| move |e: &StoreError| matches!(e, StoreError::LeaseLost { state: s, .. } if *s == state);
    assert_eq!(store.complete(&[(slow, result(8))], at(61)).unwrap(), [false]);
    let error = store.fail(&slow, zkonnx_prover::jobs::FailureKind::Transient, "late", at(61)).unwrap_err();
    assert!(lost(JobState::Leased)(&error), "{error}");
    assert!(lost(JobState::Leased)(&store.release(&slow, at(61)).unwrap_err()));
    assert_eq!(store.complete(&[(quick, result(1))], at(62)).unwrap(), [true]);
    assert_eq!(store.complete(&[(slow, result(8))], at(63)).unwrap(), [false]);
    assert!(lost(JobState::Done)(&store.release(&slow, at(63)).unwrap_err()));
    let results = store.results(&Filter::default()).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].receipt, results[0].worker.as_str()), (result(1).receipt, "two"));
    assert_eq!((only(store).attempts, only(store).state), (0, JobState::Done));
}

pub(crate) fn a_slow_worker_is_heard_while_nobody_else_has_the_job(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    let slow = claim(store, &CLAIM, NOW).unwrap().lease;
    assert_eq!(store.complete(&[(slow, result(1))], at(600)).unwrap(), [true]);
    assert_eq!(store.expire(at(601)).unwrap(), 0);
    assert_eq!(only(store).state, JobState::Done);
}

pub(crate) fn a_worker_that_always_vanishes_poisons_its_job(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    let mut now = NOW;
    for expired in 0..MAX_EXPIRATIONS {
        assert_eq!(only(store).expirations, expired);
        assert_eq!(claim(store, &CLAIM, now).unwrap().lease.attempt, 1);
        now = now.after(2 * CLAIM.lease);
        assert_eq!(store.expire(now).unwrap(), 1);
    }
    assert_eq!(claim(store, &CLAIM, now), None);
    let job = only(store);
    assert_eq!((job.state, job.expirations, job.finished), (JobState::Poisoned, MAX_EXPIRATIONS, Some(now)));
    assert!(job.reason.unwrap().contains("vanished"));
}

pub(crate) fn a_released_job_is_queued_without_an_attempt(store: &dyn JobStore) {
    submit(store, &[job(1)]);
    for _ in 0..20 {
        let lease = claim(store, &CLAIM, NOW).unwrap().lease;
        assert_eq!(lease.attempt, 1);
        store.release(&lease, NOW).unwrap();
        assert_eq!(store.complete(&[(lease, result(1))], NOW).unwrap(), [false]);
    }
    assert_eq!((only(store).state, only(store).expirations), (JobState::Queued, 0));
}

pub(crate) fn a_heartbeat_names_the_leases_that_are_lost(store: &dyn JobStore) {
    submit(store, &[job(1), job(2), job(3)]);
    let leases: Vec<_> =
        store.claim(&Claim { limit: 3, ..CLAIM }, NOW).unwrap().iter().map(|leased| leased.lease).collect();
    store.cancel(&[leases[1].job], NOW).unwrap();
    let until = at(90);
    assert_eq!(store.heartbeat(&report("one"), &leases, until, at(1)).unwrap(), [leases[1].job]);
    let until: Vec<Option<UnixMillis>> =
        store.list(&Filter::default()).unwrap().iter().map(|job| job.leased_until).collect();
    assert_eq!(until, [Some(at(90)), None, Some(at(90))]);
    // Somebody else's token is worth nothing.
    let mut forged = leases[0];
    forged.token.0[0] ^= 1;
    assert_eq!(store.heartbeat(&report("two"), from_ref(&forged), at(900), at(2)).unwrap(), [forged.job]);
    assert_eq!(store.complete(&[(forged, result(1))], at(2)).unwrap(), [false]);
}
