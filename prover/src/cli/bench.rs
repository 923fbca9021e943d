//! `zkonnx bench`.

use super::{
    bench_batch::{self, BatchTimes},
    files,
    stages::{median, peak, reset_peak, StageTimes},
    Failure, Outcome,
};
use crate::{keys::ProverModel, prove::prove};
use clap::Args;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};
use tracing_subscriber::layer::SubscriberExt;
use zkonnx_circuits::{cost::predict, lower::Modes};
use zkonnx_quantize::{graph::Graph, model::QuantizedModel};
use zkonnx_verifier::{registry::Registry, statement::Context, verify::verify};

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// The quantised model
    model: PathBuf,
    /// One or more inputs; without it, pseudo-random integers in the declared range
    #[arg(long)]
    input: Option<PathBuf>,
    /// How often to prove and verify
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Prove this many, and verify them one by one and in one batch, with one thread and with all
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Prove this many inferences in one proof
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    group: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The stages of a proof, in order: span names of the prover.
const PROVE_STAGES: [&str; 7] =
    ["evaluate", "witness", "phase-1 commitments", "halo2 proof", "sumcheck", "relations", "opening"];

impl Bench {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        if self.runs == 0 || self.batch == Some(0) {
            return Err(Failure::new("--runs or --batch is 0"));
        }
        let times = StageTimes::default();
        let subscriber = tracing_subscriber::registry().with(times.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut stages: BTreeMap<&str, f64> = BTreeMap::new();
        let mut once = |name: &'static str, started: Instant| {
            stages.insert(name, started.elapsed().as_secs_f64());
        };

        let started = Instant::now();
        let model = files::read_model(&self.model)?;
        once("load", started);
        let inputs = grouped(&self.inputs(&model)?, self.group);
        let started = Instant::now();
        let params = files::params(model.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?;
        once("params", started);
        let started = Instant::now();
        let modes = Modes::public(&model.graph);
        let prover = ProverModel::of_group(model.clone(), self.group, modes, params.clone());
        let prover = prover.map_err(|e| Failure::at(&self.model, e))?;
        once("keys and commitments", started);
        let mut registry = Registry::new();
        registry.insert_params(params);
        let started = Instant::now();
        let handle = registry.register(&prover.zkv).map_err(Failure::new)?;
        once("register", started);
        let prepare_peak = peak();
        times.take();

        let mut runs: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        let mut prove_peak = None;
        let (mut proof_bytes, mut statement_bytes) = (0, 0);
        for run in 0..self.runs {
            reset_peak();
            let started = Instant::now();
            let inputs = &inputs[run % inputs.len()];
            let (statement, proof) = prove(&prover, inputs, Context::default()).map_err(Failure::new)?;
            runs.entry("prove").or_default().push(started.elapsed());
            prove_peak = prove_peak.max(peak());
            for (name, time) in times.take() {
                runs.entry(name).or_default().push(time);
            }
            let started = Instant::now();
            verify(&handle, &statement, &proof, None).map_err(Failure::new)?;
            runs.entry("verify").or_default().push(started.elapsed());
            (proof_bytes, statement_bytes) = (proof.len(), statement.to_bytes().len());
        }
        let batches = match self.batch {
            Some(count) => bench_batch::measure(&prover, &handle, (&inputs, count), self.runs)?,
            None => Vec::new(),
        };
        let spread = |name: &str| {
            let all = runs.get(name).map_or(&[][..], Vec::as_slice);
            let (min, max) = (all.iter().min(), all.iter().max());
            (median(all), min.map_or(0.0, Duration::as_secs_f64), max.map_or(0.0, Duration::as_secs_f64))
        };
        let cost = predict(&prover.keys.compiled);
        let layout = prover.model.layout;
        if self.json {
            let medians: BTreeMap<&str, _> = runs
                .keys()
                .map(|name| {
                    let (median, min, max) = spread(name);
                    (*name, serde_json::json!({ "median": median, "min": min, "max": max }))
                })
                .collect();
            say!(
                "{:#}",
                serde_json::json!({
                    "model_id": prover.id.to_string(),
                    "environment": environment(),
                    "k": layout.k,
                    "limb_bits": layout.limb_bits,
                    "advice_columns": cost.advice_columns,
                    "word_columns": prover.keys.compiled.shape.columns.len(),
                    "lookups": cost.lookups,
                    "runs": self.runs,
                    "group": self.group,
                    "once_seconds": stages,
                    "seconds": medians,
                    "verify_batches": batches.iter().map(BatchTimes::to_json).collect::<Vec<_>>(),
                    "prepare_peak_bytes": prepare_peak,
                    "prove_peak_bytes": prove_peak,
                    "proof_bytes": proof_bytes,
                    "statement_bytes": statement_bytes,
                    "zkv_bytes": prover.zkv.len(),
                    "predicted_prove_seconds": cost.seconds,
                    "predicted_memory_bytes": cost.memory,
                })
            );
            return Ok(Outcome::Done);
        }
        say!(
            "k = {}, limbs of {} bits, {} advice columns, {} lookups; {} runs, every proof verified",
            layout.k,
            layout.limb_bits,
            cost.advice_columns,
            cost.lookups,
            self.runs
        );
        say!("{:24} {:>10}", "once", "seconds");
        for (name, seconds) in &stages {
            say!("{name:24} {seconds:>10.4}");
        }
        say!("{:24} {:>10} {:>10} {:>10}", "stage", "median", "min", "max");
        for name in PROVE_STAGES.into_iter().chain(["prove", "verify"]) {
            let (median, min, max) = spread(name);
            say!("{name:24} {median:>10.4} {min:>10.4} {max:>10.4}");
        }
        for batch in &batches {
            say!("{batch}");
        }
        let memory = |peak: Option<usize>| peak.map_or("unknown".into(), files::bytes);
        say!("peak memory              {} to prepare, {} to prove", memory(prepare_peak), memory(prove_peak));
        say!(
            "proof {}, statement {}, zkv {}; predicted {:.3} s, {}",
            files::bytes(proof_bytes),
            files::bytes(statement_bytes),
            files::bytes(prover.zkv.len()),
            cost.seconds,
            files::bytes(cost.memory)
        );
        Ok(Outcome::Done)
    }

