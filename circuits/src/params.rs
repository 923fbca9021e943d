//! Where parameters are: the parameter columns, committed once when a model is compiled.
//!
//! A parameter that only contractions read, and that is longer than a column, is a *matrix*: each of
//! its columns of `n` rows holds whole matrix rows, so that the functional of a contraction is
//! (weight per column) × (one functional of rows), and the opening needs one combined column for
//! each contraction. All other parameters are *pooled*: one after another in shared columns.

use crate::field::index_bits;
use std::collections::BTreeSet;
use zkonnx_quantize::{
    contraction::ProductAxes,
    graph::{Form, Graph, Op, Operand, ParamId, Source},
    integers::Integers,
};

/// The place of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParamPlace {
    /// Element `i` is at position `start + i` of the pool: column `p / n`, row `p % n`.
    Pooled {
        /// Position of the first element.
        start: usize,
    },
    /// A matrix whose rows fit a column: row `o` is in column `first + o / rows_per_column`, from row
    /// `(o % rows_per_column) · cols` on. `rows_per_column` is a power of two.
    Packed {
        /// The first column.
        first: usize,
        /// Matrix rows in one column.
        rows_per_column: usize,
        /// Number of columns.
        count: usize,
    },
    /// A matrix whose rows are longer than a column: part `c` of row `o` is column `first + o·chunks + c`.
    Chunked {
        /// The first column.
        first: usize,
        /// Columns of one matrix row.
        chunks: usize,
    },
}

/// The places of all parameters. Pool columns come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamLayout {
    /// Rows of a column.
    pub num_rows: usize,
    /// Number of pool columns.
    pub num_pooled: usize,
    /// Number of all columns.
    pub num_columns: usize,
    /// One per parameter.
    pub places: Vec<ParamPlace>,
}

/// Whether the operand reads the parameter's rows as one axis of the form, plainly, and nothing else.
#[must_use]
pub fn plain_row_axis(graph: &Graph, form: &Form, operand: &Operand, id: ParamId) -> Option<usize> {
    let param = graph.params.get(id.0 as usize)?;
    if operand.map.base != 0 {
        return None;
    }
    let mut rows = operand.map.factors.iter().filter(|f| f.size > 1 && f.stride % param.cols == 0);
    let factor = rows.next()?;
    if rows.next().is_some() || factor.stride != param.cols || factor.axes.len() != 1 {
        return None;
    }
    let axis = usize::from(factor.axes[0]);
    let plain =
        matches!(&factor.coordinate, zkonnx_quantize::index::Coordinate::Affine { coefs, offset: 0 } if coefs == &[1]);
    (plain && factor.size == param.rows && form.shape.get(axis) == Some(&param.rows)).then_some(axis)
}

fn forms(graph: &Graph) -> impl Iterator<Item = &Form> {
    let nodes = graph.nodes.iter().flat_map(|node| {
        let denominator = match &node.op {
            Op::Div { denominator } => Some(denominator),
            _ => None,
        };
        std::iter::once(&node.form).chain(denominator)
    });
    nodes.chain(graph.outputs.iter().map(|o| &o.form))
}

impl ParamLayout {
    /// Lays out the parameters of a graph in columns of `num_rows` rows.
    #[must_use]
    pub fn new(graph: &Graph, num_rows: usize) -> Self {
        let mut pooled: BTreeSet<ParamId> = BTreeSet::new();
        for form in forms(graph) {
            for term in &form.terms {
                if let Source::Param(id) = term.source {
                    pooled.insert(id);
                }
            }
            for product in &form.products {
                if let Source::Param(id) = product.left.source {
                    // The functional is (χ of the rows) × (one vector of columns) only if the rows are the one
                    // axis of the form that the parameter alone reads: rows that the other side reads too would
                    // also carry the sumcheck's point, and a second axis of its own would be lost.
                    let own: Vec<usize> =
                        ProductAxes::new(form, product).rows.iter().map(|a| usize::from(a.id)).collect();
                    match plain_row_axis(graph, form, &product.left, id) {
                        Some(axis) if own == [axis] => {}
                        _ => {
                            pooled.insert(id);
                        }
                    }
                }
            }
        }
        let mut start = 0;
        let mut matrices = 0;
        let mut places = Vec::new();
        for (i, param) in (0_u32..).zip(&graph.params) {
            let (rows, cols) = (param.rows as usize, param.cols as usize);
            if pooled.contains(&ParamId(i)) || param.len() <= num_rows {
                places.push(ParamPlace::Pooled { start });
                start += param.len();
            } else if cols <= num_rows {
                let fit = num_rows / cols;
                let rows_per_column = if fit.is_power_of_two() { fit } else { fit.next_power_of_two() / 2 };
                let count = rows.div_ceil(rows_per_column);
                places.push(ParamPlace::Packed { first: matrices, rows_per_column, count });
                matrices += count;
            } else {
                let chunks = cols.div_ceil(num_rows);
                places.push(ParamPlace::Chunked { first: matrices, chunks });
                matrices += chunks * rows;
            }
        }
        let num_pooled = start.div_ceil(num_rows);
        for place in &mut places {
            match place {
                ParamPlace::Pooled { .. } => {}
                ParamPlace::Packed { first, .. } | ParamPlace::Chunked { first, .. } => *first += num_pooled,
            }
        }
        Self { num_rows, num_pooled, num_columns: num_pooled + matrices, places }
    }

    /// The integer columns for given weights; columns may be shorter than `num_rows`, the rest is zero. A matrix's columns are of
    /// its width.
    #[must_use]
    pub fn columns(&self, graph: &Graph, weights: &[Integers]) -> Vec<Integers> {
        let mut pool = vec![0; self.num_pooled * self.num_rows];
        let mut columns = vec![Integers::default(); self.num_columns];
        for ((place, param), values) in self.places.iter().zip(&graph.params).zip(weights) {
            let cols = param.cols as usize;
            match place {
                ParamPlace::Pooled { start } => {
                    for (cell, value) in pool[*start..].iter_mut().zip(values.to_vec()) {
                        *cell = value;
                    }
                }
                ParamPlace::Packed { first, rows_per_column, .. } => {
                    for (column, part) in (*first..).zip(values.as_slice().chunks(rows_per_column * cols)) {
                        columns[column] = part.to_integers();
                    }
                }
                ParamPlace::Chunked { first, chunks } => {
                    for (row, values) in values.as_slice().chunks(cols).enumerate() {
                        for (chunk, part) in values.chunks(self.num_rows).enumerate() {
                            columns[first + row * chunks + chunk] = part.to_integers();
                        }
                    }
                }
            }
        }
        for (column, cells) in columns.iter_mut().zip(pool.chunks(self.num_rows)) {
            *column = Integers::new(cells);
        }
        columns
    }
}

/// Bits of a matrix row's index that choose the place within a column.
#[must_use]
pub fn low_bits(rows_per_column: usize) -> usize {
    u32::try_from(rows_per_column).map_or(0, index_bits)
}
