//! The document.

use crate::{
    models::{Model, Near},
    run::Outcome,
};
use std::fmt::Write;

const HEAD: &str = "# Real models

Models that others trained and published, and architectures that everybody knows with random weights, run through this program:
imported, compared with ONNX Runtime, quantised on 48 samples (192 for the smallest, 12 for the largest), evaluated on 64 others (12 for
the largest), and one of these proven and verified. They are no part of the repository: `tests/real_models/models.csv` lists packages,
files, licences and digests of what is fetched (the first seven have no row there, but for ppocr_cls; what each is from stands below).
This document is generated:

    python tests/real_models/fetch.py MODELS
    python tests/real_models/make_architectures.py MODELS
    python tests/real_models/make_samples.py --models MODELS SAMPLES
    cargo run --release -p zkonnx-tests --example real_models -- --models MODELS --samples SAMPLES --write docs/real-models.md

";

const LEGEND: &str = "
Each model is quantised with the smallest width of 8, 10, 12, 14, 16, 18 and 20 bits (from 12 on, for models of more than ten million
multiply-accumulates) that is near enough on the held-out samples, with scales per channel where that width needs them. Near enough to ONNX Runtime's outputs, that is: what is asked of each model stands in
its section. The error given is the largest one of any element of any output, as a share of the range that the output takes on
these samples. Proving times are medians of three, or single ones from 5 s on; `of cores` is the time
of both cores together, which other work on the machine does not lengthen much: half of it is what proving takes at best.
Memory is the peak of the process from making keys to verifying. All inputs and outputs are public.

The float model, in float64, is compared with ONNX Runtime, in float32; how far they are from one another stands in each section.
magika's first layer norm takes variances of 1e-6 as differences of means, which float32 does not resolve. Dynamically quantised files
(minilm_l6_int8, voicefilter) round their activations at run time in ONNX Runtime, which is not reproduced.
";

/// The whole document.
pub(crate) fn document(all: &[(&Model, anyhow::Result<Outcome>)]) -> String {
    let outcomes: Vec<(&Model, &Outcome)> = all.iter().filter_map(|(m, o)| Some((*m, o.as_ref().ok()?))).collect();
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "{}\n", machine());
    text.push_str(
        "| model | weights | MAC | bits | k, columns | prove, s | of cores, s | verify, ms | proof, kB | memory, MB | error | top-1 as float |\n",
    );
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for (model, outcome) in &outcomes {
        text.push_str(&row(model, outcome));
    }
    text.push_str(&reach(&outcomes));
    for (model, outcome) in all {
        if let Err(problem) = outcome {
            let _ = write!(text, "\n**{} is not proven**: {problem}. It is {}.\n", model.name, model.about);
        }
    }
    text.push_str(LEGEND);
    for (model, outcome) in &outcomes {
        text.push_str(&section(model, outcome));
    }
    text
}

fn row(model: &Model, outcome: &Outcome) -> String {
    let bits = format!("{}{}", outcome.bits, if outcome.per_channel { ", per channel" } else { "" });
    let proof = match &outcome.proof {
        None => "| – | – | – | – | – ".to_owned(),
        Some(p) => format!(
            "| {} | {} | {:.0} | {:.1} | {} ",
            seconds(p.prove_seconds),
            p.prove_cpu_seconds.map_or("?".into(), seconds),
            1e3 * p.verify_seconds,
            thousands(p.bytes),
            p.memory.map_or("?".into(), |m| (m >> 20).to_string()),
        ),
    };
    let error = outcome.outputs.iter().map(|o| o.error).fold(0.0, f64::max);
    let classes = outcome.outputs.iter().find(|o| matches!(model.near, Near::Top1(name, _) if name == o.name));
    let classes = classes.or_else(|| outcome.outputs.iter().find(|o| o.name == "softmax_1"));
    format!(
        "| {} | {} k | {:.2} M | {bits} | {}, {} {proof}| {:.2} % | {} |\n",
        model.name,
        outcome.weights / 1000,
        millions(outcome.macs),
        outcome.k,
        outcome.columns,
        100.0 * error,
        classes.map_or("–".into(), |o| format!("{:.1} %", 100.0 * o.top1)),
    )
}

