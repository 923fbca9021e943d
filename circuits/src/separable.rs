//! Linear functionals of separable reads: outer products of one vector per factor.
//!
//! Every axis of an index space carries a vector of weights, one per index. The read
//! `Σ_i (Π_axes weight[i_axis]) · T[map(i)]` is then `Σ_a V[a]·T[a]` with `V` an outer product over the
//! factors of the map: factor `f` contributes the vector `V_f[x] = Σ over its axes with coordinate x of the
//! product of their weights`. The cost is the size of `T`, whatever the size of the index space.

use crate::{
    dense::{Entry, Tensor},
    field::{from_i64, Fp},
    weighted::{weighted_inner_product, Weights},
};
use ff::Field;
use std::borrow::Cow;
use zkonnx_quantize::{
    index::{Factor, IndexMap},
    integers::{IntegerSlice, Integers},
};

/// Weights of the axes of an index space.
#[derive(Clone, Debug, Default)]
pub struct AxisWeights<'a> {
    vectors: Vec<Cow<'a, [Fp]>>,
}

impl<'a> AxisWeights<'a> {
    /// Weights for the axes in order.
    #[must_use]
    pub fn new(vectors: Vec<Cow<'a, [Fp]>>) -> Self {
        Self { vectors }
    }

    /// Adds axes that are summed over with weight one.
    #[must_use]
    pub fn with_sums(mut self, sizes: &[u32]) -> Self {
        self.vectors.extend(sizes.iter().map(|s| Cow::Owned(vec![Fp::ONE; *s as usize])));
        self
    }

    fn vector(&self, axis: u8) -> &[Fp] {
        self.vectors.get(usize::from(axis)).map_or(&[], |v| v)
    }

    fn sizes(&self, factor: &Factor) -> Vec<u32> {
        factor.axes.iter().map(|a| u32::try_from(self.vector(*a).len()).unwrap_or(u32::MAX)).collect()
    }

    /// The product of the weights of the factor's axes, for all points of those axes, last axis fastest.
    fn weights(&self, axes: &[u8]) -> Vec<Fp> {
        let mut weights = vec![Fp::ONE];
        for (i, axis) in axes.iter().enumerate() {
            let vector = self.vector(*axis);
            if i == 0 {
                weights = vector.to_vec();
            } else {
                weights = weights.iter().flat_map(|w| vector.iter().map(move |v| w * v)).collect();
            }
        }
        weights
    }

    /// `V_f`.
    fn factor_vector(&self, factor: &Factor) -> Vec<Fp> {
        let weights = self.weights(&factor.axes);
        let mut vector = vec![Fp::ZERO; factor.size as usize];
        factor.for_each(&self.sizes(factor), |position, x| {
            if let (Some(x), Some(weight)) = (x, weights.get(position)) {
                vector[x as usize] += weight;
            }
        });
        vector
    }

    /// The functional induced by a map.
    #[must_use]
    pub fn functional(&self, map: &IndexMap) -> Functional {
        let mut scale = Fp::ONE;
        for (axis, vector) in self.vectors.iter().enumerate() {
            if !map.uses(axis) && (vector.len() != 1 || vector[0] != Fp::ONE) {
                scale *= vector.iter().sum::<Fp>();
            }
        }
        let factors = map.factors.iter().map(|f| (f.stride as usize, self.factor_vector(f))).collect();
        Functional::new(map.base as usize, scale, factors)
    }
}

/// A separable linear functional on a row-major tensor.
#[derive(Clone, Debug)]
pub struct Functional {
    pub(crate) base: usize,
    pub(crate) scale: Fp,
    /// Stride and vector, in order of falling strides.
    pub(crate) factors: Vec<(usize, Vec<Fp>)>,
}

impl Functional {
    fn new(base: usize, mut scale: Fp, mut factors: Vec<(usize, Vec<Fp>)>) -> Self {
        // Factors of one coordinate only scale.
        factors.retain(|(_, vector)| {
            let single = vector.len() == 1;
            if single {
                scale *= vector[0];
            }
            !single
        });
        factors.sort_by_key(|(stride, _)| std::cmp::Reverse(*stride));
        Self { base, scale, factors }
    }

