//! `zkonnx worker`.

use super::{
    files,
    logs::{self, LogFormat},
    store::Place,
    Failure, Outcome,
};
use crate::{
    batch::available_memory,
    jobs::{
        worker::{run, Config, Meter, Until},
        JobState, UnixMillis,
    },
    params_cache,
};
use clap::Args;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    num::NonZeroUsize,
    sync::{atomic::AtomicBool, Arc},
    time::Duration,
};

#[derive(Debug, Args)]
pub(super) struct Worker {
    #[command(flatten)]
    place: Place,
    /// Prove one job, or end when there is none
    #[arg(long, conflicts_with = "drain")]
    once: bool,
    /// End when there is no job left
    #[arg(long)]
    drain: bool,
    /// Jobs that are proven at once; without it, as many as there are processors for their threads, and one with --once
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroUsize>,
    /// Threads of each; without it, all that there are, divided among the jobs that are proven at once
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Bytes that proving may take, by prediction (k, M and G are powers of 1000): jobs that take more are left to others. Without
    /// it, what the machine has left
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// Models that stay loaded
    #[arg(long, value_name = "N", default_value = "4")]
    models: NonZeroUsize,
    /// Its name, which no other worker has; without it, the host's and its process id
    #[arg(long)]
    name: Option<String>,
    /// Seconds of a lease: a job of a worker that vanished is free after so long. Six heartbeats
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = parse_seconds)]
    lease: f64,
    /// Seconds between questions when there is nothing to do
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = parse_seconds)]
    poll: f64,
    /// Seconds of trying again when store or disk fail
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = parse_seconds)]
    patience: f64,
    /// Seconds that running proofs get after SIGTERM, before their jobs are given back
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0, value_parser = parse_seconds)]
    grace: f64,
    /// Address and port for the numbers of this worker, at /metrics for Prometheus; port 0 takes any that is free
    #[cfg(feature = "service")]
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<std::net::SocketAddr>,
    /// How logs are written to standard error; RUST_LOG says which
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log: LogFormat,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|s| (0.01..=1e9).contains(s)).ok_or_else(|| format!("'{text}' is no time in seconds"))
}

/// A number of bytes, perhaps with a unit.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let (digits, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text, 1));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes.ok_or_else(|| format!("'{text}' is no number of bytes"))
}

/// The host and this process.
fn own_name() -> String {
    let file = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = file.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    format!("{}-{}-{}", host.as_deref().unwrap_or("worker"), std::process::id(), UnixMillis::now().0 % 1_000_000)
}

impl Worker {
    /// Jobs at once, and threads of each: without a word, one thread each, which proves most; and all for one job.
    fn slots(&self, all: usize) -> (usize, usize) {
        match (self.concurrency.map(NonZeroUsize::get), self.threads.map(NonZeroUsize::get)) {
            (Some(concurrency), Some(threads)) => (concurrency, threads),
            (Some(concurrency), None) => (concurrency, all.div_ceil(concurrency)),
            (None, threads) if self.once => (1, threads.unwrap_or(all)),
            (None, threads) => ((all / threads.unwrap_or(1)).max(1), threads.unwrap_or(1)),
        }
    }

    /// Starts logs, and metrics where they are asked for.
    #[cfg(feature = "service")]
    fn start(&self) -> Result<Option<Arc<dyn Meter>>, Failure> {
        let Some(address) = self.metrics else { return logs::start(self.log, None).map(|()| None) };
        let metrics = crate::service::WorkerMetrics::new().map_err(Failure::new)?;
        logs::start(self.log, Some(Box::new(metrics.layer())))?;
        let bound = metrics.serve(address).map_err(|e| Failure::new(format!("--metrics {address}: {e}")))?;
        tracing::info!(target: "zkonnx_prover::jobs", address = %bound, "metrics are at /metrics");
        Ok(Some(Arc::new(metrics)))
    }

    #[cfg(not(feature = "service"))]
    fn start(&self) -> Result<Option<Arc<dyn Meter>>, Failure> {
        logs::start(self.log, None).map(|()| None)
    }

    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        // Before anyone is told that there is a worker.
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // The second time it does not wait.
            flag::register_conditional_shutdown(signal, 2, Arc::clone(&stop)).map_err(Failure::new)?;
            flag::register(signal, Arc::clone(&stop)).map_err(Failure::new)?;
        }
        let meter = self.start()?;
        let (store, blobs) = (self.place.open()?, self.place.blobs()?);
        let (concurrency, threads) = self.slots(std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        let lease = Duration::from_secs_f64(self.lease);
        let config = Config {
            name: self.name.clone().unwrap_or_else(own_name),
            until: match (self.once, self.drain) {
                (true, _) => Until::Once,
                (_, true) => Until::Drained,
                _ => Until::Stopped,
            },
            concurrency,
            threads,
            memory: self.memory.or_else(available_memory).unwrap_or(u64::MAX),
            models: self.models.get(),
            lease,
            heartbeat: lease / 6,
            poll: Duration::from_secs_f64(self.poll),
            patience: Duration::from_secs_f64(self.patience),
            grace: Duration::from_secs_f64(self.grace),
            params: params_cache::folder(),
            meter,
        };
        let tally = run((&*store, &*blobs), &config, &stop, &|| std::process::exit(0)).map_err(Failure::new)?;
        let queued = store.stats(0, UnixMillis::now()).map_err(Failure::new)?.jobs.of(JobState::Queued);
        if self.drain && queued > 0 && !stop.load(std::sync::atomic::Ordering::Relaxed) {
            eprintln!(
                "warning: {queued} queued jobs are left: they take more than {} or another version of this program",
                files::bytes(usize::try_from(config.memory).unwrap_or(usize::MAX))
            );
        }
        if self.json {
            say!("{}", serde_json::json!(tally));
        } else {
            say!("{} done, {} failed, {} late, {} given back", tally.done, tally.failed, tally.late, tally.released);
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        assert_eq!(parse_bytes("12"), Ok(12));
        assert_eq!(parse_bytes("3k"), Ok(3_000));
        assert_eq!(parse_bytes("2G"), Ok(2_000_000_000));
        for bad in ["", "G", "-1", "1.5G", "99999999999999999G", "1T"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }
}
