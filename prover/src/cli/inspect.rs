//! `zkonnx inspect`.

use super::{
    gates::GatesOption,
    node_table::{self, Rows},
    recipe::{dim_arguments, RecipeOptions},
    stages, Failure, Outcome,
};
use clap::Args;
use serde_json::Value;
use std::{path::PathBuf, sync::Arc};
use zkonnx_circuits::{compiled::CompiledModel, cost::choose_layout, lower::Modes, node_cost::node_costs};
use zkonnx_quantize::{
    onnx::inspect::{inspect, Inspection},
    quantize, QuantizeError,
};

#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The ONNX model
    model: PathBuf,
    /// Bits of an activation, for the prediction: 4 to 24
    #[arg(long, value_name = "N")]
    bits: Option<u8>,
    /// How gates would be proven, for the prediction
    #[arg(long, value_enum, value_name = "WAY", default_value = "relations")]
    gates: GatesOption,
    #[command(flatten)]
    recipe: RecipeOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What proving would take, and why it cannot be done.
enum Prediction {
    Rows(Box<Rows>),
    Impossible(String),
}

impl Inspect {
    pub(super) fn run(&self) -> Result<Outcome, Failure> {
        let options = self.recipe.import_options()?;
        let bar = stages::start("importing", self.json);
        let inspection = inspect(&self.model, &options).map_err(|e| Failure::at(&self.model, e))?;
        stages::show(&bar, "predicting", None);
        let prediction = if inspection.model.is_some() { Some(self.predict(&inspection)?) } else { None };
        bar.finish_and_clear();
        if self.json {
            Self::print_json(&inspection, prediction.as_ref());
        } else {
            self.print(&inspection, prediction.as_ref());
        }
        match prediction {
            Some(Prediction::Rows(_)) => Ok(Outcome::Done),
            _ => Ok(Outcome::Rejected),
        }
    }

    fn predict(&self, inspection: &Inspection) -> Result<Prediction, Failure> {
        let Some(onnx) = &inspection.model else { return Err(Failure::new("the model is not imported")) };
        let samples = self.recipe.samples(onnx)?;
        let (model, notes) = match quantize(onnx, samples.as_ref(), &self.recipe.recipe(self.bits)) {
            Ok(quantised) => quantised,
            Err(error @ (QuantizeError::Node { .. } | QuantizeError::Output { .. })) => {
                return Ok(Prediction::Impossible(error.to_string()));
            }
            Err(error) => return Err(Failure::at(&self.model, error)),
        };
        let graph = Arc::new(model.graph);
        let compiled = choose_layout(&graph, self.gates.into(), None, None)
            .and_then(|(layout, _)| CompiledModel::new(Arc::clone(&graph), Modes::public(&graph), layout));
        Ok(match compiled {
            Ok(compiled) => {
                let costs = node_costs(&compiled);
                Prediction::Rows(Box::new(node_table::rows(inspection, &compiled, &costs, &notes.tables)))
            }
            Err(error) => Prediction::Impossible(error.to_string()),
        })
    }

    fn print_json(inspection: &Inspection, prediction: Option<&Prediction>) {
        let (predicted, nodes, problem) = match prediction {
            Some(Prediction::Rows(rows)) => (rows.total_json(), rows.nodes_json(), None),
            Some(Prediction::Impossible(problem)) => (Value::Null, Value::Null, Some(problem)),
            None => (Value::Null, Value::Null, None),
        };
        let dims = dim_arguments(inspection.unbound.iter().map(|u| u.key.as_str()));
        say!(
            "{:#}",
            serde_json::json!({
                "model": inspection,
                "dims_to_give": dims,
                "cannot_be_proven": problem,
                "predicted": predicted,
                "proven_by": nodes,
            })
        );
    }

    fn print(&self, inspection: &Inspection, prediction: Option<&Prediction>) {
        say!("{}", inspection.to_string().trim_end());
        if !inspection.unbound.is_empty() {
            say!("give       {}", dim_arguments(inspection.unbound.iter().map(|u| u.key.as_str())));
        }
        match prediction {
            None => {}
            Some(Prediction::Impossible(problem)) => say!("cannot be proven: {problem}"),
            Some(Prediction::Rows(rows)) => {
                say!("{rows}");
                if self.recipe.calibrate.is_none() {
                    say!("           ranges come from random inputs: --calibrate DATA predicts better");
                }
            }
        }
    }
}
