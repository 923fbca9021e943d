//! Which queue, and which jobs: options that several commands share.

use super::Failure;
use crate::jobs::{open, open_blobs, BlobError, BlobStore, Filter, Job, JobNumber, JobState, JobStore, StoreError};
use clap::Args;

/// Jobs that are read with one query.
const PAGE: u32 = 1000;

/// Where jobs and their artefacts are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The queue: a SQLite file, which is made when there is none, or postgres://USER:PASSWORD@HOST/DATABASE (PGPASSWORD may have
    /// the password)
    #[arg(long, value_name = "STORE", env = "ZKONNX_STORE", default_value = "jobs.db", hide_env_values = true)]
    store: String,
    /// Models, inputs and receipts: a folder, or s3://BUCKET/PREFIX with the variables of AWS; without it, STORE.blobs beside the file
    #[arg(long, value_name = "PLACE", env = "ZKONNX_BLOBS", hide_env_values = true)]
    blobs: Option<String>,
}

impl Place {
    /// The queue.
    pub(super) fn open(&self) -> Result<Box<dyn JobStore>, Failure> {
        open(&self.store).map_err(Failure::new)
    }

    /// The artefacts.
    pub(super) fn blobs(&self) -> Result<Box<dyn BlobStore>, Failure> {
        open_blobs(self.blobs.as_deref(), &self.store).map_err(|e| match e {
            BlobError::NoAddress => Failure::new(e).hint("--blobs PLACE, or ZKONNX_BLOBS"),
            e => Failure::new(e),
        })
    }
}

/// Which jobs.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Numbers of jobs
    #[arg(value_name = "JOB")]
    numbers: Vec<i64>,
    /// In this state: queued, leased, done, failed, poisoned or cancelled (may be given several times)
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Vec<JobState>,
    /// With this text in their label
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

fn parse_state(text: &str) -> Result<JobState, String> {
    let names: Vec<&str> = JobState::ALL.iter().map(|state| state.name()).collect();
    JobState::from_name(text).ok_or_else(|| format!("the states are {}", names.join(", ")))
}

impl Selection {
    /// As a filter, for at most so many jobs.
    pub(super) fn filter(&self, limit: u32) -> Filter {
        Filter {
            numbers: self.numbers.iter().map(|number| JobNumber(*number)).collect(),
            states: self.state.clone(),
            label: self.label.clone(),
            limit,
            ..Filter::default()
        }
    }

    /// The numbers of all these jobs; a selection of everything is refused.
    pub(super) fn numbers(&self, store: &dyn JobStore) -> Result<Vec<JobNumber>, Failure> {
        if self.numbers.is_empty() && self.state.is_empty() && self.label.is_none() {
            return Err(Failure::new("no jobs are named").hint("give numbers, --state or --label"));
        }
        let jobs = pages(&self.filter(PAGE), |filter| store.list(filter), |job: &Job| job.number)?;
        let found: Vec<JobNumber> = jobs.iter().map(|job| job.number).collect();
        if let Some(missing) = self.numbers.iter().find(|number| !found.contains(&JobNumber(**number))) {
            return Err(Failure::new(format!("there is no such job as {missing}")).hint("`zkonnx jobs` lists them"));
        }
        Ok(found)
    }
}

/// All that a filter finds, page by page.
pub(super) fn pages<T>(
    filter: &Filter,
    query: impl Fn(&Filter) -> Result<Vec<T>, StoreError>,
    number: impl Fn(&T) -> JobNumber,
) -> Result<Vec<T>, Failure> {
    let mut all: Vec<T> = Vec::new();
    let mut filter = Filter { limit: PAGE, ..filter.clone() };
    loop {
        let page = query(&filter).map_err(Failure::new)?;
        let Some(last) = page.last() else { return Ok(all) };
        filter.before = Some(number(last));
        all.extend(page);
    }
}
