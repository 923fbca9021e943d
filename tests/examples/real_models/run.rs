//! One model: import, comparison, widths, proof.

use crate::{
    models::{Model, Near},
    Arguments,
};
use anyhow::{anyhow, Context as _};
use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use zkonnx_circuits::{
    cost::{choose_layout, Cost},
    lower::Modes,
};
use zkonnx_prover::{keys::ProverModel, params_cache, prove::prove};
use zkonnx_quantize::{
    data::{dequantise_output, quantise_input, read_npz, read_samples, InputSpec, NamedTensor, Samples},
    eval::evaluate,
    model::QuantizedModel,
    onnx::{inspect::inspect, ImportOptions},
    quantize,
    report::{accuracy, argmax},
    OnnxModel, QuantizeNotes, Recipe,
};
use zkonnx_verifier::{registry::Registry, statement::Context, verify::verify};

/// The widths that are tried.
const LADDER: [u8; 7] = [8, 10, 12, 14, 16, 18, 20];
/// Of models with more multiply-accumulates than these, only widths from [`LARGE_BITS`] on are.
const LARGE_MACS: u64 = 10_000_000;
/// See [`LARGE_MACS`].
const LARGE_BITS: u8 = 12;
/// Proofs that take longer than this are timed once.
const SLOW: f64 = 5.0;
/// The sample that is proven.
const PROVEN: usize = 1;

/// What came of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) weights: u64,
    pub(crate) macs: u64,
    /// What importing the file takes, with what `inspect` counts.
    pub(crate) import_seconds: f64,
    /// What calibrating and quantising at the chosen width take.
    pub(crate) quantise_seconds: f64,
    /// Peak memory of all that comes before keys, with the widths that were tried.
    pub(crate) prepare_memory: Option<u64>,
    /// The largest difference of our float model from ONNX Runtime, as a share of an output's range.
    pub(crate) float_error: f64,
    pub(crate) bits: u8,
    pub(crate) per_channel: bool,
    pub(crate) calibration_samples: usize,
    pub(crate) nodes: usize,
    pub(crate) k: u8,
    pub(crate) limb_bits: u8,
    pub(crate) columns: usize,
    pub(crate) lookups: usize,
    pub(crate) predicted_seconds: f64,
    pub(crate) outputs: Vec<OutputLine>,
    /// Whether the integers are near enough.
    pub(crate) near: bool,
    /// The accuracy report.
    pub(crate) report: String,
    pub(crate) proof: Option<ProofLine>,
}

/// An output: integers against ONNX Runtime's floats, on held-out samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutputLine {
    pub(crate) name: String,
    pub(crate) elements: usize,
    /// The largest error as a share of the range.
    pub(crate) error: f64,
    pub(crate) top1: f64,
    /// The smallest cosine of a vector along the last axis with its reference.
    pub(crate) cosine: f64,
}

/// A proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProofLine {
    pub(crate) keys_seconds: f64,
    pub(crate) prove_seconds: f64,
    /// Seconds of all cores together; other work on the machine does not count.
    pub(crate) prove_cpu_seconds: Option<f64>,
    pub(crate) verify_seconds: f64,
    pub(crate) bytes: usize,
    pub(crate) zkv_bytes: usize,
    /// The whole process's peak from keys to verification.
    pub(crate) memory: Option<u64>,
}

impl Outcome {
    /// What is asked of the model and not met.
    pub(crate) fn missed(&self, model: &Model) -> Vec<String> {
        let mut missed = Vec::new();
        if !self.near {
            missed.push(format!("{:?} is not met at {} bits", model.near, self.bits));
        }
        let (Some(proof), reach) = (&self.proof, &model.reach) else { return missed };
        if proof.prove_seconds > reach.seconds {
            missed.push(format!("proving takes {:.2} s, more than {} s", proof.prove_seconds, reach.seconds));
        }
        let megabytes = proof.memory.map_or(0, |bytes| bytes.div_ceil(1_000_000));
        if megabytes > reach.megabytes {
            missed.push(format!("proving takes {megabytes} MB of memory, more than {}", reach.megabytes));
        }
        if proof.bytes > reach.bytes {
            missed.push(format!("the proof has {} bytes, more than {}", proof.bytes, reach.bytes));
        }
        if proof.verify_seconds > reach.verify {
            let (taken, limit) = (1e3 * proof.verify_seconds, 1e3 * reach.verify);
            missed.push(format!("verifying takes {taken:.0} ms, more than {limit:.0} ms"));
        }
        missed
    }
}

