//! What is shown.

use crate::{at, claim, job, result, submit, CLAIM, NOW};
use std::time::Duration;
use zkonnx_prover::jobs::{
    Counts, Done, FailureKind, Filter, JobNumber, JobState, JobStore, NewJob, UnixMillis, WorkerReport,
};

fn numbers(store: &dyn JobStore, filter: &Filter) -> Vec<JobNumber> {
    store.list(filter).unwrap().iter().map(|job| job.number).collect()
}

pub(crate) fn listings_filter_and_go_page_by_page(store: &dyn JobStore) {
    let jobs: Vec<NewJob> = (1..=5).map(job).collect();
    let mut all = submit(store, &jobs);
    all.reverse();
    store.cancel(&[all[0], all[4]], NOW).unwrap();
    let any = Filter::default;
    assert_eq!(numbers(store, &any()), all);
    assert_eq!(numbers(store, &Filter { limit: 2, ..any() }), all[..2]);
    assert_eq!(numbers(store, &Filter { limit: 2, before: Some(all[1]), ..any() }), all[2..4]);
    assert_eq!(numbers(store, &Filter { states: vec![JobState::Cancelled], ..any() }), [all[0], all[4]]);
    let ended = vec![JobState::Queued, JobState::Done];
    assert_eq!(numbers(store, &Filter { states: ended, ..any() }), all[1..4]);
    assert_eq!(numbers(store, &Filter { label: Some("NPZ#3".into()), ..any() }), [all[2]]);
    // No wildcards: neither of these is in a label.
    for label in ["x_npz", "x%", "!"] {
        assert_eq!(numbers(store, &Filter { label: Some(label.into()), ..any() }), []);
    }
    assert_eq!(numbers(store, &Filter { job_id: Some([2; 32]), ..any() }), [all[3]]);
    assert_eq!(numbers(store, &Filter { domain: Some([2; 32]), ..any() }), []);
    assert_eq!(numbers(store, &Filter { numbers: vec![all[1], all[3]], ..any() }), [all[1], all[3]]);
}

pub(crate) fn stats_count(store: &dyn JobStore) {
    assert_eq!(store.stats(5, NOW).unwrap(), zkonnx_prover::jobs::Stats::default());
    let jobs: Vec<NewJob> = (1..=9).map(|id| NewJob { deadline: Some(at(u64::from(id) * 10)), ..job(id) }).collect();
    let all = submit(store, &jobs);
    store.submit(&[NewJob { priority: -9, ..job(10) }], at(7)).unwrap();
    let lease = || claim(store, &CLAIM, NOW).unwrap().lease;
    store.complete(&[(lease(), result(1)), (lease(), result(2))], at(1)).unwrap();
    store.complete(&[(lease(), result(3))], at(200)).unwrap();
    for (i, reason) in ["a", "b", "c"].into_iter().enumerate() {
        store.fail(&lease(), FailureKind::Deterministic, reason, at(10 + i as u64)).unwrap();
    }
    let lease = lease();
    store.cancel(&[all[8]], NOW).unwrap();
    let report = WorkerReport { name: "one".into(), started: NOW, memory: 5, concurrency: 2, done: 3, failed: 1 };
    store.heartbeat(&report, &[lease], at(300), at(201)).unwrap();
    let old = WorkerReport { name: "old".into(), ..report };
    store.heartbeat(&old, &[], at(0), at(100)).unwrap();

    let stats = store.stats(2, at(202)).unwrap();
    assert_eq!(stats.jobs, Counts { queued: 2, leased: 1, done: 3, failed: 3, poisoned: 0, cancelled: 1 });
    assert_eq!((stats.jobs.open(), stats.oldest_queued), (3, Some(NOW)));
    // The jobs 7 and 8, which have deadlines 70 and 80; the tenth has none.
    assert_eq!((stats.late, stats.expirations), (2, 0));
    let done = |proofs| Done { proofs, milliseconds: proofs * 250, proof_bytes: proofs * 4000, macs: proofs * 1000 };
    assert_eq!((stats.last_minute, stats.last_hour, stats.total), (done(1), done(3), done(3)));
    let minute = Duration::from_secs(60);
    let steps: Vec<_> = store.history(NOW, minute).unwrap().iter().map(|step| (step.begins, step.done)).collect();
    assert_eq!(steps, [(NOW, done(2)), (at(180), done(1))]);
    assert_eq!(store.history(at(201), minute).unwrap(), []);
    let reasons: Vec<_> = stats.failures.iter().map(|job| job.reason.clone().unwrap()).collect();
    assert_eq!(reasons, ["c", "b"]);
    let workers: Vec<_> = stats.workers.iter().map(|w| (w.name.as_str(), w.seen, w.leased, w.done)).collect();
    assert_eq!(workers, [("one", at(201), 1, 3), ("old", at(100), 0, 3)]);
    // The lease of 300 s expires; workers are forgotten after a day.
    let tomorrow = UnixMillis(at(300).0 + 86_400_000);
    assert_eq!(store.expire(tomorrow).unwrap(), 1);
    let stats = store.stats(0, tomorrow).unwrap();
    assert_eq!((stats.jobs.leased, stats.jobs.queued, stats.expirations), (0, 3, 1));
    assert_eq!((stats.workers.len(), stats.failures.len(), stats.last_hour), (0, 0, done(0)));
}

pub(crate) fn results_can_be_found(store: &dyn JobStore) {
    let jobs: Vec<NewJob> = (1..=4).map(job).collect();
    let all = submit(store, &jobs);
    for id in 1..=3 {
        let lease = claim(store, &CLAIM, NOW).unwrap().lease;
        store.complete(&[(lease, result(id))], NOW).unwrap();
    }
    let found = |filter: &Filter| -> Vec<JobNumber> {
        store.results(filter).unwrap().iter().map(|recorded| recorded.job).collect()
    };
    assert_eq!(found(&Filter::default()), [all[2], all[1], all[0]]);
    assert_eq!(found(&Filter { label: Some("#2".into()), ..Filter::default() }), [all[1]]);
    assert_eq!(found(&Filter { before: Some(all[2]), limit: 1, ..Filter::default() }), [all[1]]);
}
