//! What the threads of a worker share.

use super::{Config, Outcome, Tally, WorkerError};
use crate::jobs::{
    blob::BlobStore,
    job::{JobNumber, Lease, LeasedJob, ModelRef},
    prove_job::{JobError, LoadedModel},
    stats::WorkerReport,
    store::{JobStore, StoreError},
    time::UnixMillis,
};
use std::{
    collections::HashMap,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
    },
    time::{Duration, Instant},
};

/// First wait after trouble; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait after trouble.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often waits look whether the worker is to stop.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What the threads of a worker share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) store: &'a dyn JobStore,
    pub(super) blobs: &'a dyn BlobStore,
    pub(super) config: &'a Config,
    stop: &'a AtomicBool,
    started: UnixMillis,
    /// Leases that are held, and whether they are lost.
    held: Mutex<HashMap<JobNumber, (Lease, bool)>>,
    flight: Mutex<Flight>,
    changed: Condvar,
    models: Mutex<Vec<Arc<LoadedModel>>>,
    /// Since when this machine cannot prove.
    trouble: Mutex<Option<Instant>>,
    fatal: Mutex<Option<WorkerError>>,
    done: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    released: AtomicU64,
}

/// Jobs between claim and proof.
#[derive(Debug, Default)]
struct Flight {
    /// Claimed, and not proven.
    jobs: usize,
    /// Predicted bytes of those that are being proven.
    memory: u64,
    /// Mean seconds of a proof, the last ones counting most.
    seconds: Option<f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        store: &'a dyn JobStore,
        blobs: &'a dyn BlobStore,
        config: &'a Config,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            store,
            blobs,
            config,
            stop,
            started: UnixMillis::now(),
            held: Mutex::default(),
            flight: Mutex::default(),
            changed: Condvar::new(),
            models: Mutex::default(),
            trouble: Mutex::default(),
            fatal: Mutex::default(),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            late: AtomicU64::new(0),
            released: AtomicU64::new(0),
        }
    }

    /// Whether no more jobs are to be begun.
    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || lock(&self.fatal).is_some()
    }

    fn counter(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Done => &self.done,
            Outcome::Failed => &self.failed,
            Outcome::Late => &self.late,
            Outcome::Released => &self.released,
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.counter(outcome).fetch_add(1, Ordering::Relaxed);
        if let Some(meter) = &self.config.meter {
            meter.ended(outcome);
        }
    }

    /// What was done, or why it ended early.
    pub(super) fn ended(&self) -> Result<Tally, WorkerError> {
        let count = |count| self.counter(count).load(Ordering::Relaxed);
        match lock(&self.fatal).take() {
            Some(error) => Err(error),
            None => Ok(Tally {
                done: count(Outcome::Done),
                failed: count(Outcome::Failed),
                late: count(Outcome::Late),
                released: count(Outcome::Released),
            }),
        }
    }

    pub(super) fn report(&self) -> WorkerReport {
        WorkerReport {
            name: self.config.name.clone(),
            started: self.started,
            memory: self.config.memory,
            concurrency: u32::try_from(self.config.concurrency).unwrap_or(u32::MAX),
            done: self.counter(Outcome::Done).load(Ordering::Relaxed),
            failed: self.counter(Outcome::Failed).load(Ordering::Relaxed),
        }
    }

    /// Notes jobs that were claimed.
    pub(super) fn claimed(&self, jobs: &[LeasedJob]) {
        lock(&self.held).extend(jobs.iter().map(|job| (job.lease.job, (job.lease, false))));
        lock(&self.flight).jobs += jobs.len();
    }

    /// The leases that are not known to be lost.
    pub(super) fn leases(&self) -> Vec<Lease> {
        lock(&self.held).values().filter(|(_, lost)| !lost).map(|(lease, _)| *lease).collect()
    }

    pub(super) fn lost(&self, jobs: &[JobNumber]) {
        for job in jobs {
            if let Some((_, lost)) = lock(&self.held).get_mut(job) {
                tracing::warn!(job = job.0, "lease lost: the job was cancelled or given to somebody else");
                *lost = true;
            }
        }
    }

    pub(super) fn is_lost(&self, job: JobNumber) -> bool {
        lock(&self.held).get(&job).is_none_or(|(_, lost)| *lost)
    }

    /// Forgets a job that has ended, for this worker.
    pub(super) fn forget(&self, job: JobNumber) {
        lock(&self.held).remove(&job);
    }

    /// A job has left its slot, after so many seconds if it was proven.
    pub(super) fn left(&self, seconds: Option<f64>) {
        let mut flight = lock(&self.flight);
        flight.jobs -= 1;
        if let Some(seconds) = seconds {
            flight.seconds = Some(flight.seconds.map_or(seconds, |mean| 0.7 * mean + 0.3 * seconds));
        }
        drop(flight);
        self.changed.notify_all();
    }

    /// Jobs in flight, and the mean seconds of a proof.
    pub(super) fn flight(&self) -> (usize, Option<f64>) {
        let flight = lock(&self.flight);
        (flight.jobs, flight.seconds)
    }

    /// Waits until something has left, or for a moment.
    pub(super) fn wait(&self, time: Duration) {
        let flight = lock(&self.flight);
        // Waking for nothing is no harm: callers look again.
        drop(self.changed.wait_timeout(flight, time.min(TICK)));
    }

    /// Waits as long as told, unless the worker is to stop.
    pub(super) fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stopping() && Instant::now() < until {
            std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
        }
    }

    /// Runs work once its memory fits beside what is running.
    pub(super) fn with_memory<T>(&self, bytes: u64, work: impl FnOnce() -> T) -> T {
        struct Admitted<'s, 'a>(&'s Shared<'a>, u64);
        impl Drop for Admitted<'_, '_> {
            fn drop(&mut self) {
                lock(&self.0.flight).memory -= self.1;
                self.0.changed.notify_all();
            }
        }
        let mut flight = lock(&self.flight);
        // Alone it may run whatever it takes: it was claimed, so it fits.
        while flight.memory > 0 && flight.memory.saturating_add(bytes) > self.config.memory {
            flight = self.changed.wait_timeout(flight, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        let bytes = bytes.min(u64::MAX - flight.memory);
        flight.memory += bytes;
        drop(flight);
        let _admitted = Admitted(self, bytes);
        work()
    }

    /// Models that are loaded.
    pub(super) fn loaded(&self) -> Vec<ModelRef> {
        lock(&self.models).iter().map(|model| model.reference.clone()).collect()
    }

    /// A model, loaded where it is not yet; the one that was not used for longest is dropped.
    pub(super) fn model(&self, reference: &ModelRef) -> Result<Arc<LoadedModel>, JobError> {
        let mut models = lock(&self.models);
        let model = match models.iter().position(|model| model.reference == *reference) {
            Some(at) => models.remove(at),
            None => {
                models.truncate(self.config.models.saturating_sub(1));
                Arc::new(LoadedModel::load(reference, self.blobs, &self.config.params)?)
            }
        };
        models.insert(0, Arc::clone(&model));
        Ok(model)
    }

    /// This machine can prove.
    pub(super) fn fine(&self) {
        *lock(&self.trouble) = None;
    }

    /// This machine cannot prove: says so, and ends the worker when it has lasted too long.
    pub(super) fn machine_trouble(&self, error: &dyn std::fmt::Display) {
        let since = *lock(&self.trouble).get_or_insert_with(Instant::now);
        self.trouble("this machine cannot prove", error, since);
    }

    /// Says what is wrong since a moment, and ends the worker when it has lasted too long.
    pub(super) fn trouble(&self, what: &str, error: &dyn std::fmt::Display, since: Instant) {
        tracing::warn!(error = %error, "{what}");
        let lasted = since.elapsed();
        if lasted > self.config.patience {
            let error = WorkerError::Trouble { message: format!("{what}: {error}"), seconds: lasted.as_secs() };
            lock(&self.fatal).get_or_insert(error);
        }
    }

    /// Tries until it works, the answer is no, or patience is over.
    pub(super) fn insist<T>(
        &self,
        what: &str,
        mut work: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (mut wait, since) = (FIRST_WAIT, Instant::now());
        loop {
            match work() {
                Err(error @ (StoreError::Unavailable(_) | StoreError::Refused(_))) => {
                    self.trouble(what, &error, since);
                    if lock(&self.fatal).is_some() {
                        return Err(error);
                    }
                    // What is proven is published even while stopping.
                    std::thread::sleep(wait);
                    wait = (2 * wait).min(LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
    }

    /// Gives a job back, if that is possible.
    pub(super) fn release(&self, lease: &Lease) {
        self.forget(lease.job);
        match self.store.release(lease, UnixMillis::now()) {
            Ok(()) => self.count(Outcome::Released),
            Err(StoreError::LeaseLost { .. }) => {}
            Err(error) => tracing::warn!(job = lease.job.0, error = %error, "not released: its lease will expire"),
        }
    }
}
