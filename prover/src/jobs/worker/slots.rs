//! Slots: where jobs are proven.

use super::{publisher::Finished, shared::Shared, Outcome};
use crate::jobs::{
    job::LeasedJob,
    prove_job::{prove_job, Blame, JobError, ProvenJob},
    store::{FailureKind, StoreError},
    time::UnixMillis,
};
use std::{
    sync::{
        mpsc::{Receiver, SyncSender},
        Mutex, PoisonError,
    },
    time::{Duration, Instant},
};
use zkonnx_verifier::json::to_hex;

/// After trouble of this machine, wait so long before the next job.
const PAUSE: Duration = Duration::from_millis(500);

/// Proves jobs on one pool until there are no more.
pub(super) fn run(
    shared: &Shared<'_>,
    pool: &rayon::ThreadPool,
    waiting: &Mutex<Receiver<LeasedJob>>,
    proven: &SyncSender<Finished>,
) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let seconds = run_one(shared, pool, job, proven);
        shared.left(seconds);
    }
}

/// Proves a job; gives the seconds that it took.
fn run_one(
    shared: &Shared<'_>,
    pool: &rayon::ThreadPool,
    job: LeasedJob,
    proven: &SyncSender<Finished>,
) -> Option<f64> {
    let number = job.lease.job;
    if shared.stopping() {
        shared.release(&job.lease);
        return None;
    }
    if shared.is_lost(number) {
        shared.forget(number);
        return None;
    }
    let id = to_hex(&job.job.context.job_id);
    let span = tracing::info_span!("job", job = number.0, job_id = id, label = job.job.label);
    let _entered = span.enter();
    let started = Instant::now();
    match prove(shared, pool, &job) {
        Ok(result) => {
            shared.fine();
            if let Some(meter) = &shared.config.meter {
                meter.proven(started.elapsed(), &result.result);
            }
            // The publisher lives as long as there are slots.
            if proven.send((job, result)).is_err() {
                shared.forget(number);
            }
            return Some(started.elapsed().as_secs_f64());
        }
        Err(error) if error.blame() == Blame::Machine => {
            shared.machine_trouble(&error);
            shared.release(&job.lease);
            shared.sleep(PAUSE);
        }
        Err(error) => fail(shared, &job, &error),
    }
    None
}

fn prove(shared: &Shared<'_>, pool: &rayon::ThreadPool, job: &LeasedJob) -> Result<ProvenJob, JobError> {
    let memory = job.job.requirements.memory;
    // Spans of the prover belong to the job, whatever thread they are on.
    let span = tracing::Span::current();
    shared.with_memory(memory, || {
        pool.install(|| {
            let _entered = span.enter();
            let model = shared.model(&job.job.model)?;
            let limit = shared.config.memory;
            if model.memory > memory && model.memory > limit {
                return Err(JobError::Memory { actual: model.memory, limit });
            }
            prove_job(&model, &job.job, shared.blobs, UnixMillis::now())
        })
    })
}

fn fail(shared: &Shared<'_>, job: &LeasedJob, error: &JobError) {
    let kind = match error.blame() {
        Blame::Job => FailureKind::Deterministic,
        Blame::Attempt | Blame::Machine => FailureKind::Transient,
    };
    let reason = error.to_string();
    let answer = shared
        .insist("a failure cannot be recorded", || shared.store.fail(&job.lease, kind, &reason, UnixMillis::now()));
    shared.forget(job.lease.job);
    match answer {
        Ok(state) => {
            shared.count(Outcome::Failed);
            tracing::warn!(attempt = job.lease.attempt, %state, reason, "failed");
        }
        Err(StoreError::LeaseLost { .. }) => {
            shared.count(Outcome::Late);
            tracing::warn!(reason, "failed, and too late: the lease is lost");
        }
        Err(error) => tracing::error!(error = %error, "the failure is not recorded"),
    }
}
