//! Contractions of dense tensors, dimension by dimension: integers at first, field elements after one of them.
//!
//! The first contraction reads all integers, and reduces them most: its sums are [`crate::weighted`]'s.

use crate::{
    field::{from_i64, Fp},
    weighted::{add_weighted_rows, weighted_inner_product, Row, Weights},
};
use ff::Field;
use zkonnx_quantize::{
    index::{Factor, IndexMap},
    integers::{IntegerSlice, Integers},
    with_integer_slice,
};

/// A tensor while its dimensions are contracted, last dimension fastest.
pub(crate) enum Tensor<'a> {
    /// Nothing is contracted yet.
    Integers(IntegerSlice<'a>),
    /// After the first contraction.
    Field(Vec<Fp>),
}

/// An entry of the matrix of a factor: kept index, coordinate, weight.
pub(crate) type Entry = (usize, usize, Fp);

impl<'a> Tensor<'a> {
    /// `values` over the coordinates of the map's factors; in `copy` if they are not in that order already.
    pub(crate) fn new(map: &IndexMap, values: IntegerSlice<'a>, copy: &'a mut Integers) -> Self {
        Self::Integers(in_order(map, values, copy))
    }

    /// All values.
    pub(crate) fn into_field(self) -> Vec<Fp> {
        match self {
            Self::Integers(values) => with_integer_slice!(values, values => embedded(values)),
            Self::Field(values) => values,
        }
    }

    /// Replaces dimension `f` by `rows`, through the sparse matrix `entries`.
    pub(crate) fn contract(&self, sizes: &[usize], f: usize, rows: usize, entries: &[Entry]) -> Self {
        let pre: usize = sizes[..f].iter().product();
        let post: usize = sizes[f + 1..].iter().product();
        let mut out = vec![Fp::ZERO; pre * rows * post];
        match self {
            Self::Integers(values) => {
                for entries in entries.chunk_by(|a, b| a.0 == b.0) {
                    let outs = (0..pre).map(|p| (p * rows + entries[0].0) * post);
                    contract_integers(*values, (sizes[f], post), entries, outs, &mut out);
                }
            }
            Self::Field(values) => {
                for p in 0..pre {
                    for (row, x, weight) in entries {
                        let to = (p * rows + row) * post;
                        let from = (p * sizes[f] + x) * post;
                        for (out, value) in out[to..to + post].iter_mut().zip(&values[from..from + post]) {
                            *out += weight * value;
                        }
                    }
                }
            }
        }
        Self::Field(out)
    }
}

fn in_order<'a>(map: &IndexMap, values: IntegerSlice<'a>, copy: &'a mut Integers) -> IntegerSlice<'a> {
    let base = map.base as usize;
    let mut len = 1;
    let mut is_in_order = true;
    for factor in map.factors.iter().rev() {
        is_in_order &= factor.size == 1 || factor.stride as usize == len;
        len *= factor.size as usize;
    }
    if is_in_order {
        return values.slice(base..base + len);
    }
    *copy = match values {
        IntegerSlice::I8(values) => Integers::I8(gather(&map.factors, values, base, len)),
        IntegerSlice::I16(values) => Integers::I16(gather(&map.factors, values, base, len)),
        IntegerSlice::I32(values) => Integers::I32(gather(&map.factors, values, base, len)),
        IntegerSlice::I64(values) => Integers::I64(gather(&map.factors, values, base, len)),
    };
    copy.as_slice()
}

fn gather<T: Copy>(factors: &[Factor], values: &[T], base: usize, len: usize) -> Vec<T> {
    fn append<T: Copy>(factors: &[Factor], values: &[T], address: usize, out: &mut Vec<T>) {
        match factors {
            [] => out.push(values[address]),
            [last] if last.stride == 1 => out.extend_from_slice(&values[address..address + last.size as usize]),
            [first, rest @ ..] => {
                for x in 0..first.size as usize {
                    append(rest, values, address + x * first.stride as usize, out);
                }
            }
        }
    }
    let mut out = Vec::with_capacity(len);
    append(factors, values, base, &mut out);
    out
}

fn embedded<T: Copy + Into<i64>>(values: &[T]) -> Vec<Fp> {
    values.iter().map(|value| from_i64((*value).into())).collect()
}

/// `out[at(p) + j] += Σ_entries weight · values[p, x, j]` for all `p` and `j < post`, where `x < size`; the entries have one
/// kept index.
fn contract_integers(
    values: IntegerSlice<'_>,
    (size, post): (usize, usize),
    entries: &[Entry],
    at: impl Iterator<Item = usize>,
    out: &mut [Fp],
) {
    let (first, last) = (entries[0].1, entries[entries.len() - 1].1);
    if post == 1 {
        let mut vector = vec![Fp::ZERO; last + 1 - first];
        for (_, x, weight) in entries {
            vector[x - first] += weight;
        }
        let vector = Weights::new(&vector);
        for (p, at) in at.enumerate() {
            out[at] += weighted_inner_product(values.slice(p * size + first..p * size + last + 1), &vector);
        }
        return;
    }
    let weights: Vec<Fp> = entries.iter().map(|entry| entry.2).collect();
    let weights = Weights::new(&weights);
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(entries.len());
    for (p, at) in at.enumerate() {
        rows.clear();
        rows.extend(entries.iter().enumerate().map(|(i, (_, x, _))| {
            let from = (p * size + x) * post;
            weights.row(i, values.slice(from..from + post))
        }));
        add_weighted_rows(&rows, &mut out[at..at + post]);
    }
}
