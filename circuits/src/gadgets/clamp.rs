//! Clamping, of which ReLU and the identity are cases.
//!
//! For `y = min(max(q, lo), hi)`, with only those bounds that `y'` could go beyond:
//!
//! | bounds | cells | gates | `q` | guarantees |
//! |---|---|---|---|---|
//! | none | word `y'` | | `min + y'` | |
//! | `lo` | words `y', v` | `v·y' = 0` | `lo + y' − v` | `y = lo + y'` |
//! | `hi` | words `y', v` | `v·y' = 0` | `hi − y' + v` | `y = hi − y'` |
//! | both | `y'` in `[0, D]`, words `v, w` | `v·y' = 0`, `w·(D − y') = 0` | `lo + y' − v + w` | `y = lo + y'` |
//! | both or one, by lookup | pair `x', e'` of the clamp's table on `[a, b]` | | `a + x'` | `y = a + x' + e'` |
//!
//! with `D = hi − lo ≥ 1`. `y'` in `[0, D]` is a word of exactly `b` bits for `D = 2^b − 1`, and otherwise
//! two words `y', y''` with the gate `y' + y'' = D`.
//!
//! *Lemma.* Let `q` be given. One bound: `q − lo = y' − v` with `y', v ≥ 0` and one of them zero has the
//! single solution `y' = max(q − lo, 0)`, `v = max(lo − q, 0)`. Both: if `v ≠ 0` then `y' = 0`, so
//! `w·D = 0` and, as `D ≥ 1`, `w = 0` and `q = lo − v < lo`; if `w ≠ 0` then `y' = D`, so `v = 0` and
//! `q = hi + w > hi`; otherwise `q = lo + y'` in `[lo, hi]`. The three cases exclude each other. The
//! products are over the integers because words are below 2^62. By lookup: `q` determines `x'`, and the pair `e'`, which is
//! `min(max(q, lo), hi) − q`, mostly zero; the table covers all that `q` may be ([`crate::saturation`]).

use super::{requantise, width, Builder, WordForm};
use crate::{
    lookup_tables::Bounds,
    lower::LowerError,
    relations::{FormRef, Right, TensorCells},
    words::{bits_of, exact_limbs, Lane, WordId},
};
use zkonnx_quantize::graph::{clamped, Interval};

/// The words of a clamp, and how `q` and `y` are read from them.
#[derive(Clone, Debug)]
pub struct ClampWords {
    /// `y'`; `x'` where the clamp is looked up.
    pub value: WordId,
    /// What else there is where the clamp is looked up.
    pub lookup: Option<ClampLookup>,
    /// `v`: by how much `q` lies beyond the (first) bound.
    pub under: Option<WordId>,
    /// `w`: by how much `q` lies above `hi`, when both bounds bind.
    pub over: Option<WordId>,
    /// `y''`.
    pub complement: Option<WordId>,
    /// `y = offset + coef·y'`, or `a`.
    pub offset: i64,
    /// 1, or −1 when only `hi` binds.
    pub coef: i64,
    /// `D` when both bounds bind.
    pub span: i64,
}

/// A clamp that is looked up.
#[derive(Clone, Copy, Debug)]
pub struct ClampLookup {
    /// `e'`.
    pub excess: WordId,
    /// The bounds.
    pub bounds: Bounds,
}

/// The values of one element's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClampValues {
    /// `y'`, or `x'`.
    pub value: i64,
    /// `e'`.
    pub excess: i64,
    /// `v`.
    pub under: i64,
    /// `w`.
    pub over: i64,
    /// `y''`.
    pub complement: i64,
}

impl ClampWords {
    /// The word `y'` alone.
    fn of(value: WordId) -> Self {
        Self { value, lookup: None, under: None, over: None, complement: None, offset: 0, coef: 1, span: 0 }
    }

    /// The honest assignment for `q`.
    #[must_use]
    pub fn assign(&self, q: i64) -> ClampValues {
        let x = (q - self.offset) * self.coef;
        if let Some(ClampLookup { bounds, .. }) = self.lookup {
            return ClampValues { value: x, excess: clamped(q, bounds) - q, ..ClampValues::default() };
        }
        if self.under.is_none() && self.over.is_none() {
            return ClampValues { value: x, ..ClampValues::default() };
        }
        let value = if self.over.is_some() { x.clamp(0, self.span) } else { x.max(0) };
        ClampValues {
            value,
            under: (-x).max(0),
            over: if self.over.is_some() { (x - self.span).max(0) } else { 0 },
            complement: self.span - value,
            excess: 0,
        }
    }

    /// How `y` is read.
    #[must_use]
    pub fn cells(&self) -> TensorCells {
        let excess = self.lookup.map(|lookup| lookup.excess);
        TensorCells::Word { offset: self.offset, coef: self.coef, word: self.value, excess }
    }

    /// The terms of `q`.
    #[must_use]
    pub fn q_terms(&self) -> Vec<(i64, WordId)> {
        let mut terms = vec![(self.coef, self.value)];
        terms.extend(self.under.map(|v| (-self.coef, v)));
        terms.extend(self.over.map(|w| (self.coef, w)));
        terms
    }
}

