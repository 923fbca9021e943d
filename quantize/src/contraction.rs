//! The axes of a product, sorted by who uses them.

use crate::graph::{Form, Operand, Product};

/// An axis of a product's numbering, with its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Number in the product's numbering (form axes, then summed axes).
    pub id: u8,
    /// Size.
    pub size: u32,
}

/// The axes of a product: `out[row, col, batch] = Σ_j left[row, batch, j] · right[col, batch, j]`.
#[derive(Clone, Debug, Default)]
pub struct ProductAxes {
    /// Form axes that only the left side uses.
    pub rows: Vec<Axis>,
    /// Form axes that only the right side uses.
    pub cols: Vec<Axis>,
    /// Form axes that both sides use.
    pub batch: Vec<Axis>,
    /// Form axes that neither side uses.
    pub free: Vec<Axis>,
    /// The summed axes.
    pub summed: Vec<Axis>,
}

fn axis(id: usize, size: u32) -> Axis {
    Axis { id: u8::try_from(id).unwrap_or(u8::MAX), size }
}

/// Number of points spanned by the axes.
#[must_use]
pub fn volume(axes: &[Axis]) -> usize {
    axes.iter().map(|a| a.size as usize).product()
}

impl ProductAxes {
    /// Sorts the axes of `product` in `form`.
    #[must_use]
    pub fn new(form: &Form, product: &Product) -> Self {
        let mut axes = Self::default();
        for (id, size) in form.shape.iter().enumerate() {
            let list = match (product.left.map.uses(id), product.right.map.uses(id)) {
                (true, true) => &mut axes.batch,
                (true, false) => &mut axes.rows,
                (false, true) => &mut axes.cols,
                (false, false) => &mut axes.free,
            };
            list.push(axis(id, *size));
        }
        axes.summed = product.summed.iter().enumerate().map(|(s, size)| axis(form.shape.len() + s, *size)).collect();
        axes
    }

    /// The axes that belong to one operand alone.
    #[must_use]
    pub fn own_sums(form: &Form, product: &Product, operand: &Operand) -> Vec<Axis> {
        let first = form.shape.len() + product.summed.len();
        operand.sums.iter().enumerate().map(|(s, size)| axis(first + s, *size)).collect()
    }

    /// The axes of the sumcheck: batch axes, then summed axes.
    #[must_use]
    pub fn inner(&self) -> Vec<Axis> {
        self.batch.iter().chain(&self.summed).copied().collect()
    }
}
