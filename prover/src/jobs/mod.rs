//! The queue: proof jobs that are delivered at least once and recorded exactly once.
//!
//! A job is *queued*, then *leased* by a worker, and ends as *done*, *failed* (the same on every try), *poisoned* (three attempts, or a
//! worker that vanished too often) or *cancelled*. A worker that vanishes loses its lease, and the job is queued again. Every
//! transition out of a lease compares its token: who was slow, not dead, overwrites nothing, and is told.
//!
//! [`JobStore`] is the state machine. It reads no clock: callers pass the time. It blocks: never call it from an async task. [`sqlite`] is
//! the default and needs no server; `postgres` is for many machines. Models, inputs and receipts are in a [`blob::BlobStore`].

pub mod address;
pub mod blob;
pub mod input;
pub mod job;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod prove_job;
pub mod sql;
pub mod sqlite;
pub mod stats;
pub mod store;
pub mod time;
pub mod worker;

pub use address::{open, open_blobs};
pub use blob::{BlobError, BlobId, BlobStore};
pub use input::JobInput;
pub use job::{Job, JobNumber, JobResult, JobState, Lease, LeasedJob, ModelRef, NewJob, Recorded, Requirements};
pub use prove_job::{prove_job, JobError, LoadedModel, ProvenJob};
pub use sqlite::SqliteStore;
pub use stats::{Counts, Done, Stats, Step, WorkerReport, WorkerSeen};
pub use store::{Claim, FailureKind, Filter, JobStore, StoreError, Submission};
pub use time::UnixMillis;