    /// The functional with these coefficients.
    pub(crate) fn of_vector(vector: Vec<Fp>) -> Self {
        Self::new(0, Fp::ONE, vec![(1, vector)])
    }

    /// The outer product with a vector: this functional at every multiple of `stride`, times the vector's entry.
    pub(crate) fn times(mut self, stride: usize, vector: Vec<Fp>) -> Self {
        self.factors.push((stride, vector));
        Self::new(self.base, self.scale, self.factors)
    }

    /// The same functional times a scalar.
    #[must_use]
    pub fn scaled(mut self, by: Fp) -> Self {
        self.scale *= by;
        self
    }

    /// The value on the tensor of ones.
    #[must_use]
    pub fn total(&self) -> Fp {
        self.factors.iter().fold(self.scale, |total, (_, v)| total * v.iter().sum::<Fp>())
    }

    /// Adds the functional's coefficients to `out`, one per address.
    pub fn scatter(&self, out: &mut [Fp]) {
        if self.scale != Fp::ZERO {
            visit(&self.factors, self.base, self.scale, &mut |address, value| out[address] += value);
        }
    }

    /// The value on a tensor of ones at these addresses, each in one place, and zeros; `None` where one address is read in several ways.
    #[must_use]
    pub fn sum_at(&self, addresses: impl Iterator<Item = usize>) -> Option<Fp> {
        // Each stride goes beyond everything that is finer.
        let mut reach = 0_usize;
        for (stride, vector) in self.factors.iter().rev() {
            if *stride <= reach {
                return None;
            }
            reach = reach.checked_add(stride.checked_mul(vector.len().saturating_sub(1))?)?;
        }
        let weight = |address: usize| {
            let mut rest = address.checked_sub(self.base)?;
            let mut weight = self.scale;
            for (stride, vector) in &self.factors {
                weight *= vector.get(rest / stride)?;
                rest %= stride;
            }
            (rest == 0).then_some(weight)
        };
        Some(addresses.filter_map(weight).sum())
    }

    /// The value on a tensor of integers.
    #[must_use]
    pub fn evaluate<'a>(&self, values: impl Into<IntegerSlice<'a>>) -> Fp {
        let values = values.into();
        let mut sum = Fp::ZERO;
        match self.factors.split_last() {
            Some(((1, vector), rest)) => {
                let vector = Weights::new(vector);
                visit(rest, self.base, Fp::ONE, &mut |address, weight| {
                    let run = values.slice(address..address + vector.len());
                    sum += weight * weighted_inner_product(run, &vector);
                });
            }
            _ => visit(&self.factors, self.base, Fp::ONE, &mut |address, weight| {
                if let Some(value) = values.get(address).filter(|value| *value != 0) {
                    sum += weight * from_i64(value);
                }
            }),
        }
        sum * self.scale
    }
}

fn visit(factors: &[(usize, Vec<Fp>)], address: usize, value: Fp, action: &mut impl FnMut(usize, Fp)) {
    match factors {
        [] => action(address, value),
        [(stride, vector)] => {
            for (x, v) in vector.iter().enumerate() {
                action(address + x * stride, value * v);
            }
        }
        [(stride, vector), rest @ ..] => {
            for (x, v) in vector.iter().enumerate() {
                if *v != Fp::ZERO {
                    visit(rest, address + x * stride, value * v, action);
                }
            }
        }
    }
}

