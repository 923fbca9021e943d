//! Reads at the random points: what is made once for all that are alike.
//!
//! All relations are read at one `ρ`, and all contractions end at one `σ`. So the vectors of a read follow from its index map and the
//! shapes around it alone: the layers of a network, which repeat each other's shapes, have functionals in common, up to a factor.

use crate::{
    field::Fp,
    functional::{axis_vectors, operand_weights},
    products::SumcheckProduct,
    separable::AxisWeights,
};
use ff::Field;
use std::{borrow::Cow, collections::HashMap, sync::Arc};
use zkonnx_quantize::{
    graph::{Form, Operand, Product},
    index::IndexMap,
};

/// What a functional follows from, but for its factor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Read {
    /// Sizes of the axes of the relation.
    shape: Vec<u32>,
    /// Sizes of axes of the read's own, which are summed over.
    sums: Vec<u32>,
    /// Where it reads.
    pub(crate) map: IndexMap,
    /// Of a side of a contraction: whether it is the left one, the summed axes, and where the other side reads.
    side: Option<(bool, Vec<u32>, IndexMap)>,
    /// Of a matrix in columns: the axis of its rows, how long they are, and how many stand in a column.
    rows: Option<(usize, usize, usize)>,
}

impl Read {
    /// A read of a relation.
    pub(crate) fn new(shape: &[u32], sums: &[u32], map: &IndexMap) -> Self {
        Self { shape: shape.to_vec(), sums: sums.to_vec(), map: map.clone(), side: None, rows: None }
    }

    /// A side of a contraction.
    pub(crate) fn side(form: &Form, product: &Product, is_left: bool) -> Self {
        let (own, other) = sides(product, is_left);
        let side = Some((is_left, product.summed.clone(), other.map.clone()));
        Self { side, ..Self::new(&form.shape, &own.sums, &own.map) }
    }

    /// The same of a matrix whose rows are `cols` long, and of which so many stand in a column.
    pub(crate) fn of_rows(mut self, axis: usize, cols: usize, rows_per_column: usize) -> Self {
        self.rows = Some((axis, cols, rows_per_column));
        self
    }
}

/// One side, and the other.
pub(crate) fn sides(product: &Product, is_left: bool) -> (&Operand, &Operand) {
    match is_left {
        true => (&product.left, &product.right),
        false => (&product.right, &product.left),
    }
}

/// χ of the axes of a shape.
#[derive(Clone, Debug)]
pub(crate) struct Chi {
    /// One vector for each axis.
    pub(crate) vectors: Vec<Vec<Fp>>,
    /// The sum of χ over the shape.
    pub(crate) total: Fp,
}

impl Chi {
    /// Weights of the axes of a relation, then of axes that are summed over.
    pub(crate) fn weights(&self, sums: &[u32]) -> AxisWeights<'_> {
        AxisWeights::new(self.vectors.iter().map(|v| Cow::Borrowed(v.as_slice())).collect()).with_sums(sums)
    }

    /// Weights of a side of a contraction at the end of the sumcheck.
    pub(crate) fn side_weights(
        &self,
        (form, product, is_left): (&Form, &Product, bool),
        entry: &SumcheckProduct,
        sigma: &[Fp],
    ) -> AxisWeights<'static> {
        let sigma = &sigma[sigma.len() - entry.num_variables..];
        operand_weights(form, product, is_left, &self.vectors, Some((sigma, entry.inner.as_slice())))
    }
}

/// χ of every shape, made once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chis(HashMap<Vec<u32>, Arc<Chi>>);

impl Chis {
    /// χ of a shape.
    pub(crate) fn of(&mut self, rho: &[Fp], shape: &[u32]) -> Arc<Chi> {
        if let Some(known) = self.0.get(shape) {
            return Arc::clone(known);
        }
        let vectors = axis_vectors(rho, shape);
        let total = vectors.iter().fold(Fp::ONE, |total, v| total * v.iter().sum::<Fp>());
        let chi = Arc::new(Chi { vectors, total });
        self.0.insert(shape.to_vec(), Arc::clone(&chi));
        chi
    }
}
