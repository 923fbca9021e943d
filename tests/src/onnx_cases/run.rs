//! What comes of a case.

use super::{
    bind::{import, NotImported},
    index::{Case, Port},
    panics,
};
use rayon::prelude::*;
use std::{collections::BTreeSet, fmt, sync::Arc};
use zkonnx_circuits::cost::{choose_layout, Cost};
use zkonnx_quantize::{
    data::{dequantise_output, quantise_input, DataError, NamedTensor, Samples},
    eval::evaluate,
    model::QuantizedModel,
    onnx::{
        error::{InputProblem, NodeProblem},
        UnsupportedNode,
    },
    quantize, ImportError, LowerError, QuantizeError, Recipe,
};

/// A range below this part of the largest magnitude is no range: about a thousand steps of a 32-bit float.
const FLAT: f64 = 1e-4;

/// The largest error of a float, as a part of the range of what is expected.
pub const TOLERANCE: f64 = 0.01;

/// The smallest circuit is taken, without looking at others, when proving it is predicted to take no longer, in seconds.
const MAX_SECONDS_SMALL: f64 = 1.0;

/// Where a case is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// ONNX to the float graph.
    Import,
    /// The float graph to integers.
    Quantise,
    /// Integers to rows and columns.
    Layout,
}

/// What comes of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every output is as expected.
    Passed {
        /// The largest error of a float, as a part of its output's range.
        error: f64,
    },
    /// The program says that it cannot do this.
    Refused {
        /// Where.
        stage: Stage,
        /// Why, in short: without names, shapes and numbers.
        reason: String,
        /// Why, in full.
        detail: String,
    },
    /// An output is not as expected, or the program panicked.
    Wrong {
        /// The largest error, as a part of the output's range; none where there is no output to compare.
        error: Option<f64>,
        /// What is wrong.
        detail: String,
    },
}

/// The worst element of an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// The output.
    pub output: String,
    /// The element, row-major.
    pub element: usize,
    /// What ONNX expects of it.
    pub expected: f64,
    /// What it is.
    pub actual: f64,
    /// What errors are a part of.
    pub range: f64,
    /// Its error as a part of the range.
    pub error: f64,
    /// How many elements are wrong.
    pub wrong: usize,
}

/// All that is known of a case after it ran.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The case.
    pub case: &'a Case,
    /// Inputs that are constants.
    pub bound: BTreeSet<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// The worst elements of the float model's outputs, where it ran: whether import or quantisation is to blame.
    pub float: Vec<Worst>,
    /// The worst elements of the integer model's outputs, where it ran.
    pub integer: Vec<Worst>,
    /// The integer model, where there is one.
    pub quantised: Option<Quantised>,
}

/// A case in integers.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// The model; its layout is chosen only for a case that passed.
    pub model: QuantizedModel,
    /// Its inputs.
    pub inputs: Vec<Vec<i64>>,
    /// What proving a case that passed is predicted to take.
    pub cost: Option<Cost>,
}

/// Runs cases in parallel, in order.
pub fn run_all<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Vec<Report<'a>> {
    cases.into_iter().collect::<Vec<_>>().into_par_iter().map(run).collect()
}

/// Runs a case.
#[must_use]
pub fn run(case: &Case) -> Report<'_> {
    let outcome = Outcome::Passed { error: 0.0 };
    let mut report = Report { case, bound: BTreeSet::new(), outcome, float: vec![], integer: vec![], quantised: None };
    report.outcome = match panics::catch(|| attempt(&mut report)) {
        Ok(Ok(error)) => Outcome::Passed { error },
        Ok(Err(outcome)) => outcome,
        Err(panic) => Outcome::Wrong { error: None, detail: format!("panicked: {panic}") },
    };
    report
}

