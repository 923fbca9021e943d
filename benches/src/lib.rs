//! What the benchmarks share: models ready to prove, from the fixtures and of one gadget each, and the times of spans.

pub mod gadgets;
pub mod stages;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use zkonnx_circuits::{cost::choose_layout, lower::Modes};
use zkonnx_prover::{keys::ProverModel, params_cache, prove::prove};
use zkonnx_quantize::{
    data::{quantise_input, read_samples},
    model::{Gates, QuantizedModel},
    onnx::OnnxModel,
    quantize,
    recipe::Recipe,
};
use zkonnx_verifier::{
    registry::ModelHandle,
    statement::{Context, Statement},
    verify::verify,
};

/// A model with both sides and some inputs.
#[derive(Debug)]
pub struct Fixture {
    /// The prover's side.
    pub prover: ProverModel,
    /// The verifier's side.
    pub handle: ModelHandle,
    /// Integer inputs.
    pub inputs: Vec<Vec<Vec<i64>>>,
}

impl Fixture {
    /// Both sides of a model, everything public.
    ///
    /// # Panics
    /// When the model has no circuit.
    #[must_use]
    pub fn new(model: QuantizedModel, inputs: Vec<Vec<Vec<i64>>>) -> Self {
        let params = params_cache::load(&params_cache::folder(), model.layout.k.into()).expect("parameters").0;
        let modes = Modes::public(&model.graph);
        let prover = ProverModel::new(model, modes, Arc::new(params)).expect("keys");
        let handle = prover.register().expect("a valid model");
        Self { prover, handle, inputs }
    }

    /// A proof of the first inputs.
    ///
    /// # Panics
    /// When they are not as declared.
    #[must_use]
    pub fn prove(&self) -> (Statement, Vec<u8>) {
        prove(&self.prover, &self.inputs[0], Context::default()).expect("a proof")
    }

    /// A proof that has been verified: what is timed is checked first.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn checked_proof(&self) -> (Statement, Vec<u8>) {
        let (statement, proof) = self.prove();
        verify(&self.handle, &statement, &proof, None).expect("an accepted proof");
        (statement, proof)
    }

    /// The cells that hold words, without unused ones.
    #[must_use]
    pub fn num_cells(&self) -> usize {
        self.prover.keys.compiled.lowered.words.iter().map(|(len, limbs)| len * limbs.len()).sum()
    }
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// Loads `tests/models/NAME.onnx`, quantised with its calibration samples: forecasters to 16 bits, others by the default recipe.
///
/// # Panics
/// When the committed files are not there.
#[must_use]
pub fn fixture(name: &str) -> Fixture {
    fixture_by(name, Gates::Relations)
}

/// The same with gates proven in this way, in the layout that is best for it.
///
/// # Panics
/// When the committed files are not there.
#[must_use]
pub fn fixture_by(name: &str, gates: Gates) -> Fixture {
    let onnx = OnnxModel::from_path(&models().join(format!("{name}.onnx")), &BTreeMap::new()).expect("a fixture");
    let samples = read_samples(&models().join(format!("{name}_calibration.npz")), &onnx.inputs()).expect("its samples");
    let recipe = if name.starts_with("series") { Recipe::of_bits(16) } else { Recipe::default() };
    let (mut model, _) = quantize(&onnx, Some(&samples), &recipe).expect("a model that quantises");
    model.layout = choose_layout(&Arc::new(model.graph.clone()), gates, None, None).expect("a layout").0;
    let inputs = (0..samples.len())
        .map(|s| {
            let inputs = model.graph.inputs.iter().zip(samples.sample(s));
            inputs.map(|(input, values)| quantise_input(input, values).expect("finite").values).collect()
        })
        .collect();
    Fixture::new(model, inputs)
}
