//! Row gates: what binds the cells of one row of a lane. This is the only place where gates are written.
//!
//! A row gate is `A·B = C`, or `C = 0`, for forms `A`, `B`, `C` that are affine in the *words* of one copy of a lane on one
//! row (a word is the sum of its limbs). Both ways of proving gates are made from this list: the halo2 circuit of
//! [`crate::halo2`], and the two relations of [`crate::slots`]. Why each list leaves one assignment: the gadget of the lane.

use crate::words::Lane;

/// `constant + Σ coef·word`, over the words of a lane by their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneForm {
    /// The constant.
    pub constant: i64,
    /// Word and factor.
    pub words: Vec<(usize, i64)>,
}

impl LaneForm {
    fn new(constant: i64, words: &[(usize, i64)]) -> Self {
        Self { constant, words: words.to_vec() }
    }

    fn word(word: usize) -> Self {
        Self::new(0, &[(word, 1)])
    }

    fn zero() -> Self {
        Self::new(0, &[])
    }
}

/// One gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowGate {
    /// `a·b = c`.
    Product {
        /// The first factor.
        a: LaneForm,
        /// The second factor.
        b: LaneForm,
        /// The product.
        c: LaneForm,
    },
    /// The form is zero.
    Linear(LaneForm),
}

impl RowGate {
    fn vanishes(a: LaneForm, b: LaneForm) -> Self {
        Self::Product { a, b, c: LaneForm::zero() }
    }

    /// The forms of a gate.
    pub fn forms(&self) -> impl Iterator<Item = &LaneForm> {
        let (first, rest): (&LaneForm, &[&LaneForm]) = match self {
            Self::Product { a, b, c } => (a, &[b, c]),
            Self::Linear(form) => (form, &[]),
        };
        std::iter::once(first).chain(rest.to_vec())
    }
}

/// `v·y' = 0` and `w·(D − y') = 0`, for those of `v` and `w` that exist; they are the words from `next` on.
fn saturation(next: &mut usize, under: bool, over: Option<u64>) -> Vec<RowGate> {
    let mut gates = Vec::new();
    if under {
        gates.push(RowGate::vanishes(LaneForm::word(*next), LaneForm::word(0)));
        *next += 1;
    }
    if let Some(width) = over {
        gates.push(RowGate::vanishes(LaneForm::word(*next), LaneForm::new(signed(width), &[(0, -1)])));
        *next += 1;
    }
    gates
}

/// Widths are below `2^62`.
fn signed(width: u64) -> i64 {
    i64::try_from(width).unwrap_or(i64::MAX)
}

impl Lane {
    /// The gates of a lane.
    ///
    /// | lane | words | products | linear |
    /// |---|---|---|---|
    /// | `Range` | | | |
    /// | `Interval` | `a, a'` | | `a + a' − D = 0` |
    /// | `Clamp` | `y', [v], [w], [y'']` | `v·y' = 0`, `w·(D − y') = 0` | `y' + y'' − D = 0` |
    /// | `Table` | `x', y, [v], [w]` | `v·x' = 0`, `w·(D − x') = 0` | |
    /// | `Select` | `d, b` | `b·d = 0` | |
    /// | `Division` | `x, q', r, r'` | `(q_lo + q')·(1 + r + r') = x − r` | |
    #[must_use]
    pub fn gates(&self) -> Vec<RowGate> {
        let complement =
            |width: u64, other: usize| RowGate::Linear(LaneForm::new(-signed(width), &[(0, 1), (other, 1)]));
        match *self {
            Self::Range => Vec::new(),
            Self::Interval { width } => vec![complement(width, 1)],
            Self::Clamp { under, over, complement: has_complement } => {
                let mut next = 1;
                let mut gates = saturation(&mut next, under, over);
                if let (true, Some(width)) = (has_complement, over) {
                    gates.push(complement(width, next));
                }
                gates
            }
            Self::Table { under, over, .. } => saturation(&mut 2, under, over),
            Self::Select => vec![RowGate::vanishes(LaneForm::word(1), LaneForm::word(0))],
            Self::Division { q_lo } => vec![RowGate::Product {
                a: LaneForm::new(q_lo, &[(1, 1)]),
                b: LaneForm::new(1, &[(2, 1), (3, 1)]),
                c: LaneForm::new(0, &[(0, 1), (2, -1)]),
            }],
        }
    }
}
