//! The cost model: what proving takes, predicted from counts alone; and the choice of layout by it.
//!
//! Seconds are a sum of [`Counts`], each times what one of them takes ([`Constants`]). There are two sets of these. [`Constants::REFERENCE`]
//! is what `zkonnx bench --fit` found for the release build on a two-core machine (docs/cost-model.md): predictions that are shown use it.
//! [`Constants::LAYOUT`] chooses `k` and the limb width, so it is a part of what makes a model id the same everywhere: changing it
//! changes the layout, and with it the id, of models quantised from then on. It is no better or worse for being older than a machine.

use crate::{
    compiled::{CompiledModel, K_RANGE},
    lower::{LowerError, Modes},
};
use std::sync::Arc;
use zkonnx_quantize::{graph::Graph, model::LayoutChoice};

/// What proving time is in proportion to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Rows: quotient, openings, generator folds, whatever the columns.
    pub rows: f64,
    /// Advice columns, whatever the rows.
    pub columns: f64,
    /// Rows of advice columns of full-size field elements.
    pub full_cells: f64,
    /// Rows of columns of words and multiplicities.
    pub word_cells: f64,
    /// Elements of parameters, and elements of words that relations read.
    pub linear: f64,
}

impl Counts {
    /// Of `2^k` rows, of advice columns, those of phase 1 among them, and of linear elements ([`num_linear`]).
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts are far below 2^52
    pub fn new(rows: usize, columns: usize, phase1_columns: usize, linear: usize) -> Self {
        let (rows, columns, words) = (rows as f64, columns as f64, phase1_columns as f64);
        Self { rows, columns, full_cells: rows * (columns - words), word_cells: rows * words, linear: linear as f64 }
    }

    /// The counts of a compiled model.
    #[must_use]
    pub fn of(model: &CompiledModel) -> Self {
        let shape = &model.shape;
        Self::new(shape.num_rows(), shape.num_advice_columns(), shape.num_phase1_columns(), num_linear(model))
    }

    /// In the order of [`Constants::from_array`].
    #[must_use]
    pub fn to_array(self) -> [f64; 5] {
        [self.rows, self.columns, self.full_cells, self.word_cells, self.linear]
    }
}

/// Seconds for one of each of [`Counts`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constants {
    /// For a row.
    pub row: f64,
    /// For an advice column.
    pub column: f64,
    /// For a row of an advice column of full-size field elements.
    pub full_cell: f64,
    /// For a row of a word column.
    pub word_cell: f64,
    /// For a parameter, or an element that relations read.
    pub linear: f64,
}

impl Constants {
    /// By these layouts are chosen.
    pub const LAYOUT: Self = Self { row: 2.2e-4, column: 2.0e-4, full_cell: 7.5e-6, word_cell: 3.2e-6, linear: 6.0e-8 };
    /// What is predicted, on two cores: docs/cost-model.md has the measurements and errors.
    pub const REFERENCE: Self =
        Self { row: 1.25e-4, column: 4.7e-4, full_cell: 1.04e-5, word_cell: 0.0, linear: 1.47e-7 };

    /// In the order of [`Counts::to_array`].
    #[must_use]
    pub fn from_array([row, column, full_cell, word_cell, linear]: [f64; 5]) -> Self {
        Self { row, column, full_cell, word_cell, linear }
    }

    /// Seconds for counts.
    #[must_use]
    pub fn seconds(&self, counts: &Counts) -> f64 {
        let Self { row, column, full_cell, word_cell, linear } = *self;
        [row, column, full_cell, word_cell, linear]
            .iter()
            .zip(counts.to_array())
            .map(|(each, count)| each * count)
            .sum()
    }
}

/// Bytes for each row of an advice column: values, coefficients, the extended domain.
const BYTES_PER_CELL: usize = 440;
/// Bytes for each row, whatever the columns.
const BYTES_PER_ROW: usize = 5000;
/// Bytes for each parameter and each element that relations read.
const BYTES_PER_LINEAR: usize = 24;
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
pub fn predict(model: &CompiledModel) -> Cost {
    predict_with(&Constants::REFERENCE, model)
}

/// Elements of parameters and of words.
#[must_use]
pub fn num_linear(model: &CompiledModel) -> usize {
    model.graph.params.iter().map(|p| p.len()).sum::<usize>()
        + model.placement.words.iter().map(|w| w.len).sum::<usize>()
}

fn predict_with(constants: &Constants, model: &CompiledModel) -> Cost {
    let shape = &model.shape;
    let advice = shape.num_advice_columns();
    Cost {
        seconds: constants.seconds(&Counts::of(model)),
        memory: BYTES_FIXED
            + shape.num_rows() * (BYTES_PER_ROW + advice * BYTES_PER_CELL)
            + num_linear(model) * BYTES_PER_LINEAR,
        advice_columns: advice,
        lookups: model.placement.words.iter().map(|w| w.len * w.limbs.len()).sum(),
    }
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
    let mut best: Option<(LayoutChoice, f64, Cost)> = None;
    let mut error = LowerError::TooWide;
    // Below k = 8 nothing is gained.
    for k in k.map_or(8..=*K_RANGE.end(), |k| k..=k) {
        for limb_bits in limb_bits.map_or(6..=12_u8.min(k + 2), |bits| bits..=bits) {
            let layout = LayoutChoice { k, limb_bits, gates: zkonnx_quantize::model::Gates::Relations };
            match CompiledModel::new(Arc::clone(graph), Modes::public(graph), layout) {
                Ok(model) => {
                    let own = weight(&predict_with(&Constants::LAYOUT, &model));
                    if best.is_none_or(|(_, least, _)| own < least) {
                        best = Some((layout, own, predict(&model)));
                    }
                }
                Err(e) => error = e,
            }
        }
        // Larger circuits only get dearer once a row alone costs more than the best so far.
        #[allow(clippy::cast_precision_loss)]
        let least = (1_u64 << (k + 1)) as f64 * Constants::LAYOUT.row;
        if best.is_some_and(|(_, own, _)| least > own) {
            break;
        }
    }
    best.map(|(layout, _, cost)| (layout, cost)).ok_or(error)
}
