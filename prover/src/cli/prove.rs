//! `zkonnx prove`.

use super::{context, files, output, Failure, Outcome};
use crate::{keys::ProverModel, prove::prove};
use clap::Args;
use std::{path::PathBuf, time::Instant};
use zkonnx_circuits::lower::{Mode, Modes};
use zkonnx_quantize::graph::Graph;
use zkonnx_verifier::{proof_file::ProofFile, registry::Registry, verify::verify};

#[derive(Debug, Args)]
pub(super) struct Prove {
    /// The quantised model
    model: PathBuf,
    /// One input: .npy, .npz, .json or .csv
    #[arg(long)]
    input: PathBuf,
    /// Where to write the proof with its statement
    #[arg(short, long)]
    output: PathBuf,
    /// For whom and for which job: a JSON file with domain, job_id, nonce, requester, payee, not_after
    #[arg(long)]
    context: Option<PathBuf>,
    /// Say nothing about this input or output in the statement (may be given several times)
    #[arg(long, value_name = "NAME")]
    hide: Vec<String>,
    /// Refuse inputs outside of the declared range instead of clamping them
    #[arg(long)]
    strict_range: bool,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        output::check(&[Some(&self.output)], &[Some(&self.model), Some(&self.input), self.context.as_ref()])?;
        let model = files::read_model(&self.model)?;
        let context = context::read(self.context.as_deref())?;
        if context.not_after != 0 && context.not_after < files::now() {
            eprintln!("warning: the context has expired already: verifiers will refuse the proof");
        }
        let samples = files::samples(&self.input, &files::input_specs(&model.graph))?;
        if samples.len() != 1 {
            return Err(Failure::at(&self.input, format!("{} samples; `prove` proves one", samples.len()))
                .hint("split the file, or evaluate all of them with `zkonnx run`; `zkonnx batch` will prove many"));
        }
        let inputs = files::quantise(&model.graph, (&self.input, &samples), 0, self.strict_range)?;
        let modes = modes(&model.graph, &self.hide)?;
        let started = Instant::now();
        let bar = files::spinner("parameters");
        let params = files::params(model.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?;
        bar.set_message("keys");
        let prover = ProverModel::new(model, modes, params.clone()).map_err(|e| Failure::at(&self.model, e))?;
        let prepared = started.elapsed();
        bar.set_message("proving");
        let started = Instant::now();
        let (statement, proof) = prove(&prover, &inputs, context).map_err(Failure::new)?;
        let proven = started.elapsed();
        bar.set_message("verifying");
        // Never hand out a proof that does not verify.
        let mut registry = Registry::new();
        registry.insert_params(params);
        let handle = registry.register(&prover.zkv).map_err(Failure::new)?;
        verify(&handle, &statement, &proof, None).map_err(|e| Failure::new(format!("own proof refused: {e}")))?;
        bar.finish_and_clear();
        let proof_bytes = proof.len();
        let bytes = ProofFile { statement, proof }.to_bytes();
        output::write(&[(&self.output, &bytes)])?;
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "model_id": prover.id.to_string(),
                    "proof": self.output,
                    "proof_bytes": proof_bytes,
                    "file_bytes": bytes.len(),
                    "prepare_seconds": prepared.as_secs_f64(),
                    "prove_seconds": proven.as_secs_f64(),
                })
            );
        } else {
            say!(
                "{}: proof of {}, file of {}; keys {:.2} s, proof {:.2} s",
                self.output.display(),
                files::bytes(proof_bytes),
                files::bytes(bytes.len()),
                prepared.as_secs_f64(),
                proven.as_secs_f64()
            );
        }
        Ok(Outcome::Done)
    }
}

/// Everything public but the named tensors.
pub(super) fn modes(graph: &Graph, hide: &[String]) -> Result<Modes, Failure> {
    let mut modes = Modes::public(graph);
    let inputs = graph.inputs.iter().map(|i| &i.name).zip(&mut modes.inputs);
    let outputs = graph.outputs.iter().map(|o| &o.name).zip(&mut modes.outputs);
    for (name, mode) in inputs.chain(outputs) {
        if hide.contains(name) {
            *mode = Mode::Hidden;
        }
    }
    let known = |name: &&String| {
        graph.inputs.iter().any(|i| i.name == **name) || graph.outputs.iter().any(|o| o.name == **name)
    };
    if let Some(unknown) = hide.iter().find(|name| !known(name)) {
        let names: Vec<&str> =
            graph.inputs.iter().map(|i| i.name.as_str()).chain(graph.outputs.iter().map(|o| o.name.as_str())).collect();
        return Err(Failure::new(format!("--hide {unknown}: the model has no such input or output"))
            .hint(format!("there are {}", names.join(", "))));
    }
    if modes.inputs.contains(&Mode::Hidden) && !modes.outputs.contains(&Mode::Public) {
        eprintln!("warning: with inputs and all outputs hidden the statement says almost nothing");
    }
    Ok(modes)
}
