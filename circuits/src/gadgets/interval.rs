//! A word in an interval that starts at zero.
//!
//! | cells | gate | guarantees |
//! |---|---|---|
//! | word `a` of `b` bits | none | `0 ≤ a ≤ 2^b − 1`, for a width of `2^b − 1` |
//! | words `a`, `a'` | `a + a' = D` | `0 ≤ a ≤ D`, for any other width `D` |
//!
//! *Lemma.* Both words are non-negative, so `a = D − a' ≤ D`; and `a ≥ 0`. Digits are unique, so an
//! integer in `[0, D]` has exactly one assignment, and one outside has none.

use super::{width, Builder};
use crate::{
    lower::LowerError,
    relations::TensorCells,
    words::{bits_of, exact_limbs, Lane, WordId},
};
use zkonnx_quantize::graph::Interval;

/// The words of an interval gadget.
#[derive(Clone, Copy, Debug)]
pub struct IntervalWords {
    /// `x − lo`.
    pub value: WordId,
    /// `hi − x`, where the width is not `2^b − 1`.
    pub complement: Option<WordId>,
}

/// Holds a declared hidden input: its form is defined by nothing but the interval.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower_input(builder: &mut Builder, len: usize, bounds: Interval) -> Result<IntervalWords, LowerError> {
    let d = width(bounds)?;
    let words = if d > 0 && d.count_ones() == u32::from(bits_of(i128::from(d))) {
        let value = builder.word(len, exact_limbs(bits_of(i128::from(d)), builder.limb_bits));
        builder.block(Lane::Range, &[value]);
        IntervalWords { value, complement: None }
    } else {
        let value = builder.loose_word(len, d);
        let complement = builder.loose_word(len, d);
        builder.block(Lane::Interval { width: d.unsigned_abs() }, &[value, complement]);
        IntervalWords { value, complement: Some(complement) }
    };
    builder.define(TensorCells::word(bounds.lo, words.value));
    Ok(words)
}
