//! Maximum over a window, of any size, by selectors.
//!
//! | cells | gate | input forms | constraint |
//! |---|---|---|---|
//! | `m` (a clamp's words), and for each element `j` of the window words `d_j`, `b_j` | `b_j·d_j = 0` | `q_j = m − d_j` | `Σ_j b_j = 1` |
//!
//! `q_j` is the rounded form: the input form is `2^s·(m − d_j) + r_j − 2^(s-1)`, over the whole form. `d_j` is looked up, `b_j` is
//! not. An honest prover sets `b` to one at the first maximum and to zero elsewhere, so it costs next to nothing.
//!
//! *Lemma.* Let the `q_j` be given. `d_j = m − q_j ≥ 0` says that `m` is an upper bound. If every `d_j` were different from zero over the
//! integers it would be so in the field (words are below 2^62), every `b_j` would be zero, a product in a field vanishing
//! only with a factor, and their sum would not be one. So some `d_j` is zero: `m` is one of the `q_j`, hence their maximum, and the `d_j`
//! follow. Nothing reads `b`, which need not be unique: with ties it may be any elements of the field with sum one at
//! the maxima. Each product is needed: `Σ_j b_j·d_j = 0` alone proves nothing while `b` has no range.

use super::{clamp, requantise, width, Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::{FormRef, Right, WordTerm},
    words::{CellKind, Lane, Limb, WordId},
};
use zkonnx_quantize::{graph::Node, index::IndexMap};

/// The words of a maximum node.
#[derive(Clone, Debug)]
pub struct MaxNode {
    /// `m`, clamped.
    pub clamp: clamp::ClampWords,
    /// The remainders of the requantisation, over the whole form.
    pub remainder: Option<WordId>,
    /// `d`, over the whole form.
    pub difference: WordId,
    /// `b`, over the whole form.
    pub selector: WordId,
}

/// Lowers a maximum node whose form is `form`, over the last `axes` axes.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &Node,
    form: FormRef,
    axes: usize,
    bounds: (Option<i64>, Option<i64>),
) -> Result<MaxNode, LowerError> {
    let shape = &node.form.shape;
    let (outer, window) = shape.split_at(shape.len() - axes);
    let len: usize = outer.iter().map(|s| *s as usize).product();
    let q = node.quantised_bounds();
    let difference = builder.loose_word(node.form.len(), width(q)?);
    let selector = builder.word(node.form.len(), vec![Limb { shift: 0, kind: CellKind::Unchecked }]);
    builder.block(Lane::Select, &[difference, selector]);
    let clamp = clamp::words(builder, len, q, bounds, false)?;
    let (whole, above) = (IndexMap::identity(shape, 0), IndexMap::identity(outer, 0));
    let maximum = clamp.q_terms().into_iter().map(|(coef, word)| WordTerm::plain(coef, word, above.clone()));
    let terms = maximum.chain([WordTerm::plain(-1, difference, whole.clone())]).collect();
    let (a, remainder) = requantise::lower(builder, shape, node.shift, WordForm { constant: clamp.offset, terms })?;
    builder.relate(&node.name, shape, a, Right::Form(form));
    let selected = WordTerm { coef: 1, word: selector, sums: window.to_vec(), map: whole };
    builder.constrain(&format!("{}: one is selected", node.name), outer, vec![selected], 1);
    builder.define(clamp.cells());
    Ok(MaxNode { clamp, remainder, difference, selector })
}

/// The honest differences and selectors of one window.
#[must_use]
pub fn assign(window: &[i64]) -> (Vec<i64>, Vec<i64>) {
    let maximum = window.iter().copied().max().unwrap_or(0);
    let first = window.iter().position(|q| *q == maximum);
    let differences = window.iter().map(|q| maximum - q).collect();
    let selectors = (0..window.len()).map(|j| i64::from(Some(j) == first)).collect();
    (differences, selectors)
}