/// A width that was tried.
struct Tried {
    model: QuantizedModel,
    notes: QuantizeNotes,
    cost: Cost,
    seconds: f64,
    outputs: Vec<OutputLine>,
    near: bool,
    recipe: Recipe,
}

/// Runs a model.
pub(crate) fn run(model: &Model, arguments: &Arguments) -> anyhow::Result<Outcome> {
    let path = arguments.models.join(format!("{}.onnx", model.name));
    let data = |part: &str| arguments.samples.join(format!("{}_{part}.npz", model.name));
    let dims: BTreeMap<String, u32> = model.dims.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect();
    let started = Instant::now();
    let inspection = inspect(&path, &ImportOptions { dims, ..ImportOptions::default() })?;
    let import_seconds = started.elapsed().as_secs_f64();
    let problem = || anyhow!("not imported: {}", inspection.problem.clone().unwrap_or_default());
    let onnx = inspection.model.as_ref().ok_or_else(problem)?;
    println!("{}: {} weights, {} multiply-accumulates", model.name, inspection.weights, inspection.macs);
    println!("  imported in {import_seconds:.1} s");
    let calibration = read_samples(&data("calibration"), &onnx.inputs())?;
    let held_out = read_samples(&data("heldout"), &onnx.inputs())?;
    let expected = read_npz(&data("expected"))?;
    let float_error = compare(onnx, &held_out, &expected)?;
    println!("  float model against ONNX Runtime: {:.6} % of an output's range", 100.0 * float_error);
    if float_error > model.float {
        return Err(anyhow!("the float model differs from ONNX Runtime"));
    }

    let least = if inspection.macs > LARGE_MACS { LARGE_BITS } else { 0 };
    let widths = arguments.bits.map_or_else(|| LADDER.into_iter().filter(|b| *b >= least).collect(), |bits| vec![bits]);
    let chosen = choose(model, onnx, (&calibration, &held_out, &expected), widths, arguments)?;
    let report = accuracy(onnx, &chosen.model, &held_out)?;
    println!("{report}");
    for table in chosen.notes.tables.iter().filter(|t| t.interpolated) {
        println!("  {} of '{}': {} segments, error {:e}", table.function, table.node, table.entries, table.max_error);
    }
    for warning in &chosen.notes.warnings {
        println!("  {warning}");
    }
    let layout = chosen.model.layout;
    let mut outcome = Outcome {
        weights: inspection.weights,
        macs: inspection.macs,
        import_seconds,
        quantise_seconds: chosen.seconds,
        prepare_memory: peak(),
        float_error,
        bits: chosen.recipe.bits,
        per_channel: chosen.recipe.per_channel,
        calibration_samples: chosen.notes.calibration_samples,
        nodes: chosen.model.graph.nodes.len(),
        k: layout.k,
        limb_bits: layout.limb_bits,
        columns: chosen.cost.columns,
        lookups: chosen.cost.lookups,
        predicted_seconds: chosen.cost.seconds,
        outputs: chosen.outputs,
        near: chosen.near,
        report: report.to_string(),
        proof: None,
    };
    if !arguments.no_prove {
        let values = held_out.sample(PROVEN);
        let integers = chosen.model.graph.inputs.iter().zip(values).map(|(i, v)| Ok(quantise_input(i, v)?.values));
        let inputs = integers.collect::<anyhow::Result<Vec<_>>>()?;
        outcome.proof = Some(prove_once_or_thrice(chosen.model, &inputs)?);
    }
    Ok(outcome)
}

/// The largest difference of the float model from ONNX Runtime, as a share of an output's range.
fn compare(onnx: &OnnxModel, samples: &Samples, expected: &[NamedTensor]) -> anyhow::Result<f64> {
    let run = |s| {
        let outputs = onnx.graph().run(&samples.tensors(s), |_, _| ())?;
        Ok(outputs.iter().map(|tensor| tensor.data.clone()).collect())
    };
    Ok(against(&onnx.outputs(), samples.len(), expected, run)?.into_iter().map(|o| o.error).fold(0.0, f64::max))
}

