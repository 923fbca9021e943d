//! Numbers of a worker, for Prometheus: `zkonnx worker --metrics ADDRESS`.

use super::server::{accept, Limits};
use crate::{
    jobs::{
        worker::{Meter, Outcome},
        JobResult,
    },
    spans::{SpanTime, SpanTimer},
};
use axum::{extract::State, http::header, response::IntoResponse, routing::get, Router};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::{
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tracing::Subscriber;
use tracing_subscriber::{registry::LookupSpan, Layer};

/// Stages that are measured: spans of the prover.
const STAGES: [&str; 12] = [
    "keys",
    "check points",
    "commit parameters",
    "evaluate",
    "witness",
    "commitments",
    "halo2 proof",
    "lookups",
    "contractions",
    "pairs",
    "relations",
    "opening",
];

/// What a worker counts.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    registry: Registry,
    jobs: IntCounterVec,
    seconds: Histogram,
    stages: HistogramVec,
    bytes: IntCounter,
}

impl WorkerMetrics {
    /// All numbers at zero.
    ///
    /// # Errors
    /// Never: names are constants, each registered once.
    pub fn new() -> Result<Self, prometheus::Error> {
        let buckets = |least: f64| prometheus::exponential_buckets(least, 2.0, 16);
        let seconds = HistogramOpts::new("zkonnx_worker_proof_seconds", "Time to read, prove and verify a job");
        let stages = HistogramOpts::new("zkonnx_worker_stage_seconds", "Time of a stage of proving");
        let jobs = Opts::new("zkonnx_worker_jobs_total", "Claimed jobs that have left this worker, by outcome");
        let metrics = Self {
            registry: Registry::new(),
            jobs: IntCounterVec::new(jobs, &["outcome"])?,
            seconds: Histogram::with_opts(seconds.buckets(buckets(0.05)?))?,
            stages: HistogramVec::new(stages.buckets(buckets(0.001)?), &["stage"])?,
            bytes: IntCounter::new("zkonnx_worker_proof_bytes_total", "Bytes of proofs")?,
        };
        // Zeros are there from the start: a rate needs them.
        Outcome::ALL.iter().for_each(|outcome| metrics.jobs.with_label_values(&[outcome.name()]).inc_by(0));
        metrics.registry.register(Box::new(metrics.jobs.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.stages.clone()))?;
        metrics.registry.register(Box::new(metrics.bytes.clone()))?;
        Ok(metrics)
    }

    /// Measures the stages of the prover, by their spans.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> {
        let stages = self.stages.clone();
        SpanTimer::new(move |span: SpanTime| {
            if STAGES.contains(&span.name()) {
                stages.with_label_values(&[span.name()]).observe(span.time.as_secs_f64());
            }
        })
    }

    /// Answers `/metrics` and `/healthz` on a thread of its own until the process ends; gives the address.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn serve(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = Router::new()
            .route("/metrics", get(text))
            .route("/healthz", get(|| async { "ok\n" }))
            .with_state(Arc::new(self.clone()));
        let limits = Limits {
            max_connections: 16,
            read_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(1),
        };
        std::thread::Builder::new().name("metrics".into()).spawn(move || {
            if let Err(error) = runtime.block_on(accept(listener, router, limits, pending::<()>())) {
                tracing::error!(error = %error, "metrics are not answered");
            }
        })?;
        Ok(address)
    }
}

async fn text(State(metrics): State<Arc<WorkerMetrics>>) -> impl IntoResponse {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = TextEncoder::new().encode(&metrics.registry.gather(), &mut text);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

impl Meter for WorkerMetrics {
    fn ended(&self, outcome: Outcome) {
        self.jobs.with_label_values(&[outcome.name()]).inc();
    }

    fn proven(&self, time: Duration, result: &JobResult) {
        self.seconds.observe(time.as_secs_f64());
        self.bytes.inc_by(result.metering.proof_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn stages_are_measured_and_other_spans_are_not() {
        let metrics = WorkerMetrics::new().expect("constant names");
        let subscriber = tracing_subscriber::registry().with(metrics.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!("job").in_scope(|| tracing::info_span!("witness").in_scope(|| {}));
        });
        metrics.ended(Outcome::Done);
        let families = metrics.registry.gather();
        let named = |name: &str| families.iter().find(|family| family.name() == name).expect("a name").get_metric();
        let stages = named("zkonnx_worker_stage_seconds");
        assert_eq!((stages.len(), stages[0].get_label()[0].value()), (1, "witness"));
        assert_eq!(stages[0].get_histogram().get_sample_count(), 1);
        let jobs: Vec<(&str, f64)> = named("zkonnx_worker_jobs_total")
            .iter()
            .map(|metric| (metric.get_label()[0].value(), metric.get_counter().get_value()))
            .collect();
        assert_eq!(jobs, [("done", 1.0), ("failed", 0.0), ("late", 0.0), ("released", 0.0)]);
    }
}
