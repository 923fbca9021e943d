//! The schema and its versions.
//!
//! A migration only adds: programs of the version before go on with the jobs that they have leased.

use super::{Access, Database, Dialect, Transaction};
use crate::jobs::store::StoreError;

/// What leads from every version to the next; version 0 is an empty database.
pub const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE models (
        number {number},
        blob {bytes} NOT NULL,
        hidden TEXT NOT NULL,
        format BIGINT NOT NULL,
        suite BIGINT NOT NULL,
        k BIGINT NOT NULL,
        memory BIGINT NOT NULL,
        UNIQUE (blob, hidden, format, suite, k, memory)
    );
    CREATE TABLE jobs (
        number {number},
        domain {bytes} NOT NULL,
        job_id {bytes} NOT NULL,
        nonce {bytes} NOT NULL,
        requester {bytes} NOT NULL,
        payee {bytes} NOT NULL,
        not_after {bytes} NOT NULL,
        payload {bytes} NOT NULL,
        model BIGINT NOT NULL REFERENCES models (number),
        input {bytes} NOT NULL,
        strict_range BIGINT NOT NULL,
        label TEXT NOT NULL,
        priority BIGINT NOT NULL,
        deadline BIGINT NOT NULL,
        state TEXT NOT NULL,
        attempts BIGINT NOT NULL DEFAULT 0,
        expirations BIGINT NOT NULL DEFAULT 0,
        begun BIGINT NOT NULL DEFAULT 0,
        token {bytes},
        leased_until BIGINT,
        worker TEXT,
        reason TEXT,
        submitted BIGINT NOT NULL,
        started BIGINT,
        finished BIGINT,
        UNIQUE (domain, job_id)
    );
    CREATE INDEX jobs_claim ON jobs (model, priority DESC, deadline, number) WHERE state = 'queued';
    CREATE INDEX jobs_leases ON jobs (leased_until) WHERE state = 'leased';
    CREATE INDEX jobs_state ON jobs (state, number);
    CREATE TABLE results (
        domain {bytes} NOT NULL,
        job_id {bytes} NOT NULL,
        job BIGINT NOT NULL UNIQUE REFERENCES jobs (number),
        token {bytes} NOT NULL,
        model_id {bytes} NOT NULL,
        statement {bytes} NOT NULL,
        receipt {bytes} NOT NULL,
        macs BIGINT NOT NULL,
        weights BIGINT NOT NULL,
        lookups BIGINT NOT NULL,
        row_count BIGINT NOT NULL,
        column_count BIGINT NOT NULL,
        proof_bytes BIGINT NOT NULL,
        milliseconds BIGINT NOT NULL,
        worker TEXT NOT NULL,
        recorded BIGINT NOT NULL,
        PRIMARY KEY (domain, job_id)
    );
    CREATE INDEX results_recorded ON results (recorded);
    CREATE TABLE workers (
        name TEXT PRIMARY KEY,
        started BIGINT NOT NULL,
        seen BIGINT NOT NULL,
        memory BIGINT NOT NULL,
        concurrency BIGINT NOT NULL,
        done BIGINT NOT NULL,
        failed BIGINT NOT NULL
    );
    ",
    // The last failures, and the longest wait, without a look at every job.
    "
    CREATE INDEX jobs_failures ON jobs (finished) WHERE state IN ('failed', 'poisoned');
    CREATE INDEX jobs_submitted ON jobs (submitted) WHERE state = 'queued';
    ",
];

/// Brings the schema to a version, in one transaction.
///
/// # Errors
/// [`StoreError::Schema`] when it is newer, or when the database cannot be used.
pub fn migrate(database: &impl Database, version: usize) -> Result<(), StoreError> {
    let dialect = *database.dialect();
    let expected = i64::try_from(version).unwrap_or(i64::MAX);
    // Most stores are up to date: whoever only reads needs no more.
    let mut found = 0;
    database.transaction(Access::Read, &mut |transaction| {
        found = found_version(transaction, &dialect)?;
        Ok(())
    })?;
    if found == expected {
        return Ok(());
    }
    database.transaction(Access::Write, &mut |transaction| {
        if !dialect.lock_schema.is_empty() {
            transaction.query(dialect.lock_schema, &[])?;
        }
        let found = found_version(transaction, &dialect)?;
        if found > expected {
            return Err(StoreError::Schema { expected, actual: found });
        }
        if found == 0 {
            transaction.batch("CREATE TABLE schema_version (version BIGINT NOT NULL)")?;
            transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", &[0_i64.into()])?;
        }
        let done = usize::try_from(found).unwrap_or(0);
        for migration in MIGRATIONS.iter().take(version).skip(done) {
            transaction.batch(&migration.replace("{number}", dialect.number).replace("{bytes}", dialect.bytes))?;
        }
        transaction.execute("UPDATE schema_version SET version = ?1", &[expected.into()])?;
        Ok(())
    })
}

fn found_version(transaction: &mut dyn Transaction, dialect: &Dialect) -> Result<i64, StoreError> {
    if transaction.query(dialect.has_schema, &[])?.is_empty() {
        return Ok(0);
    }
    let mut rows = transaction.query("SELECT version FROM schema_version", &[])?;
    rows.pop().ok_or(StoreError::Corrupt("no schema version"))?.int()
}