/// `out[j] = Σ_outer (Π weights) · values[map(outer, j)]` for all points `j` of the inner axes.
///
/// `inner` lists the axes that are kept, with their sizes; all others are summed with their weights.
/// The result is indexed with the first inner axis in the lowest bits, each axis padded to a power
/// of two.
#[must_use]
pub fn contract(map: &IndexMap, values: IntegerSlice<'_>, weights: &AxisWeights<'_>, inner: &[(u8, usize)]) -> Vec<Fp> {
    // In order of addresses, so that a tensor read as a whole is not copied.
    let mut map = map.clone();
    map.factors.sort_by_key(|f| std::cmp::Reverse(f.stride));
    let mut copy = Integers::default();
    let mut state = Tensor::new(&map, values, &mut copy);
    let mut sizes: Vec<usize> = map.factors.iter().map(|f| f.size as usize).collect();
    let kept: Vec<Vec<u8>> = map
        .factors
        .iter()
        .map(|f| f.axes.iter().copied().filter(|a| inner.iter().any(|i| i.0 == *a)).collect())
        .collect();
    let size_of = |axis: u8| inner.iter().find(|i| i.0 == axis).map_or(1, |i| i.1);
    let mut order: Vec<usize> = (0..map.factors.len()).collect();
    // Largest reduction first.
    order.sort_by_key(|f| kept[*f].iter().map(|a| size_of(*a)).product::<usize>() * 1000 / sizes[*f].max(1));
    for f in order {
        let factor = &map.factors[f];
        let rows = kept[f].iter().map(|a| size_of(*a)).product::<usize>();
        let entries = contraction_entries(factor, weights, &kept[f], &size_of);
        let is_identity = rows == sizes[f]
            && entries.len() == rows
            && entries.iter().enumerate().all(|(i, e)| e.0 == i && e.1 == i && e.2 == Fp::ONE);
        if !is_identity {
            state = state.contract(&sizes, f, rows, &entries);
        }
        sizes[f] = rows;
    }
    let flat = state.into_field();
    // Every kept axis now runs within one factor's dimension; move it to its bits.
    let mut offsets = Vec::new();
    let mut bits = 0;
    for (axis, size) in inner {
        offsets.push((*axis, bits));
        bits += size.next_power_of_two().trailing_zeros();
    }
    let offset_of = |axis: u8| offsets.iter().find(|o| o.0 == axis).map_or(0, |o| o.1);
    let mut out = vec![Fp::ZERO; 1 << bits];
    for (position, value) in flat.iter().enumerate() {
        let mut rest = position;
        let mut index = 0;
        for f in (0..sizes.len()).rev() {
            let mut coordinate = rest % sizes[f];
            rest /= sizes[f];
            for axis in kept[f].iter().rev() {
                index |= (coordinate % size_of(*axis)) << offset_of(*axis);
                coordinate /= size_of(*axis);
            }
        }
        out[index] += value;
    }
    out
}

/// The matrix of a factor, sorted, equal places added up.
fn contraction_entries(
    factor: &Factor,
    weights: &AxisWeights<'_>,
    kept: &[u8],
    size_of: &dyn Fn(u8) -> usize,
) -> Vec<Entry> {
    let sizes: Vec<u32> = factor
        .axes
        .iter()
        .map(|a| {
            let size = if kept.contains(a) { size_of(*a) } else { weights.vector(*a).len() };
            u32::try_from(size).unwrap_or(u32::MAX)
        })
        .collect();
    let mut entries: Vec<Entry> = Vec::new();
    factor.for_each(&sizes, |position, x| {
        let Some(x) = x else { return };
        let mut rest = position;
        let (mut row, mut step, mut weight) = (0, 1, Fp::ONE);
        for (axis, size) in factor.axes.iter().zip(&sizes).rev() {
            let index = rest % *size as usize;
            rest /= *size as usize;
            if kept.contains(axis) {
                row += index * step;
                step *= *size as usize;
            } else {
                weight *= weights.vector(*axis)[index];
            }
        }
        entries.push((row, x as usize, weight));
    });
    entries.sort_by_key(|e| (e.0, e.1));
    entries.dedup_by(|later, earlier| {
        let same = (later.0, later.1) == (earlier.0, earlier.1);
        if same {
            earlier.2 += later.2;
        }
        same
    });
    entries
}

impl AxisWeights<'_> {
    /// The same weights with weight one for one axis, which then does not scale anything.
    #[must_use]
    pub fn without(&self, axis: usize) -> Self {
        let mut vectors = self.vectors.clone();
        if let Some(vector) = vectors.get_mut(axis) {
            *vector = Cow::Owned(vec![Fp::ONE]);
        }
        Self { vectors }
    }
}
