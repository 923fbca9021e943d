//! `zkonnx run`.

use super::{files, Failure, Outcome};
use clap::Args;
use std::path::PathBuf;
use zkonnx_quantize::{
    data::{dequantise_output, write_outputs, NamedTensor},
    eval::evaluate,
};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The quantised model
    model: PathBuf,
    /// Inputs: .npy, .npz, .json or .csv; one more leading axis means many samples
    #[arg(long)]
    input: PathBuf,
    /// Where to write the outputs (.npy, .npz, .json, .csv); without it, JSON on standard output
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Write the integers instead of real units
    #[arg(long)]
    raw: bool,
    /// Refuse inputs outside of the declared range instead of clamping them
    #[arg(long)]
    strict_range: bool,
}

impl Run {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let model = files::read_model(&self.model)?;
        let samples = files::samples(&model.graph, &self.input)?;
        let mut results: Vec<NamedTensor> = Vec::new();
        for sample in 0..samples.len() {
            let inputs = files::quantise(&model.graph, &samples, sample, self.strict_range)?;
            let trace = evaluate(&model, &inputs).map_err(Failure::new)?;
            for (i, (output, integers)) in model.graph.outputs.iter().zip(&trace.outputs).enumerate() {
                let mut tensor = dequantise_output(output, integers);
                if self.raw {
                    #[allow(clippy::cast_precision_loss)] // outputs stay below 2^53 in practice
                    let raw = integers.iter().map(|v| *v as f64).collect();
                    tensor.data = raw;
                }
                match results.get_mut(i) {
                    Some(result) => result.data.extend(tensor.data),
                    None => results.push(tensor),
                }
            }
        }
        if samples.len() != 1 {
            for result in &mut results {
                result.shape.insert(0, samples.len());
            }
        }
        match &self.output {
            Some(path) => write_outputs(path, &results).map_err(|e| Failure::at(path, e))?,
            None => println!("{}", to_json(&results)),
        }
        Ok(Outcome::Done)
    }
}

/// `{"name": {"shape": […], "data": […]}}`.
pub(super) fn to_json(tensors: &[NamedTensor]) -> serde_json::Value {
    tensors
        .iter()
        .map(|t| (t.name.clone(), serde_json::json!({ "shape": t.shape, "data": t.data })))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
