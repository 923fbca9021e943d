//! The automatic choice of widths: the cheapest that meets the limits.

use super::{files, limits::Limits};
use std::{fmt, sync::Arc};
use zkonnx_circuits::cost::{choose_layout, Cost};
use zkonnx_quantize::{
    data::Samples,
    model::{Gates, LayoutChoice},
    onnx::OnnxModel,
    quantize,
    recipe::Recipe,
    report::{accuracy, AccuracyReport},
};

/// The widths that are tried.
const LADDER: [u8; 7] = [8, 10, 12, 14, 16, 20, 24];

/// One width.
#[derive(Debug)]
struct Step {
    bits: u8,
    /// What it gives, or why it gives nothing.
    outcome: Result<Measured, String>,
}

#[derive(Debug)]
struct Measured {
    layout: LayoutChoice,
    cost: Cost,
    report: AccuracyReport,
    /// The flag of a limit that it misses.
    missed: Option<&'static str>,
}

/// All widths, and the one chosen.
#[derive(Debug)]
pub(super) struct Search {
    steps: Vec<Step>,
    best: Option<usize>,
}

impl Search {
    /// Tries every width on the evaluation samples.
    pub(super) fn run(
        onnx: &OnnxModel,
        calibration: Option<&Samples>,
        evaluation: &Samples,
        limits: &Limits,
        (gates, k, limb_bits): (Gates, Option<u8>, Option<u8>),
        recipe: impl Fn(u8) -> Recipe,
    ) -> Self {
        let measure = |bits: u8| {
            let (model, _) = quantize(onnx, calibration, &recipe(bits)).map_err(|e| e.to_string())?;
            let graph = Arc::new(model.graph.clone());
            let (layout, cost) = choose_layout(&graph, gates, k, limb_bits).map_err(|e| e.to_string())?;
            let report = accuracy(onnx, &model, evaluation).map_err(|e| e.to_string())?;
            Ok(Measured { layout, cost, missed: limits.missed(&report).map(|m| m.0), report })
        };
        let steps: Vec<Step> = LADDER.iter().map(|bits| Step { bits: *bits, outcome: measure(*bits) }).collect();
        let good = |step: &Step| step.outcome.as_ref().ok().filter(|m| m.missed.is_none()).map(|m| m.cost.seconds);
        let mut best: Option<(usize, f64)> = None;
        for (i, seconds) in steps.iter().enumerate().filter_map(|(i, step)| Some((i, good(step)?))) {
            if best.is_none_or(|(_, least)| seconds < least) {
                best = Some((i, seconds));
            }
        }
        Self { best: best.map(|(i, _)| i), steps }
    }

    /// Evaluation values outside of the declared range: no width makes up for them.
    pub(super) fn clamped(&self) -> u64 {
        self.steps.iter().filter_map(|s| s.outcome.as_ref().ok()).map(|m| m.report.clamped_inputs).max().unwrap_or(0)
    }

    /// The bits of the cheapest width that meets the limits.
    pub(super) fn bits(&self) -> Option<u8> {
        self.best.map(|i| self.steps[i].bits)
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        let step = |(i, step): (usize, &Step)| {
            let chosen = Some(i) == self.best;
            match &step.outcome {
                Err(problem) => serde_json::json!({ "bits": step.bits, "chosen": chosen, "problem": problem }),
                Ok(m) => serde_json::json!({
                    "bits": step.bits,
                    "chosen": chosen,
                    "missed": m.missed,
                    "max_error": worst(&m.report, |o| o.max_error),
                    "error_share": worst(&m.report, |o| o.error_share),
                    "top1_agreement": least(&m.report),
                    "lookups": m.cost.lookups,
                    "k": m.layout.k,
                    "limb_bits": m.layout.limb_bits,
                    "gates": m.layout.gates,
                    "prove_seconds": m.cost.seconds,
                    "memory_bytes": m.cost.memory,
                }),
            }
        };
        self.steps.iter().enumerate().map(step).collect()
    }
}

/// The largest error of any output of reals.
fn worst(report: &AccuracyReport, error: fn(&zkonnx_quantize::report::OutputReport) -> f64) -> f64 {
    report.outputs.iter().filter(|o| !o.integer).map(error).fold(0.0, f64::max)
}

/// The least top-1 agreement of any output that has one.
fn least(report: &AccuracyReport) -> Option<f64> {
    let outputs = report.outputs.iter().filter(|o| o.integer || o.elements > 1);
    outputs.map(|o| o.top1_agreement).min_by(f64::total_cmp)
}

/// A share, with a few digits however small it is.
fn percent(share: f64) -> String {
    match 100.0 * share {
        percent if percent > 0.0 && percent < 0.001 => format!("{percent:.1e} %"),
        percent => format!("{percent:.4} %"),
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4} {:>11} {:>10} {:>8} {:>9} {:>3} {:>9} {:>10}",
            "bits", "max error", "of range", "top-1", "lookups", "k", "prove", "memory"
        )?;
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "\n{:>4} ", step.bits)?;
            match &step.outcome {
                Err(problem) => write!(f, "not possible: {}", problem.lines().next().unwrap_or_default())?,
                Ok(m) => {
                    write!(
                        f,
                        "{:>11} {:>10} {:>8} {:>9} {:>3} {:>7.2} s {:>10}",
                        format!("{:.3e}", worst(&m.report, |o| o.max_error)),
                        percent(worst(&m.report, |o| o.error_share)),
                        least(&m.report).map_or("-".into(), |share| format!("{:.2} %", 100.0 * share)),
                        m.cost.lookups,
                        m.layout.k,
                        m.cost.seconds,
                        files::bytes(m.cost.memory),
                    )?;
                    match (Some(i) == self.best, &m.missed) {
                        (true, _) => write!(f, "  <- chosen")?,
                        (false, Some(missed)) => write!(f, "  misses {missed}")?,
                        (false, None) => {}
                    }
                }
            }
        }
        Ok(())
    }
}
