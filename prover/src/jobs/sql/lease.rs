//! Transitions: claims, heartbeats, and all ways to end.
//!
//! A row keeps its token when the holder of the lease ends it, and loses it when somebody else does. So a holder whose connection broke
//! can ask again, and learns whether it was heard.

use super::{
    listing::{new_job, NEW_JOB},
    submit::state,
    value::Value,
    Dialect, Transaction,
};
use crate::jobs::{
    job::{JobNumber, JobResult, JobState, Lease, LeaseToken, LeasedJob},
    stats::WorkerReport,
    store::{Claim, FailureKind, StoreError, FORGET_WORKERS, MAX_ATTEMPTS, MAX_EXPIRATIONS},
    time::UnixMillis,
};
use std::cmp::Reverse;

/// A fresh token.
pub(super) fn token() -> Result<LeaseToken, StoreError> {
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(|e| StoreError::Randomness(e.to_string()))?;
    Ok(LeaseToken(token))
}

fn held(lease: &Lease) -> [Value; 2] {
    [lease.job.0.into(), lease.token.0.as_slice().into()]
}

/// Why a lease did not count: where its job stands.
fn lost(transaction: &mut dyn Transaction, job: JobNumber) -> Result<StoreError, StoreError> {
    let mut rows = transaction.query("SELECT state FROM jobs WHERE number = ?1", &[job.0.into()])?;
    let Some(mut row) = rows.pop() else { return Ok(StoreError::NoJob(job)) };
    Ok(StoreError::LeaseLost { job, state: state(&mut row)? })
}

/// Where the job stands when this lease was ended by its holder.
fn ended(transaction: &mut dyn Transaction, lease: &Lease) -> Result<Option<JobState>, StoreError> {
    let sql = "SELECT state FROM jobs WHERE number = ?1 AND token = ?2 AND state <> 'leased'";
    transaction.query(sql, &held(lease))?.pop().map(|mut row| state(&mut row)).transpose()
}

pub(super) fn expire(transaction: &mut dyn Transaction, dialect: &Dialect, now: UnixMillis) -> Result<u64, StoreError> {
    let sql = format!(
        "WITH ended AS MATERIALIZED (SELECT number FROM jobs WHERE state = 'leased' AND leased_until < ?1 {})
        UPDATE jobs SET
            state = CASE WHEN expirations + begun >= ?2 THEN 'poisoned' ELSE 'queued' END,
            finished = CASE WHEN expirations + begun >= ?2 THEN CAST(?1 AS BIGINT) ELSE NULL END,
            reason = CASE WHEN expirations + begun >= ?2 THEN ?3 ELSE reason END,
            expirations = expirations + begun, token = NULL, leased_until = NULL
        WHERE number IN (SELECT number FROM ended)",
        dialect.skip_locked
    );
    let reason = format!("the worker vanished {MAX_EXPIRATIONS} times: its lease expired without a word");
    transaction.execute(&sql, &[now.0.into(), MAX_EXPIRATIONS.into(), reason.as_str().into()])
}

/// The first queued job of a model that can be claimed.
struct Head {
    model: i64,
    priority: i64,
    loaded: bool,
    deadline: i64,
    number: i64,
}

fn heads(transaction: &mut dyn Transaction, claim: &Claim<'_>) -> Result<Vec<Head>, StoreError> {
    let rows = transaction.query(
        "SELECT m.number, j.priority, j.deadline, j.number, m.blob, m.hidden FROM models m JOIN jobs j ON j.number = (
            SELECT q.number FROM jobs q WHERE q.model = m.number AND q.state = 'queued'
            ORDER BY q.priority DESC, q.deadline, q.number LIMIT 1)
        WHERE m.format = ?1 AND m.suite = ?2 AND m.k <= ?3 AND m.memory <= ?4",
        &[
            u32::from(claim.format).into(),
            u32::from(claim.suite).into(),
            u32::from(claim.max_k).into(),
            claim.memory.into(),
        ],
    )?;
    let head = |mut row: super::Row| {
        let (model, priority, deadline, number) = (row.int()?, row.int()?, row.int()?, row.int()?);
        let (blob, hidden) = (row.bytes::<32>()?, row.text()?);
        let loaded = claim.loaded.iter().any(|m| {
            m.blob.0 == blob && serde_json::from_str::<Vec<String>>(&hidden).is_ok_and(|hidden| m.hidden == hidden)
        });
        Ok(Head { model, priority, loaded, deadline, number })
    };
    rows.into_iter().map(head).collect()
}

