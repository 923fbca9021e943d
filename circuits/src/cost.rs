//! The cost model: what proving and verifying take, predicted from counts alone; and the choice of layout by it.
//!
//! Seconds are a sum of [`Counts`], each times what one of them takes ([`Constants`]). There are two sets of these. [`Constants::REFERENCE`]
//! is what `zkonnx bench --fit` found for the release build on a two-core machine (docs/cost-model.md): predictions that are shown use it.
//! [`Constants::LAYOUT`] chooses `k` and the limb width, so it is a part of what makes a model id the same everywhere: changing it
//! changes the layout, and with it the id, of models quantised from then on. It is no better or worse for being older than a machine.

use crate::{
    compiled::{CompiledModel, K_RANGE},
    length::{proof_length, ELEMENT},
    lower::{LowerError, Modes, LIMB_BITS},
    messages::Rounds,
};
use serde::Serialize;
use std::sync::Arc;
use zkonnx_quantize::{
    graph::Graph,
    model::{Gates, LayoutChoice},
};

/// What proving time is in proportion to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Rows: the inner-product argument, whatever the columns.
    pub rows: f64,
    /// Rows of the columns of words and multiplicities: their commitments, and the fold.
    pub cells: f64,
    /// Rows of looked-up columns: leaves of the lookup argument.
    pub leaves: f64,
    /// Rows of product gates that are relations.
    pub products: f64,
    /// Rows of a halo2 circuit, whatever its columns.
    pub halo2_rows: f64,
    /// Rows of columns in a halo2 circuit.
    pub gated_cells: f64,
    /// Pieces: one commitment after another.
    pub pieces: f64,
    /// Elements of parameters, and elements of words that relations read.
    pub linear: f64,
}

/// How many counts there are.
pub const NUM_COUNTS: usize = 8;

impl Counts {
    /// The counts of a compiled model.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts are far below 2^52
    pub fn of(model: &CompiledModel) -> Self {
        let shape = &model.shape;
        let rows = shape.num_rows() as f64;
        Self {
            rows,
            cells: rows * (shape.columns.len() + shape.num_table_groups()) as f64,
            leaves: rows * shape.num_lookup_slots() as f64,
            products: rows * shape.num_product_slots() as f64,
            halo2_rows: if shape.has_halo2() { rows } else { 0.0 },
            gated_cells: rows * shape.gated.len() as f64,
            pieces: Rounds::of(model).num_pieces() as f64,
            linear: num_linear(model) as f64,
        }
    }

    /// In the order of [`Constants::from_array`].
    #[must_use]
    pub fn to_array(self) -> [f64; NUM_COUNTS] {
        let Self { rows, cells, leaves, products, halo2_rows, gated_cells, pieces, linear } = self;
        [rows, cells, leaves, products, halo2_rows, gated_cells, pieces, linear]
    }
}

/// Seconds for one of each of [`Counts`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Constants {
    /// For a row.
    pub row: f64,
    /// For a cell.
    pub cell: f64,
    /// For a leaf.
    pub leaf: f64,
    /// For a product gate on a row.
    pub product: f64,
    /// For a row of a halo2 circuit.
    pub halo2_row: f64,
    /// For a cell in a halo2 circuit.
    pub gated_cell: f64,
    /// For a piece.
    pub piece: f64,
    /// For a parameter, or an element that relations read.
    pub linear: f64,
}

impl Constants {
    /// By these layouts are chosen.
    pub const LAYOUT: Self = Self {
        row: 2.4e-5,
        cell: 4.8e-7,
        leaf: 2.1e-7,
        product: 2.0e-7,
        halo2_row: 3.2e-4,
        gated_cell: 2.0e-6,
        piece: 1.5e-4,
        linear: 1.2e-8,
    };
    /// What is predicted, on two cores: docs/cost-model.md has the measurements and errors.
    pub const REFERENCE: Self = Self {
        row: 2.37e-5,
        cell: 4.77e-7,
        leaf: 2.11e-7,
        product: 2.0e-7,
        halo2_row: 3.2e-4,
        gated_cell: 2.0e-6,
        piece: 1.47e-4,
        linear: 1.18e-8,
    };

    /// In the order of [`Counts::to_array`].
    #[must_use]
    pub fn from_array([row, cell, leaf, product, halo2_row, gated_cell, piece, linear]: [f64; NUM_COUNTS]) -> Self {
        Self { row, cell, leaf, product, halo2_row, gated_cell, piece, linear }
    }

    /// In the same order.
    #[must_use]
    pub fn to_array(self) -> [f64; NUM_COUNTS] {
        let Self { row, cell, leaf, product, halo2_row, gated_cell, piece, linear } = self;
        [row, cell, leaf, product, halo2_row, gated_cell, piece, linear]
    }

    /// Seconds for counts.
    #[must_use]
    pub fn seconds(&self, counts: &Counts) -> f64 {
        self.to_array().iter().zip(counts.to_array()).map(|(each, count)| each * count).sum()
    }
}

/// Seconds to verify: for each point of the proof, which is decompressed too, for each of the model's, for each row, and for each element that
/// relations read.
const VERIFY_PROOF_POINT: f64 = 8.0e-6;
const VERIFY_MODEL_POINT: f64 = 2.5e-6;
const VERIFY_ROW: f64 = 4.0e-6;
const VERIFY_LINEAR: f64 = 2.0e-8;

