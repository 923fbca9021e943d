//! One-hot vectors of an index.
//!
//! Of a public input's elements, read as they are, nothing has to be proven: whoever sees the input knows the vectors
//! ([`TensorCells::OneHot`]). Of all others:
//!
//! | cells | gate | input form | constraint |
//! |---|---|---|---|
//! | bits `u_j`, one for each place `j < size`; a bit `n` where the index may be negative | | `q = Σ_j j·u_j − size·n` | `Σ_j u_j = 1` |
//!
//! *Lemma.* Let `q` be given, within `−size` and `size − 1`. Bits with sum one are a one-hot vector: one `u_j` is one, and `q = j − size·n`. For `q ≥ 0`
//! `n` is 0, since `j − size` is negative; for `q < 0` it is 1, since `j` is not. Both leave one `j`.
//!
//! `Σ_j j·u_j` is read bit by bit of `j`: for each bit `b` of weight `2^b` the sum of those `u_j` whose `j` has it.

use super::{Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::{FormRef, Right, TensorCells, WordTerm},
    words::{CellKind, Lane, Limb, WordId},
};
use zkonnx_quantize::{
    graph::{Form, Node, Source},
    index::{Factor, IndexMap},
};

/// The words of a one-hot node.
#[derive(Clone, Copy, Debug)]
pub struct OneHotNode {
    /// `u`, over the form and the places.
    pub hot: WordId,
    /// `n`, over the form.
    pub negative: Option<WordId>,
}

/// The tensor whose elements the form is, as they are; zero where the map reads outside.
fn plain_read(form: &Form) -> Option<usize> {
    match (form.terms.as_slice(), form.products.as_slice(), form.constant) {
        ([term], [], 0) if term.coef == 1 && term.sums.is_empty() => match term.source {
            Source::Tensor(id) => Some(id.0 as usize),
            Source::Param(_) => None,
        },
        _ => None,
    }
}

/// The places whose number has this bit, `2^b + high·2^(b+1) + low`: the map over the form's axes and those of `high` and `low`, and the sizes of
/// these. What is beyond the last place is not there.
fn places_with_bit(shape: &[u32], size: u32, bit: u32, axis: u8) -> (Vec<u32>, IndexMap) {
    let mut map = IndexMap::identity(shape, 0);
    for factor in &mut map.factors {
        factor.stride *= size;
    }
    // A graph has no axis above 2^26.
    let low = 1 << bit;
    let high = (size - low).div_ceil(2 * low);
    map.factors.push(Factor::affine(&[(axis, 2 << bit), (axis + 1, 1)], 1 << bit, size, 1));
    (vec![high, low], map)
}

/// Lowers a one-hot node whose form is `form`; no words where the vectors are public.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &Node,
    number: usize,
    form: FormRef,
    size: u32,
) -> Result<Option<OneHotNode>, LowerError> {
    let shape = &node.form.shape;
    if let Some(TensorCells::Public(input)) = plain_read(&node.form).and_then(|tensor| builder.tensors.get(tensor)) {
        builder.define(TensorCells::OneHot { input: *input, node: number });
        return Ok(None);
    }
    let axis = u8::try_from(shape.len()).ok().filter(|a| *a < u8::MAX).ok_or(LowerError::TooWide)?;
    let bit = || vec![Limb { shift: 0, kind: CellKind::Range { bits: 1 } }];
    let len = node.form.len().checked_mul(size as usize).ok_or(LowerError::TooWide)?;
    let hot = builder.word(len, bit());
    builder.block(Lane::Range, &[hot]);
    let whole: Vec<u32> = shape.iter().copied().chain([size]).collect();
    let selected = WordTerm { coef: 1, word: hot, sums: vec![size], map: IndexMap::identity(&whole, 0) };
    builder.constrain(&format!("{}: one place", node.name), shape, vec![selected], 1);
    let mut terms = Vec::new();
    for b in (0..u32::BITS).take_while(|b| size > 1 << b) {
        let (sums, map) = places_with_bit(shape, size, b, axis);
        terms.push(WordTerm { coef: 1 << b, word: hot, sums, map });
    }
    let negative = if node.form.bounds.lo < 0 {
        let negative = builder.word(node.form.len(), bit());
        builder.block(Lane::Range, &[negative]);
        terms.push(WordTerm::plain(-i64::from(size), negative, IndexMap::identity(shape, 0)));
        Some(negative)
    } else {
        None
    };
    builder.relate(&node.name, shape, WordForm { constant: 0, terms }, Right::Form(form));
    builder.define(TensorCells::word(0, hot));
    Ok(Some(OneHotNode { hot, negative }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_whose_number_has_the_bit() {
        for size in 2..40_u32 {
            for bit in (0..6).take_while(|b| size > 1 << b) {
                let (sums, map) = places_with_bit(&[3], size, bit, 1);
                let sizes: Vec<u32> = [3].into_iter().chain(sums).collect();
                let mut read: Vec<u32> = map.addresses(&[0, 1, 2], &sizes).into_iter().flatten().collect();
                read.sort_unstable();
                let places = (0..3 * size).filter(|a| (a % size) >> bit & 1 == 1);
                assert_eq!(read, places.collect::<Vec<_>>(), "{size} {bit}");
            }
        }
    }
}