pub(super) fn claim(
    transaction: &mut dyn Transaction,
    dialect: &Dialect,
    (claim, token): (&Claim<'_>, LeaseToken),
    now: UnixMillis,
) -> Result<Vec<LeasedJob>, StoreError> {
    // The transaction may run for the second time, with the first committed.
    let jobs = leased(transaction, token)?;
    if !jobs.is_empty() {
        return Ok(jobs);
    }
    expire(transaction, dialect, now)?;
    let mut heads = heads(transaction, claim)?;
    heads.sort_by_key(|h| (Reverse(h.priority), Reverse(h.loaded), h.deadline, h.number));
    // Materialised, so that it locks once and no more than it may.
    let sql = format!(
        "WITH next AS MATERIALIZED (
            SELECT number FROM jobs WHERE model = ?1 AND state = 'queued' AND priority >= ?2
            ORDER BY priority DESC, deadline, number LIMIT ?3 {})
        UPDATE jobs SET state = 'leased', token = ?4, leased_until = ?5, worker = ?6, started = ?7, begun = 0
        WHERE number IN (SELECT number FROM next)",
        dialect.skip_locked
    );
    for head in heads {
        let values = [
            head.model.into(),
            head.priority.into(),
            claim.limit.into(),
            token.0.as_slice().into(),
            now.after(claim.lease).0.into(),
            claim.worker.into(),
            now.0.into(),
        ];
        // None when others have taken them in the meantime.
        if transaction.execute(&sql, &values)? > 0 {
            let jobs = leased(transaction, token)?;
            for job in jobs.iter().take(claim.begin as usize) {
                transaction.execute("UPDATE jobs SET begun = 1 WHERE number = ?1", &[job.lease.job.0.into()])?;
            }
            return Ok(jobs);
        }
    }
    Ok(Vec::new())
}

/// The jobs of one claim, in their order.
fn leased(transaction: &mut dyn Transaction, token: LeaseToken) -> Result<Vec<LeasedJob>, StoreError> {
    let sql = format!(
        "SELECT j.number, j.leased_until, j.attempts, {NEW_JOB} FROM jobs j JOIN models m ON m.number = j.model
        WHERE j.token = ?1 AND j.state = 'leased' ORDER BY j.priority DESC, j.deadline, j.number"
    );
    let job = |mut row: super::Row| {
        let lease = Lease {
            job: JobNumber(row.int()?),
            token,
            until: UnixMillis(row.int()?),
            attempt: row.number::<u32>()?.saturating_add(1),
        };
        Ok(LeasedJob { lease, job: new_job(&mut row)? })
    };
    transaction.query(&sql, &[token.0.as_slice().into()])?.into_iter().map(job).collect()
}

pub(super) fn heartbeat(
    transaction: &mut dyn Transaction,
    worker: &WorkerReport,
    leases: &[Lease],
    (until, now): (UnixMillis, UnixMillis),
) -> Result<Vec<JobNumber>, StoreError> {
    transaction.execute(
        "INSERT INTO workers (name, started, seen, memory, concurrency, done, failed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (name) DO UPDATE SET started = excluded.started, seen = excluded.seen, memory = excluded.memory,
            concurrency = excluded.concurrency, done = excluded.done, failed = excluded.failed",
        &[
            worker.name.as_str().into(),
            worker.started.0.into(),
            now.0.into(),
            worker.memory.into(),
            worker.concurrency.into(),
            worker.done.into(),
            worker.failed.into(),
        ],
    )?;
    transaction.execute("DELETE FROM workers WHERE seen < ?1", &[now.before(FORGET_WORKERS).0.into()])?;
    let mut lost = Vec::new();
    for lease in leases {
        let [job, token] = held(lease);
        let sql = "UPDATE jobs SET leased_until = ?3 WHERE number = ?1 AND token = ?2 AND state = 'leased'";
        if transaction.execute(sql, &[job, token, until.0.into()])? == 0 {
            lost.push(lease.job);
        }
    }
    Ok(lost)
}

pub(super) fn release(transaction: &mut dyn Transaction, lease: &Lease) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', leased_until = NULL
        WHERE number = ?1 AND token = ?2 AND state = 'leased'";
    if transaction.execute(sql, &held(lease))? == 1 || ended(transaction, lease)? == Some(JobState::Queued) {
        return Ok(());
    }
    Err(lost(transaction, lease.job)?)
}

