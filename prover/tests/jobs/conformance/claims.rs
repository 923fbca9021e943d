//! Who gets which job.

use crate::{at, claim, job, model, submit, CLAIM, NOW};
use std::{collections::BTreeSet, sync::Mutex, thread::scope};
use zkonnx_prover::jobs::{Claim, JobStore, ModelRef, NewJob};

/// The ids of the jobs that a worker gets, one after another.
fn order(store: &dyn JobStore, worker: &Claim<'_>) -> Vec<u8> {
    let next = || claim(store, worker, NOW).map(|leased| leased.job.context.job_id[0]);
    std::iter::from_fn(next).collect()
}

pub(crate) fn claims_go_by_capability(store: &dyn JobStore) {
    let with = |id, change: &dyn Fn(&mut NewJob)| {
        let mut job = job(id);
        change(&mut job);
        job
    };
    submit(
        store,
        &[
            with(1, &|j| j.requirements.format = 2),
            with(2, &|j| j.requirements.suite = 2),
            with(3, &|j| j.requirements.k = 14),
            with(4, &|j| j.requirements.memory = 1 << 40),
            with(5, &|_| ()),
        ],
    );
    let small = Claim { max_k: 13, ..CLAIM };
    assert_eq!(order(store, &small), [5]);
    assert_eq!(order(store, &Claim { memory: u64::MAX, ..small }), [4]);
    assert_eq!(order(store, &Claim { max_k: 14, ..small }), [3]);
    assert_eq!(order(store, &Claim { format: 2, ..small }), [1]);
    assert_eq!(order(store, &Claim { suite: 2, ..small }), [2]);
}

pub(crate) fn priority_then_loaded_then_deadline_then_age(store: &dyn JobStore) {
    let new = |id, name, priority, deadline: Option<u64>| NewJob {
        model: model(name),
        priority,
        deadline: deadline.map(at),
        ..job(id)
    };
    let jobs = [
        new(1, 1, 0, None),
        new(2, 1, 0, Some(20)),
        new(3, 2, 0, Some(10)),
        new(4, 2, 0, None),
        new(5, 1, 1, None),
        new(6, 2, 1, None),
        new(7, 1, -1, Some(0)),
        new(8, 2, 0, None),
    ];
    submit(store, &jobs);
    let loaded = [model(2)];
    let mut orders = order(store, &Claim { loaded: &loaded, ..CLAIM });
    assert_eq!(orders, [6, 5, 3, 4, 8, 2, 1, 7]);
    for mut job in jobs {
        job.context.domain = [2; 32];
        submit(store, &[job]);
    }
    orders = order(store, &CLAIM);
    assert_eq!(orders, [5, 6, 3, 2, 1, 4, 8, 7]);
}

pub(crate) fn several_jobs_of_one_model_in_one_claim(store: &dyn JobStore) {
    let jobs: Vec<NewJob> = (1..=6).map(|id| NewJob { model: model(id % 2), ..job(id) }).collect();
    submit(store, &jobs);
    let ids = |limit| -> Vec<u8> {
        let leased = store.claim(&Claim { limit, ..CLAIM }, NOW).unwrap();
        leased.iter().map(|l| l.job.context.job_id[0]).collect()
    };
    assert_eq!(ids(2), [1, 3]);
    assert_eq!(ids(10), [2, 4, 6]);
    assert_eq!(ids(10), [5]);
    assert!(ids(10).is_empty());
}

pub(crate) fn every_job_is_claimed_once_by_racing_workers(store: &dyn JobStore) {
    let jobs: Vec<NewJob> = (0..60).map(|id| NewJob { model: model(id % 3), ..job(id) }).collect();
    let numbers: BTreeSet<_> = submit(store, &jobs).into_iter().collect();
    let claimed = Mutex::new(Vec::new());
    scope(|scope| {
        for name in ["one", "two", "three", "four"] {
            let claimed = &claimed;
            scope.spawn(move || {
                while let Some(leased) = claim(store, &Claim { worker: name, ..CLAIM }, NOW) {
                    claimed.lock().unwrap().push(leased.lease.job);
                }
            });
        }
    });
    let claimed = claimed.into_inner().unwrap();
    assert_eq!(claimed.len(), numbers.len());
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), numbers);
}

pub(crate) fn hidden_tensors_make_another_model(store: &dyn JobStore) {
    let hidden = ModelRef { hidden: vec!["x".into()], ..model(1) };
    submit(store, &[job(1), NewJob { model: hidden.clone(), ..job(2) }]);
    let leased = claim(store, &Claim { loaded: &[hidden], ..CLAIM }, NOW).unwrap();
    assert_eq!(leased.job.context.job_id, [2; 32]);
}
