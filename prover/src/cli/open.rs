//! `zkonnx open`.

use super::{files, opening::OpeningFile, Failure, Outcome};
use clap::Args;
use std::path::PathBuf;
use zkonnx_circuits::committed::POINT_LEN;
use zkonnx_verifier::{
    commitment::OpenError,
    proof_file::ProofFile,
    statement::{TensorEntry, TensorValue},
};

#[derive(Debug, Args)]
pub(super) struct Open {
    /// The proof in whose statement the tensor is committed
    proof: PathBuf,
    /// What opens it: a file written by `zkonnx prove --commit`
    #[arg(long)]
    opening: PathBuf,
    /// The tensor's name in this statement; by default that in the opening
    #[arg(long)]
    tensor: Option<String>,
    /// Print the tensor as JSON
    #[arg(long)]
    json: bool,
}

impl Open {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let (file, opening) = OpeningFile::read(&self.opening)?;
        let statement = ProofFile::from_bytes(&files::read(&self.proof)?)
            .map_err(|e| Failure::at(&self.proof, e).hint("a proof is written by `zkonnx prove`"))?
            .statement;
        let name = self.tensor.as_ref().unwrap_or(&file.tensor);
        let entries: Vec<&TensorEntry> =
            statement.inputs.iter().chain(&statement.outputs).filter(|e| e.name == *name).collect();
        let committed: Vec<&&TensorEntry> =
            entries.iter().filter(|e| matches!(e.value, TensorValue::Committed(_))).collect();
        if committed.is_empty() {
            let all = statement.inputs.iter().chain(&statement.outputs);
            let names: Vec<&str> =
                all.filter(|e| matches!(e.value, TensorValue::Committed(_))).map(|e| e.name.as_str()).collect();
            return Err(Failure::at(&self.proof, format!("no tensor '{name}' is committed in this statement"))
                .hint(format!("committed are: {}; choose one with --tensor", names.join(", "))));
        }
        // The generators do not depend on k.
        let needed = opening.values.len().clamp(16, POINT_LEN).next_power_of_two();
        let params = files::params(needed.trailing_zeros())?;
        // An input and an output may have one name: any of them will do.
        let mut outcomes = committed.iter().map(|entry| opening.open(entry, &params).map(|()| entry));
        let first = outcomes.next().unwrap_or(Err(OpenError::NotCommitted));
        let entry = match first.or_else(|error| outcomes.find_map(Result::ok).ok_or(error)) {
            Ok(entry) => entry,
            Err(error) => {
                if self.json {
                    say!("{}", serde_json::json!({ "verdict": "rejected", "reason": error.to_string() }));
                } else {
                    say!("REJECTED: {}: {error}", self.opening.display());
                }
                return Ok(Outcome::Rejected);
            }
        };
        let scale = match &entry.value {
            TensorValue::Committed(committed) => committed.scale.to_f64(),
            _ => file.scale,
        };
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "verdict": "opened",
                    "tensor": name,
                    "shape": entry.shape,
                    "scale": scale,
                    "integers": opening.values,
                })
            );
        } else {
            #[allow(clippy::cast_precision_loss)] // for people
            let reals: Vec<f64> = opening.values.iter().map(|v| *v as f64 * scale).collect();
            say!("opened {name} {:?} = {}", entry.shape, super::verify::shorten(&reals));
            say!("This says nothing about the proof: check it with `zkonnx verify`.");
        }
        Ok(Outcome::Done)
    }
}
