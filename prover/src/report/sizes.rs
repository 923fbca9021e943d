//! Sizes of a model's files, circuit and proof, known without proving.

use crate::proven_by;
use serde::Serialize;
use zkonnx_circuits::{
    compiled::CompiledModel,
    cost::predict,
    length::{num_fold_rounds, num_opening_columns},
    messages::Rounds,
};
use zkonnx_quantize::model::{Gates, QuantizedModel, WeightPrivacy};
use zkonnx_verifier::{
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
    /// How gates are proven.
    pub gates: Gates,
    /// Committed columns: words and multiplicities.
    pub columns: usize,
    /// Those of words.
    pub word_columns: usize,
    /// Those that are in a halo2 circuit.
    pub gated_columns: usize,
    /// Lookups on each row: looked-up columns, and groups of table rows.
    pub lookup_slots: usize,
    /// With the rows, fractions that the lookup argument adds up.
    pub leaves: usize,
    /// In so many layers.
    pub layers: usize,
    /// Product gates on each row.
    pub product_gates: usize,
    /// Linear gates on each row.
    pub linear_gates: usize,
    /// Products of two hidden values that are proven together.
    pub pairs: usize,
    /// Messages with a commitment of their own.
    pub pieces: usize,
    /// Columns that the opening folds.
    pub opening_columns: usize,
    /// In so many rounds.
    pub fold_rounds: usize,
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
    /// Rounds of the contractions.
    pub contraction_rounds: usize,
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
    /// Predicted seconds to verify, on two cores.
    pub predicted_verify_seconds: f64,
    /// Predicted peak bytes while proving.
    pub predicted_memory: usize,
}

impl Sizes {
    /// The sizes of a compiled model that comes from a file of so many bytes.
    #[must_use]
    pub fn new(file: usize, model: &QuantizedModel, compiled: &CompiledModel) -> Self {
        let shape = &compiled.shape;
        let (cost, metering, rounds) = (predict(compiled), Metering::of(compiled), Rounds::of(compiled));
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
            gates: model.layout.gates,
            columns: cost.columns,
            word_columns: shape.columns.len(),
            gated_columns: shape.gated.len(),
            lookup_slots: shape.num_lookup_slots(),
            leaves: shape.num_lookup_slots() * shape.num_rows(),
            layers: rounds.layers,
            product_gates: shape.slots.products.len(),
            linear_gates: shape.slots.linear.len(),
            pairs: rounds.pairs,
            pieces: rounds.num_pieces(),
            opening_columns: num_opening_columns(compiled),
            fold_rounds: num_fold_rounds(compiled),
            table_rows: shape.table.len(),
            cells: proven_by::cells(compiled),
            lookups: metering.lookups,
            macs: metering.macs,
            parameters: metering.weights,
            parameter_columns: compiled.params.num_columns,
            contraction_rounds: rounds.contractions,
            relations: compiled.lowered.relations.len(),
            private_weights: private,
            zkq: file,
            zkv: verifier.to_bytes().len(),
            proof: metering.proof_bytes,
            predicted_seconds: cost.seconds,
            predicted_verify_seconds: cost.verify_seconds,
            predicted_memory: cost.memory,
        }
    }
}
