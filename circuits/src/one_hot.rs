//! One-hot vectors that everyone knows: those of a public input.
//!
//! They are mostly zeros, so functionals are evaluated at the ones alone.

use crate::{
    field::{index_bits, Fp},
    functional::{operand_table, operand_weights, PublicTensors},
    separable::Functional,
};
use ff::Field;
use zkonnx_quantize::{
    contraction::Axis,
    eval::evaluate_form,
    graph::{Form, Graph, Op, Product},
    index::IndexMap,
    integers::Integers,
    one_hot::{is_last_axis, place, vectors},
};

/// One-hot vectors by their places.
#[derive(Clone, Debug)]
pub struct OneHot {
    /// The place of each vector's one; none for an index that has no place, which no statement has that is accepted.
    places: Vec<Option<u32>>,
    size: u32,
}

impl OneHot {
    /// The vectors of a node that reads a public input; `None` if it is another node.
    #[must_use]
    pub fn new(graph: &Graph, node: usize, public: PublicTensors<'_>) -> Option<Self> {
        let node = graph.nodes.get(node)?;
        let Op::OneHot { size } = node.op else { return None };
        let indices = evaluate_form(&node.form, public.inputs, &[]);
        Some(Self { places: indices.into_iter().map(|index| place(index, size)).collect(), size })
    }

    fn addresses(&self) -> impl Iterator<Item = usize> + '_ {
        let size = self.size as usize;
        self.places
            .iter()
            .enumerate()
            .filter_map(move |(row, place)| Some(row * size + place.as_ref().copied()? as usize))
    }

    /// All elements.
    fn dense(&self) -> Integers {
        Integers::new(&vectors(self.places.iter().map(|place| place.map_or(i64::MIN, i64::from)), self.size))
    }

    /// The value of a functional.
    #[must_use]
    pub fn evaluate(&self, functional: &Functional) -> Fp {
        functional.sum_at(self.addresses()).unwrap_or_else(|| functional.evaluate(self.dense().as_slice()))
    }

    /// What [`operand_table`] gives for the right side of a product.
    #[must_use]
    pub fn table(&self, form: &Form, product: &Product, chi: &[Vec<Fp>], inner: &[Axis]) -> Vec<Fp> {
        let sparse = || {
            let [axis] = inner else { return None };
            let map = self.rows(&product.right.map, axis.id)?;
            let weights = operand_weights(form, product, false, chi, None).without(usize::from(axis.id));
            let mut rows = vec![Fp::ZERO; self.places.len()];
            weights.functional(&map).scatter(&mut rows);
            let mut table = vec![Fp::ZERO; 1 << index_bits(axis.size)];
            for (row, place) in rows.iter().zip(&self.places) {
                if let Some(place) = place {
                    table[*place as usize] += row;
                }
            }
            Some(table)
        };
        sparse().unwrap_or_else(|| operand_table(form, product, false, chi, inner, self.dense().as_slice()))
    }

    /// How vectors as a whole are read, where an axis runs plainly over their elements.
    fn rows(&self, map: &IndexMap, axis: u8) -> Option<IndexMap> {
        let mut rows = map.clone();
        rows.factors.retain(|factor| !is_last_axis(factor, axis, self.size));
        let is_row = |stride: u32| stride.is_multiple_of(self.size);
        let whole = rows.factors.len() + 1 == map.factors.len()
            && is_row(rows.base)
            && rows.factors.iter().all(|factor| is_row(factor.stride) && !factor.axes.contains(&axis));
        rows.base /= self.size;
        rows.factors.iter_mut().for_each(|factor| factor.stride /= self.size);
        whole.then_some(rows)
    }
}
