//! The worker: claims, proves, verifies, publishes.
//!
//! The caller's thread claims, a little ahead where jobs are short. Slots prove, each on threads of its own. A publisher keeps receipts
//! and records results, several in one transaction where they come fast. A heart tells the store that the leases are held.

mod heart;
mod meter;
mod publisher;
mod shared;
mod slots;

use super::{
    blob::BlobStore,
    job::{JobState, LeasedJob},
    store::{Claim, Filter, JobStore, HEARTBEAT, LEASE},
    time::UnixMillis,
};
use crate::params_cache;
pub use meter::{Meter, Outcome};
use shared::Shared;
use std::{
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc, Arc, Mutex,
    },
    thread::scope,
    time::{Duration, Instant},
};
use zkonnx_verifier::{
    limits::Limits,
    statement::{FORMAT_VERSION, SUITE},
};

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Never.
    Stopped,
    /// After one job, or when there is none.
    Once,
    /// When no job is left that it could prove, and none that another worker might lose.
    Drained,
}

/// Choices of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, which no other worker has.
    pub name: String,
    /// When it ends.
    pub until: Until,
    /// Jobs that it proves at once.
    pub concurrency: usize,
    /// Threads of each.
    pub threads: usize,
    /// Bytes that proving may take, by prediction.
    pub memory: u64,
    /// Models that stay loaded.
    pub models: usize,
    /// How long a lease is.
    pub lease: Duration,
    /// How often it says that it lives.
    pub heartbeat: Duration,
    /// How often it asks when there is nothing to do.
    pub poll: Duration,
    /// How long it waits for a store or a disk that fails.
    pub patience: Duration,
    /// How long proofs may go on when it is told to stop.
    pub grace: Duration,
    /// Folder of cached parameters.
    pub params: PathBuf,
    /// Who is told what it does.
    pub meter: Option<Arc<dyn Meter>>,
}

impl Config {
    /// A worker that proves as many jobs at once as there are processors, each on one thread, until it is stopped: that proves most.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name,
            until: Until::Stopped,
            concurrency: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads: 1,
            memory: u64::MAX,
            models: 4,
            lease: LEASE,
            heartbeat: HEARTBEAT,
            poll: Duration::from_secs(1),
            patience: Duration::from_secs(60),
            grace: Duration::from_secs(3600),
            params: params_cache::folder(),
            meter: None,
        }
    }
}

/// What a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Jobs that it recorded.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Proofs that came too late: somebody else has the job, or it was cancelled.
    pub late: u64,
    /// Jobs that it gave back.
    pub released: u64,
}

/// Why a worker gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The store or the disk failed for too long.
    #[error("{message}; tried again for {seconds} s")]
    Trouble {
        /// What was said last.
        message: String,
        /// How long.
        seconds: u64,
    },
    /// No threads.
    #[error("threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Works until it is done, or `stop` is set; then what is being proven is finished, and what waits is released.
///
/// When that takes longer than [`Config::grace`], all leases are released and `abandon` is called, which ends the process.
///
/// # Errors
/// [`WorkerError`]. Leases are released then, or expire.
pub fn run(
    (store, blobs): (&dyn JobStore, &dyn BlobStore),
    config: &Config,
    stop: &AtomicBool,
    abandon: &(dyn Fn() + Sync),
) -> Result<Tally, WorkerError> {
    let shared = Shared::new(store, blobs, config, stop);
    let pools: Vec<rayon::ThreadPool> = (0..config.concurrency.max(1))
        .map(|_| rayon::ThreadPoolBuilder::new().num_threads(config.threads.max(1)).build())
        .collect::<Result<_, _>>()?;
    tracing::info!(worker = config.name, concurrency = pools.len(), threads = config.threads, "worker started");
    let ended = AtomicBool::new(false);
    let (jobs, waiting) = mpsc::channel();
    let waiting = Mutex::new(waiting);
    scope(|whole| {
        whole.spawn(|| heart::run(&shared, &ended, abandon));
        scope(|scope| {
            let (proven, finished) = mpsc::sync_channel(publisher::BATCH);
            scope.spawn(|| {
                let finished = finished;
                publisher::run(&shared, &finished);
            });
            for pool in &pools {
                let proven = proven.clone();
                let (shared, waiting) = (&shared, &waiting);
                scope.spawn(move || slots::run(shared, pool, waiting, &proven));
            }
            claim(&shared, jobs);
        });
        ended.store(true, Ordering::Relaxed);
    });
    shared.ended()
}

/// Claims jobs until the worker is done, and hands them to the slots.
fn claim(shared: &Shared<'_>, jobs: mpsc::Sender<LeasedJob>) {
    let config = shared.config;
    let slots = config.concurrency.max(1);
    let mut next = Instant::now();
    let mut trouble = None;
    // Whether there was nothing to claim, and nothing in flight.
    let mut idle = false;
    while !shared.stopping() {
        let (flight, seconds) = shared.flight();
        let room = (slots + ahead(config, seconds)).saturating_sub(flight);
        // Several at once where they are short, but never an idle slot.
        if room == 0
            || (flight >= slots && 2 * room < slots + ahead(config, seconds))
            || (Instant::now() < next && (idle || flight > 0))
        {
            shared.wait(next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
            continue;
        }
        let loaded = shared.loaded();
        let claim = Claim {
            worker: &config.name,
            format: FORMAT_VERSION,
            suite: SUITE,
            max_k: *Limits::K.end(),
            memory: config.memory,
            loaded: &loaded,
            limit: if config.until == Until::Once { 1 } else { u32::try_from(room).unwrap_or(u32::MAX) },
            begin: u32::try_from(slots.saturating_sub(flight)).unwrap_or(u32::MAX),
            lease: config.lease,
        };
        let claimed = match shared.store.claim(&claim, UnixMillis::now()) {
            Ok(claimed) => claimed,
            Err(error) => {
                shared.trouble("no job can be claimed", &error, *trouble.get_or_insert_with(Instant::now));
                next = Instant::now() + config.poll;
                idle = true;
                continue;
            }
        };
        trouble = None;
        shared.claimed(&claimed);
        idle = claimed.is_empty() && flight == 0;
        if claimed.is_empty() {
            next = Instant::now() + config.poll;
            if is_done(shared, flight) {
                break;
            }
            if flight == 0 && !shared.leases().is_empty() {
                // Proven, and recorded in a moment.
                next = Instant::now() + shared::TICK.min(config.poll);
            }
        }
        for job in claimed {
            tracing::debug!(job = job.lease.job.0, attempt = job.lease.attempt, "claimed");
            // The slots live as long as this end of the channel.
            let _ = jobs.send(job);
        }
        if config.until == Until::Once {
            break;
        }
    }
}

/// Jobs that are claimed ahead: what is proven in a second.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and the limit
fn ahead(config: &Config, seconds: Option<f64>) -> usize {
    const MOST: f64 = 16.0;
    match (config.until, seconds) {
        (Until::Once, _) | (_, None) => 0,
        (_, Some(seconds)) => (1.0 / seconds.max(1e-3)).min(MOST) as usize * config.concurrency.max(1),
    }
}

/// Whether there is nothing left to do; asked when there was nothing to claim.
fn is_done(shared: &Shared<'_>, flight: usize) -> bool {
    match shared.config.until {
        Until::Stopped => false,
        Until::Once => true,
        Until::Drained if flight > 0 => false,
        Until::Drained => {
            // Another worker may lose what it has.
            let leased = Filter { states: vec![JobState::Leased], limit: 1, ..Filter::default() };
            shared.store.list(&leased).is_ok_and(|jobs| jobs.is_empty())
        }
    }
}