/// Bytes of a process that proves next to nothing: the program, parameters, files.
const BYTES_FIXED: usize = 27 << 20;
/// Bytes for each row, whatever the columns.
const BYTES_PER_ROW: usize = 6000;
/// Bytes for each cell: integers, functionals, the first folded columns.
const BYTES_PER_CELL: usize = 62;
/// Bytes for each leaf: the layers.
const BYTES_PER_LEAF: usize = 58;
/// Bytes for each row of a column in a halo2 circuit.
const BYTES_PER_GATED_CELL: usize = 260;
/// Bytes for each parameter and each element that relations read.
const BYTES_PER_LINEAR: usize = 12;

/// What a second of verifying is worth in seconds of proving, when a layout is chosen: a proof is verified by several.
const VERIFY_WEIGHT: f64 = 2.0;
/// What a byte of parameter commitments, which are sent once, is worth in bytes of proofs.
const MODEL_BYTE_WEIGHT: f64 = 1.0 / 32.0;
/// No proof has fewer bytes.
const FEWEST_BYTES: f64 = 1024.0;

/// A prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds to prove, on two cores.
    pub seconds: f64,
    /// Seconds to verify one proof, on two cores.
    pub verify_seconds: f64,
    /// Peak bytes while proving.
    pub memory: usize,
    /// Bytes of a proof.
    pub proof_bytes: usize,
    /// Committed columns of words and multiplicities.
    pub columns: usize,
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

#[allow(clippy::cast_precision_loss)] // counts are far below 2^52
fn predict_with(constants: &Constants, model: &CompiledModel) -> Cost {
    let shape = &model.shape;
    let rows = shape.num_rows();
    let columns = shape.columns.len() + shape.num_table_groups();
    let linear = num_linear(model);
    let words = model.placement.words.iter();
    let elements: usize = words.clone().map(|w| w.len).sum();
    Cost {
        seconds: constants.seconds(&Counts::of(model)),
        verify_seconds: (proof_length(model) / ELEMENT) as f64 * VERIFY_PROOF_POINT
            + model.params.num_columns as f64 * VERIFY_MODEL_POINT
            + rows as f64 * VERIFY_ROW
            + elements as f64 * VERIFY_LINEAR,
        memory: BYTES_FIXED
            + rows * (BYTES_PER_ROW + columns * BYTES_PER_CELL)
            + rows * shape.num_lookup_slots() * BYTES_PER_LEAF
            + rows * shape.gated.len() * BYTES_PER_GATED_CELL
            + linear * BYTES_PER_LINEAR,
        proof_bytes: proof_length(model),
        columns,
        lookups: words.map(|w| w.len * w.limbs.iter().filter(|l| l.kind.is_looked_up()).count()).sum(),
    }
}

/// What the choice of a layout minimises: seconds of proving and verifying, squared, times bytes. So a hundredth of the seconds is worth two
/// hundredths of the bytes, for small models and for large ones.
#[allow(clippy::cast_precision_loss)]
fn weight(model: &CompiledModel) -> f64 {
    let cost = predict_with(&Constants::LAYOUT, model);
    let bytes = cost.proof_bytes as f64 + (model.params.num_columns * ELEMENT) as f64 * MODEL_BYTE_WEIGHT;
    weigh(cost.seconds + cost.verify_seconds * VERIFY_WEIGHT, bytes)
}

fn weigh(seconds: f64, bytes: f64) -> f64 {
    seconds * seconds * bytes
}

/// The best layout for a graph whose inputs and outputs are public, with `k` or the limb width given or free.
///
/// # Errors
/// The last [`LowerError`] when no layout works.
pub fn choose_layout(
    graph: &Arc<Graph>,
    gates: Gates,
    k: Option<u8>,
    limb_bits: Option<u8>,
) -> Result<(LayoutChoice, Cost), LowerError> {
    if let Some(k) = k.filter(|k| !K_RANGE.contains(k)) {
        return Err(LowerError::K(k));
    }
    let mut best: Option<(LayoutChoice, f64, Cost)> = None;
    let mut error = LowerError::TooWide;
    // Below k = 7 nothing is gained.
    for k in k.map_or(7..=*K_RANGE.end(), |k| k..=k) {
        for limb_bits in limb_bits.map_or(6..=k.saturating_add(4).min(*LIMB_BITS.end()), |bits| bits..=bits) {
            let layout = LayoutChoice { k, limb_bits, gates };
            match CompiledModel::new(Arc::clone(graph), Modes::public(graph), layout) {
                Ok(model) => {
                    let own = weight(&model);
                    if best.is_none_or(|(_, least, _)| own < least) {
                        best = Some((layout, own, predict(&model)));
                    }
                }
                Err(e) => error = e,
            }
        }
        // Larger circuits only get dearer once their rows alone cost more than the best so far.
        #[allow(clippy::cast_precision_loss)]
        let rows = (1_u64 << (k + 1)) as f64;
        let least = weigh(rows * (Constants::LAYOUT.row + VERIFY_ROW * VERIFY_WEIGHT), FEWEST_BYTES);
        if best.is_some_and(|(_, own, _)| least > own) {
            break;
        }
    }
    best.map(|(layout, _, cost)| (layout, cost)).ok_or(error)
}