/// Makes the words of `y = min(max(q, lo), hi)` for `q` in the interval `range`.
///
/// With `keep_under` the word `v` exists even where `lo` cannot bind, and nothing is looked up in the clamp's table.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn words(
    builder: &mut Builder,
    len: usize,
    range: Interval,
    (lo, hi): (Option<i64>, Option<i64>),
    keep_under: bool,
) -> Result<ClampWords, LowerError> {
    if let Some((number, table)) = builder.tables.clamp((lo, hi), range).filter(|_| !keep_under) {
        let (value, excess) = builder.pair(len, number);
        builder.block(Lane::Table { table: number, under: false, over: None }, &[value, excess]);
        let lookup = Some(ClampLookup { excess, bounds: (lo, hi) });
        return Ok(ClampWords { lookup, offset: table.interval.lo, ..ClampWords::of(value) });
    }
    match binding(range, (lo, hi), keep_under, builder.limb_bits) {
        (None, None) => {
            let value = builder.loose_word(len, width(range)?);
            builder.block(Lane::Range, &[value]);
            Ok(ClampWords { offset: range.lo, ..ClampWords::of(value) })
        }
        (Some(lo), None) => one_sided(builder, len, Interval::new(range.lo.min(lo), range.hi.max(lo)), lo, 1),
        (None, Some(hi)) => one_sided(builder, len, Interval::new(range.lo.min(hi), range.hi.max(hi)), hi, -1),
        (Some(lo), Some(hi)) => {
            let span = width(Interval::new(lo, hi))?;
            if span < 1 {
                return Err(LowerError::TooWide);
            }
            let bits = bits_of(i128::from(span));
            let exact = span.count_ones() == u32::from(bits);
            let value = if exact {
                builder.word(len, exact_limbs(bits, builder.limb_bits))
            } else {
                builder.loose_word(len, span)
            };
            let under = builder.loose_word(len, width(Interval::new(range.lo.min(lo), lo))?);
            let over = builder.loose_word(len, width(Interval::new(hi, range.hi.max(hi)))?);
            let complement = (!exact).then(|| builder.loose_word(len, span));
            let lane = Lane::Clamp { under: true, over: Some(span.unsigned_abs()), complement: complement.is_some() };
            let all: Vec<WordId> = [value, under, over].into_iter().chain(complement).collect();
            builder.block(lane, &all);
            let (under, over) = (Some(under), Some(over));
            Ok(ClampWords { under, over, complement, offset: lo, span, ..ClampWords::of(value) })
        }
    }
}

/// The bounds that get words.
///
/// A bound that cannot bind for `q` in `range` needs none, but only if the words that are left cannot go
/// beyond it either: words are wider than `range`, and `range` may be no more than somebody's word.
fn binding(
    range: Interval,
    (lo, hi): (Option<i64>, Option<i64>),
    keep_under: bool,
    limb_bits: u8,
) -> (Option<i64>, Option<i64>) {
    let capacity = |max: i128| {
        let bits = u32::from(bits_of(max).max(1).div_ceil(limb_bits)) * u32::from(limb_bits);
        (1_i128 << bits.min(120)) - 1
    };
    let wide = i128::from;
    let mut low = lo.filter(|lo| keep_under || range.lo < *lo);
    let mut high = hi.filter(|hi| range.hi > *hi);
    if high.is_none() {
        let floor = wide(low.unwrap_or(range.lo));
        high = hi.filter(|hi| floor + capacity((wide(range.hi) - floor).max(0)) > wide(*hi));
    }
    if let (None, Some(top)) = (low, high) {
        low = lo.filter(|lo| wide(top) - capacity((wide(top) - wide(range.lo)).max(0)) < wide(*lo));
    }
    (low, high)
}

fn one_sided(
    builder: &mut Builder,
    len: usize,
    range: Interval,
    bound: i64,
    coef: i64,
) -> Result<ClampWords, LowerError> {
    let (below, above) = (width(Interval::new(range.lo, bound))?, width(Interval::new(bound, range.hi))?);
    let (inside, beyond) = if coef == 1 { (above, below) } else { (below, above) };
    let value = builder.loose_word(len, inside);
    let under = builder.loose_word(len, beyond);
    builder.block(Lane::Clamp { under: true, over: None, complement: false }, &[value, under]);
    Ok(ClampWords { under: Some(under), offset: bound, coef, ..ClampWords::of(value) })
}

/// The words of a clamp node.
#[derive(Clone, Debug)]
pub struct ClampNode {
    /// The clamp.
    pub clamp: ClampWords,
    /// The remainder of the requantisation.
    pub remainder: Option<WordId>,
}

/// Lowers a clamp node whose form is `form`.
///
/// # Errors
/// [`LowerError::TooWide`].
pub fn lower(
    builder: &mut Builder,
    node: &zkonnx_quantize::graph::Node,
    form: FormRef,
    (lo, hi, keep_under): (Option<i64>, Option<i64>, bool),
) -> Result<ClampNode, LowerError> {
    let shape = &node.form.shape;
    let clamp = words(builder, node.form.len(), node.quantised_bounds(), (lo, hi), keep_under)?;
    let q = WordForm::elementwise(clamp.offset, &clamp.q_terms(), shape);
    let (a, remainder) = requantise::lower(builder, shape, node.shift, q)?;
    builder.relate(&node.name, shape, a, Right::Form(form));
    builder.define(clamp.cells());
    if let (Some(word), true) = (clamp.under, keep_under) {
        builder.define(TensorCells::word(0, word));
    }
    Ok(ClampNode { clamp, remainder })
}
