//! `zkonnx run`.

use super::{files, output, stages, Failure, Outcome};
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
        output::check(&[self.output.as_ref()], &[Some(&self.model), Some(&self.input)])?;
        let model = files::read_model(&self.model)?;
        let samples = files::samples(&self.input, &files::input_specs(&model.graph))?;
        let mut results: Vec<NamedTensor> = Vec::new();
        let bar = stages::start("evaluating", false);
        stages::show(&bar, "evaluating", u64::try_from(samples.len()).ok());
        for sample in 0..samples.len() {
            let quantise = || files::quantise(&model.graph, (&self.input, &samples), sample, self.strict_range);
            // What it warns of goes to standard error too.
            let inputs = bar.suspend(quantise)?;
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
            bar.inc(1);
        }
        bar.finish_and_clear();
        let Some(path) = &self.output else {
            if samples.len() != 1 {
                results.iter_mut().for_each(|result| result.shape.insert(0, samples.len()));
            }
            say!("{}", if self.raw { integers_to_json(&results) } else { to_json(&results) });
            return Ok(Outcome::Done);
        };
        let is_csv = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
        for result in &mut results {
            if is_csv {
                // One sample per row.
                result.shape = vec![samples.len(), result.data.len() / samples.len()];
            } else if samples.len() != 1 {
                result.shape.insert(0, samples.len());
            }
        }
        output::write_with(path, |path| write_outputs(path, &results))?;
        Ok(Outcome::Done)
    }
}

/// `{"name": {"shape": […], "data": […]}}`.
pub(super) fn to_json(tensors: &[NamedTensor]) -> serde_json::Value {
    json_of(tensors, |v| v.into())
}

/// The same for tensors that hold integers.
#[allow(clippy::cast_possible_truncation)] // they are integers
fn integers_to_json(tensors: &[NamedTensor]) -> serde_json::Value {
    json_of(tensors, |v| (v as i64).into())
}

fn json_of(tensors: &[NamedTensor], number: impl Fn(f64) -> serde_json::Value) -> serde_json::Value {
    let data = |t: &NamedTensor| t.data.iter().map(|v| number(*v)).collect::<serde_json::Value>();
    tensors
        .iter()
        .map(|t| (t.name.clone(), serde_json::json!({ "shape": t.shape, "data": data(t) })))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