/// Fills in the report; returns the largest error, or the outcome of a case that does not pass.
fn attempt(report: &mut Report<'_>) -> Result<f64, Outcome> {
    let inputs = report.case.input_values().map_err(|error| {
        // Without the folder, which is another one on every machine.
        refused(Stage::Quantise, "integers that no f64 is, as inputs", error.to_string())
    })?;
    let imported = import(report.case, &inputs);
    report.bound = imported.bound;
    let onnx = imported.model.map_err(|error| not_imported(&error))?;
    let own: Vec<NamedTensor> = inputs.into_iter().filter(|a| !report.bound.contains(&a.name)).collect();
    let samples = Samples::new(&onnx.inputs(), own).map_err(|error| not_quantised(&error.into()))?;

    // Only to know whom to blame.
    let float = panics::catch(|| onnx.graph().run(&samples.tensors(0), |_, _| ()));
    if let Ok(Ok(outputs)) = float {
        let named = onnx.outputs().into_iter().zip(outputs);
        let named = named
            .map(|(spec, t)| NamedTensor { name: spec.name, shape: t.shape.clone(), data: t.data.clone() })
            .collect();
        report.float = compare(report.case, named).unwrap_or_default();
    }

    let recipe = Recipe::of_bits(16);
    let (model, _) = quantize(&onnx, Some(&samples), &recipe).map_err(|error| not_quantised(&error))?;
    let integers = model.graph.inputs.iter().zip(samples.sample(0)).map(|(i, v)| quantise_input(i, v));
    let inputs = integers.map(|values| values.expect("as many finite values").values).collect();
    let Quantised { model, inputs, cost } = report.quantised.insert(Quantised { model, inputs, cost: None });
    let trace = evaluate(model, inputs).map_err(|e| Outcome::Wrong { error: None, detail: e.to_string() })?;
    let outputs = model.graph.outputs.iter().zip(&trace.outputs).map(|(o, v)| dequantise_output(o, v));
    report.integer =
        compare(report.case, outputs.collect()).map_err(|detail| Outcome::Wrong { error: None, detail })?;
    let error = report.integer.iter().map(|worst| worst.error).fold(0.0, f64::max);
    if let Some(worst) = report.integer.iter().find(|worst| worst.wrong > 0) {
        return Err(Outcome::Wrong { error: Some(error), detail: worst.to_string() });
    }

    let graph = Arc::new(model.graph.clone());
    let small = choose_layout(&graph, model.layout.gates, Some(8), None)
        .ok()
        .filter(|(_, cost)| cost.seconds <= MAX_SECONDS_SMALL);
    let layout = small.map_or_else(|| choose_layout(&graph, model.layout.gates, None, None), Ok);
    let (layout, predicted) = layout.map_err(|e| refused(Stage::Layout, e.to_string(), e.to_string()))?;
    model.layout = layout;
    *cost = Some(predicted);
    Ok(error)
}

/// Compares outputs with what ONNX expects: floats within the tolerance, integers and booleans exactly once rounded.
fn compare(case: &Case, outputs: Vec<NamedTensor>) -> Result<Vec<Worst>, String> {
    let expected = case.output_values();
    if outputs.len() != expected.len() {
        return Err(format!("{} outputs instead of {}", outputs.len(), expected.len()));
    }
    let ports = case.outputs.iter().zip(expected).zip(outputs);
    ports.map(|((port, expected), actual)| compare_output(port, &expected, &actual)).collect()
}

fn compare_output(port: &Port, expected: &NamedTensor, actual: &NamedTensor) -> Result<Worst, String> {
    if (&port.name, &expected.shape) != (&actual.name, &actual.shape) {
        let (name, shape) = (&actual.name, &actual.shape);
        return Err(format!("output '{name}' of shape {shape:?} instead of '{}' of {:?}", port.name, expected.shape));
    }
    let finite = || expected.data.iter().copied().filter(|v| v.is_finite());
    let (lo, hi) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let range = match (hi - lo, lo.abs().max(hi.abs())) {
        // Values that differ in their last bits only are one value.
        (range, magnitude) if range > magnitude * FLAT => range,
        (_, magnitude) if magnitude.is_finite() && magnitude > 0.0 => magnitude,
        _ => 1.0,
    };
    let mut worst =
        Worst { output: port.name.clone(), element: 0, expected: 0.0, actual: 0.0, range, error: -1.0, wrong: 0 };
    for (element, (e, a)) in expected.data.iter().zip(&actual.data).enumerate() {
        let difference = match port.is_float() {
            true => (a - e).abs(),
            false => (a.round() - e).abs(),
        };
        // What is not finite has no integer.
        let error = if difference.is_nan() { f64::INFINITY } else { difference / range };
        worst.wrong += usize::from(if port.is_float() { error > TOLERANCE } else { difference != 0.0 });
        if error > worst.error {
            worst = Worst { element, expected: *e, actual: *a, error, ..worst };
        }
    }
    Ok(worst)
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, element, expected, actual, range, error, wrong } = self;
        write!(f, "output '{output}', element {element}: {actual} instead of {expected}, ")?;
        write!(f, "error {:.3} % of {range}, {wrong} elements wrong", 100.0 * error)
    }
}

fn refused(stage: Stage, reason: impl Into<String>, detail: String) -> Outcome {
    Outcome::Refused { stage, reason: reason.into(), detail }
}

fn not_imported(error: &NotImported) -> Outcome {
    match error {
        NotImported::Refused(error) => refused(Stage::Import, import_reason(error), error.to_string()),
        NotImported::EverythingConstant(first) => {
            let detail = first.as_ref().map_or("it has no input".into(), ToString::to_string);
            refused(Stage::Import, "everything is constant", detail)
        }
        NotImported::Panicked(panic) => Outcome::Wrong { error: None, detail: format!("panicked in import: {panic}") },
    }
}