/// Outputs of all samples, one list for each output, against ONNX Runtime's.
fn against(
    specs: &[InputSpec],
    samples: usize,
    expected: &[NamedTensor],
    run: impl Fn(usize) -> anyhow::Result<Vec<Vec<f64>>> + Sync,
) -> anyhow::Result<Vec<OutputLine>> {
    let references: Vec<&NamedTensor> =
        specs.iter().map(|spec| find(expected, &spec.name)).collect::<anyhow::Result<_>>()?;
    // Of each sample and output: the largest error, whether the largest element is the same, the smallest cosine.
    let compared = |s: usize| -> anyhow::Result<Vec<(f64, bool, f64)>> {
        let outputs = run(s)?;
        let lines = specs.iter().zip(&references).zip(&outputs).map(|((spec, reference), output)| {
            let part = reference.data.chunks(output.len()).nth(s).context("fewer expected outputs than samples")?;
            let error = output.iter().zip(part).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let width = spec.shape.last().copied().unwrap_or(1).max(1);
            let cosines = output.chunks(width).zip(part.chunks(width)).map(|(a, b)| cosine(a, b));
            Ok((error, argmax(output) == argmax(part), cosines.fold(1.0, f64::min)))
        });
        lines.collect()
    };
    let all = (0..samples).into_par_iter().map(compared).collect::<anyhow::Result<Vec<_>>>()?;
    let line = |(o, (spec, reference)): (usize, (&InputSpec, &&NamedTensor))| {
        let of = || all.iter().filter_map(|outputs| outputs.get(o));
        let worst = of().map(|line| line.0).fold(0.0, f64::max);
        let (lo, hi) = range(&reference.data);
        #[allow(clippy::cast_precision_loss)] // counts
        let top1 = of().filter(|line| line.1).count() as f64 / all.len().max(1) as f64;
        OutputLine {
            name: spec.name.clone(),
            elements: spec.shape.iter().product(),
            // A constant output has no range.
            error: if worst > 0.0 { worst / (hi - lo) } else { 0.0 },
            top1,
            cosine: of().map(|line| line.2).fold(1.0, f64::min),
        }
    };
    Ok(specs.iter().zip(&references).enumerate().map(line).collect())
}

/// The cosine of the angle between two vectors; 1 where both are zero.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 {
        dot(a, b) / lengths
    } else {
        f64::from(u8::from(a == b))
    }
}

fn find<'a>(arrays: &'a [NamedTensor], name: &str) -> anyhow::Result<&'a NamedTensor> {
    arrays.iter().find(|a| a.name == name).with_context(|| format!("no expected output '{name}'"))
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)))
}

/// The smallest width whose integers are near enough, or else the largest; without scales per channel, if they are
/// not needed.
fn choose(
    model: &Model,
    onnx: &OnnxModel,
    samples: (&Samples, &Samples, &[NamedTensor]),
    widths: Vec<u8>,
    arguments: &Arguments,
) -> anyhow::Result<Tried> {
    let mut last = None;
    for bits in widths {
        let channels: &[bool] = match (arguments.per_channel, arguments.bits) {
            (true, _) => &[true],
            (false, Some(_)) => &[false],
            (false, None) => &[false, true],
        };
        for per_channel in channels {
            let recipe = Recipe { per_channel: *per_channel, ..Recipe::of_bits(bits) };
            let tried = try_width(model, onnx, samples, recipe)?;
            if tried.near {
                return Ok(tried);
            }
            last = Some(tried);
        }
    }
    last.context("no width")
}

