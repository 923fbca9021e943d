//! The cost model: what proving takes, predicted from counts alone; and the choice of layout by it.
//!
//! Constants are fitted to measurements of the release build on two cores (see the README's table and
//! `zkonnx bench`). They choose `k` and the limb width, so they are part of what makes a model id the same
//! everywhere: changing them changes the layout, and with it the id, of models quantised from then on.

use crate::{
    compiled::{CompiledModel, K_RANGE},
    lower::{LowerError, Modes},
    shape::CircuitShape,
};
use std::sync::Arc;
use zkonnx_quantize::{graph::Graph, model::LayoutChoice};

/// Seconds for each row, whatever the columns: quotient, openings, generator folds.
const PER_ROW: f64 = 2.2e-4;
/// Seconds for each advice column, whatever the rows.
const PER_COLUMN: f64 = 2.0e-4;
/// Seconds for each row of an advice column of full-size field elements.
pub(crate) const PER_FULL_CELL: f64 = 7.5e-6;
/// Seconds for each row of a word column.
pub(crate) const PER_WORD_CELL: f64 = 3.2e-6;
/// Seconds for each parameter and each element that relations read.
pub(crate) const PER_LINEAR: f64 = 6.0e-8;
/// Bytes for each row of an advice column: values, coefficients, the extended domain.
const BYTES_PER_CELL: usize = 440;
/// Bytes for each row, whatever the columns.
const BYTES_PER_ROW: usize = 5000;
/// Bytes of a process that does nothing.
const BYTES_FIXED: usize = 12 << 20;
/// What a byte of proof is worth in seconds of proving, when a layout is chosen: a kilobyte, ten milliseconds.
const SECONDS_PER_PROOF_BYTE: f64 = 1.0e-5;
/// Bytes of proof for each advice column: a commitment and an evaluation.
const PROOF_BYTES_PER_COLUMN: f64 = 64.0;

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds to prove, on two cores.
    pub seconds: f64,
    /// Peak bytes while proving.
    pub memory: usize,
    /// Advice columns of the circuit.
    pub advice_columns: usize,
    /// Cells that are looked up.
    pub lookups: usize,
}

/// Predicts the cost of a compiled model.
#[must_use]
#[allow(clippy::cast_precision_loss)] // counts are far below 2^52
pub fn predict(model: &CompiledModel) -> Cost {
    let linear: usize = model.graph.params.iter().map(|p| p.len()).sum::<usize>()
        + model.placement.words.iter().map(|w| w.len).sum::<usize>();
    let mut cost = predict_shape(&model.shape);
    cost.seconds += linear as f64 * PER_LINEAR;
    cost.memory += linear * 24;
    cost.lookups = model.placement.words.iter().map(|w| w.len * w.limbs.len()).sum();
    cost
}

#[allow(clippy::cast_precision_loss)]
fn predict_shape(shape: &CircuitShape) -> Cost {
    let rows = shape.num_rows() as f64;
    let advice = shape.num_advice_columns();
    let small = shape.num_phase1_columns() as f64;
    let full = advice as f64 - small;
    let seconds = rows * PER_ROW + advice as f64 * PER_COLUMN + rows * (full * PER_FULL_CELL + small * PER_WORD_CELL);
    let memory = BYTES_FIXED + shape.num_rows() * (BYTES_PER_ROW + advice * BYTES_PER_CELL);
    Cost { seconds, memory, advice_columns: advice, lookups: 0 }
}

/// What the choice of a layout minimises: proving time, and a little the length of the proof.
#[allow(clippy::cast_precision_loss)]
fn weight(cost: &Cost) -> f64 {
    cost.seconds + cost.advice_columns as f64 * PROOF_BYTES_PER_COLUMN * SECONDS_PER_PROOF_BYTE
}

/// The best layout for a graph whose inputs and outputs are public, with `k` or the limb width given or free.
///
/// # Errors
/// The last [`LowerError`] when no layout works.
pub fn choose_layout(
    graph: &Arc<Graph>,
    k: Option<u8>,
    limb_bits: Option<u8>,
) -> Result<(LayoutChoice, Cost), LowerError> {
    if let Some(k) = k.filter(|k| !K_RANGE.contains(k)) {
        return Err(LowerError::K(k));
    }
    let mut best: Option<(LayoutChoice, Cost)> = None;
    let mut error = LowerError::TooWide;
    // Below k = 8 nothing is gained.
    for k in k.map_or(8..=*K_RANGE.end(), |k| k..=k) {
        for limb_bits in limb_bits.map_or(6..=12_u8.min(k + 2), |bits| bits..=bits) {
            let layout = LayoutChoice { k, limb_bits };
            match CompiledModel::new(Arc::clone(graph), Modes::public(graph), layout) {
                Ok(model) => {
                    let cost = predict(&model);
                    if best.is_none_or(|(_, b)| weight(&cost) < weight(&b)) {
                        best = Some((layout, cost));
                    }
                }
                Err(e) => error = e,
            }
        }
        // Larger circuits only get dearer once a row alone costs more than the best so far.
        #[allow(clippy::cast_precision_loss)]
        let least = (1_u64 << (k + 1)) as f64 * PER_ROW;
        if best.is_some_and(|(_, b)| least > weight(&b)) {
            break;
        }
    }
    best.ok_or(error)
}
