//! The state machine in SQL that SQLite and PostgreSQL both speak; a driver runs it.
//!
//! Statements have parameters `?1, ?2, …`. Where the databases differ, a statement is written with the words of a [`Dialect`].

mod lease;
mod listing;
mod schema;
mod submit;
mod summary;
mod value;

pub use schema::{migrate, MIGRATIONS};
pub use value::{Row, Value};

use super::{
    job::{Job, JobNumber, JobResult, JobState, Lease, LeasedJob, NewJob, Recorded},
    stats::{Stats, Step, WorkerReport},
    store::{Claim, FailureKind, Filter, JobStore, StoreError, Submission},
    time::UnixMillis,
};
use std::{fmt::Debug, time::Duration};
use zkonnx_verifier::replay::JobKey;

/// The words in which databases differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// A column of numbers that the database assigns.
    pub number: &'static str,
    /// A column of bytes.
    pub bytes: &'static str,
    /// At the end of a query for rows that are changed next: they are locked, and those that others have locked are left out.
    pub skip_locked: &'static str,
    /// Keeps other programs from migrating until the transaction ends; empty when transactions exclude each other anyway.
    pub lock_schema: &'static str,
    /// A query that has a row when there is a schema.
    pub has_schema: &'static str,
}

/// A transaction that is open.
pub trait Transaction {
    /// Changes rows; gives how many.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    fn execute(&mut self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    /// Reads rows, or changes and gives them.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    fn query(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    fn batch(&mut self, sql: &str) -> Result<(), StoreError>;
}

/// Whether a transaction changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does not.
    Read,
    /// It does.
    Write,
}

/// The work of a transaction. It may run several times, after being rolled back.
pub type Work<'a> = &'a mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>;

/// A driver of a database.
pub trait Database: Debug + Send + Sync {
    /// Its words.
    fn dialect(&self) -> &Dialect;

    /// Runs work in a transaction, again when the connection is lost: the first may have been committed then.
    ///
    /// # Errors
    /// What the work, or the database, says; nothing is changed then.
    fn transaction(&self, access: Access, work: Work<'_>) -> Result<(), StoreError>;
}

/// A store in a database.
#[derive(Debug)]
pub struct SqlStore<D> {
    database: D,
}

impl<D: Database> SqlStore<D> {
    /// The store of a database, with its schema brought up to date.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when it was written by a newer program, or when the database cannot be used.
    pub fn new(database: D) -> Result<Self, StoreError> {
        Self::at_version(database, MIGRATIONS.len())
    }

    /// The same at an older version of the schema, as the program before had it.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn at_version(database: D, version: usize) -> Result<Self, StoreError> {
        migrate(&database, version)?;
        Ok(Self { database })
    }

    /// The driver.
    pub fn database(&self) -> &D {
        &self.database
    }

    fn run<T>(
        &self,
        access: Access,
        mut work: impl FnMut(&mut dyn Transaction, &Dialect) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut result = None;
        let dialect = self.database.dialect();
        self.database.transaction(access, &mut |transaction| {
            result = Some(work(transaction, dialect)?);
            Ok(())
        })?;
        result.ok_or(StoreError::Corrupt("a transaction that did not run"))
    }
}

impl<D: Database> JobStore for SqlStore<D> {
    fn submit(&self, jobs: &[NewJob], now: UnixMillis) -> Result<Vec<Submission>, StoreError> {
        self.run(Access::Write, |transaction, _| submit::submit(transaction, jobs, now))
    }

    fn claim(&self, claim: &Claim<'_>, now: UnixMillis) -> Result<Vec<LeasedJob>, StoreError> {
        let token = lease::token()?;
        self.run(Access::Write, |transaction, dialect| lease::claim(transaction, dialect, (claim, token), now))
    }

    fn heartbeat(
        &self,
        worker: &WorkerReport,
        leases: &[Lease],
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<JobNumber>, StoreError> {
        self.run(Access::Write, |transaction, _| lease::heartbeat(transaction, worker, leases, (until, now)))
    }

    fn release(&self, lease: &Lease, _now: UnixMillis) -> Result<(), StoreError> {
        self.run(Access::Write, |transaction, _| lease::release(transaction, lease))
    }

    fn complete(&self, results: &[(Lease, JobResult)], now: UnixMillis) -> Result<Vec<bool>, StoreError> {
        self.run(Access::Write, |transaction, _| {
            results.iter().map(|(lease, result)| lease::complete(transaction, lease, result, now)).collect()
        })
    }

    fn fail(&self, lease: &Lease, kind: FailureKind, reason: &str, now: UnixMillis) -> Result<JobState, StoreError> {
        self.run(Access::Write, |transaction, _| lease::fail(transaction, lease, (kind, reason), now))
    }

    fn retry(&self, jobs: &[JobNumber], _now: UnixMillis) -> Result<Vec<JobNumber>, StoreError> {
        self.run(Access::Write, |transaction, _| lease::retry(transaction, jobs))
    }

    fn cancel(&self, jobs: &[JobNumber], now: UnixMillis) -> Result<Vec<JobNumber>, StoreError> {
        self.run(Access::Write, |transaction, _| lease::cancel(transaction, jobs, now))
    }

    fn expire(&self, now: UnixMillis) -> Result<u64, StoreError> {
        self.run(Access::Write, |transaction, dialect| lease::expire(transaction, dialect, now))
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Job>, StoreError> {
        self.run(Access::Read, |transaction, _| listing::list(transaction, filter))
    }

    fn results(&self, filter: &Filter) -> Result<Vec<Recorded>, StoreError> {
        self.run(Access::Read, |transaction, _| listing::results(transaction, filter))
    }

    fn recorded(&self, key: &JobKey) -> Result<Option<Recorded>, StoreError> {
        let filter = Filter { domain: Some(key.domain), job_id: Some(key.job_id), limit: 1, ..Filter::default() };
        Ok(self.results(&filter)?.pop())
    }

    fn history(&self, since: UnixMillis, step: Duration) -> Result<Vec<Step>, StoreError> {
        self.run(Access::Read, |transaction, _| summary::history(transaction, since, step))
    }

    fn stats(&self, failures: u32, now: UnixMillis) -> Result<Stats, StoreError> {
        self.run(Access::Read, |transaction, _| summary::stats(transaction, failures, now))
    }
}