fn try_width(
    model: &Model,
    onnx: &OnnxModel,
    (calibration, held_out, expected): (&Samples, &Samples, &[NamedTensor]),
    recipe: Recipe,
) -> anyhow::Result<Tried> {
    let started = Instant::now();
    let (mut quantised, notes) = quantize(onnx, Some(calibration), &recipe)?;
    let seconds = started.elapsed().as_secs_f64();
    let (layout, cost) = choose_layout(&Arc::new(quantised.graph.clone()), quantised.layout.gates, None, None)?;
    quantised.layout = layout;
    let run = |s| {
        let inputs = quantised.graph.inputs.iter().zip(held_out.sample(s));
        let inputs = inputs.map(|(i, v)| Ok(quantise_input(i, v)?.values)).collect::<anyhow::Result<Vec<_>>>()?;
        let trace = evaluate(&quantised, &inputs)?;
        let outputs = quantised.graph.outputs.iter().zip(&trace.outputs);
        Ok(outputs.map(|(output, integers)| dequantise_output(output, integers).data).collect())
    };
    let outputs = against(&onnx.outputs(), held_out.len(), expected, run)?;
    let near = match model.near {
        Near::Error(limit) => outputs.iter().all(|o| o.error <= limit),
        Near::Top1(name, share) => outputs.iter().any(|o| o.name == name && o.top1 >= share),
        Near::Cosine(name, least) => outputs.iter().any(|o| o.name == name && o.cosine >= least),
    };
    let (bits, channels) = (recipe.bits, if recipe.per_channel { ", per channel" } else { "" });
    print!(
        "  {bits} bits{channels}: {} nodes, k = {}, limbs of {}, ",
        quantised.graph.nodes.len(),
        layout.k,
        layout.limb_bits
    );
    print!("{} columns, {} lookups, predicted {:.1} s;", cost.columns, cost.lookups, cost.seconds);
    for o in &outputs {
        let (error, top1) = (100.0 * o.error, 100.0 * o.top1);
        print!(" {}: error {error:.3} %, top-1 {top1:.1} %, cosine {:.6};", o.name, o.cosine);
    }
    println!(" {:.1} s", started.elapsed().as_secs_f64());
    Ok(Tried { model: quantised, notes, cost, seconds, outputs, near, recipe })
}

fn prove_once_or_thrice(model: QuantizedModel, inputs: &[Vec<i64>]) -> anyhow::Result<ProofLine> {
    let (params, _) = params_cache::load(&params_cache::folder(), model.layout.k.into())?;
    let params: Arc<Params<EqAffine>> = Arc::new(params);
    // Forgets the peak of what was before; Linux only.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let started = Instant::now();
    let modes = Modes::public(&model.graph);
    let prover = ProverModel::new(model, modes, Arc::clone(&params))?;
    let keys_seconds = started.elapsed().as_secs_f64();
    let mut registry = Registry::new();
    registry.insert_params(params);
    let handle = registry.register(&prover.zkv)?;
    let (mut proving, mut busy, mut verifying, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while proving.len() < 3 && proving.iter().all(|seconds| *seconds < SLOW) {
        let (before, started) = (cpu_seconds(), Instant::now());
        let (statement, proof) = prove(&prover, inputs, Context::default())?;
        proving.push(started.elapsed().as_secs_f64());
        busy.extend(cpu_seconds().zip(before).map(|(after, before)| after - before));
        let started = Instant::now();
        verify(&handle, &statement, &proof, None).map_err(|e| anyhow!("the proof is refused: {e}"))?;
        verifying.push(started.elapsed().as_secs_f64());
        bytes = proof.len();
    }
    let line = ProofLine {
        keys_seconds,
        prove_cpu_seconds: (!busy.is_empty()).then(|| median(busy)),
        prove_seconds: median(proving),
        verify_seconds: median(verifying),
        bytes,
        zkv_bytes: prover.zkv.len(),
        memory: peak(),
    };
    println!(
        "  keys {:.2} s, proof {:.2} s ({:.2} s of cores), {} bytes, verified in {:.1} ms, {} MB",
        line.keys_seconds,
        line.prove_seconds,
        line.prove_cpu_seconds.unwrap_or(f64::NAN),
        line.bytes,
        1e3 * line.verify_seconds,
        line.memory.unwrap_or(0) >> 20
    );
    Ok(line)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that this process has kept cores busy; `None` where unknown.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The fields after the name in parentheses; times of user and system are the 14th and 15th of all, in hundredths.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Peak resident memory in bytes; `None` where unknown.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
