//! What the accuracy report has to meet.

use super::Failure;
use clap::Args;
use std::fmt;
use zkonnx_quantize::{onnx::OnnxModel, report::AccuracyReport};

#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Fail when the largest error of an output is above this; with %, as a share of the output's range
    #[arg(long, value_name = "E", value_parser = parse_error)]
    max_error: Option<ErrorLimit>,
    /// Fail when top-1 agreement with the float model is below this share, for example 0.99 or 99%; outputs of integers
    /// (labels) have to be equal for this share of samples
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    min_top1: Option<f64>,
}

/// A limit of an error.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ErrorLimit {
    Absolute(f64),
    /// A share of the output's range.
    Relative(f64),
}

impl fmt::Display for ErrorLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(limit) => write!(f, "{limit}"),
            Self::Relative(share) => write!(f, "{} % of its range", 100.0 * share),
        }
    }
}

/// A limit that can be compared with.
fn finite(text: &str) -> Result<f64, String> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| format!("'{text}' is no number"))
}

fn parse_error(text: &str) -> Result<ErrorLimit, String> {
    match text.strip_suffix('%') {
        Some(percent) => Ok(ErrorLimit::Relative(finite(percent)? / 100.0)),
        None => Ok(ErrorLimit::Absolute(finite(text)?)),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.strip_suffix('%') {
        Some(percent) => Ok(finite(percent)? / 100.0),
        None => finite(text),
    }
}

impl Limits {
    fn is_empty(&self) -> bool {
        self.max_error.is_none() && self.min_top1.is_none()
    }

    /// Refuses limits without samples, and a search without limits.
    pub(super) fn check_use(&self, auto: bool, has_samples: bool) -> Result<(), Failure> {
        if auto && self.is_empty() {
            return Err(
                Failure::new("the automatic choice of bits needs a limit").hint("give --max-error or --min-top1")
            );
        }
        if !self.is_empty() && !has_samples {
            return Err(Failure::new("--max-error and --min-top1 need samples").hint("give --calibrate or --evaluate"));
        }
        Ok(())
    }

    /// Refuses a limit that says nothing about any output.
    pub(super) fn check_outputs(&self, onnx: &OnnxModel) -> Result<(), Failure> {
        let graph = onnx.graph();
        let outputs = || graph.outputs.iter().map(|(_, id)| &graph.values[id.0]);
        if self.max_error.is_some() && outputs().all(|o| o.integer) {
            return Err(Failure::new("--max-error is about outputs of reals, the model has labels only")
                .hint("--min-top1 is the share of samples with equal labels"));
        }
        if self.min_top1.is_some() && outputs().all(|o| !o.integer && o.shape.iter().product::<usize>() == 1) {
            return Err(Failure::new("--min-top1 is about outputs of several elements or labels, the model has none")
                .hint("give --max-error"));
        }
        Ok(())
    }

    /// The first limit that a report misses: its flag, and in words.
    pub(super) fn missed(&self, report: &AccuracyReport) -> Option<(&'static str, String)> {
        for output in &report.outputs {
            let name = &output.name;
            let limit = match self.max_error.filter(|_| !output.integer) {
                Some(ErrorLimit::Absolute(limit)) => limit,
                Some(ErrorLimit::Relative(share)) => share * (output.float_hi - output.float_lo),
                None => f64::INFINITY,
            };
            if let Some(shown) = self.max_error.filter(|_| output.max_error.is_nan() || output.max_error > limit) {
                let message = format!("output '{name}' is off by up to {}, above {shown}", output.max_error);
                return Some(("--max-error", message));
            }
            if let Some(share) = self.min_top1.filter(|share| output.top1_agreement < *share) {
                let message = format!("output '{name}' agrees in top-1 on {}, below {share}", output.top1_agreement);
                return Some(("--min-top1", message));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkonnx_quantize::report::OutputReport;

    #[test]
    fn limits_are_numbers_or_percentages() {
        assert_eq!(parse_error("0.5"), Ok(ErrorLimit::Absolute(0.5)));
        assert_eq!(parse_error("0.5%"), Ok(ErrorLimit::Relative(0.005)));
        assert_eq!(parse_share("99%"), Ok(0.99));
        for text in ["nan", "inf", "x", "%"] {
            assert!(parse_error(text).is_err() && parse_share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_are_of_reals_and_agreement_of_labels() {
        let output = OutputReport { max_error: 0.2, float_hi: 10.0, top1_agreement: 0.9, ..OutputReport::default() };
        let report = |integer| AccuracyReport {
            outputs: vec![OutputReport { integer, ..output.clone() }],
            ..AccuracyReport::default()
        };
        let missed =
            |error, top1, integer| Limits { max_error: error, min_top1: top1 }.missed(&report(integer)).is_some();
        assert!(missed(Some(ErrorLimit::Absolute(0.1)), None, false));
        assert!(!missed(Some(ErrorLimit::Absolute(0.1)), None, true));
        assert!(missed(Some(ErrorLimit::Relative(0.01)), None, false));
        assert!(!missed(Some(ErrorLimit::Relative(0.03)), None, false));
        assert!(missed(None, Some(0.95), true) && !missed(None, Some(0.9), true));
    }
}
