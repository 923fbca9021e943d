//! What the benchmarks share: the fixture models, ready to prove.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use zkonnx_circuits::{cost::choose_layout, lower::Modes};
use zkonnx_prover::{keys::ProverModel, params_cache};
use zkonnx_quantize::{
    data::{quantise_input, read_samples},
    onnx::OnnxModel,
    quantize,
    recipe::Recipe,
};
use zkonnx_verifier::registry::ModelHandle;

/// A fixture model with both sides and some inputs.
#[derive(Debug)]
pub struct Fixture {
    /// The prover's side.
    pub prover: ProverModel,
    /// The verifier's side.
    pub handle: ModelHandle,
    /// Integer inputs: the calibration samples.
    pub inputs: Vec<Vec<Vec<i64>>>,
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// Loads `tests/models/NAME.onnx`, quantised with its calibration samples.
///
/// # Panics
/// When the committed files are not there.
#[must_use]
pub fn fixture(name: &str) -> Fixture {
    let onnx = OnnxModel::from_path(&models().join(format!("{name}.onnx")), &BTreeMap::new()).expect("a fixture");
    let samples = read_samples(&models().join(format!("{name}_calibration.npz")), &onnx.inputs()).expect("its samples");
    let (mut model, _) = quantize(&onnx, Some(&samples), &Recipe::default()).expect("a model that quantises");
    model.layout = choose_layout(&Arc::new(model.graph.clone()), None, None).expect("a layout").0;
    let inputs = (0..samples.len())
        .map(|s| {
            let inputs = model.graph.inputs.iter().zip(samples.sample(s));
            inputs.map(|(input, values)| quantise_input(input, values).expect("finite").values).collect()
        })
        .collect();
    let params = params_cache::load(&params_cache::folder(), model.layout.k.into()).expect("parameters").0;
    let params = Arc::new(params);
    let modes = Modes::public(&model.graph);
    let prover = ProverModel::new(model, modes, params).expect("keys");
    let handle = prover.register().expect("a valid model");
    Fixture { prover, handle, inputs }
}
