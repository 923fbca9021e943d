//! Publishing: the receipt is kept, then its result recorded.

use super::{shared::Shared, Outcome};
use crate::jobs::{
    blob::BlobError,
    job::{JobResult, LeasedJob},
    prove_job::ProvenJob,
    store::StoreError,
    time::UnixMillis,
};
use std::sync::mpsc::Receiver;

/// Most results in one transaction.
pub(super) const BATCH: usize = 32;

/// A proof that verifies, and its job.
pub(super) type Finished = (LeasedJob, ProvenJob);

/// Publishes until nothing more comes.
pub(super) fn run(shared: &Shared<'_>, finished: &Receiver<Finished>) {
    while let Ok(first) = finished.recv() {
        let batch: Vec<Finished> = std::iter::once(first).chain(finished.try_iter().take(BATCH - 1)).collect();
        publish(shared, &batch);
        batch.iter().for_each(|(job, _)| shared.forget(job.lease.job));
    }
}

fn publish(shared: &Shared<'_>, batch: &[Finished]) {
    let kept: Vec<&Finished> = batch.iter().filter(|finished| keep(shared, finished)).collect();
    let results: Vec<_> = kept.iter().map(|(job, proven)| (job.lease, proven.result)).collect();
    let answers = shared.insist("results cannot be recorded", || shared.store.complete(&results, UnixMillis::now()));
    match answers {
        Ok(answers) => kept.iter().zip(answers).for_each(|((job, proven), heard)| say(shared, job, proven, heard)),
        Err(error) => {
            tracing::error!(error = %error, "{} results are not recorded", results.len());
            kept.iter().for_each(|(job, _)| shared.release(&job.lease));
        }
    }
}

/// Keeps a receipt; gives its job back when that is not possible.
fn keep(shared: &Shared<'_>, (job, proven): &Finished) -> bool {
    let put = || match shared.blobs.put(&proven.receipt) {
        Ok(_) => Ok(()),
        Err(error @ BlobError::TooLong { .. }) => Err(StoreError::Blob(error)),
        Err(error) => Err(StoreError::Refused(error.to_string())),
    };
    match shared.insist("a receipt cannot be kept", put) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(job = job.lease.job.0, error = %error, "not published");
            shared.release(&job.lease);
            false
        }
    }
}

fn say(shared: &Shared<'_>, job: &LeasedJob, proven: &ProvenJob, heard: bool) {
    let (number, label, id) = (job.lease.job.0, &job.job.label, zkonnx_verifier::json::to_hex(&job.job.context.job_id));
    let JobResult { milliseconds, statement, .. } = &proven.result;
    if heard {
        shared.count(Outcome::Done);
        let (clamped, attempt) = (proven.clamped, job.lease.attempt);
        tracing::info!(job = number, job_id = id, label, attempt, milliseconds, %statement, clamped, "done");
    } else {
        shared.count(Outcome::Late);
        tracing::warn!(job = number, job_id = id, label, "too late: the lease is lost, and nothing was recorded");
    }
}
