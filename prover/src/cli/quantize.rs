//! `zkonnx quantize`.

use super::{files, output, Failure, Outcome};
use crate::{
    generators::Generators,
    keys::{verifier_model, ParamColumns},
};
use clap::Args;
use std::{path::PathBuf, sync::Arc, time::Instant};
use zkonnx_circuits::{
    compiled::{CompiledModel, K_RANGE},
    cost::{choose_layout, predict},
    lower::Modes,
};
use zkonnx_quantize::{
    data::Samples,
    model::{LayoutChoice, QuantizedModel, WeightPrivacy},
    onnx::OnnxModel,
    quantize,
    recipe::{Method, Recipe},
    report::{accuracy, AccuracyReport},
};
use zkonnx_verifier::{statement::ModelId, zkv::VerifierModel};

#[derive(Debug, Args)]
pub(super) struct Quantize {
    /// The ONNX model
    model: PathBuf,
    /// Where to write the quantised model (.zkq); the verifier's file goes beside it (.zkv)
    #[arg(short, long)]
    output: PathBuf,
    /// Samples to find ranges from: .npy, .npz, .json or .csv
    #[arg(long, value_name = "DATA")]
    calibrate: Option<PathBuf>,
    /// Samples for the accuracy report; by default the last fifth of the calibration samples, which is
    /// then not used for calibration
    #[arg(long, value_name = "DATA")]
    evaluate: Option<PathBuf>,
    /// Bits of an activation
    #[arg(long)]
    bits: Option<u8>,
    /// Cut this share of outliers when finding ranges, for example 0.9999; the default is minimum and maximum
    #[arg(long, value_name = "SHARE")]
    percentile: Option<f64>,
    /// The declared range of every input, for example 0,1
    #[arg(long, value_name = "LO,HI", value_parser = parse_range, allow_hyphen_values = true)]
    input_range: Option<(f64, f64)>,
    /// Size of a symbolic dimension (may be given several times)
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = files::parse_dim)]
    dims: Vec<(String, u32)>,
    /// Blind the commitments of the weights: nothing public then depends on their values
    #[arg(long)]
    private_weights: bool,
    /// Fail when the largest output error is above this
    #[arg(long, value_name = "E", value_parser = parse_limit)]
    max_error: Option<f64>,
    /// Fail when top-1 agreement with the float model is below this share
    #[arg(long, value_name = "SHARE", value_parser = parse_limit)]
    min_top1: Option<f64>,
    /// Write the accuracy report here, as JSON
    #[arg(long, value_name = "R.json")]
    report: Option<PathBuf>,
    /// Rows of the circuit, as a power of two; chosen by the cost model by default
    #[arg(long)]
    k: Option<u8>,
    /// Width of a limb in bits; chosen by the cost model by default
    #[arg(long)]
    limb_bits: Option<u8>,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let (lo, hi) = text.split_once(',').ok_or("expected LO,HI")?;
    let number = |t: &str| t.trim().parse::<f64>().map_err(|_| format!("'{t}' is no number"));
    Ok((number(lo)?, number(hi)?))
}

/// A limit that can be compared with.
fn parse_limit(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|limit: &f64| limit.is_finite()).ok_or_else(|| format!("'{text}' is no number"))
}

/// A quantised model with its verifier's file.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) model: QuantizedModel,
    pub(super) zkv: Vec<u8>,
    pub(super) id: ModelId,
}

/// Chooses a layout, sets the privacy and commits the weights.
pub(super) fn build(
    mut model: QuantizedModel,
    private: bool,
    (k, limb_bits): (Option<u8>, Option<u8>),
) -> Result<Built, Failure> {
    if let Some(k) = k.filter(|k| !K_RANGE.contains(k)) {
        return Err(Failure::new(format!("k = {k} is not supported ({} to {})", K_RANGE.start(), K_RANGE.end())));
    }
    let graph = Arc::new(model.graph.clone());
    model.layout = match (k, limb_bits) {
        (Some(k), Some(limb_bits)) => LayoutChoice { k, limb_bits },
        _ => choose_layout(&graph, k, limb_bits).map_err(Failure::new)?.0,
    };
    // Refuse an impossible choice before anything is derived for it.
    CompiledModel::new(graph, Modes::public(&model.graph), model.layout).map_err(Failure::new)?;
    if private {
        let mut blind_seed = [0; 32];
        getrandom::fill(&mut blind_seed).map_err(|e| Failure::new(format!("no randomness: {e}")))?;
        model.privacy = WeightPrivacy::Private { blind_seed };
    }
    let params = files::params(model.layout.k.into())?;
    let generators = Generators::new(&params).ok_or_else(|| Failure::new("unusable parameters"))?;
    let columns = ParamColumns::new(&model, &generators);
    let zkv = verifier_model(&model, &columns).to_bytes();
    Ok(Built { id: VerifierModel::id_of(&zkv), model, zkv })
}

