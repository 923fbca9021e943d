//! Numbers for metrics and dashboards.

use super::{listing::jobs, submit::state, value::Row, Transaction};
use crate::jobs::{
    stats::{Done, Stats, Step, WorkerSeen},
    store::{StoreError, FORGET_WORKERS},
    time::UnixMillis,
};
use std::time::Duration;

pub(super) fn stats(transaction: &mut dyn Transaction, failures: u32, now: UnixMillis) -> Result<Stats, StoreError> {
    let mut stats = Stats::default();
    for mut row in transaction.query("SELECT state, COUNT(*) FROM jobs GROUP BY state", &[])? {
        stats.jobs.set(state(&mut row)?, row.number()?);
    }
    let oldest = transaction.query("SELECT MIN(submitted) FROM jobs WHERE state = 'queued'", &[])?;
    stats.oldest_queued = one(oldest)?.optional_int()?.map(UnixMillis);
    let late = "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'leased') AND deadline < ?1";
    stats.late = one(transaction.query(late, &[now.0.into()])?)?.number()?;
    let expirations = "SELECT CAST(COALESCE(SUM(expirations), 0) AS BIGINT) FROM jobs";
    stats.expirations = one(transaction.query(expirations, &[])?)?.number()?;
    stats.last_minute = done(transaction, now.before(Duration::from_secs(60)))?;
    stats.last_hour = done(transaction, now.before(Duration::from_secs(3600)))?;
    stats.total = done(transaction, UnixMillis(i64::MIN))?;
    let workers = transaction.query(
        "SELECT name, started, seen, memory, concurrency, done, failed,
            (SELECT COUNT(*) FROM jobs WHERE state = 'leased' AND worker = name)
        FROM workers WHERE seen >= ?1 ORDER BY seen DESC, name",
        &[now.before(FORGET_WORKERS).0.into()],
    )?;
    stats.workers = workers.into_iter().map(worker).collect::<Result<_, _>>()?;
    let last = "WHERE j.state IN ('failed', 'poisoned') ORDER BY j.finished DESC, j.number DESC LIMIT ?1";
    stats.failures = jobs(transaction, last, &[failures.into()])?;
    Ok(stats)
}

pub(super) fn history(
    transaction: &mut dyn Transaction,
    since: UnixMillis,
    step: Duration,
) -> Result<Vec<Step>, StoreError> {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let rows = transaction.query(
        "SELECT (recorded - ?1) / ?2, COUNT(*), CAST(SUM(milliseconds) AS BIGINT), CAST(SUM(proof_bytes) AS BIGINT),
            CAST(SUM(macs) AS BIGINT)
        FROM results WHERE recorded >= ?1 GROUP BY 1 ORDER BY 1",
        &[since.0.into(), step.into()],
    )?;
    let one = |mut row: Row| {
        let begins = UnixMillis(row.int()?.saturating_mul(step).saturating_add(since.0));
        let (proofs, milliseconds) = (row.number()?, row.number()?);
        Ok(Step { begins, done: Done { proofs, milliseconds, proof_bytes: row.number()?, macs: row.number()? } })
    };
    rows.into_iter().map(one).collect()
}

fn one(rows: Vec<Row>) -> Result<Row, StoreError> {
    rows.into_iter().next().ok_or(StoreError::Corrupt("a sum without a row"))
}

/// What was recorded since a moment.
fn done(transaction: &mut dyn Transaction, since: UnixMillis) -> Result<Done, StoreError> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(milliseconds), 0) AS BIGINT),
        CAST(COALESCE(SUM(proof_bytes), 0) AS BIGINT), CAST(COALESCE(SUM(macs), 0) AS BIGINT)
        FROM results WHERE recorded >= ?1";
    let mut row = one(transaction.query(sql, &[since.0.into()])?)?;
    Ok(Done { proofs: row.number()?, milliseconds: row.number()?, proof_bytes: row.number()?, macs: row.number()? })
}

fn worker(mut row: Row) -> Result<WorkerSeen, StoreError> {
    Ok(WorkerSeen {
        name: row.text()?,
        started: UnixMillis(row.int()?),
        seen: UnixMillis(row.int()?),
        memory: row.number()?,
        concurrency: row.number()?,
        done: row.number()?,
        failed: row.number()?,
        leased: row.number()?,
    })
}
