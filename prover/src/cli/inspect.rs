//! `zkonnx inspect`.

use super::{files, Failure, Outcome};
use clap::Args;
use std::{path::PathBuf, sync::Arc};
use zkonnx_circuits::cost::choose_layout;
use zkonnx_quantize::{
    onnx::{inspect::inspect, OnnxModel},
    quantize,
    recipe::Recipe,
};

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The ONNX model
    model: PathBuf,
    /// Size of a symbolic dimension (may be given several times)
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = files::parse_dim)]
    dims: Vec<(String, u32)>,
    /// Bits of an activation, for the prediction
    #[arg(long)]
    bits: Option<u8>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let dims = files::dims(&self.dims);
        let inspection = inspect(&self.model, &dims).map_err(|e| Failure::at(&self.model, e))?;
        let predicted = if inspection.problem.is_none() { self.predict()? } else { None };
        if self.json {
            let predicted = predicted.map(|(layout, cost)| {
                serde_json::json!({
                    "k": layout.k,
                    "limb_bits": layout.limb_bits,
                    "advice_columns": cost.advice_columns,
                    "lookups": cost.lookups,
                    "prove_seconds": cost.seconds,
                    "memory_bytes": cost.memory,
                })
            });
            say!("{:#}", serde_json::json!({ "model": inspection, "predicted": predicted }));
            return Ok(Outcome::Done);
        }
        say!("{}", inspection.to_string().trim_end());
        if let Some((layout, cost)) = predicted {
            say!(
                "predicted  k = {}, limbs of {} bits, {} advice columns, {} lookups",
                layout.k,
                layout.limb_bits,
                cost.advice_columns,
                cost.lookups
            );
            say!(
                "predicted  {:.2} s to prove on two cores, {} (ranges from random inputs: calibrate for better)",
                cost.seconds,
                files::bytes(cost.memory)
            );
        }
        Ok(Outcome::Done)
    }

    fn predict(&self) -> Result<Option<(zkonnx_quantize::model::LayoutChoice, zkonnx_circuits::cost::Cost)>, Failure> {
        let dims = files::dims(&self.dims);
        let onnx = OnnxModel::from_path(&self.model, &dims).map_err(|e| Failure::at(&self.model, e))?;
        let mut recipe = Recipe { dims, ..Recipe::default() };
        recipe.bits = self.bits.unwrap_or(recipe.bits);
        let (model, _) = quantize(&onnx, None, &recipe).map_err(|e| Failure::at(&self.model, e))?;
        match choose_layout(&Arc::new(model.graph), None, None) {
            Ok(choice) => Ok(Some(choice)),
            Err(error) => {
                eprintln!("warning: no prediction: {error}");
                Ok(None)
            }
        }
    }
}