impl Quantize {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let zkv = self.check_files()?;
        let bar = files::spinner("importing");
        let dims = files::dims(&self.dims);
        let onnx = OnnxModel::from_path(&self.model, &dims)
            .map_err(|e| Failure::at(&self.model, e).hint("`zkonnx inspect` shows what is in the model"))?;
        let (calibration, held_out) = self.samples(&onnx)?;
        let mut recipe = Recipe { dims, private_weights: self.private_weights, ..Recipe::default() };
        recipe.bits = self.bits.unwrap_or(recipe.bits);
        recipe.input_range = self.input_range;
        if let Some(share) = self.percentile {
            recipe.calibration = Method::Percentile(share);
        }
        bar.set_message("quantising");
        let (model, notes) = quantize(&onnx, calibration.as_ref(), &recipe).map_err(|e| Failure::at(&self.model, e))?;
        bar.set_message("committing");
        let built = build(model, self.private_weights, (self.k, self.limb_bits))
            .map_err(|e| Failure::at(&self.model, e.message))?;
        let seconds = started.elapsed().as_secs_f64();
        bar.set_message("measuring accuracy");
        let report = match &held_out {
            Some(samples) => Some(accuracy(&onnx, &built.model, samples).map_err(Failure::new)?),
            None => None,
        };
        bar.finish_and_clear();
        for warning in &notes.warnings {
            eprintln!("warning: {warning}");
        }
        // The report is worth having, above all when it says no.
        if let (Some(path), Some(report)) = (&self.report, &report) {
            let json = serde_json::json!({ "model_id": built.id.to_string(), "accuracy": report, "notes": notes });
            output::write(&[(path, format!("{json:#}\n").as_bytes())])?;
        }
        self.check(report.as_ref())?;
        let bytes = built.model.to_bytes();
        output::write(&[(&zkv, &built.zkv), (&self.output, &bytes)])?;
        self.print(&built, report.as_ref(), (bytes.len(), seconds))
    }

    /// The verifier's file; refuses names that would do harm.
    fn check_files(&self) -> Result<PathBuf, Failure> {
        if self.output.extension().is_none_or(|e| e != "zkq") {
            return Err(Failure::at(&self.output, "the output needs the extension .zkq")
                .hint("the verifier's file goes beside it with the extension .zkv"));
        }
        let zkv = self.output.with_extension("zkv");
        let outputs = [Some(&self.output), Some(&zkv), self.report.as_ref()];
        let inputs = [Some(&self.model), self.calibrate.as_ref(), self.evaluate.as_ref()];
        output::check(&outputs, &inputs)?;
        Ok(zkv)
    }

    /// Samples for calibration, and others for the report.
    fn samples(&self, onnx: &OnnxModel) -> Result<(Option<Samples>, Option<Samples>), Failure> {
        let specs = onnx.inputs();
        let read = |path: &PathBuf| files::samples(path, &specs);
        let calibration = self.calibrate.as_ref().map(read).transpose()?;
        let held_out = self.evaluate.as_ref().map(read).transpose()?;
        match (calibration, held_out) {
            (Some(samples), None) if samples.len() >= 10 => {
                let keep = samples.len() - samples.len() / 5;
                let (first, rest) = samples.split_at(keep);
                Ok((Some(first), Some(rest)))
            }
            (Some(samples), None) => Ok((Some(samples.clone()), Some(samples))),
            other => Ok(other),
        }
    }

    /// Fails the build when the report misses a limit.
    fn check(&self, report: Option<&AccuracyReport>) -> Result<(), Failure> {
        if (self.max_error.is_some() || self.min_top1.is_some()) && report.is_none() {
            return Err(Failure::new("--max-error and --min-top1 need samples").hint("give --calibrate or --evaluate"));
        }
        for output in report.iter().flat_map(|r| &r.outputs) {
            let hint = "raise --bits, or calibrate on more samples; no model was written";
            if let Some(limit) = self.max_error.filter(|limit| output.max_error.is_nan() || output.max_error > *limit) {
                let message = format!("output '{}' is off by up to {}, above {limit}", output.name, output.max_error);
                return Err(Failure::new(message).hint(hint));
            }
            if let Some(limit) = self.min_top1.filter(|limit| output.top1_agreement < *limit) {
                let message =
                    format!("output '{}' agrees in top-1 on {}, below {limit}", output.name, output.top1_agreement);
                return Err(Failure::new(message).hint(hint));
            }
        }
        Ok(())
    }

    fn print(
        &self,
        built: &Built,
        report: Option<&AccuracyReport>,
        (zkq_bytes, seconds): (usize, f64),
    ) -> Result<Outcome, Failure> {
        let graph = Arc::new(built.model.graph.clone());
        let modes = Modes::public(&graph);
        let compiled = CompiledModel::new(graph, modes, built.model.layout).map_err(Failure::new)?;
        let cost = predict(&compiled);
        let layout = built.model.layout;
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "model_id": built.id.to_string(),
                    "k": layout.k,
                    "limb_bits": layout.limb_bits,
                    "zkq_bytes": zkq_bytes,
                    "zkv_bytes": built.zkv.len(),
                    "seconds": seconds,
                    "predicted_prove_seconds": cost.seconds,
                    "predicted_memory_bytes": cost.memory,
                    "accuracy": report,
                })
            );
            return Ok(Outcome::Done);
        }
        if let Some(report) = report {
            say!("{report}");
        }
        say!("model id   {}", built.id);
        say!(
            "layout     k = {}, limbs of {} bits, {} advice columns, {} lookups",
            layout.k,
            layout.limb_bits,
            cost.advice_columns,
            cost.lookups
        );
        say!("predicted  {:.2} s to prove, {}", cost.seconds, files::bytes(cost.memory));
        say!(
            "written    {} ({}), {} ({}) in {seconds:.2} s",
            self.output.display(),
            files::bytes(zkq_bytes),
            self.output.with_extension("zkv").display(),
            files::bytes(built.zkv.len())
        );
        Ok(Outcome::Done)
    }
}