/// A reason without names, shapes and numbers.
fn import_reason(error: &ImportError) -> String {
    match error {
        ImportError::Unsupported(nodes) => {
            let reason = |n: &UnsupportedNode| n.reason.clone().unwrap_or_else(|| "not supported".into());
            let reasons: BTreeSet<String> = nodes.iter().map(reason).collect();
            reasons.into_iter().collect::<Vec<_>>().join(", ")
        }
        ImportError::Node { problem: NodeProblem::Shapes { why, .. }, .. } => (*why).into(),
        ImportError::Node { problem: NodeProblem::Size(_), .. } => "the result is empty or too large".into(),
        ImportError::Node { problem: NodeProblem::Variant(what), .. } => (*what).into(),
        ImportError::Node { problem, .. } => problem.to_string(),
        ImportError::Input { problem: InputProblem::Size { .. }, .. } => "an input is empty".into(),
        ImportError::Input { problem: InputProblem::Type(_), .. } => "an input of a type that is not read".into(),
        ImportError::Input { problem, .. } => problem.to_string(),
        ImportError::MissingOutput(_) => "an output that is not computed".into(),
        ImportError::EmptyOutput { .. } => "an output is empty".into(),
        error => error.to_string(),
    }
}

fn not_quantised(error: &QuantizeError) -> Outcome {
    let reason = match error {
        QuantizeError::Run(error) => import_reason(error),
        QuantizeError::Data(DataError::NotFinite { .. }) => "an input is not finite".into(),
        QuantizeError::Node { source, .. } | QuantizeError::Output { source, .. } => match source {
            LowerError::Denominator { .. } => "a denominator that may be zero".into(),
            LowerError::Scale(_) => "a range that gives no scale".into(),
            LowerError::Internal(_) => return Outcome::Wrong { error: None, detail: error.to_string() },
            source => source.to_string(),
        },
        QuantizeError::Input { .. } => "an input's range gives no scale".into(),
        QuantizeError::Invalid(_) => return Outcome::Wrong { error: None, detail: error.to_string() },
        error => error.to_string(),
    };
    refused(Stage::Quantise, reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(kind: &str, expected: &[f64], actual: &[f64]) -> Worst {
        let port = Port { name: "y".into(), kind: kind.into(), role: String::new() };
        let tensor = |data: &[f64]| NamedTensor { name: "y".into(), shape: vec![data.len()], data: data.to_vec() };
        compare_output(&port, &tensor(expected), &tensor(actual)).expect("the same shape")
    }

    #[test]
    fn floats_may_differ_by_a_part_of_the_range() {
        assert_eq!(worst("FLOAT", &[-1.0, 3.0], &[-1.03, 3.03]).wrong, 0);
        let wrong = worst("FLOAT", &[-1.0, 3.0], &[-1.03, 3.05]);
        assert_eq!((wrong.wrong, wrong.element, wrong.range), (1, 1, 4.0));
    }

    #[test]
    fn the_range_of_a_constant_is_its_magnitude_and_that_of_zero_is_one() {
        assert_eq!(worst("FLOAT16", &[-50.0, -50.0], &[-50.4, -50.0]).range, 50.0);
        assert_eq!(worst("DOUBLE", &[0.0], &[0.009]).range, 1.0);
        assert_eq!(worst("FLOAT", &[f64::INFINITY], &[1.0]).range, 1.0);
    }

    #[test]
    fn integers_and_booleans_are_exact_once_rounded() {
        assert_eq!(worst("INT64", &[0.0, 1000.0], &[0.4, 1000.0]).wrong, 0);
        assert_eq!(worst("INT64", &[0.0, 1000.0], &[0.6, 1000.0]).wrong, 1);
        assert_eq!(worst("BOOL", &[0.0, 1.0], &[1.0, 1.0]).wrong, 1);
    }

    #[test]
    fn what_is_not_finite_is_never_as_expected() {
        for expected in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(worst("FLOAT", &[expected, 1.0], &[1.0, 1.0]).wrong, 1);
            assert_eq!(worst("FLOAT", &[expected, 1.0], &[1.0, 1.0]).error, f64::INFINITY);
        }
    }

    #[test]
    fn another_shape_is_wrong() {
        let port = Port { name: "y".into(), kind: "FLOAT".into(), role: String::new() };
        let tensor = |shape: &[usize]| NamedTensor { name: "y".into(), shape: shape.to_vec(), data: vec![0.0; 6] };
        assert!(compare_output(&port, &tensor(&[2, 3]), &tensor(&[3, 2])).is_err());
    }
}
