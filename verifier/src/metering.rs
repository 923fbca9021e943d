//! What a proof is charged for: units that follow from the compiled model alone.
//!
//! Nothing here depends on inputs, on the prover or on the machine, so a price is known before anything is proven, and
//! whoever has the model finds the same numbers.

use crate::length::proof_length;
use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use zkonnx_circuits::{compiled::CompiledModel, relations::FormRef, words::Word};
use zkonnx_quantize::graph::Form;

/// The units of one inference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metering {
    /// Multiply-accumulates: for every product of two tensors in the graph, the elements of its result times the terms of the
    /// sum for each (a result that is repeated along an axis counts once). Multiplications by constants do not count.
    pub macs: u64,
    /// Weights: elements of all parameters.
    pub weights: u64,
    /// Cells that are looked up: limbs of activations, remainders and bounds that a range table checks, and arguments of tables.
    pub lookups: u64,
    /// Rows of the circuit, `2^k`.
    pub rows: u64,
    /// Committed columns of words and multiplicities. Memory and time of proving go with rows × columns.
    pub columns: u64,
    /// Exact length of a proof.
    pub proof_bytes: u64,
}

fn units(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The multiply-accumulates of a form; see [`Metering::macs`].
#[must_use]
pub fn macs(form: &Form) -> u64 {
    let products = form.products.iter().map(|product| {
        let used = |axis: &usize| product.left.map.uses(*axis) || product.right.map.uses(*axis);
        let shape = form.shape.iter().enumerate().filter(|(axis, _)| used(axis)).map(|(_, size)| size);
        shape.chain(&product.summed).fold(1, |volume: u64, size| volume.saturating_mul(u64::from(*size)))
    });
    products.fold(0, u64::saturating_add)
}

impl Metering {
    /// The units of a compiled model.
    #[must_use]
    pub fn of(model: &CompiledModel) -> Self {
        let graph = &model.graph;
        let nodes = (0..graph.nodes.len()).flat_map(|i| [FormRef::Node(i), FormRef::Denominator(i)]);
        let forms = nodes.chain((0..graph.outputs.len()).map(FormRef::Output));
        let cells = |word: &Word| word.len.saturating_mul(word.limbs.iter().filter(|l| l.kind.is_looked_up()).count());
        Self {
            macs: forms.filter_map(|f| f.resolve(graph)).map(macs).fold(0, u64::saturating_add),
            weights: units(graph.params.iter().map(|p| p.len()).fold(0, usize::saturating_add)),
            lookups: units(model.placement.words.iter().map(cells).fold(0, usize::saturating_add)),
            rows: units(model.num_rows()),
            columns: units(model.shape.columns.len() + model.shape.num_table_groups()),
            proof_bytes: units(proof_length(model)),
        }
    }

    /// Rows × columns: the cells of the circuit, used or not.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.rows.saturating_mul(self.columns)
    }
}
