//! Models that others trained: imported, compared with ONNX Runtime, quantised, proven and verified.
//!
//! ```text
//! python tests/real_models/make_samples.py --models MODELS SAMPLES
//! cargo run --release -p zkonnx-tests --example real_models -- --models MODELS --samples SAMPLES                  # all
//! cargo run --release -p zkonnx-tests --example real_models -- --models … --samples … --model alexa --no-prove    # one
//! cargo run --release -p zkonnx-tests --example real_models -- --models … --samples … --write docs/real-models.md
//! ```
//!
//! The models are no part of the repository; the document says where they come from. Each runs in a process of its
//! own, so that its peak memory is its own. `--outcomes DIR` keeps what came of each: a run that was interrupted goes on.

mod document;
mod models;
mod run;

use anyhow::{bail, Context};
use clap::Parser;
use models::{Model, MODELS};
use run::Outcome;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Clone, Debug, Parser)]
pub(crate) struct Arguments {
    /// The directory of the models.
    #[arg(long, env = "ZKONNX_REAL_MODELS")]
    models: PathBuf,
    /// The directory that make_samples.py wrote.
    #[arg(long, env = "ZKONNX_REAL_SAMPLES")]
    samples: PathBuf,
    /// Only this model.
    #[arg(long)]
    model: Option<String>,
    /// Only these bits, whatever the error.
    #[arg(long)]
    bits: Option<u8>,
    /// With scales per channel.
    #[arg(long)]
    per_channel: bool,
    /// Do not prove.
    #[arg(long)]
    no_prove: bool,
    /// Write the document here.
    #[arg(long, conflicts_with_all = ["model", "bits", "per_channel", "no_prove"])]
    write: Option<PathBuf>,
    /// Keep outcomes in this folder; those of models that are there already are taken from it.
    #[arg(long, conflicts_with_all = ["model", "bits", "per_channel", "no_prove"])]
    outcomes: Option<PathBuf>,
    /// Write the outcome of the one model here, as JSON.
    #[arg(long, requires = "model", hide = true)]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(name) = &arguments.model {
        let model = MODELS.iter().find(|m| m.name == name).with_context(|| format!("no model is named {name}"))?;
        let outcome = run::run(model, &arguments);
        if let Some(path) = &arguments.json {
            let said = outcome.as_ref().map_err(|e| format!("{e:#}"));
            std::fs::write(path, serde_json::to_vec(&said)?).with_context(|| path.display().to_string())?;
        }
        return outcome.map(|_| ());
    }
    let own = std::env::temp_dir().join(format!("zkonnx-real-models-{}", std::process::id()));
    let folder = arguments.outcomes.clone().unwrap_or_else(|| own.clone());
    std::fs::create_dir_all(&folder)?;
    let outcomes: Vec<_> = MODELS.iter().map(|model| (model, of_own_process(model, &arguments, &folder))).collect();
    if folder == own {
        std::fs::remove_dir_all(&own)?;
    }
    if let Some(path) = &arguments.write {
        std::fs::write(path, document::document(&outcomes)).with_context(|| path.display().to_string())?;
    }
    let mut missed = Vec::new();
    for (model, outcome) in &outcomes {
        match outcome {
            Err(e) => missed.push(format!("{}: {e}", model.name)),
            Ok(outcome) => missed.extend(outcome.missed(model).iter().map(|m| format!("{}: {m}", model.name))),
        }
    }
    if !missed.is_empty() {
        bail!("{}", missed.join("\n"));
    }
    Ok(())
}

/// Runs this program on one model: what came of it, or what stands in the way.
fn of_own_process(model: &Model, arguments: &Arguments, folder: &Path) -> anyhow::Result<Outcome> {
    let json = folder.join(format!("{}.json", model.name));
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--models").arg(&arguments.models).arg("--samples").arg(&arguments.samples);
    command.args(["--model", model.name]).arg("--json").arg(&json);
    if let Some(bits) = arguments.bits {
        command.args(["--bits", &bits.to_string()]);
    }
    for (flag, set) in [("--per-channel", arguments.per_channel), ("--no-prove", arguments.no_prove)] {
        if set {
            command.arg(flag);
        }
    }
    if !json.exists() {
        let status = command.status()?;
        anyhow::ensure!(json.exists(), "{status}");
    }
    let said = std::fs::read(&json)?;
    serde_json::from_slice::<Result<Outcome, String>>(&said)?.map_err(anyhow::Error::msg)
}
