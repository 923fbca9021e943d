//! The queue in numbers for Prometheus.

use super::Snapshot;
use crate::jobs::JobState;
use prometheus::{proto::MetricFamily, Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

/// All numbers of a snapshot; without one only that the store cannot be read.
pub(in crate::service) fn families(snapshot: Option<&Snapshot>) -> Vec<MetricFamily> {
    // Names and help are constants, each registered once.
    collect(snapshot).unwrap_or_default()
}

fn collect(snapshot: Option<&Snapshot>) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str, value: i64| {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    gauge("zkonnx_queue_up", "Whether the queue's store can be read", i64::from(snapshot.is_some()))?;
    let Some(snapshot) = snapshot else { return Ok(registry.gather()) };
    let stats = &snapshot.stats;
    let jobs = IntGaugeVec::new(Opts::new("zkonnx_queue_jobs", "Jobs, by state"), &["state"])?;
    for state in JobState::ALL {
        jobs.with_label_values(&[state.name()]).set(int(stats.jobs.of(state)));
    }
    registry.register(Box::new(jobs))?;
    let oldest =
        Gauge::new("zkonnx_queue_oldest_seconds", "How long the oldest queued job has waited; 0 when none waits")?;
    oldest.set(stats.oldest_age(snapshot.now).map_or(0.0, |age| age.as_secs_f64()));
    registry.register(Box::new(oldest))?;
    gauge("zkonnx_queue_late_jobs", "Open jobs whose deadline has passed", int(stats.late))?;
    gauge("zkonnx_queue_workers", "Workers seen in the last 30 s", int(snapshot.alive()))?;
    let counter = |name: &str, help: &str, value: u64| {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))
    };
    counter("zkonnx_queue_proofs_total", "Results recorded", stats.total.proofs)?;
    counter("zkonnx_queue_proof_milliseconds_total", "Time of all workers for them", stats.total.milliseconds)?;
    counter("zkonnx_queue_proof_bytes_total", "Bytes of their proofs", stats.total.proof_bytes)?;
    counter("zkonnx_queue_macs_total", "Multiply-accumulates of their models", stats.total.macs)?;
    counter("zkonnx_queue_expired_leases_total", "Leases that expired: workers that vanished", stats.expirations)?;
    Ok(registry.gather())
}

fn int(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{Counts, Stats, UnixMillis};

    #[test]
    fn every_number_has_a_name() {
        let stats = Stats {
            jobs: Counts { queued: 3, ..Counts::default() },
            oldest_queued: Some(UnixMillis(500)),
            ..Stats::default()
        };
        let snapshot = Snapshot { now: UnixMillis(2000), stats, history: Vec::new() };
        let found = families(Some(&snapshot));
        assert_eq!(found.len(), 10);
        let named = |name: &str| found.iter().find(|family| family.name() == name).expect("a name");
        let oldest = named("zkonnx_queue_oldest_seconds").get_metric()[0].get_gauge().get_value();
        assert!((oldest - 1.5).abs() < 1e-9);
        assert_eq!(named("zkonnx_queue_jobs").get_metric().len(), 6);
        let down = families(None);
        assert_eq!((down.len(), down[0].name()), (1, "zkonnx_queue_up"));
    }
}
