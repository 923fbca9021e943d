//! The queue: one suite for every store, and what only one of them has.
#![cfg(feature = "jobs")]
#![allow(clippy::unwrap_used)]

mod commands;
mod conformance;
mod faults;
mod kills;
#[cfg(feature = "s3")]
mod objects;
#[cfg(feature = "postgres")]
mod postgres;
mod program;
#[cfg(feature = "postgres")]
mod server;
mod sqlite;
mod worker;

use std::time::Duration;
use zkonnx_prover::jobs::{
    BlobId, Claim, JobNumber, JobResult, JobStore, LeasedJob, ModelRef, NewJob, Requirements, Submission, UnixMillis,
};
use zkonnx_verifier::{
    metering::Metering,
    statement::{Context, ModelId, StatementDigest},
};

/// Some moment.
const NOW: UnixMillis = UnixMillis(1_900_000_000_000);

/// Seconds after [`NOW`].
fn at(seconds: u64) -> UnixMillis {
    NOW.after(Duration::from_secs(seconds))
}

fn model(name: u8) -> ModelRef {
    ModelRef { blob: BlobId([name; 32]), hidden: Vec::new() }
}

/// A job of the domain 1 that anybody can prove.
fn job(id: u8) -> NewJob {
    NewJob {
        context: Context { domain: [1; 32], job_id: [id; 32], ..Context::default() },
        model: model(1),
        requirements: Requirements { format: 1, suite: 1, k: 8, memory: 1 << 20 },
        input: BlobId([id; 32]),
        strict_range: false,
        label: format!("x.npz#{id}"),
        priority: 0,
        deadline: None,
    }
}

/// A claim that takes any one job of [`job`].
const CLAIM: Claim<'static> = Claim {
    worker: "one",
    format: 1,
    suite: 1,
    max_k: 16,
    memory: 1 << 30,
    loaded: &[],
    limit: 1,
    begin: 1,
    lease: Duration::from_secs(30),
};

fn result(id: u8) -> JobResult {
    let metering = Metering { macs: 1000, weights: 10, lookups: 20, rows: 256, columns: 30, proof_bytes: 4000 };
    JobResult {
        model_id: ModelId([7; 32]),
        statement: StatementDigest([id; 32]),
        receipt: BlobId([id; 32]),
        metering,
        milliseconds: 250,
    }
}

fn submit(store: &dyn JobStore, jobs: &[NewJob]) -> Vec<JobNumber> {
    let number = |submission: Submission| match submission {
        Submission::New(number) => number,
        other => panic!("{other:?}"),
    };
    store.submit(jobs, NOW).unwrap().into_iter().map(number).collect()
}

fn claim(store: &dyn JobStore, claim: &Claim<'_>, now: UnixMillis) -> Option<LeasedJob> {
    let mut jobs = store.claim(claim, now).unwrap();
    assert!(jobs.len() <= 1);
    jobs.pop()
}
