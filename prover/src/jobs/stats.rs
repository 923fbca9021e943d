//! What metrics and the dashboard show.

use super::{
    job::{Job, JobState},
    time::UnixMillis,
};
use serde::Serialize;
use std::time::Duration;

/// Jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Wait.
    pub queued: u64,
    /// Are being proven.
    pub leased: u64,
    /// Are proven.
    pub done: u64,
    /// Cannot be proven.
    pub failed: u64,
    /// Were given up.
    pub poisoned: u64,
    /// Were cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// The jobs in a state.
    #[must_use]
    pub fn of(&self, state: JobState) -> u64 {
        match state {
            JobState::Queued => self.queued,
            JobState::Leased => self.leased,
            JobState::Done => self.done,
            JobState::Failed => self.failed,
            JobState::Poisoned => self.poisoned,
            JobState::Cancelled => self.cancelled,
        }
    }

    /// Sets the jobs in a state.
    pub(crate) fn set(&mut self, state: JobState, count: u64) {
        *match state {
            JobState::Queued => &mut self.queued,
            JobState::Leased => &mut self.leased,
            JobState::Done => &mut self.done,
            JobState::Failed => &mut self.failed,
            JobState::Poisoned => &mut self.poisoned,
            JobState::Cancelled => &mut self.cancelled,
        } = count;
    }

    /// Jobs that have not ended.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.queued + self.leased
    }
}

/// What was proven in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Proofs.
    pub proofs: u64,
    /// Milliseconds of proving and verifying, over all workers.
    pub milliseconds: u64,
    /// Bytes of proofs.
    pub proof_bytes: u64,
    /// Multiply-accumulates of the models.
    pub macs: u64,
}

/// What was proven in one step of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When it begins.
    pub begins: UnixMillis,
    /// What was proven.
    #[serde(flatten)]
    pub done: Done,
}

/// A worker about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReport {
    /// Its name, of which there is one at a time.
    pub name: String,
    /// When it started.
    pub started: UnixMillis,
    /// Bytes that it may use.
    pub memory: u64,
    /// Jobs that it proves at once.
    pub concurrency: u32,
    /// Jobs it has finished.
    pub done: u64,
    /// Attempts of it that failed.
    pub failed: u64,
}

/// A worker and its last heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerSeen {
    /// Its name.
    pub name: String,
    /// When it started.
    pub started: UnixMillis,
    /// Its last heartbeat.
    pub seen: UnixMillis,
    /// Bytes that it may use.
    pub memory: u64,
    /// Jobs that it proves at once.
    pub concurrency: u32,
    /// Jobs it has finished.
    pub done: u64,
    /// Attempts of it that failed.
    pub failed: u64,
    /// Jobs it has leased.
    pub leased: u64,
}

/// The state of a store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Jobs by state.
    pub jobs: Counts,
    /// When the oldest queued job was submitted.
    pub oldest_queued: Option<UnixMillis>,
    /// Jobs that have not ended, and whose deadline has passed.
    pub late: u64,
    /// Leases that expired, of all jobs.
    pub expirations: u64,
    /// In the last minute.
    pub last_minute: Done,
    /// In the last hour.
    pub last_hour: Done,
    /// Ever.
    pub total: Done,
    /// Workers seen in the last day, the last seen first.
    pub workers: Vec<WorkerSeen>,
    /// The last jobs that failed or were poisoned, the last first.
    pub failures: Vec<Job>,
}

impl Stats {
    /// How long the oldest queued job has waited.
    #[must_use]
    pub fn oldest_age(&self, now: UnixMillis) -> Option<Duration> {
        self.oldest_queued.map(|submitted| now.since(submitted))
    }
}
