//! The queue of jobs, as a service with a store shows it: a page for people, JSON, and metrics.
//!
//! All of them are made of one [`Snapshot`], which is taken at most once a second however many ask.

mod metrics;
mod page;
mod text;

use super::{error::ApiError, state::App};
use crate::jobs::{Done, JobStore, Stats, Step, StoreError, UnixMillis};
use axum::{
    extract::State,
    http::{header, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    Json,
};
use serde::Serialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::timeout};

pub(super) use metrics::families;

/// How long a snapshot is good for.
const FRESH: Duration = Duration::from_secs(1);
/// Failures that are shown.
const FAILURES: u32 = 10;
/// Steps of the history.
const STEP: Duration = Duration::from_secs(60);
/// How many of them there are.
pub(super) const STEPS: u32 = 60;
/// A worker that was not seen for so long is gone.
pub(super) const GONE: Duration = crate::jobs::store::LEASE;

/// The queue at one moment. Times in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Snapshot {
    /// The moment.
    pub(super) now: UnixMillis,
    #[serde(flatten)]
    pub(super) stats: Stats,
    /// What was recorded in the last hour, minute by minute, the oldest first.
    pub(super) history: Vec<Step>,
}

impl Snapshot {
    fn take(store: &dyn JobStore, now: UnixMillis) -> Result<Self, StoreError> {
        // Whole minutes: what was counted stays counted.
        let minute = i64::try_from(STEP.as_millis()).unwrap_or(i64::MAX);
        let since = UnixMillis(now.0 - now.0.rem_euclid(minute)).before(STEP * (STEPS - 1));
        let found = store.history(since, STEP)?;
        let step = |index: u32| {
            let begins = since.after(STEP * index);
            let done = found.iter().find(|step| step.begins == begins).map_or(Done::default(), |step| step.done);
            Step { begins, done }
        };
        Ok(Self { now, stats: store.stats(FAILURES, now)?, history: (0..STEPS).map(step).collect() })
    }

    /// Workers that live.
    pub(super) fn alive(&self) -> usize {
        self.stats.workers.iter().filter(|worker| self.now.since(worker.seen) <= GONE).count()
    }

    /// When all that waits is done, at the rate of the last hour, or of the last minutes where there was nothing before.
    pub(super) fn left(&self) -> Option<Duration> {
        let first = self.history.iter().position(|step| step.done.proofs > 0)?;
        let proofs: u64 = self.history.iter().map(|step| step.done.proofs).sum();
        let since = self.now.since(self.history.get(first)?.begins);
        #[allow(clippy::cast_precision_loss)] // for people
        let seconds = self.stats.jobs.open() as f64 * since.as_secs_f64() / proofs as f64;
        (self.stats.jobs.open() > 0).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
    }
}

/// A store that is shown.
#[derive(Debug)]
pub(super) struct Queue {
    store: Arc<dyn JobStore>,
    last: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Queue {
    pub(super) fn new(store: Arc<dyn JobStore>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// The last snapshot, or a new one; others that ask meanwhile wait for it. Blocks.
    fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((taken, snapshot)) = &*last {
            if taken.elapsed() < FRESH {
                return Ok(Arc::clone(snapshot));
            }
        }
        let snapshot = Arc::new(Snapshot::take(&*self.store, UnixMillis::now())?);
        *last = Some((Instant::now(), Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}

/// The queue now; `None` where there is none.
pub(super) async fn snapshot(app: &App) -> Option<Result<Arc<Snapshot>, ApiError>> {
    app.queue.as_ref()?;
    let asked = app.clone();
    let taken = spawn_blocking(move || asked.queue.as_ref().map(Queue::snapshot));
    Some(match timeout(app.config.timeout, taken).await {
        Ok(Ok(Some(Ok(snapshot)))) => Ok(snapshot),
        Ok(Ok(Some(Err(error)))) => {
            // The reason may name hosts: it is for the logs.
            tracing::warn!(error = %error, "the queue cannot be read");
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the queue's store cannot be read"))
        }
        Ok(_) => Err(ApiError::internal()),
        Err(_) => Err(ApiError::timeout()),
    })
}

async fn needed(app: &App) -> Result<Arc<Snapshot>, ApiError> {
    let none =
        || ApiError::new(StatusCode::NOT_FOUND, "no_queue", "this service shows no queue: start it with --store");
    snapshot(app).await.ok_or_else(none)?
}

/// `GET /v1/queue`.
pub(super) async fn json(State(app): State<App>) -> Result<Json<Snapshot>, ApiError> {
    Ok(Json(Snapshot::clone(&*needed(&app).await?)))
}

/// Nothing is loaded from anywhere, nothing runs, and nobody frames it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /` and `GET /dashboard`.
pub(super) async fn dashboard(State(app): State<App>) -> Result<Response, ApiError> {
    let page = page::render(&*needed(&app).await?);
    let head: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((head, page).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Counts;

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let now = UnixMillis(3_600_000);
        let empty = Snapshot { now, stats: Stats::default(), history: Vec::new() };
        assert_eq!(empty.left(), None);
        let step = |minute: i64, proofs| Step {
            begins: UnixMillis(minute * 60_000),
            done: Done { proofs, ..Done::default() },
        };
        let jobs = Counts { queued: 29, leased: 1, ..Counts::default() };
        let stats = Stats { jobs, ..Stats::default() };
        let history = vec![step(40, 0), step(50, 50), step(59, 10)];
        // 60 proofs in ten minutes.
        let busy = Snapshot { stats, history, ..empty };
        assert_eq!(busy.left(), Some(Duration::from_secs(300)));
        assert_eq!(Snapshot { stats: Stats::default(), ..busy }.left(), None);
    }
}
