//! Measures the queue: what it adds to proving, and how long claims and listings take when it is long.
//!
//!     cargo run --release -p zkonnx-prover --example queue -- --model m.zkq --store jobs.db --jobs 1000 --queued 100000
//!
//! The store must be empty or not there. Overhead is the worker's time beyond proving and verifying, in the same run.

use anyhow::{ensure, Context as _};
use clap::Parser;
use std::{
    path::PathBuf,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};
use zkonnx_prover::{
    jobs::{
        blob::Directory,
        open,
        prove_job::{requirements, LoadedModel},
        worker::{run, Config, Until},
        BlobId, BlobStore, Claim, Counts, Filter, JobInput, JobState, JobStore, ModelRef, NewJob, Requirements,
        UnixMillis,
    },
    params_cache,
};
use zkonnx_quantize::{data::InputSpec, model::QuantizedModel};
use zkonnx_verifier::statement::Context;

#[derive(Parser)]
struct Options {
    /// The quantised model of the jobs that are proven
    #[arg(long)]
    model: PathBuf,
    /// An empty store
    #[arg(long)]
    store: String,
    /// Jobs that are proven
    #[arg(long, default_value_t = 1000)]
    jobs: u32,
    /// Jobs that are queued and not proven
    #[arg(long, default_value_t = 100_000)]
    queued: u32,
    /// Models among these
    #[arg(long, default_value_t = 20)]
    models: u32,
    /// Workers that are compared with one
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Threads of a proof
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Claims and listings that are measured
    #[arg(long, default_value_t = 100)]
    runs: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let store = open(&options.store)?;
    ensure!(store.stats(0, UnixMillis::now())?.jobs == Counts::default(), "the store is not empty");
    overhead(&options, &*store)?;
    long_queue(&options, &*store)
}

/// A 32-byte number.
fn id(number: u32) -> [u8; 32] {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}

fn overhead(options: &Options, store: &dyn JobStore) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let blobs = Directory::new(folder.path());
    let bytes = std::fs::read(&options.model)?;
    let model = QuantizedModel::from_bytes(&bytes)?;
    let reference = ModelRef { blob: blobs.put(&bytes)?, hidden: Vec::new() };
    let requirements = requirements(&model, &[])?;
    let specs: Vec<InputSpec> = model.graph.inputs.iter().map(InputSpec::from).collect();
    let started = Instant::now();
    let loaded = LoadedModel::load(&reference, &blobs, &params_cache::folder())?;
    let load = started.elapsed();
    drop(loaded);
    let job = |number: u32| {
        let values = |spec: &InputSpec| (0..spec.shape.iter().product::<usize>()).map(|i| value(number, i)).collect();
        let input = JobInput::new(&specs, &specs.iter().map(values).collect::<Vec<_>>()).to_bytes();
        anyhow::Ok(NewJob {
            context: Context { job_id: id(number), ..Context::default() },
            model: reference.clone(),
            requirements,
            input: blobs.put(&input)?,
            strict_range: false,
            label: format!("sample-{number:06}"),
            priority: 0,
            deadline: None,
        })
    };
    let started = Instant::now();
    // As many for each worker that are proven alone as together.
    let count = options.jobs.div_ceil(options.workers);
    let alone = (0..count).map(job).collect::<anyhow::Result<Vec<_>>>()?;
    store.submit(&alone, UnixMillis::now())?;
    let submit = started.elapsed();
    let one = work(options, store, &blobs, 1, load)?;
    println!("submission of {count} jobs: {:.2} s", submit.as_secs_f64());
    if options.workers > 1 {
        let together = (count..count + options.jobs).map(job).collect::<anyhow::Result<Vec<_>>>()?;
        store.submit(&together, UnixMillis::now())?;
        let all = work(options, store, &blobs, options.workers, load)?;
        println!("rate: {:.2} of {} times that of one worker", all / one / f64::from(options.workers), options.workers);
    }
    Ok(())
}

