//! One-hot vectors, and products that pick a row by one.
//!
//! `Σ_j X[…, j]·H[e, j]` of a one-hot tensor `H` ([`crate::graph::Op::OneHot`]) is the element `X[…, j]` whose `j` is the index that `H[e]` stands
//! for: a gather. So it lies between the smallest and the largest element of `X`, whatever the number of summands.

use crate::{
    graph::{Operand, Product, Source, TensorInfo},
    index::{Coordinate, Factor},
};

/// The place of the one, for an index that may count from the end.
#[must_use]
pub fn place(index: i64, size: u32) -> Option<u32> {
    let index = if index < 0 { index.checked_add(size.into())? } else { index };
    u32::try_from(index).ok().filter(|index| *index < size)
}

/// The vectors of some indices, one after another.
#[must_use]
pub fn vectors(indices: impl Iterator<Item = i64>, size: u32) -> Vec<i64> {
    let mut vectors = Vec::new();
    for index in indices {
        let start = vectors.len();
        vectors.resize(start + size as usize, 0);
        if let Some(place) = place(index, size) {
            vectors[start + place as usize] = 1;
        }
    }
    vectors
}

/// Whether a factor is the plain read of the last axis, of this size, by one axis.
#[must_use]
pub fn is_last_axis(factor: &Factor, axis: u8, size: u32) -> bool {
    let plain = matches!(&factor.coordinate, Coordinate::Affine { coefs, offset: 0 } if coefs == &[1]);
    plain && factor.axes == [axis] && factor.size == size && factor.stride == 1
}

/// Whether the operand reads whole one-hot vectors, by the product's one summed axis: then the product picks elements of the other side.
#[must_use]
pub fn picks(num_axes: usize, product: &Product, operand: &Operand, tensors: &[TensorInfo]) -> bool {
    let Source::Tensor(id) = operand.source else { return false };
    let Some(info) = tensors.get(id.0 as usize).filter(|info| info.one_hot) else { return false };
    let (Some(size), Ok(axis)) = (info.shape.last().filter(|s| **s > 0), u8::try_from(num_axes)) else { return false };
    let is_row = |f: &Factor| f.stride.is_multiple_of(*size) && !f.axes.contains(&axis);
    product.summed == [*size]
        && operand.map.base.is_multiple_of(*size)
        && operand.map.factors.iter().all(|f| is_row(f) || is_last_axis(f, axis, *size))
        && operand.map.factors.iter().any(|f| is_last_axis(f, axis, *size))
        && product.left.sums.is_empty()
        && product.right.sums.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_their_one_at_the_index_or_counted_from_the_end() {
        assert_eq!(vectors([0, 2, -1, -3].into_iter(), 3), [1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0]);
        assert_eq!((place(3, 3), place(-4, 3), place(i64::MIN, 3), place(i64::MAX, 3)), (None, None, None, None));
    }
}
