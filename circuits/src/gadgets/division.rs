//! Division: `q = floor(x / d)` for `d ≥ 1` and any sign of `x`.
//!
//! | cells | gate | input forms |
//! |---|---|---|
//! | `x`, word `q'`, words `r`, `r'` | `(q_lo + q')·(1 + r + r') = x − r` | `x`, and `d = 1 + r + r'` |
//!
//! *Lemma.* `r' ≥ 0` gives `0 ≤ r ≤ d − 1`. `x` has no range: the gate says `x = q·d + r` in the field, the relation says that `x` is the
//! numerator. Both the numerator (below 2^62) and `q·d + r` (below 2^202, from the words' ranges) are far below the
//! field's size, so they are equal integers, and Euclid makes `q` and `r` unique. `q`, `r` and `r'` are range-checked, never
//! found by dividing in the field.

use super::{width, Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::{FormRef, Right, TensorCells},
    words::{CellKind, Lane, Limb, WordId},
};
use zkonnx_quantize::graph::{Form, Interval, Node};

/// The words of a division node.
#[derive(Clone, Debug)]
pub struct DivisionNode {
    /// `x`, the numerator.
    pub numerator: WordId,
    /// `q − q_lo`.
    pub quotient: WordId,
    /// `r`.
    pub remainder: WordId,
    /// `r' = d − 1 − r`.
    pub rest: WordId,
    /// The smallest quotient.
    pub q_lo: i64,
}

/// Lowers a division node; `output` is the interval of the quotient.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &Node,
    (numerator_form, denominator_form): (FormRef, FormRef),
    denominator: &Form,
    output: Interval,
) -> Result<DivisionNode, LowerError> {
    let shape = &node.form.shape;
    let len = node.form.len();
    let numerator = builder.word(len, vec![Limb { shift: 0, kind: CellKind::Unchecked }]);
    let quotient = builder.loose_word(len, width(output)?);
    let remainder = builder.loose_word(len, denominator.bounds.hi - 1);
    let rest = builder.loose_word(len, denominator.bounds.hi - 1);
    builder.block(Lane::Division { q_lo: output.lo }, &[numerator, quotient, remainder, rest]);
    let x = WordForm::elementwise(0, &[(1, numerator)], shape);
    builder.relate(&node.name, shape, x, Right::Form(numerator_form));
    let d = WordForm::elementwise(1, &[(1, remainder), (1, rest)], shape);
    builder.relate(&node.name, shape, d, Right::Form(denominator_form));
    builder.define(TensorCells::word(output.lo, quotient));
    Ok(DivisionNode { numerator, quotient, remainder, rest, q_lo: output.lo })
}
