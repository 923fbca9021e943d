//! A job is settled once: `ReplayGuard` remembers which were.
//!
//! The verifier keeps no state, so a proof that was accepted once is accepted again. Whoever pays for proofs hands every [`Verified`] to one guard that
//! outlives the process or the settlement round, and pays only when the guard says so. The key is (domain, job id) of the
//! proof's own context, so that it cannot be confused with another's.

use crate::{
    limits::Limits,
    statement::{Context, StatementDigest},
    verify::Verified,
};
use std::{
    collections::{btree_map::Entry, BTreeMap},
    sync::{Mutex, PoisonError},
};

/// What a job is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey {
    /// Application or chain.
    pub domain: [u8; 32],
    /// The job, unique within the domain.
    pub job_id: [u8; 32],
}

impl JobKey {
    /// The key of a context.
    #[must_use]
    pub fn of(context: &Context) -> Self {
        Self { domain: context.domain, job_id: context.job_id }
    }
}

/// Leave to settle a job, once: neither copied nor made in another way than by a guard.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the job is marked as settled: settle it"]
pub struct Admitted(Verified);

impl Admitted {
    /// The proof that was admitted.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.0
    }
}

/// Why a proof was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The job was settled before.
    #[error("the job was settled before, by the statement {first}")]
    Replayed {
        /// The statement that was admitted.
        first: StatementDigest,
    },
    /// The guard keeps no more jobs.
    #[error("the guard is full: {limit} jobs")]
    Full {
        /// How many it keeps.
        limit: usize,
    },
    /// The store behind the guard failed; nothing was admitted.
    #[error("the guard's store failed")]
    Store,
}

/// Admits every (domain, job id) once.
///
/// An implementation looks up and inserts in one atomic step: of any number of calls with one key, on any threads or
/// processes that share the store, exactly one is admitted.
pub trait ReplayGuard {
    /// Inserts the key with the statement's digest, unless it is there: then gives the digest that is.
    ///
    /// # Errors
    /// [`ReplayError`] when the key is there, or the store is full or failed.
    fn insert(&self, key: JobKey, statement: StatementDigest) -> Result<(), ReplayError>;

    /// Admits a verified proof, the first time.
    ///
    /// # Errors
    /// [`ReplayError`] the second time, or when the store is full or failed.
    fn admit(&self, verified: Verified) -> Result<Admitted, ReplayError> {
        self.insert(JobKey::of(verified.context()), verified.statement_digest())?;
        Ok(Admitted(verified))
    }
}

/// A guard in memory: it forgets with the process, and grows up to a limit.
#[derive(Debug)]
pub struct MemoryReplayGuard {
    limit: usize,
    settled: Mutex<BTreeMap<JobKey, StatementDigest>>,
}

impl Default for MemoryReplayGuard {
    fn default() -> Self {
        Self::with_limit(Limits::REPLAY_JOBS)
    }
}

impl MemoryReplayGuard {
    /// A guard that knows no job, and keeps at most [`Limits::REPLAY_JOBS`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A guard that refuses to know more jobs than this. It never forgets one to make room.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { limit, settled: Mutex::default() }
    }

    /// How many jobs were settled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no job was settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReplayGuard for MemoryReplayGuard {
    fn insert(&self, key: JobKey, statement: StatementDigest) -> Result<(), ReplayError> {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = settled.len() >= self.limit;
        match settled.entry(key) {
            Entry::Occupied(entry) => Err(ReplayError::Replayed { first: *entry.get() }),
            Entry::Vacant(_) if is_full => Err(ReplayError::Full { limit: self.limit }),
            Entry::Vacant(entry) => {
                entry.insert(statement);
                Ok(())
            }
        }
    }
}
