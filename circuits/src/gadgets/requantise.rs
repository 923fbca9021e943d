//! The one rounding: `q = (A + 2^(s-1)) >> s`.
//!
//! | cells | gate | input form |
//! |---|---|---|
//! | word `r` of exactly `s` bits | none | `2^s·q + r − 2^(s-1)` |
//!
//! *Lemma.* For every integer `A` there is exactly one pair `(q, r)` with `A + 2^(s-1) = 2^s·q + r` and
//! `0 ≤ r < 2^s` (Euclid), and its `q` is the floor. `q` is a linear form of the words of the gadget
//! that follows, which bound it. For `s = 0` there is no `r` and the input form is `q`.

use super::{Builder, WordForm};
use crate::{
    lower::LowerError,
    relations::WordTerm,
    words::{exact_limbs, Lane, WordId},
};
use zkonnx_quantize::index::IndexMap;

/// Turns a form for `q` over `shape` into the form for `A`; gives the remainder's word.
///
/// # Errors
/// [`LowerError::TooWide`] when the form's constant or a factor leaves 63 bits: it must not wrap around.
pub fn lower(
    builder: &mut Builder,
    shape: &[u32],
    shift: u8,
    q: WordForm,
) -> Result<(WordForm, Option<WordId>), LowerError> {
    if shift == 0 {
        return Ok((q, None));
    }
    let scaled =
        |value: i64| 1_i64.checked_shl(shift.into()).and_then(|s| value.checked_mul(s)).ok_or(LowerError::TooWide);
    let len = shape.iter().map(|s| *s as usize).product();
    let remainder = builder.word(len, exact_limbs(shift, builder.limb_bits));
    builder.block(Lane::Range, &[remainder]);
    let mut form = q;
    form.constant = scaled(form.constant)?.checked_sub(1 << (shift - 1)).ok_or(LowerError::TooWide)?;
    for term in &mut form.terms {
        term.coef = scaled(term.coef)?;
    }
    form.terms.push(WordTerm::plain(1, remainder, IndexMap::identity(shape, 0)));
    Ok((form, Some(remainder)))
}

/// The remainder of `a`.
#[must_use]
pub fn remainder(a: i64, shift: u8) -> i64 {
    if shift == 0 {
        0
    } else {
        (a + (1 << (shift - 1))) & ((1 << shift) - 1)
    }
}
