//! `zkonnx jobs`, `zkonnx retry` and `zkonnx cancel`.

use super::{
    store::{Place, Selection},
    watch, Failure, Outcome,
};
use crate::jobs::{Job, JobNumber, JobStore, StoreError, UnixMillis};
use clap::Args;
use std::time::Duration;

/// Jobs that are changed in one transaction.
const CHUNK: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(flatten)]
    selection: Selection,
    /// Most jobs, the last submitted first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Submitted before this one: for the next page
    #[arg(long, value_name = "JOB")]
    before: Option<i64>,
    #[command(flatten)]
    place: Place,
    /// Show a table that is renewed every so many seconds, until it is interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600), conflicts_with = "json")]
    watch: Option<u64>,
    /// Print JSON: the numbers of all jobs, and the jobs
    #[arg(long)]
    json: bool,
}

impl Jobs {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let store = self.place.open()?;
        let mut filter = self.selection.filter(self.limit);
        filter.before = self.before.map(JobNumber);
        if let Some(seconds) = self.watch {
            return watch::run(&*store, &filter, Duration::from_secs(seconds));
        }
        let now = UnixMillis::now();
        let jobs = store.list(&filter).map_err(Failure::new)?;
        let stats = store.stats(0, now).map_err(Failure::new)?;
        if self.json {
            say!("{}", serde_json::json!({ "counts": stats.jobs, "jobs": jobs }));
            return Ok(Outcome::Done);
        }
        let counts = stats.jobs;
        say!(
            "{} queued, {} leased, {} done, {} failed, {} poisoned, {} cancelled",
            counts.queued,
            counts.leased,
            counts.done,
            counts.failed,
            counts.poisoned,
            counts.cancelled
        );
        if !jobs.is_empty() {
            say!("{:>8}  {:9}  {:>5}  {:>8}  label", "job", "state", "tries", "age");
        }
        for job in &jobs {
            say!("{}", line(job, now));
        }
        Ok(Outcome::Done)
    }
}

/// A job in words.
pub(super) fn line(job: &Job, now: UnixMillis) -> String {
    let reason = job.reason.as_deref().map(|reason| format!(": {}", super::one_line(reason))).unwrap_or_default();
    let worker = job.worker.as_deref().filter(|_| job.leased_until.is_some());
    let worker = worker.map(|worker| format!(" by {worker}")).unwrap_or_default();
    let age = age(now.since(job.submitted));
    format!("{:>8}  {:9}  {:>5}  {age:>8}  {}{worker}{reason}", job.number, job.state, job.attempts, job.label)
}

/// A duration for people.
pub(super) fn age(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Place,
    /// Print the numbers of the jobs that were changed, as JSON
    #[arg(long)]
    json: bool,
}

impl Change {
    /// Queues jobs again.
    pub(super) fn retry(&self) -> Result<Outcome, Failure> {
        self.apply("queued again", |store, jobs, now| store.retry(jobs, now))
    }

    /// Cancels jobs.
    pub(super) fn cancel(&self) -> Result<Outcome, Failure> {
        self.apply("cancelled", |store, jobs, now| store.cancel(jobs, now))
    }

    fn apply(
        &self,
        word: &str,
        change: impl Fn(&dyn JobStore, &[JobNumber], UnixMillis) -> Result<Vec<JobNumber>, StoreError>,
    ) -> Result<Outcome, Failure> {
        let store = self.place.open()?;
        let jobs = self.selection.numbers(&*store)?;
        let mut changed = Vec::new();
        for chunk in jobs.chunks(CHUNK) {
            changed.extend(change(&*store, chunk, UnixMillis::now()).map_err(Failure::new)?);
        }
        if self.json {
            say!("{}", serde_json::json!(changed));
        } else {
            say!("{} of {} jobs {word}", changed.len(), jobs.len());
        }
        Ok(Outcome::Done)
    }
}
