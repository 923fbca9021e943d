//! Two reports side by side.
//!
//! A ratio of medians counts only where it is outside of its noise: three standard errors of both medians, added in quadrature
//! ([`Spread::relative_error`]). This covers how much the runs of one report differ from each other, not that the machine was
//! slower as a whole when the other was made: for that, measure in turns.

use super::{
    report::{Measurement, Report, Settings},
    statistics::Spread,
};
use serde::Serialize;

/// Standard errors that a difference must exceed.
const ERRORS: f64 = 3.0;

/// Whether something has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Less than before, beyond noise.
    Faster,
    /// More than before, beyond noise.
    Slower,
    /// Within noise.
    Same,
    /// Too few runs to tell.
    Unknown,
}

/// One stage in both reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The model's file.
    pub model: String,
    /// The settings.
    pub settings: Settings,
    /// The stage.
    pub stage: String,
    /// Median seconds in the first report.
    pub before: f64,
    /// Median seconds in the second.
    pub after: f64,
    /// `after / before`.
    pub ratio: f64,
    /// The ratio differs from 1 by noise when it differs by less than this.
    pub noise: Option<f64>,
    /// What to make of it.
    pub verdict: Verdict,
}

/// Every stage that both reports have, with the same model and settings; and how many measurements only one of them has.
#[must_use]
pub fn compare(before: &Report, after: &Report) -> (Vec<Comparison>, usize) {
    let same = |a: &Measurement, b: &Measurement| a.model == b.model && a.settings == b.settings;
    let mut rows = Vec::new();
    let mut matched = 0;
    for first in &before.runs {
        let Some(second) = after.runs.iter().find(|second| same(first, second)) else { continue };
        matched += 1;
        for (stage, spread) in first.ordered() {
            if let Some(other) = second.stages.get(stage) {
                rows.push(compare_stage(first, stage, (spread, other)));
            }
        }
    }
    (rows, before.runs.len() + after.runs.len() - 2 * matched)
}

fn compare_stage(run: &Measurement, stage: &str, (before, after): (&Spread, &Spread)) -> Comparison {
    let ratio = after.median / before.median;
    let errors = before.relative_error().zip(after.relative_error());
    let noise = errors.map(|(a, b)| ERRORS * a.hypot(b));
    let verdict = match noise {
        None => Verdict::Unknown,
        Some(noise) if (ratio - 1.0).abs() <= noise => Verdict::Same,
        Some(_) if ratio < 1.0 => Verdict::Faster,
        Some(_) => Verdict::Slower,
    };
    Comparison {
        model: run.model.clone(),
        settings: run.settings,
        stage: stage.to_owned(),
        before: before.median,
        after: after.median,
        ratio,
        noise,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{
        environment::Environment,
        report::{Predicted, Shape, Sizes, REPORT_FORMAT},
    };
    use std::collections::BTreeMap;
    use zkonnx_quantize::model::Gates;

    fn report(group: u32, stages: &[(&str, &[f64])]) -> Report {
        report_of(Gates::Relations, group, stages)
    }

    fn report_of(gates: Gates, group: u32, stages: &[(&str, &[f64])]) -> Report {
        let stages: BTreeMap<String, Spread> =
            stages.iter().map(|(name, values)| ((*name).to_owned(), Spread::of(values))).collect();
        let run = Measurement {
            model: "m.zkq".into(),
            model_id: String::new(),
            settings: Settings { k: 8, limb_bits: 7, gates, bits: None, threads: 2, group },
            shape: Shape { rows: 256, columns: 1, lookups: 1, ..Shape::default() },
            stages,
            batches: Vec::new(),
            sizes: Sizes { proof: 1, statement: 1, zkv: 1, prepare_peak: None, prove_peak: Some(5) },
            predicted: Predicted { seconds: 0.1, verify_seconds: 0.01, memory: 1 },
        };
        Report { format: REPORT_FORMAT, environment: Environment::current(), runs: vec![run] }
    }

    #[test]
    fn a_difference_counts_when_it_is_larger_than_noise() {
        let steady = [1.0, 1.01, 0.99, 1.0, 1.02];
        let noisy = [1.0, 2.0, 0.5, 1.5, 0.7];
        let before = report(1, &[("prove", &steady), ("verify", &noisy), ("keys", &[1.0]), ("load", &[1.0; 3])]);
        let half: Vec<f64> = steady.iter().map(|v| v / 2.0).collect();
        let more: Vec<f64> = noisy.iter().map(|v| v * 1.2).collect();
        let after = report(1, &[("prove", &half), ("verify", &more), ("keys", &[3.0]), ("opening", &[1.0; 3])]);
        let (rows, unmatched) = compare(&before, &after);
        assert_eq!(unmatched, 0);
        let found: Vec<(&str, Verdict)> = rows.iter().map(|row| (row.stage.as_str(), row.verdict)).collect();
        assert_eq!(found, [("keys", Verdict::Unknown), ("prove", Verdict::Faster), ("verify", Verdict::Same)]);
        assert!((rows[1].ratio - 0.5).abs() < 1e-9);
        let (rows, _) = compare(&after, &before);
        assert!(rows.iter().any(|row| (row.stage.as_str(), row.verdict) == ("prove", Verdict::Slower)));
        assert_eq!(compare(&before, &report(4, &[("prove", &steady)])), (Vec::new(), 2));
        assert_eq!(compare(&before, &report_of(Gates::Halo2, 1, &[("prove", &steady)])), (Vec::new(), 2));
    }

    #[test]
    fn reports_survive_json_and_fill_tables() {
        let report = report(16, &[("verify", &[0.25; 3]), ("import", &[1.0])]);
        let json = serde_json::to_string(&report).expect("there");
        assert_eq!(serde_json::from_str::<Report>(&json).expect("there"), report);
        let table = report.to_csv().expect("there");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("m.zkq,8,7,relations,,2,16,1,1,1,5,import,1,"), "{table}");
        assert_eq!(lines[2].split(',').count(), lines[0].split(',').count());
    }
}
