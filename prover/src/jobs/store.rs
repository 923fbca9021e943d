//! The state machine of jobs.

use super::{
    job::{Job, JobNumber, JobResult, JobState, Lease, LeasedJob, ModelRef, NewJob, Recorded},
    stats::{Stats, Step, WorkerReport},
    time::UnixMillis,
};
use std::{fmt::Debug, time::Duration};
use zkonnx_verifier::replay::JobKey;

/// Attempts that fail before a job is poisoned.
pub const MAX_ATTEMPTS: u32 = 3;
/// Leases that expire after the job was begun before it is poisoned: its worker vanished every time, and it may be the reason.
pub const MAX_EXPIRATIONS: u32 = 10;
/// How long a lease is.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker says that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Workers that were not seen for so long are forgotten.
pub const FORGET_WORKERS: Duration = Duration::from_secs(24 * 3600);

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The lease is over: the job was given to another worker, or ended.
    #[error("the lease of job {job} is lost: it is {state} now")]
    LeaseLost {
        /// The job.
        job: JobNumber,
        /// Where it stands.
        state: JobState,
    },
    /// A job with this domain and job id has been recorded.
    #[error("job {0} was recorded before")]
    Recorded(JobNumber),
    /// There is no such job.
    #[error("there is no job {0}")]
    NoJob(JobNumber),
    /// The store was written by a newer program.
    #[error("the store has schema version {actual}, this program knows {expected}: upgrade it")]
    Schema {
        /// The newest known.
        expected: i64,
        /// The store's.
        actual: i64,
    },
    /// A row that this program has not written.
    #[error("the store holds something else than expected: {0}")]
    Corrupt(&'static str),
    /// The address of a store that is none.
    #[error("'{0}' is no store: give a file, sqlite:FILE or postgres://…")]
    Address(String),
    /// The database cannot be reached, or is too busy. Nothing is known about the last change.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The database refuses, a full disk for example.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// An artefact that cannot be kept.
    #[error(transparent)]
    Blob(#[from] super::blob::BlobError),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}

/// What became of a submitted job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// It is queued.
    New(JobNumber),
    /// It was submitted before.
    Known(JobNumber, JobState),
    /// Another job has its domain and job id: it is refused.
    Conflict(JobNumber),
}

/// What a worker can do.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Its name.
    pub worker: &'a str,
    /// Version of statement, proof and model formats that it knows.
    pub format: u16,
    /// Proof system and transcript that it knows.
    pub suite: u16,
    /// Most rows, `2^k`.
    pub max_k: u8,
    /// Bytes that it has left.
    pub memory: u64,
    /// Models that it has loaded.
    pub loaded: &'a [ModelRef],
    /// Most jobs; they are all of one model.
    pub limit: u32,
    /// How many of them are begun at once. Should the worker vanish, the others are not suspected.
    pub begin: u32,
    /// How long the lease is.
    pub lease: Duration,
}

/// Whether another attempt could end otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It would not: the job is failed.
    Deterministic,
    /// It could: the job is queued again, and poisoned after [`MAX_ATTEMPTS`].
    Transient,
}

/// Which jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// In one of these states; of all when empty.
    pub states: Vec<JobState>,
    /// With this in their label, in upper or lower case.
    pub label: Option<String>,
    /// In this domain.
    pub domain: Option<[u8; 32]>,
    /// With this job id.
    pub job_id: Option<[u8; 32]>,
    /// With this number.
    pub numbers: Vec<JobNumber>,
    /// Submitted before this one: for the next page.
    pub before: Option<JobNumber>,
    /// Most jobs.
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            label: None,
            domain: None,
            job_id: None,
            numbers: Vec::new(),
            before: None,
            limit: 100,
        }
    }
}

/// Jobs and what became of them, over the death of any process.
///
/// Every call is one transaction: it has happened, or it has not. `now` is the caller's time.
pub trait JobStore: Debug + Send + Sync {
    /// Queues jobs; one answer for each. The same job again is the same job.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used: no job is queued then.
    fn submit(&self, jobs: &[NewJob], now: UnixMillis) -> Result<Vec<Submission>, StoreError>;

    /// Leases jobs of one model that the worker can prove. The order: priority, then models that are loaded, then deadline, then age.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn claim(&self, claim: &Claim<'_>, now: UnixMillis) -> Result<Vec<LeasedJob>, StoreError>;

    /// Makes leases longer, and notes that the worker lives; gives the leases that are lost.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn heartbeat(
        &self,
        worker: &WorkerReport,
        leases: &[Lease],
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<JobNumber>, StoreError>;

    /// Gives a job back; this is no attempt.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store cannot be used.
    fn release(&self, lease: &Lease, now: UnixMillis) -> Result<(), StoreError>;

    /// Records results, metering and the replay key (domain, job id) in one transaction. One answer for each: `false` when its lease is lost.
    /// The holder of a lease may ask again when it does not know whether it was heard.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used: nothing is recorded then.
    fn complete(&self, results: &[(Lease, JobResult)], now: UnixMillis) -> Result<Vec<bool>, StoreError>;

    /// Notes that an attempt failed; gives the state that the job has now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`], or when the store cannot be used.
    fn fail(&self, lease: &Lease, kind: FailureKind, reason: &str, now: UnixMillis) -> Result<JobState, StoreError>;

    /// Queues failed, poisoned and cancelled jobs again, with all their attempts; gives those that it did.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn retry(&self, jobs: &[JobNumber], now: UnixMillis) -> Result<Vec<JobNumber>, StoreError>;

    /// Cancels queued and leased jobs; gives those that it did.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn cancel(&self, jobs: &[JobNumber], now: UnixMillis) -> Result<Vec<JobNumber>, StoreError>;

    /// Queues jobs again whose lease is over, which [`JobStore::claim`] does too; gives how many.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn expire(&self, now: UnixMillis) -> Result<u64, StoreError>;

    /// Jobs, the last submitted first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn list(&self, filter: &Filter) -> Result<Vec<Job>, StoreError>;

    /// Results, the last job first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn results(&self, filter: &Filter) -> Result<Vec<Recorded>, StoreError>;

    /// What was recorded for a replay key.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn recorded(&self, key: &JobKey) -> Result<Option<Recorded>, StoreError>;

    /// What was recorded since a moment, in steps of time that begin there; steps without a result are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn history(&self, since: UnixMillis, step: Duration) -> Result<Vec<Step>, StoreError>;

    /// Numbers for metrics and dashboards; the last `failures` failures.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be used.
    fn stats(&self, failures: u32, now: UnixMillis) -> Result<Stats, StoreError>;
}
