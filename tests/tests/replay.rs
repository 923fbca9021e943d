//! Replays: a proof counts for one context, and a job is settled once.

use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Barrier,
};
use zkonnx_prover::prove::prove;
use zkonnx_tests::{
    graphs::{self, GraphBuilder},
    setup::Sides,
};
use zkonnx_verifier::{
    error::{Step, VerifyError},
    replay::{JobKey, MemoryReplayGuard, ReplayError, ReplayGuard},
    statement::{Context, Statement},
    verify::{verify, Verified},
};

fn sides() -> Sides {
    Sides::new(graphs::mlp((10, 6, 3), 6, 4, 1))
}

fn proven(sides: &Sides, context: Context) -> (Statement, Vec<u8>) {
    let inputs = GraphBuilder::random_inputs(&sides.prover.model, 1);
    prove(&sides.prover, &inputs, context).expect("a proof")
}

fn verified(sides: &Sides, context: Context) -> Verified {
    let (statement, proof) = proven(sides, context);
    verify(&sides.handle, &statement, &proof, None).expect("an honest proof")
}

const CONTEXT: Context =
    Context { domain: [1; 32], job_id: [2; 32], nonce: 3, requester: [4; 32], payee: [5; 32], not_after: 1000 };

#[test]
fn rejects_a_proof_in_any_other_context() {
    let sides = sides();
    let (statement, proof) = proven(&sides, CONTEXT);
    let accepted = verify(&sides.handle, &statement, &proof, Some(1000)).expect("an honest proof");
    assert_eq!(accepted.context(), &CONTEXT);
    let edits: [fn(&mut Context); 7] = [
        |c| c.domain = [9; 32],
        |c| c.job_id[31] ^= 1,
        |c| c.nonce = 4,
        |c| c.requester[0] ^= 0x80,
        |c| c.payee = [6; 32],
        |c| c.not_after = 2000,
        |c| c.not_after = 0,
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut replayed = statement.clone();
        edit(&mut replayed.context);
        let verdict = verify(&sides.handle, &replayed, &proof, Some(1000));
        assert!(matches!(verdict, Err(VerifyError::Rejected { step: Step::Linear, .. })), "edit {i}: {verdict:?}");
    }
    let late = verify(&sides.handle, &statement, &proof, Some(1001));
    assert_eq!(late, Err(VerifyError::Expired { not_after: 1000, now: 1001 }));
}

#[test]
fn a_job_is_admitted_once() {
    let sides = sides();
    let guard = MemoryReplayGuard::new();
    let first = verified(&sides, CONTEXT);
    let admitted = guard.admit(first).expect("the first time");
    assert_eq!(admitted.verified(), &first);
    let replayed = Err(ReplayError::Replayed { first: first.statement_digest() });
    assert_eq!(guard.admit(first), replayed);
    // Another proof for the same job, even to another payee with another nonce.
    let second = verified(&sides, Context { payee: [7; 32], nonce: 9, ..CONTEXT });
    assert_eq!(guard.admit(second), replayed);
    // Another job, and the same job of another domain.
    for context in [Context { job_id: [8; 32], ..CONTEXT }, Context { domain: [8; 32], ..CONTEXT }] {
        let other = verified(&sides, context);
        assert!(guard.admit(other).is_ok() && guard.admit(other).is_err());
    }
    assert_eq!(guard.len(), 3);
}

#[test]
fn a_full_guard_admits_nothing_and_forgets_nothing() {
    let sides = sides();
    let guard = MemoryReplayGuard::with_limit(1);
    assert!(guard.is_empty());
    let (first, second) = (verified(&sides, CONTEXT), verified(&sides, Context { job_id: [8; 32], ..CONTEXT }));
    assert!(guard.admit(first).is_ok());
    assert_eq!(guard.admit(second), Err(ReplayError::Full { limit: 1 }));
    assert_eq!(guard.admit(first), Err(ReplayError::Replayed { first: first.statement_digest() }));
    assert_eq!(guard.len(), 1);
}

#[test]
fn of_many_threads_exactly_one_wins_every_job() {
    const THREADS: usize = 16;
    const JOBS: u8 = 200;
    let sides = sides();
    let digest = verified(&sides, CONTEXT).statement_digest();
    let shared = verified(&sides, CONTEXT);
    let guard = MemoryReplayGuard::new();
    let barrier = Barrier::new(THREADS);
    let wins: Vec<AtomicUsize> = (0..JOBS).map(|_| AtomicUsize::new(0)).collect();
    let admissions = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (guard, barrier, wins, admissions) = (&guard, &barrier, &wins, &admissions);
            scope.spawn(move || {
                barrier.wait();
                admissions.fetch_add(usize::from(guard.admit(shared).is_ok()), Ordering::Relaxed);
                // Every thread in an order of its own.
                for i in 0..JOBS {
                    let job = u8::try_from((usize::from(i) * 7 + thread * 31) % usize::from(JOBS)).expect("a job");
                    let key = JobKey { domain: [0; 32], job_id: [job; 32] };
                    let won = guard.insert(key, digest).is_ok();
                    wins[usize::from(job)].fetch_add(usize::from(won), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admissions.into_inner(), 1);
    assert!(wins.into_iter().all(|w| w.into_inner() == 1));
    assert_eq!(guard.len(), usize::from(JOBS) + 1);
}
