//! Counters for Prometheus.

use prometheus::{
    proto::MetricFamily, Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};
use std::time::Instant;

/// What is counted.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// Answers, by route and status.
    pub(super) requests: IntCounterVec,
    /// Verdicts about proofs, by code.
    pub(super) verdicts: IntCounterVec,
    /// Seconds of verifications, batches whole.
    seconds: Histogram,
    models: IntGauge,
    running: IntGauge,
    waiting: IntGauge,
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let seconds = HistogramOpts::new("zkonnx_verification_seconds", "Time of a verification, batches whole")
            .buckets(vec![0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]);
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(Opts::new("zkonnx_requests_total", "Answers"), &["route", "status"])?,
            verdicts: IntCounterVec::new(Opts::new("zkonnx_verdicts_total", "Verdicts about proofs"), &["code"])?,
            seconds: Histogram::with_opts(seconds)?,
            models: IntGauge::new("zkonnx_models", "Registered models")?,
            running: IntGauge::new("zkonnx_running", "Verifications and registrations that run")?,
            waiting: IntGauge::new("zkonnx_waiting", "Verifications and registrations that wait")?,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.verdicts.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.models.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.waiting.clone()))?;
        Ok(metrics)
    }

    /// Runs a verification, and counts its time.
    pub(super) fn time<R>(&self, verification: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = verification();
        self.seconds.observe(started.elapsed().as_secs_f64());
        result
    }

    /// The text that Prometheus reads, with the numbers of a queue.
    pub(super) fn text(&self, models: usize, (running, all): (usize, usize), queue: Vec<MetricFamily>) -> String {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.models.set(number(models));
        self.running.set(number(running));
        self.waiting.set(number(all.saturating_sub(running)));
        let mut families = self.registry.gather();
        families.extend(queue);
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&families, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