/// What was aimed at, beside what is reached.
fn reach(outcomes: &[(&Model, &Outcome)]) -> String {
    let mut text = "\nAgainst what was aimed at:\n\n| model | prove | memory | proof | verify | accuracy |\n|---|--:|--:|--:|--:|--:|\n".to_owned();
    for (model, outcome) in outcomes.iter().filter(|(model, _)| model.reach.is_whole()) {
        let Some(proof) = &outcome.proof else { continue };
        let (aim, mark) = (&model.reach, |is_met: bool| if is_met { "" } else { " **missed**" });
        let megabytes = proof.memory.unwrap_or(u64::MAX) / 1_000_000;
        let _ = writeln!(
            text,
            "| {} | {} of {} s{} | {megabytes} of {} MB{} | {:.1} of {:.0} kB{} | {:.0} of {:.0} ms{} | {}{} |",
            model.name,
            seconds(proof.prove_seconds),
            aim.seconds,
            mark(proof.prove_seconds <= aim.seconds),
            aim.megabytes,
            mark(megabytes <= aim.megabytes),
            thousands(proof.bytes),
            thousands(aim.bytes),
            mark(proof.bytes <= aim.bytes),
            1e3 * proof.verify_seconds,
            1e3 * aim.verify,
            mark(proof.verify_seconds <= aim.verify),
            accuracy(model, outcome),
            mark(outcome.near),
        );
    }
    text
}

/// What is asked of the model's outputs, and what they are.
fn accuracy(model: &Model, outcome: &Outcome) -> String {
    let of = |name: &str| outcome.outputs.iter().find(|o| o.name == name);
    match model.near {
        Near::Error(limit) => {
            let error = outcome.outputs.iter().map(|o| o.error).fold(0.0, f64::max);
            format!("error {:.2} of {} %", 100.0 * error, 100.0 * limit)
        }
        Near::Top1(name, share) => {
            let top1 = of(name).map_or(f64::NAN, |o| o.top1);
            format!("top-1 as float on {:.1} of {:.0} %", 100.0 * top1, 100.0 * share)
        }
        Near::Cosine(name, least) => {
            format!("least cosine {:.5} of {least}", of(name).map_or(f64::NAN, |o| o.cosine))
        }
    }
}

fn section(model: &Model, outcome: &Outcome) -> String {
    let mut text = format!("\n## {}\n\n", model.name);
    let _ =
        writeln!(text, "{}. Samples: {}. Asked: {}.\n", capital(model.about), model.samples, accuracy(model, outcome));
    let _ = writeln!(
        text,
        "Imported in {} s, calibrated and quantised in {} s{}.\n",
        seconds(outcome.import_seconds),
        seconds(outcome.quantise_seconds),
        outcome
            .prepare_memory
            .map_or(String::new(), |m| format!(", with {} MB of memory at most for all widths tried", m >> 20)),
    );
    let _ = writeln!(
        text,
        "The float model differs from ONNX Runtime by {:.5} % of an output's range at most. The integer graph has {} nodes; \
         {} lookups with limbs of {} bits, predicted {} s.{}\n",
        100.0 * outcome.float_error,
        outcome.nodes,
        outcome.lookups,
        outcome.limb_bits,
        seconds(outcome.predicted_seconds),
        outcome.proof.as_ref().map_or(String::new(), |p| format!(
            " Keys take {} s, `model.zkv` {:.1} kB.",
            seconds(p.keys_seconds),
            thousands(p.zkv_bytes)
        )),
    );
    let _ = writeln!(text, "```text\n{}\n```", outcome.report.trim_end());
    text
}

/// Where it was measured.
fn machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = information.lines().find(|l| l.starts_with("model name")).and_then(|l| l.split_once(':'));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().next().and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0);
    format!(
        "Measured on a machine with {} cores ({}) and {} GB of memory, that other work may have shared.",
        rayon::current_num_threads(),
        cpu.map_or("unknown", |(_, name)| name.trim()),
        (kib + (1 << 19)) >> 20,
    )
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

fn seconds(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

#[allow(clippy::cast_precision_loss)] // counts
fn millions(count: u64) -> f64 {
    count as f64 / 1e6
}

#[allow(clippy::cast_precision_loss)] // counts
fn thousands(count: usize) -> f64 {
    count as f64 / 1e3
}