pub(super) fn complete(
    transaction: &mut dyn Transaction,
    lease: &Lease,
    result: &JobResult,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let [job, token] = held(lease);
    let sql = "UPDATE jobs SET state = 'done', leased_until = NULL, reason = NULL, finished = ?3
        WHERE number = ?1 AND token = ?2 AND state = 'leased'";
    if transaction.execute(sql, &[job.clone(), token.clone(), now.0.into()])? == 0 {
        return Ok(ended(transaction, lease)? == Some(JobState::Done));
    }
    let metering = &result.metering;
    let recorded = transaction.execute(
        "INSERT INTO results (domain, job_id, job, token, model_id, statement, receipt, macs, weights, lookups, row_count,
            column_count, proof_bytes, milliseconds, worker, recorded)
        SELECT domain, job_id, number, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, worker, ?13
        FROM jobs WHERE number = ?1
        ON CONFLICT DO NOTHING",
        &[
            job,
            token,
            result.model_id.0.as_slice().into(),
            result.statement.0.as_slice().into(),
            result.receipt.0.as_slice().into(),
            metering.macs.into(),
            metering.weights.into(),
            metering.lookups.into(),
            metering.rows.into(),
            metering.columns.into(),
            metering.proof_bytes.into(),
            result.milliseconds.into(),
            now.0.into(),
        ],
    )?;
    match recorded {
        1 => Ok(true),
        _ => Err(StoreError::Recorded(lease.job)),
    }
}

pub(super) fn fail(
    transaction: &mut dyn Transaction,
    lease: &Lease,
    (kind, reason): (FailureKind, &str),
    now: UnixMillis,
) -> Result<JobState, StoreError> {
    let sql = "SELECT attempts FROM jobs WHERE number = ?1 AND token = ?2 AND state = 'leased'";
    let Some(mut row) = transaction.query(sql, &held(lease))?.pop() else {
        return match ended(transaction, lease)? {
            Some(state) if state != JobState::Done => Ok(state),
            _ => Err(lost(transaction, lease.job)?),
        };
    };
    let attempts = row.number::<u32>()?.saturating_add(1);
    let (state, finished) = match kind {
        FailureKind::Deterministic => (JobState::Failed, Some(now.0)),
        FailureKind::Transient if attempts >= MAX_ATTEMPTS => (JobState::Poisoned, Some(now.0)),
        FailureKind::Transient => (JobState::Queued, None),
    };
    let [job, token] = held(lease);
    let values = [job, token, state.name().into(), attempts.into(), reason.into(), finished.into()];
    let sql = "UPDATE jobs SET state = ?3, attempts = ?4, reason = ?5, finished = ?6, leased_until = NULL
        WHERE number = ?1 AND token = ?2 AND state = 'leased'";
    if transaction.execute(sql, &values)? == 0 {
        return Err(lost(transaction, lease.job)?);
    }
    Ok(state)
}

pub(super) fn retry(transaction: &mut dyn Transaction, jobs: &[JobNumber]) -> Result<Vec<JobNumber>, StoreError> {
    let sql = "UPDATE jobs SET state = 'queued', attempts = 0, expirations = 0, token = NULL, leased_until = NULL,
            finished = NULL
        WHERE number = ?1 AND state IN ('failed', 'poisoned', 'cancelled')";
    changed(jobs, |job| transaction.execute(sql, &[job.0.into()]))
}

pub(super) fn cancel(
    transaction: &mut dyn Transaction,
    jobs: &[JobNumber],
    now: UnixMillis,
) -> Result<Vec<JobNumber>, StoreError> {
    let sql = "UPDATE jobs SET state = 'cancelled', token = NULL, leased_until = NULL, finished = ?2
        WHERE number = ?1 AND state IN ('queued', 'leased')";
    changed(jobs, |job| transaction.execute(sql, &[job.0.into(), now.0.into()]))
}

fn changed(
    jobs: &[JobNumber],
    mut change: impl FnMut(JobNumber) -> Result<u64, StoreError>,
) -> Result<Vec<JobNumber>, StoreError> {
    let mut done = Vec::new();
    for job in jobs {
        if change(*job)? > 0 {
            done.push(*job);
        }
    }
    Ok(done)
}