    fn inputs(&self, model: &QuantizedModel) -> Result<Vec<Vec<Vec<i64>>>, Failure> {
        match &self.input {
            None => Ok((0..4).map(|seed| pseudo_random(&model.graph, seed)).collect()),
            Some(path) => {
                let samples = files::samples(path, &files::input_specs(&model.graph))?;
                (0..samples.len()).map(|s| files::quantise(&model.graph, (path, &samples), s, false)).collect()
            }
        }
    }
}

/// The inputs of groups of `size` samples, over and over, one group for each sample.
fn grouped(samples: &[Vec<Vec<i64>>], size: u32) -> Vec<Vec<Vec<i64>>> {
    let group = |first: usize| {
        let members = samples.iter().cycle().skip(first).take(size as usize);
        members.fold(Vec::new(), |mut group: Vec<Vec<i64>>, sample| {
            group.resize(sample.len(), Vec::new());
            group.iter_mut().zip(sample).for_each(|(all, one)| all.extend(one));
            group
        })
    };
    (0..samples.len()).map(group).collect()
}

/// Integers over the whole declared intervals, the same everywhere (an xorshift generator).
fn pseudo_random(graph: &Graph, seed: u64) -> Vec<Vec<i64>> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    graph
        .inputs
        .iter()
        .map(|input| {
            let width = u128::from(input.bounds.hi.abs_diff(input.bounds.lo)) + 1;
            let count: usize = input.shape.iter().map(|s| *s as usize).product();
            (0..count)
                .map(|_| {
                    let offset = i64::try_from(u128::from(next()) % width).unwrap_or(0);
                    input.bounds.lo + offset
                })
                .collect()
        })
        .collect()
}

/// What was measured on.
fn environment() -> serde_json::Value {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?.to_owned();
        line.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "cpu": cpu,
        "threads": rayon::current_num_threads(),
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
    })
}
