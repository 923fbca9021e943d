//! `zkonnx quantize`.

use super::{
    auto::Search,
    files,
    gates::{layout_text, GatesOption},
    limits::Limits,
    output,
    recipe::RecipeOptions,
    register::{verifier_file, VerifierFile},
    stages, Failure, Outcome,
};
use crate::proven_by::cells;
use clap::Args;
use indicatif::ProgressBar;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use zkonnx_circuits::{
    compiled::{CompiledModel, K_RANGE},
    cost::{choose_layout, predict},
    lower::Modes,
};
use zkonnx_quantize::{
    data::Samples,
    model::{Gates, LayoutChoice, QuantizedModel, WeightPrivacy},
    onnx::OnnxModel,
    quantize,
    recipe::Recipe,
    report::{accuracy, AccuracyReport},
};
use zkonnx_verifier::statement::ModelId;

#[derive(Debug, Args)]
pub(super) struct Quantize {
    /// The ONNX model
    model: PathBuf,
    /// Where to write the quantised model (.zkq); the verifier's file goes beside it (.zkv)
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    recipe: RecipeOptions,
    /// Samples for the accuracy report; by default the last fifth of the calibration samples, which is
    /// then not used for calibration
    #[arg(long, value_name = "DATA")]
    evaluate: Option<PathBuf>,
    /// Bits of an activation, 4 to 24 (12, 16 and 24 for regression and transformers); inputs and weights follow.
    /// With `auto`, the cheapest that meets --max-error and --min-top1
    #[arg(long, value_name = "N|auto", value_parser = parse_bits)]
    bits: Option<Bits>,
    /// The same as --bits auto
    #[arg(long, conflicts_with = "bits")]
    auto: bool,
    /// Blind the commitments of the weights: nothing public then depends on their values
    #[arg(long)]
    private_weights: bool,
    #[command(flatten)]
    limits: Limits,
    /// Write the accuracy report here, as JSON
    #[arg(long, value_name = "R.json")]
    report: Option<PathBuf>,
    /// Rows of the circuit, as a power of two; chosen by the cost model by default
    #[arg(long)]
    k: Option<u8>,
    /// Width of a limb in bits; chosen by the cost model by default
    #[arg(long)]
    limb_bits: Option<u8>,
    /// How gates are proven; a part of the model's identity
    #[arg(long, value_enum, value_name = "WAY", default_value = "relations")]
    gates: GatesOption,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// The width of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bits {
    /// So many.
    These(u8),
    /// As few as the limits allow.
    Auto,
}

fn parse_bits(text: &str) -> Result<Bits, String> {
    match text {
        "auto" => Ok(Bits::Auto),
        text => text.parse().map(Bits::These).map_err(|_| format!("'{text}' is no number of bits, nor 'auto'")),
    }
}

/// A quantised model with its verifier's file.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) model: QuantizedModel,
    pub(super) zkv: Vec<u8>,
    pub(super) id: ModelId,
}

/// What there is to say in the end.
#[derive(Clone, Copy)]
struct Summary<'a> {
    built: &'a Built,
    recipe: &'a Recipe,
    report: Option<&'a AccuracyReport>,
    search: Option<&'a Search>,
}

/// Chooses a layout, sets the privacy and commits the weights.
pub(super) fn build(
    mut model: QuantizedModel,
    private: bool,
    (gates, k, limb_bits): (Gates, Option<u8>, Option<u8>),
) -> Result<Built, Failure> {
    if let Some(k) = k.filter(|k| !K_RANGE.contains(k)) {
        return Err(Failure::new(format!("k = {k} is not supported ({} to {})", K_RANGE.start(), K_RANGE.end())));
    }
    let graph = Arc::new(model.graph.clone());
    model.layout = match (k, limb_bits) {
        (Some(k), Some(limb_bits)) => LayoutChoice { k, limb_bits, gates },
        _ => choose_layout(&graph, gates, k, limb_bits).map_err(Failure::new)?.0,
    };
    // Refuse an impossible choice before anything is derived for it.
    CompiledModel::new(graph, Modes::public(&model.graph), model.layout).map_err(Failure::new)?;
    if private {
        let mut blind_seed = [0; 32];
        getrandom::fill(&mut blind_seed).map_err(|e| Failure::new(format!("no randomness: {e}")))?;
        model.privacy = WeightPrivacy::Private { blind_seed };
    }
    let VerifierFile { id, bytes, .. } = verifier_file(&model)?;
    Ok(Built { id, zkv: bytes, model })
}

