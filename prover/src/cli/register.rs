//! `zkonnx register`, and the verifier's file of a model.

use super::{files, output, stages, Failure, Outcome};
use crate::{
    generators::Generators,
    keys::{verifier_model, ParamColumns},
    prove::prove_registration,
};
use clap::Args;
use std::{path::PathBuf, sync::Arc};
use zkonnx_quantize::model::{QuantizedModel, WeightPrivacy};
use zkonnx_verifier::{
    registry::{ModelHandle, WeightStatus},
    statement::ModelId,
};

#[derive(Debug, Args)]
pub(super) struct Register {
    /// The quantised model
    model: PathBuf,
    /// Where to write the verifier's file (.zkv); by default beside the model
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Print a JSON summary
    #[arg(long)]
    json: bool,
}

/// What a verifier registers.
#[derive(Debug)]
pub(super) struct VerifierFile {
    pub(super) id: ModelId,
    pub(super) bytes: Vec<u8>,
    pub(super) weights: WeightStatus,
}

/// Commits the weights of a model, and proves of private ones that they are in range. A verifier registers what this gives.
pub(super) fn verifier_file(model: &QuantizedModel) -> Result<VerifierFile, Failure> {
    let params = files::params(model.layout.k.into())?;
    let generators = Generators::new(&params).ok_or_else(|| Failure::new("unusable parameters"))?;
    let columns = ParamColumns::new(model, &generators);
    let mut verifier = verifier_model(model, &columns);
    let private = matches!(model.privacy, WeightPrivacy::Private { .. });
    if private && !model.graph.params.is_empty() {
        verifier.registration = prove_registration(model.clone(), Arc::clone(&params)).map_err(|e| {
            Failure::new(format!("the registration of private weights: {e}")).hint("a larger --k may have room for it")
        })?;
    }
    let bytes = verifier.to_bytes();
    // Never hand out a model that nobody can register.
    let handle = ModelHandle::new(&bytes, |_| Ok(params)).map_err(Failure::new)?;
    Ok(VerifierFile { id: handle.id(), bytes, weights: handle.weight_status() })
}

impl Register {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let target = self.output.clone().unwrap_or_else(|| self.model.with_extension("zkv"));
        if target.extension().is_none_or(|e| e != "zkv") {
            return Err(Failure::at(&target, "the output needs the extension .zkv"));
        }
        output::check(&[Some(&target)], &[Some(&self.model)])?;
        let model = files::read_model(&self.model)?;
        let bar = stages::start("committing", self.json);
        let file = verifier_file(&model).map_err(|e| e.of_file(&self.model))?;
        bar.finish_and_clear();
        output::write(&[(&target, &file.bytes)])?;
        let proven = file.weights == WeightStatus::RangeProven;
        if self.json {
            say!(
                "{}",
                serde_json::json!({
                    "model_id": file.id.to_string(),
                    "zkv": target,
                    "zkv_bytes": file.bytes.len(),
                    "range_proven": proven,
                })
            );
            return Ok(Outcome::Done);
        }
        say!("model id   {}", file.id);
        say!("layout     {}", super::gates::layout_text(model.layout));
        let weights = if proven { ", with the registration proof of its private weights" } else { "" };
        say!("written    {} ({}){weights}", target.display(), files::bytes(file.bytes.len()));
        Ok(Outcome::Done)
    }
}
