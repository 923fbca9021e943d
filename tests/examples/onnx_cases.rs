//! Runs ONNX's own operator cases; see `tests/onnx_cases/dump.py`.
//!
//! ```text
//! cargo run --release -p zkonnx-tests --example onnx_cases -- --cases DIR                              # all direct ones
//! cargo run --release -p zkonnx-tests --example onnx_cases -- --cases DIR --failures --filter Conv     # in detail
//! cargo run --release -p zkonnx-tests --example onnx_cases -- --cases DIR --write docs/operators.md    # the document
//! ```

use anyhow::Context;
use clap::Parser;
use std::{path::PathBuf, time::Instant};
use zkonnx_quantize::{
    data::NamedTensor,
    graph::{Form, Op},
};
use zkonnx_tests::onnx_cases::{
    run::Quantised,
    run_all,
    table::{count, document, summary},
    Case, Index, Outcome, Report,
};

#[derive(Parser)]
struct Arguments {
    /// The directory that dump.py wrote.
    #[arg(long, env = "ZKONNX_ONNX_CASES")]
    cases: PathBuf,
    /// Only cases with this in their name, or with exactly this operator; in detail.
    #[arg(long)]
    filter: Option<String>,
    /// Print only cases that are refused or wrong.
    #[arg(long)]
    failures: bool,
    /// Print only cases that are wrong.
    #[arg(long)]
    wrong: bool,
    /// Also cases that are operators written out as others.
    #[arg(long)]
    expanded: bool,
    /// Only cases with one float32 output, that the goal counts.
    #[arg(long)]
    float32: bool,
    /// Write the table of operators here.
    #[arg(long, conflicts_with_all = ["filter", "float32"])]
    write: Option<PathBuf>,
    /// Write the counts of each operator here.
    #[arg(long, conflicts_with_all = ["filter", "float32"])]
    summary: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let index = Index::load(&arguments.cases);
    let chosen = |case: &&Case| {
        let named = |filter: &String| case.name.contains(filter) || case.operators.contains(filter);
        (case.direct || arguments.expanded)
            && case.not_tensors.is_empty()
            && (case.is_float32() || !arguments.float32)
            && arguments.filter.as_ref().is_none_or(named)
    };
    let started = Instant::now();
    let reports = run_all(index.cases.iter().filter(chosen));
    let seconds = started.elapsed().as_secs_f64();
    for report in &reports {
        let shown = match report.outcome {
            Outcome::Passed { .. } => !arguments.failures && !arguments.wrong,
            Outcome::Refused { .. } => !arguments.wrong,
            Outcome::Wrong { .. } => true,
        };
        if shown {
            print(report, arguments.filter.is_some());
        }
    }
    for (what, counts) in
        [("all", count(&reports)), ("float32", count(reports.iter().filter(|report| report.case.is_float32())))]
    {
        let (total, passed, refused, wrong) = (counts.total(), counts.passed, counts.refused, counts.wrong);
        println!("{what}: {total} cases, {passed} passed, {refused} refused, {wrong} wrong");
    }
    println!("{seconds:.1} s");
    if let Some(path) = arguments.write {
        std::fs::write(&path, document(&index, &reports)).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = arguments.summary {
        std::fs::write(&path, summary(&index, &reports)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn print(report: &Report<'_>, in_detail: bool) {
    let Report { case, bound, outcome, .. } = report;
    let what = match outcome {
        Outcome::Passed { error } => format!("passed   {:.4} %", 100.0 * error),
        Outcome::Refused { stage, reason, .. } => format!("refused  {stage:?}: {reason}"),
        Outcome::Wrong { detail, .. } => format!("WRONG    {detail}"),
    };
    let bound: Vec<&str> = bound.iter().map(String::as_str).collect();
    println!("{:60} {what}{}{}", case.name, if bound.is_empty() { "" } else { "; constant: " }, bound.join(", "));
    if !in_detail {
        return;
    }
    println!("    {} of operator sets {:?}", case.operators.join(", "), case.opset);
    for (what, values) in [("input ", case.input_values().expect("values")), ("output", case.output_values())] {
        for tensor in values {
            describe(what, &tensor);
        }
    }
    if let Outcome::Refused { detail, .. } = outcome {
        println!("    {detail}");
    }
    for (what, worst) in [("float", &report.float), ("integer", &report.integer)] {
        for worst in worst {
            println!("    {what} model: {worst}");
        }
    }
    let Some(Quantised { model, cost, .. }) = &report.quantised else { return };
    let graph = &model.graph;
    for input in &graph.inputs {
        println!("    {} in {:?} of {:e}", input.name, input.bounds, input.scale.to_f64());
    }
    for node in &graph.nodes {
        println!("    {} >> {} of {:e}: {}", text(&node.form), node.shift, node.scale.to_f64(), operation(&node.op));
    }
    for output in &graph.outputs {
        println!("    {} = {} of {:e}", output.name, text(&output.form), output.scale.to_f64());
    }
    if let Some(cost) = cost {
        println!("    {:?}, {cost:?}", model.layout);
    }
}

/// A form without its index maps.
fn text(form: &Form) -> String {
    let terms = form.terms.iter().map(|t| format!("{}·{:?}{:?}", t.coef, t.source, t.sums));
    let products = form.products.iter().map(|p| {
        let (left, right) = (&p.left, &p.right);
        format!("{}·{:?}{:?}·{:?}{:?}{:?}", p.coef, left.source, left.sums, right.source, right.sums, p.summed)
    });
    let parts: Vec<String> = terms.chain(products).chain([form.constant.to_string()]).collect();
    format!("{:?} {} in {:?}", form.shape, parts.join(" + "), form.bounds)
}

fn operation(op: &Op) -> String {
    match op {
        Op::Div { denominator } => format!("div {}", text(denominator)),
        op => format!("{op:?}"),
    }
}

fn describe(what: &str, tensor: &NamedTensor) {
    let (lo, hi) = tensor.data.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let first: Vec<String> = tensor.data.iter().take(8).map(ToString::to_string).collect();
    println!("    {what} {} {:?}, {lo} to {hi}: {} …", tensor.name, tensor.shape, first.join(" "));
}