impl Quantize {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let zkv = self.check_files()?;
        let bar = stages::start("importing", self.json);
        let onnx = self.recipe.import(&self.model)?;
        let (calibration, held_out) = self.samples(&onnx)?;
        let bits = if self.auto { Some(Bits::Auto) } else { self.bits };
        self.limits.check_use(bits == Some(Bits::Auto), held_out.is_some())?;
        self.limits.check_outputs(&onnx)?;
        stages::show(&bar, "quantising", None);
        let (bits, search) = match (bits, &held_out) {
            (Some(Bits::Auto), Some(samples)) => {
                stages::show(&bar, "trying widths", None);
                let search = self.search(&onnx, calibration.as_ref(), samples, &bar)?;
                (search.bits(), Some(search))
            }
            (Some(Bits::These(bits)), _) => (Some(bits), None),
            _ => (None, None),
        };
        let recipe = self.recipe_of(bits);
        let (model, notes) = quantize(&onnx, calibration.as_ref(), &recipe).map_err(|e| Failure::at(&self.model, e))?;
        stages::show(&bar, "committing", None);
        let built = build(model, self.private_weights, (self.gates.into(), self.k, self.limb_bits))
            .map_err(|e| e.of_file(&self.model))?;
        let seconds = started.elapsed().as_secs_f64();
        stages::show(&bar, "measuring accuracy", None);
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
            let json = serde_json::json!({
                "model_id": built.id.to_string(),
                "recipe": recipe,
                "accuracy": report,
                "notes": notes,
            });
            output::write(&[(path, format!("{json:#}\n").as_bytes())])?;
        }
        if let Some((_, missed)) = report.as_ref().and_then(|report| self.limits.missed(report)) {
            let hint = "raise --bits, or calibrate on more samples; no model was written";
            return Err(Failure::new(missed).hint(hint));
        }
        let bytes = built.model.to_bytes();
        let own: (&Path, &[u8]) = (&self.output, &bytes);
        if self.private_weights {
            output::write_with_secrets(&[own], &[(&zkv, &built.zkv)])?;
        } else {
            output::write(&[(&zkv, &built.zkv), own])?;
        }
        let summary = Summary { built: &built, recipe: &recipe, report: report.as_ref(), search: search.as_ref() };
        self.print(&summary, (bytes.len(), seconds))
    }

    fn recipe_of(&self, bits: Option<u8>) -> Recipe {
        Recipe { private_weights: self.private_weights, ..self.recipe.recipe(bits) }
    }

    /// Tries all widths and says what they give; fails when none meets the limits.
    fn search(
        &self,
        onnx: &OnnxModel,
        calibration: Option<&Samples>,
        samples: &Samples,
        bar: &ProgressBar,
    ) -> Result<Search, Failure> {
        let layout = (self.gates.into(), self.k, self.limb_bits);
        let search = Search::run(onnx, calibration, samples, &self.limits, layout, |bits| self.recipe_of(Some(bits)));
        if search.bits().is_some() && self.json {
            return Ok(search);
        }
        bar.suspend(|| match self.json {
            true => say!("{}", serde_json::json!({ "steps": search.to_json() })),
            false => say!("{search}\n"),
        });
        if search.bits().is_some() {
            return Ok(search);
        }
        let failure = Failure::at(&self.model, "no width meets the limits; no model was written");
        Err(match search.clamped() {
            0 => failure.hint("loosen the limits, or calibrate on more samples"),
            clamped => failure.hint(format!(
                "{clamped} input values of the evaluation samples lie outside of the declared range: \
                 widen it with --input-range, or calibrate on more samples"
            )),
        })
    }

    /// The verifier's file; refuses names that would do harm.
    fn check_files(&self) -> Result<PathBuf, Failure> {
        if self.output.extension().is_none_or(|e| e != "zkq") {
            return Err(Failure::at(&self.output, "the output needs the extension .zkq")
                .hint("the verifier's file goes beside it with the extension .zkv"));
        }
        let zkv = self.output.with_extension("zkv");
        let outputs = [Some(&self.output), Some(&zkv), self.report.as_ref()];
        let options = [self.recipe.calibrate.as_ref(), self.recipe.onnx.normalize.as_ref()];
        let inputs = [Some(&self.model), options[0], options[1], self.evaluate.as_ref()];
        output::check(&outputs, &inputs)?;
        Ok(zkv)
    }

    /// Samples for calibration, and others for the report.
    fn samples(&self, onnx: &OnnxModel) -> Result<(Option<Samples>, Option<Samples>), Failure> {
        let calibration = self.recipe.samples(onnx)?;
        let held_out = self.evaluate.as_ref().map(|path| files::samples(path, &onnx.inputs())).transpose()?;
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

    fn print(&self, summary: &Summary<'_>, (zkq_bytes, seconds): (usize, f64)) -> Result<Outcome, Failure> {
        let Summary { built, recipe, report, search } = *summary;
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
                    "gates": layout.gates,
                    "zkq_bytes": zkq_bytes,
                    "zkv_bytes": built.zkv.len(),
                    "seconds": seconds,
                    "predicted_prove_seconds": cost.seconds,
                    "predicted_verify_seconds": cost.verify_seconds,
                    "predicted_memory_bytes": cost.memory,
                    "proof_bytes": cost.proof_bytes,
                    "recipe": recipe,
                    "steps": search.map(Search::to_json),
                    "accuracy": report,
                })
            );
            return Ok(Outcome::Done);
        }
        if let Some(report) = report {
            say!("{report}");
        }
        say!("model id   {}", built.id);
        let cells = cells(&compiled);
        say!("layout     {}, {} columns, {cells} cells, {} looked up", layout_text(layout), cost.columns, cost.lookups);
        say!("predicted  {}", files::cost_text(&cost));
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
