//! Verification over HTTP, and a look at the queue: `zkonnx serve`. `verifier/docs/http.md` describes it for its users.
//!
//! A request goes through `server` (connections), `routes` (paths), a handler in `models`, `proofs` or `receipts`, and `gate`, which
//! lets a bounded number of verifications run on threads of their own. `queue` shows a store of jobs. Errors are `error::ApiError`s.

mod candidate;
mod error;
mod gate;
mod metrics;
mod models;
mod openapi;
mod proofs;
mod queue;
mod receipts;
mod requests;
mod routes;
mod server;
mod state;
mod worker_metrics;

pub use error::ApiError;
pub use openapi::DOCUMENT;
pub use routes::{Route, ROUTES};
pub use server::Server;
pub use worker_metrics::WorkerMetrics;

use crate::jobs::JobStore;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Limits and choices of a service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Models that can be registered.
    pub max_models: usize,
    /// Whether strangers may register models over HTTP.
    pub registration: bool,
    /// With a number: every job (domain and job id) is accepted once, and so many are remembered, in memory.
    pub max_jobs: Option<usize>,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Proofs in one batch.
    pub max_batch: usize,
    /// Verifications and registrations that run at once.
    pub workers: usize,
    /// Those that wait; more are refused.
    pub queue: usize,
    /// Connections that are open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Time for the head of a request, and again for its body.
    pub read_timeout: Duration,
    /// Time from the whole request to its answer.
    pub timeout: Duration,
    /// Time that running requests get when the service is told to stop.
    pub shutdown_timeout: Duration,
    /// Folder of cached parameters.
    pub params: PathBuf,
    /// A queue of jobs that is shown: its dashboard, its numbers.
    pub store: Option<Arc<dyn JobStore>>,
}

impl Default for Config {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            max_models: 64,
            registration: true,
            max_jobs: None,
            max_body: 16 << 20,
            max_batch: 1024,
            workers: threads,
            queue: 64,
            max_connections: 128,
            read_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
            params: crate::params_cache::folder(),
            store: None,
        }
    }
}
