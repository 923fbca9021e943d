//! A prover with its verifier, and parameters shared by all tests of a process.

use halo2_proofs::poly::commitment::Params;
use pasta_curves::EqAffine;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};
use zkonnx_circuits::{cost::choose_layout, lower::Modes};
use zkonnx_prover::keys::ProverModel;
use zkonnx_quantize::model::{Gates, QuantizedModel};
use zkonnx_verifier::registry::{ModelHandle, Registry};

/// Parameters for `k`, derived once.
#[must_use]
pub fn params(k: u8) -> Arc<Params<EqAffine>> {
    static CACHE: OnceLock<Mutex<BTreeMap<u8, Arc<Params<EqAffine>>>>> = OnceLock::new();
    let mut cache = CACHE.get_or_init(Mutex::default).lock().expect("no panic while deriving");
    Arc::clone(cache.entry(k).or_insert_with(|| Arc::new(Params::new(k.into()))))
}

/// The model with its gates proven in either way.
#[must_use]
pub fn both_ways(model: &QuantizedModel) -> [QuantizedModel; 2] {
    [Gates::Relations, Gates::Halo2].map(|gates| {
        let mut model = model.clone();
        model.layout.gates = gates;
        model
    })
}

/// Gives a model the best layout, of `2^k` rows or any number.
///
/// # Panics
/// When there is none.
pub fn lay_out(model: &mut QuantizedModel, k: Option<u8>) {
    let graph = Arc::new(model.graph.clone());
    model.layout = choose_layout(&graph, model.layout.gates, k, None).expect("a layout").0;
}

/// Both sides of a model.
#[derive(Debug)]
pub struct Sides {
    /// The prover's.
    pub prover: ProverModel,
    /// The verifier's, registered from the prover's bytes.
    pub handle: ModelHandle,
}

impl Sides {
    /// Both sides, everything public.
    #[must_use]
    pub fn new(model: QuantizedModel) -> Self {
        let modes = Modes::public(&model.graph);
        Self::with_modes(model, modes)
    }

    /// Both sides of the model with its gates proven in either way, everything public.
    #[must_use]
    pub fn both(model: &QuantizedModel) -> [Self; 2] {
        both_ways(model).map(Self::new)
    }

    /// Both sides with chosen modes.
    #[must_use]
    pub fn with_modes(model: QuantizedModel, modes: Modes) -> Self {
        let params = params(model.layout.k);
        let prover = ProverModel::new(model, modes, Arc::clone(&params)).expect("a model that compiles");
        let mut registry = Registry::new();
        registry.insert_params(params);
        let handle = registry.register(&prover.zkv).expect("a valid model");
        Self { prover, handle }
    }
}
