//! Submission.

use crate::{claim, job, submit, CLAIM, NOW};
use zkonnx_prover::jobs::{Filter, JobState, JobStore, NewJob, Submission, UnixMillis};

pub(crate) fn the_same_job_again_is_the_same_job(store: &dyn JobStore) {
    let numbers = submit(store, &[job(1), job(2)]);
    assert!(numbers[0] < numbers[1]);
    // What is not proven may differ.
    let again = NewJob { label: "renamed".into(), priority: 5, deadline: Some(NOW), ..job(1) };
    let answers = store.submit(&[job(3), again, job(3)], NOW).unwrap();
    let Submission::New(third) = answers[0] else { panic!("{answers:?}") };
    assert_eq!(answers[1], Submission::Known(numbers[0], JobState::Queued));
    assert_eq!(answers[2], Submission::Known(third, JobState::Queued));
    let jobs = store.list(&Filter::default()).unwrap();
    assert_eq!(jobs.iter().map(|j| j.number).collect::<Vec<_>>(), [third, numbers[1], numbers[0]]);
    assert_eq!((jobs[2].label.as_str(), jobs[2].priority, jobs[2].deadline), ("x.npz#1", 0, None));
}

pub(crate) fn another_payload_under_the_same_key_is_refused(store: &dyn JobStore) {
    let numbers = submit(store, &[job(1)]);
    let mut others = vec![job(1); 8];
    others[0].input = job(2).input;
    others[1].model.blob = job(2).input;
    others[2].model.hidden = vec!["x".into()];
    others[3].strict_range = true;
    others[4].context.nonce = 1;
    others[5].context.payee = [1; 32];
    others[6].context.requester = [1; 32];
    others[7].context.not_after = 1;
    let answers = store.submit(&others, NOW).unwrap();
    assert_eq!(answers, [Submission::Conflict(numbers[0]); 8]);
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 1);
    // In another domain it is another job.
    let mut other = job(1);
    other.context.domain = [2; 32];
    submit(store, &[other]);
}

pub(crate) fn what_is_submitted_is_what_is_claimed(store: &dyn JobStore) {
    let mut new = job(9);
    new.context.nonce = u64::MAX;
    new.context.not_after = u64::MAX - 1;
    new.context.requester = [3; 32];
    new.context.payee = [4; 32];
    new.model.hidden = vec!["a \"name\"".into(), "b\u{e9}".into()];
    new.strict_range = true;
    new.label = "l'\u{e9}t\u{e9}; DROP TABLE jobs; %_".into();
    new.priority = i32::MIN;
    new.deadline = Some(UnixMillis(-5));
    let number = submit(store, std::slice::from_ref(&new))[0];
    let leased = claim(store, &CLAIM, NOW).unwrap();
    assert_eq!(leased.job, new);
    assert_eq!((leased.lease.job, leased.lease.attempt), (number, 1));
    assert_eq!(leased.lease.until, NOW.after(CLAIM.lease));
    let listed = store.list(&Filter::default()).unwrap().pop().unwrap();
    assert_eq!((listed.state, listed.worker.as_deref()), (JobState::Leased, Some("one")));
    assert_eq!((&listed.model, &listed.label, listed.priority), (&new.model, &new.label, new.priority));
    assert_eq!((listed.deadline, listed.submitted, listed.started), (new.deadline, NOW, Some(NOW)));
}
