//! `zkonnx verify`.

use super::{context::hex, files, run::to_json, Failure, Outcome};
use clap::Args;
use std::{path::PathBuf, time::Instant};
use zkonnx_quantize::data::NamedTensor;
use zkonnx_verifier::{
    proof_file::ProofFile,
    registry::Registry,
    statement::{Context, TensorEntry, TensorValue},
    verify::verify,
    zkv::{DeclaredWeights, VerifierModel},
};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The model that the verifier trusts: a .zkv file
    #[arg(long)]
    model: PathBuf,
    /// The proof
    proof: PathBuf,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let model = files::read(&self.model)?;
        // The layout stands in the file: read it before parameters are looked for.
        let parsed = VerifierModel::from_bytes(&model)
            .map_err(|e| Failure::at(&self.model, e).hint("a .zkv file is written by `zkonnx quantize`"))?;
        let file = match ProofFile::from_bytes(&files::read(&self.proof)?) {
            Ok(file) => file,
            Err(error) => return Ok(self.reject(&error.to_string())),
        };
        let mut registry = Registry::new();
        registry.insert_params(files::params(parsed.layout.k.into()).map_err(|e| Failure::at(&self.model, e.message))?);
        let handle = registry.register(&model).map_err(|e| Failure::at(&self.model, e))?;
        let started = Instant::now();
        let verdict = verify(&handle, &file.statement, &file.proof, Some(files::now()));
        let seconds = started.elapsed().as_secs_f64();
        let verified = match verdict {
            Ok(verified) => verified,
            Err(error) => return Ok(self.reject(&error.to_string())),
        };
        let graph = handle.graph();
        let scales = |entry: &TensorEntry| {
            let input = graph.inputs.iter().find(|i| i.name == entry.name).map(|i| i.scale);
            let output = graph.outputs.iter().find(|o| o.name == entry.name).map(|o| o.scale);
            (input, output)
        };
        let inputs: Vec<NamedTensor> =
            file.statement.inputs.iter().filter_map(|e| in_units(e, scales(e).0?.to_f64())).collect();
        let outputs: Vec<NamedTensor> =
            file.statement.outputs.iter().filter_map(|e| in_units(e, scales(e).1?.to_f64())).collect();
        let context = file.statement.context;
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "verdict": "accepted",
                    "model_id": verified.model_id().to_string(),
                    "statement": verified.statement_digest().to_string(),
                    "inputs": to_json(&inputs),
                    "outputs": to_json(&outputs),
                    "context": context_json(&context),
                    "seconds": seconds,
                })
            );
            return Ok(Outcome::Done);
        }
        say!("accepted in {:.1} ms", seconds * 1e3);
        say!("model id   {}", verified.model_id());
        say!("statement  {}", verified.statement_digest());
        match handle.declared_weights() {
            DeclaredWeights::Public => say!("weights    declared public (not recomputed here)"),
            DeclaredWeights::Private => say!("weights    private, not range-proven"),
        }
        for (what, entries, tensors) in
            [("input", &file.statement.inputs, &inputs), ("output", &file.statement.outputs, &outputs)]
        {
            for entry in entries {
                match tensors.iter().find(|t| t.name == entry.name) {
                    Some(tensor) => say!("{what:10} {} {:?} = {}", entry.name, entry.shape, shorten(&tensor.data)),
                    None => say!("{what:10} {} {:?} hidden", entry.name, entry.shape),
                }
            }
        }
        if context == Context::default() {
            say!("context    none");
        } else {
            say!("context    {}", context_json(&context));
        }
        Ok(Outcome::Done)
    }

    fn reject(&self, reason: &str) -> Outcome {
        if self.json {
            say!("{}", serde_json::json!({ "verdict": "rejected", "reason": reason }));
        } else {
            say!("REJECTED: {}: {reason}", self.proof.display());
        }
        Outcome::Rejected
    }
}

/// A public tensor in real units; `None` when hidden.
fn in_units(entry: &TensorEntry, scale: f64) -> Option<NamedTensor> {
    match &entry.value {
        TensorValue::Hidden => None,
        TensorValue::Public(integers) => Some(NamedTensor {
            name: entry.name.clone(),
            shape: entry.shape.iter().map(|s| *s as usize).collect(),
            #[allow(clippy::cast_precision_loss)] // for people
            data: integers.to_vec().into_iter().map(|v| v as f64 * scale).collect(),
        }),
    }
}

fn context_json(context: &Context) -> serde_json::Value {
    serde_json::json!({
        "domain": hex(&context.domain),
        "job_id": hex(&context.job_id),
        "nonce": context.nonce,
        "requester": hex(&context.requester),
        "payee": hex(&context.payee),
        "not_after": context.not_after,
    })
}

/// The first values.
fn shorten(values: &[f64]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = values.iter().take(SHOWN).map(|v| format!("{v:.5}")).collect();
    let rest = values.len().saturating_sub(SHOWN);
    let more = if rest > 0 { format!(", … {rest} more") } else { String::new() };
    format!("[{}{more}]", shown.join(", "))
}
