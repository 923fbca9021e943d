//! Sizes of a model's files, circuit and proof, known without proving.

use serde::Serialize;
use zkonnx_circuits::{compiled::CompiledModel, cost::predict};
use zkonnx_quantize::model::{QuantizedModel, WeightPrivacy};
use zkonnx_verifier::{
    length::circuit_degree,
    metering::Metering,
    zkv::{DeclaredWeights, VerifierModel},
};

/// Counts and bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sizes {
    /// The circuit has `2^k` rows.
    pub k: u8,
    /// Width of a limb.
    pub limb_bits: u8,
    /// Advice columns.
    pub advice_columns: usize,
    /// Those of words.
    pub word_columns: usize,
    /// Fixed columns.
    pub fixed_columns: usize,
    /// Degree of the constraint system.
    pub degree: usize,
    /// Rows of all tables.
    pub table_rows: usize,
    /// Cells of words.
    pub cells: usize,
    /// Cells that are looked up.
    pub lookups: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Elements of all parameters.
    pub parameters: u64,
    /// Columns that commit them.
    pub parameter_columns: usize,
    /// Rounds of the sumcheck.
    pub sumcheck_rounds: usize,
    /// Relations.
    pub relations: usize,
    /// Whether commitments of weights are blinded.
    pub private_weights: bool,
    /// Bytes of the model's file.
    pub zkq: usize,
    /// Bytes of the verifier's file; with private weights without the registration proof.
    pub zkv: usize,
    /// Bytes of a proof.
    pub proof: u64,
    /// Predicted seconds to prove, on two cores.
    pub predicted_seconds: f64,
    /// Predicted peak bytes while proving.
    pub predicted_memory: usize,
}

impl Sizes {
    /// The sizes of a compiled model that comes from a file of so many bytes.
    #[must_use]
    pub fn new(file: usize, model: &QuantizedModel, compiled: &CompiledModel) -> Self {
        let shape = &compiled.shape;
        let (cost, metering) = (predict(compiled), Metering::of(compiled));
        let private = matches!(model.privacy, WeightPrivacy::Private { .. });
        // Commitments are all of one length, whatever they are.
        let verifier = VerifierModel {
            graph: model.graph.clone(),
            layout: model.layout,
            weights: if private { DeclaredWeights::Private } else { DeclaredWeights::Public },
            commitments: vec![[0; 32]; compiled.params.num_columns],
            registration: Vec::new(),
        };
        Self {
            k: model.layout.k,
            limb_bits: model.layout.limb_bits,
            advice_columns: shape.num_advice_columns(),
            word_columns: shape.columns.len(),
            fixed_columns: shape.num_fixed_columns(),
            degree: circuit_degree(shape),
            table_rows: shape.table.len(),
            cells: cost.lookups,
            lookups: metering.lookups,
            macs: metering.macs,
            parameters: metering.weights,
            parameter_columns: compiled.params.num_columns,
            sumcheck_rounds: compiled.sumcheck.num_rounds,
            relations: compiled.lowered.relations.len(),
            private_weights: private,
            zkq: file,
            zkv: verifier.to_bytes().len(),
            proof: metering.proof_bytes,
            predicted_seconds: cost.seconds,
            predicted_memory: cost.memory,
        }
    }
}