/// Proves what is queued, with workers of one proof at a time; gives the jobs per second, without loading.
fn work(
    options: &Options,
    store: &dyn JobStore,
    blobs: &Directory,
    workers: u32,
    load: Duration,
) -> anyhow::Result<f64> {
    let before = store.stats(0, UnixMillis::now())?;
    let started = Instant::now();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let one = |number: u32| {
            scope.spawn(move || -> anyhow::Result<()> {
                let config = Config {
                    until: Until::Drained,
                    concurrency: 1,
                    threads: options.threads,
                    ..Config::new(format!("worker {number} of {workers}"))
                };
                run((&*open(&options.store)?, blobs), &config, &AtomicBool::new(false), &|| {})?;
                Ok(())
            })
        };
        let workers: Vec<_> = (0..workers).map(one).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    let wall = started.elapsed().saturating_sub(load).as_secs_f64();
    let after = store.stats(0, UnixMillis::now())?;
    ensure!(after.jobs.queued == 0 && after.jobs.failed == 0, "{:?}", after.jobs);
    let jobs = after.jobs.done - before.jobs.done;
    let proving = Duration::from_millis(after.total.milliseconds - before.total.milliseconds).as_secs_f64();
    println!(
        "{jobs} jobs, {workers} workers: {proving:.2} s of proving and verifying, {wall:.2} s in all: overhead {:.2} %",
        100.0 * (wall * f64::from(workers) / proving - 1.0)
    );
    #[allow(clippy::cast_precision_loss)] // thousands
    Ok(jobs as f64 / wall)
}

/// Some value of an input.
fn value(number: u32, element: usize) -> f64 {
    let mixed = (element as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(number);
    f64::from(u32::try_from(mixed >> 48).unwrap_or(0)) / 65_536.0
}

fn long_queue(options: &Options, store: &dyn JobStore) -> anyhow::Result<()> {
    let job = |number: u32| NewJob {
        context: Context { domain: [1; 32], job_id: id(number), ..Context::default() },
        model: ModelRef { blob: BlobId(id(number % options.models.max(1))), hidden: Vec::new() },
        requirements: Requirements { format: 1, suite: 1, k: 8, memory: 1 << 20 },
        input: BlobId(id(number)),
        strict_range: false,
        label: format!("sample-{number:06}"),
        priority: i32::try_from(number % 3).unwrap_or(0),
        deadline: None,
    };
    let started = Instant::now();
    let jobs: Vec<NewJob> = (0..options.queued).map(job).collect();
    for chunk in jobs.chunks(1000) {
        store.submit(chunk, UnixMillis::now())?;
    }
    println!("{} jobs queued in {:.2} s", options.queued, started.elapsed().as_secs_f64());
    let claim = Claim {
        worker: "bench",
        format: 1,
        suite: 1,
        max_k: 16,
        memory: 1 << 30,
        loaded: &[],
        limit: 1,
        begin: 1,
        lease: Duration::from_secs(600),
    };
    let filter = |label: Option<&str>, states: &[JobState]| Filter {
        label: label.map(str::to_owned),
        states: states.to_vec(),
        limit: 50,
        ..Filter::default()
    };
    measure("claim", options.runs, || Ok(store.claim(&claim, UnixMillis::now()).map(|jobs| jobs.len() == 1)?))?;
    measure("list", options.runs, || Ok(!store.list(&filter(None, &[]))?.is_empty()))?;
    let queued = filter(None, &[JobState::Queued]);
    measure("list --state queued", options.runs, || Ok(!store.list(&queued)?.is_empty()))?;
    let rare = filter(Some("sample-000001"), &[]);
    measure("list --label (one job)", options.runs, || Ok(!store.list(&rare)?.is_empty()))?;
    measure("stats", options.runs, || Ok(store.stats(10, UnixMillis::now())?.jobs.queued > 0))
}

fn measure(name: &str, runs: usize, mut work: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        ensure!(work()?, "{name} found nothing");
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let (median, largest) = (times.get(runs / 2), times.last().context("--runs is 0")?);
    println!("{name:24} median {:8.2} ms, largest {largest:8.2} ms", median.unwrap_or(largest));
    Ok(())
}
